"""`syncd doctor` on a mirror of the sandbox: fine as it is, then broken one thing at a time."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncd.cli import cli
from syncd.sandbox import Login, Sandbox, Status
from syncd.sandbox.faults import Habits
from syncd.sandbox.http.server import ServingThread, start

NOTE = "com.example.note"


@dataclass(slots=True)
class Clock:
    """The PDS's."""

    ahead_seconds: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_seconds


@dataclass(frozen=True, slots=True)
class Clinic:
    """A mirror with one record, on a PDS over HTTP."""

    sandbox: Sandbox
    clock: Clock
    running: ServingThread
    login: Login
    home: Path
    password: Path

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    @property
    def secrets(self) -> Path:
        return self.home / "state" / "syncd" / "credentials"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), catch_exceptions=True)

    def ok(self, *arguments: str) -> str:
        ran = self.run(*arguments)
        assert ran.exit_code == 0, (arguments, ran.output, ran.exception)
        return ran.output

    def log_in(self) -> None:
        self.ok("login", self.login.did, "--password-file", str(self.password), *self.place)

    @property
    def place(self) -> tuple[str, ...]:
        return ("--pds", self.running.url, "--plc", self.running.url)

    def sync(self) -> None:
        self.ok("-C", str(self.root), "sync")

    def findings(self, code: int = 0) -> dict[str, dict[str, Any]]:
        ran = self.run("-C", str(self.root), "doctor", "--json")
        assert ran.exit_code == code, ran.output
        found = json.loads(ran.output)["findings"]
        return {finding["name"]: finding for finding in found}

    def wrong(self, code: int = 0) -> set[str]:
        """What is not fine, but for what the machine of the tests may lack."""
        machine = ("disk.", "space.", "unit.", "watches.")
        found = self.findings(code).values()
        names = {finding["name"] for finding in found if finding["level"] != "ok"}
        return {name for name in names if not name.startswith(machine)}


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in ("SYNCD_PASSWORD_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    login = sandbox.create_account("alice")
    password = tmp_path / "app-password"
    password.touch(mode=0o600)
    password.write_text(login.password)
    with start(sandbox) as running:
        found = Clinic(sandbox, clock, running, login, tmp_path, password)
        found.log_in()
        found.ok("clone", login.did, str(found.root), *found.place)
        (found.root / NOTE).mkdir()
        (found.root / NOTE / "one.json").write_text('{"text": "hello"}')
        found.sync()
        yield found


def test_a_mirror_that_is_well_is_said_to_be(clinic: Clinic) -> None:
    assert clinic.wrong() == set()
    found = clinic.findings()
    assert list(found)[:3] == ["folder.ok", "config.ok", "names.ok"]
    assert {"guards.ok", "state.ok", "history.ok", "pds.ok", "clock.ok", "identity.ok"} <= set(
        found
    )
    assert re.findall(r"\d+", found["watches.ok"]["what"]) == ["2"]
    assert found["pds.ok"]["what"].endswith("version 0.5.35-sandbox")
    assert str(clinic.secrets) in found["credentials.ok"]["what"]


def test_no_secret_is_shown_and_nothing_is_sent_or_changed(clinic: Clinic) -> None:
    session = json.loads(next(clinic.secrets.glob("*.session")).read_text())
    rev = clinic.sandbox.repo(clinic.login.did).head.rev
    texts = clinic.ok("-C", str(clinic.root), "doctor") + json.dumps(clinic.findings())
    for secret in (clinic.login.password, session["access"], session["refresh"]):
        assert secret not in texts
    assert json.loads(next(clinic.secrets.glob("*.session")).read_text()) == session
    assert clinic.sandbox.repo(clinic.login.did).head.rev == rev


def test_a_text_for_people_has_one_line_for_each_finding_and_the_cure_below(clinic: Clinic) -> None:
    (clinic.root / ".syncd").chmod(0o755)
    lines = clinic.ok("-C", str(clinic.root), "doctor").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("warning  permissions"))
    assert lines[at + 1] == f"  next: chmod 700 {clinic.root / '.syncd'}"
    assert lines[-1].startswith("0 errors, ")


def test_an_editor_that_saves_by_itself_is_named_unless_what_it_saves_waits(clinic: Clinic) -> None:
    (clinic.root / ".obsidian").mkdir()
    assert clinic.wrong() == {"autosave.found"}
    (clinic.home / ".obsidian").mkdir()
    cloned = clinic.run("clone", clinic.login.did, str(clinic.home / "another"), *clinic.place)
    assert cloned.exit_code == 0
    assert "Obsidian" in cloned.stderr
    settings = clinic.root / "syncd.toml"
    before = settings.read_text()
    for line in ("settle_seconds = 30", 'when = "ask"'):
        settings.write_text(f"{before}\n[push]\n{line}\n")
        assert clinic.wrong() == set()
        assert "autosave.settled" in clinic.findings()


