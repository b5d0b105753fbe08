"""One machine of one user: the real syncd command in its own process, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadJson
from tests.rigs import warm

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Return one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where syncd runs as somebody else would run it; `environ` is added to a bare environment."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        bare = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PYTHONWARNINGS": "error",
        }
        return {**bare, **self.environ}

    def command(self, *arguments: str | Path) -> list[str]:
        return [*warm.SYNCD, *map(str, arguments)]

    def run(self, *arguments: str | Path, at: Path | None = None, stdin: str | None = None) -> Ran:
        """Run one command to its end, in `at` or the home."""
        done = warm.run(
            self.command(*arguments),
            seconds=300,
            cwd=at or self.home,
            env=self.environment(),
            input=stdin,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path, at: Path | None = None, stdin: str | None = None) -> Ran:
        """Run a command that must end with 0."""
        ran = self.run(*arguments, at=at, stdin=stdin)
        assert ran.code == 0, (arguments, ran)
        return ran

    @contextmanager
    def daemon(self, *folders: Path, code: int = 0, is_measured: bool = False) -> Iterator[Daemon]:
        """`syncd run` for as long as the `with` lasts; it must end with `code` on SIGTERM.

        Args:
            is_measured: Somebody looks at what the process takes. It is executed then: a fork holds
                what all commands import.
        """
        start = subprocess.Popen[bytes] if is_measured else warm.Process[bytes]
        log = self.home / f"run-{len(list(self.home.glob('run-*.log')))}.log"
        with log.open("wb") as out:
            process = start(
                self.command("run", *folders),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        daemon = Daemon(process, log)
        try:
            yield daemon
            ended = daemon.end() if process.returncode is None else process.returncode
            assert ended == code, f"it ended with {ended}, not {code}: {daemon.said()}"
            assert "Traceback" not in daemon.said(), daemon.said()
        finally:
            process.kill()
            process.wait()
            print(f"{log}:\n{daemon.said()}")  # noqa: T201 (shown where a test fails)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running `syncd run`. What it prints goes to `log`, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> None:
        """Wait until it has said `words`. It must not end before."""
        wait_until(lambda: words in self.said() or self.is_over(), f"saying {words!r}")
        assert words in self.said(), f"it ended without saying {words!r}: {self.said()}"

    def is_over(self) -> bool:
        return self.process.poll() is not None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """What is done meanwhile, it finds all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(PATIENCE_SECONDS)


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for something that another process does; returns how many seconds it took."""
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() - began < seconds, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.05)
    return time.monotonic() - began


def configure(folder: Path, section: str, **settings: float | str) -> None:
    """End the mirror's syncd.toml with these settings, in the place of others of the section."""
    file = folder / "syncd.toml"
    before = file.read_text(encoding="utf-8").partition(f"\n[{section}]\n")[0]
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    file.write_text("\n".join([before, f"[{section}]", *lines, ""]), encoding="utf-8")


def save(folder: Path, path: str, **fields: object) -> Path:
    """Write a record's file as a person would: in place, in a form of their own."""
    file = folder / f"{path}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"$type": path.partition("/")[0], **fields}), encoding="utf-8")
    return file


def cid_in(folder: Path, path: str) -> str | None:
    """The CID of the record that a file stands for; None if there is no file or no record in it."""
    try:
        text = (folder / f"{path}.json").read_bytes()
        return str(cid_of(parse_record(text, path.partition("/")[0])))
    except (FileNotFoundError, BadJson):
        return None
