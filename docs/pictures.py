"""Make the pictures of the README: `make pictures`, or `python -m docs.pictures [DIR]`.

Each shows what the real commands print on a terminal, on a sandbox and a home directory of their
own. Only what another run could not repeat is replaced, by the same every time: addresses of this
machine, process ids, times, and the names that come from times. `moving.svg`
shows a session in motion, and `moving-narrow.svg` the same session on a phone.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.moving import NARROW, WIDE, Arrow, Layout, Line, Pane, Tone, draw
from syncd.model import RecordPath
from tests.rigs.machine import Daemon
from tests.rigs.terminal import HANDLE, Terminal, open_terminal

COLUMNS = 96
PICTURES = Path(__file__).parent / "pictures"
TRIP, LIST, POST, IDEAS = (
    RecordPath(path)
    for path in (
        "com.example.trip/lisbon",
        "com.example.note/packing-list",
        "app.bsky.feed.post/3m4xkz2ydxs2a",
        "com.example.note/ideas",
    )
)
POSTED = "2026-05-01T09:30:00.000Z"
THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
     (88, 166, 255), (188, 140, 255), (57, 197, 207), (201, 209, 217)],
    [(110, 118, 129), (255, 161, 152), (126, 231, 135), (242, 204, 96),
     (121, 192, 255), (210, 168, 255), (86, 212, 221), (240, 246, 252)],
)  # fmt: skip
SAVED, PUSHED, COMMITTED, WRITTEN, PULLED, ARRIVED = 2.5, 4.0, 4.5, 7.5, 9.0, 9.5
TOLD = (
    "A file is saved in the folder; syncd run pushes it, and the repo has a commit. "
    "A post from a phone is in the repo; syncd run pulls it, and the folder has a file."
)
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_ALWAYS = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://pds.example.com"),
    (re.compile(r"\(pid \d+\)"), "(pid 4711)"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-05-01T09:30:00Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-05-01 09:30:00"),
    (re.compile(r"(?<![\w/])3[a-z2-7]{12}(?![\w.])", re.MULTILINE), "3mkqx7tb3ls2a"),
    (re.compile(r"\bin \d+\.\d s\b"), "in 0.1 s"),
    (re.compile(r"bafyrei[a-z2-7]{52}(?= at rev)"), f"bafyrei{'d4kq7wnm2zfs' * 4}iv6y"),
)
"""What depends on the run, and what stands for it."""


@dataclass(slots=True)
class Stage:
    """A terminal of alice's, and what was seen on it since the last picture."""

    terminal: Terminal
    seen: list[Text] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.terminal.home / HANDLE

    def show(self, line: str, *, at: Path | None = None) -> None:
        """Run a command on a terminal and keep it with what it says."""
        self.keep(line, on_a_terminal(self.terminal, line, at or self.folder))

    def keep(self, line: str, said: str) -> None:
        self.seen += [Text.assemble(("$ ", "bold blue"), (line, "bold"))]
        self.seen += [Text.from_ansi(self.repeatable(said).rstrip("\n")), Text()]

    def take(self, name: str, title: str, directory: Path) -> None:
        """Make a picture of what was seen, and begin anew."""
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor",
                          force_terminal=True)  # fmt: skip
        for text in self.seen[:-1]:
            console.print(text, soft_wrap=False)
        svg = console.export_svg(title=title, theme=THEME, unique_id=f"syncd-{name}")
        (directory / f"{name}.svg").write_text(_without_downloads(svg), encoding="utf-8")
        self.seen = []

    def save(self, path: RecordPath, text: str) -> None:
        """Save a file as most editors do: whole, or not at all."""
        file = self.folder / f"{path}.json"
        file.parent.mkdir(exist_ok=True)
        saved = self.terminal.home / "saved"
        saved.write_text(text, encoding="utf-8")
        saved.replace(file)

    def read(self, path: RecordPath) -> str:
        return (self.folder / f"{path}.json").read_text(encoding="utf-8")

    def write(self, path: RecordPath, **fields: str | int | bool) -> None:
        """Another app writes a record."""
        repo = self.terminal.host.repo(self.terminal.login.did)
        repo.put(path, {"$type": path.split("/", maxsplit=1)[0], **fields})

    def quietly(self, line: str) -> None:
        self.terminal.ok(line, at=self.folder)

    def repeatable(self, said: str) -> str:
        said = said.replace(str(self.terminal.home), "/home/alice")
        said = said.replace(self.terminal.login.did, "did:plc:6sfq6t52ve4kw6qrt72wbfp4")
        for pattern, instead in _ALWAYS:
            said = pattern.sub(instead, said)
        return said


