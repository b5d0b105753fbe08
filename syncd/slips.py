"""Find what a name was meant for, or says that it is a copy of. Pure; compares names alone.

A slip is one letter too many, too few or wrong, another case, a plural, or a dot too many or too
few. Two letters or two segments in the wrong order are one, too. Names that people number or letter
on purpose, such as `.v1` and `.v2` or `.a` and `.b`, are not slips of each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from syncd.atproto.lexicon.oneedit import is_one_edit
from syncd.values.patterns import pattern

_ALIKE = 0.93
"""How much alike two names are: names share their first segments, so most of a name says little."""
_SHORT = 3
"""A segment of fewer letters says too little: most pairs of them are one edit apart."""
_WORD = 4
"""At least one of two segments has as many letters, if one can be a slip of the other."""
_DIGITS = pattern("[0-9]+")
_PUT_ASIDE = (
    "archived?|away|backup|bak|bck|bkp|bkup|copy|kopie|deleted|disabled|off|old|orig|original|"
    "prev|previous|saved?|temp|tmp|trash|unused"
)
_ASIDE = pattern(_PUT_ASIDE)
"""What people add to the name of a directory that they put aside, beside a number."""
_COPY = f"(?:{_PUT_ASIDE}|copia|copie|dup|duplicate|kopia|kopio?|respaldo|sauvegarde|sicherung)"
_BREAK = "[-_.~:]"
_YEAR = "[12][0-9]{3}"
_DAY = f"{_BREAK}+{_YEAR}-?[01][0-9]-?[0-3][0-9](?:{_BREAK}|[0-9t])*"
_COPY_AFTER = pattern(f"{_BREAK}*{_COPY}(?:{_COPY}|{_BREAK}|[0-9])*|{_DAY}(?:{_BREAK}*{_COPY})?")
"""What programs and people add to the name of a file that they copy. A number alone is meant."""
_COPY_BEFORE = pattern(
    f"{_COPY}(?:{_BREAK}*[0-9]+)?(?:{_BREAK}+(?:of|von|van|de|di|af|av))?{_BREAK}+"
)
_HINT_OF_COPY = pattern(f"{_COPY}|{_YEAR}")
"""A part that each name of a copy has: one look for it answers for nearly every record key."""
_PASSING = pattern(
    "(?:tmp|temp|out|output|result)(?:[-_.~:]?[0-9]+)?|(?:tmp|temp)[-_.~:].+|"
    "[^-_.~:].*[-_.~:](?:tmp|temp|new)(?:[-_.~:]?[0-9]+)?",
    re.IGNORECASE,
)
"""What people and `mktemp` call a file that they rename over another as soon as it is written."""
_LIKELY = 5
"""Shorter words, such as note and vote, are often another in one letter and both meant."""


def slip_of(name: str, known: Collection[str], *, likely: int = _LIKELY) -> str | None:
    """Return the first of `known`, in their order, that `name` is a slip of; None if it is none.

    One letter in the place of another counts in words of at least `likely` letters.
    """
    if name in known:
        return None
    return next((other for other in known if is_slip(name, other, likely=likely)), None)


def near_name(name: str, known: Collection[str]) -> str | None:
    """Return the name of `known` that an error may suggest instead of an unknown `name`.

    That is one that `name` is a slip of, else one that looks nearly alike. None if there is none.
    """
    if name in known:
        return None
    from difflib import get_close_matches  # noqa: PLC0415 (only an unknown name needs it)

    meant = slip_of(name, sorted(known), likely=_WORD)
    return meant or next(iter(get_close_matches(name, sorted(known), n=1, cutoff=_ALIKE)), None)


def extended_by(name: str, other: str) -> str | None:
    """Return what `name` adds to the collection name `other`; None if it does not extend it."""
    if len(name) <= len(other) or not name.lower().startswith(other.lower()):
        return None
    return name[len(other) :].lstrip(".")


def is_aside(added: str) -> bool:
    """Return whether the suffix `added` shows that something was put aside or copied."""
    return _ASIDE.fullmatch(_DIGITS.sub("", added).lower()) is not None


def is_passing(name: str) -> bool:
    """Return whether a file of this name may be only temporary, before it replaces another."""
    return _PASSING.fullmatch(name) is not None


def copied_names(name: str) -> list[str]:
    """Return the names of which a file called `name` may be a copy; most names suggest none."""
    # The patterns are in lower case: one that ignores case takes ten times as long.
    folded = name.lower()
    if _HINT_OF_COPY.search(folded) is None:
        return []
    found = [
        name[:at]
        for at in range(1, len(name))
        if name[at - 1] not in _BREAK and _COPY_AFTER.fullmatch(folded, at)
    ]
    before = _COPY_BEFORE.match(folded)
    return [*found, name[before.end() :]] if before and before.end() < len(name) else found


@lru_cache(maxsize=4096)  # it is asked for each record of a collection
def is_slip(one: str, other: str, *, likely: int = _LIKELY) -> bool:
    """Return whether two different names are one slip apart. The order does not matter."""
    if one == other or one.lower() == other.lower():
        return one != other
    ours, theirs = one.lower().split("."), other.lower().split(".")
    if len(ours) != len(theirs):
        return _is_dot(ours, theirs)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    if len(pairs) == 1:
        return _is_word(*pairs[0], likely)
    if sorted(ours) == sorted(theirs):
        return all(len(a) >= _SHORT for a, _ in pairs)
    # A dot that changed places with a letter beside it.
    return len(pairs) == 2 and is_one_edit(one.lower(), other.lower())


def _is_word(one: str, other: str, likely: int) -> bool:
    """Return whether two segments are one slip apart."""
    if _DIGITS.sub("", one) == _DIGITS.sub("", other):
        return False
    short, long = sorted((len(one), len(other)))
    if long < likely and short == long and sorted(one) != sorted(other):
        return False
    is_long_enough = short >= _SHORT and long >= _WORD
    return is_long_enough and (is_one_edit(one, other) or _is_plural(one, other))


def _is_plural(one: str, other: str) -> bool:
    single, many = sorted((one, other), key=len)
    return many in (f"{single}s", f"{single}es") or many == f"{single.removesuffix('y')}ies"


def _is_dot(ours: list[str], theirs: list[str]) -> bool:
    """Return whether a dot alone is too many or too few, between two words."""
    few, many = sorted((ours, theirs), key=len)
    if len(many) != len(few) + 1 or "".join(few) != "".join(many):
        return False
    at = next(at for at, segment in enumerate(many) if at == len(few) or segment != few[at])
    return min(len(many[at]), len(many[at + 1])) >= _SHORT
