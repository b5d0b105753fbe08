"""Clients that others wrote find on the sandbox what they ask for, with no word about syncd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.peers.install import ensure_installed
from syncd.atproto.cid import cid_of_blob
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.http.server import start
from tests.npm import NODE
from tests.rigs.machine import PATIENCE_SECONDS

CLIENTS = Path(__file__).parent / "clients"
FILES = ("package.json", "package-lock.json", "api.mjs", "atcute.mjs")

Served = tuple[str, Login]


@pytest.fixture
def served() -> Iterator[Served]:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        yield running.url, login


def check_what_it_found(client: Sequence[str | Path], served: Served) -> None:
    url, login = served
    command = [*client, url, login.did, login.password]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    link = str(cid_of_blob(b"hello from afar"))
    assert json.loads(ran.stdout) == {
        "blob": link,
        "is the record": True,
        "text": "one",
        "records": ["one"],
        "blobs": [link],
        "bytes": "hello from afar",
        "missing": 0,
        "repos": [login.did],
        "head": True,
        "is active": True,
        "app passwords": ["syncd"],
        "token": 3,
    }


def test_the_python_sdk_finds_what_it_asks_for(served: Served) -> None:
    check_what_it_found([sys.executable, CLIENTS / "scenario.py"], served)


@pytest.mark.tools
@pytest.mark.parametrize("script", ["api.mjs", "atcute.mjs"])
def test_a_client_from_npm_finds_what_it_asks_for(script: str, served: Served) -> None:
    installed = ensure_installed(CLIENTS, FILES, "clients")
    check_what_it_found([NODE, installed / script], served)
