"""`syncd clone`: what stops nothing is said all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.atproto.syntax import Nsid, Rkey
from syncd.atproto.xrpc import WriteOp
from syncd.cli import cli
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from syncd.state import activity


@pytest.mark.parametrize("can_write", [True, False])
def test_a_clone_whose_log_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_write: bool
) -> None:
    if not can_write:
        monkeypatch.setattr(activity, "ACTIVITY_FILE", "nowhere/activity.jsonl")
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    sandbox.repo(login.did).apply(
        [WriteOp("create", Nsid("com.example.note"), Rkey("one"), {"text": "x"})]
    )
    with start(sandbox) as running:
        words = ["clone", login.did, str(tmp_path / "notes"), "--read-only"]
        place = ["--pds", running.url, "--plc", running.url]
        ran = CliRunner().invoke(cli, [*words, *place], env={"XDG_STATE_HOME": str(tmp_path / "s")})
    assert ran.exit_code == 0, ran.output
    assert ("nowhere/activity.jsonl cannot be written" in ran.stdout) == (not can_write)
