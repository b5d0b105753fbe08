"""Make the JSON Schemas of the collections of a folder from their lexicons. Writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from syncd import __version__
from syncd.atproto.lexicon.jsonschema import record_schema
from syncd.config.schema import config_schema
from syncd.cycle.lexicons.places import GOAT, SCHEMAS
from syncd.cycle.lexicons.resolved import RESOLVED
from syncd.forms import DOCUMENTS
from syncd.mirror.lexicons.linter import collections_of
from syncd.mirror.lexicons.updating import Mirrored

SETTINGS: Final = "syncd.toml"
"""What the schema of the settings is called."""


def make_schemas(mirrored: Mirrored) -> dict[str, dict[str, Any]]:
    """Return the schema of each collection whose files may be JSON and whose lexicon is known."""
    made: dict[str, dict[str, Any]] = {SETTINGS: config_schema()}
    with mirrored.library() as library:
        for name in collections_of(mirrored.root):
            lexicon = library.lexicon(name)
            # Files of another form have no JSON; some forms leave a person the choice.
            is_json = DOCUMENTS.ending in mirrored.forms.of(name).endings
            if is_json and lexicon is not None and lexicon.record is not None:
                made[name] = record_schema(lexicon, library.lexicon)
    return made


def schemas_depend_on(mirrored: Mirrored) -> str:
    """Return a text that changes if the schemas of a folder may; cheaper than making them."""
    root, digest = mirrored.root, hashlib.sha256(__version__.encode())
    facts: list[object] = [collections_of(root), [repr(mirrored.forms), mirrored.portable]]
    facts += [_stats(root / place) for place in (SCHEMAS, GOAT, RESOLVED)]
    digest.update(json.dumps(facts, default=str).encode())
    return digest.hexdigest()


def _stats(directory: Path) -> list[tuple[str, int, int]]:
    return sorted(_files(str(directory)))


def _files(directory: str) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(directory) as entries:
            found = [(each, each.stat(follow_symlinks=False)) for each in entries]
    except OSError:
        return
    for entry, stat in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry.path, stat.st_mtime_ns, stat.st_size
