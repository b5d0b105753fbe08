"""`.syncd/control.sock`: how another process of the same user speaks with the syncd of a folder.

A question is one line of JSON, the answer another, and then it is over. Each line names the version
of the protocol. Where the two differ, nothing is done, and both sides say that the daemon has to be
restarted; only `STOP` is understood across all versions, so that it can be. What questions and
answers mean is not known here. Only the same user and root are listened to, and believed. Where the
file system has no sockets (exFAT, some on a network), the socket has an abstract name (unix(7)).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from syncd.errors import BadShape, FolderWrong, OtherVersion, SyncdError
from syncd.trouble import in_trouble
from syncd.typedjson import parse_json, text_of
from syncd.values import dataclass
from syncd.waiting import waiting_for

NAME: Final = "control.sock"
RESETS: Final = 5
"""How often a question is asked again, PAUSE_SECONDS later, of a socket that was closed."""
PAUSE_SECONDS: Final = 0.1
PROTOCOL: Final = 1
"""It rises with each change that the other side could misread; a new field is none. The syncd from
before there were versions sends no number, asks under `do`, and knows no `ask`."""
STOP: Final = "stop"
"""The question that each version answers by ending, whatever the version of the one that asks."""
ASK_SECONDS: Final = 10.0
"""How long a client that connected may take to ask."""
_LARGEST: Final = 64 * 1024
"""Bytes of a question. Answers come from a syncd that was checked, and may be long."""
_CREDENTIALS: Final = struct.Struct("3i")

Said = Mapping[str, object]
"""A line of the other side, as JSON says it: whoever understands it checks it."""
Handle = Callable[[str], Awaitable[object]]
"""Answers a question with a dataclass."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is sent, for the other process to raise."""

    message: str
    hint: str
    exit_code: int

    def __post_init__(self) -> None:
        """Raise ValueError for an exit code that no process can have, and for success."""
        if not 0 < self.exit_code < 256:
            raise ValueError("it is not the exit code of a failure")

    @classmethod
    def of(cls, error: SyncdError) -> Self:
        """Return an error in the form in which it is sent."""
        return cls(error.message, error.hint, error.exit_code)


