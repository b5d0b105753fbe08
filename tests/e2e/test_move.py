"""An account that moves to another PDS while a daemon mirrors it: the daemon follows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from syncd.atproto.data import Record
from syncd.atproto.syntax import Did
from syncd.atproto.xrpc import WriteOp
from syncd.model import RecordPath, split_record_path
from syncd.sandbox import Sandbox
from syncd.sandbox.accounts import did_document
from syncd.sandbox.http.server import start
from tests.rigs.machine import Machine, wait_until

ONE, TWO, THREE = (RecordPath(f"com.example.note/{name}") for name in ("one", "two", "three"))


@dataclass(slots=True)
class Directory:
    """A PLC directory with one entry, whose PDS a test can change."""

    sandbox: Sandbox
    did: Did
    pds: str = ""
    url: str = ""

    def document(self) -> bytes:
        return json.dumps(did_document(self.sandbox.accounts.get(self.did), self.pds)).encode()

    @contextmanager
    def served(self) -> Iterator[Directory]:
        directory = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = directory.document()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def write(sandbox: Sandbox, did: Did, path: RecordPath, n: int) -> None:
    collection, rkey = split_record_path(path)
    record: Record = {"$type": str(collection), "n": n}
    sandbox.repo(did).apply([WriteOp("create", collection, rkey, record)])


def test_a_daemon_follows_its_account_to_another_pds(tmp_path: Path) -> None:
    sandbox = Sandbox()
    did = sandbox.create_account("alice").did
    write(sandbox, did, ONE, 1)
    machine = Machine(tmp_path / "laptop")
    folder = machine.home / "mirror"
    with Directory(sandbox, did).served() as directory, start(sandbox) as new:
        old = start(sandbox)
        directory.pds = old.url
        machine.ok("clone", did, folder, "--plc", directory.url, "--read-only")
        with (folder / "syncd.toml").open("a", encoding="utf-8") as settings:
            settings.write("\n[run]\npoll_seconds = 0.2\n")
        with machine.daemon(folder) as daemon:
            write(sandbox, did, TWO, 2)
            wait_until((folder / f"{TWO}.json").exists, "the pull from the old PDS")
            directory.pds = new.url
            old.stop()
            write(sandbox, did, THREE, 3)
            # While the old PDS is only unreachable, the directory is asked once a minute.
            with start(Sandbox(), urlsplit(old.url).port or 0):
                wait_until((folder / f"{THREE}.json").exists, "the pull from the new PDS")
            assert not daemon.is_over()
        assert f"moved from {old.url} to {new.url}" in daemon.said()
        account = machine.ok("status", "--json", at=folder).json["account"]
        assert account["pds"] == new.url
        assert (folder / f"{ONE}.json").exists()
        machine.ok("verify", at=folder)
