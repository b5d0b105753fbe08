"""Every kind of record that a PDS really refuses, all of them among good ones in one push."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.pds import HttpPds
from tests.contract.lines import Line
from tests.contract.rungs import ArrobaRung, Ground, HttpRung, fresh_ground
from tests.contract.test_push_table import no_sleep
from tests.contract.words import fetch
from tests.rigs.device import Device

GOOD = [f"com.example.note/good{n}" for n in range(5)]
MISSING = {
    "$type": "blob",
    "ref": {"$link": "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"},
    "mimeType": "image/png",
    "size": 9,
}
POISON: dict[str, tuple[object, object, str]] = {
    "com.example.note/blob": ({"image": MISSING}, {"image": None}, "BlobNotFound"),
    "com.example.note/large": ({"text": "x" * 1_000_000}, {"text": "x"}, "the PDS refuses"),
    "com.example.strict/unknown": ({"n": 1}, None, "lexicon"),
    "app.bsky.feed.post/3jzfcijpj2z2a": (
        {"text": "no date"},
        {"text": "dated", "createdAt": "2026-01-01T00:00:00Z"},
        "createdAt",
    ),
    "app.bsky.feed.post/not-a-tid": (
        {"text": "dated", "createdAt": "2026-01-01T00:00:00Z"},
        None,
        "key",
    ),
}
"""Path -> a record that is refused, one that is not (None: there is none), words of the PDS."""

TAKEN_BY_ARROBA = {
    "com.example.note/blob",
    "com.example.strict/unknown",
    "app.bsky.feed.post/not-a-tid",
}
"""It looks for no blob, asks for no lexicon, and checks no record key by one."""

DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
NEVER_SENT = {"com.example.note/integer": '{"n": 9007199254740993}'}
"""What no PDS would take is told with its line, before anything is sent."""


@dataclass(slots=True)
class Scene:
    ground: Ground
    line: Line
    laptop: Device
    poison: dict[str, tuple[object, object, str]]

    def save(self, path: str, fields: object) -> None:
        assert isinstance(fields, dict)
        self.laptop.save_text(path, json.dumps(fields))


@pytest.fixture
async def scene(http_rung: HttpRung, tmp_path: Path) -> AsyncIterator[Scene]:
    async with fresh_ground(http_rung) as ground:
        line = Line()
        async with HttpPds(ground.account, ground.login.tokens(), transport=line) as pds:
            # What the PDS refuses is asked here, not what syncd would not have sent.
            strict = (("com.example.strict", True),)
            config = Config(ground.account.did, validate=strict, lexicons="off")
            laptop = Device.make(tmp_path / "laptop", ground.account, pds, config)
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            taken = TAKEN_BY_ARROBA if isinstance(http_rung, ArrobaRung) else set()
            poison = {path: row for path, row in POISON.items() if path not in taken}
            yield Scene(ground, line, laptop, poison)
            laptop.mirror.state.close()


async def test_poison_is_isolated_told_and_not_sent_again_until_it_changes(scene: Scene) -> None:
    laptop = scene.laptop
    for path in GOOD:
        laptop.save(path, good=path)
    for path, (bad, _, _) in scene.poison.items():
        scene.save(path, bad)
    for path, text in NEVER_SENT.items():
        laptop.save_text(path, text)
    report = await laptop.sync()
    assert set(report.pushed) == set(GOOD)
    reasons = {problem.path: problem.reason for problem in report.problems}
    assert reasons.keys() == scene.poison.keys() | NEVER_SENT.keys()
    for path, (_, _, words) in scene.poison.items():
        assert words.lower() in reasons[path].lower()
    assert set((await fetch(scene.ground.other)).records) == set(GOOD)
    scene.line.writes.clear()
    for _ in range(2):
        await laptop.sync()
    assert scene.line.writes == []
    good = {path: fields for path, (_, fields, _) in scene.poison.items() if fields is not None}
    for path, fields in good.items():
        scene.save(path, fields)
    report = await laptop.sync()
    assert set(report.pushed) == good.keys()
    left = scene.poison.keys() - good.keys() | NEVER_SENT.keys()
    assert {problem.path for problem in report.problems} == left
    assert set((await fetch(scene.ground.other)).records) == set(GOOD) | good.keys()


@pytest.mark.parametrize(
    ("bad", "count"),
    [([7], 200), ([0, 77, 199], 200), ([0], 2), ([0, 1, 2], 3), (range(7), 7), (range(20), 20)],
    ids=str,
)
async def test_refused_records_of_a_batch_cost_one_request_each_and_two(
    host_ground: Ground, tmp_path: Path, bad: Sequence[int], count: int
) -> None:
    """The answer names them: `$.writes[77].record.langs`."""
    line = Line()
    async with HttpPds(host_ground.account, host_ground.login.tokens(), transport=line) as pds:
        config = Config(host_ground.account.did, lexicons="off")
        laptop = Device.make(tmp_path / "laptop", host_ground.account, pds, config)
        laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
        laptop.save(GOOD[0], good=1)
        await laptop.sync()
        paths = [
            f"app.bsky.feed.post/3jzfcijpj{DIGITS[n // 32]}{DIGITS[n % 32]}2a" for n in range(count)
        ]
        for n, path in enumerate(paths):
            langs = ["a", "b", "c", "d"] if n in bad else ["en"]
            laptop.save(path, text=f"post {n}", createdAt="2026-01-01T00:00:00Z", langs=langs)
        line.writes.clear()
        report = await laptop.sync()
        laptop.mirror.state.close()
    assert {problem.path for problem in report.problems} == {paths[n] for n in bad}
    assert len(report.pushed) == count - len(bad)
    assert all(problem.line and problem.column for problem in report.problems)
    assert len(line.writes) <= len(bad) + 2
