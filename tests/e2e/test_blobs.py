"""Blobs on the reference PDS: kills while they are on their way, and other bytes on the line."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncd.atproto.cid import cid_of_blob
from tests.reference.pds import ReferencePds
from tests.rigs import warm
from tests.rigs.home import Home
from tests.rigs.machine import PATIENCE_SECONDS, Machine, save

NOTE, OTHER = "com.example.note/one", "com.example.note/two"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4_000
FILE = f"{cid_of_blob(PICTURE)}.png"
NAMED = {"$type": "blob", "$file": "pictures/hill.png"}
UPLOAD, GET = "com.atproto.repo.uploadBlob", "com.atproto.sync.getBlob"
PASSED_ON = ("authorization", "content-type", "accept", "atproto-proxy")


@dataclass(slots=True)
class Between:
    """Who stands between a machine and its PDS.

    Attributes:
        halts_at: The method whose body stops in the middle, until `goes_on`.
        has_halted: Set when it stands there.
        flips: How many answers of getBlob still have one byte changed.
    """

    pds: ReferencePds
    halts_at: str = ""
    flips: int = 0
    has_halted: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def halt(self, method: str) -> None:
        """Stand still here if this is where to: whoever waits for that ends the other side."""
        if self.halts_at == method:
            self.halts_at = ""
            self.has_halted.set()
            self.goes_on.wait(PATIENCE_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """Passes one request on. `meddler` is set by a subclass."""

    protocol_version = "HTTP/1.1"
    meddler: Between

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        method = self.path.partition("/xrpc/")[2].partition("?")[0]
        size = int(self.headers.get("content-length", 0))
        body = self.rfile.read(size // 2)
        if method == UPLOAD:
            self.meddler.halt(method)
        body += self.rfile.read(size - size // 2)
        if len(body) < size:
            self.close_connection = True
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() in PASSED_ON}
        url = self.meddler.pds.url + self.path
        self._answer(
            method,
            httpx.request(
                self.command, url, content=body, headers=headers, trust_env=False, timeout=60
            ),
        )

    def _answer(self, method: str, answer: httpx.Response) -> None:
        content = answer.content
        if method == GET and self.meddler.flips:
            self.meddler.flips -= 1
            content = content[:500] + bytes([content[500] ^ 1]) + content[501:]
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("content-length", "content-encoding", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if method == GET:
            self.meddler.halt(method)
        self.wfile.write(content[half:])


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who was killed answers no more."""


@contextmanager
def between(pds: ReferencePds) -> Iterator[Between]:
    meddler = Between(pds)
    handler = type("Meddling", (Handler,), {"meddler": meddler})
    server = Server(("127.0.0.1", 0), handler)
    meddler.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield meddler
    finally:
        meddler.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def meddler(home: Home) -> Iterator[Between]:
    with between(home.pds) as found:
        yield found


def mirror_through(meddler: Between, home: Home, name: str) -> tuple[Machine, Path]:
    place = ("--pds", meddler.url, "--plc", home.pds.plc_url)
    machine, folder = Machine(home.tmp_path / name), home.tmp_path / name / "mirror"
    login = ("login", home.account.did, "--password-file", "-", *place)
    machine.ok(*login, stdin=home.account.password)
    machine.ok("clone", home.account.did, folder, *place)
    return machine, folder


def draw(folder: Path, path: str = NOTE, content: bytes = PICTURE) -> None:
    file = folder / "pictures" / "hill.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    save(folder, path, image=NAMED)


def killed(machine: Machine, folder: Path, meddler: Between, method: str) -> None:
    """Sync, and kill -9 in the middle of the body of a method."""
    meddler.halts_at = method
    meddler.has_halted.clear()
    meddler.goes_on.clear()
    process = warm.Process[bytes](
        machine.command("-C", folder, "sync"),
        env=machine.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert meddler.has_halted.wait(PATIENCE_SECONDS)
    process.kill()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    meddler.goes_on.set()


def image_of(home: Home, path: str = NOTE) -> Any:  # noqa: ANN401
    collection, rkey = path.split("/")
    params = {"repo": home.account.did, "collection": collection, "rkey": rkey}
    url = f"{home.pds.url}/xrpc/com.atproto.repo.getRecord"
    return httpx.get(url, params=params, trust_env=False, timeout=60).json()["value"]["image"]


def whole(folder: Path) -> bool:
    own = folder / ".syncd" / "blobs"
    left = list(own.iterdir()) if own.is_dir() else []
    return left == [] and (folder / "blobs" / FILE).read_bytes() == PICTURE


def test_a_kill_during_an_upload_and_during_a_download_costs_nothing(
    home: Home, meddler: Between
) -> None:
    laptop, folder = mirror_through(meddler, home, "laptop")
    draw(folder)
    killed(laptop, folder, meddler, UPLOAD)
    assert home.cid(NOTE) is None
    assert json.loads((folder / f"{NOTE}.json").read_text())["image"] == NAMED
    laptop.ok("sync", at=folder)
    assert image_of(home)["ref"] == {"$link": FILE.removesuffix(".png")}
    assert len([event for event in home.history() if event.ops]) == 1
    assert whole(folder)
    (folder / "blobs" / FILE).unlink()
    killed(laptop, folder, meddler, GET)
    assert not (folder / "blobs" / FILE).exists()
    laptop.ok("sync", at=folder)
    assert whole(folder)
    assert "1 named, 1 here" in laptop.ok("status", at=folder).out


def test_other_bytes_on_the_way_are_refused_reported_and_asked_for_again(
    home: Home, meddler: Between
) -> None:
    laptop, folder = mirror_through(meddler, home, "laptop")
    draw(folder)
    laptop.ok("sync", at=folder)
    (folder / "blobs" / FILE).unlink()
    meddler.flips = 1
    said = laptop.ok("sync", at=folder).out
    assert FILE in said
    assert "its hash" in said
    assert list((folder / "blobs").iterdir()) == []
    assert "1 named, 0 here, 1 not sent by the PDS" in laptop.ok("status", at=folder).out
    assert "syncd asks again after" in laptop.run("blob", "ls", at=folder).out
    laptop.ok("blob", "get", NOTE, at=folder)
    assert whole(folder)
    meddler.flips = 1
    # The last name of it goes: nobody loses the bytes to a bad line either.
    (folder / "blobs" / FILE).unlink()
    (folder / f"{NOTE}.json").unlink()
    laptop.ok("sync", at=folder)
    assert whole(folder)
    assert home.cid(NOTE) is None


def test_a_clone_says_which_blob_did_not_come(home: Home, meddler: Between) -> None:
    laptop, folder = mirror_through(meddler, home, "laptop")
    draw(folder)
    laptop.ok("sync", at=folder)
    place = ("--pds", meddler.url, "--plc", home.pds.plc_url)
    meddler.flips = 1
    other = Machine(home.tmp_path / "other")
    target = home.tmp_path / "other" / "mirror"
    said = other.ok("clone", home.account.did, target, "--read-only", *place).out
    assert FILE in said
    assert "its hash" in said
