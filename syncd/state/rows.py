"""Values of the model as rows of the state file, and back. Never opens anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

from syncd.atproto.cid import Cid, parse_cid
from syncd.model import (
    Arrival,
    Conflict,
    Departure,
    Held,
    Problem,
    Refusal,
    Retry,
    Seen,
    Side,
    Waiting,
)

KINDS: Mapping[str, type[Waiting]] = {
    "conflict": Conflict,
    "problem": Problem,
    "held": Held,
    "refusal": Refusal,
    "retry": Retry,
    "arrival": Arrival,
    "departure": Departure,
}


def blob_or_none(cid: Cid | None) -> bytes | None:
    return None if cid is None else bytes(cid)


def cid_or_none(blob: bytes | None) -> Cid | None:
    return None if blob is None else Cid(blob)


def seen_row(seen: Seen) -> tuple[object, ...]:
    stat = (seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns, seen.seen_ns)
    return (seen.path, *stat, seen.digest, bytes(seen.cid))


_NAMES = {made: kind for kind, made in KINDS.items()}
_FIELDS = {made: tuple(field.name for field in fields(made)) for made in _NAMES}
_CID_FIELDS = frozenset({"base", "local", "remote"})


def waiting_row(item: Waiting) -> tuple[str, str, str]:
    made = type(item)
    values = ((name, getattr(item, name)) for name in _FIELDS[made])
    detail = {name: str(v) if isinstance(v, Cid) else v for name, v in values}
    return item.path, _NAMES[made], json.dumps(detail)


def parse_waiting(kind: str, detail: str) -> Waiting:
    made = KINDS[kind]
    values = json.loads(detail)
    for field in fields(made):
        if field.name in _CID_FIELDS and values[field.name] is not None:
            values[field.name] = parse_cid(values[field.name])
    if "side" in values:
        values["side"] = Side(values["side"])
    return made(**values)
