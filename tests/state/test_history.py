"""History keeps every version under its content, forgets the oldest, and survives damage."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.syntax import Tid
from syncd.errors import FileProblem, StateDamaged, StateWrong
from syncd.model import RecordPath, Side
from syncd.state import History, Provenance, Superseded

ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
REV = Tid("3jzfcijpj2z2a")


def version(
    content: bytes, *, path: RecordPath = ONE, after: Cid | None = None, at: int = 100
) -> Superseded:
    cid = cid_of_block(content)
    return Superseded(path, Side.LOCAL, cid, content, after, at, "why", REV, Provenance.BOTH)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.db")


def told(history: History) -> list[tuple[str, Cid, int]]:
    return [(event.path, event.cid, event.at) for event in history.events()]


def test_a_version_comes_back_with_all_that_was_said_about_it(history: History) -> None:
    raw = Superseded(
        ONE, Side.REMOTE, cid_of_blob(b"x"), b"x", None, 7, "r", None, Provenance.FOLDER
    )
    block = version(b"y", after=raw.cid)
    history.keep([raw, block])
    assert [history.content(v.cid) for v in (raw, block)] == [b"x", b"y"]
    assert {
        (e.side, e.cid, e.after, e.at, e.reason, e.rev, e.origin) for e in history.events()
    } == {(v.side, v.cid, v.after, v.at, v.reason, v.rev, v.origin) for v in (raw, block)}
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600


def test_without_a_file_there_is_no_history_and_none_is_made(history: History) -> None:
    assert (history.events(), history.content(cid_of_block(b"x"))) == ([], None)
    history.prune(before=10**12, size=0)
    history.keep([])
    history.check()
    assert not history.path.exists()


def test_the_newest_is_told_first_and_a_limit_holds(history: History) -> None:
    versions = [version(bytes([n]), at=n) for n in range(5)]
    history.keep([*versions, version(b"other", path=TWO)])
    assert [event.at for event in history.events(ONE, 2)] == [4, 3]


def test_a_step_that_is_tried_again_is_told_once(history: History) -> None:
    history.keep([version(b"x", at=1)])
    history.keep([version(b"x", at=2)])
    assert [event.at for event in history.events()] == [2]
    history.keep([version(b"y", at=3), version(b"x", at=4)])
    assert [event.at for event in history.events()] == [4, 3, 2]


def test_more_than_one_portion_is_kept_as_one_by_one(history: History, tmp_path: Path) -> None:
    versions = [
        version(bytes([n % 251, n // 251]), path=RecordPath(f"com.example.note/{n % 700}"), at=n)
        for n in range(1_500)
    ]
    again = [*versions, *versions[:300]]
    history.keep(again)
    single = History(tmp_path / "single.db")
    for each in again[:40]:
        single.keep([each])
    assert told(history)[-40:] == told(single)
    assert {history.content(each.cid) for each in versions} == {v.content for v in versions}
    # The first path has had its last version again, and the others of it before that.
    assert [event.at for event in history.events(versions[0].path)] == [0, 1_400, 700, 0]
    history.check()


def test_what_is_not_given_back_as_it_was_written_is_damage(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.keep([version(b"before")])
    turned = "CREATE TRIGGER turn AFTER INSERT ON {0} BEGIN UPDATE {0} SET {1} = {2}; END"
    for table, column, value in (("event", "reason", "'x'"), ("version", "content", "x'00'")):
        with closing(sqlite3.connect(history.path, isolation_level=None)) as sql:
            sql.execute(turned.format(table, column, value))
        monkeypatch.setattr(History, "_check_file", lambda *_: None)
        monkeypatch.setattr(History, "repair", lambda self: self.path)
        with pytest.raises(StateDamaged):
            history.keep([version(b"x" + column.encode())])
        with closing(sqlite3.connect(history.path, isolation_level=None)) as sql:
            sql.execute("DROP TRIGGER turn")
    assert [event.at for event in history.events()] == [100]


def test_deletions_are_counted_by_collection_and_side(history: History) -> None:
    history.keep([version(b"x", at=5), version(b"x", path=TWO, at=9)])
    history.keep([version(b"z", path=RecordPath("a.b.c/d"), after=cid_of_block(b"x"), at=9)])
    assert history.deletions(0, apart_from=("no", "never")) == {("com.example.note", Side.LOCAL): 2}
    assert history.deletions(5, apart_from=("no", "never")) == {("com.example.note", Side.LOCAL): 1}
    assert history.deletions(0, apart_from=("no", "wh")) == {}


def test_what_is_too_old_is_forgotten_unless_it_is_pinned(history: History) -> None:
    old, pinned, new = version(b"o", at=1), version(b"p", at=1), version(b"n", at=9)
    history.keep([old, pinned, new])
    history.prune(before=5, size=10**9, pinned=[pinned.cid])
    assert [history.content(v.cid) for v in (old, pinned, new)] == [None, b"p", b"n"]
    assert len(history.events()) == 2


def test_above_the_size_the_oldest_go_first(history: History) -> None:
    versions = [version(bytes([n % 256, n // 256]) * 500, at=n) for n in range(400)]
    pinned = versions[0]
    history.keep(versions)
    history.prune(before=0, size=150_000, pinned=[pinned.cid])
    left = [v for v in versions if history.content(v.cid) is not None]
    assert left[0] == pinned
    assert left[1:] == versions[-len(left[1:]) :]
    assert 50 <= len(left) <= 150


def test_a_content_two_events_name_stays_while_one_of_them_does(history: History) -> None:
    history.keep([version(b"x", at=1), version(b"x", path=TWO, at=9)])
    history.prune(before=5, size=10**9)
    assert history.content(cid_of_block(b"x")) == b"x"


def test_a_full_disk_is_told_and_nothing_is_kept_halfway(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.keep([version(b"x")])
    connect = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 12")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(FileProblem, match="disk is full"):
        history.keep([version(bytes([n]) * 4000) for n in range(9)])
    assert len(history.events()) == 1


def test_a_directory_that_refuses_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(FileProblem):
        History(tmp_path / "absent" / "history.db").keep([version(b"x")])


def test_an_empty_file_is_one_whose_making_was_interrupted(history: History) -> None:
    history.path.touch()
    assert history.events() == []
    assert history.content(cid_of_block(b"x")) is None
    history.keep([version(b"x")])
    assert len(history.events()) == 1
    assert [file.name for file in history.path.parent.iterdir()] == ["history.db"]


def test_another_file_in_its_place_is_set_aside(history: History) -> None:
    content = b"not a database" * 400
    history.path.write_bytes(content)
    history.keep([version(b"x")])
    assert history.content(cid_of_block(b"x")) == b"x"
    assert (history.path.parent / "history.db.damaged-1").read_bytes() == content


def test_a_newer_history_is_refused_by_name(history: History) -> None:
    from syncd.state.damage import checksum  # noqa: PLC0415

    history.keep([version(b"x")])
    with closing(sqlite3.connect(history.path)) as sql, sql:
        sql.execute("UPDATE about SET schema = 9, crc = ?", (checksum(9),))
    sql.close()
    with pytest.raises(StateWrong, match="newer syncd"):
        history.keep([version(b"y")])


def test_a_flipped_version_is_found_and_the_others_are_kept(history: History) -> None:
    versions = [version(b"version %d " % n * 40, at=n) for n in range(50)]
    history.keep(versions)
    with closing(sqlite3.connect(history.path)) as sql, sql:
        sql.execute("UPDATE version SET content = ? WHERE cid = ?", (b"z", bytes(versions[7].cid)))
        sql.execute("UPDATE event SET at = at + 1 WHERE at = 9")
    sql.close()
    assert history.content(versions[7].cid) is None
    with pytest.raises(StateDamaged):
        history.check()
    aside = history.repair()
    history.check()
    assert aside.exists()
    assert told(history) == [
        (v.path, v.cid, v.at) for v in reversed(versions) if v.at not in (7, 9)
    ]
