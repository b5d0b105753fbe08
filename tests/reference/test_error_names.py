"""The lexicons of the reference PDS against ours: no error that a server may name is unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncd.atproto import xrpc
from syncd.atproto.xrpc import request

from .install import ensure_installed

CALLED = sorted(
    {*re.findall(r'"(com\.atproto\.\w+\.\w+)"', Path(request.__file__).read_text(encoding="utf-8"))}
)
NAMES = re.compile(r"'([A-Z]\w+)'")


def names_of(method: str) -> set[str]:
    """The errors that the lexicon of a method names."""
    lexicons = ensure_installed() / "node_modules" / "@atproto" / "pds" / "dist" / "lexicons"
    file = lexicons.joinpath(*method.split(".")).with_suffix(".defs.js")
    return set(NAMES.findall(file.read_text(encoding="utf-8")))


@pytest.mark.reference
@pytest.mark.parametrize("method", CALLED)
def test_every_error_that_a_lexicon_names_says_whose_move_is_next(method: str) -> None:
    assert names_of(method) <= xrpc.ERRORS.keys() | xrpc.WRITE_ERRORS.keys()


@pytest.mark.reference
def test_the_names_are_really_read() -> None:
    assert len(CALLED) >= 15
    assert "RepoSuspended" in names_of("com.atproto.sync.getRepo")
    assert "InvalidSwap" in names_of("com.atproto.repo.applyWrites")
