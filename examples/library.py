"""Read an atproto repo from a CAR file and believe only what can be proven. No network, no folder.

    curl -o repo.car "https://PDS/xrpc/com.atproto.sync.getRepo?did=DID"
    python examples/library.py repo.car --key did:key:zQ3sh... --show com.example.note/hello

Every block is hashed as it is read, the tree is walked whole and checked as it is walked, and with
--key the commit's signature is verified. (The key is in the account's DID document, as `#atproto`.)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.commit import Commit, parse_commit, verify
from syncd.atproto.data import decode, to_json
from syncd.atproto.keys import parse_did_key
from syncd.atproto.mst import walk
from syncd.errors import BadCar, MissingBlocks, SyncdError

CHUNK_BYTES = 64 * 1024


def read_car(path: Path) -> tuple[Cid, dict[Cid, bytes]]:
    """Return the commit and the blocks of a CAR file; raise BadCar unless each is its CID's."""
    reader, blocks = CarReader(), dict[Cid, bytes]()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            blocks.update(reader.feed(chunk))
    reader.close()
    if reader.commit is None:
        raise BadCar("the first root of a repo is its commit, and this file names none")
    return reader.commit, blocks


def read_repo(root: Cid, blocks: dict[Cid, bytes]) -> tuple[Commit, dict[str, Cid]]:
    """Return the commit and the CID of every record. A missing block is an error, never a gap."""
    if root not in blocks:
        raise MissingBlocks("the file does not hold its own commit", count=1)
    commit = parse_commit(blocks[root])
    return commit, dict(walk(commit.data, blocks.get))


def main() -> None:
    parser = argparse.ArgumentParser(description="Verify a repo and list its records.")
    parser.add_argument("car", type=Path)
    parser.add_argument("--key", help="the account's signing key, as a did:key")
    parser.add_argument("--show", metavar="PATH", help="print one record as JSON")
    options = parser.parse_args()
    try:
        root, blocks = read_car(options.car)
        commit, records = read_repo(root, blocks)
        if options.key:
            verify(commit, parse_did_key(options.key))
        missing = [path for path, cid in records.items() if cid.is_block and cid not in blocks]
        if missing:
            raise MissingBlocks(f"the record {missing[0]} is not in the file", count=len(missing))
    except SyncdError as error:
        sys.exit(f"not proven: {error.message}")
    print(f"{commit.did} at rev {commit.rev}: {len(records)} records")
    print("signature verified" if options.key else "signature not checked: no --key was given")
    for path, cid in records.items():
        print(f"{cid}  {path}")
    if records.get(options.show) in blocks:
        record = to_json(decode(blocks[records[options.show]]))
        print(json.dumps(record, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