def test_a_mirror_that_a_file_sync_program_shares_is_named(clinic: Clinic) -> None:
    (clinic.home / ".stfolder").mkdir()
    assert clinic.wrong() == {"sharing.found"}
    status = json.loads(clinic.ok("-C", str(clinic.root), "status", "--json"))
    assert "Syncthing" in status["shared"][0]["reason"]
    cloned = clinic.run("clone", clinic.login.did, str(clinic.home / "another"), *clinic.place)
    assert cloned.exit_code == 0
    assert "Syncthing" in cloned.stderr
    assert "\n  next: " in cloned.stderr
    (clinic.home / ".stignore").write_text(".syncd\n")
    assert clinic.wrong() == set()
    assert "sharing.kept_out" in clinic.findings()


def test_a_copy_is_doubted_before_anything_is_synced_there(clinic: Clinic) -> None:
    copy = clinic.home / "copy"
    shutil.copytree(clinic.root, copy)
    (copy / NOTE / "one.json").unlink()
    arguments = ("-C", str(copy))
    found = json.loads(clinic.ok(*arguments, "doctor", "--json"))["findings"]
    assert "folder.doubt" in {finding["name"] for finding in found}
    assert json.loads(clinic.ok(*arguments, "status", "--json"))["doubt"]["hint"]
    dry = clinic.run(*arguments, "sync", "--dry-run", "--json")
    (held,) = json.loads(dry.stdout)["held"]
    assert (held["path"], held["kind"]) == (f"{NOTE}/one", "deletion")
    assert "held" in clinic.ok(*arguments, "diff")
    synced = clinic.run(*arguments, "sync")
    assert synced.exit_code == 3
    assert "copy of the one" in synced.stderr
    assert json.loads(clinic.run(*arguments, "held", "--json").stdout)["held"][0]["kind"] == (
        "deletion"
    )
    clinic.ok(*arguments, "reject", "--all")
    assert (copy / NOTE / "one.json").exists()
    assert json.loads(clinic.ok(*arguments, "status", "--json"))["doubt"] is None


def test_in_a_directory_that_is_no_mirror_it_says_so(clinic: Clinic) -> None:
    ran = clinic.run("-C", str(clinic.home), "doctor")
    assert ran.exit_code != 0
    assert "is not in a mirror" in str(ran.exception)


# --- One thing is broken --------------------------------------------------------------------------


def a_secret_is_open(clinic: Clinic) -> None:
    next(clinic.secrets.glob("*.password")).chmod(0o644)


def the_password_is_gone(clinic: Clinic) -> None:
    next(clinic.secrets.glob("*.password")).unlink()


def all_credentials_are_gone(clinic: Clinic) -> None:
    shutil.rmtree(clinic.secrets)


def the_state_is_damaged(clinic: Clinic) -> None:
    (clinic.root / ".syncd" / "state.db").write_bytes(b"no database" * 999)


def a_row_of_the_state_is_damaged(clinic: Clinic) -> None:
    with closing(sqlite3.connect(clinic.root / ".syncd" / "state.db")) as sql, sql:
        sql.execute("UPDATE base SET path = path || 'x'")
    sql.close()


def the_state_is_gone(clinic: Clinic) -> None:
    for file in (clinic.root / ".syncd").glob("state.db*"):
        file.unlink()


def the_history_is_damaged(clinic: Clinic) -> None:
    file = clinic.root / ".syncd" / "history.db"
    file.touch(mode=0o600)
    file.write_bytes(b"no database" * 999)


def the_folder_is_another(clinic: Clinic) -> None:
    (clinic.root / ".syncd" / "marker").write_text("another")


def the_settings_are_wrong(clinic: Clinic) -> None:
    with (clinic.root / "syncd.toml").open("a") as file:
        file.write("\n[sync]\nno_such_setting = 1\n")


def the_settings_name_another_account(clinic: Clinic) -> None:
    other = clinic.sandbox.create_account("bob")
    file = clinic.root / "syncd.toml"
    file.write_text(file.read_text().replace(clinic.login.did, other.did))


def the_clock_is_wrong(clinic: Clinic) -> None:
    clinic.clock.ahead_seconds = -600


def the_pds_is_away(clinic: Clinic) -> None:
    clinic.running.stop()


def the_account_is_away(clinic: Clinic) -> None:
    clinic.sandbox.set_status(clinic.login.did, Status.DEACTIVATED)


