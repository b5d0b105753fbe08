"""Show syncd at work on a sandbox PDS, with the real commands (`syncd demo`).

Never touches a file outside its own directory; sessions and passwords of the demo are there too.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from io import BytesIO
from pathlib import Path
from typing import IO

import click

from syncd.atproto.blob import BlobRef
from syncd.atproto.data import Record, Value, cid_of
from syncd.children import without_secrets
from syncd.cli import loop
from syncd.cli.commands.sandbox import served
from syncd.cli.screen.output import say
from syncd.errors import SyncdError
from syncd.folder.names import relative_path
from syncd.forms import USUAL
from syncd.model import Change, RecordPath
from syncd.sandbox import Login, MemoryPds, Sandbox
from syncd.values import dataclass

NOTE = RecordPath("com.example.note/hello")
DRAWN = RecordPath("com.example.note/drawn")
SENT = RecordPath("com.example.note/sent")
_COLLECTION = "com.example.note"
_FORM = USUAL.of(_COLLECTION)
_PATIENCE_SECONDS = 20.0


@click.command()
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option(
    "--once",
    is_flag=True,
    help="End after the tour; otherwise the PDS keeps running for you to try.",
)
def demo(target: Path | None, once: bool) -> None:
    """Watch syncd work, without an account. DIR (default: a new one) holds everything.

    \b
    Examples:
      syncd demo
      syncd demo --once /tmp/demo
    """
    host = Sandbox()
    with served(host) as running, _home(target, is_kept=not once) as home:
        tour = Tour(home, host, host.create_account("alice"), running.url)
        tour.give()
        if not once:
            tour.stay()


@contextmanager
def _home(target: Path | None, *, is_kept: bool) -> Iterator[Path]:
    """Yield the directory of the tour; afterwards, remove it if it is temporary and not kept."""
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
        yield target.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="syncd-demo-"))
    try:
        yield made
    finally:
        if not is_kept:
            shutil.rmtree(made)


@dataclass(frozen=True, slots=True)
class Tour:
    """A tour through syncd: `home` holds the folder, the password file and the sessions.

    `heard` has what the daemon said since the tour last waited for a line of it.
    """

    home: Path
    host: Sandbox
    login: Login
    url: str
    heard: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder of the mirror."""
        return self.home / "alice"

    @property
    def file(self) -> Path:
        """The file of the record that both sides edit."""
        return self._file_of(NOTE)

    def give(self) -> None:
        """Walk through all steps. Raises SyncdError if a step ends in another way than shown."""
        self._set_up()
        with self._daemon():
            self._edit_here()
            self._edit_there()
            self._picture_up()
            self._picture_down()
        self._edit_both()
        self._decide()
        say()
        say("Every step above is an ordinary command; `syncd --help` lists them all.")

    def stay(self) -> None:
        """Keep the sandbox and the daemon running until Ctrl-C."""
        step("Your turn")
        with self._daemon():
            say(f"Edit, add or delete files in {self.folder}: each save is pushed. Ctrl-C ends.")
            try:
                while True:
                    time.sleep(1)
            except KeyboardInterrupt:
                say("")

    def _set_up(self) -> None:
        step("A PDS to play with")
        say(f"sandbox PDS at {self.url}, account {self.login.handle} ({self.login.did})")
        self._write_remotely("hello, said another app")
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(self.login.password, encoding="utf-8")
        place = ("--pds", self.url, "--plc", self.url)
        step("Log in and clone: every block hashed, tree walked, signature verified")
        self._run("login", self.login.handle, "--password-file", str(password), *place)
        self._run("clone", self.login.handle, str(self.folder), *place)
        self._show_file()

    def _edit_here(self) -> None:
        step("Save a file here, and it is a commit there")
        self._save("edited in a text editor")
        self._wait(lambda: self._remote() == self._local(), "the edit did not reach the PDS")
        self._hear("pushed", NOTE)
        say(f"commit {self.host.repo(self.login.did).head.commit} has {NOTE} = {self._remote()}")

    def _edit_there(self) -> None:
        step("Write there, and the file changes here")
        self._write_remotely("another app was here again")
        self._wait(lambda: self._remote() == self._local(), "the folder did not follow the PDS")
        self._hear("pulled", NOTE)
        self._show_file()

    def _picture_up(self) -> None:
        step("Name a picture in a record, and both go up")
        picture = self.folder / "pictures" / "square.png"
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(_square(200, 80, 40))
        named: Value = {"$type": "blob", "$file": "pictures/square.png"}
        file = self._file_of(DRAWN)
        file.write_bytes(_FORM.format({**_note("mine"), "picture": named}))
        say(f"(saving {picture}, and {file}, which names it)")
        repo = self.host.repo(self.login.did)
        self._wait(lambda: repo.current(DRAWN) is not None, "the picture did not reach the PDS")
        self._hear("pushed", DRAWN)
        say(f"commit {repo.head.commit} has {DRAWN} = {repo.current(DRAWN)}")
        say(f"{file}, with the reference of the PDS's answer:")
        _say_lines(file.read_text(encoding="utf-8"))

    def _picture_down(self) -> None:
        step("Another app sends a picture, and it is a file here, under its own hash")
        ref = loop.run(self._send_picture(_square(40, 80, 200)))
        file = self.folder / "blobs" / f"{ref.cid}.png"
        self._wait(file.exists, "the picture did not come")
        self._hear("pulled", SENT)
        self._run("blob", "ls")

    async def _send_picture(self, content: bytes) -> BlobRef:
        pds = MemoryPds(self.host, self.login.did)
        ref = await pds.upload_blob(BytesIO(content), len(content), "image/png")
        record: Record = {**_note("theirs"), "picture": ref.value}
        written = await pds.put(Change(SENT, None, cid_of(record), record))
        say(f"(another app uploads a picture and writes {SENT} = {written.cids[0]})")
        return ref

    def _edit_both(self) -> None:
        step("Both sides edit while the daemon is off: a conflict, and nothing is lost")
        self._save("my version, made offline")
        self._write_remotely("their version, made meanwhile")
        self._run("sync", code=3)
        self._run("conflicts", code=3)
        say(f"here:  {self.file} says {_text(self.file)!r}")
        for kept in (self.folder / ".syncd" / "conflicts").rglob(f"*{_FORM.ending}"):
            say(f"there: {kept} says {_text(kept)!r}")

    def _decide(self) -> None:
        step("Decide, and verify that everything agrees")
        self._run("resolve", NOTE, "--local")
        self._run("status")
        self._run("verify")

    # --- what the tour is made of ---------------------------------------------------------------

    def _file_of(self, path: RecordPath) -> Path:
        return self.folder / relative_path(path, forms=USUAL)

    def _run(self, *arguments: str, code: int = 0) -> None:
        """Run a syncd command in the folder and print it with its output."""
        say(f"$ syncd {' '.join(arguments)}")
        inside = ("-C", str(self.folder)) if self.folder.exists() else ()
        command = [sys.executable, "-m", "syncd", *inside, *arguments]
        done = subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
            command,
            env=without_secrets(self._environment()),
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        _say_lines(done.stdout + done.stderr)
        if done.returncode != code:
            raise SyncdError(f"the demo's step ended with {done.returncode} instead of {code}")

    def _environment(self) -> dict[str, str]:
        own = {
            "XDG_STATE_HOME": str(self.home / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "SYNCD_PDS": self.url,
            "SYNCD_PLC_URL": self.url,
        }
        return {**os.environ, **own}

    @contextmanager
    def _daemon(self) -> Iterator[None]:
        say(f"$ syncd run {self.folder} &")
        command = [sys.executable, "-m", "syncd", "run", str(self.folder)]
        with subprocess.Popen(  # noqa: S603 - as above
            command,
            env=without_secrets(self._environment()),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as daemon:
            # Its lines pass through here, so that each stands in the step that it belongs to.
            repeating = threading.Thread(target=self._repeat, args=(daemon.stdout,), daemon=True)
            repeating.start()
            try:
                self._hear("watching", str(self.folder))
                yield
            finally:
                daemon.terminate()
                daemon.wait(_PATIENCE_SECONDS)
                repeating.join(_PATIENCE_SECONDS)

    def _repeat(self, lines: IO[str]) -> None:
        """Print each line of the daemon, and keep it for `_hear`."""
        for line in lines:
            say(line.rstrip())
            self.heard.append(line)

    def _hear(self, verb: str, what: str) -> None:
        """Wait until the daemon has said what it did. Raises SyncdError if it does not."""

        def is_said() -> bool:
            return any(line.split()[:2] == [verb, what] for line in list(self.heard))

        self._wait(is_said, f"the daemon did not report {verb} {what}")
        self.heard.clear()

    def _wait(self, is_done: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_done():
            if time.monotonic() > deadline:
                raise SyncdError(f"{complaint} within {_PATIENCE_SECONDS:.0f} seconds")
            time.sleep(0.05)

    def _save(self, text: str) -> None:
        say(f"(saving {self.file})")
        self.file.write_bytes(_FORM.format(_note(text)))

    def _write_remotely(self, text: str) -> None:
        pds = MemoryPds(self.host, self.login.did)
        record = _note(text)
        change = Change(NOTE, self.host.repo(self.login.did).current(NOTE), cid_of(record), record)
        written = loop.run(pds.put(change))
        say(f"(another app writes {NOTE} = {written.cids[0]})")

    def _remote(self) -> str:
        return str(self.host.repo(self.login.did).current(NOTE))

    def _local(self) -> str:
        try:
            return str(cid_of(_FORM.parse(self.file.read_bytes(), _COLLECTION)))
        except SyncdError:
            return ""

    def _show_file(self) -> None:
        say(f"{NOTE} = {self._local()}")
        say(f"{self.file}:")
        _say_lines(self.file.read_text(encoding="utf-8"))


def _note(text: str) -> Record:
    return {"$type": _COLLECTION, "text": text}


def _square(red: int, green: int, blue: int) -> bytes:
    """Return a PNG of one colour."""
    side = 64
    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _text(file: Path) -> str:
    return str(_FORM.parse(file.read_bytes(), _COLLECTION)["text"])


def _say_lines(text: str) -> None:
    for line in text.rstrip().split("\n"):
        say(line)


def step(title: str) -> None:
    """Print the heading of one step."""
    say()
    say(f"== {title}")
