"""The control socket: who may speak, how long its path may be, and what becomes of odd visitors."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from syncd import control
from syncd.control import NAME, PROTOCOL, Said, ask, listen
from syncd.errors import FolderWrong, OtherVersion, SyncdError


@pytest.fixture(params=["short", "long"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory; also one whose path is too long for a socket's."""
    directory = tmp_path if request.param == "short" else tmp_path.joinpath(*["deeper" * 10] * 4)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@dataclass(frozen=True)
class Heard:
    heard: str


async def echo(question: str) -> Heard:
    if question == "raise":
        raise FolderWrong("the folder is gone", hint="bring it back")
    return Heard(question)


@asynccontextmanager
async def listening(own: Path) -> AsyncIterator[None]:
    async with listen(own, echo):
        yield


def answer(heard: str) -> Said:
    return {"protocol": PROTOCOL, "heard": heard}


async def asked(own: Path, question: str) -> Said | None:
    return await asyncio.to_thread(ask, own, question, seconds=30)


async def test_a_question_is_answered(own: Path) -> None:
    async with listening(own):
        assert await asked(own, "it") == answer("it")
        assert stat.S_IMODE((own / NAME).stat().st_mode) == 0o600
    assert not (own / NAME).exists()


async def test_many_are_answered_at_once(own: Path) -> None:
    async with listening(own):
        answers = await asyncio.gather(*(asked(own, f"{n}") for n in range(20)))
    assert answers == [answer(f"{n}") for n in range(20)]


async def test_an_error_is_an_answer(own: Path) -> None:
    async with listening(own):
        said = await asked(own, "raise")
    error = {"message": "the folder is gone", "hint": "bring it back", "exit_code": 78}
    assert said == {"protocol": PROTOCOL, "error": error}


async def test_where_nobody_listens_there_is_no_answer(own: Path) -> None:
    assert await asked(own, "it") is None
    assert await asked(own / "absent", "it") is None


async def test_what_a_crash_left_behind_is_nobody_and_is_replaced(own: Path) -> None:
    directory = os.open(own, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"/proc/self/fd/{directory}/{NAME}")
    os.close(directory)
    assert await asked(own, "it") is None
    async with listening(own):
        assert await asked(own, "it") == answer("it")


@pytest.mark.parametrize(
    "sent", [b"", b"\n", b"not json\n", b"[1]\n", b'{"cut', b"\xff\xfe\n", b"x" * 200_000 + b"\n"]
)
async def test_an_odd_visitor_disturbs_nobody(tmp_path: Path, sent: bytes) -> None:
    async with listening(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / NAME)
        writer.write(sent)
        writer.write_eof()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert await asked(tmp_path, "it") == answer("it")


async def test_whoever_asks_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ASK_SECONDS", 0.1)
    async with listening(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / NAME)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.fixture(params=[errno.EPERM, errno.EIO, errno.EOPNOTSUPP], ids=os.strerror)
def without_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no sockets says so in different ways."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(control, "_bind_to_file", refuse)


@pytest.mark.usefixtures("without_sockets")
async def test_without_sockets_in_the_file_system_questions_are_answered(own: Path) -> None:
    link, other = own / "link", own / "other"
    other.mkdir()
    link.symlink_to(own.parent)
    async with listening(own):
        assert await asked(own, "it") == answer("it")
        assert await asked(link / own.name, "it") == answer("it")
        assert await asked(other, "it") is None
        assert not (own / NAME).exists()
    assert await asked(own, "it") is None


@contextmanager
def taken_by_another_user(name: str) -> Iterator[IO[bytes]]:
    """Another user listens at an abstract name; what comes out is what they were asked."""
    program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); "
        "s.bind(bytes.fromhex(sys.argv[1])); s.listen(); os.write(1, b'on'); "
        "c, _ = s.accept(); os.write(1, c.recv(100))"
    )
    who = ["setpriv", "--reuid=65534", "--clear-groups"]
    command = [*who, "/usr/bin/env", "python3", "-c", program, name.encode().hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.read(2) == b"on"
        yield other.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.usefixtures("without_sockets")
async def test_another_user_who_takes_the_abstract_name_is_not_asked(tmp_path: Path) -> None:
    with control._open(tmp_path) as directory:
        name = control._abstract(directory)
    with taken_by_another_user(name) as heard:
        with pytest.raises(SyncdError, match=NAME):
            await listening(tmp_path).__aenter__()
        with pytest.raises(SyncdError, match="65534"):
            await asked(tmp_path, "it")
        assert await asyncio.to_thread(heard.read) == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_not_listened_to(tmp_path: Path) -> None:
    """Even where the modes of the file would let them."""
    program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "os.write(1, b'in'); s.sendall(b'{}\\n'); os.write(1, s.recv(100))"
    )
    async with listening(tmp_path):
        (tmp_path / NAME).chmod(0o777)
        for directory in (tmp_path, *tmp_path.parents[:-2]):
            directory.chmod(directory.stat().st_mode | 0o055)
        done = await asyncio.to_thread(
            subprocess.run,
            ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c", program,
             str(tmp_path / NAME)],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.stdout == b"in", (done, sys.executable)


def test_a_silent_syncd_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / NAME))
        silent.listen()
        with pytest.raises(SyncdError, match="the running syncd cannot be asked: timed out"):
            ask(tmp_path, "it", seconds=0.1)


