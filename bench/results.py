"""What was measured, kept as one JSON file a row, with the command, the date and the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.disk import Disk
from bench.outcome import Mark, Outcome, read_outcome
from bench.stage import ROOT

RESULTS = ROOT / "build" / "bench"
"""Where they are put, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Result:
    """One row, measured once.

    Attributes:
        took: How many seconds that needed.
        disk: What a file cost on its disk; None where nobody measured that.
    """

    row: str
    records: int
    command: str
    date: str
    machine: str
    took: float
    outcome: Outcome
    disk: Disk | None = None

    @property
    def mark(self) -> Mark:
        """The mark of its outcome; none of a disk that hides what the contenders do."""
        return Mark.SLOW_DISK if self.disk and self.disk.is_slow else self.outcome.mark


def keep(result: Result, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1) + "\n"
    (directory / f"{result.row}.json").write_text(text, encoding="utf-8")


def kept(directory: Path) -> dict[str, Result]:
    """Every row that was measured, by its name."""
    files = sorted(directory.glob("*.json"))
    results = (_read(json.loads(file.read_text(encoding="utf-8"))) for file in files)
    return {result.row: result for result in results}


def _read(told: Mapping[str, Any]) -> Result:
    disk = told.get("disk")
    read = {"outcome": read_outcome(told["outcome"]), "disk": disk and Disk(**disk)}
    return Result(**{**told, **read})


def this_machine() -> str:
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} processors, {system}, Python {platform.python_version()}"
