"""Accounts with repos of any size on the reference PDS, and mirrors of them with their daemons."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from websockets.sync.client import ClientConnection, connect

from bench.disk import fresh_disk
from bench.measure import Failed, run
from bench.repos import owned_by
from bench.stage import Stage, User, cache_directory
from syncd.atproto.firehose import CommitEvent, parse_frame
from syncd.atproto.syntax import Did, tid_microseconds
from tests.reference.pds import Account, ReferencePds
from tests.rigs.machine import Daemon

NOTE = "com.example.note"
LARGEST_IMPORT = 1_000_000_000
"""Bytes: without a word about it the PDS refuses a repo of 100,000 records."""
LARGEST_BLOB = 100_000_000
"""Bytes: without a word about it the PDS refuses more than 5 MB."""
LONG_SECONDS = 1_200.0
"""For what grows with a repo: an import, a first look at all files, thousands of pushes."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A mirror of one account, somebody who writes to that account, and where it is hosted."""

    pds: ReferencePds
    account: Account
    user: User
    other: httpx.Client

    @property
    def folder(self) -> Path:
        return self.user.home / "mirror"

    @property
    def did(self) -> str:
        return self.account.did

    def clone(self) -> None:
        place = ("--pds", self.pds.url, "--plc", self.pds.plc_url)
        login = ("login", self.did, *place, "--password-file", "-")
        self.user.machine.ok(*login, stdin=self.account.password)
        run(self.user.syncd("clone", self.did, self.folder, *place))

    def put(self, rkey: str, text: str) -> tuple[float, float]:
        """One bare putRecord of a note: when it was sent, and when it was answered."""
        record = {"$type": NOTE, "text": text}
        body = {"repo": self.did, "collection": NOTE, "rkey": rkey, "record": record}
        began = time.perf_counter()
        self.other.post("/xrpc/com.atproto.repo.putRecord", json=body).raise_for_status()
        return began, time.perf_counter()

    def import_repo(self, source: Path) -> None:
        """Put the records of a repo into this one. The write after it has the PDS sign them."""
        self.other.post(
            "/xrpc/com.atproto.repo.importRepo",
            content=owned_by(Did(self.did), source),
            headers={"content-type": "application/vnd.ipld.car"},
            timeout=LONG_SECONDS,
        ).raise_for_status()
        self.put("first", "after the import")


@contextmanager
def reference(stage: Stage, *, apart: bool = False) -> Iterator[ReferencePds]:
    """Start a reference PDS. `apart`: on a disk of its own, where this machine may make one.

    It is another machine in life. On the disk of a mirror, that waits for what the PDS has written.
    """
    if stage.pds is not None:
        yield stage.pds
        return
    with (
        fresh_disk(cache_directory()) if apart else nullcontext(None) as disk,
        _started(stage.directory("pds") if disk is None else disk) as pds,
    ):
        yield pds


@contextmanager
def _started(place: Path) -> Iterator[ReferencePds]:
    settings = {
        "PDS_MAX_REPO_IMPORT_SIZE": str(LARGEST_IMPORT),
        "PDS_BLOB_UPLOAD_LIMIT": str(LARGEST_BLOB),
    }
    with redirect_stdout(sys.stderr), ReferencePds.start(place, env=settings) as pds:
        yield pds


@contextmanager
def hosted(stage: Stage, pds: ReferencePds, name: str) -> Iterator[Hosted]:
    """A fresh account, and a home with nothing in it."""
    account = pds.create_account()
    with pds.client(account) as other:
        yield Hosted(pds, account, User(stage.directory(name)), other)


@contextmanager
def watching(mirror: Hosted, *flags: str) -> Iterator[Daemon]:
    """The daemon of a mirror, once it has looked at everything. What it says is kept in a file."""
    log = mirror.user.home / "run.log"
    command = mirror.user.syncd(*flags, "run", mirror.folder)
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(map(str, command.words)),
            env=dict(command.env or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    daemon = Daemon(process, log)
    try:
        _wait_for(daemon, "watching")
        mirror.put("first", "a first cycle brings it")
        wait_for_text(mirror.folder / NOTE / "first.json", "a first cycle brings it")
        yield daemon
    finally:
        process.terminate()
        process.wait()


def _wait_for(daemon: Daemon, words: str) -> None:
    ends = time.monotonic() + LONG_SECONDS
    while words not in daemon.said():
        if daemon.is_over() or time.monotonic() > ends:
            raise Failed(f"the daemon did not say {words!r}: {daemon.said()[-2_000:]}")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Stream:
    """When each record of each account was last named by the PDS's own stream.

    `made` is when its commit was made, in seconds of the wall clock, as its rev says: the stream of
    the reference PDS is some 100 ms behind that.
    """

    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    made: dict[tuple[str, str], float] = field(default_factory=dict)
    more: threading.Condition = field(default_factory=threading.Condition)
    is_over: threading.Event = field(default_factory=threading.Event)

    def listen(self, socket: ClientConnection) -> None:
        """Until it is closed. Who waits for a record then hears so."""
        try:
            for frame in socket:
                self._note(frame if isinstance(frame, bytes) else frame.encode())
        finally:
            with self.more:
                self.is_over.set()
                self.more.notify_all()

    def _note(self, frame: bytes) -> None:
        now, event = time.perf_counter(), parse_frame(frame)
        if isinstance(event, CommitEvent):
            with self.more:
                at = tid_microseconds(event.rev) / 1_000_000
                self.made.update({(event.repo, op.path): at for op in event.ops})
                self.seen.update({(event.repo, op.path): now for op in event.ops})
                self.more.notify_all()

    def when(self, did: str, path: str, since: float) -> float:
        """When a record was named, at or after `since`."""
        return self.when_all(did, [path], since)

    def when_all(self, did: str, paths: Sequence[str], since: float) -> float:
        """When the last of these records was named."""

        def times() -> list[float]:
            return [self.seen.get((did, path), 0.0) for path in paths]

        def is_decided() -> bool:
            return self.is_over.is_set() or min(times()) >= since

        with self.more:
            self.more.wait_for(is_decided, LONG_SECONDS)
            if late := sum(time < since for time in times()):
                end = ": its stream ended" if self.is_over.is_set() else ""
                raise Failed(f"{late} of {len(paths)} records did not reach the PDS{end}")
            return max(times())


@contextmanager
def witness(pds: ReferencePds) -> Iterator[Stream]:
    stream = Stream()
    url = f"{pds.url.replace('http', 'ws', 1)}/xrpc/com.atproto.sync.subscribeRepos"
    # A PDS that imports a repo answers no ping for longer than a client waits for it.
    with connect(url, max_size=None, proxy=None, ping_interval=None) as socket:
        thread = threading.Thread(target=stream.listen, args=(socket,), daemon=True)
        thread.start()
        yield stream
    thread.join()


def wait_for_text(path: Path, text: str) -> float:
    """When a file had some text in it."""
    needle, ends = text.encode(), time.perf_counter() + LONG_SECONDS
    while not (path.exists() and needle in path.read_bytes()):
        if time.perf_counter() > ends:
            raise Failed(f"{path} did not come")
        time.sleep(0.0005)
    return time.perf_counter()
