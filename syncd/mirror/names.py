"""What a person names: files, directories, record paths, at:// URIs and patterns.

A name is read by its form alone. Nothing here opens a file; only symbolic links on the way to it
are followed.
"""

from __future__ import annotations

import os
import posixpath
import shlex
import unicodedata
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from syncd.atproto.lexicon.oneedit import is_one_edit
from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Rkey, parse_nsid
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, StateDamaged, SyncdError
from syncd.folder.drafts import find_draft
from syncd.folder.names import is_draft, parse_conflict_name, record_path_of, relative_paths
from syncd.folder.root import OWN, Folder, find_root
from syncd.folder.write import CONFLICTS
from syncd.forms import USUAL, Forms
from syncd.model import RecordPath, make_record_path, parse_record_path, split_record_path
from syncd.model.addresses import AT, is_web_address, uri_of_address
from syncd.slips import near_name
from syncd.state.notes import KnownAccount
from syncd.values import dataclass
from syncd.values.patterns import pattern

_FILE = "file:"
_LONG = 2
"""The fewest characters of a key that one edit makes a likely slip of another."""
_HINT_ONE = "name it as collection/rkey, by its file, or by its at:// URI"
_HINT = "name it as collection/rkey, by its file, by its at:// URI, or by a pattern"


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a person typed, and its possible meanings.

    Attributes:
        text: As it was typed.
        forms: What it may be, relative to the top of the mirror; "" is the whole mirror.
        records: The records that it may name as a whole, the likeliest first.
        portable, written: How files are named and written in this mirror.
    """

    text: str
    forms: tuple[str, ...]
    records: tuple[RecordPath, ...]
    portable: bool = False
    written: Forms = USUAL

    def record_among(self, paths: Container[str]) -> RecordPath | None:
        """Return the record of `paths` that the name means; None if it means none of them."""
        return next((path for path in self.records if path in paths), None)

    def covers(self, path: str) -> bool:
        """Return whether the name is a directory or a pattern that covers `path` or its file."""
        return any(_covers(form, path, self) for form in self.forms)


def read_name(workspace: Workspace, text: str, places: Iterable[Path]) -> Name:
    """Return the possible meanings of `text` in `places`, the likeliest place first.

    Raises BadSyntax: it is empty, outside of the mirror, or in another repo.
    """
    folder, plain = workspace.folder, _path_of_file(text)
    forms = tuple(dict.fromkeys(_forms(workspace, plain, places)))
    if not forms:
        raise _outside(workspace, plain, places)
    is_uri = uri_in(text) is not None
    found = (path for form in forms for path in _records(folder, form, is_uri=is_uri))
    return Name(text, forms, tuple(dict.fromkeys(found)), folder.portable, folder.forms)


def read_names(workspace: Workspace, texts: Sequence[str], places: Iterable[Path]) -> list[Name]:
    """Return what each of `texts` may mean. Raises BadSyntax as `read_name` does."""
    here = list(places)
    return [read_name(workspace, text, here) for text in texts]


def record_named(workspace: Workspace, text: str, places: Iterable[Path]) -> RecordPath:
    """Return the one record that `text` names. Raises BadSyntax if it names none, or many.

    Of two readings, that of a record which the mirror has counts, else the first.
    """
    name = read_name(workspace, text, places)
    record = record_meant(workspace, name)
    if record is None:
        raise BadSyntax(f"{text!r} does not name a record", hint=_HINT_ONE)
    return record


def record_meant(workspace: Workspace, name: Name) -> RecordPath | None:
    """Return the record that `name` means; prefer one that the mirror has or had.

    None if it is no name of a record.
    """
    known = set(workspace.state.base_of(name.records))
    with suppress(StateDamaged):
        known.update(path for path in name.records if workspace.history.events(path, 1))
    return name.record_among(known) or next(iter(name.records), None)


def collection_named(workspace: Workspace, text: str, places: Iterable[Path]) -> str:
    """Return the collection that `text` names, as its NSID or by its directory."""
    name = read_name(workspace, text, places)
    return next((form for form in name.forms if is_nsid(form)), name.forms[0])


def place_named(workspace: Workspace, text: str, places: Iterable[Path]) -> tuple[str, Rkey | None]:
    """Return the collection that `text` names, and the key if it names a record in one."""
    name = read_name(workspace, text, places)
    collection = collection_named(workspace, text, places)
    if is_nsid(collection) or not name.records:
        return collection, None
    return split_record_path(name.records[0])


def check_known(workspace: Workspace, name: Name) -> None:
    """Raise SyncdError unless base or a waiting item has a record that `name` means."""
    state = workspace.state
    if state.base_of(name.records) or any(_means(name, item.path) for item in state.waiting()):
        return
    if not any(name.covers(path) for path in state.base()):
        raise unknown(workspace, name)


def was_known(workspace: Workspace, name: Name) -> bool:
    """Return whether history has a version of a record that `name` means."""
    return any(_means(name, event.path) for event in workspace.history.events())


def unknown(workspace: Workspace, name: Name, otherwise: str = "") -> SyncdError:
    """Return the error that explains `name`, if it is not a record of the mirror.

    `otherwise` is the hint where nothing in the folder, the repo or history is like it.
    """
    file = next((form for form in name.forms if os.path.lexists(workspace.root / form)), None)
    file = file or _draft_named(workspace, name)
    if (new := _new_among(workspace, name.records)) is not None:
        hint = "send it: syncd sync; if that does not: syncd status, syncd status --ignored"
        return SyncdError(f"{new} is in the folder only: no sync has sent it yet", hint=hint)
    if file is None:
        hint = _hint_near(workspace, name) or otherwise or _HINT
        return SyncdError(f"there is no record at {name.text} in this mirror", hint=hint)
    if (workspace.root / file).is_dir():
        return SyncdError(f"there is no record in {name.text}", hint="syncd status --ignored")
    form = workspace.folder.forms.of(file.partition("/")[0])
    if is_draft(file.rpartition("/")[2], form):
        hint = f"syncd publish {shlex.quote(name.text)}"
        return SyncdError(f"{name.text} is a draft, and no record yet", hint=hint)
    return SyncdError(f"{name.text} is not a record of this mirror", hint="syncd status --ignored")


def _new_among(workspace: Workspace, records: Iterable[RecordPath]) -> RecordPath | None:
    """Return the record of `records` that has a file of the mirror; None if none has."""
    folder = workspace.folder
    for path in filter(workspace.config.covers_path, records):
        names = relative_paths(path, portable=folder.portable, forms=folder.forms)
        if any((workspace.root / name).is_file() for name in names):
            return path
    return None


def _hint_near(workspace: Workspace, name: Name) -> str:
    """Return the next step for a name like that of a record; empty if none is like it."""
    gone: set[str] = set()
    with suppress(StateDamaged):
        gone.update(event.path for event in workspace.history.events())
    if (deleted := name.record_among(gone)) is not None:
        return f"it was deleted; to bring it back: syncd restore {shlex.quote(deleted)}"
    base = workspace.state.base()
    meant = _near(name, [*base, *sorted(gone - base.keys())])
    return f"did you mean {shlex.quote(meant)}?" if meant else ""


def _draft_named(workspace: Workspace, name: Name) -> str | None:
    """Return the draft of a record that `name` means; None if there is none."""
    found = (find_draft(workspace.folder, record) for record in name.records)
    return next(filter(None, found), None)


_PLACE = pattern(r"(?::\d+){1,2}:?$")


def _near(name: Name, paths: Sequence[str]) -> str | None:
    """Return the record or collection of `paths` that a person may have meant; None if none is."""
    form = name.forms[0].strip("\"'").replace("\\", "/")
    collection, _, rest = form.partition("/")
    known = {path.partition("/")[0] for path in paths}
    near = collection if collection in known else near_name(collection, known)
    if near is None or not rest:
        return None if near == form else near
    # Editors and compilers name a place in a file by line and column.
    rkey = _PLACE.sub("", rest).removesuffix(name.written.of(near).ending)
    begin, stem = f"{near}/", rkey.rpartition(".")[0]
    rkeys = [path.removeprefix(begin) for path in paths if path.startswith(begin)]
    if near != collection and any(fnmatchcase(each, rest) for each in rkeys):
        return begin + rest
    likest: tuple[Callable[[str], bool], ...] = (
        lambda known: known in (rkey, stem),
        lambda known: known.casefold() == rkey.casefold(),
        # All keys of one letter are one edit from each other.
        lambda known: len(rkey) >= _LONG and is_one_edit(known, rkey),
    )
    found = (next(filter(is_like, rkeys), None) for is_like in likest)
    return next((begin + each for each in found if each is not None), None)


def _means(name: Name, path: str) -> bool:
    return path in name.records or name.covers(path)


def _forms(workspace: Workspace, text: str, places: Iterable[Path]) -> Iterator[str]:
    if not text:
        raise BadSyntax("the name of a record cannot be empty", hint="name it as collection/rkey")
    if (uri := uri_in(text)) is not None:
        yield path_of_uri(uri, _authorities(workspace))
        return
    # A plain name counts from the top wherever a person stands; ./ and ../ count from there.
    if not text.startswith(("/", "./", "../")) and text not in (".", ".."):
        yield posixpath.normpath(text)
    root = os.path.realpath(workspace.root)
    for place in places:
        inside = posixpath.relpath(_real(place / text), root)
        if inside != ".." and not inside.startswith("../"):
            yield "" if inside == "." else inside
    pasted = cleaned(text)
    if pasted not in ("", text):
        # The name of a file may have such characters, so it counts first as it was typed.
        yield from _forms(workspace, pasted, places)


def _path_of_file(text: str) -> str:
    """Return the path that a file:// URI names, as file managers copy it; any other text as it is.

    Raises BadSyntax if it is of another machine.
    """
    plain = cleaned(text)
    if plain[: len(_FILE)].casefold() != _FILE:
        return text
    path = plain[len(_FILE) :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host.casefold() not in ("", "localhost"):
            message = f"{text} is a file of {host}, and not of this machine"
            raise BadSyntax(message, hint="name it by its path here, or as collection/rkey")
        path = slash + rest
    return unquote(path)


def _outside(workspace: Workspace, text: str, places: Iterable[Path]) -> BadSyntax:
    """Return the error for a path outside this mirror; it names the mirror of that path, if any."""
    hint = "name a record of this mirror as collection/rkey"
    for place in places:
        with suppress(SyncdError):
            root = find_root((place / text).parent)
            hint = f"it is in another mirror: give -C {shlex.quote(str(root))} before the command"
    return BadSyntax(f"{text!r} is outside of the mirror {workspace.root}", hint=hint)


def _real(path: Path) -> str:
    """Follow symbolic links to a directory, or to the parent of a file, which may be missing."""
    if path.is_dir():
        return os.path.realpath(path)
    return posixpath.normpath(posixpath.join(os.path.realpath(path.parent), path.name))


def cleaned(text: str) -> str:
    """Remove blanks at the ends, and the invisible characters that come with pasted text."""
    return "".join(char for char in text if unicodedata.category(char) != "Cf").strip()


def uri_in(text: str) -> str | None:
    """Return the at:// URI that a text or a web address is; None for any other name.

    Raises BadSyntax for a web address that does not say which record it shows.
    """
    plain = cleaned(text)
    if plain[: len(AT)].casefold() == AT:
        return AT + plain[len(AT) :]
    if not is_web_address(plain):
        return None
    uri = uri_of_address(plain)
    if uri is None:
        raise BadSyntax(
            f"{text} is a web address that does not say which record it shows",
            hint="name the record as at://HANDLE/COLLECTION/RKEY, or as COLLECTION/RKEY",
        )
    return uri


def path_of_uri(uri: str, authorities: Collection[str | None]) -> str:
    """Return the path of an at:// URI in the repo of one of `authorities`, or in any without some.

    Raises BadSyntax if it is in another repo; the first authority names ours.
    """
    authority, _, path = uri.removeprefix(AT).partition("/")
    if not authority:
        raise BadSyntax(
            f"{uri} does not name a repo", hint="at://HANDLE/COLLECTION/RKEY names a record"
        )
    ours = [known for known in authorities if known]
    if ours and authority.casefold() not in map(str.casefold, ours):
        hint = "go to a mirror of that repo, or make one: syncd clone"
        raise BadSyntax(f"{uri} is in another repo: this mirror is of {ours[0]}", hint=hint)
    return path.partition("#")[0].partition("?")[0].strip("/")


def _authorities(workspace: Workspace) -> tuple[str | None, ...]:
    # A handle in a URI that was copied is what the account was called then, whoever said so.
    known = workspace.state.note(KnownAccount)
    return (workspace.config.did, workspace.config.handle, known.handle if known else None)


def _records(folder: Folder, form: str, *, is_uri: bool) -> Iterator[RecordPath]:
    """Yield the records that `form` may mean, first as a file, then as a record path."""
    with suppress(BadSyntax):
        if not is_uri:
            yield _record_of_file(folder, form)
    with suppress(BadSyntax):
        yield parse_record_path(form)


def _record_of_file(folder: Folder, form: str) -> RecordPath:
    own = f"{OWN}/{CONFLICTS}/"
    if form.startswith(own):
        collection, _, name = form.removeprefix(own).partition("/")
        return make_record_path(
            parse_nsid(collection), parse_conflict_name(name, folder.forms.of(collection))
        )
    return record_path_of(form, portable=folder.portable, forms=folder.forms)


def _covers(form: str, path: str, name: Name) -> bool:
    if form == "" or path.startswith(f"{form}/") or fnmatchcase(path, form):
        return True
    # A pattern may be one of files, as a shell would have it.
    is_pattern = any(c in form for c in "*?[")
    return is_pattern and any(fnmatchcase(file, form) for file in _files(path, name))


def _files(path: str, name: Name) -> tuple[str, ...]:
    with suppress(BadSyntax):
        return relative_paths(RecordPath(path), portable=name.portable, forms=name.written)
    return (path,)
