"""The system unit in a real systemd: up, hung, reloaded, stopped, refused, crashed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Delay, Login, Sandbox
from syncd.sandbox.http.server import start
from tests.rigs.systemd import MIRRORS, SystemdMachine, wait_until

USER = "syncd"
NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
NAMES = iter(f"m{number}" for number in range(1000))
CREDSTORE = Path("/etc/credstore")


@dataclass(frozen=True, slots=True)
class Service:
    """A mirror that `syncd@name` keeps in sync, on a sandbox of the test."""

    machine: SystemdMachine
    host: Sandbox
    login: Login
    name: str
    url: str

    @property
    def unit(self) -> str:
        return f"syncd@{self.name}.service"

    @property
    def folder(self) -> Path:
        return MIRRORS / self.name

    def syncd(self, *arguments: str, user: str | None = USER) -> str:
        return self.machine.ok("syncd", "-C", str(self.folder), *arguments, user=user)

    def configure(self, *lines: str) -> None:
        """Settings of the unit, as `systemctl edit` would write them."""
        drop_in = Path("/etc/systemd/system") / f"{self.unit}.d" / "test.conf"
        self.machine.write(drop_in, "\n".join(("[Service]", *lines, "")))

    def start(self) -> None:
        self.syncd("service", "install", "--system", user=None)
        assert self.show("ActiveState") == "active"

    def show(self, name: str) -> str:
        return self.machine.show(self.unit, name)

    def is_active(self) -> bool:
        return self.show("ActiveState") == "active"

    def save(self, path: str, **fields: object) -> None:
        self.machine.write(self.folder / f"{path}.json", json.dumps(fields), user=USER)

    def has(self, path: RecordPath) -> bool:
        return self.host.repo(self.login.did).current(path) is not None

    def journal(self, *matches: str) -> list[dict[str, str]]:
        show = ("journalctl", "--output=json", "--unit", self.unit, *matches)
        return [json.loads(line) for line in self.machine.ok(*show).splitlines()]

    def said(self) -> str:
        return "\n".join(str(entry["MESSAGE"]) for entry in self.journal())


@pytest.fixture
def service(machine: SystemdMachine) -> Iterator[Service]:
    """Logged in and cloned as the user of the service, and not started yet."""
    host, name = Sandbox(), next(NAMES)
    login = host.create_account(name)
    with start(host) as running:
        place = ("--pds", running.url, "--plc", running.url)
        log_in = ("syncd", "login", login.handle, "--password-file", "-", *place)
        machine.ok(*log_in, user=USER, stdin=login.password)
        machine.ok("syncd", "clone", login.handle, str(MIRRORS / name), *place, user=USER)
        found = Service(machine, host, login, name, running.url)
        try:
            yield found
        finally:
            status = machine.run("systemctl", "status", "--full", "--lines=0", found.unit).out
            print(status, machine.run("journalctl", "--no-pager").out)  # noqa: T201 (for failures)
            machine.run("systemctl", "disable", "--now", found.unit)
            machine.run("rm", "-rf", f"/etc/systemd/system/{found.unit}.d")


def test_it_starts_gets_ready_says_how_it_is_and_pushes_an_edit(service: Service) -> None:
    service.start()
    wait_until(lambda: service.show("StatusText") == "idle", "the first cycle")
    service.save(NOTE, text="hello")
    wait_until(lambda: service.has(NOTE), "the push")
    wait_until(lambda: bool(service.journal("SYNCD_EVENT=pushed")), "the word of it")
    (entry,) = service.journal("SYNCD_EVENT=pushed", f"SYNCD_PATH={NOTE}")
    assert entry["MESSAGE"] == f"pushed: {NOTE}"
    assert entry["SYNCD_MIRROR"] == str(service.folder)
    said = service.syncd("service", "status", "--system", user=None)
    assert "active (running), result success" in said
    assert "syncd service install" not in said


def test_it_is_confined_and_still_works(service: Service) -> None:
    service.start()
    verdict = service.machine.ok("systemd-analyze", "security", "--no-pager", service.unit)
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", verdict)
    assert float(exposure) <= 2.0


@pytest.mark.parametrize("user", [USER, None])
def test_its_control_socket_answers_its_user_and_root(service: Service, user: str | None) -> None:
    service.start()
    service.save(NOTE, text="hello")
    service.syncd("sync", user=user)
    assert service.has(NOTE)
    nobody = service.machine.run("syncd", "-C", str(service.folder), "sync", user="nobody")
    assert nobody.code != 0


@pytest.mark.parametrize("how", ["await", "block"])
def test_a_sync_loop_that_hangs_is_killed_and_comes_back(service: Service, how: str) -> None:
    service.machine.install_command("syncd-hanging", "-m tests.systemd.hanging")
    run = f"/usr/local/bin/syncd-hanging run {service.folder}"
    service.configure("ExecStart=", f"ExecStart={run}", "WatchdogSec=4s", "RestartSec=100ms")
    service.start()
    service.machine.write(MIRRORS / "hang", how, user=USER)
    service.save(NOTE, text="hello")
    wait_until(lambda: service.show("NRestarts") == "1", "the restart")
    assert "Watchdog timeout" in service.said()
    wait_until(lambda: service.has(NOTE), "the push after it")
    assert service.is_active()
    assert service.show("NRestarts") == "1"


def test_an_idle_mirror_is_not_taken_for_a_hung_one(service: Service) -> None:
    service.configure("WatchdogSec=2s")
    service.start()
    before = service.show("WatchdogTimestampMonotonic")
    service.syncd("now")
    fed = int(before)
    for _ in range(3):
        was = fed
        wait_until(lambda was=was: int(service.show("WatchdogTimestampMonotonic")) > was, "a pulse")  # type: ignore[misc]
        fed = int(service.show("WatchdogTimestampMonotonic"))
    assert service.show("NRestarts") == "0"


def test_a_reload_takes_new_settings_and_keeps_the_old_where_they_are_wrong(
    service: Service,
) -> None:
    service.start()
    pid = service.show("MainPID")
    toml = service.folder / "syncd.toml"
    good = service.machine.read(toml) + "\n[run]\npoll_seconds = 1\n"
    service.machine.write(toml, good, user=USER)
    service.machine.ok("systemctl", "reload", service.unit)
    wait_until(lambda: "[run] poll_seconds" in service.said(), "the new settings")
    wait_until(service.is_active, "the end of the reload")
    service.machine.write(toml, good + "colour = 3\n", user=USER)
    service.machine.ok("systemctl", "reload", service.unit)
    wait_until(lambda: "the previous settings stay in use" in service.said(), "the refusal")
    wait_until(service.is_active, "the end of the second reload")
    service.save(NOTE, text="hello")
    wait_until(lambda: service.has(NOTE), "the push")
    assert service.show("MainPID") == pid


def test_a_stop_in_the_middle_of_a_push_is_quick_and_loses_nothing(service: Service) -> None:
    service.start()
    wait_until(lambda: service.show("StatusText") == "idle", "the first cycle")
    service.host.faults.add(Delay(600), "com.atproto.repo.applyWrites")
    service.save(NOTE, text="hello")
    wait_until(lambda: not service.host.faults.waiting, "the push")
    service.machine.ok("systemctl", "stop", service.unit)
    assert service.show("Result") == "success"
    service.save(OTHER, text="saved while it was off")
    service.machine.ok("systemctl", "start", service.unit)
    wait_until(lambda: service.has(NOTE) and service.has(OTHER), "both pushes")
    # The daemon has still to see in the tree what it wrote last.
    verify = ("syncd", "-C", str(service.folder), "verify")
    wait_until(lambda: service.machine.run(*verify, user=USER).code == 0, "both sides agreeing")


def test_credentials_of_systemd_that_are_refused_end_it_for_good(service: Service) -> None:
    kept = str(MIRRORS / ".local/state/syncd/credentials")
    service.machine.ok("rm", "-r", kept)
    secret = CREDSTORE / f"syncd-{service.name}"
    service.machine.write(secret, service.login.password)
    # No login took this password yet, and syncd.toml alone leads it nowhere.
    service.configure("RestartSec=100ms", f"Environment=SYNCD_PDS={service.url}")
    service.start()
    service.save(NOTE, text="with the password of systemd")
    wait_until(lambda: service.has(NOTE), "the push")
    service.machine.ok("systemctl", "stop", service.unit)
    service.machine.write(secret, "not-the-password")
    service.machine.ok("rm", "-r", kept)
    service.machine.ok("systemctl", "start", service.unit)
    service.save(OTHER, text="with a dead one")
    wait_until(lambda: service.show("ActiveState") == "failed", "the end")
    assert service.show("ExecMainStatus") == "77"
    assert service.show("NRestarts") == "0"
    assert service.login.password not in service.said()
    assert "not-the-password" not in service.said()


def test_a_crash_is_followed_by_a_restart(service: Service) -> None:
    service.configure("RestartSec=100ms")
    service.start()
    service.machine.ok("kill", "-KILL", service.show("MainPID"))
    wait_until(lambda: service.show("NRestarts") == "1" and service.is_active(), "the restart")
    service.save(NOTE, text="hello")
    wait_until(lambda: service.has(NOTE), "the push")


def test_it_is_uninstalled_and_the_mirror_stays(service: Service) -> None:
    service.start()
    service.syncd("service", "uninstall", "--system", user=None)
    assert service.show("ActiveState") == "inactive"
    assert service.show("LoadState") == "not-found"
    assert not (service.machine.root / "etc/systemd/system/syncd@.service").exists()
    assert "nothing to do" in service.syncd("sync")
