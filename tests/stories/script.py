"""Stories as text, one sentence a step, and what each sentence does or asserts.

A story begins with `# its title`. The words `given`, `when`, `then` and `and` only help to read.
`note` is the record com.example.note/note, `notes 1-30` are thirty of them, and a content is either
a word or fields such as `a:1 b:2`. The same word is the same content, whoever writes it.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.atproto.cid import cid_of_blob
from syncd.model import RecordPath
from syncd.sandbox import DropAnswer, DropRequest
from tests.rigs.journal import beside_the_folder, cid_of_file, in_history
from tests.rigs.pictures import FIELD, kept_in, on_pds, picture, reference, upload
from tests.rigs.stage import Stage

Hook = Callable[[Stage, int], Awaitable[None]]
Deed = Callable[..., Awaitable[None] | None]

SENTENCES: list[tuple[re.Pattern[str], Deed]] = []
_SLOTS = {
    "WHO": r"(?P<who>laptop|desktop|phone)",
    "PATH": r"(?P<paths>notes \d+-\d+|[\w./-]+)",
    "VALUE": r"(?P<value>.+)",
    "WORDS": r"(?P<words>.+)",
    "COUNT": r"(?P<count>\d+)",
    "ONE_OF": r"(?P<one_of>[\w.]+(?: [\w.]+)*)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence of a story, and where it stands."""

    text: str
    place: str

    async def take(self, stage: Stage) -> None:
        for pattern, deed in SENTENCES:
            if found := pattern.fullmatch(self.text):
                done = deed(stage, **found.groupdict())
                if inspect.isawaitable(done):
                    await done
                return
        raise AssertionError(f"{self.place}: no sentence is like {self.text!r}")


@dataclass(frozen=True, slots=True)
class Story:
    title: str
    steps: tuple[Step, ...]


def read_stories(name: str, text: str = "") -> list[Story]:
    """The stories of `name`.txt beside this file, or of `text`."""
    file = Path(__file__).with_name(f"{name}.txt")
    stories: list[Story] = []
    text = text or file.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# "):
            stories.append(Story(line[2:].strip(), ()))
        elif line.strip():
            text = re.sub(r"^\s*(given|when|then|and)\s+", "", line).strip()
            title, steps = stories[-1].title, stories[-1].steps
            stories[-1] = Story(title, (*steps, Step(text, f"{file.name}:{number}")))
    return stories


async def play(story: Story, stage: Stage, *, before_step: Hook | None = None) -> None:
    """Take every step. `before_step` is awaited before each, and once more after the last."""
    for number, step in enumerate(story.steps):
        if before_step:
            await before_step(stage, number)
        try:
            await step.take(stage)
        except AssertionError as error:
            raise AssertionError(f"{step.place}: {step.text}: {error}") from error
    if before_step:
        await before_step(stage, len(story.steps))


def sentence(*forms: str) -> Callable[[Deed], Deed]:
    """Add sentences of these forms, whose words in capitals are slots."""

    def add(deed: Deed) -> Deed:
        for form in forms:
            pattern = re.escape(form).replace(r"\ ", " ")
            for slot, group in _SLOTS.items():
                pattern = re.sub(rf"\b{slot}\b", lambda _, group=group: group, pattern)  # type: ignore[misc]
            SENTENCES.append((re.compile(pattern), deed))
        return deed

    return add


def records(paths: str, value: str = "") -> list[tuple[RecordPath, dict[str, Any]]]:
    """The record paths that a sentence names, each with its content."""
    numbers = re.fullmatch(r"notes (\d+)-(\d+)", paths)
    if numbers:
        first, last = map(int, numbers.groups())
        names = [f"com.example.note/n{n:02}" for n in range(first, last + 1)]
    else:
        names = [paths if "/" in paths else f"com.example.note/{paths}"]
    fields: dict[str, Any] = dict(re.findall(r"(\w+):(\S+)", value)) or {"v": value}
    if FIELD in fields:
        fields[FIELD] = reference(str(fields[FIELD]))
    return [(RecordPath(name), {"at": name.partition("/")[2], **fields}) for name in names]


def file_text(path: RecordPath, fields: dict[str, Any]) -> str:
    return json.dumps({"$type": path.partition("/")[0], **fields})


# --- What people and programs do ------------------------------------------------------------------


@sentence("repo writes PATH = VALUE")
async def _(stage: Stage, paths: str, value: str) -> None:
    if word := re.search(rf"\b{FIELD}:(\S+)", value):
        await upload(stage.world, word.group(1))
    for path, fields in records(paths, value):
        await stage.write(path, fields)


@sentence("repo deletes PATH")
async def _(stage: Stage, paths: str) -> None:
    for path, _ in records(paths):
        await stage.delete(path, on_purpose=True)


@sentence("repo loses PATH")
async def _(stage: Stage, paths: str) -> None:
    for path, _ in records(paths):
        await stage.delete(path, on_purpose=False)


@sentence("WHO saves PATH = VALUE")
def _(stage: Stage, who: str, paths: str, value: str) -> None:
    for path, fields in records(paths, value):
        stage.save(who, path, file_text(path, fields))


