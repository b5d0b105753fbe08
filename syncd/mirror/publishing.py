"""Make records of drafts and drafts of records, as a person asks. Never asks the PDS or syncs.

The record is sent, or deleted in the repo, by the next cycle of whichever process runs it. Each
draft becomes a record by one rename, so a stop at any moment leaves either the one or the other.
A draft of a record that exists already takes its place as an edit does: the old text goes to
history first, the draft goes last.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace

from syncd.atproto.data import Record, cid_of
from syncd.atproto.syntax import Nsid, Rkey, make_tid, parse_rkey, parse_tid
from syncd.blobs.consent import files_of
from syncd.blobs.files import record_in
from syncd.cycle.observe.ignored import is_ignored
from syncd.cycle.pull.supersede import Successor, put
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, FileChanged, FolderWrong, SyncdError
from syncd.folder.drafts import (
    drop_twin,
    find_draft,
    list_drafts,
    place_draft,
    read_draft,
    remove_draft,
    same_file,
    shelve,
    write_draft,
)
from syncd.folder.names import FRESH, drafted_name, record_of_draft
from syncd.folder.problems import printable
from syncd.folder.read import FileStat
from syncd.folder.scan import Look, scan
from syncd.folder.write import read_bytes
from syncd.mirror.by_lexicon import faults_of, is_key, literal_key, wants_tid
from syncd.mirror.held import decide_held
from syncd.mirror.names import Name
from syncd.mirror.selection import hint_at, named_whole
from syncd.mirror.waiting import publish_version, read_unpushed
from syncd.model import (
    Choice,
    Conflict,
    Held,
    Pending,
    Problem,
    RecordPath,
    Seen,
    Side,
    make_record_path,
    split_record_path,
)
from syncd.state.notes import Overtaken
from syncd.values import dataclass

_READ_ONLY = "this mirror is read-only: nothing is published or deleted from it"
_READ_ONLY_HINT = "clone again without --read-only"


class DraftOvertaken(SyncdError):
    """The record may have changed since its draft was made: a person has to compare."""

    exit_code = 3
    effect = "nothing was published"
    advice = "compare the two files, then `syncd publish PATH --key RKEY`"


class DraftFaulty(SyncdError):
    """A draft breaks its lexicon, and stays a draft."""

    exit_code = 3
    effect = "nothing was published"
    advice = "correct the draft and publish it again"


@dataclass(frozen=True, slots=True)
class Publication:
    """A draft that can be published.

    Attributes:
        draft: Its file, relative to the folder.
        content, expect: What it holds, and its stat.
        path: The record that it becomes.
        replaces: The record's file of now, which it takes the place of.
    """

    draft: str
    content: bytes
    expect: FileStat
    path: RecordPath
    replaces: Seen | None = None


def drafts_of(workspace: Workspace) -> list[str]:
    """Return the files of all drafts of the mirror, sorted, relative to the folder."""
    return list_drafts(workspace.folder, workspace.config.covers)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The drafts and changes that a person asked to publish.

    Attributes:
        drafts: Files of drafts, relative to the folder.
        waiting: Changes of records that wait for it.
        named: The records that were named by their whole paths, not by a pattern or a directory.
    """

    drafts: tuple[str, ...] = ()
    waiting: tuple[Pending, ...] = ()
    named: frozenset[str] = frozenset()


def choose(workspace: Workspace, names: Sequence[Name]) -> Chosen:
    """Return the drafts and the changes that `names` mean.

    The path of a record means its draft if it has one. Raises SyncdError if a name means nothing
    to publish.
    """
    every, waiting = drafts_of(workspace), read_unpushed(workspace).waiting
    drafts: set[str] = set()
    records: set[str] = set()
    named: set[str] = set()
    for name in names:
        found = {draft for draft in every if means_draft(workspace, name, draft)}
        whole = set() if found else named_whole(waiting, [name])
        more = {item.path for item in waiting if name.covers(item.path)} - set(name.records)
        if not (found or whole or more):
            hint = hint_at(name, (*every, *(item.path for item in waiting)), "syncd status")
            raise SyncdError(f"there is nothing to publish at {name.text}", hint=hint)
        drafts |= found
        records |= whole | more
        named |= whole
    chosen = tuple(item for item in waiting if item.path in records)
    return Chosen(tuple(sorted(drafts)), chosen, frozenset(named))


