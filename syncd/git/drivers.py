"""Register syncd with git for merges and diffs of record files. Never touches the worktree.

The registration is in the configuration of this clone and in `info/attributes`. Git versions
neither, so other clones are unaffected.
"""

from __future__ import annotations

import re
from pathlib import Path

from syncd.errors import GitFailed
from syncd.forms import USUAL, Forms
from syncd.git.commits import Worktree

_NAME = "syncd"
_ATTRIBUTES = f"merge={_NAME} diff={_NAME}"
_COMMENT = "# record files, by `syncd git install`"


def install(work: Worktree, command: str, forms: Forms = USUAL) -> str:
    """Register `command` for the folder's record files; return their patterns. Raises GitFailed."""
    git, lines, ours = work.git, _read(work), _lines_of(work, forms)
    git.run("config", f"merge.{_NAME}.name", "records, field by field")
    git.run("config", f"merge.{_NAME}.driver", f"{command} git merge %O %A %B %L %P")
    git.run("config", f"diff.{_NAME}.textconv", f"{command} git show")
    if new := [line for line in ours if line not in lines]:
        _write(work, [*lines, _COMMENT, *new])
    return ", ".join(line.removesuffix(f" {_ATTRIBUTES}") for line in ours)


def uninstall(work: Worktree, forms: Forms = USUAL) -> bool:
    """Undo `install` for the folder; return False if it was not installed. Raises GitFailed."""
    lines, ours = _read(work), _lines_of(work, forms)
    found = [at for at, line in enumerate(lines) if line in ours]
    if not found:
        return False
    if found[0] and lines[found[0] - 1] == _COMMENT:
        found.append(found[0] - 1)
    left = [line for at, line in enumerate(lines) if at not in found]
    _write(work, left)
    if not any(other.endswith(_ATTRIBUTES) for other in left):
        # No other folder of this clone uses the drivers.
        for section in (f"merge.{_NAME}", f"diff.{_NAME}"):
            work.git.run("config", "--remove-section", section, may_fail=(128,))
    return True


def _lines_of(work: Worktree, forms: Forms) -> list[str]:
    return [attribute_line(work.repository.prefix, ending) for ending in forms.endings]


def attribute_line(prefix: str, ending: str) -> str:
    """Make the line of `info/attributes` for the files below `prefix` with an ending.

    Source: gitattributes(5).
    """
    escaped = re.sub(r"([\\*?\[\]])", r"\\\1", f"/{prefix}") + f"*.*.*/**/*{ending}"
    if re.search(r'[\s"\\]', escaped):
        inner = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
        escaped = f'"{inner}"'
    return f"{escaped} {_ATTRIBUTES}"


def _file(work: Worktree) -> Path:
    return work.repository.top / work.git.text("rev-parse", "--git-path", "info/attributes")


def _read(work: Worktree) -> list[str]:
    try:
        return _file(work).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise GitFailed(f"{_file(work)} cannot be read: {error}") from None


def _write(work: Worktree, lines: list[str]) -> None:
    file = _file(work)
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise GitFailed(f"{file} cannot be written: {error.strerror}") from None
