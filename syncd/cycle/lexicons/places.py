"""Where the lexicon of an NSID may lie in a folder, the first place first. Reads no document.

library.py reads them, and imports what judges records: a command that only looks needs neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from syncd.atproto.syntax import Nsid, Rkey
from syncd.cycle.lexicons.resolved import RESOLVED, file_of
from syncd.folder.names import relative_paths
from syncd.folder.root import opened
from syncd.forms import DOCUMENTS, Forms
from syncd.model import make_record_path

SCHEMAS: Final = Nsid("com.atproto.lexicon.schema")
"""The collection whose records are lexicons."""
GOAT: Final = "lexicons"
"""Where `goat lex` keeps documents: that of com.example.thing in com/example/thing."""


class Origin(StrEnum):
    """Where a lexicon was found."""

    MIRROR = "mirror"
    FOLDER = "folder"
    RESOLVED = "resolved"
    BUNDLE = "bundle"


def places_of(nsid: Nsid, *, portable: bool, forms: Forms) -> Iterator[tuple[Origin, str]]:
    """Yield each file of a folder that may hold the lexicon of `nsid`, by precedence."""
    record = make_record_path(SCHEMAS, Rkey(nsid))
    for file in relative_paths(record, portable=portable, forms=forms):
        yield Origin.MIRROR, file
    yield Origin.FOLDER, f"{GOAT}/{nsid.replace('.', '/')}{DOCUMENTS.ending}"
    yield Origin.RESOLVED, f"{RESOLVED}/{file_of(nsid)}"


def has_document(root: int, nsid: Nsid, *, portable: bool, forms: Forms) -> bool:
    """Return whether the open folder `root` may have a lexicon of `nsid`, usable or not."""
    return any(_is_there(root, file) for _, file in places_of(nsid, portable=portable, forms=forms))


def _is_there(root: int, file: str) -> bool:
    *directories, name = file.split("/")
    try:
        with opened(root, directories) as directory:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        # Whoever reads it finds out what it is.
        return True
    return True
