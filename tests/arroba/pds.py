"""Run arroba with one repo in memory, and give it a fresh repo for each test.

Talks to the server as its operator would, and imports nothing from syncd. Never outlives its
parent: the server leaves when its stdin closes.
"""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.reference.pds import READY_SECONDS, StartError, end, free_ports

from .install import ensure_installed

APP = Path(__file__).with_name("app.py")
PASSWORD = "app-password"
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Account:
    """The one account of the server; `key` is a did:key."""

    did: str
    handle: str
    key: str
    password: str = PASSWORD


@dataclass(frozen=True, slots=True)
class ArrobaPds:
    """A running server; it answers for DIDs, too."""

    url: str

    def new_account(self) -> Account:
        """Make another repo; that of before is gone."""
        made = httpx.post(f"{self.url}/_new", timeout=READY_SECONDS, trust_env=False, verify=False)
        return Account(**made.raise_for_status().json())

    def set_active(self, *, is_active: bool) -> None:
        """Deactivate the repo, or make it active again."""
        url, seconds = f"{self.url}/_active", READY_SECONDS
        done = httpx.post(url, json=is_active, timeout=seconds, trust_env=False, verify=False)
        done.raise_for_status()


@contextmanager
def running(directory: Path) -> Iterator[ArrobaPds]:
    """Install arroba if need be and serve a repo by it; what it says goes to a log in `directory`.

    Raises:
        InstallError: It could not be installed.
        StartError: It ended, or was not ready in time; no process is left.
    """
    port, _ = free_ports()
    log = directory / "arroba.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [str(ensure_installed()), str(APP), str(port)],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        if not readable or not process.stdout.readline():
            tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise StartError("\n".join(["arroba did not start:", *tail]))
        yield ArrobaPds(_answering(f"http://127.0.0.1:{port}"))
    finally:
        end(process)


def _answering(url: str) -> str:
    """Return `url` as soon as it answers. Raises StartError."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            httpx.get(
                f"{url}/xrpc/com.atproto.server.describeServer", trust_env=False, verify=False
            )
            return url
        time.sleep(0.05)
    raise StartError(f"arroba does not answer at {url}")