@asynccontextmanager
async def listen(own: Path, handle: Handle) -> AsyncIterator[None]:
    """Answer questions in the directory `own`, whose lock the caller holds.

    `handle` may raise SyncdError, which is sent as the answer. Raises FolderWrong if there can be
    no socket there.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(own, reader, writer, handle)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    with _open(own) as directory:
        listening = _bind(own, directory)
        server = await asyncio.start_unix_server(serve, sock=listening, limit=_LARGEST)
        try:
            yield
        finally:
            server.close()
            with suppress(FileNotFoundError):
                os.unlink(NAME, dir_fd=directory)


def ask(own: Path, question: str, *, seconds: float | None = None) -> Said | None:
    """Return the answer of the syncd that listens in `own`; None if there is none.

    Raises:
        OtherVersion: It speaks another version of the protocol. It did nothing.
        SyncdError: It did not answer within `seconds` or at all, or something else listens there.
    """
    try:
        line = _asked_again(own, question, seconds)
    except (FolderWrong, FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        message = f"the running syncd cannot be asked: {error.strerror or error}"
        raise SyncdError(message, hint="syncd status") from None
    if not line.endswith(b"\n"):
        raise SyncdError("the running syncd ended before it answered", hint="syncd status")
    said = _object(line)
    if said is None:
        raise not_understood(own, "its answer is not a JSON object")
    # An older daemon that was asked to stop does so, and answers without a version.
    if question != STOP and said.get("protocol") != PROTOCOL:
        raise _other_version(own, said.get("protocol"))
    return said


def _asked_again(own: Path, question: str, seconds: float | None) -> bytes:
    """Return the line that answers a question; repeat a question that nobody took.

    Raises OSError.

    A daemon that takes other settings closes its socket and opens another one.
    """
    was_closed = False
    for _ in range(RESETS):
        try:
            return _line(own, question, seconds)
        except (ConnectionResetError, BrokenPipeError):
            was_closed = True
        except (FileNotFoundError, ConnectionRefusedError):
            if not was_closed:
                raise
        time.sleep(PAUSE_SECONDS)
    return _line(own, question, seconds)


def _line(own: Path, question: str, seconds: float | None) -> bytes:
    with _open(own) as directory, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(seconds)
        try:
            asking.connect(_address(directory))
        except (FileNotFoundError, ConnectionRefusedError):
            asking.connect(_abstract(directory))
        _check_server(own, asking)
        asking.sendall(_question(question))
        with waiting_for("the running syncd"), asking.makefile("rb") as answering:
            return answering.readline()


def not_understood(own: Path, reason: str) -> SyncdError:
    """Return the error for an answer that breaks the protocol."""
    return SyncdError(
        f"the answer of the running syncd cannot be read: {reason}", hint=_restart(own)
    )


async def _serve(
    own: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
) -> None:
    if _user(writer.get_extra_info("socket")) not in (os.geteuid(), 0):
        return
    async with asyncio.timeout(ASK_SECONDS):
        question = _object(await reader.readuntil(b"\n"))
    if question is None:
        return
    try:
        answer = await handle(_asked(own, question))
    except SyncdError as error:
        answer = {"error": Failure.of(error)}
    # A file name may hold what UTF-8 cannot say; as ASCII, JSON can say all of it.
    said = json.loads(text_of(answer))
    writer.write(json.dumps({"protocol": PROTOCOL, **said}).encode() + b"\n")
    await writer.drain()


def _question(question: str) -> bytes:
    """Return the line of a question. Every older daemon understands a question under `do`."""
    asked = {"protocol": PROTOCOL, "ask": question}
    return text_of(asked | ({"do": STOP} if question == STOP else {})).encode() + b"\n"


def _asked(own: Path, question: Said) -> str:
    """Return the question in a line. Raises OtherVersion for another version, unless to stop."""
    if STOP in (question.get("ask"), question.get("do")):
        return STOP
    if question.get("protocol") != PROTOCOL:
        raise _other_version(own, question.get("protocol"))
    return str(question.get("ask"))


def _object(line: bytes) -> Said | None:
    """Return the JSON object of a line; None if it is none."""
    try:
        said = parse_json(line)
    except BadShape:
        return None
    return said if isinstance(said, dict) else None


def _other_version(own: Path, theirs: object) -> OtherVersion:
    """Return the error, on either side, for a peer with the protocol version `theirs`."""
    named = f"protocol {theirs}" if isinstance(theirs, int) else "no version of the protocol"
    message = (
        "the running syncd and this command are of different versions "
        f"(protocol {PROTOCOL} here, {named} there); nothing was done"
    )
    return OtherVersion(message, hint=_restart(own))


def _restart(own: Path) -> str:
    root = own.parent
    return f"restart it: syncd -C {root} stop, then syncd run {root}, or restart its service"


@contextmanager
def _open(own: Path) -> Iterator[int]:
    """Open the directory: its short path below /proc is the one that fits a socket."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(own, flags)
    except OSError as error:
        trouble = in_trouble(error, own, "opened")
        raise trouble or FolderWrong(f"{own} cannot be opened: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _address(directory: int) -> str:
    """Return the path of the socket, which must fit in 107 bytes, whatever the folder's length."""
    return f"/proc/self/fd/{directory}/{NAME}"


def _abstract(directory: int) -> str:
    """Return the name of the socket that is no file; another user may take it, but is not asked.

    A daemon that outlives its mount has another one than the daemon of the next mount.
    """
    found = os.fstat(directory)
    return f"\0syncd {found.st_dev} {found.st_ino}"


def _bind(own: Path, directory: int) -> socket.socket:
    """Return the socket, and replace one that an earlier syncd left behind."""
    with suppress(FileNotFoundError):
        os.unlink(NAME, dir_fd=directory)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _bind_to_file(listening, directory)
    except OSError as error:
        try:
            listening.bind(_abstract(directory))
        except OSError:
            listening.close()
            raise _unbound(own, error) from error
    listening.listen(16)
    return listening


def _bind_to_file(listening: socket.socket, directory: int) -> None:
    # The mode of a socket that is not bound yet is that of the file that bind() makes of it.
    os.fchmod(listening.fileno(), 0o600)
    listening.bind(_address(directory))
    os.chmod(NAME, 0o600, dir_fd=directory)


def _unbound(own: Path, error: OSError) -> SyncdError:
    trouble = in_trouble(error, own / NAME, "made")
    message = f"{own / NAME} cannot be made: {error.strerror}"
    return trouble or FolderWrong(message, hint="keep the mirror on a local disk")


def _user(connected: socket.socket) -> int:
    """Return the user at the other end, by the kernel."""
    size = _CREDENTIALS.size
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(_CREDENTIALS.unpack(raw)[1])


def _check_server(own: Path, asking: socket.socket) -> None:
    """Raise SyncdError unless this user, root, or the owner of the folder answers."""
    user = _user(asking)
    if user not in (os.geteuid(), 0, own.stat().st_uid):
        hint = "find out which program that is before you continue"
        raise SyncdError(f"another user ({user}) listens on {own / NAME}", hint=hint)
