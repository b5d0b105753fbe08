"""Credentials: found in a known order, kept where only their owner can read them, never shown."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.syntax import Did
from syncd.credentials import Credentials, Keyring, find_keyring
from syncd.credentials.store import WAIT_SECONDS
from syncd.errors import CredentialsRefused, FileProblem
from syncd.exchange import Session
from syncd.pds import Tokens

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
HERE, ELSEWHERE = "https://pds.example.com", "https://elsewhere.example.com"
SESSION = Session(DID, "access-token", "refresh-token", HERE)
PASSWORD = "abcd-efgh-2345-6789"


class MemoryKeyring:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str, /) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str, /) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str, /) -> None:
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str, /) -> str | None:
        raise RuntimeError("the collection is locked")

    def set_password(self, service: str, username: str, password: str, /) -> None:
        raise RuntimeError("the collection is locked")

    def delete_password(self, service: str, username: str, /) -> None:
        raise RuntimeError("the collection is locked")


def make(directory: Path, keyring: Keyring | None = None, **options: Any) -> Credentials:  # noqa: ANN401
    options.setdefault("environ", {})
    options.setdefault("home", lambda: HERE)
    did = options.pop("did", DID)
    return Credentials(did, config_dir=directory, keyring=lambda: keyring, **options)


def secret_file(path: Path, text: str = f"{PASSWORD}\n", mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_credentials_are_tokens(tmp_path: Path) -> None:
    tokens: Tokens = make(tmp_path)
    assert tokens.load() is None
    assert tokens.password(HERE) is None


# --- Where a password is found -------------------------------------------------------------------


def test_a_password_is_looked_for_in_a_known_order(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    environ: dict[str, str] = {}

    def found(**options: Any) -> tuple[str | None, str | None]:  # noqa: ANN401
        credentials = make(tmp_path / "state", keyring, environ=environ, **options)
        return credentials.password(HERE), credentials.source()

    assert found() == (None, None)
    own = make(tmp_path / "state").keep_password("from-own-file", HERE)
    assert found() == ("from-own-file", own)
    keyring.set_password("syncd", DID, "from-keyring")
    assert found() == ("from-keyring", "the keyring")
    secret_file(tmp_path / "systemd" / "syncd-password", "from-systemd\n")
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "systemd")
    assert found() == ("from-systemd", "the systemd credential syncd-password")
    environ["SYNCD_PASSWORD"] = "from-environment"
    assert found() == ("from-environment", "the variable SYNCD_PASSWORD")
    variable = secret_file(tmp_path / "variable", "from-variable")
    environ["SYNCD_PASSWORD_FILE"] = str(variable)
    assert found() == ("from-variable", f"the file {variable}")
    flag = secret_file(tmp_path / "flag", "from-flag")
    assert found(password_file=flag) == ("from-flag", f"the file {flag}")


def test_the_source_without_a_password_is_the_session(tmp_path: Path) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    assert credentials.password(HERE) is None
    source = credentials.source()
    assert source is not None
    assert "session" in source
    assert "token" not in source


def test_a_named_file_that_is_not_there_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    make(tmp_path).keep_password("from-own-file", HERE)
    for credentials in (
        make(tmp_path, password_file=tmp_path / "absent"),
        make(tmp_path, environ={"SYNCD_PASSWORD_FILE": str(tmp_path / "absent")}),
    ):
        with pytest.raises(CredentialsRefused):
            credentials.password(HERE)


def test_empty_variables_and_absent_credentials_are_passed_over(tmp_path: Path) -> None:
    for environ in (
        {"SYNCD_PASSWORD_FILE": "", "CREDENTIALS_DIRECTORY": ""},
        {"CREDENTIALS_DIRECTORY": str(tmp_path)},
    ):
        assert make(tmp_path, environ=environ).password(HERE) is None


@pytest.mark.parametrize(
    "text", [PASSWORD, f"{PASSWORD}\n", f"{PASSWORD}\r\n", f"\ufeff{PASSWORD}\n"]
)
def test_a_final_newline_is_not_part_of_the_password(tmp_path: Path, text: str) -> None:
    path = secret_file(tmp_path / "password", text)
    assert make(tmp_path, password_file=path).password(HERE) == PASSWORD


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_variable_holds_one_password_with_or_without_the_end_of_a_line(
    tmp_path: Path, end: str
) -> None:
    credentials = make(tmp_path, environ={"SYNCD_PASSWORD": PASSWORD + end})
    assert credentials.password(HERE) == PASSWORD
    assert credentials.given_at() == "the variable SYNCD_PASSWORD"


@pytest.mark.parametrize("text", ["\n", "secret\ntwo\n", "secret\x1b[0m"])
def test_a_variable_that_does_not_hold_one_password_is_refused_and_not_shown(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        make(tmp_path, environ={"SYNCD_PASSWORD": text}).password(HERE)
    assert "SYNCD_PASSWORD" in caught.value.hint
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_password_that_syncd_keeps_is_given_nowhere(tmp_path: Path) -> None:
    make(tmp_path).keep_password(PASSWORD, HERE)
    credentials = make(tmp_path)
    assert credentials.password(HERE) == PASSWORD
    assert credentials.given_at() is None


def test_spaces_are_part_of_the_password(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "password", " two words \n")
    assert make(tmp_path, password_file=path).password(HERE) == " two words "


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"secret\ntwo\n", b"secret\x00", b"\xff\xfe", b"x" * 100_000],
    ids=["empty", "newline", "two lines", "nul", "not utf-8", "long"],
)
def test_a_file_that_does_not_hold_one_password_is_refused(tmp_path: Path, content: bytes) -> None:
    path = secret_file(tmp_path / "password")
    path.write_bytes(content)
    with pytest.raises(CredentialsRefused) as caught:
        make(tmp_path, password_file=path).password(HERE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622, 0o601])
def test_a_file_open_to_others_is_refused_with_the_command_that_corrects_it(
    tmp_path: Path, mode: int
) -> None:
    path = secret_file(tmp_path / "my password", mode=mode)
    with pytest.raises(CredentialsRefused) as caught:
        make(tmp_path, password_file=path).password(HERE)
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    command = caught.value.hint.removeprefix("run: ")
    subprocess.run(["sh", "-c", command], check=True)
    assert make(tmp_path, password_file=path).password(HERE) == PASSWORD


def test_credentials_of_systemd_may_look_open_because_of_their_acl(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "systemd" / "syncd-password", mode=0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(path.parent)}
    assert make(tmp_path, environ=environ).password(HERE) == PASSWORD
    environ["SYNCD_PASSWORD_FILE"] = str(path)
    assert make(tmp_path, environ=environ).password(HERE) == PASSWORD


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "password"
    path.mkdir() if kind == "directory" else os.mkfifo(path, 0o600)
    with pytest.raises(CredentialsRefused):
        make(tmp_path, password_file=path).password(HERE)


# --- Keyrings ------------------------------------------------------------------------------------


def test_a_keyring_that_works_keeps_the_password_and_no_file_does(tmp_path: Path) -> None:
    make(tmp_path).keep_password("old", HERE)
    credentials = make(tmp_path, MemoryKeyring())
    assert credentials.keep_password(PASSWORD, HERE) == "the keyring"
    assert credentials.password(HERE) == PASSWORD
    assert not list(tmp_path.rglob("*.password"))


def test_a_keyring_that_fails_is_passed_over(tmp_path: Path) -> None:
    credentials = make(tmp_path, LockedKeyring())
    place = credentials.keep_password(PASSWORD, HERE)
    assert json.loads(Path(place).read_text()) == {
        "did": DID,
        "origin": HERE,
        "password": PASSWORD,
    }
    assert credentials.password(HERE) == PASSWORD
    credentials.forget()
    assert credentials.password(HERE) is None


@pytest.mark.parametrize(("priority", "usable"), [(5, True), (0.5, True), (0, False), (-1, False)])
def test_a_keyring_package_counts_only_with_a_place_to_keep_things_in(
    monkeypatch: pytest.MonkeyPatch, priority: float, usable: bool
) -> None:
    package = SimpleNamespace(get_keyring=lambda: SimpleNamespace(priority=priority))
    monkeypatch.setitem(sys.modules, "keyring", package)
    assert (find_keyring() is not None) is usable


def test_without_the_keyring_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find_keyring() is None


# --- What is written -----------------------------------------------------------------------------


@pytest.mark.usefixtures("open_umask")
def test_secrets_are_private_from_their_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            seen.append((stat.S_IMODE(status.st_mode), status.st_size))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    credentials.keep_password(PASSWORD, HERE)
    assert [mode for mode, _ in seen] == [0o600, 0o600]
    assert all(size > 0 for _, size in seen)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {mode_of(path) for path in files} == {0o600}
    assert mode_of(tmp_path / "credentials") == 0o700


def test_an_open_directory_is_closed_before_a_secret_goes_in(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials").chmod(0o755)
    make(tmp_path).keep(SESSION)
    assert mode_of(tmp_path / "credentials") == 0o700


def test_a_kept_session_is_loaded_and_replaced_as_a_whole(tmp_path: Path) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    assert make(tmp_path).load() == SESSION
    newer = Session(DID, "newer", "newest", HERE)
    credentials.keep(newer)
    assert make(tmp_path).load() == newer
    assert len(list((tmp_path / "credentials").iterdir())) == 1


def test_a_write_that_fails_leaves_the_old_session_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileProblem) as caught:
        credentials.keep(Session(DID, "newer", "newest", HERE))
    assert "newer" not in f"{caught.value}{caught.value.hint}"
    assert "No space left" in str(caught.value)
    assert make(tmp_path).load() == SESSION
    assert len(list((tmp_path / "credentials").iterdir())) == 1


def test_a_symlink_in_place_of_a_secret_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    [path] = (tmp_path / "credentials").iterdir()
    outside = tmp_path / "outside"
    outside.write_text("precious")
    path.unlink()
    path.symlink_to(outside)
    credentials.keep(SESSION)
    assert outside.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"did": "DID"}',
        '{"did": "did:web:example.com", "access": "a", "refresh": "r"}',
        '{"did": "DID", "access": 1, "refresh": "r"}',
        '{"did": "DID", "access": "a\\nX-Evil: 1", "refresh": "r"}',
        '{"did": "DID", "access": "\\u00e9", "refresh": "r"}',
        "[" * 60_000,
    ],
)
def test_a_damaged_session_is_no_session(tmp_path: Path, text: str) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    [path] = (tmp_path / "credentials").iterdir()
    path.write_text(text.replace("DID", DID))
    assert credentials.load() is None


def test_a_session_that_others_can_read_is_refused(tmp_path: Path) -> None:
    credentials = make(tmp_path)
    credentials.keep(SESSION)
    [path] = (tmp_path / "credentials").iterdir()
    path.chmod(0o644)
    with pytest.raises(CredentialsRefused) as caught:
        credentials.load()
    assert "chmod 600" in caught.value.hint


def test_to_forget_is_to_leave_nothing_and_may_be_done_twice(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    named = secret_file(tmp_path / "named")
    credentials = make(tmp_path, keyring, password_file=named)
    credentials.keep(SESSION)
    credentials.keep_password(PASSWORD, HERE)
    make(tmp_path).keep_password(PASSWORD, HERE)
    for _ in range(2):
        credentials.forget()
        assert keyring.kept == {}
        assert list((tmp_path / "credentials").iterdir()) == []
    assert named.exists()


def test_accounts_do_not_share_their_secrets(tmp_path: Path) -> None:
    long = Did("did:web:" + "a" * 2000 + ".example.com")
    others = [Did("did:web:localhost%3A2583"), long, Did(long.replace("a.", "b."))]
    for did in others:
        make(tmp_path, did=did).keep(Session(did, f"a-{did[:9]}", "r", HERE))
    assert make(tmp_path).load() is None
    for did in others:
        session = make(tmp_path, did=did).load()
        assert session is not None
        assert session.did == did


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=50))
def test_any_token_that_fits_a_header_survives(tmp_path_factory: Any, token: str) -> None:  # noqa: ANN401
    credentials = make(tmp_path_factory.mktemp("c"))
    session = Session(DID, token, token[::-1], HERE)
    credentials.keep(session)
    assert credentials.load() == session


def test_nothing_shown_holds_a_secret(tmp_path: Path) -> None:
    credentials = make(tmp_path, MemoryKeyring())
    credentials.keep(SESSION)
    credentials.keep_password(PASSWORD, HERE)
    credentials.password(HERE)
    for shown in (repr(credentials), str(credentials), credentials.source(), repr(SESSION)):
        assert shown is not None
        assert PASSWORD not in shown
        assert SESSION.access not in shown
        assert SESSION.refresh not in shown


# --- One renewal at a time -----------------------------------------------------------------------


async def test_two_processes_renew_one_after_the_other(tmp_path: Path) -> None:
    inside = 0
    most = 0

    async def renew() -> None:
        nonlocal inside, most
        async with make(tmp_path).alone():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(renew() for _ in range(4)))
    assert most == 1


async def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    held = (
        "import asyncio, sys; from pathlib import Path; from syncd.credentials import Credentials\n"
        "async def hold():\n"
        "    async with Credentials(sys.argv[1], config_dir=Path(sys.argv[2])).alone():\n"
        "        print('held', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(hold())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", held, DID, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), make(tmp_path).alone():
            pass
    process.kill()
    await process.wait()
    async with asyncio.timeout(WAIT_SECONDS / 5), make(tmp_path).alone():
        pass


async def test_a_process_that_is_stuck_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.credentials.store.WAIT_SECONDS", 0.1)
    async with asyncio.timeout(60), make(tmp_path).alone(), make(tmp_path).alone():
        pass


async def test_where_no_lock_can_be_made_the_renewal_goes_on(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("in the way")
    async with make(tmp_path).alone():
        pass
    with pytest.raises(FileProblem):
        make(tmp_path).keep(SESSION)
    assert make(tmp_path).load() is None
    make(tmp_path).forget()
