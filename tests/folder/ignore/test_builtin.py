"""What other programs leave is known by its name, and no record key is taken for such a name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.syntax import make_tid
from syncd.folder.ignore.builtin import LEFTOVERS
from syncd.folder.ignore.rules import Rules
from tests.chance import times

NOTE = "com.example.note"
RULES = Rules()

REAL = {
    "Syncthing": (
        "3kabc.sync-conflict-20260131-101112-ABCDEF7.json",
        "self.sync-conflict-20150917-203045.json",
        ".syncthing.3kabc.json.tmp",
        "~syncthing~3kabc.json.tmp",
    ),
    "Dropbox": (
        "3kabc (Alice's conflicted copy 2026-11-28).json",
        "3kabc (laptop's conflicted copy 2026-11-28).json",
        "3kabc (Case Conflict).json",
        "3kabc (Selective Sync Conflict 1).json",
    ),
    "Nextcloud": (
        "3kabc (conflicted copy 2018-04-10 093612).json",
        "3kabc_conflict-20180410-093612.json",
        "3kabc_conflict-alice-20180410-093612.json",
        "3kabc (case clash from alice).json",
        ".3kabc.json.~5f2b7c",
    ),
    "OneDrive": ("3kabc-fedora-safeBackup-0001.json",),
    "git-annex": ("3kabc.variant-c696.json", "3kabc.json.variant-f16a"),
    "Unison": (".bak.0.3kabc.json", ".unison.3kabc.json.5f2b.unison.tmp"),
    "rsync": (".3kabc.json.AbC3eF",),
    "Resilio": ("3kabc.Conflict.json", "3kabc.Conflict2.json", "3kabc.json.!sync"),
    "Seafile": (
        "3kabc (SFConflict alice@example.com 2015-03-07-11-30-28).json",
        "3kabc.json (SFConflict 2015-03-07-11-30-28)",
    ),
    "Synology": (
        "3kabc_Andy-PC_Jan-03-0901-2013_CaseConflict_1.json",
        "3kabc_nas_Nov-28-123456-2026_Conflict.json",
    ),
    "Mutagen": (".mutagen-temporary-cross-device-rename-1",),
    "mergetool": (
        "3kabc_BASE_12345.json",
        "3kabc_LOCAL_12345.json",
        "3kabc_REMOTE_1.json",
        "3kabc_BACKUP_4194303.json",
        "3kabc_LOCAL_LCONFL_77.json",
        "3kabc.json.LOCAL.12345.json",
    ),
    "a draft": (
        "3kabc.draft.bak.json",
        "3kabc.draft-1.json",
        "3kabc.draft_backup.json",
        "3kabc.draft~.json",
        "3kabc.draft:2.json",
    ),
    "merge or a patch": ("3kabc.json.orig", "3kabc.json.rej"),
    "Vim": (".3kabc.json.swp", ".3kabc.json.swo", "4913"),
    "editor": ("3kabc.json~", "3kabc.json.bak", "3kabc.json.save"),
    "Emacs": (".#3kabc.json", "#3kabc.json#"),
    "Kate": (".3kabc.json.kate-swp",),
    "LibreOffice": (".~lock.3kabc.json#",),
    "JetBrains": ("3kabc.json___jb_tmp___", "3kabc.json___jb_old___"),
    "GNOME": (".goutputstream-A1B2C3",),
    "macOS": ("._3kabc.json", ".DS_Store"),
    "NFS": (".nfs00000000012ab34c00000001",),
}


@pytest.mark.parametrize(
    ("program", "name"), [(program, name) for program, names in REAL.items() for name in names]
)
def test_what_a_program_leaves_is_known_and_the_program_is_named(program: str, name: str) -> None:
    found = RULES.match(f"{NOTE}/{name}")
    assert found is not None
    assert program in found.reason
    assert found.line is None


def test_every_form_is_shown_by_a_real_name() -> None:
    names = [name for some in REAL.values() for name in some]
    for row in LEFTOVERS:
        assert any(re.fullmatch(row.form, name) for name in names), row


@pytest.mark.parametrize(
    "rkey",
    [
        *("self", "3kabcdefghijk", "my_LOCAL_copy", "the_REMOTE_office", "a_BASE_12x"),
        *("_BASE_", "x_LOCAL_", "merge_LOCAL_v2", "BACKUP", "www.example.com", "example.com:443"),
        *("app.bsky.feed.post", "conflict", "my.conflict", "sync-conflict", "x.sync-conflict-1"),
        *("a.sync-conflict-2026-01-31", "report.variant-b", "report.variant-large"),
        *("note_conflict-2026", "safeBackup", "x-safeBackup-1", "2026-11-28", "release.v1.2"),
        *("report.bak.2", "x.orig", "x.bak", "~tilde", "a~b", "lex-BASE-12", "post.tmp", "x.swp"),
        *(
            "mergers_acquisitions_2026",
            "my.drafts",
            "draft.1",
            "x-draft.2",
            "Conflict",
            "on.Conflict.and.peace",
            "jb_tmp",
        ),
    ],
)
def test_an_ordinary_key_is_no_leftover(rkey: str) -> None:
    assert RULES.match(f"{NOTE}/{rkey}.json") is None


@settings(max_examples=times(200))
@given(st.integers(0, 2**53 - 1), st.integers(0, 1023))
def test_no_tid_is_a_leftover(microseconds: int, clock: int) -> None:
    assert RULES.match(f"{NOTE}/{make_tid(microseconds, clock)}.json") is None


@settings(max_examples=times(300))
@given(st.from_regex(r"[a-z0-9]{1,20}([._:-][a-z0-9]{1,20}){0,5}", fullmatch=True))
def test_no_key_in_lower_case_is_a_leftover_without_a_date_or_a_hash(rkey: str) -> None:
    forms = ("conflict-", "variant-")
    assert RULES.match(f"{NOTE}/{rkey}.json") is None or any(form in rkey for form in forms)
