"""A mirror as `clone` leaves it, for commands that need no PDS or must not wait for one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.atproto.syntax import Did
from syncd.config import Config, render_config
from syncd.folder.root import initialise
from syncd.state import create_state

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
MARKER = "0123456789abcdef"


def make_mirror(root: Path, *, plc: str = "http://127.0.0.1:1", did: Did = DID) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    initialise(root, MARKER)
    create_state(root / ".syncd" / "state.db", did=did, marker=MARKER).close()
    config = Config(did, plc=plc, pds=plc, read_only=True)
    (root / "syncd.toml").write_text(render_config(config), encoding="utf-8")
    return root


@contextmanager
def silent_server() -> Iterator[socket.socket]:
    """Takes connections (as `accept` tells) and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"