@dataclass(slots=True)
class Film:
    """What was seen of the folder, the repo and the daemon, and when it is shown."""

    stage: Stage
    lines: list[Line] = field(default_factory=list)
    logged: int = 0

    def file(self, path: RecordPath, row: int, since: float, until: float | None = None) -> None:
        """Keep the file of a record; a line that is the same before and after changes nothing."""
        texts = [f"{path}.json", *self.stage.read(path).splitlines()]
        self._keep("folder", row, texts, since, until)

    def repo(self, path: RecordPath, row: int, since: float, until: float | None = None) -> None:
        """Keep what the repo has of a record: its text and the begin and the end of its CID."""
        repo = self.stage.terminal.host.repo(self.stage.terminal.login.did)
        record, cid = repo.record(path), str(repo.current(path))
        assert record is not None
        texts = [str(path), f"  {record['text']!s}", f"  {cid[:16]}…{cid[-6:]}"]
        self._keep("repo", row, texts, since, until)

    def log(self, running: Daemon, since: float) -> None:
        """Keep what the daemon has said since the last look."""
        said = self.stage.repeatable(running.said()).splitlines()
        self._keep("daemon", 1 + self.logged, said[self.logged :], since, None)
        self.logged = len(said)

    def _keep(
        self, pane: Pane, row: int, texts: list[str], since: float, until: float | None
    ) -> None:
        for number, text in enumerate(texts, row):
            is_name = number == row and pane != "daemon"
            tone: Tone = (
                "dim" if is_name else "" if not since else "out" if since < WRITTEN else "in"
            )
            self.lines.append(Line(pane, number, text, tone, since, until))

    def develop(self, layout: Layout) -> str:
        """Return the picture, in which a line that does not change is there once."""
        titles: tuple[tuple[Pane, str], ...] = (
            ("folder", "your folder"),
            ("repo", "your repo, on its PDS"),
            ("daemon", "$ syncd run"),
        )
        lines = [Line(pane, 0, text, "title") for pane, text in titles]
        arrows = (Arrow("out", PUSHED, COMMITTED + 1), Arrow("in", PULLED, ARRIVED + 1))
        shown = [*lines, *unchanged(self.lines)]
        return draw(layout, "Save a file, and it is a commit", TOLD, shown, arrows)


def unchanged(lines: list[Line]) -> list[Line]:
    """Make one line of two that follow each other at one place and say the same."""
    kept: list[Line] = []
    for line in lines:
        for before in kept:
            if (before.pane, before.row, before.text, before.until) == (
                line.pane, line.row, line.text, line.since,
            ):  # fmt: skip
                kept[kept.index(before)] = replace(before, until=line.until)
                break
        else:
            kept.append(line)
    return kept


