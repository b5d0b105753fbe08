"""`syncd run` on the reference PDS: what it does by itself, beside other commands, and when hit."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.home import Home
from tests.rigs.machine import Machine, cid_in, configure, save, wait_until

NOTE, OTHER = "com.example.note/one", "com.example.note/two"
POLL_SECONDS = 0.3
SOON_SECONDS = 25.0
"""For what takes a fraction of a second on a machine that has nothing else to do; less than the
patience with a PDS that hangs."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A machine with a mirror, and the words for what a person sees there."""

    home: Home
    machine: Machine
    folder: Path

    def file(self, path: str) -> Path:
        return self.folder / f"{path}.json"

    def agrees(self, path: str) -> bool:
        """Folder and repo have the same record at `path`, or both have none."""
        return cid_in(self.folder, path) == self.home.cid(path)

    def text(self, path: str) -> str:
        found: str = json.loads(self.file(path).read_text(encoding="utf-8"))["text"]
        return found

    def status(self) -> Any:  # noqa: ANN401
        return self.machine.run("status", "--json", at=self.folder).json

    def running(self) -> Any:  # noqa: ANN401
        return self.status()["daemon"]

    def is_in_sync(self) -> bool:
        files = {
            str(file.relative_to(self.folder).with_suffix("")): file
            for file in self.folder.glob("com.*/*.json")
        }
        records = self.home.records()
        return files.keys() == records.keys() and all(
            cid_in(self.folder, path) == cid for path, cid in records.items()
        )

    def settle(self) -> None:
        wait_until(self.is_in_sync, "folder and repo agreeing", 60)

    def agree(self) -> None:
        """Sync once more, then verify: a daemon may end before it has seen what it wrote last."""
        self.machine.ok("sync", at=self.folder)
        assert self.is_in_sync()
        self.machine.ok("verify", at=self.folder)


@pytest.fixture
def desk(home: Home) -> Desk:
    home.write("com.example.note/first", text="hello")
    machine = home.machine()
    folder = home.clone(machine)
    configure(folder, "run", poll_seconds=POLL_SECONDS)
    return Desk(home, machine, folder)


def soon(is_true: Any, what: str) -> None:  # noqa: ANN401
    wait_until(is_true, what, SOON_SECONDS)


def saved_many(desk: Desk, count: int) -> None:
    for n in range(count):
        save(desk.folder, f"com.example.burst/n{n:03}", n=n)


def written(home: Home, collection: str) -> Counter[str]:
    """How often each record of `collection` was written to the repo, from the beginning."""
    ops = (op for commit in home.history() for op in commit.ops)
    return Counter(op.path for op in ops if op.path.startswith(f"{collection}/"))


@pytest.mark.parametrize("doorbell", ["stream", "poll"])
def test_edits_and_deletions_travel_both_ways_within_seconds(desk: Desk, doorbell: str) -> None:
    home = desk.home
    configure(desk.folder, "run", poll_seconds=POLL_SECONDS, doorbell=doorbell)
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        save(desk.folder, NOTE, text="saved here")
        soon(lambda: home.cid(NOTE) is not None, "the push of a new file")
        assert desk.agrees(NOTE)
        home.write(NOTE, text="written there")
        soon(lambda: desk.text(NOTE) == "written there", "the pull of an edit")
        home.write(OTHER, text="new there")
        soon(lambda: desk.file(OTHER).exists(), "the pull of a new record")
        save(desk.folder, OTHER, text="edited here")
        soon(lambda: desk.agrees(OTHER), "the push of an edit")
        desk.file(NOTE).unlink()
        soon(lambda: home.cid(NOTE) is None, "the push of a deletion")
        home.delete(OTHER)
        soon(lambda: not desk.file(OTHER).exists(), "the pull of a deletion")
        # The file goes before the daemon remembers that: one that ends between leaves the rest.
        soon(lambda: desk.running()["phase"] == "idle", "the end of that cycle")
    assert desk.machine.run("sync", at=desk.folder).out.startswith("nothing to do")
    desk.machine.ok("verify", at=desk.folder)


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("b", "a")])
def test_a_renamed_file_is_a_renamed_record(desk: Desk, old: str, new: str) -> None:
    """Both ways along the order of keys: a PDS may lose what moves to an earlier one."""
    old, new = f"com.example.note/{old}", f"com.example.note/{new}"
    with desk.machine.daemon(desk.folder):
        save(desk.folder, old, text="it")
        soon(lambda: desk.home.cid(old) is not None, "the push")
        desk.file(old).rename(desk.file(new))
        soon(lambda: desk.home.cid(new) is not None, "the push of the new name")
        soon(lambda: desk.home.cid(old) is None, "the deletion of the old name")
    desk.agree()
    fresh = desk.home.machine("fresh", logged_in=False)
    assert cid_in(desk.home.clone(fresh, "--read-only"), new) == cid_in(desk.folder, new)


