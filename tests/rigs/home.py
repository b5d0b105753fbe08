"""An account on the reference PDS, and machines that are logged in to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from syncd.atproto.firehose import CommitEvent, parse_frame
from tests.reference.pds import Account, ReferencePds

from .machine import PATIENCE_SECONDS, Machine


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
            f"{self.pds.url}/xrpc/com.atproto.repo.getRecord",
            params=params,
            trust_env=False,
            verify=False,
            timeout=PATIENCE_SECONDS,
        )
        return str(answer.json()["cid"]) if answer.status_code == 200 else None

    def rev(self) -> str:
        url = f"{self.pds.url}/xrpc/com.atproto.sync.getLatestCommit"
        return str(
            httpx.get(
                url,
                params={"did": self.account.did},
                trust_env=False,
                verify=False,
                timeout=PATIENCE_SECONDS,
            ).json()["rev"]
        )

    def records(self) -> dict[str, str]:
        """Every record of the repo now: its path and CID, as listRecords tells them."""
        found: dict[str, str] = {}
        with httpx.Client(
            base_url=f"{self.pds.url}/xrpc/",
            trust_env=False,
            verify=False,
            timeout=PATIENCE_SECONDS,
        ) as client:
            repo = {"repo": self.account.did}
            described = client.get("com.atproto.repo.describeRepo", params=repo)
            for collection in described.raise_for_status().json()["collections"]:
                asked = {**repo, "collection": collection, "limit": "100"}
                while asked.get("cursor", "start"):
                    page = client.get("com.atproto.repo.listRecords", params=asked)
                    told = page.raise_for_status().json()
                    found |= {r["uri"].split("/", 3)[3]: r["cid"] for r in told["records"]}
                    asked["cursor"] = told.get("cursor", "")
        return found

    def history(self) -> list[CommitEvent]:
        """Every commit of the repo up to now, oldest first, as the PDS's own stream tells them."""
        newest, commits = self.rev(), list[CommitEvent]()
        stream = self.pds.url.replace("http://", "ws://") + "/xrpc/com.atproto.sync"
        with connect(f"{stream}.subscribeRepos?cursor=0", max_size=None, proxy=None) as socket:
            while not commits or commits[-1].rev < newest:
                event = parse_frame(bytes(socket.recv(timeout=PATIENCE_SECONDS, decode=False)))
                if isinstance(event, CommitEvent) and event.repo == self.account.did:
                    commits.append(event)
        return commits

    def _post(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401
        collection, rkey = path.split("/")
        named = {"repo": self.account.did, "collection": collection, "rkey": rkey}
        with self.pds.client(self.account) as client:
            answer = client.post(f"/xrpc/com.atproto.repo.{method}", json={**named, **body})
            answer.raise_for_status()
            return answer.json()
