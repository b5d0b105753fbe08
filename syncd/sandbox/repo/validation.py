"""Check records as the reference PDS does: by the lexicons that it was built with, and no other.

Never resolves a lexicon, and takes a record of another type as one of an unknown type.
"""

from __future__ import annotations

from functools import cache

from syncd.atproto.data import Record
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.fault import Fault, Kind
from syncd.atproto.syntax import Nsid, Rkey
from syncd.lexicons.bundle import KNOWN_TO_PDS, load_bundle
from syncd.sandbox.answer import invalid


def validate_record(
    collection: Nsid, rkey: Rkey, record: Record, *, validate: bool | None, at: str
) -> str | None:
    """Return `valid` or `unknown`; None if no validation is asked for.

    `validate` is what a client asks: True for a known type alone, False for no check, None for a
    check of known types. `at` is the place of the record in the request. Raises Rejected.
    """
    if validate is False:
        return None
    if collection not in KNOWN_TO_PDS:
        if validate:
            raise invalid(f"Unknown lexicon type: {collection}")
        return "unknown"
    found = _catalog().check(collection, rkey, record)
    fault = next((each for each in found if not each.is_note), None)
    if fault is None:
        return "valid"
    if fault.kind is Kind.KEY:
        raise invalid(f"Invalid record key for {collection}: {fault.reason}")
    raise invalid(f"Invalid {collection} record: {fault.reason} at {_path(at, fault)}")


@cache
def _catalog() -> Catalog:
    return Catalog(load_bundle().find)


def _path(at: str, fault: Fault) -> str:
    steps = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in fault.pointer)
    return at + "".join(steps)
