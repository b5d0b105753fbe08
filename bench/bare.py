"""The bare loop of S15: blobs up or down in as many streams as syncd has. Knows nothing of syncd.

A program of its own, because syncd is one: both start a process and import httpx. It does what is
left to do at the end by syncd: each file that it writes is hashed, on the disk, and in a directory
that is on the disk. Reads what to do from stdin, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import httpx

PIECE = 1 << 18
BATCH_WRITES = 200
GET, UPLOAD = "/xrpc/com.atproto.sync.getBlob", "/xrpc/com.atproto.repo.uploadBlob"
APPLY = "/xrpc/com.atproto.repo.applyWrites"
Job: TypeAlias = dict[str, Any]


def in_streams(work: Callable[[httpx.Client, int], object], count: int, job: Job) -> None:
    """Do all of `count` numbered things, in as many streams as the job says."""
    streams: int = job["streams"]

    def some(numbers: Sequence[int]) -> None:
        with httpx.Client(base_url=job["url"], trust_env=False, timeout=300) as client:
            for number in numbers:
                work(client, number)

    with ThreadPoolExecutor(streams) as pool:
        done = [pool.submit(some, range(start, count, streams)) for start in range(streams)]
        for each in done:
            each.result()


def down(job: Job) -> None:
    """Fetch each of `cids`, and compare it with its SHA-256."""
    cids: list[list[str]] = job["cids"]
    target = Path(job["target"])

    def fetch(client: httpx.Client, number: int) -> None:
        cid, expected = cids[number]
        digest, params = hashlib.sha256(), {"did": job["did"], "cid": cid}
        with client.stream("GET", GET, params=params) as answer, (target / cid).open("wb") as file:
            for piece in answer.raise_for_status().iter_bytes():
                digest.update(piece)
                file.write(piece)
            _keep(file.fileno(), file.flush)
        if digest.hexdigest() != expected:
            raise SystemExit(f"{cid} is another blob")

    in_streams(fetch, len(cids), job)
    _settle(target)


def up(job: Job) -> None:
    """Upload each of `files`, keep a copy under its CID, and write a record that names it."""
    files: list[str] = job["files"]
    target, refs = Path(job["target"]), dict[int, Any]()

    def upload(client: httpx.Client, number: int) -> None:
        headers = {**job["headers"], "content-type": job["type"]}
        content = Path(files[number]).read_bytes()
        answer = client.post(UPLOAD, content=content, headers=headers).raise_for_status()
        refs[number] = answer.json()["blob"]
        digest, copy = hashlib.sha256(), target / refs[number]["ref"]["$link"]
        with copy.open("wb") as file:
            for at in range(0, len(content), PIECE):
                digest.update(content[at : at + PIECE])
                file.write(content[at : at + PIECE])
            _keep(file.fileno(), file.flush)

    in_streams(upload, len(files), job)
    _settle(target)
    with httpx.Client(base_url=job["url"], trust_env=False, timeout=300) as client:
        for start in range(0, len(files), BATCH_WRITES):
            writes = [_created(n, refs[n], job) for n in range(len(files))[start:][:BATCH_WRITES]]
            body = {"repo": job["did"], "writes": writes}
            client.post(APPLY, json=body, headers=job["headers"]).raise_for_status()


def _created(number: int, ref: object, job: Job) -> dict[str, Any]:
    value = {"$type": job["collection"], "text": f"picture {number}", "picture": ref}
    kind = "com.atproto.repo.applyWrites#create"
    key = f"n{number:06}"
    return {"$type": kind, "collection": job["collection"], "rkey": key, "value": value}


def _keep(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)


def _settle(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    given: Job = json.load(sys.stdin)
    {"up": up, "down": down}[given["way"]](given)
