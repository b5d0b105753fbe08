"""S15 and S16: blobs up and down, beside a bare loop of as many streams; what they cost besides.

The loop (bare.py) is a process too. Down, it knows every name before it begins. Up, it reads the
same files, writes the same records in the same batches, and keeps a copy of each file, as syncd
does; it is logged in, and looks at nothing first. Either way what it wrote is hashed and durable.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.hosted import NOTE, Hosted, hosted, reference
from bench.measure import Command, Failed, Spent, alternate, ratio, run, walls
from bench.outcome import Check, Outcome
from bench.stage import Stage, remove
from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import Record
from syncd.atproto.syntax import Did, Nsid, Rkey
from syncd.atproto.xrpc import WriteOp, apply_writes
from syncd.blobs.streams import STREAMS
from syncd.config import Config
from syncd.cycle.blobs.rounds import YOUNG_NS
from syncd.folder.names import BLOBS
from syncd.sandbox import Sandbox
from tests.reference.pds import ReferencePds
from tests.rigs.device import Device, World, close_all, rework

BARE = Path(__file__).with_name("bare.py")
UP, DOWN = "syncd sync", "syncd blob get --all"
LOOP_UP, LOOP_DOWN = "bare loop up", "bare loop down"
SMALL, LARGE = "a small blob", "a large one"
TYPE = "image/png"
BYTES = 1_000_000
BLOBS_OF, LOOKED_OF, LARGE_OF = 500, 10, 500
"""Of 100,000 records: 200 blobs, a look at 10,000, and 500 bytes of the large one for each."""
BATCH_WRITES = 200


def picture(number: int, size: int = BYTES) -> bytes:
    """The bytes of one blob, a PNG with all its pixels in one chunk; no two are alike."""
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", bytes(13))
    tail = _chunk(b"IEND", b"")
    pixels = max(8, size - len(head) - len(tail) - len(_chunk(b"IDAT", b"")))
    return head + _chunk(b"IDAT", number.to_bytes(8, "big") + bytes(pixels - 8)) + tail


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + crc


def ref_of(content: bytes) -> BlobRef:
    return BlobRef(cid_of_blob(content), TYPE, len(content))


def created(number: int, ref: BlobRef) -> WriteOp:
    """The creation of a record that names one blob."""
    value: Record = {"$type": NOTE, "text": f"picture {number}", "picture": ref.value}
    return WriteOp("create", Nsid(NOTE), Rkey(f"n{number:06}"), value)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The same blobs into fresh accounts and out of one, by syncd and by a bare loop."""

    stage: Stage
    pds: ReferencePds
    contents: Sequence[bytes]

    def send(self) -> Spent:
        with hosted(self.stage, self.pds, "user") as mirror:
            mirror.clone()
            draw(mirror, self.contents)
            spent = run(mirror.user.syncd("-C", mirror.folder, "sync"))
            remove(mirror.user.home)
            return spent

    def post(self) -> Spent:
        with hosted(self.stage, self.pds, "user") as mirror:
            files = self.stage.directory("bare-up")
            for number, content in enumerate(self.contents):
                (files / f"{number}.png").write_bytes(content)
            return self.bare(
                mirror,
                "up",
                files=[str(files / f"{number}.png") for number in range(len(self.contents))],
                headers={"authorization": mirror.other.headers["authorization"]},
                type=TYPE,
                collection=NOTE,
            )

    def bare(self, mirror: Hosted, way: str, **job: object) -> Spent:
        """Run the bare loop as a process of its own."""
        target, asked = self.stage.directory("bare"), self.stage.work / "bare.json"
        common = {"way": way, "url": self.pds.url, "did": mirror.did, "streams": STREAMS}
        asked.write_text(json.dumps({**common, "target": str(target), **job}), encoding="utf-8")
        spent = run(Command([sys.executable, BARE], stdin=asked))
        if len(list(target.iterdir())) != len(self.contents):
            raise Failed("not every blob was kept")
        return spent

    def publish(self, mirror: Hosted) -> None:
        """Upload each blob, and then write the records."""
        headers = {**mirror.other.headers, "content-type": TYPE}
        for content in self.contents:
            url = "/xrpc/com.atproto.repo.uploadBlob"
            mirror.other.post(url, content=content, headers=headers).raise_for_status()
        ops = [created(number, ref_of(content)) for number, content in enumerate(self.contents)]
        for start in range(0, len(ops), BATCH_WRITES):
            body = apply_writes(Did(mirror.did), ops[start : start + BATCH_WRITES]).body
            mirror.other.post(
                "/xrpc/com.atproto.repo.applyWrites",
                content=body,
                headers={"content-type": "application/json"},
            ).raise_for_status()

    def get(self, mirror: Hosted) -> Spent:
        blobs = mirror.folder / BLOBS
        remove(blobs)
        spent = run(mirror.user.syncd("-C", mirror.folder, "blob", "get", "--all"))
        if len(list(blobs.iterdir())) != len(self.contents):
            raise Failed("not every blob came")
        return spent

    def fetch(self, mirror: Hosted) -> Spent:
        """The bare loop down."""
        refs = [ref_of(content) for content in self.contents]
        cids = [[str(ref.cid), bytes(ref.cid)[-32:].hex()] for ref in refs]
        return self.bare(mirror, "down", cids=cids)


