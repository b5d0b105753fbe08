"""List what a lexicon refers to. Pure; never follows a reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from syncd.atproto.lexicon.compiling import full_reference
from syncd.atproto.lexicon.document import Definition, Lexicon


def references_of(lexicon: Lexicon) -> frozenset[str]:
    """Return the full references of a lexicon, also those to itself."""
    found = map(_references, lexicon.definitions.values())
    return frozenset(full_reference(text, lexicon.id) for texts in found for text in texts)


def others_of(lexicon: Lexicon) -> frozenset[str]:
    """Return the NSIDs, unchecked, of the other lexicons that a lexicon refers to."""
    nsids = (reference.partition("#")[0] for reference in references_of(lexicon))
    return frozenset(nsid for nsid in nsids if nsid != lexicon.id)


def _references(definition: Definition) -> Iterator[str]:
    """Yield the references within a definition, as they are written."""
    stack: list[Any] = [definition]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from _own(value)
        stack += _inner(value)


def _own(value: dict[str, Any]) -> Iterator[str]:
    """Yield the references of a definition itself. A property may have any name: `ref` is one."""
    match value:
        case {"type": "ref", "ref": str(reference)}:
            yield reference
        case {"type": "union", "refs": list(references)}:
            yield from (each for each in references if isinstance(each, str))


def _inner(value: Any) -> Iterator[Any]:  # noqa: ANN401
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
