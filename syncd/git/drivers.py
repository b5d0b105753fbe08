"""Register syncd with git for merges and diffs of record files. Never touches the worktree.

The registration is in the configuration of this clone and in `info/attributes`. Git versions
neither, so other clones are unaffected.
"""

from __future__ import annotations

import re
from pathlib import Path

from syncd.errors import GitFailed
from syncd.git.commits import Worktree

_NAME = "syncd"
_ATTRIBUTES = f"merge={_NAME} diff={_NAME}"
_COMMENT = "# record files, by `syncd git install`"


def install(work: Worktree, command: str) -> str:
    """Register `command` for the folder's record files; return their pattern. Raises GitFailed."""
    git, line = work.git, attribute_line(work.repository.prefix)
    git.run("config", f"merge.{_NAME}.name", "records, field by field")
    git.run("config", f"merge.{_NAME}.driver", f"{command} git merge %O %A %B %L %P")
    git.run("config", f"diff.{_NAME}.textconv", f"{command} git show")
    lines = _read(work)
    if line not in lines:
        _write(work, [*lines, _COMMENT, line])
    return line.removesuffix(f" {_ATTRIBUTES}")


def uninstall(work: Worktree) -> bool:
    """Undo `install` for the folder; return False if it was not installed. Raises GitFailed."""
    lines, line = _read(work), attribute_line(work.repository.prefix)
    if line not in lines:
        return False
    at = lines.index(line)
    first = at - 1 if at and lines[at - 1] == _COMMENT else at
    left = lines[:first] + lines[at + 1 :]
    _write(work, left)
    if not any(other.endswith(_ATTRIBUTES) for other in left):
        # No other folder of this clone uses the drivers.
        for section in (f"merge.{_NAME}", f"diff.{_NAME}"):
            work.git.run("config", "--remove-section", section, may_fail=(128,))
    return True


def attribute_line(prefix: str) -> str:
    """Make the line of `info/attributes` for the record files below `prefix` (gitattributes(5))."""
    escaped = re.sub(r"([\\*?\[\]])", r"\\\1", f"/{prefix}") + "*.*.*/**/*.json"
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
