"""Judge the measurements of this machine: folder, disk, permissions, file events, units. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncd.config import Config
from syncd.doctor.kinds import Finding, found
from syncd.lexicons.bundle import Bundle
from syncd.neighbours.autosave import HINT
from syncd.neighbours.sharing import Sharing
from syncd.state.notes import DaemonState
from syncd.values import dataclass

NAME_BYTES = 255
"""The longest file name that syncd makes (see folder/names.py)."""

LOW_BYTES, OUT_BYTES = 512 * 1024 * 1024, 32 * 1024 * 1024
"""Below the first, free space is a warning; below the second, the next pull may fail."""

OUT_FILES = 1_000
"""Below this number of free inodes, the next pull may fail."""

SPARE_WATCHES = 2
"""The limit should allow this many times our directories: other programs watch some too."""

LEAST_WATCHES = 524_288

NETWORK_KINDS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "fuse.rclone", "glusterfs", "ncpfs", "nfs", "nfs4"}
    | {"smb3", "smbfs", "virtiofs", "fuse.glusterfs", "fuse.s3fs", "davfs", "fuse.davfs2"}
)
MEMORY_KINDS = frozenset({"tmpfs", "ramfs"})

NO_RESTART = (75, 77, 78)
"""Exit codes that a restart cannot fix: locked, credentials, configuration."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error as a value: its sentence and its hint."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system of the folder.

    Attributes:
        kind: Its type, as in /proc/PID/mountinfo.
        name_length: The longest file name, in bytes.
        free_files: The number of free inodes; None if the file system has no limit.
        unsynced: Why fsync failed; None if it did not.
        keeps_modes: A file has the mode that it was made with.
    """

    path: str
    kind: str
    name_length: int
    folds_case: bool
    free_bytes: int
    free_files: int | None
    unsynced: str | None = None
    keeps_modes: bool = True


@dataclass(frozen=True, slots=True)
class Access:
    """The permissions of one file or directory of ours; `wanted` are the permitted mode bits.

    If another user owns a directory of the mirror or any file in it, `owner` is that user.
    """

    path: str
    mode: int
    wanted: int
    owner: int
    user: int
    is_secret: bool = False
    is_writable: bool = True
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Watching:
    """The file watches that the folder needs; `limit` is None if the kernel sets none."""

    directories: int
    limit: int | None
    refused: Complaint | None = None


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit file of systemd.

    Attributes:
        program: The program that it starts.
        is_there: The program exists.
        no_restart: The exit codes in RestartPreventExitStatus=.
    """

    path: str
    program: str
    is_there: bool
    no_restart: frozenset[int]


def judge_disk(disk: FileSystem, *, is_portable: bool = False) -> Iterator[Finding]:
    """Judge the names that the file system takes, its durability and its free space."""
    yield _judge_names(disk, is_portable)
    if disk.unsynced is not None:
        yield found("disk.unsynced", path=disk.path, reason=disk.unsynced)
    elif disk.kind in NETWORK_KINDS:
        yield found("disk.network", kind=disk.kind)
    elif disk.kind in MEMORY_KINDS:
        yield found("disk.memory", kind=disk.kind)
    else:
        yield found("disk.ok", kind=disk.kind)
    yield _judge_space(disk)


def _judge_names(disk: FileSystem, is_portable: bool) -> Finding:
    if disk.name_length < NAME_BYTES:
        return found("names.short", length=disk.name_length)
    if disk.folds_case:
        return found("names.portable" if is_portable else "names.folded")
    return found("names.ok", length=disk.name_length)


def _judge_space(disk: FileSystem) -> Finding:
    free, has_files = in_size(disk.free_bytes), disk.free_files
    if disk.free_bytes < OUT_BYTES or (has_files is not None and has_files < OUT_FILES):
        files = "any number of" if has_files is None else has_files
        return found("space.out", free=free, files=files, path=disk.path)
    if disk.free_bytes < LOW_BYTES:
        return found("space.low", free=free, path=disk.path)
    return found("space.ok", free=free)


