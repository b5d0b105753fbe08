"""What a person allowed on this machine counts for exactly that, and for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.errors import FileProblem
from syncd.private.allowed import Allowed

DIGEST = "5e" * 32


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Allowed:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Allowed.of("hooks", "/home/alice/mirror")


def test_what_was_allowed_counts_for_one_mirror_and_one_kind(kept: Allowed) -> None:
    assert not kept.allows(DIGEST)
    kept.allow(DIGEST)
    assert Allowed.of("hooks", "/home/alice/mirror").allows(DIGEST)
    assert not Allowed.of("hooks", "/home/alice/other").allows(DIGEST)
    assert not Allowed.of("locations", "/home/alice/mirror").allows(DIGEST)
    assert not kept.allows(DIGEST[:-1])
    kept.allow("another")
    assert not kept.allows(DIGEST)


@pytest.mark.parametrize("text", ["", "0" * 64, "\xff", "x" * 10_000, f"{DIGEST} and more"])
def test_what_cannot_be_read_allows_nothing(kept: Allowed, text: str) -> None:
    kept.allow(DIGEST)
    kept.file.write_text(text, encoding="latin-1")
    assert not kept.allows(DIGEST)
    kept.file.unlink()
    kept.file.mkdir()
    assert not kept.allows(DIGEST)


def test_a_directory_of_another_user_allows_nothing(tmp_path: Path) -> None:
    (closed := tmp_path / "closed").mkdir(mode=0o000)
    euid = os.geteuid()
    os.seteuid(65_534 if euid == 0 else euid)
    try:
        assert not Allowed(closed / "it").allows(DIGEST)
        with pytest.raises(FileProblem):
            Allowed(closed / "it").allow(DIGEST)
        with pytest.raises(FileProblem):
            Allowed(closed / "it").forbid()
    finally:
        os.seteuid(euid)


def test_it_is_for_its_owner_alone_and_can_be_taken_back(kept: Allowed) -> None:
    kept.allow(DIGEST)
    # The next command reports what it finds open to others, and nobody but syncd wrote this.
    for path in (kept.file, kept.file.parent):
        assert path.stat().st_mode & 0o077 == 0
    kept.file.with_suffix(".new").write_text("a stop left it")
    kept.allow(DIGEST)
    assert kept.file.stat().st_mode & 0o077 == 0
    assert (kept.forbid(), kept.forbid()) == (True, False)
    assert not kept.allows(DIGEST)


def test_what_syncd_wrote_is_there_after_a_name_that_is_no_unicode(kept: Allowed) -> None:
    odd = Allowed.of("hooks", os.fsdecode(b"/home/\xff"))
    odd.allow(DIGEST)
    assert odd.allows(DIGEST)
    assert not kept.allows(DIGEST)
