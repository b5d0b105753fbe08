"""From measured facts to findings: every finding there is, and the edges between them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.syntax import Did, Handle
from syncd.atproto.xrpc import RateLimit
from syncd.blobs.store import Listing
from syncd.budget import Announcement, Ledger
from syncd.config import Config
from syncd.cycle.blobs.attached import Attached, Named
from syncd.doctor import KINDS, Finding, Severity, account, kinds, machine
from syncd.doctor.account import (
    CLOCK_SECONDS,
    KnownCredentials,
    Server,
    judge_budget,
    judge_credentials,
    judge_guards,
    judge_identity,
    judge_server,
)
from syncd.doctor.attachments import judge_attached
from syncd.doctor.kinds import found
from syncd.doctor.machine import (
    LOW_BYTES,
    MEMORY_KINDS,
    NETWORK_KINDS,
    OUT_BYTES,
    OUT_FILES,
    Access,
    Complaint,
    FileSystem,
    UnitFile,
    Watching,
    in_size,
    judge_access,
    judge_autosave,
    judge_daemon,
    judge_disk,
    judge_lexicons,
    judge_sharing,
    judge_units,
    judge_watching,
)
from syncd.lexicons.bundle import Bundle
from syncd.model import Account, Problem, RecordPath
from syncd.neighbours.sharing import Sharing
from syncd.pds.health import Health
from syncd.state.learnt import KnownBody
from syncd.state.notes import DaemonState, Trouble
from tests.test_architecture import Module, impurities

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
PDS = "https://pds.example.com"
NOW = 1_800_000_000
ALICE = Account(DID, Handle("alice.example.com"), PDS, "did:key:z")
NO = Complaint("it was refused", "ask somebody")

DISK = FileSystem("/mirror", "ext4", 255, folds_case=False, free_bytes=10**12, free_files=10**6)
FINE = Access("/mirror/.syncd", 0o700, 0o700, owner=1000, user=1000)
SECRET = Access("/keys/a b.password", 0o600, 0o600, owner=1000, user=1000, is_secret=True)
UNIT = UnitFile("/etc/systemd/system/syncd@.service", "syncd", True, frozenset({75, 77, 78}))
KEYS = KnownCredentials("the keyring", True, NOW - 7200.0, NOW + 7200.0, is_app_password=True)
SPENT = Ledger(((NOW - 10, 5000),))


def names(findings: Iterable[Finding] | Finding) -> list[str]:
    listed = [findings] if isinstance(findings, Finding) else list(findings)
    return [finding.name for finding in listed]


DISKS: list[tuple[FileSystem, list[str]]] = [
    (DISK, ["names.ok", "disk.ok", "space.ok"]),
    (replace(DISK, free_files=None), ["names.ok", "disk.ok", "space.ok"]),
    (replace(DISK, name_length=254), ["names.short", "disk.ok", "space.ok"]),
    (replace(DISK, folds_case=True), ["names.folded", "disk.ok", "space.ok"]),
    (replace(DISK, kind="nfs4"), ["names.ok", "disk.network", "space.ok"]),
    (replace(DISK, kind="tmpfs"), ["names.ok", "disk.memory", "space.ok"]),
    (replace(DISK, unsynced="I/O error"), ["names.ok", "disk.unsynced", "space.ok"]),
    (replace(DISK, kind="nfs", unsynced="no"), ["names.ok", "disk.unsynced", "space.ok"]),
    (replace(DISK, free_bytes=LOW_BYTES), ["names.ok", "disk.ok", "space.ok"]),
    (replace(DISK, free_bytes=LOW_BYTES - 1), ["names.ok", "disk.ok", "space.low"]),
    (replace(DISK, free_bytes=OUT_BYTES - 1), ["names.ok", "disk.ok", "space.out"]),
    (replace(DISK, free_files=OUT_FILES), ["names.ok", "disk.ok", "space.ok"]),
    (replace(DISK, free_files=OUT_FILES - 1), ["names.ok", "disk.ok", "space.out"]),
    (replace(DISK, free_bytes=0, free_files=None), ["names.ok", "disk.ok", "space.out"]),
]


@pytest.mark.parametrize(("disk", "expected"), DISKS)
def test_a_disk_is_judged_by_names_by_fsync_and_by_room(
    disk: FileSystem, expected: list[str]
) -> None:
    assert names(judge_disk(disk)) == expected


def test_a_disk_that_ignores_case_is_right_for_portable_names() -> None:
    folding = replace(DISK, folds_case=True)
    assert names(judge_disk(folding, is_portable=True))[0] == "names.portable"
    short = replace(folding, name_length=254)
    assert names(judge_disk(short, is_portable=True))[0] == "names.short"


def test_no_kind_of_file_system_is_both_far_away_and_in_memory() -> None:
    assert not NETWORK_KINDS & MEMORY_KINDS


ACCESSES: list[tuple[Access, str]] = [
    (FINE, "permissions.ok"),
    (SECRET, "permissions.ok"),
    (replace(FINE, mode=0o755), "permissions.open"),
    (replace(FINE, mode=0o500, is_writable=False), "permissions.readonly"),
    (replace(SECRET, mode=0o640), "permissions.secret"),
    (replace(SECRET, mode=0o602), "permissions.secret"),
    (replace(SECRET, mode=0o400), "permissions.ok"),
    (replace(FINE, owner=1001), "permissions.owner"),
    (replace(FINE, owner=0), "permissions.ok"),
    (replace(FINE, owner=0, is_writable=False), "permissions.owner"),
    (replace(FINE, owner=1001, user=0, is_writable=False), "permissions.readonly"),
    (replace(FINE, owner=1001, user=0), "permissions.ok"),
    (replace(FINE, is_whole=True), "permissions.ok"),
    (replace(FINE, owner=0, is_whole=True), "permissions.collection"),
    (replace(FINE, owner=1001, is_whole=True), "permissions.collection"),
    (replace(FINE, owner=1001, user=0, is_whole=True), "permissions.ok"),
    (replace(FINE, wanted=0o777, mode=0o777), "permissions.ok"),
]


@pytest.mark.parametrize(("access", "expected"), ACCESSES)
def test_a_place_is_judged_by_owner_and_mode(access: Access, expected: str) -> None:
    assert names(judge_access([access])) == [expected]


def test_all_that_is_wrong_with_permissions_is_told_and_ok_only_once() -> None:
    assert names(judge_access([FINE, SECRET, FINE])) == ["permissions.ok"]


def test_where_no_permission_is_kept_one_finding_advises_what_works() -> None:
    loose = [replace(FINE, path=path, mode=0o777) for path in ("/mirror/.syncd", "/mirror/x")]
    (one,) = judge_access([*loose, SECRET], keeps_modes=False)
    assert one.name == "permissions.none"
    assert "chmod" not in one.fix
    tight = judge_access([FINE, replace(SECRET, mode=0o640)], keeps_modes=False)
    assert names(tight) == ["permissions.secret"]


def test_every_wrong_permission_is_named() -> None:
    wrong = [replace(FINE, mode=0o777), FINE, replace(SECRET, mode=0o644)]
    assert names(judge_access(wrong)) == ["permissions.open", "permissions.secret"]


def test_the_command_that_closes_a_secret_can_be_pasted() -> None:
    (finding,) = judge_access([replace(SECRET, mode=0o644)])
    assert finding.fix == "chmod 600 '/keys/a b.password'"
    assert {"/keys/a b.password", "644"} <= set(
        re.findall(r"/keys/a b\.password|\d{3}", finding.what)
    )


@pytest.mark.parametrize(
    ("watching", "expected"),
    [
        (Watching(5, 10), "watches.ok"),
        (Watching(6, 10), "watches.few"),
        (Watching(10**6, None), "watches.ok"),
        (Watching(5, 10**6, NO), "watches.none"),
    ],
)
def test_file_events_are_judged_by_trial_and_by_limit(watching: Watching, expected: str) -> None:
    assert names(judge_watching(watching)) == [expected]


def test_the_limit_that_is_advised_is_enough() -> None:
    finding = judge_watching(Watching(10**6, 8192))
    wanted = int(finding.fix.rpartition("=")[2])
    assert names(judge_watching(Watching(10**6, wanted))) == ["watches.ok"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (UNIT, "unit.ok"),
        (replace(UNIT, is_there=False), "unit.program"),
        (replace(UNIT, no_restart=frozenset()), "unit.restarts"),
        (replace(UNIT, no_restart=frozenset({75, 78})), "unit.restarts"),
        (replace(UNIT, no_restart=frozenset({1, 75, 77, 78})), "unit.ok"),
    ],
)
def test_a_unit_is_judged_by_what_it_starts_and_when_again(unit: UnitFile, expected: str) -> None:
    assert names(judge_units([unit])) == [expected]


def test_the_codes_that_a_unit_should_not_start_after_are_named() -> None:
    (finding,) = judge_units([replace(UNIT, no_restart=frozenset({77}))])
    assert re.findall(r"\b\d\d\b", finding.what) == ["75", "78"]
    assert names(judge_units([])) == ["unit.none"]


@pytest.mark.parametrize(
    ("now", "known", "expected"),
    [
        (ALICE, None, ["identity.ok"]),
        (ALICE, ALICE, ["identity.ok"]),
        (ALICE, replace(ALICE, pds="https://old.example"), ["identity.moved", "identity.ok"]),
        (replace(ALICE, handle=None), ALICE, ["identity.unconfirmed"]),
        (NO, ALICE, ["identity.wrong"]),
    ],
)
def test_an_identity_is_judged_by_what_the_document_says_now(
    now: Account | Complaint, known: Account | None, expected: list[str]
) -> None:
    assert names(judge_identity(now, known)) == expected


HEALTH = Health("0.4.1", ahead_seconds=0.4)
SERVER = Server(PDS, HEALTH)


def server(**said: Any) -> Server:  # noqa: ANN401
    return Server(PDS, replace(HEALTH, **said))


SERVERS: list[tuple[Server | Complaint, list[str]]] = [
    (SERVER, ["pds.ok", "limits.seen", "clock.ok"]),
    (server(version=None), ["pds.ok", "limits.seen", "clock.ok"]),
    (server(ahead_seconds=None), ["pds.ok", "limits.seen", "clock.unknown"]),
    (server(ahead_seconds=CLOCK_SECONDS), ["pds.ok", "limits.seen", "clock.ok"]),
    (server(ahead_seconds=-CLOCK_SECONDS), ["pds.ok", "limits.seen", "clock.ok"]),
    (server(ahead_seconds=CLOCK_SECONDS + 1), ["pds.ok", "limits.seen", "clock.off"]),
    (server(ahead_seconds=-90_000.0), ["pds.ok", "limits.seen", "clock.off"]),
    (replace(SERVER, repo="takendown"), ["pds.ok", "pds.unavailable", "limits.seen", "clock.ok"]),
    (
        replace(SERVER, repo=Complaint("a web page", "look for a proxy")),
        ["pds.ok", "pds.away", "limits.seen", "clock.ok"],
    ),
    (NO, ["pds.away"]),
]


@pytest.mark.parametrize(("server", "expected"), SERVERS)
def test_a_server_is_judged_by_its_answers(server: Server | Complaint, expected: list[str]) -> None:
    assert names(judge_server(server)) == expected


def test_guards_are_judged_by_what_the_probe_found() -> None:
    assert names(judge_guards(True, read_only=False)) == ["guards.ok"]
    assert names(judge_guards(False, read_only=False)) == ["guards.ignored"]
    assert names(judge_guards(None, read_only=False)) == ["guards.unknown"]
    assert names(judge_guards(True, records=True, read_only=False)) == ["guards.ok"]
    assert names(judge_guards(True, records=False, read_only=False)) == ["guards.batch"]
    for honoured in (True, False, None):
        assert names(judge_guards(honoured, read_only=True)) == ["guards.unneeded"]


CREDENTIALS: list[tuple[KnownCredentials | Complaint | None, str]] = [
    (None, "credentials.unneeded"),
    (NO, "credentials.refused"),
    (KEYS, "credentials.ok"),
    (replace(KEYS, made_at=PDS), "credentials.ok"),
    (replace(KEYS, made_at="https://elsewhere.example.com"), "credentials.elsewhere"),
    (replace(KEYS, made_at="http://pds.example.com"), "credentials.elsewhere"),
    (replace(KEYS, is_app_password=None), "credentials.ok"),
    (replace(KEYS, ends_at=NOW - 1.0), "credentials.ok"),
    (KnownCredentials("the keyring"), "credentials.ok"),
    (replace(KEYS, is_app_password=False), "credentials.main"),
    (replace(KEYS, source=None), "credentials.session"),
    (replace(KEYS, source=None, ends_at=None), "credentials.session"),
    (replace(KEYS, source=None, ends_at=NOW - 1.0), "credentials.missing"),
    (KnownCredentials(None), "credentials.missing"),
]


@pytest.mark.parametrize(("keys", "expected"), CREDENTIALS)
def test_credentials_are_judged_by_where_they_are_and_how_old(
    keys: KnownCredentials | Complaint | None, expected: str
) -> None:
    assert names(judge_credentials(keys, DID, NOW, PDS)) == [expected]


def test_the_age_of_a_session_is_told() -> None:
    def told(keys: KnownCredentials) -> str:
        return judge_credentials(keys, DID, NOW).what

    assert "3 hours" in told(replace(KEYS, issued_at=NOW - 10_800.0))
    assert "0 seconds" in told(replace(KEYS, issued_at=NOW + 99.0))
    without = {told(replace(KEYS, issued_at=None)), told(KnownCredentials("the keyring"))}
    assert len(without) == 2
    assert not [text for text in without if re.search(r"\d", text)]


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        (Ledger(), "budget.ok"),
        (SPENT, "budget.spent"),
        (replace(SPENT, is_counted=False), "budget.uncounted"),
        (Ledger(is_counted=False, closed_until=NOW + 9), "budget.spent"),
        (Ledger(closed_until=NOW), "budget.ok"),
        (Ledger(announcements=(Announcement(3600, 100, 9, NOW + 60),)), "budget.own"),
        (Ledger(announcements=(Announcement(3600, 5000, 0, NOW + 60),)), "budget.spent"),
    ],
)
def test_a_budget_is_judged_by_whether_a_write_fits(ledger: Ledger, expected: str) -> None:
    assert names(judge_budget(ledger, NOW, "later")) == [expected]


AWAY = Trouble("the PDS cannot be reached", "")
REFUSED = Trouble("the session has ended", "syncd login")
DAEMONS: list[tuple[int | None, DaemonState | None, str]] = [
    (None, None, "daemon.none"),
    (7, None, "daemon.none"),
    (None, DaemonState(7, "halted", REFUSED), "daemon.none"),
    (8, DaemonState(7, "halted", REFUSED), "daemon.none"),
    (7, DaemonState(7, "idle"), "daemon.ok"),
    (7, DaemonState(7, "offline", AWAY), "daemon.away"),
    (7, DaemonState(7, "halted", REFUSED), "daemon.halted"),
]


@pytest.mark.parametrize(("pid", "said", "expected"), DAEMONS)
def test_a_daemon_is_judged_by_what_it_says_if_it_is_the_one_that_runs(
    pid: int | None, said: DaemonState | None, expected: str
) -> None:
    finding = judge_daemon(pid, said)
    assert finding.name == expected
    assert bool(finding.fix) == (finding.level is not Severity.OK)


# --- The whole list -------------------------------------------------------------------------------

ELSEWHERE = {
    *("folder.ok", "folder.wrong", "folder.doubt", "config.ok", "config.wrong"),
    *("state.ok", "state.missing", "state.damaged", "history.ok", "history.damaged"),
    *("repo.ok", "repo.doubted"),
}
"""What needs no judgement: an edge refused, or it did not (see test_examine.py)."""


SHARINGS = [
    ((), "sharing.none"),
    ((Sharing("Syncthing", Path("/home"), "add a line", is_kept_out=False),), "sharing.found"),
    ((Sharing("Syncthing", Path("/home"), "add a line", is_kept_out=True),), "sharing.kept_out"),
]


@pytest.mark.parametrize(("programs", "name"), SHARINGS)
def test_a_program_that_shares_the_folder_is_named(
    programs: tuple[Sharing, ...], name: str
) -> None:
    (finding,) = judge_sharing(programs)
    assert finding.name == name
    assert all(sharing.program in finding.what for sharing in programs)


BUNDLE = Bundle("@atproto/api", "1.0.0", "2030-01-01", {})
DAY = 86_400
NEW_YEAR = 1_893_456_000


@pytest.mark.parametrize(
    ("days", "name"), [(0, "lexicons.ok"), (90, "lexicons.ok"), (91, "lexicons.old")]
)
def test_the_age_of_the_shipped_lexicons_is_said(days: int, name: str) -> None:
    finding = judge_lexicons(BUNDLE, NEW_YEAR + days * DAY)
    assert finding.name == name
    assert f"{days} days old" in finding.what


AUTOSAVES = [
    ((), Config(DID), "autosave.none"),
    (("Zed",), Config(DID), "autosave.found"),
    (("Zed", "VS Code"), Config(DID), "autosave.found"),
    (("Zed",), Config(DID, push_when="ask"), "autosave.settled"),
    (("Zed",), Config(DID, settle_seconds=2.0), "autosave.settled"),
    (("Zed",), Config(DID, settle_seconds=(("*", 2.0),)), "autosave.settled"),
    ((), Config(DID, push_when="ask"), "autosave.none"),
]


@pytest.mark.parametrize(("editors", "config", "name"), AUTOSAVES)
def test_an_editor_that_saves_by_itself_is_named(
    editors: tuple[str, ...], config: Config, name: str
) -> None:
    finding = judge_autosave(editors, config)
    assert finding.name == name
    assert all(editor in finding.what for editor in editors)


def test_what_a_pds_says_of_itself_and_what_it_showed_is_named() -> None:
    limit = RateLimit(3000, 2999, NOW + 60.0, 300)
    said = server(software="Express", blob_bytes=5_242_880, limit=limit)
    known = KnownBody(PDS, 60_000, NOW, passed=60_000, refused=70_000)
    pds, limits, _ = judge_server(said, known)
    assert "Express" in pds.what
    assert "0.4.1" in pds.what
    for number in ("60000", "70000", "5242880", "3000"):
        assert number in limits.what


def test_what_a_server_does_not_say_is_called_unknown() -> None:
    silent = server(version=None, software=None, make=None, blob_bytes=None, limit=None)
    pds, limits, _ = judge_server(silent)
    assert "does not name itself" in pds.what
    assert "version that it does not show" in pds.what
    assert limits.what.count("not known") == 3
    assert "@atproto/pds, version 0.4.1" in next(judge_server(server(make="@atproto/pds"))).what


REFS = [BlobRef(cid_of_blob(bytes([n])), "image/png", 1) for n in range(3)]
NAMED = {ref.cid: Named(ref, (RecordPath("com.example.note/one"),)) for ref in REFS}
NOTHING = Listing({})
ODD = Listing({}, (Problem("blobs", "it cannot hold blobs", "move it elsewhere"),), is_open=False)
BLOBS = [
    (Attached({}, NOTHING), ["blobs.none"]),
    (Attached(NAMED, NOTHING), ["blobs.ok"]),
    (Attached(NAMED, NOTHING, unasked=tuple(REFS)), ["blobs.ok"]),
    (Attached(NAMED, NOTHING, due=(REFS[0],)), ["blobs.due"]),
    (
        Attached(NAMED, NOTHING, beyond=(REFS[0],), resting=(REFS[1],)),
        ["blobs.beyond", "blobs.missing"],
    ),
    (Attached(NAMED, ODD, due=tuple(REFS)), ["blobs.blocked", "blobs.due"]),
]


@pytest.mark.parametrize(("attached", "names"), BLOBS)
def test_blobs_that_are_not_here_are_counted_by_the_reason(
    attached: Attached, names: list[str]
) -> None:
    assert [finding.name for finding in judge_attached(attached)] == names


def test_every_finding_is_reached_by_a_judgement() -> None:
    reached = {
        *(name for _, expected in DISKS for name in expected),
        *(name for _, name in ACCESSES),
        *(name for _, expected in SERVERS for name in expected),
        *(name for _, name in CREDENTIALS),
        *(name for _, _, name in DAEMONS),
        *(name for _, name in SHARINGS),
        *("lexicons.ok", "lexicons.old", "names.portable", "permissions.none"),
        *(name for _, _, name in AUTOSAVES),
        *(name for _, expected in BLOBS for name in expected),
        *("watches.ok", "watches.few", "watches.none"),
        *("unit.ok", "unit.none", "unit.program", "unit.restarts"),
        *("identity.ok", "identity.moved", "identity.unconfirmed", "identity.wrong"),
        *("guards.ok", "guards.batch", "guards.ignored", "guards.unknown", "guards.unneeded"),
        *("budget.ok", "budget.own", "budget.spent", "budget.uncounted"),
    }
    assert reached | ELSEWHERE == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_what_is_wrong_says_what_to_do_and_what_is_fine_does_not(name: str) -> None:
    kind = KINDS[name]
    assert bool(kind.fix) == (kind.level is not Severity.OK)
    assert kind.what[0] == "{" or kind.what[0].islower() or kind.what[0].isdigit()
    assert not kind.what.endswith(".")
    assert not kind.fix.endswith(".")


@pytest.mark.parametrize("name", KINDS)
def test_every_finding_can_be_made_of_its_values(name: str) -> None:
    kind = KINDS[name]
    texts = (kind.what, kind.fix)
    fields = {f for text in texts for _, f, _, _ in string.Formatter().parse(text) if f}
    finding = found(name, **dict.fromkeys(fields, "x"))
    assert (finding.name, finding.level) == (name, kind.level)
    assert re.search(r"[{}]", finding.what + finding.fix) is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_500, "1.5 kB"),
        (31 * 10**6, "31 MB"),
        (3_140_000_000, "3.1 GB"),
        (10**13, "10000 GB"),
    ],
)
def test_sizes_are_told_as_people_say_them(count: int, expected: str) -> None:
    assert in_size(count) == expected


@pytest.mark.parametrize("module", [account, kinds, machine], ids=lambda m: m.__name__)
def test_what_judges_is_pure(module: object) -> None:
    path = Path(str(getattr(module, "__file__", "")))
    assert set(impurities(Module.read(path))) <= {"imports shlex"}
