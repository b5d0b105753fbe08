"""Write schemas into `.syncd/schemas/` and name them in the settings of editors; take both out.

Never changes a record, and of a person's settings only its own entries. `$schema` in a record would
be published, so no file of a record names its schema.
"""

from __future__ import annotations

import json
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from syncd.errors import BadJson, FileProblem, SyncdError
from syncd.mirror.editors.kinds import (
    EDITORS,
    MADE,
    SCHEMAS,
    Mapped,
    with_directive,
    without_directive,
)
from syncd.mirror.editors.schemas import SETTINGS, make_schemas, schemas_depend_on
from syncd.mirror.lexicons.updating import Mirrored
from syncd.values import dataclass

_NOT_RECORDS: Final = "!**/.syncd/**"
"""Conflict copies lie there in directories that are called as their collection."""


@dataclass(frozen=True, slots=True)
class Made:
    """The record of an installation.

    Attributes:
        editors: Whose settings name the schemas.
        created: The settings files that were not there before.
        depends_on: See `schemas_depend_on`.
    """

    editors: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    depends_on: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """The number of collections with a schema, and the settings files that changed."""

    collections: tuple[str, ...]
    changed: tuple[str, ...]


def install(mirrored: Mirrored, editors: Iterable[str]) -> Installed:
    """Make the schemas of a folder, and name them in the settings of `editors`.

    Raises FileProblem: settings cannot be read or written, or the schemas have no place in them.
    """
    root, before = mirrored.root, read_made(mirrored.root) or Made()
    names = tuple(name for name in EDITORS if name in {*before.editors, *editors})
    depends_on, schemas = schemas_depend_on(mirrored), make_schemas(mirrored)
    mapped = [_mapped(root, name) for name in schemas if name != SETTINGS]
    files = [*(EDITORS[name].file for name in names), SETTINGS]
    texts = {file: _read(root / file) for file in files}
    if texts[SETTINGS] is None:
        # Settings alone make no mirror, and neither does their first line.
        del texts[SETTINGS]
    # All are made before the first is written: what cannot be edited changes nothing.
    edits = {EDITORS[name].file: _adding(name, mapped) for name in names}
    edits[SETTINGS] = with_directive
    new = {file: _edited(file, texts, edits[file]) for file in texts}
    _write_schemas(root, schemas)
    changed = tuple(file for file, text in new.items() if text != texts[file])
    created = {*before.created, *(file for file in changed if texts[file] is None)}
    _keep(root, Made(names, tuple(sorted(created)), depends_on))
    for file in changed:
        _write(root / file, new[file])
    return Installed(tuple(name for name in schemas if name != SETTINGS), changed)


def refresh(mirrored: Mirrored) -> None:
    """Make the schemas again if lexicons or collections have changed since.

    Costs next to nothing where no editor is served. What cannot be done now `install` would say.
    """
    before = read_made(mirrored.root)
    if before is None:
        return
    with suppress(SyncdError, OSError):
        if schemas_depend_on(mirrored) != before.depends_on:
            install(mirrored, before.editors)


def uninstall(root: Path) -> tuple[str, ...]:
    """Remove the schemas, and their names from all settings; return the files changed.

    Raises FileProblem: settings cannot be read or written.
    """
    made = read_made(root) or Made()
    cleaners = {each.file: each.take_out for each in EDITORS.values()}
    cleaners[SETTINGS] = without_directive
    texts = {file: _read(root / file) for file in cleaners}
    there = {file: text for file, text in texts.items() if text is not None}
    new = {file: _edited(file, there, cleaners[file]) for file in there}
    changed = [file for file in there if new[file] != there[file]]
    for file in changed:
        if file in made.created and new[file].strip() in ("", "{}"):
            _remove(root, file)
        else:
            _write(root / file, new[file])
    with suppress(FileNotFoundError):
        shutil.rmtree(root / SCHEMAS)
    return tuple(changed)


def _mapped(root: Path, name: str) -> Mapped:
    file = f"{SCHEMAS}/{name}.json"
    return Mapped((f"/{name}/**/*.json", _NOT_RECORDS), file, (root / file).absolute().as_uri())


def _adding(name: str, mapped: Sequence[Mapped]) -> Callable[[str], str]:
    editor = EDITORS[name]
    return (lambda text: editor.add(text, mapped)) if mapped else editor.take_out


def _edited(file: str, texts: Mapping[str, str | None], edit: Callable[[str], str]) -> str:
    try:
        return edit(texts[file] or "")
    except BadJson as error:
        place = f" (line {error.line}, column {error.column})"
        raise FileProblem(
            f"{file}{place} cannot be edited: {error.message}", hint="fix it, then try again"
        ) from None
    except FileProblem as error:
        raise FileProblem(f"{file} cannot be edited: {error.message}", hint=error.hint) from None


def _read(path: Path) -> str | None:
    """Return the text of a file, line ends as they are; None if there is no file."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise FileProblem(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None


def _write(path: Path, text: str) -> None:
    """Replace a file, or the target of a link, atomically and with the same permissions."""
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(text.encode())
        if mode is not None:
            partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _remove(root: Path, file: str) -> None:
    (root / file).unlink()
    directory = (root / file).parent
    if directory != root:
        # Only if nothing else is in it.
        with suppress(OSError):
            directory.rmdir()


def _write_schemas(root: Path, schemas: dict[str, dict[str, Any]]) -> None:
    directory = root / SCHEMAS
    directory.mkdir(mode=0o700, exist_ok=True)
    names = {f"{name}.json" for name in schemas}
    for stale in directory.glob("*.json"):
        if stale.name not in names:
            stale.unlink()
    for name, schema in schemas.items():
        text = json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
        file = directory / f"{name}.json"
        # Editors watch it: an equal one is not written again.
        if _read(file) != text:
            _write(file, text)


def _keep(root: Path, made: Made) -> None:
    content = {
        "editors": made.editors,
        "created": made.created,
        "depends_on": made.depends_on,
    }
    _write(root / MADE, json.dumps(content) + "\n")


def read_made(root: Path) -> Made | None:
    """Return the record of the last installation; None if there is none."""
    try:
        kept = json.loads((root / MADE).read_bytes())
        editors = tuple(name for name in kept["editors"] if name in EDITORS)
        return Made(editors, tuple(map(str, kept["created"])), str(kept["depends_on"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Made()