@sentence("WHO draws PATH with WORDS")
def _(stage: Stage, who: str, paths: str, words: str) -> None:
    """Name a file that is to be uploaded."""
    file = stage[who].device.root / "pictures" / f"{words}.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(picture(words))
    for path, fields in records(paths, words):
        named = {**fields, FIELD: {"$type": "blob", "$file": f"pictures/{words}.png"}}
        stage.save(who, path, file_text(path, named))


@sentence("WHO fetches ONE_OF pictures")
def _(stage: Stage, who: str, one_of: str) -> None:
    stage.configure(who, blobs_fetch={"all": "all", "no": "none"}[one_of])


@sentence("WHO types PATH: WORDS")
def _(stage: Stage, who: str, paths: str, words: str) -> None:
    for path, _ in records(paths):
        stage.save(who, path, words)


@sentence("WHO deletes PATH")
def _(stage: Stage, who: str, paths: str) -> None:
    for path, _ in records(paths):
        stage.remove(who, path, on_purpose=True)


@sentence("WHO loses PATH")
def _(stage: Stage, who: str, paths: str) -> None:
    for path, _ in records(paths):
        stage.remove(who, path, on_purpose=False)


@sentence("WHO syncs")
async def _(stage: Stage, who: str) -> None:
    await stage.sync(who)


@sentence("WHO resolves PATH with ONE_OF")
async def _(stage: Stage, who: str, paths: str, one_of: str) -> None:
    names = [path for path, _ in records(paths)]
    await stage.ask(who, "resolve", *names, f"--{one_of}")


@sentence("WHO approves PATH")
async def _(stage: Stage, who: str, paths: str) -> None:
    await _decide(stage, who, "approve", paths)


@sentence("WHO rejects PATH")
async def _(stage: Stage, who: str, paths: str) -> None:
    await _decide(stage, who, "reject", paths)


async def _decide(stage: Stage, who: str, command: str, paths: str) -> None:
    names = ["--all"] if paths == "everything" else [path for path, _ in records(paths)]
    await stage.ask(who, command, *names)


@sentence("WHO restores PATH")
async def _(stage: Stage, who: str, paths: str) -> None:
    await _restore(stage, who, paths, None)


@sentence("WHO restores PATH = VALUE")
async def _(stage: Stage, who: str, paths: str, value: str) -> None:
    await _restore(stage, who, paths, value)


async def _restore(stage: Stage, who: str, paths: str, value: str | None) -> None:
    for path, fields in records(paths, value or ""):
        cid = cid_of_file(path, file_text(path, fields).encode())
        which = ["--cid", str(cid)] if value else []
        await stage.ask(who, "restore", path, *which)


@sentence("WHO lets conflicts ONE_OF")
def _(stage: Stage, who: str, one_of: str) -> None:
    policy = {"merge": "merge", "go local": "local", "go remote": "remote", "wait": "hold"}[one_of]
    stage.configure(who, **{f"conflicts_{policy}": ("com.example.*",)})


# --- What befalls them ----------------------------------------------------------------------------


@sentence("WHO restarts")
def _(stage: Stage, who: str) -> None:
    stage.restart(who)


@sentence("WHO finds its ONE_OF gone")
def _(stage: Stage, who: str, one_of: str) -> None:
    stage.harm(who, one_of, lambda _: None)


