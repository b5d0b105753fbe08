"""`syncd login`: what is no password is refused in a sentence that shows none of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.errors import BadUsage, CredentialsRefused, FileProblem, SyncdError
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start

SECRET = b"\xffhunter2-secret"


@pytest.mark.parametrize(
    ("content", "is_file", "error", "words"),
    [
        (SECRET, True, FileProblem, "is not UTF-8"),
        (SECRET, False, FileProblem, "is not UTF-8"),
        (b"\n", True, CredentialsRefused, "the password is empty"),
        (b"\n", False, CredentialsRefused, "the password is empty"),
        (None, True, FileProblem, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_password_is_named_and_not_shown(
    tmp_path: Path, content: bytes | None, is_file: bool, error: type[SyncdError], words: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.touch(mode=0o600)
        file.write_bytes(content)
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        place = ["--pds", running.url, "--plc", running.url]
        source = ["--password-file", str(file) if is_file else "-"]
        ran = CliRunner().invoke(cli, ["login", login.did, *source, *place], input=content)
    assert isinstance(ran.exception, error)
    assert words in ran.exception.message
    assert ran.exception.hint
    assert "hunter2" not in f"{ran.output}{ran.exception}"
    assert "xff" not in f"{ran.output}{ran.exception}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_password_file_that_others_may_use_is_refused_as_everywhere(
    tmp_path: Path, mode: int
) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    file = tmp_path / "password"
    file.write_text(login.password, encoding="utf-8")
    file.chmod(mode)
    with start(sandbox) as running:
        place = ["--pds", running.url, "--plc", running.url]
        ran = CliRunner().invoke(cli, ["login", login.did, "--password-file", str(file), *place])
    assert isinstance(ran.exception, CredentialsRefused)
    assert "chmod 600" in ran.exception.hint
    assert login.password not in f"{ran.output}{ran.exception}"


def test_a_password_may_come_from_a_pipe_that_has_a_name(tmp_path: Path) -> None:
    """As from a shell's <(command)."""
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    writer = threading.Thread(target=pipe.write_text, args=(login.password,))
    writer.start()
    with start(sandbox) as running:
        place = ["--pds", running.url, "--plc", running.url]
        environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
        words = ["login", login.did, "--password-file", str(pipe), *place]
        ran = CliRunner().invoke(cli, words, env=environ)
    writer.join()
    assert ran.exit_code == 0, ran.output


def test_without_a_terminal_the_variable_gives_the_password(tmp_path: Path) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        words = ["login", login.did, "--pds", running.url, "--plc", running.url]
        environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "SYNCD_PASSWORD": ""}
        without = CliRunner().invoke(cli, words, env=environ)
        environ["SYNCD_PASSWORD"] = f"{login.password}\n"
        taken = CliRunner().invoke(cli, words, env=environ)
    assert without.exit_code == BadUsage.exit_code
    assert "SYNCD_PASSWORD" in without.output
    assert taken.exit_code == 0, taken.output
    assert login.password not in taken.output


@pytest.mark.parametrize(
    ("variable", "is_warned"),
    [("", False), ("hunter2", True), ("{}", False), ("{}\n", False), ("two\nlines", False)],
)
def test_a_variable_with_another_password_is_warned_about(
    tmp_path: Path, variable: str, is_warned: bool
) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    state, given = str(tmp_path / "state"), variable.format(login.password)
    with start(sandbox) as running:
        words = ["login", login.did, "--pds", running.url, "--plc", running.url]
        ran = CliRunner().invoke(
            cli,
            [*words, "--password-file", "-"],
            input=login.password,
            env={"XDG_STATE_HOME": state, "SYNCD_PASSWORD": given},
        )
    assert ran.exit_code == 0, ran.output
    assert ("unset SYNCD_PASSWORD" in ran.output) == is_warned
    assert "hunter2" not in ran.output


def test_the_main_password_is_warned_about_and_an_app_password_is_not(tmp_path: Path) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        body = {"handle": "bob.test", "email": "bob@example.com", "password": "main-password"}
        made = httpx.post(
            f"{running.url}/xrpc/com.atproto.server.createAccount", json=body, trust_env=False
        )
        place = ["--password-file", "-", "--pds", running.url, "--plc", running.url]
        for did, password, is_warned in (
            (login.did, login.password, False),
            (made.json()["did"], "main-password", True),
        ):
            ran = CliRunner().invoke(cli, ["login", did, *place], input=password)
            assert ran.exit_code == 0, ran.output
            assert ("main password" in ran.output) == is_warned
