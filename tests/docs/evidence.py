"""Read tests/docs/claims.txt: what a document claims, and which tests show it. Runs no test.

A claim is named by the words that its paragraph, list item or row of a table begins with. Below it
stand the tests that show it or, after `=`, why it needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from .markdown import read, without_fences

_MARKED = re.compile(r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)|</?(?:img|picture|source)[^>]*>", re.DOTALL)


@cache
def claims() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return the evidence of each claim of each document."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    claim = document = ""
    for line in read("tests/docs/claims.txt").splitlines():
        if line.startswith("== "):
            document = line.removeprefix("== ")
            found[document] = {}
        elif line.startswith("    "):
            found[document][claim] += (line.strip(),)
        elif line and not line.startswith("#"):
            claim = line
            assert claim not in found[document], f"{document}: {claim} stands there twice"
            found[document][claim] = ()
    return found


def blocks(text: str) -> Iterator[str]:
    """Yield each paragraph, list item and row of a table, in one line each."""
    for part in re.split(r"\n\s*\n", _MARKED.sub("", without_fences(text))):
        lines = [line for line in part.strip().splitlines() if line and line[0] != "#"]
        if lines and lines[0].startswith("|"):
            yield from (line.strip("| ") for line in lines[2:])
        elif lines:
            joined = "\n".join(lines)
            yield from (
                " ".join(item.split()) for item in re.split(r"(?m)^(?:- |\d+\. )", joined) if item
            )