def test_a_burst_of_files_goes_in_batches(desk: Desk) -> None:
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        saved_many(desk, 300)
        wait_until(lambda: len(desk.home.records()) == 301, "the push of 300 files")
        desk.settle()
    commits = [
        [op for op in commit.ops if op.path.startswith("com.example.burst/")]
        for commit in desk.home.history()
    ]
    sizes = [len(ops) for ops in commits if ops]
    assert sum(sizes) == 300
    assert len(sizes) < 30


def test_an_invalid_file_is_told_and_heals(desk: Desk) -> None:
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        save(desk.folder, NOTE, text="before")
        soon(lambda: desk.home.cid(NOTE) is not None, "the push")
        cid = desk.home.cid(NOTE)
        desk.file(NOTE).write_text('{"text": oops}')
        daemon.wait_for(f"problem   {NOTE} (line 1, column 10)")
        (problem,) = desk.status()["problems"]
        assert (problem["path"], problem["line"], problem["column"]) == (NOTE, 1, 10)
        save(desk.folder, OTHER, text="goes on")
        soon(lambda: desk.home.cid(OTHER) is not None, "the push of another file")
        assert desk.home.cid(NOTE) == cid
        save(desk.folder, NOTE, text="mended")
        soon(lambda: desk.agrees(NOTE), "the push of the mended file")
        soon(lambda: desk.status()["problems"] == [], "the end of the problem")


@pytest.mark.parametrize(("choice", "winner"), [("--local", "mine"), ("--remote", "theirs")])
def test_a_conflict_waits_alone_until_it_is_decided_beside_the_daemon(
    desk: Desk, choice: str, winner: str
) -> None:
    desk.home.write(NOTE, text="before")
    with desk.machine.daemon(desk.folder) as daemon:
        soon(lambda: desk.agrees(NOTE), "the pull")
        with daemon.standing_still():
            save(desk.folder, NOTE, text="mine")
            desk.home.write(NOTE, text="theirs")
        daemon.wait_for(f"conflict  {NOTE}")
        save(desk.folder, OTHER, text="goes on")
        soon(lambda: desk.agrees(OTHER), "the push of another file")
        desk.home.write(OTHER, text="and on")
        soon(lambda: desk.text(OTHER) == "and on", "the pull of another record")
        assert desk.text(NOTE) == "mine"
        (kept,) = (desk.folder / ".syncd" / "conflicts").rglob("*.json")
        assert json.loads(kept.read_text())["text"] == "theirs"
        assert desk.machine.run("conflicts", at=desk.folder).code == 3
        desk.machine.ok("resolve", NOTE, choice, at=desk.folder)
        assert desk.agrees(NOTE)
        assert desk.text(NOTE) == winner
        soon(lambda: desk.machine.run("conflicts", at=desk.folder).code == 0, "its end")
        kept_in = desk.folder / ".syncd" / "conflicts"
        soon(lambda: not list(kept_in.rglob("*.json")), "the end of what was kept beside it")


def test_others_are_told_who_has_the_folder(desk: Desk) -> None:
    with desk.machine.daemon(desk.folder) as daemon:
        soon(lambda: desk.running()["phase"] == "idle", "the first cycle")
        assert desk.running()["pid"] == daemon.pid
        ran = desk.machine.run("run", at=desk.folder)
        assert ran.code == 75
        assert str(daemon.pid) in ran.err
        for command in ("sync", "status", "conflicts", "held", "verify"):
            desk.machine.ok(command, at=desk.folder)
    assert desk.running() == {"pid": None, "phase": None, "trouble": None}


def test_what_only_looks_works_beside_the_daemon(desk: Desk) -> None:
    """The daemon itself says so when it tells of a conflict: next: syncd diff PATH."""
    with desk.machine.daemon(desk.folder):
        soon(lambda: desk.running()["phase"] == "idle", "the first cycle")
        desk.machine.ok("diff", at=desk.folder)
        desk.machine.ok("sync", "--dry-run", at=desk.folder)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly_and_nothing_saved_is_forgotten(
    desk: Desk, signum: signal.Signals
) -> None:
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        saved_many(desk, 50)
        began = time.monotonic()
        assert daemon.end(signum) == 0
        assert time.monotonic() - began < SOON_SECONDS
        assert "stopped" in daemon.said()
    saved_many(desk, 60)
    with desk.machine.daemon(desk.folder):
        desk.settle()
    assert written(desk.home, "com.example.burst") == {
        f"com.example.burst/n{n:03}": 1 for n in range(60)
    }


