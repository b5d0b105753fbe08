"""The pull side on the reference PDS: live, whole under writes, and honest about the account."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.chance import IS_STRESS
from tests.rigs import warm
from tests.rigs.home import Home
from tests.rigs.machine import PATIENCE_SECONDS, Machine, wait_until

NOTE = "com.example.note"
CLONES, AT_ONCE = (10, 5) if IS_STRESS else (4, 2)
SEEDED = 1_500


def listen_only(folder: Path) -> None:
    """Polling alone would not find anything for an hour."""
    with (folder / "syncd.toml").open("a", encoding="utf-8") as file:
        file.write("\n[run]\npoll_seconds = 3600\n")


def test_a_remote_write_is_a_file_on_disk_at_once(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop, "--read-only")
    listen_only(folder)
    with laptop.daemon(folder):
        wait_until(lambda: phase(laptop, folder) == "idle", "the start")
        home.write(f"{NOTE}/first", n=0)
        wait_until((folder / NOTE / "first.json").exists, "the stream")
        seconds = [delay(home, folder, n) for n in range(7)]
        path = folder / NOTE / "n0.json"
        home.delete(f"{NOTE}/n0")
        wait_until(lambda: not path.exists(), "the deletion")
    median = statistics.median(seconds)
    sys.stdout.write(f"remote write to file on disk: median {median * 1000:.0f} ms\n")
    assert median < PATIENCE_SECONDS, "not at the next poll, which is an hour away"


def phase(machine: Machine, folder: Path) -> str | None:
    """What the daemon of `folder` is at."""
    daemon = machine.run("status", "--json", at=folder).json["daemon"]
    return None if daemon["phase"] is None else str(daemon["phase"])


def delay(home: Home, folder: Path, n: int) -> float:
    """Seconds from the PDS's answer to a write until the file is there."""
    home.write(f"{NOTE}/n{n}", n=n)
    began = time.monotonic()
    path = folder / NOTE / f"n{n}.json"
    while not path.exists():
        assert time.monotonic() - began < PATIENCE_SECONDS, "the write was not heard"
        time.sleep(0.001)
    return time.monotonic() - began


@contextmanager
def writing(home: Home, name: str) -> Iterator[list[int]]:
    """Another client that writes without pause; the list holds how many writes it has done."""
    done, stop = [0], threading.Event()

    def write(client: httpx.Client) -> None:
        while not stop.is_set():
            place = {"collection": NOTE, "rkey": f"s{done[0] * 7 % SEEDED:04}"}
            record = {"$type": NOTE, "by": name, "n": done[0], "text": "x" * 400}
            answer = client.post(
                "/xrpc/com.atproto.repo.putRecord",
                json={"repo": home.account.did, **place, "record": record},
            )
            # Two writers on one repo may lose a race: that is no more than a write less.
            done[0] += answer.is_success

    with home.pds.client(home.account) as client:
        thread = threading.Thread(target=write, args=(client,))
        thread.start()
        try:
            yield done
        finally:
            stop.set()
            thread.join()


def seed(home: Home) -> None:
    with home.pds.client(home.account) as client:
        for start in range(0, SEEDED, 150):
            writes = [
                {
                    "$type": "com.atproto.repo.applyWrites#create",
                    "collection": NOTE,
                    "rkey": f"s{n:04}",
                    "value": {"$type": NOTE, "n": n, "text": "y" * 400},
                }
                for n in range(start, start + 150)
            ]
            body = {"repo": home.account.did, "writes": writes}
            client.post("/xrpc/com.atproto.repo.applyWrites", json=body).raise_for_status()


def test_clones_while_two_writers_write_without_pause_are_complete_and_verified(
    home: Home,
) -> None:
    seed(home)
    machines = [home.machine(f"m{n}", logged_in=False) for n in range(CLONES)]
    with writing(home, "ann") as ann, writing(home, "ben") as ben:
        wait_until(lambda: min(ann[0], ben[0]) > 3, "the writers")
        for start in range(0, CLONES, AT_ONCE):
            running = [clone(home, machine) for machine in machines[start : start + AT_ONCE]]
            before = ann[0] + ben[0]
            for process in running:
                out, err = process.communicate(timeout=600)
                assert process.returncode == 0, (out, err)
            assert ann[0] + ben[0] > before
    for machine in machines:
        folder = machine.home / "mirror"
        assert len(list((folder / NOTE).glob("*.json"))) == SEEDED
        machine.ok("verify", at=folder)


def clone(home: Home, machine: Machine) -> subprocess.Popen[str]:
    folder = machine.home / "mirror"
    return warm.Process(
        machine.command("clone", home.account.handle, folder, *home.place, "--read-only"),
        env=machine.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_account_that_is_away_is_told_in_one_sentence_and_comes_back(home: Home) -> None:
    laptop = home.machine()
    home.write(f"{NOTE}/one", n=1)
    folder = home.clone(laptop, "--read-only")
    file = folder / NOTE / "one.json"
    content = file.read_bytes()
    home.pds.deactivate(home.account)
    away = laptop.run("sync", at=folder)
    assert (away.code, "is deactivated" in away.err) == (1, True)
    home.pds.activate(home.account)
    laptop.ok("sync", at=folder)
    home.pds.takedown(home.account.did)
    assert "was taken down" in laptop.run("sync", at=folder).err
    home.pds.untakedown(home.account.did)
    laptop.ok("sync", at=folder)
    home.pds.delete_account(home.account.did)
    gone = laptop.run("sync", at=folder)
    assert gone.code == 1
    assert "was deleted" in gone.err or "is not known to its PDS" in gone.err
    assert file.read_bytes() == content


def test_the_daemon_waits_for_an_account_that_is_away_and_goes_on_when_it_is_back(
    home: Home,
) -> None:
    laptop = home.machine()
    home.write(f"{NOTE}/one", n=1)
    folder = home.clone(laptop, "--read-only")
    with laptop.daemon(folder) as process:
        home.pds.deactivate(home.account)
        wait_until(lambda: phase(laptop, folder) == "halted", "the halt")
        assert (folder / NOTE / "one.json").exists()
        home.pds.activate(home.account)
        home.write(f"{NOTE}/two", n=2)
        wait_until((folder / NOTE / "two.json").exists, "the return")
        assert not process.is_over()
