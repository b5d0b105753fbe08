"""Put the reference of a blob into the file of a record or a draft, in a person's form.

Nothing else in the file changes, and what the file held goes to history first. Never asks a PDS:
the record is sent by the next sync, whatever delays other edits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final
from urllib.parse import unquote

from syncd.atproto.blob import BlobRef, blob_ref, blob_refs
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import Record, Value, encode
from syncd.atproto.syntax import Nsid
from syncd.blobs.consent import files_of
from syncd.blobs.copying import copied
from syncd.blobs.files import Files
from syncd.cycle.blobs.attached import fill, store_of
from syncd.cycle.pull.supersede import Successor, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, FileProblem, SyncdError
from syncd.folder.drafts import rewrite_draft
from syncd.folder.problems import printable
from syncd.folder.read import FileStat
from syncd.folder.write import file_of, read_bytes, read_named
from syncd.forms import Form, Pointer
from syncd.mirror.blobs.adding import Added
from syncd.mirror.by_lexicon import blob_places
from syncd.mirror.names import Name, record_meant, unknown
from syncd.mirror.publishing import drafts_of, means_draft
from syncd.mirror.waiting import read_unpushed
from syncd.model import RecordPath, split_record_path
from syncd.values import dataclass

_NO_ESCAPE: Final = re.compile("~(?![01])")
_ADDED: Final = "a file was put in"
_REPLACED: Final = "a blob that it names was replaced"


@dataclass(frozen=True, slots=True)
class Target:
    """The file of a record or of a draft: its content, and its stat before it is replaced.

    Attributes:
        path: The record; None for a draft.
        file: The file, from the top of the folder.
    """

    path: RecordPath | None
    file: str
    text: bytes
    stat: FileStat

    @property
    def collection(self) -> str:
        return self.file.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Placed:
    """The place of a reference: the file, the JSON pointer, and line and column."""

    path: RecordPath | None
    file: str
    pointer: str
    line: int
    column: int


def target_of(workspace: Workspace, name: Name) -> Target:
    """Return the draft that `name` means or that its record has; else the record's file.

    Raises SyncdError if it means neither, FileProblem if that cannot be read.
    """
    drafts = [draft for draft in drafts_of(workspace) if means_draft(workspace, name, draft)]
    if len(drafts) > 1:
        raise SyncdError(f"{name.text} means {len(drafts)} drafts", hint="name one of them")
    if drafts:
        return Target(None, drafts[0], *read_named(workspace.folder, drafts[0]))
    path = record_meant(workspace, name)
    if path is None or file_at(workspace.folder, path) is None:
        raise unknown(workspace, name, _new_hint(path))
    return _target_at(workspace, path)


def _new_hint(path: RecordPath | None) -> str:
    """Return how to make a record that is not there yet; empty if `path` is none."""
    if path is None:
        return ""
    collection = split_record_path(path)[0]
    return f"make it: syncd new {collection}; then say this again, with the file that it prints"


def _target_at(workspace: Workspace, path: RecordPath) -> Target:
    return Target(path, file_of(workspace.folder, path), *read_bytes(workspace.folder, path))


def place(workspace: Workspace, target: Target, added: Added, pointer: str) -> Placed:
    """Put the reference at `pointer`; if that is empty, at the place that the lexicon names.

    Raises:
        SyncdError: There is no such place in the record, or it is taken by something else.
        FileChanged, FileProblem: It holds no record, or was edited meanwhile.
    """
    named = Attaching(workspace, added)
    record = _record_of(workspace, target, named)
    keys, value = _place_for(workspace, target, added, pointer, record, named)
    if keys is None:
        where, new = next(_places_of(added.ref.value, record)), record
    else:
        try:
            where, new = with_value(record, keys, value)
        except BadData as error:
            raise SyncdError(
                f"{printable(target.file)}: {error.message}", hint=error.hint
            ) from None
    named.keep(target.file, new)
    text = _rewrite(workspace, target, new, _ADDED)
    form = workspace.folder.forms.of(target.collection)
    line, column = form.find_places(text, [where])[where]
    return Placed(target.path, target.file, _pointer_text(where), line, column)


@dataclass(slots=True)
class Attaching:
    """The files that a record names to be uploaded: each gets its reference with the one added.

    A text can have references or names of files, and syncd writes no text with names.
    """

    workspace: Workspace
    added: Added | None = None
    is_met: bool = False
    _refs: dict[str, BlobRef] = field(default_factory=dict)
    _failed: dict[BlobRef, BadData] = field(default_factory=dict)

    def refer(self, name: str) -> BlobRef:
        """Return the reference of a file; for one that cannot be uploaded, one of no file."""
        if self.added is not None and name == self.added.inside:
            self.is_met = True
            return self.added.ref
        if name not in self._refs:
            try:
                self._refs[name] = self._files().refer(name)
            except BadData as error:
                self._refs[name] = BlobRef(cid_of_blob(name.encode()), "*/*", 0)
                self._failed[self._refs[name]] = error
        return self._refs[name]

    def _files(self) -> Files:
        return files_of(self.workspace.folder, self.workspace.config)

    @property
    def has_any(self) -> bool:
        """Return whether the record names a file."""
        return self.is_met or bool(self._refs)

    def keep(self, file: str, record: Record) -> None:
        """Copy into `blobs/` what `record` refers to. Raises FileProblem if one cannot be."""
        refs = set(blob_refs(record))
        for ref in self._refs.values():
            if ref in refs and ref in self._failed:
                error = self._failed[ref]
                message = f"{printable(file)} names another file: {error.message}"
                raise FileProblem(message, hint=error.hint)
        store, files = store_of(self.workspace), self._files()
        for name, ref in self._refs.items():
            if ref in refs:
                try:
                    with files.ready(name, ref) as (content, _):
                        stamp = copied(store, content, ref, name)
                except (BadData, FileChanged) as error:
                    raise FileProblem(error.message, hint=error.hint) from error
                self.workspace.state.attachments.keep_stamps({ref.cid: stamp})


def _places_of(wanted: Value, value: Value, above: Pointer = ()) -> Iterator[Pointer]:
    """Yield where `wanted` stands in `value`, in the order of its keys."""
    if value == wanted:
        yield above
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _places_of(wanted, item, (*above, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _places_of(wanted, item, (*above, at))


def _record_of(workspace: Workspace, target: Target, named: Attaching) -> Record:
    try:
        form = workspace.folder.forms.of(target.collection)
        return form.parse(target.text, target.collection, named.refer)
    except BadJson as error:
        place = f":{error.line}:{error.column}" if error.line is not None else ""
        message = f"{printable(target.file)}{place}: {error.message}"
        hint = error.hint or "fix the file and save it, then try again"
        raise FileProblem(message, hint=hint) from None


def _rewrite(workspace: Workspace, target: Target, record: Record, reason: str) -> bytes:
    """Give the file the new version, in its own style; return its text."""
    folder, collection = workspace.folder, target.collection
    form, block = folder.forms.of(collection), encode(record)
    text = form.restyled(target.text, block, collection)
    if target.path is None:
        rewrite_draft(folder, target.file, text, expect=target.stat)
        return text
    cid = cid_of_block(block)
    base = workspace.state.base_of([target.path]).get(target.path)
    seen = target.stat.seen(target.path, _version_of(form, target.text, collection), seen_ns=0)
    put(workspace, Successor(target.path, seen, cid, base, reason, text))
    return text


def _version_of(form: Form, text: bytes, collection: str) -> Cid:
    """Return what a file stands for; one that names files is no record, and counts as its bytes."""
    try:
        return cid_of_block(encode(form.parse(text, collection)))
    except BadJson:
        return cid_of_blob(text)


# --- Where it goes --------------------------------------------------------------------------------

_END: Final = "-"
"""Stands for the end of a list in a JSON pointer (RFC 6901)."""
_POST: Final = "app.bsky.feed.post"
_BLOG: Final = "com.whtwnd.blog.entry"


def _place_for(
    workspace: Workspace,
    target: Target,
    added: Added,
    pointer: str,
    record: Record,
    named: Attaching,
) -> tuple[Pointer | None, Value]:
    """Return the place of the reference, and the value to put there. Raises SyncdError.

    None: it stands where the record names the file that was added.
    """
    if pointer:
        return _meant(pointer, record), added.ref.value
    if named.is_met:
        return None, added.ref.value
    if target.collection == _BLOG:
        return ("blobs", _END), {"blobref": added.ref.value, "name": added.name}
    if target.collection == _POST:
        return ("embed", "images", _END), {"alt": "", "image": added.ref.value}
    places = blob_places(workspace, Nsid(target.collection))
    if len(places) == 1:
        return places[0], added.ref.value
    listed = " ".join(f"{printable(target.file)}#{_pointer_text(place)}" for place in places)
    why = f"has {len(places)} places for a file" if places else "names no place for a file"
    hint = f"name one: --to {listed}" if places else f"name it: --to {target.file}#/KEY"
    raise SyncdError(f"the lexicon of {target.collection} {why}", hint=hint)


def _meant(pointer: str, record: Record) -> Pointer:
    """Return the keys of a pointer behind `#`, where %20 is a space (RFC 6901 section 6).

    Unless the record has a key that is written so. Raises SyncdError if it is no JSON pointer.
    """
    plain = unquote(pointer, errors="strict") if _is_encoded(pointer) else pointer
    if plain == pointer:
        return _keys_of(pointer)
    if pointer.startswith("/") and not _NO_ESCAPE.search(pointer):
        keys = _keys_of(pointer)
        last = max(at for at, key in enumerate(keys) if "%" in str(key))
        if _has(record, keys[: last + 1]):
            return keys
    return _keys_of(plain)


def _is_encoded(pointer: str) -> bool:
    """Return whether the escapes of a pointer, as in a web address, come to a text."""
    try:
        unquote(pointer, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _has(value: Value, keys: Pointer) -> bool:
    """Return whether there is a value at `keys`."""
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[str(key)]
        elif isinstance(value, list) and str(key).isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False
    return True


def _keys_of(pointer: str) -> Pointer:
    if not pointer.startswith("/"):
        hint = "write it as in --to com.example.note/one#/images/0/image"
        raise SyncdError(f"{pointer!r} is not a JSON pointer, which begins with /", hint=hint)
    if _NO_ESCAPE.search(pointer):
        hint = "write ~0 for ~ and ~1 for / in the name of a key"
        raise SyncdError(
            f"{pointer!r} is not a JSON pointer: only ~0 and ~1 may follow ~", hint=hint
        )
    return tuple(k.replace("~1", "/").replace("~0", "~") for k in pointer[1:].split("/"))


def _pointer_text(keys: Sequence[str | int]) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def with_value(record: Record, keys: Pointer, value: Value) -> tuple[Pointer, Record]:
    """Return the place of `value`, and `record` with it at `keys`; `-` is the end of a list.

    A blob that is there is replaced, and nothing else. Raises BadData if there is no such place.
    """
    where, new = _with(record, keys, value, ())
    assert isinstance(new, dict)
    return where, new


def _with(inner: Value, keys: Pointer, value: Value, above: Pointer) -> tuple[Pointer, Value]:
    if not keys:
        if inner is None or (isinstance(inner, dict) and blob_ref(inner) is not None):
            return above, value
        hint = "remove what is there, or name another place: only a blob can be replaced"
        raise BadData(f"{_pointer_text(above)} holds something else", hint=hint)
    key, rest = str(keys[0]), keys[1:]
    if isinstance(inner, dict):
        begun = inner[key] if key in inner else _begun(key, rest, above)
        where, new = _with(begun, rest, value, (*above, key))
        return where, {**inner, key: new}
    if isinstance(inner, list):
        at = len(inner) if key == _END else int(key) if key.isdecimal() else -1
        if 0 <= at < len(inner) or (at == len(inner) and not rest):
            old = inner[at] if at < len(inner) else None
            where, new = _with(old, rest, value, (*above, at))
            return where, [*inner[:at], new, *inner[at + 1 :]]
    raise _no_place(above, key)


def _begun(key: str, rest: Pointer, above: Pointer) -> Value:
    """Return the container that a record lacks at a key; only a list or the last key is begun."""
    if not rest:
        return None
    if rest == (_END,) and not above:
        return []
    if rest == ("images", _END) and key == "embed" and not above:
        return {"$type": "app.bsky.embed.images", "images": []}
    raise _no_place(above, key)


def _no_place(above: Pointer, key: str) -> BadData:
    pointer = _pointer_text((*above, key))
    hint = "write the fields around this place into the file first, or name another place"
    return BadData(f"there is no {pointer} in it", hint=hint)


# --- Every record that names a blob ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replaced:
    """The files that name the new blob now, and the reasons why others name the old one.

    `done` has the record of each file, and None for a draft.
    """

    done: Mapping[str, RecordPath | None]
    failed: Mapping[str, SyncdError]

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files that name the new blob now."""
        return tuple(self.done)


