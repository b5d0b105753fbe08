"""`syncd run` before its daemon is up."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.rigs.machine import Machine
from tests.rigs.mirrors import make_mirror, silent_server, url_of


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_nobody_says_whose_account_it_is(
    tmp_path: Path, signum: signal.Signals
) -> None:
    """Without the signal, or with one that waits, this ends with 69 once the request times out."""
    with silent_server() as server:
        folders = [make_mirror(tmp_path / name, plc=url_of(server)) for name in ("one", "two")]
        server.settimeout(60)
        with Machine(tmp_path / "home").daemon(*folders) as daemon:
            asked = [server.accept()[0] for _ in folders]
            assert daemon.end(signum) == 0
            assert "syncd:" not in daemon.said()
        for connection in asked:
            connection.close()
