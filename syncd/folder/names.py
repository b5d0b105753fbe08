"""Map record paths to file paths and back, without loss. Pure; never looks at a disk.

The file of the record `collection/rkey` is `collection/rkey` and the ending of the collection's
form. Some characters are escaped as `%` and two lower-case hexadecimal digits; no rkey contains a
`%`:

- a leading dot, always: so no record file is hidden, and dot files are free for editors;
- the dot of a final `.draft`, always: a name with it and the ending is that of a draft;
- `:`, upper-case letters and the device names of Windows, if the names must be portable.

A name too long for one path component continues in a directory whose name ends with a bare `%`.
Each rkey has exactly one spelling; every other spelling is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache

from syncd.atproto.syntax import Nsid, Rkey, parse_nsid, parse_rkey
from syncd.errors import BadSyntax
from syncd.forms import DRAFT, USUAL, Form, Forms
from syncd.model import RecordPath, make_record_path, parse_record_path, split_record_path

CONTINUED = "%"
"""The last character of a directory name where longer names continue."""
FRESH = "+"
"""The first character of the name of a draft that gets a fresh rkey when it is published."""
OURS = ".syncd-"
"""The prefix of syncd's own unfinished files."""
BLOBS = "blobs"
"""The directory at the top that holds the blobs of records, each under its CID."""
COMPONENT_BYTES = 255
"""The longest name of a file or directory (NAME_MAX of Linux file systems)."""

_BLOB = re.compile(r"(bafkrei[a-z2-7]{52})(?:\.[a-z0-9]{1,8})?")
_CHUNK = 180
_CID_CHARACTERS = 128
"""A CID of a record has 59 characters; one that identity or SHA-512 makes can have many more."""
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


def blob_of_name(name: str) -> str | None:
    """Return the text of the CID that the name of a file in `blobs/` states, or None."""
    found = _BLOB.fullmatch(name)
    return None if found is None else found[1]


def file_name(
    rkey: Rkey, *, portable: bool = False, form: Form = USUAL.default, ending: str = ""
) -> str:
    """Return the record's file name, relative to its collection's directory; may contain `/`.

    `ending`: one of the form's, if not its usual one. All are in one directory.
    """
    ending = ending or form.ending
    if not portable and _plain(ending, form.endings).fullmatch(name := rkey + ending):
        return name
    tokens = _tokens(rkey, portable)
    if rkey.endswith(DRAFT):
        tokens[-len(DRAFT)] = _escaped(".")
    return "/".join(_components(tokens, portable, ending, _spare(ending, form.endings)))


