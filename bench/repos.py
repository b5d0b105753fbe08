"""Make signed repos of any size, the same at every run. Never asks a clock or for chance.

    python -m bench.repos 100000 /tmp/repo        makes /tmp/repo/repo.car and /tmp/repo/repo.json

The CAR has its blocks in the order of their CIDs, as the reference PDS sends a repo that was
imported; the JSON says whose repo it is, its commit and rev, and the key that signed it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_block, parse_cid
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import Record, encode
from syncd.atproto.keys import make_key
from syncd.atproto.mst import build
from syncd.atproto.syntax import Did, make_tid, parse_tid

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
KEY = make_key("k256", b"\x01" * 32)
BEGAN = 1_700_000_000_000_000
"""Microseconds: the time in the key of the first record, a second before that of the next."""

YEAR = 2023
"""When the records were made; of another year, each has the same path and another value."""

_COLLECTIONS = (
    ["app.bsky.feed.like"] * 10
    + ["app.bsky.feed.post"] * 5
    + ["app.bsky.graph.follow"] * 3
    + ["com.example.note", "com.whtwnd.blog.entry"]
)
"""What a repo of a social account holds, in proportion."""
_WORDS = (
    "a",
    "folder",
    "of",
    "files",
    "and",
    "a",
    "repo",
    "that",
    "agree",
    "on",
    "every",
    "record",
)


class About(TypedDict):
    """What `repo.json` says."""

    did: str
    key: str
    commit: str
    data: str
    rev: str
    records: int
    blocks: int


def record(number: int, year: int = YEAR) -> tuple[str, bytes]:
    """The path and the block of one record."""
    digest = hashlib.sha256(b"%d" % number).digest()
    collection = _COLLECTIONS[digest[0] % len(_COLLECTIONS)]
    second = number % 60
    created = (
        f"{year}-11-{number // 86_400 % 28 + 1:02}T{number // 3600 % 24:02}:00:{second:02}.000Z"
    )
    value: Record = {
        "$type": collection,
        "createdAt": created,
        **_fields(collection, digest, number),
    }
    return f"{collection}/{make_tid(BEGAN + number * 1_000_000, 7)}", encode(value)


def _fields(collection: str, digest: bytes, number: int) -> Record:
    subject = f"did:plc:{digest.hex()[:24]}"
    if collection == "app.bsky.graph.follow":
        return {"subject": subject}
    if collection == "app.bsky.feed.like":
        uri = f"at://{subject}/app.bsky.feed.post/{make_tid(BEGAN + number, 3)}"
        return {"subject": {"uri": uri, "cid": str(cid_of_block(digest))}}
    length = 400 if collection == "com.whtwnd.blog.entry" else 10 + digest[1] % 30
    text = " ".join(_WORDS[(digest[n % 32] + n) % len(_WORDS)] for n in range(length))
    return {"text": f"{number}: {text}", "langs": ["en"]}


def make_repo(records: int, target: Path, year: int = YEAR) -> About:
    """Make `repo.car` and `repo.json` in the directory `target`, a second later for each year."""
    target.mkdir(parents=True, exist_ok=True)
    blocks: dict[Cid, bytes] = {}
    entries: dict[str, Cid] = {}
    for number in range(records):
        path, block = record(number, year)
        cid = cid_of_block(block)
        entries[path], blocks[cid] = cid, block
    data, nodes = build(entries)
    rev = make_tid(BEGAN + (records + year - YEAR) * 1_000_000, 9)
    commit = sign_commit(DID, rev, data, KEY)
    root = cid_of_block(commit)
    blocks |= nodes
    blocks[root] = commit
    with (target / "repo.car").open("wb") as car:
        car.writelines(write_car([root], _by_cid(blocks)))
    about = About(
        did=DID,
        key=KEY.public.did_key,
        commit=str(root),
        data=str(data),
        rev=rev,
        records=records,
        blocks=len(blocks),
    )
    (target / "repo.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return about


def owned_by(did: Did, source: Path) -> bytes:
    """The CAR of a repo that was made, as that of `did`; nobody has signed it but us."""
    about: About = json.loads((source / "repo.json").read_text(encoding="utf-8"))
    commit = sign_commit(did, parse_tid(about["rev"]), parse_cid(about["data"]), KEY)
    header = len(b"".join(write_car([parse_cid(about["commit"])], ())))
    root = cid_of_block(commit)
    blocks = (source / "repo.car").read_bytes()[header:]
    return b"".join(write_car([root], [(root, commit)])) + blocks


def _by_cid(blocks: dict[Cid, bytes]) -> Iterator[tuple[Cid, bytes]]:
    return ((cid, blocks[cid]) for cid in sorted(blocks, reverse=True))


if __name__ == "__main__":
    print(make_repo(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])))
