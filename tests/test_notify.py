"""sd_notify: what is sent, to whom, and that nothing fails where nobody listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.notify import Notifier, find_notifier


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def find(listening: socket.socket, **more: str) -> Notifier:
    return find_notifier({"NOTIFY_SOCKET": listening.getsockname(), **more})


def test_each_word_is_one_datagram(heard: socket.socket) -> None:
    notifier = find(heard, WATCHDOG_USEC="1500000")
    assert notifier.watchdog_seconds == 1.5
    notifier.ready()
    notifier.status("two\nlines")
    notifier.stopping()
    notifier.alive()
    words = [heard.recv(4096).decode() for _ in range(4)]
    assert words == ["READY=1", "STATUS=two lines", "STOPPING=1", "WATCHDOG=1"]


def test_a_reload_says_when_it_began(heard: socket.socket) -> None:
    find(heard).reloading()
    first, second = heard.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    assert second.removeprefix("MONOTONIC_USEC=").isdecimal()


def test_an_abstract_socket_is_found() -> None:
    name = f"syncd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(10)
        find_notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(4096) == b"READY=1"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/nowhere/at/all"},
        {"NOTIFY_SOCKET": "/" + "x" * 200},
        {"WATCHDOG_USEC": "soon"},
    ],
)
def test_where_nobody_listens_nothing_fails(environ: dict[str, str]) -> None:
    notifier = find_notifier(environ)
    assert notifier.watchdog_seconds is None
    notifier.ready()
    notifier.alive()
    notifier.status("well")


def test_a_watchdog_of_another_process_is_not_fed(heard: socket.socket) -> None:
    other = find(heard, WATCHDOG_USEC="1000000", WATCHDOG_PID=str(os.getpid() + 1))
    assert other.watchdog_seconds is None
    other.alive()
    other.ready()
    assert heard.recv(4096) == b"READY=1"
    ours = find(heard, WATCHDOG_USEC="1000000", WATCHDOG_PID=str(os.getpid()))
    assert ours.watchdog_seconds == 1