def replace_blob(workspace: Workspace, old: Cid, new: BlobRef) -> Replaced:
    """Write `new` into every file of a record or a draft that names `old`.

    Raises SyncdError if there is none.
    """
    done: dict[str, RecordPath | None] = {}
    failed: dict[str, SyncdError] = {}
    for target in _targets(workspace, old, failed):
        try:
            named = Attaching(workspace)
            record = _record_of(workspace, target, named)
            changed = _exchanged(record, old, new)
            if changed == record:
                continue
            assert isinstance(changed, dict)
            named.keep(target.file, changed)
            _rewrite(workspace, target, changed, _REPLACED)
            done[target.file] = target.path
        except SyncdError as error:
            if str(old).encode() in target.text:
                failed[target.file] = error
    if not done and not failed:
        raise SyncdError(f"no record of this mirror names the blob {old}", hint="syncd blob ls")
    return Replaced(done, failed)


def _targets(workspace: Workspace, old: Cid, failed: dict[str, SyncdError]) -> Iterator[Target]:
    """Yield each file that may name `old`: of base, of what differs from it, and drafts."""
    fill(workspace)
    unpushed = read_unpushed(workspace)
    edited = {c.path for c in unpushed.due if c.after} | {p.path for p in unpushed.waiting}
    for path in sorted({*workspace.state.attachments.namers(old), *edited}):
        if workspace.config.covers_path(path) and file_at(workspace.folder, path) is not None:
            yield _target_at(workspace, path)
    for draft in drafts_of(workspace):
        try:
            yield Target(None, draft, *read_named(workspace.folder, draft))
        except FileProblem as error:
            failed[draft] = error


def _exchanged(value: Value, old: Cid, new: BlobRef) -> Value:
    """Return `value` with `new` for each reference to `old`."""
    if isinstance(value, list):
        return [_exchanged(item, old, new) for item in value]
    if not isinstance(value, dict):
        return value
    ref = blob_ref(value)
    if ref is not None:
        return new.value if ref.cid == old else value
    return {key: _exchanged(item, old, new) for key, item in value.items()}
