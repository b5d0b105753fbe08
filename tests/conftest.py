"""What all tests share: options, and the reference PDS, which runs once for those that need it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shown import unshown
from tests.reference.pds import ReferencePds
from tests.rigs.device import close_all

UNSHOWN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        type=Path,
        metavar="DIR",
        help="a clone of bluesky-social/atproto-interop-tests, in place of the copy that is here",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "reference: talks to the reference PDS")
    _hear_signals()


def _hear_signals() -> None:
    """Processes that tests start must not inherit that `nohup make test &` ignores these signals.

    A signal that is handled here is not ignored there.
    """
    for signum in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of the reference PDS go to one worker, so that it runs only once."""
    for item in items:
        if "reference_pds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.reference)
            item.add_marker(pytest.mark.xdist_group("reference"))


@pytest.fixture(autouse=True)
def _no_state_file_stays_open() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="session")
def reference_pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferencePds]:
    """The real thing. If it cannot be had, the tests fail: they are never skipped."""
    with ReferencePds.start(tmp_path_factory.mktemp("reference")) as pds:
        yield pds


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run of all tests fails where docs/reliability.md promises more than the run has shown."""
    config = session.config
    options = config.option
    is_chosen = options.keyword or options.markexpr or options.collectonly
    is_whole = config.args == config.getini("testpaths") and not is_chosen
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(config, "workerinput") or not is_whole or reporter is None:
        return
    passed, others = (
        {r.nodeid for kind in kinds for r in reporter.stats.get(kind, ())}
        for kinds in (("passed",), ("failed", "error", "skipped"))
    )
    lines = list(unshown(passed, others))
    config.stash[UNSHOWN] = lines
    if lines and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What could not be tested on this machine is not passed over in silence."""
    reasons = {
        str(report.longrepr[2])
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple) and "NOT TESTED" in report.longrepr[2]
    }
    for line in terminalreporter.config.stash.get(UNSHOWN, []):
        terminalreporter.write_line(line, red=True)
    for reason in sorted(reasons):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), red=True, bold=True)
