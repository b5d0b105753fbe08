"""Whatever a server sends, a sync takes little memory, ends, and leaves the mirror as it was."""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path

import pytest

from syncd.atproto.car import section_of, write_car
from syncd.atproto.cid import cid_of_block
from tests.chance import IS_STRESS
from tests.cycle.observe.hostile import KEY, rev_of
from tests.rigs.mirrors import DID, make_mirror

MOST_BYTES = 300 * 1024 * 1024 if IS_STRESS else 140 * 1024 * 1024
"""The most memory of the process. Less than is sent, where less is sent."""
SENT_BYTES = 1_000_000_000 if IS_STRESS else 150_000_000

Body = Callable[[], Iterable[bytes]]
CAR = "application/vnd.ipld.car"
JSON = "application/json"


def document(url: str) -> dict[str, object]:
    key = KEY.public.did_key.removeprefix("did:key:")
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": url}
    method = {"id": f"{DID}#atproto", "type": "Multikey", "controller": DID}
    return {
        "id": DID,
        "alsoKnownAs": [],
        "verificationMethod": [{**method, "publicKeyMultibase": key}],
        "service": [service],
    }


def latest() -> Iterator[bytes]:
    yield json.dumps({"cid": str(cid_of_block(b"commit")), "rev": rev_of(1)}).encode()


def junk(size: int) -> Iterator[bytes]:
    """Blocks of `size` bytes that nothing links to, each another, in a CAR with a root."""
    yield from write_car([cid_of_block(b"commit")], ())
    together = max(1, 100_000 // size)
    for start in range(0, min(SENT_BYTES // size, 1_000_000), together):
        blocks = [n.to_bytes(8, "big") + bytes(size - 8) for n in range(start, start + together)]
        yield b"".join(section_of(cid_of_block(block), block) for block in blocks)


def dense(unit: bytes) -> Iterator[bytes]:
    yield b'{"a":['
    yield from repeat(unit * 10_000, 15_900_000 // len(unit) // 10_000)
    yield b"0]}"


def bomb() -> Iterator[bytes]:
    """Yield 400 MB of zeros as gzip has them: 100 times what is compressed once."""
    zeros, times, total = bytes(4_000_000), 100, 0
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(times):
        total = zlib.crc32(zeros, total)
    yield gzip.compress(b"")[:10] + packed * times + b"\x03\x00"
    yield struct.pack("<II", total, len(zeros) * times)


def trailing() -> Iterator[bytes]:
    yield gzip.compress(b"{}")
    yield from repeat(bytes(1_000_000), SENT_BYTES // 1_000_000)


HOSTILE: dict[str, tuple[str, str, Body]] = {
    "large blocks": ("getRepo", CAR, lambda: junk(1_000_000)),
    **({"small blocks": ("getRepo", CAR, lambda: junk(16))} if IS_STRESS else {}),
    "zeros": ("getRepo", CAR, lambda: repeat(bytes(1_000_000), 150)),
    "a bomb for a CAR": ("getRepo", f"{CAR}\r\ncontent-encoding: gzip", bomb),
    "more behind a compressed answer": ("Latest", f"{JSON}\r\ncontent-encoding: gzip", trailing),
    "a bomb for JSON": ("Latest", f"{JSON}\r\ncontent-encoding: gzip", bomb),
    "empty objects": ("Latest", JSON, lambda: dense(b"{},")),
    "empty lists": ("Latest", JSON, lambda: dense(b"[],")),
    "deep lists": ("Latest", JSON, lambda: repeat(b"[" * 1_000_000, 15)),
    "headers": ("Latest", "", lambda: repeat(b"x-a: " + b"a" * 9_000 + b"\r\n", 20_000)),
}


@contextmanager
def serving(name: str) -> Iterator[str]:
    """Answer as an honest server does, but for one method."""
    method, kind, body = HOSTILE[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        answered: list[bytes] = []

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                words = connection.recv(65_536).split(b" ")[1]
                answered.append(words)
                if answered.count(words) > 1:
                    return  # once is enough: a repeated request gets no answer
                connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n")
                if method.encode() in words:
                    end = f"content-type: {kind}\r\n\r\n" if kind else ""
                    connection.sendall(end.encode())
                    for piece in body():
                        connection.sendall(piece)
                    return
                said = b"".join(latest()) if b"Latest" in words else b""
                said = said or json.dumps(document(url)).encode()
                connection.sendall(b"content-type: application/json\r\n\r\n" + said)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    answer(server.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        yield url
        server.shutdown(socket.SHUT_RDWR)


MEASURED = """
import re, sys
from pathlib import Path
from syncd.cli import main
try:
    main()
finally:
    peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    print("peak", peak[1], file=sys.stderr)
"""
"""The command, and what it used at most, in kilobytes. (`ru_maxrss` counts the parent's too.)"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sync_takes_little_memory_and_ends(name: str, tmp_path: Path) -> None:
    with serving(name) as url:
        root = make_mirror(tmp_path / "mirror", plc=url)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "-C", str(root), "sync"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stderr=subprocess.PIPE,
            check=False,
        )
    said, _, peak = done.stderr.decode().rpartition("peak ")
    assert "Traceback" not in said
    assert done.returncode in (1, 69), said
    assert int(peak) * 1024 < MOST_BYTES, (peak, said)
    assert sorted(path.name for path in (root / ".syncd").glob("*.car")) == []
