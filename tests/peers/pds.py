"""Run @alteran/astro, a PDS of another make, and give it an empty repo for each test.

Talks to the server as its operator would, and imports nothing from syncd. Never outlives its
parent's `with`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.npm import NODE, environment
from tests.reference.pds import READY_SECONDS, StartError, free_ports

from .install import QUIET, ensure_alteran

DID, HANDLE, PASSWORD = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "alice.test", "app-password"
SIGNING_KEY = "01" * 32
SESSION_SECRET = "the secret of the tokens of sessions".ljust(40, "-")
OF_THE_DATABASE = ("_cf", "d1_", "sqlite")
STOP_SECONDS = 20.0
TAIL_LINES = 15
WRANGLER = "node_modules/wrangler/bin/wrangler.js"


@dataclass(frozen=True, slots=True)
class AlteranPds:
    """A running server with its one account."""

    url: str

    def empty(self) -> None:
        """Forget the repo, then make it anew: it exists from the first write on."""
        found = self._run("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [name for row in found[0] if not (name := row["name"]).startswith(OF_THE_DATABASE)]
        self._run(*(f'DELETE FROM "{name}"' for name in names))
        with self._client() as http:
            login = {"identifier": DID, "password": PASSWORD}
            session = http.post("/xrpc/com.atproto.server.createSession", json=login)
            token = session.raise_for_status().json()["accessJwt"]
            http.headers["authorization"] = f"Bearer {token}"
            first = {"repo": DID, "collection": "com.example.first", "rkey": "first"}
            record = {"$type": first["collection"]}
            self._call(http, "putRecord", {**first, "record": record})
            self._call(http, "deleteRecord", first)

    def set_status(self, status: str | None) -> None:
        """Have the account be `status`, or active: there is no other way than its database."""
        named = "NULL" if status is None else f"'{status}'"
        self._run(
            "INSERT OR REPLACE INTO account_state (did, active, status, created_at)"
            f" VALUES ('{DID}', {int(status is None)}, {named}, 0)"
        )

    def _run(self, *statements: str) -> list[list[dict[str, str]]]:
        """Run SQL in one transaction of the server itself; return the rows of each statement."""
        with self._client() as http:
            answer = http.post("/rig", json=statements).raise_for_status()
        rows: list[list[dict[str, str]]] = answer.json()
        return rows

    def _call(self, http: httpx.Client, method: str, body: Mapping[str, object]) -> None:
        http.post(f"/xrpc/com.atproto.repo.{method}", json=body).raise_for_status()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, verify=False, timeout=READY_SECONDS)


@contextmanager
def running(directory: Path) -> Iterator[AlteranPds]:
    """Install it if need be and serve a repo by it; what it says goes to a log in `directory`.

    Raises:
        InstallError: It could not be installed.
        StartError: It ended, or was not ready in time; no process is left.
    """
    port, inspector = free_ports()
    prepare(directory, ensure_alteran(), port)
    ports = ("--port", str(port), "--inspector-port", str(inspector))
    log = directory / "alteran.log"
    with log.open("wb") as out:
        command = [str(NODE), WRANGLER, "dev", "--local", "--ip", "127.0.0.1", *ports]
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**environment(), **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield AlteranPds(_answering(f"http://127.0.0.1:{port}", process, log))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def prepare(directory: Path, project: Path, port: int) -> None:
    """Lay out a project directory of its own beside what is installed, with an empty database."""
    for name in ("node_modules", "dist"):
        (directory / name).symlink_to(project / name)
    shutil.copy(project / "wrangler.jsonc", directory)
    secrets = ("REFRESH_TOKEN", "REFRESH_TOKEN_SECRET", "ACCESS_TOKEN")
    settings = {
        "PDS_DID": DID,
        "PDS_HANDLE": HANDLE,
        "PDS_HOSTNAME": f"localhost:{port}",
        "USER_PASSWORD": PASSWORD,
        "REPO_SIGNING_KEY": SIGNING_KEY,
        "PDS_RELAY_NOTIFY": "false",
        "PDS_RELAY_HOSTS": "",
        "PDS_RATE_LIMIT_PER_MIN": "100000",
        "SESSION_JWT_SECRET": SESSION_SECRET,
        **{name: name.lower().ljust(40, "-") for name in secrets},
    }
    lines = [f"{name}={json.dumps(value)}\n" for name, value in settings.items()]
    (directory / ".dev.vars").write_text("".join(lines), encoding="utf-8")
    migrate = [str(NODE), WRANGLER, "d1", "migrations", "apply", "alteran", "--local"]
    subprocess.run(
        migrate,
        cwd=directory,
        env={**environment(), **QUIET},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )


def _answering(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """Return `url` as soon as it answers. Raises StartError."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/health", trust_env=False, verify=False, timeout=30)
            return url
        time.sleep(0.2)
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    raise StartError("\n".join(["alteran did not start:", *tail]))
