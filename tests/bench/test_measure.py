"""What is measured of a process is what it took, and contenders take turns."""

from __future__ import annotations

import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest

from bench.measure import Command, Failed, alternate, ratio, run
from bench.stage import ROOT

MEGABYTE = 1_000_000


def python(program: str) -> Command:
    return Command([sys.executable, "-c", program])


def test_waiting_takes_time_and_no_processor() -> None:
    spent = run(python("import time; time.sleep(0.4)"))
    assert spent.wall > 0.4
    assert spent.cpu < 0.3


def test_work_takes_processor_in_a_child_too() -> None:
    work = "import time\nwhile time.process_time() < 0.4: pass"
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    assert run(python(work)).cpu > 0.4
    assert run(python(started)).cpu > 0.4


def test_the_peak_is_that_of_the_process_and_not_of_the_one_that_measures() -> None:
    large = bytearray(200 * MEGABYTE)
    peak = run(python("import time; time.sleep(0.2)")).peak
    assert 1 * MEGABYTE < peak < 60 * MEGABYTE < len(large)


def test_memory_of_two_processes_at_once_is_added() -> None:
    hold = "import time; held = bytearray(60_000_000); time.sleep(0.5)"
    start = f"import subprocess, sys; one = subprocess.Popen([sys.executable, '-c', {hold!r}])"
    assert run(python(f"{start}; {hold}; one.wait()")).peak > 120 * MEGABYTE


def test_a_contender_that_fails_is_not_measured() -> None:
    with pytest.raises(Failed, match="ended with 3: no luck"):
        run(python("import sys; print('no luck', file=sys.stderr); sys.exit(3)"))


def test_contenders_take_turns() -> None:
    turns = count()
    done = alternate({"a": lambda: next(turns), "b": lambda: next(turns)}, 3)
    assert done == {"a": [0, 2, 4], "b": [1, 3, 5]}


def test_the_ratio_is_the_median_of_those_of_each_round() -> None:
    """Not the ratio of the medians: a slow round is slow for both."""
    assert ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0


def test_what_a_process_writes_to_the_disk_is_counted() -> None:
    with tempfile.TemporaryDirectory(dir=ROOT) as disk:
        counts_what_it_writes(Path(disk))


def counts_what_it_writes(disk: Path) -> None:
    program = f"""
import os
before = bytes_written(os.getpid())
with open({str(disk / "file")!r}, "wb") as file:
    file.write(bytes(1_000_000))
    os.fsync(file)
assert bytes_written(os.getpid()) - before >= 1_000_000
assert processor_seconds(os.getpid()) > 0
"""
    imports = "from bench.measure import bytes_written, processor_seconds"
    run(Command([sys.executable, "-c", f"{imports}\n{program}"], at=ROOT))
