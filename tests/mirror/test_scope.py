"""What is counted is what is mirrored, whatever the state file remembers from a wider scope."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.atproto.cid import cid_of_block
from syncd.cli import cli
from syncd.model import Memory, RecordPath
from syncd.state import open_state
from tests.rigs.mirrors import make_mirror

NOTES = [RecordPath(f"com.example.note/n{n}") for n in range(3)]
LIKES = [RecordPath(f"com.example.like/n{n}") for n in range(5)]


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        ("", 8),
        ('collections = ["com.example.note"]', 3),
        ('exclude = ["com.example.note"]', 5),
        ('exclude = ["com.example.*"]', 0),
    ],
)
def test_status_and_metrics_count_the_records_in_scope(
    tmp_path: Path, scope: str, count: int
) -> None:
    root = make_mirror(tmp_path / "notes")
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(base=dict.fromkeys([*NOTES, *LIKES], cid_of_block(b"one"))))
    settings = root / "syncd.toml"
    settings.write_text(settings.read_text().replace("[mirror]\n", f"[mirror]\n{scope}\n", 1))
    status = CliRunner().invoke(cli, ["-C", str(root), "status", "--json"])
    metrics = CliRunner().invoke(cli, ["-C", str(root), "metrics"])
    assert json.loads(status.stdout)["records"] == count
    (line,) = (line for line in metrics.stdout.splitlines() if line.startswith("syncd_records{"))
    assert line.endswith(f" {count}")
