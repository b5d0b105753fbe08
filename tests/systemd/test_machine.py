"""The machine leaves the one around it alone, and its absence is never passed over in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import pytest_terminal_summary
from tests.rigs import systemd as module
from tests.rigs.systemd import ROOT, SystemdMachine, find_obstacle


def test_without_root_that_is_the_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find_obstacle() == "the tests do not run as root"


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "NEEDED", ("systemctl-of-nowhere",))
    assert "systemctl-of-nowhere cannot be found: install" in str(find_obstacle())


def test_what_could_not_be_tested_is_told_in_a_line_of_its_own() -> None:
    class Report:
        longrepr = ("file.py", 1, "Skipped: NOT TESTED in a real systemd: no root")

    class Config:
        stash = pytest.Stash()

    class Reporter:
        config = Config()
        stats = {"skipped": [Report(), Report()]}  # noqa: RUF012
        lines: list[str] = []  # noqa: RUF012

        def write_line(self, line: str, **colours: bool) -> None:
            self.lines.append(line)

    reporter = Reporter()
    pytest_terminal_summary(reporter)  # type: ignore[arg-type]
    assert reporter.lines == ["NOT TESTED in a real systemd: no root"]


def test_nothing_that_is_written_there_is_written_here(machine: SystemdMachine) -> None:
    names = ("/tmp", "/run", "/var/lib", "/etc", "/opt", "/home")
    for name in names:
        mark = Path(name) / "syncd-test-mark"
        machine.ok("mkdir", "-p", name)
        machine.ok("touch", str(mark))
        assert not mark.exists()
    assert machine.run("touch", "/opt/syncd-test/source/mark").code != 0
    assert not (ROOT / "mark").exists()
