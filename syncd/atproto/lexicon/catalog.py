"""Check records against the lexicons of a catalog. Pure; where documents come from is handed in.

Each definition is compiled at its first use, and kept. A record of a collection without a lexicon
has no faults: nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from typing import TypeAlias

from syncd.atproto.data import Record
from syncd.atproto.lexicon.checks import FINE, Check, Faults, anything, fault, shown
from syncd.atproto.lexicon.compiling import compile_definition
from syncd.atproto.lexicon.document import LITERAL, Lexicon
from syncd.atproto.lexicon.fault import Kind
from syncd.atproto.lexicon.strings import of_format
from syncd.values import dataclass

Source: TypeAlias = Callable[[str], Lexicon | None]
"""Returns the lexicon of an NSID, or None if there is none. The answer does not change."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The lexicons that `source` has, compiled as they are needed."""

    source: Source
    _compiled: dict[str, Check] = field(default_factory=dict, repr=False)

    def knows(self, collection: str) -> bool:
        """Return whether there is a lexicon of the records of `collection`."""
        lexicon = self.source(collection)
        return lexicon is not None and lexicon.record is not None

    def check(self, collection: str, rkey: str, record: Record) -> Faults:
        """Return all faults of a record and of its key; empty if its lexicon is not known.

        A record that is nested too deep for a check has none either.
        """
        lexicon = self.source(collection)
        key = None if lexicon is None else lexicon.key
        if key is None:
            return FINE
        try:
            return _check_of_key(key)(rkey) + self._find(collection)(record)
        except RecursionError:
            # The PDS takes such a record: to hold it would be worse than not to check it.
            return FINE

    def _find(self, reference: str) -> Check:
        known = self._compiled.get(reference)
        if known is None:
            known = self._compiled[reference] = self._compile(reference)
        return known

    def _compile(self, reference: str) -> Check:
        nsid, _, name = reference.partition("#")
        lexicon = self.source(nsid)
        definition = None if lexicon is None else lexicon.definitions.get(name or "main")
        if definition is None:
            return anything
        return compile_definition(definition, reference, self._find)


@lru_cache(maxsize=256)
def _check_of_key(key: str) -> Check:
    """Return the check of record keys for the `key` of a lexicon."""
    if key == "any":
        return anything
    if key.startswith(LITERAL):
        return _only(key.removeprefix(LITERAL))
    of_kind = of_format(key)

    def check(rkey: object) -> Faults:
        found = of_kind(rkey)
        return fault(Kind.KEY, f"the record key {found[0].reason}") if found else FINE

    return check


def _only(wanted: str) -> Check:
    def check(rkey: object) -> Faults:
        reason = f"the record key must be {shown(wanted)}, not {shown(rkey)}"
        return FINE if rkey == wanted else fault(Kind.KEY, reason)

    return check
