"""What may have become of a folder or its state file: each case has its sentence and its way on.

None of them deletes anything, and no way on is to make a file by hand.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Tid
from syncd.cli import cli
from syncd.cli.commands.clone import _check_target, _lay_out
from syncd.config import load_config
from syncd.errors import SyncdError
from syncd.folder.root import Folder
from syncd.mirror.offline import open_files
from syncd.model import Account, Memory, RecordPath, Side
from syncd.state import History, Provenance, Superseded, open_state
from syncd.state.notes import LastCycle
from syncd.state.recording import put
from tests.docs.markdown import read, table
from tests.rigs.mirrors import MARKER, make_mirror

NOTE = RecordPath("com.example.note/one")
BLOCK = b"block"
OLD, NEW = Tid("3jzfcijpj2z2a"), Tid("3kzfcijpj2z2a")


def run(root: Path, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said on stderr, of a command as its user meets it."""
    done = CliRunner().invoke(cli, ["-C", str(root), *arguments])
    error = done.exception
    if isinstance(error, SyncdError):
        return error.exit_code, f"{done.stderr}{error.message}\n  next: {error.hint}"
    return done.exit_code, done.stderr


def marker(root: Path) -> Path:
    return root / ".syncd" / "marker"


def lose_the_marker(root: Path) -> None:
    marker(root).unlink()


def empty_the_marker(root: Path) -> None:
    marker(root).write_text("\n")


def lose_everything_of_syncd(root: Path) -> None:
    shutil.rmtree(root / ".syncd")


