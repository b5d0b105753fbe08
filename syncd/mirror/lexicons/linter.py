"""Check the files of any folder against lexicons, and say where these are from. Never writes.

The folder need not be a mirror, and no account is asked. Links are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath

from syncd.atproto.data import Record
from syncd.atproto.lexicon.checks import FINE, Faults, fault
from syncd.atproto.lexicon.fault import Fault, Kind
from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Nsid, parse_nsid
from syncd.blobs.files import Files, record_in
from syncd.config import FILE_NAME, LOCATION_KEEP, load_config
from syncd.cycle.lexicons.library import Found, Library, lexicon_faults, open_library
from syncd.cycle.lexicons.places import GOAT, SCHEMAS
from syncd.errors import BadJson, BadSyntax, FileProblem, FolderWrong, SyncdError
from syncd.folder.names import ending_in, is_draft, parse_file_name
from syncd.folder.problems import explain
from syncd.folder.read import read_file
from syncd.folder.root import find_root, opened
from syncd.forms import DOCUMENTS, USUAL, Form, Forms
from syncd.slips import near_name
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a file. `place` is None where the text has none, as for its name."""

    file: str
    lexicon: str
    fault: Fault
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check.

    Attributes:
        files: How many files were read.
        unknown: How many of them nobody knows a lexicon for, by collection.
    """

    files: int
    findings: tuple[Finding, ...]
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Return the faults that break a lexicon."""
        return tuple(each for each in self.findings if not each.fault.is_note)


def place_around(directory: Path) -> tuple[Path, bool, Forms]:
    """Return the folder to check around `directory`, and how it names its files.

    Raises FolderWrong: there is no such directory.
    """
    try:
        root = find_root(directory)
    except FolderWrong:
        if not directory.is_dir():
            raise FolderWrong(f"{directory} is not a directory") from None
        root = directory
    try:
        config = load_config(root / FILE_NAME, {})
    except SyncdError:
        # A mistake in the settings is no fault of a record, and other commands say it.
        return root, False, USUAL
    return root, config.is_portable, config.forms


def check_files(
    root: Path, names: Sequence[str], *, portable: bool, forms: Forms = USUAL
) -> Checked:
    """Check the files of a folder: all of them, or those below `names`.

    `names` are record paths, collections, files, directories or patterns, relative to `root`.
    Raises SyncdError: one of `names` is none of these.
    """
    with open_library(root, portable=portable, forms=forms) as library:
        files = [*_files(root, forms)]
        wanted = (
            files if not names else [f for f in files if any(_fits(forms, f, n) for n in names)]
        )
        _refuse_unmet(names, files, forms)
        found: list[Finding] = []
        unknown: dict[str, int] = {}
        for file in sorted(wanted):
            collection = file.partition("/")[0]
            found += _check(library, file)
            if collection != GOAT and not library.catalog.knows(collection):
                unknown[collection] = unknown.get(collection, 0) + 1
        return Checked(len(wanted), tuple(found), unknown)


def _refuse_unmet(names: Sequence[str], files: Sequence[str], forms: Forms) -> None:
    unmet = [name for name in names if not any(_fits(forms, file, name) for file in files)]
    if unmet:
        meant = near_name(unmet[0].removeprefix("./").rstrip("/"), _nameable(files, forms))
        hint = "name a record, a collection, or a file in it, as in the folder"
        raise SyncdError(
            f"there is no record file {unmet[0]}",
            hint=f"did you mean {meant}?" if meant else hint,
        )


def _nameable(files: Sequence[str], forms: Forms) -> set[str]:
    """Return the names that a person may use for these files: collections, records, files."""
    stems = {file.removesuffix(ending_in(file, _form_of(forms, file))) for file in files}
    return {*files, *stems, *(file.partition("/")[0] for file in files)}


def _form_of(forms: Forms, file: str) -> Form:
    collection = file.partition("/")[0]
    return DOCUMENTS if collection == GOAT else forms.of(collection)


