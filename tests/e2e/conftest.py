"""An account on the reference PDS, and machines that are logged in to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reference.pds import Account, ReferencePds

from .machine import Machine


@dataclass(frozen=True, slots=True)
class Home:
    """An account, where it lives, and the words for what another client does there."""

    pds: ReferencePds
    account: Account
    tmp_path: Path

    @property
    def place(self) -> tuple[str, ...]:
        """The flags that name this PDS and its directory."""
        return ("--pds", self.pds.url, "--plc", self.pds.plc_url)

    def machine(self, name: str = "laptop", *, logged_in: bool = True) -> Machine:
        machine = Machine(self.tmp_path / name)
        if logged_in:
            login = ("login", self.account.handle, "--password-file", "-", *self.place)
            machine.ok(*login, stdin=self.account.password)
        return machine

    def clone(self, machine: Machine, *flags: str) -> Path:
        folder = machine.home / "mirror"
        machine.ok("clone", self.account.handle, folder, *self.place, *flags)
        return folder

    def write(self, path: str, **fields: Any) -> str:  # noqa: ANN401
        """Another client writes a record, whatever was there; returns its CID."""
        record = {"$type": path.partition("/")[0], **fields}
        return str(self._post("putRecord", path, record=record)["cid"])

    def delete(self, path: str) -> None:
        self._post("deleteRecord", path)

    def cid(self, path: str) -> str | None:
        """The CID of a record in the repo now."""
        collection, rkey = path.split("/")
        params = {"repo": self.account.did, "collection": collection, "rkey": rkey}
        answer = httpx.get(
            f"{self.pds.url}/xrpc/com.atproto.repo.getRecord", params=params, trust_env=False
        )
        return str(answer.json()["cid"]) if answer.status_code == 200 else None

    def rev(self) -> str:
        url = f"{self.pds.url}/xrpc/com.atproto.sync.getLatestCommit"
        return str(httpx.get(url, params={"did": self.account.did}, trust_env=False).json()["rev"])

    def _post(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401
        collection, rkey = path.split("/")
        named = {"repo": self.account.did, "collection": collection, "rkey": rkey}
        with self.pds.client(self.account) as client:
            answer = client.post(f"/xrpc/com.atproto.repo.{method}", json={**named, **body})
            answer.raise_for_status()
            return answer.json()


@pytest.fixture
def home(reference_pds: ReferencePds, tmp_path: Path) -> Home:
    return Home(reference_pds, reference_pds.create_account(), tmp_path)