def choose_all(workspace: Workspace) -> Chosen:
    """Return all changes that wait, and no draft."""
    return Chosen(waiting=read_unpushed(workspace).waiting)


def prepare(workspace: Workspace, draft: str, key: Rkey | None = None) -> Publication:
    """Return how `draft` would be published, with the key `key` if given. Changes nothing.

    Raises:
        SyncdError: It holds no record, it has no key, or the mirror leaves its record out.
        DraftOvertaken: Its record may have changed since it was made.
        DraftFaulty: It breaks its lexicon, so its record would not be sent.
        FolderWrong: This mirror is read-only.
    """
    check_writable(workspace)
    found = read_draft(workspace.folder, draft, _parsed(workspace, draft))
    if isinstance(found, Problem):
        raise SyncdError(f"{_place(found)}: {found.reason}", hint=found.hint)
    content, expect = found
    path = _path_for(workspace, draft, expect, key)
    check_mirrored(workspace, path)
    replaces = _replaced(workspace, path, draft, expect, is_named=key is not None)
    if replaces is None:
        _check_lexicon(workspace, path, draft, content)
    return Publication(draft, content, expect, path, replaces)


def _parsed(workspace: Workspace, draft: str) -> Callable[[bytes, str], Record]:
    """Return what reads a draft as the record that it will be once its files are uploaded."""
    forms, then = workspace.folder.forms, f"syncd publish {printable(shlex.quote(draft))}"
    files = replace(files_of(workspace.folder, workspace.config), then=then)
    return lambda text, name: record_in(forms.of(name), text, name, files)


def publish(workspace: Workspace, publication: Publication) -> None:
    """Make the record of a draft. The next cycle sends it.

    Raises FileChanged, FileProblem: the draft stays what it is, or is the record already.
    """
    draft, path, folder = publication.draft, publication.path, workspace.folder
    if drop_twin(folder, draft, path):
        return
    collection = split_record_path(path)[0]
    cid = cid_of(_parsed(workspace, draft)(publication.content, collection))
    if publication.replaces is None:
        place_draft(folder, draft, path, expect=publication.expect)
        publish_version(workspace, path, cid)
        return
    base = workspace.state.base_of([path]).get(path)
    successor = Successor(
        path, publication.replaces, cid, base, "published from a draft", publication.content
    )
    put(workspace, successor)
    remove_draft(folder, draft, expect=publication.expect)
    publish_version(workspace, path, cid)


def unpublish(workspace: Workspace, path: RecordPath) -> str:
    """Make the file of `path` a draft and delete the record; return the file of the draft.

    The deletion is approved, so neither the brake nor anything else holds it.

    Raises:
        FileChanged, FileProblem: There is no such file, or it cannot be renamed now.
        SyncdError: A conflict about it is open.
        FolderWrong: This mirror is read-only.
    """
    check_writable(workspace)
    _check_no_conflict(workspace, path)
    draft = _shelved(workspace, path) or shelve(
        workspace.folder, path, expect=read_bytes(workspace.folder, path)[1]
    )
    # After the rename: a decision about a missing file lapses while a cycle sees the file.
    decide_held(workspace, [Held(path, Side.LOCAL, "unpublished")], Choice.APPROVE)
    return draft


