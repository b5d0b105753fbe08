"""Every row can still be measured, at a size at which nothing is to be learnt from the figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.flamegraph import draw
from bench.flames import of_clone
from bench.publish import publish
from bench.results import kept
from bench.rows import ROWS
from bench.stage import ROOT, Stage
from bench.table import BEGIN, END
from tests.reference.pds import ReferencePds

RECORDS = 40
LARGEST_PICTURE = 300_000
HOSTED = {"S3", "S4", "S5", "S6", "S7", "S8", "S11", "S15", "S16"}
"""What needs what comes from npm: the reference PDS, or peers."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_BENCH_CACHE", str(tmp_path / "cache"))


def measure(row: str, work: Path, pds: ReferencePds | None = None) -> None:
    records = 9 if row == "sizes" else RECORDS
    stage = Stage(records, rounds=1, changes=2, idle_seconds=0.5, work=work, pds=pds)
    outcome = ROWS[row].measure(stage)
    taken = [spent.wall for runs in outcome.runs.values() for spent in runs]
    series = [value for values in outcome.samples.values() for value in values]
    assert min([*taken, *series, 1]) > 0
    unmeasured = [check.what for check in outcome.checks if check.value is None]
    assert len(unmeasured) == sum("not installed" in note for note in outcome.notes)
    assert bool(outcome.checks) is ROWS[row].is_judged


@pytest.mark.tools
@pytest.mark.parametrize("row", [row for row in ROWS if row not in HOSTED])
def test_a_row_can_be_measured(row: str, tmp_path: Path) -> None:
    measure(row, tmp_path)


@pytest.mark.tools
@pytest.mark.parametrize("row", sorted(HOSTED))
def test_a_row_can_be_measured_on_the_reference_pds(
    row: str, tmp_path: Path, reference_pds: ReferencePds
) -> None:
    measure(row, tmp_path, reference_pds)


@pytest.mark.tools
def test_a_flame_graph_can_be_made_of_a_clone(tmp_path: Path) -> None:
    stage = Stage(RECORDS, rounds=1, changes=1, idle_seconds=0, work=tmp_path)
    of_clone(stage, tmp_path / "stacks")
    stacks = (tmp_path / "stacks").read_text(encoding="utf-8").splitlines()
    picture = draw("A clone", stacks)
    assert "clone (syncd/cli/commands/clone.py" in picture
    assert len(picture) < LARGEST_PICTURE


@pytest.mark.tools
def test_what_is_measured_is_kept_and_can_be_published(tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "performance.md"
    command = [sys.executable, "-m", "bench", "S10", "--records", "20", "--rounds", "2"]
    done = subprocess.run(
        [*command, "--out", out], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert [len(runs) for runs in kept(out)["S10"].outcome.runs.values()] == [2, 2]
    page.write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    publish(out, page, tmp_path / "published")
    text = page.read_text(encoding="utf-8")
    assert "| S10 | `syncd status`; `syncd --help` |" in text
    assert "`make bench ROWS=S10 RECORDS=20 ROUNDS=2 CHANGES=10 SECONDS=60`" in text
    assert text.startswith("# Before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert kept(tmp_path / "published") == kept(out)


def test_a_row_that_does_not_exist_is_refused_before_anything_is_measured() -> None:
    command = [sys.executable, "-m", "bench", "S99"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no row S99" in done.stderr