@sentence("WHO finds its ONE_OF cut short")
def _(stage: Stage, who: str, one_of: str) -> None:
    stage.harm(who, one_of, lambda whole: whole[: len(whole) // 2])


@sentence("WHO finds its ONE_OF scrambled")
def _(stage: Stage, who: str, one_of: str) -> None:
    stage.harm(who, one_of, lambda whole: bytes(byte ^ 0x55 for byte in whole))


@sentence("WHO backs up")
def _(stage: Stage, who: str) -> None:
    stage.back_up(who)


@sentence("WHO goes back to its backup of ONE_OF")
def _(stage: Stage, who: str, one_of: str) -> None:
    stage.go_back(who, one_of)


@sentence("WHO is unmounted")
def _(stage: Stage, who: str) -> None:
    stage.unmount(who)


@sentence("WHO is mounted")
def _(stage: Stage, who: str) -> None:
    stage.mount(who)


@sentence("WHO is moved")
def _(stage: Stage, who: str) -> None:
    stage.move(who)


@sentence("WHO starts where it is now")
def _(stage: Stage, who: str) -> None:
    stage.follow(who)


@sentence("WHO syncs while answers get lost")
async def _(stage: Stage, who: str) -> None:
    faults = stage.world.sandbox.faults
    for write in ("putRecord", "deleteRecord", "applyWrites"):
        faults.add(DropAnswer(), f"com.atproto.repo.{write}")
    await stage.sync(who)
    faults.clear()


@sentence("the PDS is away")
def _(stage: Stage) -> None:
    stage.world.sandbox.faults.add(DropRequest(), times=1000)


@sentence("the PDS is back")
def _(stage: Stage) -> None:
    stage.world.sandbox.faults.clear()


@sentence("the PDS loses the picture WORDS")
def _(stage: Stage, words: str) -> None:
    stage.world.sandbox.blobs(stage.world.login.did)._blobs.pop(cid_of_blob(picture(words)))
    stage.blobs.excuse()


@sentence("the PDS takes down the picture WORDS")
def _(stage: Stage, words: str) -> None:
    stage.world.sandbox.blobs(stage.world.login.did).take_down(cid_of_blob(picture(words)))
    stage.blobs.excuse()


# --- What must be true then -----------------------------------------------------------------------


@sentence("repo gives the picture WORDS")
def _(stage: Stage, words: str) -> None:
    assert cid_of_blob(picture(words)) in on_pds(stage.world)


@sentence("repo gives no picture WORDS")
def _(stage: Stage, words: str) -> None:
    assert cid_of_blob(picture(words)) not in on_pds(stage.world)


@sentence("WHO has the picture WORDS")
def _(stage: Stage, who: str, words: str) -> None:
    assert cid_of_blob(picture(words)) in kept_in(stage[who].device.root)


@sentence("WHO has PATH = VALUE")
def _(stage: Stage, who: str, paths: str, value: str) -> None:
    for path, fields in records(paths, value):
        found = stage.content(who, path)
        assert found == cid_of_file(path, file_text(path, fields).encode())


@sentence("WHO has no PATH")
def _(stage: Stage, who: str, paths: str) -> None:
    assert [path for path, _ in records(paths) if stage[who].device.has(path)] == []


@sentence("WHO still reads PATH: WORDS")
def _(stage: Stage, who: str, paths: str, words: str) -> None:
    for path, _ in records(paths):
        assert stage[who].device.file(path).read_text(encoding="utf-8") == words


@sentence("repo has PATH = VALUE")
def _(stage: Stage, paths: str, value: str) -> None:
    for path, fields in records(paths, value):
        cid = cid_of_file(path, file_text(path, fields).encode())
        assert stage.world.records().get(path) == cid


@sentence("repo has no PATH")
def _(stage: Stage, paths: str) -> None:
    assert [path for path, _ in records(paths) if path in stage.world.records()] == []


@sentence("repo has COUNT records")
def _(stage: Stage, count: str) -> None:
    assert len(stage.world.records()) == int(count)


@sentence("WHO waits at PATH")
def _(stage: Stage, who: str, paths: str) -> None:
    found = {conflict.path for conflict in stage[who].report.conflicts}
    assert found == {path for path, _ in records(paths)}


@sentence("WHO waits at PATH: WORDS")
def _(stage: Stage, who: str, paths: str, words: str) -> None:
    reasons = {conflict.path: conflict.reason for conflict in stage[who].report.conflicts}
    assert all(words in reasons.get(path, "") for path, _ in records(paths)), reasons


@sentence("WHO waits nowhere")
def _(stage: Stage, who: str) -> None:
    actor = stage[who]
    assert actor.error is None
    assert actor.report.is_settled, actor.report
    assert list(beside_the_folder(actor.device.root)) == []


@sentence("WHO keeps PATH = VALUE beside")
def _(stage: Stage, who: str, paths: str, value: str) -> None:
    kept = dict(beside_the_folder(stage[who].device.root))
    for path, fields in records(paths, value):
        assert kept.get(path) == cid_of_file(path, file_text(path, fields).encode())


@sentence("WHO remembers PATH = VALUE")
def _(stage: Stage, who: str, paths: str, value: str) -> None:
    known = set(in_history(stage[who].device.root))
    for path, fields in records(paths, value):
        assert (path, cid_of_file(path, file_text(path, fields).encode())) in known


@sentence("WHO holds COUNT")
def _(stage: Stage, who: str, count: str) -> None:
    assert len(stage[who].report.held) == int(count)


@sentence("WHO holds COUNT: WORDS")
def _(stage: Stage, who: str, count: str, words: str) -> None:
    held = stage[who].report.held
    assert len(held) == int(count)
    assert all(words in item.reason for item in held), held[0]


@sentence("WHO has a problem at PATH: WORDS")
def _(stage: Stage, who: str, paths: str, words: str) -> None:
    reasons = {problem.path: problem.reason for problem in stage[who].report.problems}
    assert all(words in reasons.get(path, "") for path, _ in records(paths)), reasons


@sentence("WHO is told: WORDS")
def _(stage: Stage, who: str, words: str) -> None:
    assert any(words in told for told in stage[who].report.remarks), stage[who].report.remarks


@sentence("WHO is refused: WORDS")
def _(stage: Stage, who: str, words: str) -> None:
    error = stage[who].error
    assert error is not None
    assert words in f"{error.message}; {error.hint}"


@sentence("WHO says in status: WORDS")
async def _(stage: Stage, who: str, words: str) -> None:
    out = await stage.command(stage[who].device.root, "status", codes=(0, 3))
    assert words in out, out


@sentence("all agree")
def _(stage: Stage) -> None:
    for who, actor in stage.actors.items():
        here = {path: stage.content(who, path) for path in actor.device.base()}
        assert here == stage.world.records() == actor.device.base(), who
        assert len(actor.device.files()) == len(here), who