def test_a_syncd_that_ends_before_it_answers_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / NAME))
        listening.listen()
        pid = os.fork()
        if pid == 0:
            connected, _ = listening.accept()
            connected.recv(100)
            connected.send(json.dumps({"cut": 1}).encode())
            os._exit(0)
        with pytest.raises(SyncdError, match="ended before it answered"):
            ask(tmp_path, "it", seconds=60)
        os.waitpid(pid, 0)


def closed_once(own: Path) -> Thread:
    """A socket that closes, and frees its place, as soon as a client has connected."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(own / NAME))
    listener.listen()

    def close() -> None:
        select.select([listener], [], [])
        (own / NAME).unlink()
        listener.close()

    closing = Thread(target=close, daemon=True)
    closing.start()
    return closing


def test_a_question_that_a_closed_socket_took_is_asked_again(tmp_path: Path) -> None:
    closing = closed_once(tmp_path)

    async def heard() -> Said | None:
        await asyncio.to_thread(closing.join)
        async with listening(tmp_path):
            return await asyncio.wrap_future(asking)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, tmp_path, "it", seconds=60)
        assert asyncio.run(heard()) == answer("it")


def test_a_question_that_a_closed_socket_took_is_nobodys_where_no_other_opens(
    tmp_path: Path,
) -> None:
    closing = closed_once(tmp_path)
    assert ask(tmp_path, "it", seconds=60) is None
    closing.join()


# --- Another version at the other end ------------------------------------------------------------

OLDER, NEWER = {"do": "sync"}, {"protocol": PROTOCOL + 1, "ask": "sync"}


async def answer_to(own: Path, line: dict[str, object]) -> Said:
    """What a syncd that listens answers to a client of whatever version."""
    reader, writer = await asyncio.open_unix_connection(own / NAME)
    writer.write(json.dumps(line).encode() + b"\n")
    said: Said = json.loads(await reader.readline())
    writer.close()
    return said


@pytest.mark.parametrize("asked_so", [OLDER, NEWER, {"protocol": "1", "ask": "sync"}, {}])
async def test_a_client_of_another_version_gets_a_sentence_and_nothing_is_done(
    tmp_path: Path, asked_so: dict[str, object]
) -> None:
    """The error has the form that clients of all versions know."""
    done: list[str] = []

    async def do(question: str) -> Heard:
        done.append(question)
        return Heard(question)

    async with listen(tmp_path, do):
        said = await answer_to(tmp_path, asked_so)
    error = said["error"]
    assert isinstance(error, dict)
    assert error.keys() == {"message", "hint", "exit_code"}
    assert (error["exit_code"], done) == (1, [])
    assert "different versions" in error["message"]
    assert f"syncd -C {tmp_path.parent} stop" in error["hint"]


@pytest.mark.parametrize(
    "asked_so", [{"do": "stop"}, {"protocol": 99, "ask": "stop"}, {"protocol": None, "ask": "stop"}]
)
async def test_a_client_of_any_version_can_stop_it(
    tmp_path: Path, asked_so: dict[str, object]
) -> None:
    async with listening(tmp_path):
        assert await answer_to(tmp_path, asked_so) == answer("stop")


async def test_a_field_that_is_not_known_is_ignored(tmp_path: Path) -> None:
    async with listening(tmp_path):
        asked_so: dict[str, object] = {"protocol": PROTOCOL, "ask": "it", "new": {"a": [1]}}
        assert await answer_to(tmp_path, asked_so) == answer("it")


async def test_an_answer_may_hold_what_utf_8_cannot_say(tmp_path: Path) -> None:
    """A file whose name is no UTF-8 is a problem that names it."""
    async with listening(tmp_path):
        assert await asked(tmp_path, "\udcff") == answer("\udcff")


@contextmanager
def answering(own: Path, line: bytes) -> Iterator[list[dict[str, object]]]:
    """A syncd of another version, which answers one question with `line`; what it was asked."""
    heard: list[dict[str, object]] = []

    def serve(listening: socket.socket) -> None:
        connected, _ = listening.accept()
        with connected, connected.makefile("rb") as asking:
            heard.append(json.loads(asking.readline()))
            connected.sendall(line)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(own / NAME))
        listening.listen()
        server = Thread(target=serve, args=(listening,))
        server.start()
        yield heard
        server.join()


@pytest.mark.parametrize(
    "line", [b'{"pid": 7, "phase": "idle"}\n', b'{"protocol": 99, "anything": [1]}\n', b"{}\n"]
)
def test_a_daemon_of_another_version_is_named_with_the_way_on(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path, line) as heard, pytest.raises(OtherVersion) as caught:
        ask(tmp_path, "sync", seconds=60)
    assert heard == [{"protocol": PROTOCOL, "ask": "sync"}], "an older one finds no `do` in it"
    assert f"syncd -C {tmp_path.parent} stop" in caught.value.hint


@pytest.mark.parametrize("line", [b'{"pid": 7, "phase": "idle"}\n', b'{"protocol": 99}\n'])
def test_a_daemon_of_any_version_can_be_stopped(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path, line) as heard:
        assert ask(tmp_path, "stop", seconds=60) == json.loads(line)
    assert heard == [{"protocol": PROTOCOL, "ask": "stop", "do": "stop"}]


@pytest.mark.parametrize("line", [b"[]\n", b"no json\n", b"\xff\n", b"7\n", b"[" * 9999 + b"\n"])
def test_an_answer_that_is_none_is_an_error_with_the_way_on(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path, line), pytest.raises(SyncdError, match="cannot be read") as why:
        ask(tmp_path, "sync", seconds=60)
    assert "restart it" in why.value.hint
