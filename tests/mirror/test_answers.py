"""Whatever becomes of a command with --json, it prints one object that keeps to its schema."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from docs.tab import describe
from syncd.config import FILE_NAME, Config, render_config
from syncd.lock import FolderLock
from syncd.model import Conflict, Held, Memory, RecordPath, Side
from tests.rigs.device import Device, World
from tests.rigs.schema import check
from tests.rigs.warm import SYNCD, run

NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
NOWHERE = "http://127.0.0.1:1"
BLOB = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
SECONDS = 60.0
CODES = {0, 1, 2, 3, 69, 75, 77, 78}
"""All that the manual page names."""
WORDS: Mapping[str, str] = {
    "clone": f"clone did:plc:ewvi7nxzyoun6zhxrhs64oiz ../other --plc {NOWHERE}",
    "resolve": f"resolve {NOTE} --local",
    "approve": "approve --all",
    "reject": f"reject {NOTE}",
    "publish": "publish --all",
    "unpublish": f"unpublish --yes {OTHER}",
    "restore": f"restore {OTHER}",
    "new": "new com.example.note",
    "blob get": "blob get --all",
    "blob add": "blob add picture.png",
    "blob replace": f"blob replace {BLOB} picture.png",
    "blob push": "blob push --missing",
}
"""What a command takes at least."""


def with_json() -> list[str]:
    """Return the commands that take --json, as a person types them."""

    def below(path: str, known: Mapping[str, Any]) -> Iterator[str]:
        if any("--json" in taken.get("option", ()) for taken in known["takes"]):
            yield path
        for name, each in known.get("commands", {}).items():
            yield from below(f"{path} {name}".strip(), each)

    return list(below("", {"takes": (), "commands": describe()}))


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command with --json ended, and what it printed."""

    code: int
    objects: tuple[dict[str, Any], ...]
    sentences: str


def answer_of(command: str, place: Path, *more: str) -> Answer:
    words = [*WORDS.get(command, command).split(), "--json", *more]
    top = place.parent
    environ = {"PATH": os.environ["PATH"], "HOME": str(top), "XDG_STATE_HOME": str(top / "kept")}
    done = run([*SYNCD, *words], seconds=SECONDS, cwd=place, env=environ)
    # Only `log` prints an object a line.
    texts = done.stdout.splitlines() if command == "log" else [done.stdout]
    return Answer(done.returncode, tuple(map(json.loads, texts)), done.stderr)


def check_answer(command: str, answer: Answer) -> None:
    """An answer is an object of the command, or an error with the exit code and its sentence."""
    assert answer.code in CODES
    assert "Traceback" not in answer.sentences
    for found in answer.objects:
        if "error" not in found or len(found) > len(("version", "error")):
            check(command, found)
            continue
        check("failure", found)
        assert found["error"]["exit"] == answer.code != 0
        assert found["error"]["message"] in answer.sentences


def synced(laptop: Device) -> Path:
    """A mirror in which nothing waits, and whose PDS is away."""
    return laptop.root


def waiting(laptop: Device) -> Path:
    """A mirror with a conflict, something held and a file that is no record."""
    (laptop.root / "com.example.note/bad.json").write_text("{")
    cid = laptop.base()[NOTE]
    here = Conflict(NOTE, cid, cid, None, "why"), Held(NOTE, Side.LOCAL, "why")
    laptop.mirror.state.record(Memory(waiting={NOTE: here}))
    return laptop.root


def elsewhere(laptop: Device) -> Path:
    """A directory that is no mirror."""
    place = laptop.root.parent / "elsewhere"
    place.mkdir()
    return place


def misset(laptop: Device) -> Path:
    """A mirror whose settings cannot be read."""
    (laptop.root / FILE_NAME).write_text("[mirror\n")
    return laptop.root


def taken(laptop: Device) -> Path:
    """A mirror that another syncd has, for the length of the test."""
    return laptop.root


def damaged(laptop: Device) -> Path:
    """A mirror whose state file is something else."""
    laptop.mirror.state.close()
    (laptop.root / ".syncd/state.db").write_bytes(b"something else" * 1000)
    return laptop.root


PLACES: Mapping[Callable[[Device], Path], Mapping[int, str]] = {
    synced: {
        0: "status, conflicts, held, log, new, blob add, blob ls, lexicon check, lexicon ls",
        1: "now, pause, resume, reload, stop, resolve, approve, reject, restore, blob replace",
        69: "clone, sync, diff, publish, unpublish, blob get, blob push",
    },
    waiting: {
        0: "log, new, blob add, blob ls, lexicon ls",
        1: "now, pause, resume, reload, stop, restore, blob replace",
        3: "status, conflicts, held, lexicon check",
        69: "clone, sync, diff, resolve, approve, reject, publish, unpublish, blob get, blob push",
    },
    elsewhere: {
        0: "lexicon check, lexicon ls",
        69: "clone",
        78: "sync, now, pause, resume, reload, stop, diff, conflicts, resolve, held, "
        "approve, reject, log, restore, new, publish, unpublish, blob add, blob get, blob ls, "
        "blob push, blob replace, verify, doctor, service status",
    },
    misset: {
        0: "lexicon check, lexicon ls",
        1: "now, pause, resume, reload, stop, doctor",
        69: "clone",
        78: "sync, status, diff, conflicts, resolve, held, approve, reject, log, restore, new, "
        "publish, unpublish, blob add, blob get, blob ls, blob push, blob replace, verify",
    },
    taken: {
        0: "status, conflicts, held, log, new, publish, unpublish, blob add, blob ls, "
        "lexicon check, lexicon ls",
        1: "now, pause, resume, reload, stop, resolve, approve, reject, restore, blob replace",
        69: "clone, diff, blob get, blob push",
        75: "sync",
    },
    damaged: {
        0: "status, conflicts, held, log, new, blob add, blob ls, lexicon check, lexicon ls",
        1: "now, pause, resume, reload, stop, resolve, approve, reject, restore, blob replace",
        69: "clone, sync, diff, publish, unpublish, blob get, blob push",
    },
}
"""Where a command is run -> how it ends there. What depends on the machine is left out, as the
mirrors that `status` finds elsewhere."""
OF_THE_MACHINE = {"lexicon update", "service status", "doctor", "verify"}


@pytest.fixture
async def laptop(world: World) -> Device:
    """A mirror of two records, as they are in the repo."""
    config = Config(world.login.did, handle=world.login.handle, pds=NOWHERE, plc=NOWHERE)
    laptop = world.device(config=config)
    for path in (NOTE, OTHER):
        await world.write(path, text="before")
    await laptop.sync()
    (laptop.root / FILE_NAME).write_text(render_config(config))
    return laptop


@pytest.mark.parametrize("make", PLACES, ids=lambda make: make.__name__)
def test_each_command_answers_by_its_schema(laptop: Device, make: Callable[[Device], Path]) -> None:
    place, expected = make(laptop), PLACES[make]
    (place / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    codes = {name: code for code, names in expected.items() for name in names.split(", ")}
    with FolderLock(place) if make is taken else nullcontext():
        for command in with_json():
            if command != "lexicon update":  # it asks the DNS
                answer = answer_of(command, place)
                check_answer(command, answer)
                assert answer.code == codes.get(command, answer.code), (command, answer)
    assert {*codes, *OF_THE_MACHINE} | {"status"} == {*with_json()}


def test_each_command_answers_to_a_slip_of_the_pen(laptop: Device) -> None:
    for command in with_json():
        answer = answer_of(command, laptop.root, "--no-such-option")
        check_answer(command, answer)
        assert (answer.code, len(answer.objects)) == (2, 1), command
