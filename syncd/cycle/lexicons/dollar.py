"""Hold a record in which a key or type of syncd's own file form is misspelt. Sends nothing.

A map that names a file without being a reference is an ordinary map to every PDS: the path of a
file would be published, and no picture. atproto keeps keys that begin with a dollar for itself, so
nobody loses one of their own. Held is never a map that the record had before in the repo, nor what
was renamed: what others wrote is no fault of an edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from syncd.atproto.blob import FILE, BlobRef, may_misspell
from syncd.atproto.cid import Cid, cid_of_blob
from syncd.atproto.data import Record, Value, decode_lenient
from syncd.atproto.lexicon.oneedit import is_one_edit
from syncd.cycle.lexicons.reading import Reading
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileProblem
from syncd.forms import Form
from syncd.model import Problem, RecordPath, Seen, split_record_path
from syncd.plan import Views

BlockOf = Callable[[RecordPath, Cid], bytes | None]
_OWN: Final = (FILE, "$type", "$link", "$bytes")
_BLOB: Final = "blob"
_OF_BLOB: Final = frozenset({FILE, "file", "ref", "mimeType", "size", "cid"})
"""What is in a map that was meant to be a reference, or the name of a file."""
_ANY: Final = BlobRef(cid_of_blob(b""), "*/*", 0)
_HINT: Final = (
    'a picture is {"$type": "blob", "$file": "pictures/cover.jpg"}, with no other key; '
    "fix the file and save it: until then syncd does not send it"
)


class _Odd(NamedTuple):
    """A map of a record, its place, and the key that is odd."""

    pointer: tuple[str | int, ...]
    reason: str
    entries: dict[str, Value]


def misspelt(
    workspace: Workspace,
    pushes: Iterable[tuple[RecordPath, Seen]],
    views: Views,
    block_of: BlockOf,
) -> Mapping[RecordPath, Problem]:
    """Return the problems of those of `pushes` that have a new map with a misspelt key.

    `block_of` returns the record of base at a path, None if it is not at hand. Raises FolderWrong.
    """
    folder, found = workspace.folder, dict[RecordPath, Problem]()
    renamed = {cid for path, cid in views.base.items() if path not in views.local}
    with folder.open() as root, Reading(folder, root) as files:
        for path, seen in pushes:
            form = folder.forms.of(split_record_path(path)[0])
            problem = None if seen.cid in renamed else _problem(files, form, path, seen)
            if problem is not None and _is_new(problem[1], path, views.base.get(path), block_of):
                found[path] = problem[0]
    return found


def _problem(
    files: Reading, form: Form, path: RecordPath, seen: Seen
) -> tuple[Problem, list[_Odd]] | None:
    """Return the first odd map of a file as a problem, with all odd maps."""
    collection = split_record_path(path)[0]
    try:
        text, now = files.read(path)
        # Another content than the plan is made from is the business of the next look.
        if now.digest != seen.digest or not may_misspell(text):
            return None
        odd = [*_odd_in(form.parse(text, collection, lambda _: _ANY))]
    except (OSError, FileProblem, BadJson, BadData):
        return None
    if not odd:
        return None
    line, column = form.find_places(text, [odd[0].pointer])[odd[0].pointer]
    return Problem(path, odd[0].reason, _HINT, line, column), odd


def _is_new(odd: list[_Odd], path: RecordPath, base: Cid | None, block_of: BlockOf) -> bool:
    """Return whether the former record lacked one of these maps, at every place."""
    block = None if base is None else block_of(path, base)
    try:
        record = None if block is None else decode_lenient(block)
    except BadData:
        record = None
    before = [each.entries for each in _odd_in(record)] if isinstance(record, dict) else []
    return any(each.entries not in before for each in odd)


def _odd_in(record: Record) -> Iterator[_Odd]:
    """Yield the odd maps of a record, in its order."""
    stack: list[tuple[tuple[str | int, ...], Value]] = [((), record)]
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, dict):
            odd = _what_is_odd(value)
            if odd is not None:
                key, reason = odd
                yield _Odd((*pointer, key), reason, value)
            stack.extend(((*pointer, key), item) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            stack.extend(((*pointer, at), item) for at, item in reversed([*enumerate(value)]))


def _what_is_odd(entries: dict[str, Value]) -> tuple[str, str] | None:
    """Return the misspelt key of a map and the reason; None if no key is misspelt."""
    for key in entries:
        meant = _meant(key)
        if meant == FILE and key == FILE:
            return key, 'a map with "$file" names no file without "$type": "blob" beside it'
        if meant is not None and key != meant:
            return key, f'the key "{key}" looks like "{meant}", and a PDS takes it for neither'
    kind = entries.get("$type")
    if isinstance(kind, str) and _is_meant_as_blob(kind, entries):
        return "$type", f'"$type" is "{kind}" where a picture has "blob"'
    return None


def _meant(key: str) -> str | None:
    """Return the key of the file form that `key` is, or is close to."""
    if not key.lstrip().startswith("$"):
        return None
    plain = key.strip().lower()
    return next((own for own in _OWN if plain == own or is_one_edit(plain, own)), None)


def _is_meant_as_blob(kind: str, entries: dict[str, Value]) -> bool:
    if kind == _BLOB:
        return False
    plain = kind.strip().lower()
    return plain == _BLOB or (is_one_edit(plain, _BLOB) and bool(_OF_BLOB & entries.keys()))