@cache
def _plain(ending: str, endings: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for names that are their rkey and `ending`, unescaped."""
    most = COMPONENT_BYTES - 1 - len(ending) - _spare(ending, endings)
    return re.compile(
        rf"([A-Za-z0-9_~:-][A-Za-z0-9_~.:-]{{0,{most}}})"
        rf"(?<!{re.escape(DRAFT)}){re.escape(ending)}"
    )


def _spare(ending: str, endings: tuple[str, ...]) -> int:
    """Return how much longer the longest of `endings` is: with each, a name divides alike."""
    return max(map(len, endings)) - len(ending)


def ending_in(name: str, form: Form) -> str:
    """Return the ending of the form in a name; empty if it has none."""
    return next((ending for ending in form.endings if name.endswith(ending)), "")


def former_file_name(
    rkey: Rkey, *, portable: bool = False, form: Form = USUAL.default
) -> str | None:
    """Return the file name that versions before drafts gave to the record; None if it is the same.

    It is now the name of a draft.
    """
    stem = rkey.removesuffix(DRAFT)
    if stem in ("", rkey):
        return None
    return draft_name(Rkey(stem), portable=portable, form=form)


def draft_name(
    rkey: Rkey, *, portable: bool = False, form: Form = USUAL.default, ending: str = ""
) -> str:
    """Return the name of a draft of the record, relative to its collection; may contain `/`."""
    suffix, spare = DRAFT + (ending or form.ending), _spare(ending or form.ending, form.endings)
    return "/".join(_components(_tokens(rkey, portable), portable, suffix, spare))


def drafted_name(relative: str, form: Form = USUAL.default) -> str:
    """Return NAME of the draft `relative`: `NAME.draft` or `+anything`, each with the ending.

    Escapes are decoded. NAME need not be a legal rkey.
    """
    stem = relative.removesuffix(ending_in(relative, form)).removesuffix(DRAFT)
    return _unescaped("".join(part.removesuffix(CONTINUED) for part in stem.split("/")))


def record_of_draft(relative: str, forms: Forms = USUAL) -> str:
    """Return `COLLECTION/NAME` of the draft `relative`; a record path if NAME is a legal rkey."""
    collection, _, name = relative.partition("/")
    return f"{collection}/{drafted_name(name, forms.of(collection))}"


def parse_file_name(relative: str, *, portable: bool = False, form: Form = USUAL.default) -> Rkey:
    """Return the rkey whose `file_name` is `relative`.

    Raises BadSyntax: no rkey has this file name; the hint gives the right spelling if there is one.
    """
    ending = ending_in(relative, form) or form.ending
    if not portable and (plain := _plain(ending, form.endings).fullmatch(relative)):
        return Rkey(plain[1])
    rkey = parse_rkey(_decoded(relative, ending))
    right = file_name(rkey, portable=portable, form=form, ending=ending)
    if right != relative:
        message = f"syncd writes the file of the record key {rkey!r} otherwise than {relative!r}"
        raise BadSyntax(message, hint=f"rename it to {right}")
    return rkey


def relative_path(path: RecordPath, *, portable: bool = False, forms: Forms = USUAL) -> str:
    """Return the record's file, relative to the folder. Raises BadSyntax on a bad record path."""
    collection, rkey = split_record_path(parse_record_path(path))
    return f"{collection}/{file_name(rkey, portable=portable, form=forms.of(collection))}"


def relative_paths(
    path: RecordPath, *, portable: bool = False, forms: Forms = USUAL
) -> tuple[str, ...]:
    """Return every file that can be the record's, the usual one first. Raises as `relative_path`.

    All are in one directory, and only one of them may be there.
    """
    collection, rkey = split_record_path(parse_record_path(path))
    form = forms.of(collection)
    return tuple(
        f"{collection}/{file_name(rkey, portable=portable, form=form, ending=ending)}"
        for ending in form.endings
    )


def record_path_of(relative: str, *, portable: bool = False, forms: Forms = USUAL) -> RecordPath:
    """Return the record whose `relative_path` is `relative`. Raises BadSyntax if there is none."""
    collection, _, name = relative.partition("/")
    rkey = parse_file_name(name, portable=portable, form=forms.of(collection))
    return make_record_path(parse_nsid(collection), rkey)


def meant_path(collection: Nsid, name: str, form: Form = USUAL.default) -> RecordPath | None:
    """Guess the record that a misspelt file name in `collection` was meant for; None if unclear."""
    try:
        ending = ending_in(name, form) or form.ending
        return make_record_path(collection, parse_rkey(_decoded(name, ending)))
    except BadSyntax:
        return None


def conflict_name(
    rkey: Rkey, cid: str, *, portable: bool = False, form: Form = USUAL.default, ending: str = ""
) -> str:
    """Return `<rkey>.<cid>` and the ending, with the rkey escaped and split like in `file_name`.

    The CID of a foreign leaf can be longer than a file name: its hash stands for it.
    """
    if len(cid) > _CID_CHARACTERS:
        cid = hashlib.sha256(cid.encode()).hexdigest()
    suffix = f".{cid}{ending or form.ending}"
    return "/".join(_components(_tokens(rkey, portable), portable, suffix))


def parse_conflict_name(name: str, form: Form = USUAL.default) -> Rkey:
    """Return the rkey of a `conflict_name`. Raises BadSyntax if it is none."""
    stem = name.removesuffix(ending_in(name, form)).rpartition(".")[0]
    return parse_rkey(_decoded(stem + form.ending, form.ending))


def is_record_like(name: str, form: Form = USUAL.default) -> bool:
    """Return whether `name` may be meant as a record's file; if it is wrong, a person must fix it.

    False for drafts, for editors' temporary files, and for every name without the form's ending.
    """
    if is_plain(name, form):
        return True
    stem = name.removesuffix(ending_in(name, form))
    if stem == name or name.startswith((FRESH, OURS)) or is_draft(name, form):
        return False
    return not name.startswith(".") or _is_rkey(stem)


def is_draft(name: str, form: Form = USUAL.default) -> bool:
    """Return whether `name` is `+anything` or `NAME.draft`, each with the ending of the form.

    A hidden file counts if NAME is a legal rkey: others are the temporary files of editors.
    """
    if is_plain(name, form):
        return False
    ending = ending_in(name, form)
    stem = name.removesuffix(DRAFT + ending) if ending else name
    if stem == name:
        return name.startswith(FRESH) and bool(ending)
    return bool(stem) and not stem.startswith(OURS) and (stem[0] != "." or _is_rkey(stem))


def is_plain(name: str, form: Form = USUAL.default) -> bool:
    """Return whether `name` shows at once that it is a record's file: an rkey and the usual ending.

    One match answers for nearly every name of a folder; of the others it says nothing.
    """
    return _plain(form.ending, form.endings).fullmatch(name) is not None


def _is_rkey(text: str) -> bool:
    try:
        parse_rkey(text)
    except BadSyntax:
        return False
    return True


def _tokens(rkey: Rkey, portable: bool) -> list[str]:
    return [
        _escaped(char) if portable and (char == ":" or char.isupper()) else char for char in rkey
    ]


def _escaped(char: str) -> str:
    return f"%{ord(char):02x}"


def _components(tokens: list[str], portable: bool, suffix: str, spare: int = 0) -> Iterator[str]:
    while len(last := _guarded(tokens, portable) + suffix) > COMPONENT_BYTES - spare:
        count = _chunk(tokens)
        yield _guarded(tokens[:count], portable) + CONTINUED
        tokens = tokens[count:]
    yield last


def _guarded(tokens: list[str], portable: bool) -> str:
    """Join the tokens to one component; escape its first character if no name may start with it."""
    text = "".join(tokens)
    if text.startswith(".") or (portable and _DEVICES.match(text)):
        return _escaped(text[0]) + text[1:]
    return text


def _chunk(tokens: list[str]) -> int:
    """Return how many tokens fit into one directory name. Tokens, and so escapes, stay whole."""
    length = 0
    for count, token in enumerate(tokens):
        length += len(token)
        if length > _CHUNK:
            return count
    return len(tokens)


def _decoded(relative: str, ending: str) -> str:
    """Decode `relative` in any spelling. Raises BadSyntax if it is not of the form of a record."""
    *directories, last = relative.split("/")
    stem = last.removesuffix(ending)
    if stem == last or not all(name.endswith(CONTINUED) for name in directories):
        reason = f"{relative!r} is not the file of a record: it needs the form rkey{ending}"
        raise BadSyntax(reason)
    return _unescaped("".join(name.removesuffix(CONTINUED) for name in directories) + stem)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