@pytest.fixture
def paused_at_most(desk: Desk) -> Iterator[None]:
    """Whatever happens in a test that stops or freezes the PDS, the next one finds it running."""
    yield
    desk.home.pds.resume()
    if not desk.home.pds.is_running:
        desk.home.pds.restart()


@pytest.mark.usefixtures("paused_at_most")
def test_a_pds_that_goes_away_and_comes_back_costs_nothing(desk: Desk) -> None:
    pds = desk.home.pds
    with desk.machine.daemon(desk.folder) as daemon:
        soon(lambda: desk.running()["phase"] == "idle", "the first cycle")
        pds.stop()
        save(desk.folder, NOTE, text="saved meanwhile")
        soon(lambda: desk.running()["phase"] == "offline", "noticing that the PDS is away")
        assert desk.running()["pid"] == daemon.pid
        save(desk.folder, OTHER, text="saved later")
        pds.restart()
        wait_until(lambda: desk.agrees(NOTE) and desk.agrees(OTHER), "the pushes")
        soon(lambda: desk.running()["phase"] == "idle", "the end of the outage")
    assert daemon.said().count("cannot be reached") <= 2
    assert written(desk.home, "com.example.note") == {
        "com.example.note/first": 1,
        NOTE: 1,
        OTHER: 1,
    }


@pytest.mark.usefixtures("paused_at_most")
def test_a_pds_that_hangs_does_not_delay_the_end(desk: Desk) -> None:
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        soon(lambda: desk.running()["phase"] == "idle", "the first cycle")
        desk.home.pds.pause()
        saved_many(desk, 3)
        time.sleep(1)
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < SOON_SECONDS
    desk.home.pds.resume()
    with desk.machine.daemon(desk.folder):
        desk.settle()
    assert set(written(desk.home, "com.example.burst").values()) == {1}


def test_a_kill_in_the_middle_of_a_burst_makes_no_commit_twice(desk: Desk) -> None:
    home = desk.home
    with desk.machine.daemon(desk.folder, code=-signal.SIGKILL) as daemon:
        daemon.wait_for("watching")
        rev = home.rev()
        saved_many(desk, 450)
        wait_until(lambda: home.rev() != rev, "the first commit of the burst")
        daemon.end(signal.SIGKILL)
    assert desk.running() == {"pid": None, "phase": None, "trouble": None}
    with desk.machine.daemon(desk.folder, code=-signal.SIGKILL) as daemon:
        daemon.wait_for("watching")
        daemon.end(signal.SIGKILL)
    with desk.machine.daemon(desk.folder):
        desk.settle()
    assert written(home, "com.example.burst") == {
        f"com.example.burst/n{n:03}": 1 for n in range(450)
    }
    desk.agree()


def two_mirrors(desk: Desk) -> tuple[Path, Path]:
    other = desk.machine.home / "other"
    desk.machine.ok("clone", desk.home.account.handle, other, *desk.home.place)
    configure(other, "run", poll_seconds=POLL_SECONDS)
    return desk.folder, other


def test_one_process_serves_two_mirrors_and_one_signal_ends_both(desk: Desk) -> None:
    one, other = two_mirrors(desk)
    with desk.machine.daemon(one, other) as daemon:
        daemon.wait_for(f"watching {one}")
        daemon.wait_for(f"watching {other}")
        save(one, NOTE, text="from one to the other")
        soon(lambda: cid_in(other, NOTE) == cid_in(one, NOTE), "the way through the repo")
        assert daemon.end() == 0
        assert f"stopped {one}" in daemon.said()
        assert f"stopped {other}" in daemon.said()


def break_settings(folder: Path) -> None:
    (folder / "syncd.toml").write_text("[mirror]\ncolour = 3\n")


def test_a_mirror_that_is_broken_leaves_the_other_alone(desk: Desk) -> None:
    one, broken = two_mirrors(desk)
    break_settings(broken)
    with desk.machine.daemon(one, broken, code=78) as daemon:
        daemon.wait_for("there is no setting [mirror] colour")
        save(one, NOTE, text="goes on")
        soon(lambda: desk.agrees(NOTE), "the push of the other mirror")


def test_a_mirror_that_breaks_while_running_leaves_the_other_alone(desk: Desk) -> None:
    one, broken = two_mirrors(desk)
    with desk.machine.daemon(one, broken, code=78) as daemon:
        daemon.wait_for(f"watching {broken}")
        (broken / ".syncd" / "marker").write_text("another")
        (broken / "com.example.note" / "first.json").unlink()
        daemon.wait_for("syncd: ")
        save(one, NOTE, text="goes on")
        soon(lambda: desk.agrees(NOTE), "the push of the other mirror")
        assert desk.home.cid("com.example.note/first") is not None
