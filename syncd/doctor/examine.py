"""Examine one mirror from end to end. Never skips a check because another check failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from syncd.config import FILE_NAME, Config, load_config
from syncd.credentials import Credentials
from syncd.cycle.decide.doubt import HINT
from syncd.cycle.push.ledger import read_ledger
from syncd.cycle.witness import part_from_log, suspect
from syncd.doctor.account import (
    judge_budget,
    judge_credentials,
    judge_guards,
    judge_identity,
    judge_server,
)
from syncd.doctor.ask import ask_credentials, ask_identity, ask_pds
from syncd.doctor.attachments import judge_blobs
from syncd.doctor.kinds import CHECKS, Finding, found
from syncd.doctor.machine import (
    Complaint,
    judge_access,
    judge_autosave,
    judge_daemon,
    judge_disk,
    judge_lexicons,
    judge_sharing,
    judge_units,
    judge_watching,
)
from syncd.doctor.measure import (
    measure_access,
    measure_disk,
    measure_units,
    measure_watching,
    unit_directories,
)
from syncd.errors import ConfigWrong, FolderWrong, SyncdError
from syncd.folder.root import OWN, Folder, read_marker
from syncd.lexicons.bundle import load_bundle
from syncd.lock import holder
from syncd.model import Account
from syncd.neighbours.autosave import find_autosave
from syncd.neighbours.sharing import find_sharing
from syncd.state import HISTORY_FILE, History, State, open_state
from syncd.state.credence import DoubtedRev
from syncd.state.learnt import KnownBody, KnownGuards
from syncd.state.notes import DaemonState, Doubt, KnownAccount, LastCycle


async def examine(
    root: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    units: Iterable[Path] | None = None,
    on_found: Callable[[Finding], None] = lambda _: None,
) -> tuple[Finding, ...]:
    """Run all checks on the mirror at `root`; return the findings in the order of CHECKS.

    Args:
        root: The folder.
        environ: The environment, for settings and credentials.
        units: The directories of unit files (default: those of systemd on this machine).
        on_found: Called with each finding, in the same order, before a server is waited for.
    """
    findings = Findings(on_found)
    findings += judge_sharing(find_sharing(root))
    findings += judge_units(measure_units(unit_directories() if units is None else units))
    findings.append(_judge_history(root))
    findings.append(judge_lexicons(load_bundle(), time.time()))
    with ExitStack() as open_files:
        state = _open(root, findings, open_files)
        config = _config(root, environ, state, findings)
        findings += _judge_files(root, config, state, environ)
        if config is not None:
            findings.append(judge_autosave(find_autosave(root), config))
            findings += () if state is None else judge_blobs(root, config, state)
            await _examine_mirror(root, config, state, environ, findings)
    findings.tell()
    return tuple(sorted(findings, key=_order))


class Findings(list[Finding]):
    """The findings so far; `tell` reports them in the order of the checks."""

    def __init__(self, on_found: Callable[[Finding], None]) -> None:
        super().__init__()
        self._on_found = on_found
        self._reported: set[int] = set()

    def tell(self, before: str = "") -> None:
        """Report the findings of the checks before the check `before`, or of all without one."""
        bound = CHECKS.index(before) if before else len(CHECKS)
        for finding in sorted(self, key=_order):
            if _order(finding) < bound and id(finding) not in self._reported:
                self._reported.add(id(finding))
                self._on_found(finding)


def _order(finding: Finding) -> int:
    return CHECKS.index(finding.check)


def _open(root: Path, findings: list[Finding], open_files: ExitStack) -> State | None:
    """Open the state file; None if it is missing or damaged. Never makes a new one."""
    path = root / OWN / "state.db"
    try:
        read_marker(root)
        if not path.exists():
            findings += [found("state.missing"), found("folder.ok", path=root)]
            return None
        part_from_log(path)
        state = open_files.enter_context(open_state(path))
        _read_all(state)
    except FolderWrong as error:
        findings.append(found("folder.wrong", reason=error.message, hint=error.hint))
        return None
    except SyncdError as error:
        findings.append(found("state.damaged", reason=error.message, hint=error.hint))
        return None
    findings.append(found("state.ok", records=state.count()))
    findings.append(_judge_repo(state.note(DoubtedRev)))
    findings.append(judge_daemon(holder(root), state.note(DaemonState)))
    return state


def _judge_files(
    root: Path, config: Config | None, state: State | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    # While the settings cannot be read, nobody knows whether the names are portable.
    is_portable = config is None or config.is_portable
    disk = measure_disk(root)
    yield from judge_disk(disk, is_portable=is_portable)
    if state is not None:
        yield _judge_folder(root, state, is_portable)
    if config is None:
        accesses = measure_access(root, ())
    else:
        accesses = measure_access(root, _secrets(config, environ), config.covers)
    yield from judge_access(accesses, keeps_modes=disk.keeps_modes)


def _judge_folder(root: Path, state: State, is_portable: bool) -> Finding:
    try:
        Folder(root, portable=is_portable).check_marker(state.marker)
    except FolderWrong as error:
        return found("folder.wrong", reason=error.message, hint=error.hint)
    return _judge_place(root, suspect(root, state))


def _secrets(config: Config, environ: Mapping[str, str]) -> Iterable[Path]:
    return () if config.read_only else Credentials(config.did, environ=environ).files()


def _judge_repo(doubted: DoubtedRev | None) -> Finding:
    if doubted is None:
        return found("repo.ok")
    return found("repo.doubted", reason=doubted.reason, hint=doubted.hint)


def _judge_place(root: Path, doubt: Doubt | None) -> Finding:
    if doubt is None:
        return found("folder.ok", path=root)
    return found("folder.doubt", reason=doubt.reason, hint=HINT)


def _read_all(state: State) -> None:
    """Read every row. Raises StateDamaged if a row is not as it was written."""
    state.base()
    state.seen()
    state.waiting()
    state.decisions()


def _judge_history(root: Path) -> Finding:
    try:
        History(root / OWN / HISTORY_FILE).check()
    except SyncdError as error:
        return found("history.damaged", reason=error.message)
    return found("history.ok")


def _config(
    root: Path, environ: Mapping[str, str], state: State | None, findings: list[Finding]
) -> Config | None:
    try:
        config = load_config(root / FILE_NAME, environ)
        if state is not None and state.did != config.did:
            raise ConfigWrong(
                f"{FILE_NAME} names {config.did}, but the state file belongs to {state.did}",
                hint=f"restore the old did, or run: syncd clone {config.did} DIR",
            )
    except SyncdError as error:
        findings.append(found("config.wrong", reason=error.message, hint=error.hint))
        return None
    findings.append(found("config.ok"))
    return config


async def _examine_mirror(
    root: Path,
    config: Config,
    state: State | None,
    environ: Mapping[str, str],
    findings: Findings,
) -> None:
    credentials = Credentials(config.did, environ=environ)
    now = time.time()
    keys = None if config.read_only else ask_credentials(credentials)
    findings.append(judge_watching(await measure_watching(root, config.covers)))
    findings.tell("identity")
    known = None if state is None else _known(state, config)
    account = await ask_identity(config)
    findings += judge_identity(account, known)
    findings.tell("pds")
    place = known if isinstance(account, Complaint) else account
    pds = None if place is None else place.pds
    findings.append(judge_credentials(keys, config.did, now, pds, _refused(state)))
    if place is not None:
        body = None if state is None else state.note(KnownBody)
        is_its = body is not None and body.pds == place.pds
        server = await ask_pds(place, has_login=not config.read_only)
        findings += judge_server(server, body if is_its else None)
        findings += _judge_pushes(config, state, place.pds, int(now))


def _known(state: State, config: Config) -> Account | None:
    """Return the account, without asking a server: as last resolved, or by the settings."""
    known = state.note(KnownAccount)
    account = None if known is None else known.by(plc=config.plc, pds=config.pds)
    if account is None and config.pds is not None:
        # Nothing that is signed is read here, so the key is not needed.
        return Account(config.did, None, config.pds, "", is_named=True)
    return account


def _refused(state: State | None) -> Complaint | None:
    """Return why the PDS refused the writes of the last cycle for lack of credentials."""
    last = None if state is None else state.note(LastCycle)
    if last is None or last.refused is None:
        return None
    return Complaint(f"at {last.at} {last.refused.message}", last.refused.hint)


def _judge_pushes(config: Config, state: State | None, pds: str, now: int) -> Iterator[Finding]:
    known = None if state is None else state.note(KnownGuards)
    # What another PDS honours says nothing of this one.
    is_ours = known is not None and known.pds == pds
    honoured, records = (known.honoured, known.records) if known and is_ours else (None, None)
    yield judge_guards(honoured, records=records, read_only=config.read_only)
    if state is not None and not config.read_only:
        ledger = read_ledger(state, pds, now)
        fits_at = datetime.fromtimestamp(ledger.fits_at(1, now), UTC)
        yield judge_budget(ledger, now, fits_at.isoformat().replace("+00:00", "Z"))