def go_away(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


def be_unmounted(root: Path) -> None:
    go_away(root)
    root.mkdir()


def be_another(root: Path) -> None:
    marker(root).write_text("another\n")


def have_the_state_of_another(root: Path) -> None:
    other = make_mirror(root.with_name("other"))
    with open_state(other / ".syncd" / "state.db") as state:
        put(state._sql, "meta", [("marker", "another")])
    shutil.copy(other / ".syncd" / "state.db", root / ".syncd" / "state.db")


def name_another_account(root: Path) -> None:
    text = (root / "syncd.toml").read_text()
    (root / "syncd.toml").write_text(re.sub("did:plc:[a-z0-9]+", "did:plc:" + "a" * 24, text))


def have_a_state_from_the_future(root: Path) -> None:
    with open_state(root / ".syncd" / "state.db") as state:
        state._sql.execute("PRAGMA user_version = 99")
        state._sql.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")


CASES: dict[Callable[[Path], None], tuple[str, str]] = {
    lose_the_marker: (
        "has lost its marker: .syncd/marker is gone",
        "syncd clone ACCOUNT DIR --adopt",
    ),
    empty_the_marker: ("has lost its marker: it is empty", "syncd clone ACCOUNT DIR --adopt"),
    lose_everything_of_syncd: (
        "is not a mirror: it has no .syncd directory",
        "syncd clone ACCOUNT DIR --adopt",
    ),
    go_away: ("there is no directory", "syncd -C DIR sync"),
    be_unmounted: ("is empty: it is not a mirror, its disk is not mounted", "mount its disk"),
    be_another: ("belongs to another folder", "syncd -C"),
    have_the_state_of_another: ("belongs to another folder", "syncd -C"),
    name_another_account: ("belongs to did:plc:", "syncd clone did:plc:"),
    have_a_state_from_the_future: ("was written by a newer syncd (schema 99)", "upgrade syncd"),
}


@pytest.mark.parametrize("harm", CASES, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("command", ["sync", "status", "run"])
def test_each_case_has_its_sentence_and_its_way_on(
    tmp_path: Path, harm: Callable[[Path], None], command: str
) -> None:
    root = make_mirror(tmp_path / "notes")
    (root / "com.example.note").mkdir()
    (root / "com.example.note" / "one.json").write_text('{"v": 1}')
    harm(root)
    sentence, hint = CASES[harm]
    code, said = run(root, command)
    assert code == 78, said
    what, _, next_ = said.partition("\n  next: ")
    assert sentence in what
    assert hint in next_
    assert not re.search(r"\b(create|touch|echo|write)\b", next_), "no file is made by hand"


def test_the_document_has_a_row_for_each_case() -> None:
    rows = table(read("docs/errors.md"), "syncd says", "what happened", "what to do")
    told = [row[0].strip('"').split("…")[1].strip() for row in rows]
    for sentence, _ in CASES.values():
        begins = sentence.partition(":")[0]
        assert any(begins in words or words.partition(":")[0] in begins for words in told)


def test_the_sentences_of_different_cases_differ() -> None:
    told = [sentence for sentence, _ in CASES.values()]
    assert len(set(told)) == len(told) - 1, "a foreign marker and a foreign state look the same"


def test_a_folder_that_is_in_use_is_told_apart_too(tmp_path: Path) -> None:

    folder = Folder(make_mirror(tmp_path / "notes"), MARKER)
    for harm, words in (
        (be_another, "is not the mirror that its state file belongs to"),
        (lose_the_marker, "has lost its marker"),
        (lose_everything_of_syncd, "is not a mirror: it has no .syncd directory"),
    ):
        harm(folder.root)
        with pytest.raises(SyncdError, match=words):
            folder.check_marker(MARKER)


@pytest.mark.parametrize(
    "harm", [lose_the_marker, empty_the_marker, be_another, name_another_account]
)
def test_a_mirror_that_is_refused_leaves_no_state_file_open(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    root = make_mirror(tmp_path / "notes")
    harm(root)
    with pytest.raises(SyncdError), open_files(root):
        pass
    held = {str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()}
    assert str(root / ".syncd" / "state.db") not in held


@pytest.mark.parametrize("harm", [lose_the_marker, empty_the_marker])
def test_the_way_on_of_a_lost_marker_works_as_far_as_the_first_request(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:

    root = make_mirror(tmp_path / "notes")
    harm(root)
    with pytest.raises(SyncdError, match="has lost its marker"):
        _check_target(root, adopt=False)
    _check_target(root, adopt=True)
    config = load_config(root / "syncd.toml", {})
    _lay_out(root, config, Account(config.did, None, "http://127.0.0.1:1", "did:key:z"))
    assert (root / ".syncd" / "state.db.damaged-1").exists()
    assert run(root, "status")[0] == 0
    with pytest.raises(SyncdError, match="is a mirror already"):
        _check_target(root, adopt=True)


def test_a_mirror_in_its_place_is_told_nothing(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    for _ in range(3):
        assert "mirror" not in run(root, "sync")[1]


def test_a_mirror_that_was_moved_is_told_so_once(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    run(root, "sync")
    root = root.rename(tmp_path / "new")
    said = run(root, "sync")[1]
    assert f"was moved here from {tmp_path / 'notes'}" in said
    assert f"syncd run {root}" in said
    assert "moved" not in run(root, "sync")[1]


def test_a_copy_of_a_mirror_is_told_so_once(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    run(root, "sync")
    copy = shutil.copytree(root, tmp_path / "copy")
    assert f"is a copy of the one at {root}" in run(copy, "sync")[1]
    for place in (copy, root):
        assert "copy" not in run(place, "sync")[1]


def test_a_mirror_from_a_backup_is_told_so_once(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    run(root, "sync")
    with open_state(root / ".syncd" / "state.db") as state:
        state.keep(LastCycle("2026-01-02T03:04:05Z"))
    backup = shutil.copytree(root, tmp_path / "backup")
    root.rename(tmp_path / "broken")
    shutil.copytree(backup, root)
    said = run(root, "sync")[1]
    assert "from a backup" in said
    assert "until 2026-01-02T03:04:05Z" in said
    assert "syncd diff" in said
    assert "backup" not in run(root, "sync")[1]


def test_a_state_file_that_is_older_than_history_is_told_so_once(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(newest=OLD))
    run(root, "sync")
    named = (NOTE, Side.LOCAL, cid_of_block(BLOCK), BLOCK, None)
    event = Superseded(*named, 1, "why", NEW, Provenance.BOTH)
    History(root / ".syncd" / "history.db").keep([event])
    said = run(root, "sync")[1]
    assert "state.db is older than history.db" in said
    assert "older" not in run(root, "sync")[1]
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(newest=NEW))
    assert "older" not in run(root, "sync")[1]
