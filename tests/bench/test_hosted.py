"""Whoever waits for a record to be named by a stream hears at once that the stream ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest
from websockets.sync.client import ClientConnection

from bench.hosted import Stream
from bench.measure import Failed


class Cut:
    """A connection that is cut once a test waits for a record."""

    def __init__(self, waits: threading.Event) -> None:
        self.waits = waits

    def __iter__(self) -> Iterator[bytes]:
        self.waits.wait()
        raise ConnectionError("no answer to a ping")
        yield b""


def test_a_stream_that_is_cut_ends_the_wait() -> None:
    stream, waits = Stream(), threading.Event()

    def listen() -> None:
        with pytest.raises(ConnectionError):
            stream.listen(cast("ClientConnection", Cut(waits)))

    thread = threading.Thread(target=listen)
    thread.start()
    threading.Timer(0.1, waits.set).start()
    with pytest.raises(Failed, match="its stream ended"):
        stream.when("did:plc:a", "com.example.note/a", 1.0)
    thread.join()


def test_a_record_that_was_named_before_the_stream_ended_is_found() -> None:
    stream = Stream(seen={("did:plc:a", "com.example.note/a"): 2.0})
    stream.is_over.set()
    assert stream.when("did:plc:a", "com.example.note/a", 1.0) == 2.0
