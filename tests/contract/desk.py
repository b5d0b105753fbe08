"""A person's machine with a clone from a rung, and another client of the same account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from syncd.model import Account
from tests.contract.rungs import AlteranRung, Login, ReferenceRung, Rung
from tests.peers.directory import serving
from tests.rigs.machine import Machine, cid_in

FIRST = "com.example.note/first"


@dataclass(frozen=True, slots=True)
class Desk:
    """Attributes:
    other: A client that knows nothing of syncd, and guards nothing.
    """

    login: Login
    machine: Machine
    folder: Path
    other: httpx.Client

    def write(self, path: str, **fields: Any) -> str:  # noqa: ANN401
        """Another client writes a record, whatever was there; returns its CID."""
        record = {"$type": path.partition("/")[0], **fields}
        return str(self._post("putRecord", path, record=record).raise_for_status().json()["cid"])

    def delete(self, path: str) -> None:
        """Another client deletes a record. arroba does so, and says 400."""
        self._post("deleteRecord", path)
        assert self.cid(path) is None

    def cid(self, path: str) -> str | None:
        answer = self.other.get("/xrpc/com.atproto.repo.getRecord", params=self._named(path))
        return str(answer.json()["cid"]) if answer.status_code == 200 else None

    def agrees(self, path: str) -> bool:
        return cid_in(self.folder, path) == self.cid(path)

    def _post(self, method: str, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        url = f"/xrpc/com.atproto.repo.{method}"
        return self.other.post(url, json={**self._named(path), **body})

    def _named(self, path: str) -> dict[str, str]:
        collection, rkey = path.split("/")
        return {"repo": self.login.account.did, "collection": collection, "rkey": rkey}


@contextmanager
def desk_on(rung: Rung, home: Path) -> Iterator[Desk]:
    """Log in and clone by the commands; the repo has FIRST."""
    login, machine = rung.login(), Machine(home)
    account, folder = login.account, machine.home / "mirror"
    with closing(login.client()) as other, _directory(rung, account) as plc:
        desk = Desk(login, machine, folder, other)
        desk.write(FIRST, text="there before")
        place = ("--pds", account.pds, "--plc", plc)
        machine.ok("login", account.did, "--password-file", "-", *place, stdin=login.password)
        machine.ok("clone", account.did, folder, *place)
        yield desk


def _directory(rung: Rung, account: Account) -> AbstractContextManager[str]:
    """Give the URL of what answers for the DID. arroba does so itself."""
    if isinstance(rung, AlteranRung):
        return serving(_document(account))
    return nullcontext(rung.plc() if isinstance(rung, ReferenceRung) else account.pds)


def _document(account: Account) -> dict[str, object]:
    did, key = account.did, account.key.removeprefix("did:key:")
    return {
        "id": did,
        "alsoKnownAs": [f"at://{account.handle}"],
        "verificationMethod": [
            {
                "id": f"{did}#atproto",
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": key,
            }
        ],
        "service": [
            {
                "id": "#atproto_pds",
                "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": account.pds,
            }
        ],
    }