def draw(mirror: Hosted, contents: Sequence[bytes]) -> None:
    """Put files into a mirror, and a record that names each."""
    for name in ("pictures", NOTE):
        (mirror.folder / name).mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        (mirror.folder / "pictures" / f"{number}.png").write_bytes(content)
        named = f'{{"$type": "blob", "$file": "pictures/{number}.png"}}'
        text = f'{{"text": "picture {number}", "picture": {named}}}'
        (mirror.folder / NOTE / f"n{number:06}.json").write_text(text, encoding="utf-8")


def blobs_both_ways(stage: Stage) -> Outcome:
    """S15."""
    contents = [picture(number) for number in range(max(STREAMS, stage.records // BLOBS_OF))]
    with reference(stage, apart=True) as pds, hosted(stage, pds, "down") as mirror:
        pictures = Pictures(stage, pds, contents)
        pictures.publish(mirror)
        mirror.clone()
        contenders = {
            UP: pictures.send,
            LOOP_UP: pictures.post,
            DOWN: lambda: pictures.get(mirror),
            LOOP_DOWN: lambda: pictures.fetch(mirror),
        }
        runs = alternate(contenders, stage.rounds)
    up = ratio(walls(runs[UP]), walls(runs[LOOP_UP]))
    down = ratio(walls(runs[DOWN]), walls(runs[LOOP_DOWN]))
    checks = [Check(f"wall / {LOOP_UP}", up, 1.15, "x"), Check(f"/ {LOOP_DOWN}", down, 1.15, "x")]
    return Outcome(checks, runs, notes=[f"{len(contents)} blobs of {BYTES // 1000} kB"])


def blobs_besides(stage: Stage) -> Outcome:
    """S16."""
    sizes = {SMALL: 1_000, LARGE: max(1_000, LARGE_OF * stage.records)}
    runs: dict[str, list[Spent]] = {}
    with reference(stage) as pds:
        for name, size in sizes.items():
            contents = [picture(1, size)]
            pictures = Pictures(stage, pds, contents)
            with hosted(stage, pds, "down") as mirror:
                pictures.publish(mirror)
                mirror.clone()
                runs[f"{name} up"] = [pictures.send() for _ in range(stage.rounds)]
                runs[f"{name} down"] = [pictures.get(mirror) for _ in range(stage.rounds)]
                remove(mirror.user.home)
    checks = [
        Check(f"peak resident beyond that of {SMALL}, {way}", _more(runs, way), 8, "MB")
        for way in ("up", "down")
    ]
    count = max(1, stage.records // LOOKED_OF)
    seconds = asyncio.run(_looks(stage.directory("look"), count, stage.rounds))
    added = statistics.median(seconds) * 1_000
    checks.append(Check(f"added to a look, {count} blobs", added, 20, "ms"))
    return Outcome(checks, runs, {"look at the blobs, s": seconds})


def _more(runs: dict[str, list[Spent]], way: str) -> float:
    large, small = (
        statistics.median(spent.peak for spent in runs[f"{name} {way}"]) for name in (LARGE, SMALL)
    )
    return (large - small) / 1_000_000


async def _looks(root: Path, count: int, rounds: int) -> list[float]:
    """Return how long the blobs of a look take at which nothing has changed, in seconds."""
    sandbox = Sandbox()
    world = World(root, sandbox, sandbox.create_account())
    device = _with_blobs(world, count)
    try:
        await device.sync()
        later = device.mirror.workspace.clock_ns() + 2 * YOUNG_NS
        rework(device.mirror, clock_ns=lambda: later)
        report = await device.sync()
        rounds_of, found = device.mirror.rounds, list[float]()
        for _ in range(max(3, rounds)):
            began = time.perf_counter()
            await rounds_of.after(device.mirror.workspace, device.mirror.pds, report, is_whole=True)
            found.append(time.perf_counter() - began)
        return found
    finally:
        close_all()


def _with_blobs(world: World, count: int) -> Device:
    """Return a mirror of as many records, each with a small blob that is there already."""
    blobs, repo = world.sandbox.blobs(world.login.did), world.sandbox.repo(world.login.did)
    device = world.device("mirror", Config(world.login.did, blobs_fetch="all"))
    directory = device.root / BLOBS
    directory.mkdir()
    ops: list[WriteOp] = []
    for number in range(count):
        content = picture(number, 100)
        ref = blobs.upload(content, TYPE)
        (directory / f"{ref.cid}.png").write_bytes(content)
        ops.append(created(number, ref))
    for start in range(0, len(ops), BATCH_WRITES):
        repo.apply(ops[start : start + BATCH_WRITES])
    return device
