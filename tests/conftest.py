"""What all tests share: options, the seed of the day, the order, and a reference PDS a process."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from tests.arroba.pds import ArrobaPds
from tests.arroba.pds import running as arroba
from tests.assigning import Assigning
from tests.chance import AGAIN, SEED
from tests.docs.shown import unshown
from tests.place import keep_state_apart, work_in_memory
from tests.reference.pds import ReferencePds
from tests.rigs.device import close_all
from tests.shares import import_own_share
from tests.slowest import slowest_first

ELSEWHERE = {
    "disks": "mounts file systems of other kinds: `make disks`",
    "packages": "builds and installs packages of syncd: `make packages`",
    "peers-pds": "runs PDSes from npm of other makes and ages: `make peers-pds`",
    "site": "builds the site of the documents, and opens it in a browser: `make site`",
    "tools": "protects no record: `make tools`",
}
"""Tests that run only where they are asked for, by the name of their target and marker."""
UNSHOWN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only", choices=ELSEWHERE, help="run these tests, which else do not run")
    parser.addoption(
        "--vectors",
        type=Path,
        metavar="DIR",
        help="a clone of bluesky-social/atproto-interop-tests, in place of the copy that is here",
    )


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its option
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "reference: talks to a PDS that the tests install")
    for name, meaning in ELSEWHERE.items():
        config.addinivalue_line("markers", f"{marker_of(name)}: {meaning}")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)
    _hear_signals()
    work_in_memory()
    keep_state_apart()


def pytest_report_header() -> str:
    return AGAIN


def _hear_signals() -> None:
    """Processes that tests start must not inherit that `nohup make test &` ignores these signals.

    A signal that is handled here is not ignored there.
    """
    for signum in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test of a real PDS is known by the fixture: `-m "not reference"` leaves it out."""
    if {"reference_pds", "arroba_pds"}.intersection(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.reference)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Assigning | None:
    return Assigning(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    import_own_share(session.config)


@pytest.hookimpl(trylast=True)  # after pytest has put together what shares a fixture
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only: str | None = config.option.only
    chosen = [item for item in items if _elsewhere(item) == only]
    config.hook.pytest_deselected(items=[item for item in items if _elsewhere(item) != only])
    items[:] = slowest_first(chosen)


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what stays to the end: modules, 12,000 tests, fixtures.

    A daemon gives memory back after it has looked at everything (syncd/daemon/heap.py), and each
    daemon in this process would otherwise have all of that looked through.
    """
    hold_a_property()
    gc.collect()
    gc.freeze()


@settings(max_examples=1, database=None)
@given(strategies.none())
def hold_a_property(_: None) -> None:
    """Have Hypothesis register its random numbers while the collector can see who refers to them.

    Hypothesis asks `gc.get_referrers`, which does not know what is frozen, and warns of an object
    that nobody seems to hold: with warnings as errors, the first property of each process fails.
    """


def _elsewhere(item: pytest.Item) -> str | None:
    """Which of ELSEWHERE a test is one of."""
    return next((name for name in ELSEWHERE if item.get_closest_marker(marker_of(name))), None)


def marker_of(target: str) -> str:
    return target.replace("-", "_")


@pytest.fixture(autouse=True)
def _no_state_file_stays_open() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="session")
def reference_pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferencePds]:
    """The real thing, one in each process that runs tests, so that none waits for another's.

    If it cannot be installed or started, the tests fail: they are never skipped.
    """
    with ReferencePds.start(tmp_path_factory.mktemp("reference")) as pds:
        yield pds


@pytest.fixture(scope="session")
def arroba_pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArrobaPds]:
    """The PDS without guards, one in each process that runs tests; never skipped either."""
    with arroba(tmp_path_factory.mktemp("arroba")) as pds:
        yield pds


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run of all tests fails where docs/reliability.md promises more than the run has shown."""
    config = session.config
    if hasattr(config, "workerinput"):
        collect_before_the_end()
    options = config.option
    is_chosen = options.keyword or options.markexpr or options.collectonly or options.only
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


def collect_before_the_end() -> None:
    """Collect garbage while nobody waits, and leave nothing that could be collected later.

    When a process of xdist ends, pytest collects five times. xdist kills one that takes longer than
    ten seconds to end, and what coverage counted in it is lost.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What could not be tested on this machine is not passed over in silence."""
    reasons = {
        str(report.longrepr[2])
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple) and "NOT TESTED" in report.longrepr[2]
    }
    if {"failed", "error"} & terminalreporter.stats.keys():
        terminalreporter.write_line(AGAIN, red=True)
    for line in terminalreporter.config.stash.get(UNSHOWN, []):
        terminalreporter.write_line(line, red=True)
    for reason in sorted(reasons):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), red=True, bold=True)
