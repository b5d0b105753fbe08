"""A disk that is full, has no inodes left, is read-only or dead: one sentence, then as before."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from tests.rigs.bad_disk import TROUBLES, BadDisk

CAUSES = {
    "full": "the disk is full",
    "no inodes": "the disk has no room for another file",
    "read-only": "the file system is read-only",
    "dead": "input/output error",
}
NOTE = "com.example.note"
COMMANDS = (
    *("sync", "sync --dry-run", "status", "status --json", "diff", f"diff {NOTE}/n1"),
    *("conflicts", "held", "log", "verify", "metrics", f"new {NOTE}", "publish --all"),
    *("approve --all", "reject --all", f"resolve {NOTE}/n0 --local", f"restore {NOTE}/n2"),
    *(f"unpublish {NOTE}/n1 --yes", "run"),
)
TIMED = ("status", "status --json", "metrics")
READING = (
    *("diff", f"diff {NOTE}/n1", "conflicts", "held", "log", "verify", "sync --dry-run"),
    *("approve --all", "reject --all", f"resolve {NOTE}/n0 --local"),
)
"""What has nothing to write here: but for a dead disk, all is there to be read.

TIMED say what time it is.
"""


class Person:
    """Someone with a mirror on a small disk, who calls syncd in this process."""

    def __init__(
        self, did: str, home: Path, disk: BadDisk, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.did = did
        self.root = disk.at / "mirror"
        self.password = home / "password"
        self._capsys = capsys

    def call(self, *words: str | Path) -> tuple[int, str]:
        """Return the exit code, and what was said. No command raises anything but its exit."""
        place = () if words[0] == "login" else ("-C", str(self.root))
        sys.argv = ["syncd", *place, *map(str, words)]
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, said.out + said.err

    def ok(self, *words: str | Path) -> None:
        assert self.call(*words)[0] == 0

    def save(self, name: str, text: str) -> None:
        (self.root / NOTE).mkdir(exist_ok=True)
        (self.root / NOTE / f"{name}.json").write_text(json.dumps({"text": text}))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[BadDisk]:
    with BadDisk.mounted(tmp_path) as found:
        yield found


@pytest.fixture
def person(
    tmp_path: Path,
    disk: BadDisk,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Person]:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as server:
        for name, value in (
            ("HOME", tmp_path),
            ("XDG_STATE_HOME", tmp_path / "state"),
            ("SYNCD_PDS", server.url),
            ("SYNCD_PLC_URL", server.url),
            ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
        ):
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(sys, "argv", [])
        found = Person(login.did, tmp_path, disk, capsys)
        found.password.touch(mode=0o600)
        found.password.write_text(login.password)
        found.ok("login", login.did, "--password-file", found.password)
        found.ok("clone", login.did, found.root)
        for number in range(3):
            found.save(f"n{number}", "first")
        found.ok("sync")
        found.save("n2", "second")
        found.ok("sync")
        yield found


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_command_says_the_cause_and_all_is_well_when_it_is_over(
    trouble: str, person: Person, disk: BadDisk
) -> None:
    before = {command: person.call(*command.split()) for command in READING}
    os.sync()
    TROUBLES[trouble](disk)
    for command in COMMANDS:
        code, said = person.call(*command.split())
        if trouble != "dead" and command in READING:
            assert (code, said) == before[command], command
            continue
        if trouble != "dead" and command in TIMED:
            # A person has to make room: nothing is synced until then.
            is_status = command != "metrics"
            assert (code, CAUSES[trouble] in said) == (3 * is_status, is_status), (command, said)
            continue
        assert (code, CAUSES[trouble] in said) == (1, True), (command, said)
    assert person.call("doctor")[0] == 1
    other = disk.at / "other"
    code, said = person.call("clone", person.did, other)
    assert (code, CAUSES[trouble] in said) == (1, True), said
    disk.heal()
    person.save("n1", "after")
    person.ok("sync")
    person.ok("clone", person.did, other)
    assert json.loads((other / NOTE / "n1.json").read_text())["text"] == "after"
