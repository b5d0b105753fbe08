"""Run @alteran/astro, a PDS of another make, and give it an empty repo for each test.

Talks to the server as its operator would, and imports nothing from syncd. Never outlives its
parent's `with`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.npm import NODE, environment
from tests.reference.pds import READY_SECONDS, StartError, free_ports

from .install import QUIET, ensure_alteran

DID, HANDLE, PASSWORD = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "alice.test", "app-password"
SIGNING_KEY = "01" * 32
STOP_SECONDS = 20.0
TAIL_LINES = 15
WRANGLER = "node_modules/wrangler/bin/wrangler.js"


@dataclass(frozen=True, slots=True)
class AlteranPds:
    """A running server with its one account; `database` is what it keeps the repo in."""

    url: str
    database: Path

    def empty(self) -> None:
        """Forget the repo, then make it anew: it exists from the first write on."""
        with closing(sqlite3.connect(self.database, timeout=READY_SECONDS)) as sql, sql:
            names = sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                if not name.startswith(("_cf", "d1_", "sqlite")):
                    sql.execute(f'DELETE FROM "{name}"')
        with httpx.Client(
            base_url=f"{self.url}/xrpc", trust_env=False, verify=False, timeout=60
        ) as http:
            login = {"identifier": DID, "password": PASSWORD}
            session = http.post("/com.atproto.server.createSession", json=login)
            token = session.raise_for_status().json()["accessJwt"]
            first = {"repo": DID, "collection": "com.example.first", "rkey": "first"}
            record = {"$type": first["collection"]}
            self._call(http, "putRecord", token, {**first, "record": record})
            self._call(http, "deleteRecord", token, first)

    def _call(
        self, http: httpx.Client, method: str, token: str, body: Mapping[str, object]
    ) -> None:
        headers = {"authorization": f"Bearer {token}"}
        http.post(f"/com.atproto.repo.{method}", json=body, headers=headers).raise_for_status()


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
        url = _answering(f"http://127.0.0.1:{port}", process, log)
        (database,) = (
            file
            for file in directory.glob(".wrangler/state/v3/d1/*/*.sqlite")
            if file.stem != "metadata"
        )
        yield AlteranPds(url, database)
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
    secrets = ("REFRESH_TOKEN", "REFRESH_TOKEN_SECRET", "ACCESS_TOKEN", "SESSION_JWT_SECRET")
    settings = {
        "PDS_DID": DID,
        "PDS_HANDLE": HANDLE,
        "PDS_HOSTNAME": f"localhost:{port}",
        "USER_PASSWORD": PASSWORD,
        "REPO_SIGNING_KEY": SIGNING_KEY,
        "PDS_RELAY_NOTIFY": "false",
        "PDS_RELAY_HOSTS": "",
        "PDS_RATE_LIMIT_PER_MIN": "100000",
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
