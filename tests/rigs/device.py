"""One person's machine in memory-speed tests: a real folder and state, a PDS of the sandbox."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.config import Config
from syncd.cycle.home import Home
from syncd.cycle.mirror import Mirror
from syncd.cycle.workspace import Workspace
from syncd.folder.names import relative_path
from syncd.folder.root import Folder, initialise
from syncd.model import Account, Change, RecordPath, Report
from syncd.pds import Pds
from syncd.sandbox import Login, MemoryPds, Sandbox
from syncd.state import create_state, open_state


def account_of(sandbox: Sandbox, login: Login) -> Account:
    account = sandbox.accounts.find(login.did)
    assert account is not None
    return Account(login.did, login.handle, "http://127.0.0.1:1", account.key.public.did_key)


OPEN: list[Device] = []
"""Devices whose state file is closed when the test is over (see tests/conftest.py)."""


def rework(mirror: Mirror, **changes: Any) -> None:  # noqa: ANN401
    """Give a mirror another folder, other settings or another clock, as a restart would."""
    mirror.workspace = mirror.outbox.workspace = replace(mirror.workspace, **changes)
    # Its ledger and its receipts read the clock of the workspace that they were made with.
    mirror.outbox.__post_init__()


def close_all() -> None:
    while OPEN:
        OPEN.pop().mirror.state.close()


@dataclass(slots=True)
class Device:
    """A folder that mirrors `login`'s repo, with the words a test needs."""

    root: Path
    mirror: Mirror

    @classmethod
    def make(cls, root: Path, account: Account, pds: Pds, config: Config | None = None) -> Device:
        root.mkdir(parents=True)
        initialise(root, "marker-of-" + root.name)
        create_state(
            root / ".syncd" / "state.db", did=account.did, marker="marker-of-" + root.name
        ).close()
        return cls.open(root, account, pds, config)

    @classmethod
    def open(cls, root: Path, account: Account, pds: Pds, config: Config | None = None) -> Device:
        """The device as it comes up after a restart."""
        state = open_state(root / ".syncd" / "state.db")
        config = config or Config(account.did, brake_records=1000)
        forms = config.forms
        folder = Folder(root, state.marker, portable=config.is_portable, forms=forms)
        workspace = Workspace(folder, state, config, time.time_ns)
        device = cls(root, Mirror(workspace, Home(account, pds)))
        OPEN.append(device)
        return device

    def file(self, path: str) -> Path:
        folder = self.mirror.folder
        return self.root / relative_path(
            RecordPath(path), portable=folder.portable, forms=folder.forms
        )

    def save(self, path: str, **fields: Any) -> None:  # noqa: ANN401
        """Write a record's file as an editor would."""
        self.save_text(path, json.dumps({"$type": path.split("/", maxsplit=1)[0], **fields}))

    def save_text(self, path: str, text: str) -> None:
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8"))

    def delete(self, path: str) -> None:
        self.file(path).unlink()

    def read(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file(path).read_text(encoding="utf-8"))
        return found

    def has(self, path: str) -> bool:
        return self.file(path).exists()

    def files(self) -> dict[str, bytes]:
        """Every record file and its bytes."""
        return {
            str(file.relative_to(self.root)): file.read_bytes()
            for file in sorted(self.root.glob("*/**/*.json"))
            if ".syncd" not in file.parts
        }

    def kept_conflicts(self) -> list[dict[str, Any]]:
        files = (self.root / ".syncd" / "conflicts").rglob("*.json")
        return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)]

    async def sync(self) -> Report:
        return await self.mirror.sync()

    def base(self) -> dict[RecordPath, Cid]:
        return self.mirror.state.base()


@dataclass(frozen=True, slots=True)
class World:
    """A sandbox with one account, and as many devices as a test makes."""

    tmp_path: Path
    sandbox: Sandbox
    login: Login

    def pds(self) -> MemoryPds:
        return MemoryPds(self.sandbox, self.login.did)

    def account(self) -> Account:
        return account_of(self.sandbox, self.login)

    def device(self, name: str = "laptop", config: Config | None = None) -> Device:
        return Device.make(self.tmp_path / name, self.account(), self.pds(), config)

    def restart(self, device: Device) -> Device:
        device.mirror.state.close()
        return Device.open(device.root, self.account(), self.pds(), device.mirror.config)

    def rev(self) -> str:
        return self.sandbox.repo(self.login.did).head.rev

    def records(self) -> dict[RecordPath, Cid]:
        return dict(self.sandbox.repo(self.login.did).state.records)

    async def write(self, path: str, **fields: Any) -> Cid:  # noqa: ANN401
        """Another client writes one record, whatever was there, and asks for no validation."""
        record = {"$type": path.split("/", maxsplit=1)[0], **fields}
        pds, name = self.pds(), RecordPath(path)
        before = await pds.fetch_record(name)
        written = await pds.put(Change(name, before, cid_of(record), record), validate=False)
        assert written.cids[0] is not None
        return written.cids[0]

    async def delete(self, path: str) -> None:
        """Another client deletes one record."""
        pds, name = self.pds(), RecordPath(path)
        await pds.delete(Change(name, await pds.fetch_record(name), None))