def _fits(forms: Forms, file: str, name: str) -> bool:
    name = normpath(name)
    stem = file.removesuffix(ending_in(file, _form_of(forms, file)))
    if name in (".", file, stem) or file.startswith(f"{name}/"):
        return True
    # A bracket alone is no pattern for a shell either, and names nothing then.
    return any(fnmatchcase(each, name) for each in (file, stem))


def _files(root: Path, forms: Forms) -> Iterator[str]:
    """Yield the files of records, drafts and documents, relative to `root`."""
    for name in _names(root):
        if is_nsid(name) or name == GOAT:
            yield from _below(root, name, _form_of(forms, name).endings)


def _names(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir())


def _below(root: Path, directory: str, endings: tuple[str, ...]) -> Iterator[str]:
    if (root / directory).is_symlink() or not (root / directory).is_dir():
        return
    with os.scandir(root / directory) as entries:
        listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in listed:
        if is_directory:
            yield from _below(root, f"{directory}/{name}", endings)
        elif name.endswith(endings):
            yield f"{directory}/{name}"


def _check(library: Library, file: str) -> list[Finding]:
    """Return the faults of one file: of its text, its record, or the lexicon in it."""
    collection, _, rest = file.partition("/")
    is_document = collection == GOAT
    text = _read(library, file)
    if isinstance(text, Finding):
        return [text]
    form = _form_of(library.forms, file)
    try:
        name = SCHEMAS if is_document else collection
        record = record_in(
            form, text, name, Files(lambda: nullcontext(library.root), LOCATION_KEEP, then="")
        )
    except BadJson as error:
        place = None if error.line is None else (error.line, error.column or 1)
        return [Finding(file, "", Fault(Kind.TYPE, error.message), place)]
    if is_document:
        name = rest.removesuffix(form.ending).replace("/", ".")
        return _located(file, SCHEMAS, text, lexicon_faults(record, name), form)
    faults = _record_faults(library, collection, rest, record)
    return _located(file, collection, text, faults, form)


def _record_faults(library: Library, collection: str, name: str, record: Record) -> Faults:
    catalog, misnamed, form = library.catalog, FINE, library.forms.of(collection)
    try:
        is_key = not is_draft(name, form)
        rkey = parse_file_name(name, portable=library.portable, form=form) if is_key else ""
    except BadSyntax as error:
        rkey = ""
        misnamed = fault(Kind.KEY, f"its name is not that of a record: {error.message}")
    found = catalog.check(collection, rkey, record)
    if not rkey:
        # A draft gets its key when it is published.
        return misnamed + tuple(each for each in found if each.kind is not Kind.KEY)
    return found + (lexicon_faults(record, rkey) if collection == SCHEMAS else FINE)


def _read(library: Library, file: str) -> bytes | Finding:
    *directories, name = file.split("/")
    try:
        with opened(library.root, directories) as directory:
            return read_file(directory, name)[0]
    except OSError as error:
        reason = f"it cannot be read: {explain(error)[0]}"
    except FileProblem as error:
        reason = error.message
    return Finding(file, "", Fault(Kind.TYPE, reason))


def _located(file: str, lexicon: str, text: bytes, faults: Faults, form: Form) -> list[Finding]:
    places = form.find_places(text, [each.pointer for each in faults]) if faults else {}
    return [
        Finding(file, lexicon, each, None if each.kind is Kind.KEY else places[each.pointer])
        for each in faults
    ]


# --- Which lexicons there are ---------------------------------------------------------------------


def collections_of(root: Path) -> list[Nsid]:
    """Return the collections that have a directory in a folder, in order."""
    return [parse_nsid(name) for name in _names(root) if is_nsid(name)]


def lexicons_of(root: Path, *, portable: bool, forms: Forms = USUAL) -> dict[Nsid, Found | None]:
    """Return the origin of the lexicon of each collection of a folder; None without one."""
    with open_library(root, portable=portable, forms=forms) as library:
        return {name: library.find(name) for name in collections_of(root)}


def find_lexicon(root: Path, nsid: Nsid, *, portable: bool, forms: Forms = USUAL) -> Found | None:
    """Return the document of an NSID, as a check in `root` uses it."""
    with open_library(root, portable=portable, forms=forms) as library:
        return library.find(nsid)
