"""Judge what was measured on this machine: the folder, its disk, and what lies on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from syncd.doctor.kinds import Finding, found
from syncd.state.notes import DaemonState

NAME_BYTES = 255
"""The longest file name that syncd makes (see folder/names.py)."""

LOW_BYTES, OUT_BYTES = 512 * 1024 * 1024, 32 * 1024 * 1024
"""Less free space than this is a warning; less than the second, and the next pull may fail."""

OUT_FILES = 1_000
"""The same for the files that a file system can still take."""

SPARE_WATCHES = 2
"""Other programs of the user watch directories too: this many times ours should be allowed."""

LEAST_WATCHES = 524_288

NETWORK_KINDS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "fuse.rclone", "glusterfs", "ncpfs", "nfs", "nfs4"}
    | {"smb3", "smbfs", "virtiofs", "fuse.glusterfs", "fuse.s3fs", "davfs", "fuse.davfs2"}
)
MEMORY_KINDS = frozenset({"tmpfs", "ramfs"})

NO_RESTART = (75, 77, 78)
"""Exit codes that no new start mends: locked, credentials, configuration."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an edge refused, and what it advises."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the folder. `free_files` is None where it has no such bound."""

    path: str
    kind: str
    name_length: int
    folds_case: bool
    free_bytes: int
    free_files: int | None
    unsynced: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use one file or directory of ours. `wanted` are the permission bits it may have."""

    path: str
    mode: int
    wanted: int
    owner: int
    user: int
    is_secret: bool = False
    is_writable: bool = True


@dataclass(frozen=True, slots=True)
class Watching:
    """File events: what the folder takes of them. `limit` is None where the kernel sets none."""

    directories: int
    limit: int | None
    refused: Complaint | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file of systemd. `program` is what it starts, and `is_there` whether that exists."""

    path: str
    program: str
    is_there: bool
    no_restart: frozenset[int]


def judge_disk(disk: Disk) -> Iterator[Finding]:
    yield _judge_names(disk)
    if disk.unsynced is not None:
        yield found("disk.unsynced", path=disk.path, reason=disk.unsynced)
    elif disk.kind in NETWORK_KINDS:
        yield found("disk.network", kind=disk.kind)
    elif disk.kind in MEMORY_KINDS:
        yield found("disk.memory", kind=disk.kind)
    else:
        yield found("disk.ok", kind=disk.kind)
    yield _judge_space(disk)


def _judge_names(disk: Disk) -> Finding:
    if disk.folds_case:
        return found("names.folded")
    name = "names.ok" if disk.name_length >= NAME_BYTES else "names.short"
    return found(name, length=disk.name_length)


def _judge_space(disk: Disk) -> Finding:
    free, has_files = in_size(disk.free_bytes), disk.free_files
    if disk.free_bytes < OUT_BYTES or (has_files is not None and has_files < OUT_FILES):
        files = "any number of" if has_files is None else has_files
        return found("space.out", free=free, files=files, path=disk.path)
    if disk.free_bytes < LOW_BYTES:
        return found("space.low", free=free, path=disk.path)
    return found("space.ok", free=free)


def in_size(count: int) -> str:
    """Bytes for people: `512 MB`, `3.1 GB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            amount = count / size
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{count} bytes"


def judge_access(accesses: Sequence[Access]) -> Iterator[Finding]:
    """A finding for each that is wrong, or one for all of them."""
    wrong = [finding for access in accesses for finding in _judge_one(access)]
    yield from wrong or [found("permissions.ok")]


def _judge_one(access: Access) -> Iterator[Finding]:
    open_bits = access.mode & ~access.wanted & 0o077
    if access.owner not in (access.user, 0) and access.user != 0:
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


def judge_watching(watching: Watching) -> Finding:
    count, limit = watching.directories, watching.limit
    if watching.refused is not None:
        return found("watches.none", reason=watching.refused.reason, hint=watching.refused.hint)
    if limit is not None and count * SPARE_WATCHES > limit:
        wanted = max(LEAST_WATCHES, count * SPARE_WATCHES * 2)
        return found("watches.few", directories=count, limit=limit, wanted=wanted)
    return found("watches.ok", directories=count)


def judge_daemon(pid: int | None, said: DaemonState | None) -> Finding:
    """Judge the daemon: `pid` has the folder's lock, `said` is what the last one noted."""
    if pid is None or said is None or pid != said.pid:
        return found("daemon.none")
    if said.trouble is None:
        return found("daemon.ok", phase=said.phase, pid=pid)
    name = "daemon.halted" if said.phase == "halted" else "daemon.away"
    hint = said.trouble.hint or "syncd status"
    return found(name, phase=said.phase, pid=pid, reason=said.trouble.message, hint=hint)


def judge_units(units: Sequence[Unit]) -> Iterator[Finding]:
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
