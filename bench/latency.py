"""How long a change takes, either way, on the reference PDS: `python -m bench.latency [COUNT]`.

Each round measures a foreign write until its file is on disk, a saved file until its commit is on
the stream, and with them one bare putRecord and the stream's own delay, so that all of them meet
the same machine. Prints medians and 95th percentiles in milliseconds, and a JSON object of them;
what the daemon says goes to stderr.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from syncd.atproto.firehose import CommitEvent, parse_frame
from tests.e2e.machine import Machine, save
from tests.reference.pds import Account, ReferencePds

NOTE = "com.example.note"
QUIET_SECONDS = 0.4
LONG = 60.0


@dataclass(frozen=True, slots=True)
class Stream:
    """When each record was first named by the PDS's own stream."""

    seen: dict[str, float] = field(default_factory=dict)
    more: threading.Condition = field(default_factory=threading.Condition)

    def listen(self, url: str, ready: threading.Event) -> None:
        with connect(f"{url.replace('http', 'ws', 1)}/xrpc/com.atproto.sync.subscribeRepos") as ws:
            ready.set()
            try:
                for frame in ws:
                    self._note(frame if isinstance(frame, bytes) else frame.encode())
            except ConnectionClosed:
                return

    def _note(self, frame: bytes) -> None:
        now, event = time.perf_counter(), parse_frame(frame)
        if isinstance(event, CommitEvent):
            with self.more:
                for op in event.ops:
                    self.seen.setdefault(op.path, now)
                self.more.notify_all()

    def when(self, path: str) -> float:
        with self.more:
            assert self.more.wait_for(lambda: path in self.seen, LONG), path
            return self.seen[path]


@dataclass(frozen=True, slots=True)
class Bench:
    """A running daemon, another client, and a witness."""

    folder: Path
    other: httpx.Client
    did: str
    stream: Stream

    def put(self, rkey: str) -> tuple[float, float]:
        """One bare putRecord: when it was sent, and when it was answered."""
        record = {"$type": NOTE, "text": rkey}
        body = {"repo": self.did, "collection": NOTE, "rkey": rkey, "record": record}
        began = time.perf_counter()
        self.other.post("/xrpc/com.atproto.repo.putRecord", json=body).raise_for_status()
        return began, time.perf_counter()

    def round(self, n: int) -> dict[str, float]:
        """Seconds of everything, once."""
        time.sleep(QUIET_SECONDS)
        sent, answered = self.put(f"f{n}")
        file = wait_for_file(self.folder / NOTE / f"f{n}.json")
        heard = self.stream.when(f"{NOTE}/f{n}")
        time.sleep(QUIET_SECONDS)
        saved = time.perf_counter()
        save(self.folder, f"{NOTE}/s{n}", text=str(n))
        committed = self.stream.when(f"{NOTE}/s{n}")
        return {
            "bare putRecord": answered - sent,
            "foreign write -> the stream": heard - sent,
            "foreign write -> file on disk": file - sent,
            "file saved -> commit on the stream": committed - saved,
        }


def wait_for_file(path: Path) -> float:
    deadline = time.perf_counter() + LONG
    while not path.exists():
        assert time.perf_counter() < deadline, path
        time.sleep(0.0005)
    return time.perf_counter()


@contextmanager
def running(pds: ReferencePds, account: Account, home: Path) -> Iterator[Bench]:
    """A daemon of `account` that has come to rest, everything else beside it."""
    machine, stream, ready = Machine(home), Stream(), threading.Event()
    urls = ("--pds", pds.url, "--plc", pds.plc_url)
    machine.ok("login", account.did, *urls, "--password-file", "-", stdin=account.password)
    machine.ok("clone", account.did, "mirror", *urls)
    threading.Thread(target=stream.listen, args=(pds.url, ready), daemon=True).start()
    assert ready.wait(LONG)
    with machine.daemon(home / "mirror") as daemon, pds.client(account) as other:
        daemon.wait_for("watching")
        bench = Bench(home / "mirror", other, account.did, stream)
        bench.put("first")
        wait_for_file(bench.folder / NOTE / "first.json")
        yield bench


def main(count: int) -> None:
    with (
        redirect_stdout(sys.stderr),
        tempfile.TemporaryDirectory() as home,
        ReferencePds.start(Path(home, "pds")) as pds,
        running(pds, pds.create_account(), Path(home, "user")) as bench,
    ):
        rounds = [bench.round(n) for n in range(count)]
    figures = {name: [r[name] * 1000 for r in rounds] for name in rounds[0]}
    table = {name: (statistics.median(ms), quantile(ms)) for name, ms in figures.items()}
    for name, (median, p95) in table.items():
        print(f"{name:<36} median {median:7.1f} ms   p95 {p95:7.1f} ms")
    print(json.dumps({name: {"median": m, "p95": p} for name, (m, p) in table.items()}))


def quantile(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
