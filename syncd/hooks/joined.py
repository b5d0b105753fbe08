"""Make one input of a hook of several: what each of them says, once. Pure; starts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def joined(inputs: Sequence[bytes]) -> bytes:
    """Return an input that says what all of `inputs` say, which are of one event, in order.

    Of two items of a list that are about one path, the later one counts. So does the later one of
    all other values, unless it is null.
    """
    if len(inputs) == 1:
        return inputs[0]
    facts: dict[str, Any] = {}
    for given in inputs:
        for name, value in json.loads(given).items():
            if isinstance(value, list):
                items = {item["path"]: item for item in (*facts.get(name, ()), *value)}
                facts[name] = list(items.values())
            elif value is not None or name not in facts:
                facts[name] = value
    return f"{json.dumps(facts, ensure_ascii=True)}\n".encode("ascii")
