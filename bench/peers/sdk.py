"""A CAR to JSON files by the `atproto` SDK: `python sdk.py CAR DIR`. Nothing is verified."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from atproto import CAR, CID  # type: ignore[import-untyped]

Blocks = Mapping[bytes, Any]


def walk(blocks: Blocks, node: bytes) -> Iterator[tuple[str, bytes]]:
    """Every key below a node, and the link to its record: the SDK leaves the tree to its user."""
    left, entries, key = blocks[node]["l"], blocks[node]["e"], b""
    if left:
        yield from walk(blocks, left)
    for entry in entries:
        key = key[: entry["p"]] + entry["k"]
        yield key.decode(), entry["v"]
        if entry["t"]:
            yield from walk(blocks, entry["t"])


def main(car: Path, target: Path) -> None:
    read, made = CAR.from_bytes(car.read_bytes()), set[str]()
    blocks = {_link(cid): value for cid, value in read.blocks.items()}
    for key, link in walk(blocks, blocks[_link(read.root)]["data"]):
        collection = key.partition("/")[0]
        if collection not in made:
            (target / collection).mkdir()
            made.add(collection)
        text = json.dumps(blocks[link], indent=2, ensure_ascii=False, default=str)
        (target / f"{key}.json").write_text(f"{text}\n", encoding="utf-8")


def _link(cid: CID) -> bytes:
    """A CID as the links in decoded blocks are: its bytes."""
    digest: bytes = cid.hash.digest
    return bytes.fromhex("01711220") + digest


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