def check_mirrored(workspace: Workspace, path: RecordPath) -> None:
    """Raise SyncdError if no sync would send a file of this record."""
    if not workspace.config.covers_path(path):
        collection = split_record_path(path)[0]
        hint = (
            f'add "{collection}" to collections under [mirror] in syncd.toml, and remove it '
            "from exclude"
        )
        raise SyncdError(f"this mirror excludes {collection}", hint=hint)
    if is_ignored(workspace, path):
        hint = (
            "publish it under another key: --key RKEY; or except it in .syncdignore with a "
            "line that begins with !"
        )
        raise SyncdError(f"a file of {path} is ignored: syncd status --ignored", hint=hint)


def make_draft(
    workspace: Workspace, collection: Nsid, content: bytes, key: Rkey | None = None
) -> str:
    """Write a new draft, and return its file relative to the folder.

    It is named by `key`, the one key that its lexicon allows, or a fresh TID. Raises FileChanged:
    the record of that key, or a draft of it, is there; BadSyntax: the lexicon allows another key.
    """
    literal = literal_key(workspace, collection)
    if literal is not None and key not in (None, literal):
        message = f"a record of {collection} cannot be named {key}: its one key is {literal}"
        raise BadSyntax(message, hint=f"syncd new {collection}")
    if (named := key or literal) is not None:
        path = make_record_path(collection, named)
        draft = find_draft(workspace.folder, path)
        if draft is not None or is_record(workspace, path):
            there = path if draft is None else printable(draft)
            only = "" if literal is None else ", and there can be only one"
            raise FileChanged(f"{there} exists already{only}: edit it")
        return write_draft(workspace.folder, path, content)
    try:
        return write_draft(workspace.folder, _fresh(workspace, collection), content)
    except FileChanged:
        return write_draft(workspace.folder, _fresh(workspace, collection), content)


def check_writable(workspace: Workspace) -> None:
    """Raise FolderWrong if this mirror is read-only."""
    if workspace.config.read_only:
        raise FolderWrong(_READ_ONLY, hint=_READ_ONLY_HINT)


def means_draft(workspace: Workspace, name: Name, draft: str) -> bool:
    """Return whether a name is that of a draft, or of a record with this draft."""
    record = record_of_draft(draft, workspace.folder.forms)
    return draft in name.forms or record in name.forms or name.covers(draft)


def _place(problem: Problem) -> str:
    return ", ".join(filter(None, (problem.path, problem.place)))


def _path_for(workspace: Workspace, draft: str, expect: FileStat, key: Rkey | None) -> RecordPath:
    """Return the record that the draft becomes. Raises SyncdError if its key is unknown."""
    collection = Nsid(draft.partition("/")[0])
    name = drafted_name(draft.partition("/")[2], workspace.folder.forms.of(collection))
    if key is not None:
        return make_record_path(collection, key)
    own = _legal(name)
    if own is not None and is_record(workspace, make_record_path(collection, own)):
        return make_record_path(collection, own)
    literal = literal_key(workspace, collection)
    if literal is not None:
        return _only(workspace, make_record_path(collection, literal), draft)
    is_fitting = own is not None and is_key(workspace, collection, own)
    if name.startswith(FRESH) or (not is_fitting and wants_tid(workspace, collection)):
        return _twin(workspace, draft, expect) or _fresh(workspace, collection)
    if own is not None and not is_fitting:
        raise SyncdError(
            f"the key of {printable(draft)} must be an NSID, says its lexicon",
            hint="name the key: syncd publish PATH --key NSID",
        )
    if own is None:
        reason = f"the name of {printable(draft)} cannot become a record key: {name!r}"
        raise SyncdError(reason, hint="name the key: syncd publish PATH --key RKEY")
    return make_record_path(collection, own)


def _check_lexicon(workspace: Workspace, path: RecordPath, draft: str, content: bytes) -> None:
    """Raise DraftFaulty if the lexicon of the record would hold it."""
    found = faults_of(workspace, path, content)
    if not found:
        return
    fault, collection = found[0], split_record_path(path)[0]
    place = f", line {fault.line}, column {fault.column}" if fault.line else ""
    more = f"; and {len(found) - 1} more" if found[1:] else ""
    raise DraftFaulty(
        f"{printable(draft)}{place}: {fault.reason} (lexicon {collection}){more}",
        hint=(
            "nothing was published; fix the draft, and check it: syncd lexicon check "
            f"{printable(draft)}"
        ),
    )


