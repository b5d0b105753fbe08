"""The user unit in a real systemd of a user's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from tests.rigs.systemd import MIRRORS, RUNTIME, SystemdMachine, wait_until

USER = "syncd"
NOTE = RecordPath("com.example.note/one")
MANAGER = f"""[Service]
Type=notify
User={USER}
Delegate=yes
Environment=XDG_RUNTIME_DIR={RUNTIME} HOME={MIRRORS}
ExecStartPre=+/usr/bin/install -d -m 700 -o {USER} {RUNTIME}
ExecStart=/lib/systemd/systemd --user
KillMode=mixed
"""


@pytest.fixture
def home(machine: SystemdMachine) -> Iterator[Path]:
    """The home of a user whose systemd runs."""
    machine.write(Path("/etc/systemd/system/user-manager.service"), MANAGER)
    machine.ok("systemctl", "daemon-reload")
    machine.ok("systemctl", "start", "user-manager")
    yield MIRRORS
    print(machine.run("journalctl", "--no-pager", "-n", "100").out)  # noqa: T201 (for failures)
    machine.ok("systemctl", "stop", "user-manager")


@pytest.mark.parametrize("place", ["user-notes", "deep/er/notes"])
def test_a_mirror_becomes_a_service_of_the_user_and_is_none_any_more(
    machine: SystemdMachine, home: Path, place: str
) -> None:
    host, folder = Sandbox(), home / place
    login = host.create_account("alice")
    with start(host) as running:
        at = ("--pds", running.url, "--plc", running.url)
        log_in = ("syncd", "login", login.handle, "--password-file", "-", *at)
        machine.ok(*log_in, user=USER, stdin=login.password)
        machine.ok("syncd", "clone", login.handle, str(folder), *at, user=USER)
        service = ("syncd", "-C", str(folder), "service")
        said = machine.ok(*service, "install", user=USER)
        assert "enabled syncd-user@" in said
        machine.write(folder / f"{NOTE}.json", json.dumps({"text": "hello"}), user=USER)
        wait_until(lambda: host.repo(login.did).current(NOTE) is not None, "the push")
        status = json.loads(machine.ok(*service, "status", "--json", user=USER))
        assert (status["ActiveState"], status["SubState"]) == ("active", "running")
        assert status["is_current"]
        machine.ok(*service, "uninstall", user=USER)
        assert machine.run(*service, "status", user=USER).code == 1
        units = machine.root / str(home / ".config/systemd/user").removeprefix("/")
        assert [path for path in units.rglob("*") if not path.is_dir()] == []


def test_all_mirrors_of_a_user_are_kept_by_one_service_or_by_a_timer(
    machine: SystemdMachine, home: Path
) -> None:
    host = Sandbox()
    logins = [host.create_account(name) for name in ("carol", "dan")]
    folders = [home / f"of-{login.handle}" for login in logins]

    def save(rkey: str) -> None:
        for folder in folders:
            file = folder / "com.example.note" / f"{rkey}.json"
            machine.write(file, json.dumps({"text": rkey}), user=USER)

    def are_pushed(rkey: str) -> bool:
        path = RecordPath(f"com.example.note/{rkey}")
        return all(host.repo(login.did).current(path) is not None for login in logins)

    with start(host) as running:
        at = ("--pds", running.url, "--plc", running.url)
        for login, folder in zip(logins, folders, strict=True):
            log_in = ("syncd", "login", login.handle, "--password-file", "-", *at)
            machine.ok(*log_in, user=USER, stdin=login.password)
            machine.ok("syncd", "clone", login.handle, str(folder), *at, user=USER)
        names = ", ".join(f'"{folder}"' for folder in folders)
        machine.write(home / ".config/syncd/mirrors.toml", f"mirrors = [{names}]\n", user=USER)
        service = ("syncd", "service")
        machine.ok(*service, "install", "--all", user=USER)
        save("served")
        wait_until(lambda: are_pushed("served"), "the pushes of the service")
        status = json.loads(machine.ok(*service, "status", "--all", "--json", user=USER))
        assert (status["ActiveState"], status["is_current"]) == ("active", True)
        machine.ok(*service, "uninstall", "--all", user=USER)
        # Before the timer is there: whichever run it starts, and when, finds this.
        save("timed")
        machine.ok(*service, "install", "--all", "--timer", user=USER)
        # What the timer starts, now and not in a quarter of an hour.
        machine.ok("systemctl", "--user", "start", "syncd-sync.service", user=USER)
        wait_until(lambda: are_pushed("timed"), "the pushes of the timed sync")
        timer = ("systemctl", "--user", "is-active", "syncd-sync.timer")
        assert machine.ok(*timer, user=USER).strip() == "active"
        machine.ok(*service, "uninstall", "--all", "--timer", user=USER)
        assert machine.run(*timer, user=USER).code != 0
        units = machine.root / str(home / ".config/systemd/user").removeprefix("/")
        assert [path for path in units.rglob("*") if not path.is_dir()] == []
