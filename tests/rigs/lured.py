"""A person who is logged in to an honest PDS, beside a server that wants their secrets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from syncd.atproto.syntax import Did
from syncd.cli import cli
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.http.server import ServingThread, start
from tests.rigs.machine import PATIENCE_SECONDS
from tests.rigs.recording import Recorder, recording

NOTE = "com.example.note"


@dataclass(slots=True)
class Lured:
    """One person's machine, logged in to an honest PDS, beside a server that wants their secrets.

    `directory` is the PLC directory that everything finds by default; it names the honest PDS.
    """

    sandbox: Sandbox
    honest: ServingThread
    hostile: Recorder
    directory: Recorder
    login: Login
    home: Path
    secrets: set[str] = field(default_factory=set)

    @property
    def did(self) -> Did:
        return self.login.did

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    @property
    def kept(self) -> Path:
        return self.home / "state" / "syncd" / "credentials"

    def run(self, *arguments: str) -> Result:
        ran = CliRunner().invoke(cli, list(arguments))
        self.note_secrets()
        return ran

    def ok(self, *arguments: str) -> str:
        ran = self.run(*arguments)
        assert ran.exit_code == 0, (arguments, ran.output, ran.exception)
        return ran.output

    def sync(self) -> Result:
        return self.run("-C", str(self.root), "sync")

    def log_in(self, *place: str) -> None:
        self.ok("login", self.did, "--password-file", str(self.home / "app-password"), *place)

    def note_secrets(self) -> None:
        """Whatever was ever kept is a secret from then on."""
        for file in self.kept.glob("*"):
            if file.suffix in (".session", ".password"):
                text = file.read_text().strip()
                fields = json.loads(text) if text.startswith("{") else {"password": text}
                names = ("access", "refresh", "password")
                self.secrets |= {fields[name] for name in names if name in fields}

    def configure(self, **settings: str) -> None:
        """Put these into [mirror] of syncd.toml, in the place of what is there."""
        file = self.root / "syncd.toml"
        rows = [
            line
            for line in file.read_text().splitlines()
            if line.partition(" =")[0] not in ("pds", "plc")
        ]
        at = rows.index("[mirror]") + 1
        rows[at:at] = [f'{name} = "{value}"' for name, value in settings.items()]
        file.write_text("\n".join(rows) + "\n")

    def edit(self, name: str = "mine") -> None:
        (self.root / NOTE).mkdir(exist_ok=True)
        (self.root / NOTE / f"{name}.json").write_text(json.dumps({"text": os.urandom(4).hex()}))

    def write_remotely(self, name: str) -> None:
        """Another client of the account, at the honest PDS."""
        url = f"{self.honest.url}/xrpc/com.atproto"
        with httpx.Client(trust_env=False, verify=False, timeout=PATIENCE_SECONDS) as client:
            body = {"identifier": self.did, "password": self.login.password}
            token = client.post(f"{url}.server.createSession", json=body).json()["accessJwt"]
            record = {"$type": NOTE, "text": name}
            made = {"repo": self.did, "collection": NOTE, "rkey": name, "record": record}
            headers = {"authorization": f"Bearer {token}"}
            client.post(f"{url}.repo.putRecord", json=made, headers=headers).raise_for_status()

    def records(self) -> set[str]:
        return set(map(str, self.sandbox.repo(self.did).state.records))

    def assert_nothing_was_learned(self) -> None:
        assert self.secrets
        for server in (self.hostile, self.directory):
            assert server.learned(*self.secrets, self.login.password) == []
            assert b"authorization" not in server.heard.lower()
            assert server.writes == []

    def assert_halted(self, ran: Result, made_at: str, asked: str) -> None:
        assert ran.exit_code == 77, (ran.output, ran.exception)
        assert made_at in ran.output
        assert asked in ran.output
        assert f"syncd login {self.did}" in ran.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lured]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in ("SYNCD_PASSWORD", "SYNCD_PASSWORD_FILE", "CREDENTIALS_DIRECTORY", "SYNCD_PDS"):
        monkeypatch.delenv(name, raising=False)
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    password = tmp_path / "app-password"
    password.touch(mode=0o600)
    password.write_text(login.password)
    with ExitStack() as stack:
        honest = stack.enter_context(start(sandbox))
        hostile, directory = (stack.enter_context(recording(honest.url)) for _ in range(2))
        directory.place = honest.url
        monkeypatch.setenv("SYNCD_PLC_URL", directory.url)
        found = Lured(sandbox, honest, hostile, directory, login, tmp_path)
        yield found


@pytest.fixture
def mirror(home: Lured) -> Lured:
    """Logged in, cloned, and synced once; syncd.toml names neither PDS nor directory."""
    home.log_in()
    home.ok("clone", home.did, str(home.root))
    home.edit("first")
    assert home.sync().exit_code == 0
    home.configure()
    return home
