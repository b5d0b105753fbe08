"""Put the reference of a blob into the file of a record or a draft, in a person's form.

Nothing else in the file changes, and what the file held goes to history first. Never asks a PDS:
the record is sent by the next sync, whatever delays other edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from syncd.atproto.blob import BlobRef, blob_ref
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import Record, Value, encode
from syncd.atproto.syntax import Nsid
from syncd.cycle.blobs.attached import fill
from syncd.cycle.pull.supersede import Successor, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileProblem, SyncdError
from syncd.folder.drafts import rewrite_draft
from syncd.folder.problems import printable
from syncd.folder.read import FileStat
from syncd.folder.write import file_of, read_bytes, read_named
from syncd.forms import Pointer
from syncd.mirror.blobs.adding import Added
from syncd.mirror.by_lexicon import blob_places
from syncd.mirror.names import Name, record_meant, unknown
from syncd.mirror.publishing import drafts_of, means_draft
from syncd.mirror.waiting import read_unpushed
from syncd.model import RecordPath
from syncd.values import dataclass

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
        raise unknown(workspace, name)
    return _target_at(workspace, path)


def _target_at(workspace: Workspace, path: RecordPath) -> Target:
    return Target(path, file_of(workspace.folder, path), *read_bytes(workspace.folder, path))


def place(workspace: Workspace, target: Target, added: Added, pointer: str) -> Placed:
    """Put the reference at `pointer`; if that is empty, at the place that the lexicon names.

    Raises:
        SyncdError: There is no such place in the record, or it is taken by something else.
        FileChanged, FileProblem: It holds no record, or was edited meanwhile.
    """
    keys, value = _place_for(workspace, target, added, pointer)
    record = _record_of(workspace, target)
    try:
        where, new = with_value(record, keys, value)
    except BadData as error:
        raise SyncdError(f"{printable(target.file)}: {error.message}", hint=error.hint) from None
    text = _rewrite(workspace, target, new, _ADDED)
    form = workspace.folder.forms.of(target.collection)
    line, column = form.find_places(text, [where])[where]
    return Placed(target.path, target.file, _pointer_text(where), line, column)


def _record_of(workspace: Workspace, target: Target) -> Record:
    try:
        form = workspace.folder.forms.of(target.collection)
        return form.parse(target.text, target.collection)
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
    old = encode(form.parse(target.text, collection))
    seen = target.stat.seen(target.path, cid_of_block(old), seen_ns=0)
    put(workspace, Successor(target.path, seen, cid, base, reason, text))
    return text


# --- Where it goes --------------------------------------------------------------------------------

_END: Final = "-"
"""Stands for the end of a list in a JSON pointer (RFC 6901)."""
_POST: Final = "app.bsky.feed.post"
_BLOG: Final = "com.whtwnd.blog.entry"


def _place_for(
    workspace: Workspace, target: Target, added: Added, pointer: str
) -> tuple[Pointer, Value]:
    """Return the place of the reference, and the value to put there. Raises SyncdError."""
    if pointer:
        return _keys_of(pointer), added.ref.value
    if target.collection == _BLOG:
        return ("blobs", _END), {"blobref": added.ref.value, "name": added.name}
    if target.collection == _POST:
        return ("embed", "images", _END), {"alt": "", "image": added.ref.value}
    places = blob_places(workspace, Nsid(target.collection))
    if len(places) == 1:
        return places[0], added.ref.value
    named = " ".join(f"{printable(target.file)}#{_pointer_text(place)}" for place in places)
    why = f"has {len(places)} places for a file" if places else "names no place for a file"
    hint = f"name one: --to {named}" if places else f"name it: --to {target.file}#/KEY"
    raise SyncdError(f"the lexicon of {target.collection} {why}", hint=hint)


def _keys_of(pointer: str) -> Pointer:
    if not pointer.startswith("/"):
        hint = "write it as in --to com.example.note/one#/images/0/image"
        raise SyncdError(f"{pointer!r} is not a JSON pointer, which begins with /", hint=hint)
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
    """The files that name the new blob now, and the reasons why others still name the old one."""

    files: tuple[str, ...]
    failed: Mapping[str, SyncdError]


def replace_blob(workspace: Workspace, old: Cid, new: BlobRef) -> Replaced:
    """Write `new` into every file of a record or a draft that names `old`.

    Raises SyncdError if there is none.
    """
    done: list[str] = []
    failed: dict[str, SyncdError] = {}
    for target in _targets(workspace, old, failed):
        try:
            record = _record_of(workspace, target)
            changed = _exchanged(record, old, new)
            if changed == record:
                continue
            assert isinstance(changed, dict)
            _rewrite(workspace, target, changed, _REPLACED)
            done.append(target.file)
        except SyncdError as error:
            if str(old).encode() in target.text:
                failed[target.file] = error
    if not done and not failed:
        raise SyncdError(f"no record of this mirror names the blob {old}", hint="syncd blob ls")
    return Replaced(tuple(done), failed)


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
