"""`.syncd/control.sock`: how another process of the same user speaks with the syncd of a folder.

A question is one line of JSON, the answer another, and then it is over. What they mean is not known
here. Whoever is not the same user, or root, is not listened to, and not believed either.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from syncd.errors import FolderWrong, SyncdError

NAME: Final = "control.sock"
ASK_SECONDS: Final = 10.0
"""How long somebody who connected may take to ask."""
_LARGEST: Final = 64 * 1024
"""Bytes of a question. Answers come from a syncd that was checked, and may be long."""
_CREDENTIALS: Final = struct.Struct("3i")

Answer = dict[str, Any]
Handle = Callable[[Mapping[str, Any]], Awaitable[Answer]]


@asynccontextmanager
async def listen(own: Path, handle: Handle) -> AsyncIterator[None]:
    """Answer questions in the directory `own`, which the caller holds the lock of.

    `handle` may raise SyncdError, which is told as the answer. Raises FolderWrong if there can be
    no socket there.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(reader, writer, handle)
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


def ask(own: Path, question: Mapping[str, Any], *, seconds: float | None = None) -> Answer | None:
    """What the syncd that listens in `own` answers; None if none does.

    Raises SyncdError: it did not answer within `seconds` or at all, or it is somebody else.
    """
    try:
        with _open(own) as directory, socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(seconds)
            asking.connect(_address(directory))
            _check_server(own, asking)
            asking.sendall(json.dumps(question).encode() + b"\n")
            with asking.makefile("rb") as answering:
                line = answering.readline()
    except (FolderWrong, FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        message = f"the running syncd cannot be asked: {error.strerror or error}"
        raise SyncdError(message, hint="syncd status") from None
    if not line.endswith(b"\n"):
        raise SyncdError("the running syncd ended before it answered", hint="syncd status")
    answer: Answer = json.loads(line)
    return answer


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
) -> None:
    if _user(writer.get_extra_info("socket")) not in (os.geteuid(), 0):
        return
    async with asyncio.timeout(ASK_SECONDS):
        question = json.loads(await reader.readuntil(b"\n"))
    if not isinstance(question, dict):
        return
    try:
        answer = await handle(question)
    except SyncdError as error:
        answer = {
            "error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        }
    writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    await writer.drain()


@contextmanager
def _open(own: Path) -> Iterator[int]:
    """A descriptor of the directory: its short path below /proc is the one that fits a socket."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(own, flags)
    except OSError as error:
        raise FolderWrong(f"{own} cannot be opened: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _address(directory: int) -> str:
    """A path of a socket may have 107 bytes, that of a folder many more."""
    return f"/proc/self/fd/{directory}/{NAME}"


def _bind(own: Path, directory: int) -> socket.socket:
    """The socket, in place of one that a syncd before us left behind."""
    with suppress(FileNotFoundError):
        os.unlink(NAME, dir_fd=directory)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # The mode of a socket that is not bound yet is that of the file that bind() makes of it.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(_address(directory))
        os.chmod(NAME, 0o600, dir_fd=directory)
    except OSError as error:
        listening.close()
        message = f"{own / NAME} cannot be made: {error.strerror}"
        raise FolderWrong(message, hint="keep the mirror on a local disk") from None
    listening.listen(16)
    return listening


def _user(connected: socket.socket) -> int:
    """The user at the other end, as the kernel says."""
    size = _CREDENTIALS.size
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(_CREDENTIALS.unpack(raw)[1])


def _check_server(own: Path, asking: socket.socket) -> None:
    """Whoever answers must be us, root, or the owner of the folder."""
    user = _user(asking)
    if user not in (os.geteuid(), 0, own.stat().st_uid):
        hint = "see who that is before you go on"
        raise SyncdError(f"another user ({user}) listens on {own / NAME}", hint=hint)
