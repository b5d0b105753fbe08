"""Keep the accounts of a sandbox on disk across restarts.

Each account has a directory with `account.json` and one CAR for each commit, with the blocks added
by the commit. So a commit is one new file, and old files never change. Never keeps sessions, rate
limits, events or blobs. A block lost by the quirk described in `commits` is back after a restart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from syncd.atproto import mst
from syncd.atproto.car import CarReader, write_car
from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_commit
from syncd.atproto.keys import make_key
from syncd.atproto.syntax import Did, Tid, parse_did, parse_handle, parse_tid
from syncd.model import Head, RecordPath
from syncd.sandbox.accounts import HashedPassword, HostedAccount, Status
from syncd.sandbox.repo.commits import Block, NewCommit, RepoState

_ACCOUNT = "account.json"
_COMMITS = "commits"


class Store:
    """A directory of accounts, made if missing. Only its owner may read it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self, fresh: bytes) -> bytes:
        """Return the secret that signs tokens: `fresh` the first time, then always the same."""
        path = self._root / "secret"
        if not path.exists():
            _write(path, fresh)
        return path.read_bytes()

    def keep_account(self, account: HostedAccount) -> None:
        directory = self._directory(account.did)
        for made in (directory, directory / _COMMITS):
            made.mkdir(mode=0o700, exist_ok=True)
        _write(directory / _ACCOUNT, json.dumps(_to_json(account), indent=2).encode())

    def keep_commit(self, commit: NewCommit) -> None:
        head = commit.after.head
        known = commit.before.blocks if commit.before else {}
        fresh = ((c, block.data) for c, block in commit.after.blocks.items() if c not in known)
        path = self._directory(commit.did) / _COMMITS / f"{head.rev}.car"
        _write(path, b"".join(write_car([head.commit], fresh)))

    def forget(self, did: Did) -> None:
        """Forget an account after the next restart. Its commits stay on disk."""
        (self._directory(did) / _ACCOUNT).unlink()

    def load(self) -> Iterator[tuple[HostedAccount, RepoState]]:
        """Yield every account and the state of its repo. Raises BadCar and BadTree on damage."""
        for path in sorted(self._root.glob(f"*/{_ACCOUNT}")):
            account = _from_json(json.loads(path.read_bytes()))
            yield account, _load_state(sorted((path.parent / _COMMITS).glob("*.car")))

    def _directory(self, did: Did) -> Path:
        return self._root / did.replace(":", "_")


def _load_state(cars: list[Path]) -> RepoState:
    """Read every commit in order, and keep the blocks the last one reaches."""
    blocks: dict[Cid, Block] = {}
    root: Cid | None = None
    rev: Tid | None = None
    for car in cars:
        reader = CarReader()
        rev = parse_tid(car.stem)
        blocks |= {cid: Block(data, rev) for cid, data in reader.feed(car.read_bytes())}
        reader.close()
        root = reader.commit
    assert root is not None
    assert rev is not None
    # An imported commit keeps the rev that it had elsewhere; the repo's own is in the file's name.
    return _reached(Head(root, rev, parse_commit(blocks[root].data).data), blocks)


def _reached(head: Head, blocks: dict[Cid, Block]) -> RepoState:
    def get(cid: Cid) -> bytes | None:
        return blocks[cid].data if cid in blocks else None

    records = {RecordPath(key): cid for key, cid in mst.walk(head.data, get)}
    live = {head.commit, *mst.nodes(head.data, get), *records.values()}
    return RepoState(head, records, {cid: blocks[cid] for cid in live if cid in blocks})


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or none: write a partial file, then rename it."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def _to_json(account: HostedAccount) -> dict[str, object]:
    passwords = [
        {"name": p.name, "salt": p.salt.hex(), "digest": p.digest.hex(), "created": p.created}
        for p in account.passwords
    ]
    return {
        "did": account.did,
        "handle": account.handle,
        "email": account.email,
        "key": account.key.secret.hex(),
        "status": account.status.value,
        "created_ms": account.created_ms,
        "passwords": passwords,
    }


def _from_json(kept: dict[str, int | str | list[dict[str, str]]]) -> HostedAccount:
    passwords = kept["passwords"]
    assert isinstance(passwords, list)
    return HostedAccount(
        did=parse_did(str(kept["did"])),
        handle=parse_handle(str(kept["handle"])),
        email=str(kept["email"]),
        key=make_key("k256", bytes.fromhex(str(kept["key"]))),
        status=Status(str(kept["status"])),
        passwords=tuple(
            HashedPassword(
                p["name"],
                bytes.fromhex(p["salt"]),
                bytes.fromhex(p["digest"]),
                p.get("created", ""),  # not in directories of syncd 0.1.0
            )
            for p in passwords
        ),
        created_ms=int(str(kept.get("created_ms", 0))),
    )
