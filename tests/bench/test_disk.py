"""A row says what a file costs on its disk, and has no mark on one that hides the contenders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.disk import Disk, fresh_disk, measure_disk
from bench.outcome import Check, Mark, Outcome
from bench.results import Result, keep, kept
from bench.stage import ROOT, work_directory

IMAGE_BYTES = 64 * 1024**2


@pytest.mark.parametrize(
    ("disk", "is_slow"),
    [(Disk(13, 5), False), (Disk(40, 5), False), (Disk(41, 5), True), (Disk(900), False)],
)
def test_a_disk_is_slow_from_three_times_a_fresh_one_on(disk: Disk, is_slow: bool) -> None:
    assert disk.is_slow is is_slow


def test_a_row_of_a_slow_disk_has_no_mark_and_keeps_its_figures(tmp_path: Path) -> None:
    outcome = Outcome([Check("wall", 1.0, 2.0, "x")])
    for row, disk in (("S1", Disk(300, 5)), ("S2", Disk(13, 5)), ("S3", None)):
        keep(Result(row, 1, "make bench", "2026-11-29", "a machine", 1.0, outcome, disk), tmp_path)
    found = kept(tmp_path)
    assert found["S1"].mark is Mark.SLOW_DISK
    assert found["S2"].mark is found["S3"].mark is found["S1"].outcome.mark is Mark.MET
    assert (found["S1"].disk, found["S3"].disk) == (Disk(300, 5), None)


def test_results_of_before_disks_were_measured_can_be_read(tmp_path: Path) -> None:
    keep(Result("S1", 1, "make bench", "2026-11-27", "m", 1.0, Outcome([])), tmp_path)
    file = tmp_path / "S1.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    del told["disk"]
    file.write_text(json.dumps(told), encoding="utf-8")
    assert kept(tmp_path)["S1"].disk is None


def test_the_cost_of_a_file_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    assert measure_disk(tmp_path, files=200).file > 0
    assert list(tmp_path.iterdir()) == []


def can_mount() -> bool:
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        return False
    probe = "losetup --find"
    return subprocess.run(probe.split(), capture_output=True, check=False).returncode == 0


def mounts_below(place: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(place) in line]


def test_a_fresh_disk_is_one_of_its_own_and_gone_afterwards(tmp_path: Path) -> None:
    with fresh_disk(tmp_path, IMAGE_BYTES) as disk:
        assert (disk is not None) or not can_mount()
        if disk is not None:
            assert disk.stat().st_dev != tmp_path.stat().st_dev
            (disk / "file").write_bytes(b"x")
    assert mounts_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_disk_is_gone_after_an_interrupt(tmp_path: Path) -> None:
    program = (
        "import sys, signal, time\nfrom pathlib import Path\nfrom bench.disk import fresh_disk\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended'))\n"
        f"with fresh_disk(Path({str(tmp_path)!r}), {IMAGE_BYTES}):\n"
        "    print('there', flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline() == b"there\n"
        ran.send_signal(signal.SIGTERM)
        ran.communicate()
    assert mounts_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_named_place_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_BENCH_CACHE", str(tmp_path))
    with work_directory() as work:
        assert work.parent == tmp_path
        assert mounts_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
