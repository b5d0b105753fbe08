"""The main job on arroba by the commands: a PDS without guards, by another make, with a stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncd.pds.upload import NO_UPLOADS_HINT
from tests.arroba.pds import Account, ArrobaPds
from tests.rigs.machine import PATIENCE_SECONDS, Machine, cid_in, configure, save, wait_until

A, B, C, D = (f"com.example.note/{name}" for name in "abcd")


@dataclass(frozen=True, slots=True)
class Desk:
    """A machine with a clone, and another client of the account."""

    pds: ArrobaPds
    account: Account
    machine: Machine
    folder: Path

    def write(self, path: str, **fields: Any) -> str:  # noqa: ANN401
        """Another client writes a record, whatever was there; returns its CID."""
        record = {"$type": path.partition("/")[0], **fields}
        return str(self._post("putRecord", path, record=record).raise_for_status().json()["cid"])

    def delete(self, path: str) -> None:
        """Another client deletes a record. arroba does so, and says 400."""
        self._post("deleteRecord", path)
        assert self.cid(path) is None

    def cid(self, path: str) -> str | None:
        collection, rkey = path.split("/")
        params = {"repo": self.account.did, "collection": collection, "rkey": rkey}
        answer = self._client().get("/xrpc/com.atproto.repo.getRecord", params=params)
        return str(answer.json()["cid"]) if answer.status_code == 200 else None

    def agrees(self, path: str) -> bool:
        return cid_in(self.folder, path) == self.cid(path)

    def _post(self, method: str, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        collection, rkey = path.split("/")
        named = {"repo": self.account.did, "collection": collection, "rkey": rkey}
        token = self._client().post(
            "/xrpc/com.atproto.server.createSession",
            json={"identifier": self.account.did, "password": self.account.password},
        )
        headers = {"authorization": f"Bearer {token.json()['accessJwt']}"}
        url = f"/xrpc/com.atproto.repo.{method}"
        return self._client().post(url, json={**named, **body}, headers=headers)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.pds.url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
        )


@pytest.fixture
def desk(arroba_pds: ArrobaPds, tmp_path: Path) -> Desk:
    account, machine = arroba_pds.new_account(), Machine(tmp_path / "laptop")
    place = ("--pds", arroba_pds.url, "--plc", arroba_pds.url)
    login = ("login", account.did, "--password-file", "-", *place)
    machine.ok(*login, stdin=account.password)
    folder = machine.home / "mirror"
    desk = Desk(arroba_pds, account, machine, folder)
    desk.write(A, text="there before")
    machine.ok("clone", account.did, folder, *place)
    return desk


def test_clone_edit_create_delete_rename_conflict_and_verify(desk: Desk) -> None:
    folder, machine = desk.folder, desk.machine
    assert desk.agrees(A)
    save(folder, A, text="edited")
    for path in (B, C):
        save(folder, path, text=path)
    assert machine.ok("sync", "--json", at=folder).json["pushed"] == 3
    (folder / f"{B}.json").unlink()
    (folder / f"{C}.json").rename(folder / f"{D}.json")
    machine.ok("sync", at=folder)
    assert [desk.cid(path) for path in (B, C)] == [None, None]
    assert all(map(desk.agrees, (A, B, C, D)))
    theirs = desk.write(A, text="theirs")
    save(folder, A, text="mine")
    ran = machine.run("sync", "--json", at=folder)
    assert (ran.code, [c["path"] for c in ran.json["conflicts"]]) == (3, [A])
    assert desk.cid(A) == theirs
    machine.ok("resolve", A, "--local", at=folder)
    machine.ok("sync", at=folder)
    assert desk.agrees(A)
    assert desk.cid(A) != theirs
    found = machine.ok("verify", "--remote", "--json", at=folder).json
    assert (found["records"], found["findings"]) == (2, [])


def test_a_file_that_a_record_names_is_a_problem_of_that_record_alone(desk: Desk) -> None:
    """arroba takes no uploads, and says so in a 400: another file would not help."""
    (desk.folder / "cover.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save(desk.folder, B, image={"$type": "blob", "$file": "cover.png"})
    save(desk.folder, C, text="beside it")
    ran = desk.machine.run("sync", "--json", at=desk.folder)
    assert (ran.code, ran.json["pushed"]) == (3, 1)
    (problem,) = ran.json["problems"]
    assert (problem["path"], problem["hint"]) == (B, NO_UPLOADS_HINT)
    assert [desk.cid(B), desk.agrees(C)] == [None, True]


def test_a_deactivated_account_is_named_and_no_file_goes(desk: Desk) -> None:
    desk.pds.set_active(is_active=False)
    save(desk.folder, B, text="saved meanwhile")
    ran = desk.machine.run("sync", at=desk.folder)
    assert ran.code == 1
    assert "deactivated" in ran.err
    assert (desk.folder / f"{A}.json").exists()
    desk.pds.set_active(is_active=True)
    desk.machine.ok("sync", at=desk.folder)
    assert all(map(desk.agrees, (A, B)))


def test_a_daemon_carries_both_ways(desk: Desk) -> None:
    configure(desk.folder, "run", poll_seconds=5)
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        save(desk.folder, B, text="saved here")
        wait_until(lambda: desk.cid(B) is not None, "the push of a new file")
        save(desk.folder, A, text="edited here")
        wait_until(lambda: desk.agrees(A), "the push of an edit")
        desk.write(C, text="new there")
        wait_until((desk.folder / f"{C}.json").exists, "the pull of a new record")
        desk.write(A, text="edited there")
        wait_until(lambda: desk.agrees(A), "the pull of an edit")
        (desk.folder / f"{B}.json").unlink()
        wait_until(lambda: desk.cid(B) is None, "the push of a deletion")
        desk.delete(C)
        wait_until(lambda: not (desk.folder / f"{C}.json").exists(), "the pull of a deletion")
    # A daemon may end before it has seen in the tree what it wrote last.
    desk.machine.ok("sync", at=desk.folder)
    desk.machine.ok("verify", at=desk.folder)
