"""Values of the model as rows of the state file, and back. Never opens anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

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


_CID_FIELDS = frozenset({"base", "local", "remote"})


def waiting_row(item: Waiting) -> tuple[str, str, str]:
    kind = next(name for name, made in KINDS.items() if type(item) is made)
    detail = {k: str(v) if isinstance(v, Cid) else v for k, v in asdict(item).items()}
    return item.path, kind, json.dumps(detail)


def parse_waiting(kind: str, detail: str) -> Waiting:
    made = KINDS[kind]
    values = json.loads(detail)
    for field in fields(made):
        if field.name in _CID_FIELDS and values[field.name] is not None:
            values[field.name] = parse_cid(values[field.name])
    if "side" in values:
        values["side"] = Side(values["side"])
    return made(**values)
