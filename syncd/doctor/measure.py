"""Measure the machine: the folder's disk, permissions, file events, units. Never judges.

It changes nothing, except for one empty file in `.syncd` that it removes at once.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from syncd.atproto.nsid import is_nsid
from syncd.doctor.machine import Access, Complaint, FileSystem, UnitFile, Watching
from syncd.errors import BadSyntax, FileProblem, SyncdError
from syncd.folder.names import BLOBS
from syncd.folder.root import OWN
from syncd.folder.spelling import folds_case
from syncd.model import RecordPath
from syncd.trouble import at_home
from syncd.watch import Watcher

_PROBE = "doctor.tmp"
_MOUNTS = Path("/proc/self/mountinfo")
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_OWN_FILES = ("state.db", "history.db", "pushed.db")
_ENV = "/usr/bin/env"
_EXEC_PREFIXES = "@-:+!|"


def measure_disk(root: Path) -> FileSystem:
    """Measure the file system of `root`. Raises OSError."""
    space = os.statvfs(root)
    unsynced, mode = _try_file(root / OWN)
    return FileSystem(
        path=str(root),
        kind=kind_of(root, _read(_MOUNTS)),
        name_length=space.f_namemax,
        folds_case=_folds_case(root),
        free_bytes=space.f_bavail * space.f_frsize,
        free_files=space.f_favail if space.f_files else None,
        unsynced=unsynced,
        keeps_modes=not mode & 0o077,
    )


def kind_of(path: Path, mounts: str) -> str:
    """Find the file system type of `path` in the text of /proc/PID/mountinfo (proc(5))."""
    kind, longest = "unknown", -1
    for line in mounts.splitlines():
        mount, dash, source = line.partition(" - ")
        fields = mount.split(" ")
        if dash and len(fields) > 4:
            point = fields[4].encode().decode("unicode_escape")
            if len(point) >= longest and path.is_relative_to(point):
                kind, longest = source.partition(" ")[0], len(point)
    return kind


def _folds_case(root: Path) -> bool:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return folds_case(descriptor, OWN)
    finally:
        os.close(descriptor)


def _try_file(directory: Path) -> tuple[str | None, int]:
    """Try fsync on a private file and its directory.

    Return the error, None if both succeed; and the mode that the file got.
    """
    probe, mode = directory / _PROBE, 0
    try:
        try:
            for path, flags in ((directory, os.O_DIRECTORY), (probe, os.O_RDWR | os.O_CREAT)):
                descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    mode = os.fstat(descriptor).st_mode & 0o777
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error), 0
    return None, mode


def measure_access(
    root: Path, secrets: Iterable[Path], in_scope: Callable[[str], bool] = lambda _: False
) -> list[Access]:
    """Measure the permissions of the folder, syncd's own files and `secrets`, if they exist.

    Of each collection in scope, of `.syncd` and of `blobs`, measure whose the directory and its
    files are.
    """
    own = root / OWN
    places = [
        (root, 0o777, False),
        (own, 0o700, False),
        *((own / name, 0o600, False) for name in _OWN_FILES),
        *((path, 0o600, True) for path in secrets),
    ]
    found = [access for place in places for access in _access(*place)]
    directories = (own, root / BLOBS, *_collections(root, in_scope))
    return [*found, *(_whole(path) for path in directories if path.is_dir())]


def _whole(directory: Path) -> Access:
    """Measure a directory; if another user owns any file in it, name that user as owner."""
    user = os.geteuid()
    other = user
    with suppress(OSError):
        owners = (path.lstat().st_uid for path in (directory, *directory.rglob("*")))
        other = next((owner for owner in owners if owner != user), user)
    return Access(str(directory), 0, 0o777, other, user, is_whole=True)


def _access(path: Path, wanted: int, is_secret: bool) -> Iterator[Access]:
    with suppress(OSError):
        status = path.stat()
        yield Access(
            path=str(path),
            mode=status.st_mode & 0o777,
            wanted=wanted,
            owner=status.st_uid,
            user=os.geteuid(),
            is_secret=is_secret,
            is_writable=is_secret or os.access(path, os.W_OK),
        )


def _no_record(file: str) -> RecordPath:
    raise BadSyntax(f"{file} is not looked at")


async def measure_watching(root: Path, in_scope: Callable[[str], bool]) -> Watching:
    """Watch the folder for a moment, as the daemon does; count its directories."""
    watcher, refused = Watcher(root, in_scope, _no_record), None
    try:
        watcher.start()
    except FileProblem as error:
        refused = Complaint(error.message, error.hint)
    finally:
        watcher.stop()
    limit = _read(_WATCHES).strip()
    return Watching(_directories(root, in_scope), int(limit) if limit.isdigit() else None, refused)


def _directories(root: Path, in_scope: Callable[[str], bool]) -> int:
    """Count the folder, its collections, and the directories where long names continue."""
    return 1 + sum(1 + _continued(directory) for directory in _collections(root, in_scope))


def _collections(root: Path, in_scope: Callable[[str], bool]) -> list[Path]:
    names = [entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    return sorted(root / name for name in names if _is_ours(name, in_scope))


def _is_ours(name: str, in_scope: Callable[[str], bool]) -> bool:
    return is_nsid(name) and in_scope(name)


def _continued(directory: Path) -> int:
    with suppress(OSError):
        inner = [e.path for e in os.scandir(directory) if e.name.endswith("%") and e.is_dir()]
        return len(inner) + sum(_continued(Path(path)) for path in inner)
    return 0


def measure_units(directories: Iterable[Path]) -> list[UnitFile]:
    """Read every unit of syncd in `directories`, with its drop-ins."""
    return [
        unit
        for directory in directories
        for path in sorted(directory.glob("syncd*.service"))
        for unit in _unit(path)
    ]


def _unit(path: Path) -> Iterator[UnitFile]:
    drop_ins = sorted(path.with_name(f"{path.name}.d").glob("*.conf"))
    lines = "\n".join(map(_read, (path, *drop_ins))).splitlines()
    pairs = [(key.strip(), value.strip()) for key, _, value in (x.partition("=") for x in lines)]
    commands = [value for key, value in pairs if key == "ExecStart" and value]
    if not commands:
        return
    codes = " ".join(value for key, value in pairs if key == "RestartPreventExitStatus").split()
    program = program_of(commands[-1])
    is_there = shutil.which(program) is not None
    yield UnitFile(str(path), program, is_there, frozenset(int(c) for c in codes if c.isdigit()))


def program_of(command: str) -> str:
    """Return the program of an ExecStart= line (systemd.service(5)), also behind env(1)."""
    words = shlex.split(command.lstrip(_EXEC_PREFIXES))
    if words[:1] == [_ENV]:
        words = [word for word in words[1:] if "=" not in word]
    return words[0] if words else ""


def unit_directories() -> list[Path]:
    """Return the directories of unit files, of this user and of the system (systemd.unit(5))."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")
    system = [Path(top, "systemd", "system") for top in ("/etc", "/usr/local/lib", "/usr/lib")]
    return [config / "systemd" / "user", Path("/etc/systemd/user"), *system]


def _home() -> Path:
    """Return the home of this user or, if it is unknown, a directory without units."""
    with suppress(SyncdError):
        return at_home("~")
    return Path("/nonexistent")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
