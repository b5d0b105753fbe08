"""A real daemon that has nothing to do, or that is stopped for a while as a machine that sleeps."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.mirrors import make_mirrors, observe, rest, use_of
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from tests.rigs.machine import Daemon, Machine, save, wait_until

CPU_PERCENT = 0.5
pytestmark = pytest.mark.xdist_group("idle")  # what they share takes long to make

RESIDENT_MB = 90.0
OBSERVED_SECONDS = 8.0
ASLEEP_SECONDS = 2.0
MIRRORS, RECORDS = 2, 100
HERE, LATER, THERE = (RecordPath(f"com.example.note/{name}") for name in ("here", "later", "there"))


@dataclass(frozen=True, slots=True)
class Fleet:
    """One process with a few mirrors, all at rest."""

    host: Sandbox
    daemon: Daemon
    folders: list[Path]

    def save(self, path: RecordPath) -> None:
        for folder in self.folders:
            save(folder, path, text="hello")

    def is_pushed(self, path: RecordPath) -> bool:
        return all(path in self.host.repo(account.did).paths() for account in self.host.accounts)

    def write(self) -> None:
        for account in self.host.accounts:
            self.host.repo(account.did).put(THERE, {"$type": "com.example.note", "text": "hi"})

    def is_pulled(self) -> bool:
        return all((folder / f"{THERE}.json").exists() for folder in self.folders)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    machine, host = Machine(tmp_path_factory.mktemp("fleet")), Sandbox()
    with start(host) as running:
        folders = make_mirrors(machine, host, running.url, MIRRORS, RECORDS)
        with machine.daemon(*folders, is_measured=True) as daemon:
            for folder in folders:
                daemon.wait_for(f"watching {folder} ")
            rest(machine, host, folders)
            yield Fleet(host, daemon, folders)


def test_who_has_nothing_to_do_uses_no_time_and_writes_nothing(fleet: Fleet) -> None:
    idle = observe(fleet.daemon.pid, MIRRORS, RECORDS, OBSERVED_SECONDS)
    assert idle.written == 0
    assert idle.cpu_percent < CPU_PERCENT
    assert idle.resident_mb < RESIDENT_MB
    before, after = idle.descriptors
    assert after <= before
    written = use_of(fleet.daemon.pid).written
    fleet.save(HERE)
    wait_until(lambda: fleet.is_pushed(HERE), "the pushes")
    assert use_of(fleet.daemon.pid).written > written, "what is written is not counted at all"


def test_a_machine_that_slept_catches_up_both_ways(fleet: Fleet) -> None:
    """Asleep it hears no file event and no frame, and its connections die on the other end."""
    fleet.daemon.process.send_signal(signal.SIGSTOP)
    fleet.host.stream.break_off()
    fleet.save(LATER)
    fleet.write()
    time.sleep(ASLEEP_SECONDS)
    assert not fleet.is_pushed(LATER)
    fleet.daemon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: fleet.is_pushed(LATER) and fleet.is_pulled(), "both ways")
