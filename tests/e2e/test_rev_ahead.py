"""A repo with a rev from the future: each command says so, and names the one that accepts it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncd.atproto.data import Value, cid_of
from syncd.cli import cli
from syncd.errors import SyncdError
from syncd.model import Change, RecordPath
from syncd.sandbox import MemoryPds, Sandbox
from syncd.sandbox.http.server import start

NOTE = RecordPath("com.example.note/one")


def said(ran: Result) -> str:
    """Return what a command printed, and what `main` would print of its error."""
    hint = ran.exception.hint if isinstance(ran.exception, SyncdError) else ""
    return ran.output + hint


def test_sync_status_and_doctor_name_the_command_that_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]
    sandbox = Sandbox(clock=lambda: time.time() + ahead[0])
    login = sandbox.create_account("alice")
    root = tmp_path / "mirror"

    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, ["-C", str(root), *words])

    with start(sandbox) as server:
        for name, value in (
            ("XDG_STATE_HOME", str(tmp_path / "state")),
            ("SYNCD_PDS", server.url),
            ("SYNCD_PLC_URL", server.url),
        ):
            monkeypatch.setenv(name, value)
        cloned = CliRunner().invoke(cli, ["clone", login.did, str(root), "--read-only"])
        assert cloned.exit_code == 0, cloned.output
        ahead[0] = 365 * 86_400.0
        record: dict[str, Value] = {"$type": "com.example.note", "text": "from the future"}
        written = MemoryPds(sandbox, login.did).put(Change(NOTE, None, cid_of(record), record))
        asyncio.run(written)
        ahead[0] = 0.0
        rev = sandbox.repo(login.did).head.rev
        command = f"syncd sync --accept-rev {rev}"
        for words, code in (("sync", 1), ("status", 3), ("doctor", 1), ("sync --dry-run", 1)):
            ran = call(*words.split())
            assert (ran.exit_code, command in said(ran)) == (code, True), said(ran)
        doubted = json.loads(call("status", "--json").output)["doubted_rev"]
        assert command in doubted["hint"]
        assert call("sync", "--accept-rev", "tomorrow").exit_code == 1
        assert call("sync", "--dry-run", "--accept-rev", rev).exit_code == 2
        assert call("sync", "--accept-rev", rev).exit_code == 0
        assert json.loads((root / f"{NOTE}.json").read_text())["text"] == "from the future"
        assert call("status").exit_code == 0
        assert json.loads(call("status", "--json").output)["doubted_rev"] is None