def _only(workspace: Workspace, path: RecordPath, draft: str) -> RecordPath:
    """Return `path`, the only one that its lexicon allows. Raises SyncdError if it exists."""
    if is_record(workspace, path):
        # The draft has another name, so nothing says that it is the record's new version.
        raise _changed(path, draft)
    return path


def _legal(name: str) -> Rkey | None:
    try:
        return parse_rkey(name)
    except BadSyntax:
        return None


def is_record(workspace: Workspace, path: RecordPath) -> bool:
    """Return whether the repo had this record at the last sync, or a file stands for it."""
    return bool(workspace.state.base_of([path])) or not _look(workspace, path).absent(path)


def _shelved(workspace: Workspace, path: RecordPath) -> str | None:
    """Return the draft that the record's file became in an `unpublish` that was interrupted."""
    is_gone = _look(workspace, path).absent(path) and workspace.state.base_of([path])
    return find_draft(workspace.folder, path) if is_gone else None


def _look(workspace: Workspace, path: RecordPath) -> Look:
    known = workspace.state.seen_of([path])
    return scan(workspace.folder, known=known, only=[path], now_ns=workspace.clock_ns())


def _replaced(
    workspace: Workspace, path: RecordPath, draft: str, expect: FileStat, *, is_named: bool
) -> Seen | None:
    """Return the file that the draft replaces; None if there is none.

    Raises DraftOvertaken if it may have changed since the draft was made, but for a key that a
    person named.
    """
    look = _look(workspace, path)
    seen = look.seen.get(path)
    if seen is not None and seen.inode == expect.inode:
        return None
    _check_no_conflict(workspace, path)
    if path in look.problems:
        problem = look.problems[path]
        raise SyncdError(f"{_place(problem)}: {problem.reason}", hint=problem.hint)
    base = workspace.state.base_of([path]).get(path)
    is_edited = seen is not None and seen.cid != base
    is_known = seen is not None or base is not None
    if not is_named and (is_edited or (is_known and _is_overtaken(workspace, path))):
        raise _changed(path, draft)
    return seen


def _is_overtaken(workspace: Workspace, path: RecordPath) -> bool:
    """Return whether the record may have moved while the folder had a draft of it."""
    noted = workspace.state.note(Overtaken)
    return noted is not None and (noted.paths is None or path in noted.paths)


def _changed(path: RecordPath, draft: str) -> DraftOvertaken:
    rkey = split_record_path(path)[1]
    return DraftOvertaken(
        f"conflict: {path} may have changed since you made {printable(draft)}",
        hint="compare the two files; to put the draft in the record's place: syncd publish "
        f"{printable(draft)} --key {rkey}",
    )


def _check_no_conflict(workspace: Workspace, path: RecordPath) -> None:
    if any(isinstance(item, Conflict) and item.path == path for item in workspace.state.waiting()):
        raise SyncdError(f"{path} has an open conflict", hint=f"syncd resolve {path}")


def _fresh(workspace: Workspace, collection: Nsid) -> RecordPath:
    """Return an unused record path of the collection, with the time in its key."""
    microseconds = workspace.clock_ns() // 1000
    while True:
        tid = make_tid(microseconds, secrets.randbelow(1024))
        path = make_record_path(collection, Rkey(tid))
        if not is_record(workspace, path):
            return path
        microseconds += 1


def _twin(workspace: Workspace, draft: str, expect: FileStat) -> RecordPath | None:
    """Return the record whose file is this very draft under a second name of ours."""
    for path in same_file(workspace.folder, draft, expect):
        try:
            parse_tid(split_record_path(path)[1])
        except BadSyntax:
            continue
        return path
    return None
