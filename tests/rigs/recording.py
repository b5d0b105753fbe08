"""A server that wants secrets: it shows what another server shows, and records all that it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.rigs.machine import PATIENCE_SECONDS


@dataclass(slots=True)
class Recorder:
    """Reads are those of `behind`, DID documents name this server, and every write is refused.

    Attributes:
        behind: The origin whose public reads are shown.
        url: The origin of this server.
        requests: Method and target of each request that came.
        heard: Every byte that came, headers and bodies.
        place: What a DID document served here names as the PDS; this server if empty.
    """

    behind: str
    url: str = ""
    requests: list[str] = field(default_factory=list)
    heard: bytes = b""
    place: str = ""

    @property
    def writes(self) -> list[str]:
        return [request for request in self.requests if request.startswith("POST")]

    def learned(self, *secrets: str) -> list[str]:
        """Which of these came here, in whatever request."""
        return [secret for secret in secrets if secret.encode() in self.heard]

    def answer_read(self, target: str) -> tuple[int, dict[str, str], bytes]:
        answer = httpx.get(
            f"{self.behind}{target}", trust_env=False, verify=False, timeout=PATIENCE_SECONDS
        )
        body = answer.content
        if target.startswith("/did:"):
            body = body.replace(self.behind.encode(), (self.place or self.url).encode())
        return answer.status_code, {"content-type": answer.headers["content-type"]}, body

    def answer_write(self, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Take a password as if it were right, and refuse everything else."""
        if target.endswith("createSession"):
            did = json.loads(body)["identifier"]
            made = {"did": did, "handle": "alice.test", "accessJwt": "x.y.z", "refreshJwt": "r"}
            return 200, {"content-type": "application/json"}, json.dumps(made).encode()
        said = json.dumps({"error": "ExpiredToken", "message": "no"}).encode()
        return 400, {"content-type": "application/json"}, said


@contextmanager
def recording(behind: str) -> Iterator[Recorder]:
    recorder = Recorder(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._hear(b"")
            self._answer(recorder.answer_read(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._hear(body)
            self._answer(recorder.answer_write(self.path, body))

        def _hear(self, body: bytes) -> None:
            recorder.requests.append(f"{self.command} {self.path}")
            recorder.heard += self.path.encode() + bytes(self.headers) + body

        def _answer(self, answer: tuple[int, dict[str, str], bytes]) -> None:
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        recorder.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