BROKEN: list[tuple[Callable[[Clinic], None], set[str], int]] = [
    (a_secret_is_open, {"permissions.secret", "credentials.refused"}, 1),
    (the_password_is_gone, {"credentials.session"}, 0),
    (all_credentials_are_gone, {"credentials.missing"}, 1),
    (the_state_is_damaged, {"state.damaged"}, 1),
    (a_row_of_the_state_is_damaged, {"state.damaged"}, 1),
    (the_state_is_gone, {"state.missing"}, 0),
    (the_history_is_damaged, {"history.damaged"}, 1),
    (the_folder_is_another, {"folder.wrong"}, 1),
    (the_settings_are_wrong, {"config.wrong"}, 1),
    (the_settings_name_another_account, {"config.wrong"}, 1),
    (the_clock_is_wrong, {"clock.off"}, 0),
    (the_pds_is_away, {"identity.wrong", "pds.away"}, 1),
    (the_account_is_away, {"pds.unavailable", "identity.unconfirmed"}, 1),
]


@pytest.mark.parametrize(
    ("disease", "expected", "code"), BROKEN, ids=[row[0].__name__ for row in BROKEN]
)
def test_what_is_broken_is_found_and_nothing_else(
    clinic: Clinic, disease: Callable[[Clinic], None], expected: set[str], code: int
) -> None:
    disease(clinic)
    assert clinic.wrong(code) == expected
    mends = {name: found["mend"] for name, found in clinic.findings(code).items()}
    assert all(mends[name] for name in expected)


def test_a_pds_that_ignores_guards_is_named(clinic: Clinic) -> None:
    with closing(sqlite3.connect(clinic.root / ".syncd" / "state.db")) as sql, sql:
        row = sql.execute("SELECT value FROM meta WHERE key = 'note:guards'").fetchone()
    sql.close()
    assert json.loads(row[0])["honoured"] is True
    sandbox = Sandbox(habits=Habits(honours_swaps=False))
    login = sandbox.create_account("carol")
    clinic.password.write_text(login.password)
    with start(sandbox) as running:
        other = Clinic(sandbox, Clock(), running, login, clinic.home, clinic.password)
        shutil.rmtree(clinic.root)
        other.log_in()
        other.ok("clone", login.did, str(other.root), *other.place)
        assert "guards.unknown" in other.findings()
        (other.root / NOTE).mkdir()
        (other.root / NOTE / "one.json").write_text('{"text": "hello"}')
        other.sync()
        assert other.wrong() == {"guards.ignored"}


def test_a_read_only_mirror_needs_no_credentials(clinic: Clinic) -> None:
    all_credentials_are_gone(clinic)
    shutil.rmtree(clinic.root)
    clinic.ok("clone", clinic.login.did, str(clinic.root), "--read-only", *clinic.place)
    assert clinic.wrong() == set()
    assert {"credentials.unneeded", "guards.unneeded"} <= set(clinic.findings())


def test_credentials_of_another_server_are_an_error_with_the_login_as_the_cure(
    clinic: Clinic,
) -> None:
    file = next(clinic.secrets.glob("*.session"))
    elsewhere = "https://elsewhere.example.com"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"origin": elsewhere}))
    found = clinic.findings(code=1)["credentials.elsewhere"]
    assert elsewhere in found["what"]
    assert clinic.running.url in found["what"]
    assert found["mend"] == f"syncd login {clinic.login.did}"


NOBODY = "http://127.0.0.1:9"
"""No server is there."""


def set_places(clinic: Clinic, **places: str) -> None:
    """Change where `syncd.toml` says the servers are."""
    file = clinic.root / "syncd.toml"
    text = file.read_text()
    for key, url in places.items():
        text, count = re.subn(rf'(?m)^{key} = ".*"$', f'{key} = "{url}"', text)
        assert count == 1
    file.write_text(text)


@pytest.mark.parametrize("keys", [("pds", "plc"), ("pds",)])
def test_the_server_that_the_settings_name_now_is_examined_and_not_the_one_from_before(
    clinic: Clinic, keys: tuple[str, ...]
) -> None:
    set_places(clinic, **dict.fromkeys(keys, NOBODY))
    found = clinic.findings(code=1)
    assert "pds.ok" not in found
    assert NOBODY in found["pds.away"]["what"]
    assert ("identity.wrong" in found) == ("plc" in keys)
    status = json.loads(clinic.run("-C", str(clinic.root), "status", "--json").output)
    assert status["account"]["pds"] == NOBODY


def test_a_directory_that_was_changed_in_the_settings_is_asked_and_the_old_answer_is_not_taken(
    clinic: Clinic,
) -> None:
    set_places(clinic, plc=NOBODY)
    (clinic.root / NOTE / "two.json").write_text('{"text": "not for the server from before"}')
    head = clinic.sandbox.repo(clinic.login.did).head
    ran = clinic.run("-C", str(clinic.root), "sync")
    assert getattr(ran.exception, "exit_code", ran.exit_code) == 69
    assert clinic.sandbox.repo(clinic.login.did).head == head
    set_places(clinic, plc=clinic.running.url)
    clinic.sync()
    assert clinic.sandbox.repo(clinic.login.did).head != head
