"""Find the lexicon of an NSID: in the folder, among those that were resolved, or in the bundle.

Reads files and never asks the network. The first place that has a document counts: also if the
document is no lexicon, for an older one from elsewhere would judge by rules that its author left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from pathlib import Path

from syncd.atproto.data import Record
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.checks import Faults, fault
from syncd.atproto.lexicon.document import Lexicon, document_faults, parse_lexicon
from syncd.atproto.lexicon.fault import Kind
from syncd.atproto.syntax import Nsid, parse_nsid
from syncd.cycle.lexicons.places import SCHEMAS, Origin, places_of
from syncd.cycle.lexicons.resolved import read_resolved
from syncd.errors import BadData, BadJson, BadSyntax, FileProblem
from syncd.folder.read import os_problem, read_file
from syncd.folder.root import opened
from syncd.forms import DOCUMENTS, USUAL, Form, Forms
from syncd.lexicons.bundle import load_bundle
from syncd.model import Problem
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A document, and the lexicon that it is.

    Attributes:
        file: Its path in the folder; empty for the bundle.
        problems: What is wrong with it; it is no lexicon then.
    """

    nsid: Nsid
    origin: Origin
    file: str = ""
    lexicon: Lexicon | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Library:
    """The lexicons that a folder and syncd have. `root` is the open directory of the folder.

    What was found once does not change: make a new one for each look.
    """

    root: int
    portable: bool = False
    forms: Forms = USUAL
    _found: dict[str, Found | None] = field(default_factory=dict)
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.lexicon)

    def lexicon(self, nsid: str) -> Lexicon | None:
        """Return the lexicon of an NSID, or None."""
        found = self.find(nsid)
        return None if found is None else found.lexicon

    def find(self, nsid: str) -> Found | None:
        """Return the document of an NSID from the first place that has one."""
        if nsid not in self._found:
            self._found[nsid] = self._look_for(nsid)
        return self._found[nsid]

    def _look_for(self, text: str) -> Found | None:
        try:
            # References are what a document says: only an NSID may become the name of a file.
            nsid = parse_nsid(text)
        except BadSyntax:
            return None
        for origin, file in places_of(nsid, portable=self.portable, forms=self.forms):
            content = self._read(file)
            if content is not None:
                form = self.forms.of(SCHEMAS) if origin is Origin.MIRROR else DOCUMENTS
                read = read_resolved if origin is Origin.RESOLVED else partial(_document, form)
                return _judge(nsid, origin, file, content, read, form)
        shipped = load_bundle().find(nsid)
        return None if shipped is None else Found(nsid, Origin.BUNDLE, lexicon=shipped)

    def _read(self, file: str) -> bytes | Problem | None:
        *directories, name = file.split("/")
        try:
            with opened(self.root, directories) as directory:
                return read_file(directory, name)[0]
        except FileNotFoundError:
            return None
        except FileProblem as error:
            return Problem(file, f"it cannot be read: {error.message}", error.hint)
        except OSError as error:
            return os_problem(file, error)


@contextmanager
def open_library(root: Path, *, portable: bool = False, forms: Forms = USUAL) -> Iterator[Library]:
    """Open the library of a directory, which need not be a mirror. Raises OSError."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Library(descriptor, portable, forms)
    finally:
        os.close(descriptor)


def _document(form: Form, content: bytes) -> Record:
    return form.parse(content, SCHEMAS)


def _judge(
    nsid: Nsid,
    origin: Origin,
    file: str,
    content: bytes | Problem,
    read: Callable[[bytes], Record],
    form: Form,
) -> Found:
    if isinstance(content, Problem):
        return Found(nsid, origin, file, problems=(content,))
    try:
        record = read(content)
        problems = lexicon_problems(file, content, record, nsid, form)
        if not problems:
            return Found(nsid, origin, file, parse_lexicon(record))
    except BadJson as error:
        problems = (Problem(file, error.message, error.hint, error.line, error.column),)
    except BadData as error:
        problems = (Problem(file, error.message, error.hint),)
    return Found(nsid, origin, file, problems=problems)


def lexicon_problems(
    file: str, text: bytes, record: Record, nsid: str, form: Form
) -> tuple[Problem, ...]:
    """Return each fault, with its place, of a record that is to be the lexicon of `nsid`."""
    return placed(file, text, lexicon_faults(record, nsid), form)


def lexicon_faults(record: Record, nsid: str) -> Faults:
    """Return the faults of a document; an `id` other than its name is one."""
    found = document_faults(record)
    if not found and record["id"] != nsid:
        found = (*fault(Kind.VALUE, f"must be {nsid}, the name of its file"),)
        found = tuple(each.under("id") for each in found)
    return found


def placed(file: str, text: bytes, faults: Faults, form: Form) -> tuple[Problem, ...]:
    """Return faults as problems of a file, each with its line and column in `text`."""
    if not faults:
        return ()
    places = form.find_places(text, [each.pointer for each in faults])
    return tuple(
        Problem(file, str(each), "", *(places[each.pointer] if each.kind is not Kind.KEY else ()))
        for each in faults
    )
