"""The settings of a mirror as one frozen value, with their use for a record. Never reads a file."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TypeAlias, TypeVar

from syncd.atproto.syntax import Did, Handle, parse_nsid
from syncd.errors import BadSyntax, ConfigWrong
from syncd.forms import USUAL, Forms, with_markdown
from syncd.model import Policy, RecordPath, split_record_path
from syncd.values import dataclass

DEFAULT_PLC = "https://plc.directory"
PORTABLE = "portable"
FILENAMES = ("plain", PORTABLE)
ASK = "ask"
WHEN = ("save", ASK)
PUBLISH = "publish"
MODES = ("sync", PUBLISH)
FETCH_ALL, FETCH_NONE = FETCH = ("all", "none")
LOCATION_HOLD, LOCATION_STRIP, LOCATION_KEEP = LOCATIONS = ("hold", "strip", "keep")
LEXICONS_OFF, LEXICONS_WARN, LEXICONS_KNOWN = LEXICONS = ("off", "warn", "known")

Value = TypeVar("Value")
Markdown: TypeAlias = "tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]"
"""Collections of Markdown files, each with the keys that may lead to the body of a record."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a mirror. Durations are in seconds.

    `validate`, `lexicons`, `push_when` and `settle_seconds` are each one value for every
    collection, or (pattern, value) pairs where the first match counts. `validate` None leaves the
    choice to the PDS.
    """

    did: Did
    handle: Handle | None = None
    pds: str | None = None
    plc: str = DEFAULT_PLC
    read_only: bool = False
    collections: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    filenames: str = "plain"
    validate: bool | tuple[tuple[str, bool], ...] | None = None
    lexicons: str | tuple[tuple[str, str], ...] = LEXICONS_KNOWN
    push_when: str | tuple[tuple[str, str], ...] = "save"
    settle_seconds: float | tuple[tuple[str, float], ...] = 0.0
    doorbell: str = "auto"
    jetstream: str | None = None
    poll_seconds: float = 5.0
    quiet_seconds: float = 0.2
    full_look_seconds: float = 300.0
    desktop: bool = False
    brake_records: int = 10
    brake_percent: int = 20
    brake_window_seconds: float = 600.0
    conflicts_hold: tuple[str, ...] = ()
    conflicts_merge: tuple[str, ...] = ()
    conflicts_local: tuple[str, ...] = ()
    conflicts_remote: tuple[str, ...] = ()
    conflicts_text: tuple[str, ...] = ()
    markdown: Markdown = ()
    plain_text: tuple[tuple[str, tuple[str, ...]], ...] = ()
    history_days: int = 90
    history_megabytes: int = 1024
    git_commit: bool = False
    git_push: str | None = None
    git_blobs: bool = False
    blobs_fetch: str = FETCH_NONE
    blobs_collections: tuple[str, ...] = ()
    blobs_max_megabytes: int = 50
    blobs_total_megabytes: int = 1024
    blobs_location: str = LOCATION_HOLD
    hook_after_pull: tuple[str, ...] = ()
    hook_after_push: tuple[str, ...] = ()
    hook_on_problem: tuple[str, ...] = ()
    hook_seconds: float = 60.0
    mode: str = "sync"
    branch: str = "main"

    @property
    def is_one_way(self) -> bool:
        """Return whether the repo follows a branch of git, and the folder nothing."""
        return self.mode == PUBLISH

    @property
    def forms(self) -> Forms:
        """Return the form of the files of each collection."""
        return with_markdown(self.markdown) if self.markdown else USUAL

    @property
    def markdown_text(self) -> str:
        """Return the setting `[files] markdown` as JSON text, for the state file."""
        return json.dumps([[name, [list(keys) for keys in found]] for name, found in self.markdown])

    @property
    def is_portable(self) -> bool:
        """Return whether file names must fit file systems that fold case or refuse characters."""
        return self.filenames == PORTABLE

    def covers(self, collection: str) -> bool:
        """Return whether the mirror includes the records of this collection."""
        wanted = not self.collections or _matches(collection, self.collections)
        return wanted and not _matches(collection, self.exclude)

    def validate_of(self, path: RecordPath) -> bool | None:
        """Return whether the PDS must check this record; None leaves the choice to the PDS."""
        return _value_for(path, self.validate, None)

    def lexicons_of(self, path: RecordPath) -> str:
        """Return what to do with this record if it breaks its lexicon: one of `LEXICONS`."""
        return _value_for(path, self.lexicons, LEXICONS_KNOWN)

    def asks_before_push(self, path: RecordPath) -> bool:
        """Return whether changes of this record wait until a person publishes them."""
        return _value_for(path, self.push_when, "save") == ASK

    def settle_seconds_of(self, path: RecordPath) -> float:
        """Return how long a file must be left alone before this record is pushed."""
        return _value_for(path, self.settle_seconds, 0.0)

    def policy(self, path: RecordPath) -> Policy:
        """Return the policy for a conflict at `path`, from the first list with its collection."""
        collection = split_record_path(path)[0]
        lists = {
            Policy.HOLD: self.conflicts_hold,
            Policy.MERGE: self.conflicts_merge,
            Policy.LOCAL: self.conflicts_local,
            Policy.REMOTE: self.conflicts_remote,
        }
        found = (policy for policy, patterns in lists.items() if _matches(collection, patterns))
        return next(found, Policy.HOLD)

    def merges_lines(self, path: RecordPath) -> bool:
        """Return whether a merge of this record merges its strings line by line."""
        return _matches(split_record_path(path)[0], self.conflicts_text)

    def fetches_blobs_of(self, path: RecordPath) -> bool:
        """Return whether syncd fetches the blobs of this record without being asked."""
        if self.blobs_fetch != FETCH_ALL or self.is_one_way:
            return False
        patterns = self.blobs_collections
        return not patterns or _matches(split_record_path(path)[0], patterns)

    def covers_path(self, path: RecordPath) -> bool:
        """Return whether the record at `path` belongs to the mirror."""
        return self.covers(split_record_path(path)[0])


def _value_for(
    path: RecordPath, setting: Value | tuple[tuple[str, Value], ...], rest: Value
) -> Value:
    """Return the value of `setting` for a record; `rest` if no pattern of a table matches."""
    if not isinstance(setting, tuple):
        return setting
    collection = split_record_path(path)[0]
    found = (value for pattern, value in setting if fnmatchcase(collection, pattern))
    return next(found, rest)


@lru_cache(maxsize=1024)
def _matches(collection: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(collection, pattern) for pattern in patterns)


def check_pattern(pattern: str) -> str:
    """Return `pattern` if it is an NSID, or a pattern of NSIDs with * and ?. Raises ConfigWrong."""
    if re.fullmatch(r"[A-Za-z0-9.-]*[*?][A-Za-z0-9.*?-]*", pattern):
        return pattern
    try:
        return parse_nsid(pattern)
    except BadSyntax as error:
        message = f"{error.message}, or that of a pattern such as app.bsky.*"
        raise ConfigWrong(message) from None


def forms_of_text(text: str) -> Forms:
    """Return the forms of a `markdown_text`; the usual ones for any other text."""
    try:
        found = tuple(
            (str(n), tuple(tuple(map(str, k)) for k in keys)) for n, keys in json.loads(text)
        )
    except (ValueError, TypeError):
        return USUAL
    return with_markdown(found) if found else USUAL