def on_a_terminal(terminal: Terminal, line: str, at: Path) -> str:
    """What a command writes to a terminal of `COLUMNS` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", line], cwd=at, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**terminal.environment(), "TERM": "xterm-256color"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65_536):
            said += chunk
    except OSError:
        pass
    os.close(ours)
    process.wait()
    return said.decode().replace("\r\n", "\n")


@contextmanager
def daemon(terminal: Terminal, folder: Path) -> Iterator[Daemon]:
    """`syncd run` in the folder; what it says goes to a file."""
    log = terminal.home / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", "exec syncd run"], cwd=folder, env=terminal.environment(),
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        running = Daemon(process, log)
        running.wait_for("watching")
        yield running
        running.end()
    finally:
        process.kill()
        process.wait()


def fill(stage: Stage) -> None:
    """What alice has before the first picture."""
    for number, text in enumerate(("hello, world", "a folder is a repo", "off to Lisbon")):
        path = RecordPath(f"app.bsky.feed.post/3m4xkz2ydxs{number + 2}a")
        stage.write(path, text=text, createdAt=POSTED)
    stage.write(LIST, text="passport", done=False)
    stage.write(TRIP, title="Lisbon", days=4, by="train")


def play(stage: Stage, directory: Path) -> None:
    """Everything that is shown, in order."""
    stage.show(f"syncd login {HANDLE}", at=stage.terminal.home)
    stage.show(f"syncd clone {HANDLE}", at=stage.terminal.home)
    with daemon(stage.terminal, stage.folder) as running:
        live(stage, running)
        stage.keep(f"cd {HANDLE} && syncd run", running.said())
        stage.take("run", "from an app password to a folder in sync", directory)
        stage.show("syncd status")
        stage.take("status", "syncd status", directory)
        stage.save(IDEAS, '{ "text": "a whole thought" }')
        running.wait_for(f"pushed    {IDEAS}")
        stage.show(f"syncd diff {TRIP}")
        stage.show(f"syncd resolve {TRIP} --merge")
        stage.show("syncd verify")
        stage.take("conflict", "both sides changed one record", directory)


def live(stage: Stage, running: Daemon) -> None:
    """An edit here, one there, a file with a slip, and a record edited on both sides at once."""
    stage.save(LIST, '{ "text": "passport, camera", "done": false }')
    running.wait_for(f"pushed    {LIST}")
    stage.write(POST, text="from my phone: the sea!", createdAt=POSTED)
    running.wait_for(f"pulled    {POST}")
    stage.save(IDEAS, '{\n  "text": "half a thought"\n  "done": false\n}')
    running.wait_for("problem")
    stage.quietly("syncd pause")
    stage.save(TRIP, '{ "title": "Lisbon", "days": 6, "by": "train" }')
    stage.write(TRIP, title="Lisbon and Porto", days=4, by="train")
    stage.quietly("syncd resume")
    running.wait_for("next: syncd diff")


def _without_downloads(svg: str) -> str:
    """A picture fetches nothing: the fonts are those of whoever looks."""
    svg = re.sub(r"\s*@font-face \{.*?\}(?=\n)", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", _FONT).replace(
        "font-family: arial", f"font-family: {_FONT}"
    )


def record(stage: Stage) -> Film:
    """Save a file, have the daemon push it, write a post elsewhere, and see its file come.

    What is drawn is read from the file, the repo and the daemon's log at each step; only the times
    are made up, so that a person can follow.
    """
    stage.write(LIST, text="passport")
    stage.terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE}")
    film = Film(stage)
    with daemon(stage.terminal, stage.folder) as running:
        film.file(LIST, 1, 0, SAVED)
        film.repo(LIST, 1, 0, COMMITTED)
        film.log(running, 0)
        stage.save(LIST, stage.read(LIST).replace('"passport"', '"passport, camera"'))
        running.wait_for(f"pushed    {LIST}")
        film.file(LIST, 1, SAVED)
        film.log(running, PUSHED)
        film.repo(LIST, 1, COMMITTED)
        stage.write(POST, text="the sea!", createdAt=POSTED)
        running.wait_for(f"pulled    {POST}")
        film.repo(POST, 7, WRITTEN)
        film.log(running, PULLED)
        film.file(POST, 7, ARRIVED)
    return film


def make(directory: Path) -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as home, open_terminal(Path(home)) as terminal:
        stage = Stage(terminal)
        fill(stage)
        play(stage, directory)
    with tempfile.TemporaryDirectory() as home, open_terminal(Path(home)) as terminal:
        film = record(Stage(terminal))
    for name, layout in (("moving", WIDE), ("moving-narrow", NARROW)):
        (directory / f"{name}.svg").write_text(film.develop(layout), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