def in_size(count: int) -> str:
    """Format bytes for people: `512 MB`, `3.1 GB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            amount = count / size
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{count} bytes"


def judge_access(accesses: Sequence[Access], *, keeps_modes: bool = True) -> Iterator[Finding]:
    """Make a finding for each wrong permission, or one finding if all are right.

    Where the file system of the folder keeps no modes, one finding stands for all that chmod
    cannot change.
    """
    wrong = [(access, finding) for access in accesses for finding in _judge_one(access)]
    loose = [access for access, finding in wrong if finding.name == "permissions.open"]
    if loose and not keeps_modes:
        wrong = [(access, finding) for access, finding in wrong if access not in loose]
        yield found("permissions.none", path=loose[0].path, mode=f"{loose[0].mode:03o}")
    elif not wrong:
        yield found("permissions.ok")
    yield from (finding for _, finding in wrong)


def _judge_one(access: Access) -> Iterator[Finding]:
    open_bits = access.mode & ~access.wanted & 0o077
    if access.is_whole:
        # Also root's: `sudo syncd sync` leaves such files, and they are the user's to edit.
        if access.owner != access.user != 0:
            yield found(
                "permissions.collection", path=access.path, owner=access.owner, user=access.user
            )
    elif _is_anothers(access):
        yield found("permissions.owner", path=access.path, owner=access.owner, user=access.user)
    elif not access.is_writable:
        yield found("permissions.readonly", path=access.path)
    elif open_bits:
        yield found(
            "permissions.secret" if access.is_secret else "permissions.open",
            path=access.path,
            mode=f"{access.mode:03o}",
            wanted=f"{access.wanted:03o}",
        )


def _is_anothers(access: Access) -> bool:
    """Return whether another user has what syncd needs; root may have what syncd can change."""
    is_shared = access.owner == 0 and access.is_writable
    return access.user not in (0, access.owner) and not is_shared


def judge_watching(watching: Watching) -> Finding:
    """Judge whether file events work, and whether their limit leaves room for other programs."""
    count, limit = watching.directories, watching.limit
    if watching.refused is not None:
        return found("watches.none", reason=watching.refused.reason, hint=watching.refused.hint)
    if limit is not None and count * SPARE_WATCHES > limit:
        wanted = max(LEAST_WATCHES, count * SPARE_WATCHES * 2)
        return found("watches.few", directories=count, limit=limit, wanted=wanted)
    return found("watches.ok", directories=count)


def judge_daemon(pid: int | None, said: DaemonState | None) -> Finding:
    """Judge the daemon: `pid` holds the folder's lock, `said` is the last daemon's own note."""
    if pid is None or said is None or pid != said.pid:
        return found("daemon.none")
    if said.trouble is None:
        return found("daemon.ok", phase=said.phase, pid=pid)
    name = "daemon.halted" if said.phase == "halted" else "daemon.away"
    hint = said.trouble.hint or "syncd status"
    return found(name, phase=said.phase, pid=pid, reason=said.trouble.message, hint=hint)


def judge_sharing(programs: Sequence[Sharing]) -> Iterator[Finding]:
    """Make a finding for each file-sync program that shares the folder, or one if none does."""
    for sharing in programs:
        name = "sharing.kept_out" if sharing.is_kept_out else "sharing.found"
        yield found(name, reason=sharing.reason, hint=sharing.hint)
    if not programs:
        yield found("sharing.none")


def judge_autosave(editors: Sequence[str], config: Config) -> Finding:
    """Judge whether an editor's automatic saves are pushed at once."""
    if not editors:
        return found("autosave.none")
    is_delayed = config.push_when != "save" or config.settle_seconds != 0
    name = "autosave.settled" if is_delayed else "autosave.found"
    return found(name, editors=" and ".join(editors), hint=HINT)


def judge_lexicons(bundle: Bundle, now: float) -> Finding:
    """Judge the age of the lexicons that come with syncd; `now` is in unix seconds."""
    name = "lexicons.old" if bundle.is_old(now) else "lexicons.ok"
    return found(name, package=bundle.package, version=bundle.version, days=bundle.age_days(now))


def judge_units(units: Sequence[UnitFile]) -> Iterator[Finding]:
    """Judge whether each unit starts an existing program and stops after the right exit codes."""
    for unit in units:
        again = [str(code) for code in NO_RESTART if code not in unit.no_restart]
        if not unit.is_there:
            yield found("unit.program", path=unit.path, program=unit.program)
        elif again:
            yield found("unit.restarts", path=unit.path, codes=" and ".join(again))
        else:
            yield found("unit.ok", path=unit.path, program=unit.program)
    if not units:
        yield found("unit.none")
