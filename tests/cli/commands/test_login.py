"""`syncd login`: what is no password is refused in a sentence that shows none of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.errors import CredentialsRefused, FileProblem, SyncdError
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
