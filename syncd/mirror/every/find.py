"""Find the mirrors of this user: in a list, by the processes that run, and by installed units.

Opens no mirror, and starts nothing. What cannot be read is no mirror, but for a list that is named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from syncd.config import read_list
from syncd.errors import ConfigWrong, SyncdError
from syncd.folder.root import MARKER, OWN
from syncd.trouble import at_home
from syncd.values import dataclass

LIST_FILE: Final = "syncd/mirrors.toml"
"""Below `$XDG_CONFIG_HOME`: the list of mirrors where SYNCD_CONFIG names no other one."""
STATE: Final = Path("/var/lib/syncd")
"""Where the mirrors of the system's service are."""
SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_PROCESSES: Final = Path("/proc")
_LOCK: Final = f"/{OWN}/lock"
_OCTET: Final = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Known:
    """A mirror, and how it was found: list, running, unit, here.

    `error` is why a list cannot be read that is named; then `folder` is its file.
    """

    folder: Path
    sources: tuple[str, ...]
    error: SyncdError | None = None


def find_mirrors(
    environ: Mapping[str, str], here: Path | None = None, processes: Path = _PROCESSES
) -> list[Known]:
    """Return the mirrors of this user, each once; `here` is one that is open."""
    listed, fault = _listed(environ)
    found: dict[Path, list[str]] = {}
    for source, folders in (
        ("here", [] if here is None else [here]),
        ("list", listed),
        ("unit", _of_units(environ)),
        ("running", _running(processes)),
    ):
        for folder in folders:
            names = found.setdefault(Path(os.path.realpath(folder)), [])
            names += [source] if source not in names else []
    mirrors = [Known(folder, tuple(sources)) for folder, sources in found.items()]
    return [*fault, *sorted(mirrors, key=lambda known: known.folder)]


def list_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file that lists the mirrors of this user; None if there is none."""
    if named := environ.get("SYNCD_CONFIG"):
        return at_home(named).absolute()
    usual = usual_list(environ)
    return usual if usual.is_file() else None


def usual_list(environ: Mapping[str, str]) -> Path:
    """Return where the list of this user's mirrors is, or would be."""
    return _config(environ) / LIST_FILE


def _listed(environ: Mapping[str, str]) -> tuple[Sequence[Path], list[Known]]:
    file = list_file(environ)
    try:
        return ([] if file is None else read_list(file)), []
    except ConfigWrong as error:
        return [], [Known(file or Path(), ("list",), error)]


def _config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or at_home("~") / ".config")


def _running(processes: Path) -> Iterator[Path]:
    """Yield the folders that processes of this user hold the lock of."""
    for process in filter(str.isdigit, _names(processes)):
        descriptors = processes / process / "fd"
        with suppress(OSError):
            if descriptors.stat().st_uid != os.getuid():
                continue
        for name in _names(descriptors):
            with suppress(OSError):
                target = str((descriptors / name).readlink())
                if target.endswith(_LOCK):
                    yield Path(target.removesuffix(_LOCK))


def _of_units(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders of the units that are enabled, as `syncd service install` names them."""
    user = _config(environ) / "systemd" / "user"
    for name in _instances(user, "syncd-user@"):
        is_apart = (user / f"syncd-user@{name}.service.d").is_dir()
        yield Path(unescape(name)) if is_apart else at_home("~") / name
    for name in _instances(SYSTEM_UNITS, "syncd@"):
        folder = STATE / name
        # Those of another user cannot be looked at, and are not what is asked for.
        with suppress(OSError):
            if (folder / OWN / MARKER).is_file():
                yield folder


def _instances(units: Path, begin: str) -> Iterable[str]:
    end = ".service"
    for directory in _names(units):
        if directory.endswith(".wants"):
            for name in _names(units / directory):
                if name.startswith(begin) and name.endswith(end):
                    yield name.removeprefix(begin).removesuffix(end)


def _names(directory: Path) -> list[str]:
    with suppress(OSError):
        return sorted(entry.name for entry in directory.iterdir())
    return []


def unescape(name: str) -> str:
    """Return the path that a part of a unit's name stands for, as systemd-escape(1) has it."""
    plain = name.replace("-", "/").encode()
    return "/" + os.fsdecode(_OCTET.sub(lambda found: bytes([int(found[1], 16)]), plain))
