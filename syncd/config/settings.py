"""Every key of syncd.toml in one table: its field, its meaning, its parser. Never opens a file.

docs/configuration.md shows the same table, and a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from syncd.atproto.server.origin import parse_origin
from syncd.atproto.syntax import parse_did, parse_handle, parse_nsid
from syncd.config.values import (
    FETCH,
    FILENAMES,
    LEXICONS,
    LOCATIONS,
    MODES,
    WHEN,
    Markdown,
    check_pattern,
)
from syncd.errors import BadSyntax
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of syncd.toml.

    Attributes:
        section, key: Its place in the file.
        field: The field of Config.
        kind, meaning, example: Its documentation.
        parse: Checks a TOML value and converts it. Raises ValueError with the words after "needs",
            or BadSyntax or ConfigWrong with a whole sentence.
    """

    section: str
    key: str
    field: str
    kind: str
    meaning: str
    example: str
    parse: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """Return the setting as messages name it: `[section] key`."""
        return f"[{self.section}] {self.key}"


def _parser_of(kind: type, words: str) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:  # noqa: ANN401
        if type(value) is not kind:
            raise ValueError(words)
        return value

    return parse


_LONGEST_SECONDS = 86_400


def _parse_seconds(value: Any) -> float:  # noqa: ANN401
    if type(value) not in (int, float) or not 0 < value <= _LONGEST_SECONDS:
        raise ValueError("a number of seconds above 0 and at most 86400")
    return float(value)


def _parse_count(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


_MOST_MEGABYTES = 1_000_000


def _parse_megabytes(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or not 0 <= value <= _MOST_MEGABYTES:
        raise ValueError("a whole number of megabytes from 0 to 1000000")
    return value


def _parse_percent(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or not 0 <= value <= 100:
        raise ValueError("a whole number from 0 to 100")
    return value


DOORBELLS = ("auto", "stream", "jetstream", "poll")


def _word_parser(words: Sequence[str]) -> Callable[[Any], str]:
    def parse_setting(value: Any) -> str:  # noqa: ANN401
        if value not in words:
            raise ValueError("one of " + ", ".join(f'"{word}"' for word in words))
        return str(value)

    return parse_setting


def _parse_command(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    is_list = isinstance(value, list) and all(isinstance(word, str) for word in value)
    if not is_list or not value or not value[0] or any("\0" in word for word in value):
        raise ValueError("a list of a program and its arguments; no shell reads it")
    return tuple(value)


def _parse_branch(value: Any) -> str:  # noqa: ANN401
    # What git-check-ref-format(1) forbids, as far as a command line could mistake it.
    if not isinstance(value, str) or not re.fullmatch(
        r"[^-/\s~^:?*\[\\\x00-\x20\x7f][^\s~^:?*\[\\\x00-\x20\x7f]*", value
    ):
        raise ValueError("the name of a git branch")
    return value.removeprefix("refs/heads/")


_AN_ORIGIN = "an origin such as https://pds.example.com"


def parse_server(value: Any) -> str:  # noqa: ANN401
    """Parse the origin of a server: https, or http on the loopback. Raises ValueError.

    Returns the form of `str(Origin)`: host in lower case, no final slash.
    """
    if not isinstance(value, str):
        raise ValueError(_AN_ORIGIN)
    try:
        return str(parse_origin(value))
    except BadSyntax as error:
        raise ValueError(f"{_AN_ORIGIN}: {error.message}") from None


def _parse_patterns(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of collections or patterns")
    return tuple(check_pattern(pattern) for pattern in value)


def _parse_validate(value: Any) -> bool | tuple[tuple[str, bool], ...]:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or not all(isinstance(item, bool) for item in value.values()):
        raise ValueError("true, false, or a table of patterns that are each true or false")
    return tuple((check_pattern(pattern), item) for pattern, item in value.items())


def _parse_lexicons(value: Any) -> str | tuple[tuple[str, str], ...]:  # noqa: ANN401
    if isinstance(value, str) and value in LEXICONS:
        return value
    words = ", ".join(f'"{word}"' for word in LEXICONS)
    if not isinstance(value, dict) or not all(item in LEXICONS for item in value.values()):
        raise ValueError(f"one of {words}, or a table of patterns that are each one of them")
    return tuple((check_pattern(pattern), item) for pattern, item in value.items())


def _parse_when(value: Any) -> str | tuple[tuple[str, str], ...]:  # noqa: ANN401
    if isinstance(value, str) and value in WHEN:
        return value
    if not isinstance(value, dict) or not all(item in WHEN for item in value.values()):
        raise ValueError('"save", "ask", or a table of patterns that are each "save" or "ask"')
    return tuple((check_pattern(pattern), item) for pattern, item in value.items())


def _parse_settle(value: Any) -> float | tuple[tuple[str, float], ...]:  # noqa: ANN401
    if _is_settle(value):
        return float(value)
    if not isinstance(value, dict) or not all(map(_is_settle, value.values())):
        raise ValueError("a number of seconds from 0 to 86400, or a table of patterns with such")
    return tuple((check_pattern(pattern), float(item)) for pattern, item in value.items())


def _is_settle(value: Any) -> bool:  # noqa: ANN401
    return type(value) in (int, float) and 0 <= value <= _LONGEST_SECONDS


def _identifier_parser(parse: Callable[[str], str]) -> Callable[[Any], str]:
    def parse_setting(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str):
            raise ValueError("a string")
        return parse(value)

    return parse_setting


def _parse_remote(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]*", value):
        raise ValueError("the name of a git remote")
    return value


_NOT_MARKDOWN = frozenset({"com.atproto.lexicon.schema"})
"""Collections that other parts of syncd read as JSON."""


def _parse_markdown(value: Any) -> Markdown:  # noqa: ANN401
    words = 'a table of collections, each with "content" or a list of such pointers'
    if not isinstance(value, dict):
        raise ValueError(words)
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for name, pointers in value.items():
        listed = [pointers] if isinstance(pointers, str) else pointers
        if not isinstance(listed, list) or not listed:
            raise ValueError(words)
        if name in _NOT_MARKDOWN:
            raise ValueError(f"another collection than {name}, whose records are always JSON")
        found[parse_nsid(name)] = tuple(dict.fromkeys(map(_parse_pointer, listed)))
    return tuple(found.items())


def _parse_pointer(pointer: object) -> tuple[str, ...]:
    """Parse the place of a body: keys with dots between them. Raises ValueError."""
    if not isinstance(pointer, str):
        raise ValueError("pointers that are texts")
    keys = tuple(pointer.split("."))
    if not all(keys) or any(key.startswith("$") or key == "__proto__" for key in keys):
        raise ValueError(f"keys with dots between them, as in content.text, not {pointer!r}")
    return keys


def _parse_plain_text(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:  # noqa: ANN401
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError('a table of collections, each with a field such as "textContent"')
    return tuple((parse_nsid(name), _parse_pointer(item)) for name, item in value.items())


_YES_NO = _parser_of(bool, "true or false")

SETTINGS: tuple[Setting, ...] = (
    Setting("mirror", "did", "did", "string",
            "the DID of the account whose repo this folder mirrors (required)",
            '"did:plc:abc…"', _identifier_parser(parse_did)),
    Setting("mirror", "handle", "handle", "string", "the handle, for display only",
            '"alice.example.com"', _identifier_parser(parse_handle)),
    Setting("mirror", "pds", "pds", "origin",
            "the PDS to use instead of the one that the DID document names",
            '"https://pds.example.com"', parse_server),
    Setting("mirror", "plc", "plc", "origin", "the PLC directory that resolves did:plc",
            '"https://plc.directory"', parse_server),
    Setting("mirror", "read_only", "read_only", "boolean",
            "never write to the repo; needs no login", "true", _YES_NO),
    Setting("mirror", "collections", "collections", "list",
            "mirror only these collections or patterns", '["app.bsky.*"]', _parse_patterns),
    Setting("mirror", "exclude", "exclude", "list", "do not mirror these collections or patterns",
            '["app.bsky.feed.like"]', _parse_patterns),
    Setting("mirror", "filenames", "filenames", "word",
            "plain; or portable: names for file systems that ignore case or refuse some "
            "characters", '"portable"', _word_parser(FILENAMES)),
    Setting("mirror", "mode", "mode", "word",
            "sync: both ways; publish: in CI, one way: the repo gets the state of the git "
            "branch (`syncd help git.md`)", '"publish"', _word_parser(MODES)),
    Setting("mirror", "branch", "branch", "name",
            "the only git branch that mode publish sends from", '"main"', _parse_branch),
    Setting("push", "validate", "validate", "boolean or table",
            "whether the PDS checks records against their lexicons: true: always; false: never; "
            "unset: if it knows the lexicon; or a table of these by collection or pattern, of "
            "which the first match applies", '{ "com.example.*" = false }', _parse_validate),
    Setting("push", "lexicons", "lexicons", "word or table",
            "what to do with a record that breaks a lexicon that syncd knows: known: hold it as "
            "a problem; warn: report it and send it; off: do not check; or a table of these by "
            "collection or pattern, of which the first match applies",
            '{ "com.example.*" = "warn" }', _parse_lexicons),
    Setting("push", "when", "push_when", "word or table",
            "save: push a change once it is saved; ask: keep it until `syncd publish`; or a "
            "table of these by collection or pattern, of which the first match applies",
            '{ "app.bsky.*" = "ask" }', _parse_when),
    Setting("push", "settle_seconds", "settle_seconds", "seconds or table",
            "how long a file must stay unchanged before syncd pushes it, from 0; or a table of "
            "these by collection or pattern, of which the first match applies",
            "30.0", _parse_settle),
    Setting("run", "doorbell", "doorbell", "word",
            "how syncd learns of changes in the repo: stream: from the PDS's own stream; "
            "jetstream: from a Jetstream; poll: by polling; auto: by the best of these that "
            "works", '"auto"', _word_parser(DOORBELLS)),
    Setting("run", "jetstream", "jetstream", "origin", "the Jetstream to listen to",
            '"https://jetstream2.us-east.bsky.network"', parse_server),
    Setting("run", "poll_seconds", "poll_seconds", "seconds",
            "how often syncd asks the PDS for changes while it listens to no stream",
            "5.0", _parse_seconds),
    Setting("run", "quiet_seconds", "quiet_seconds", "seconds",
            "how long the folder must be quiet before syncd pushes changes; a single complete "
            "save does not wait", "0.2", _parse_seconds),
    Setting("run", "full_look_seconds", "full_look_seconds", "seconds",
            "how often syncd looks at the whole folder, whatever the file events say",
            "300.0", _parse_seconds),
    Setting("run", "desktop", "desktop", "boolean",
            "show new conflicts, problems, held deletions and errors on the desktop, with "
            "notify-send", "true", _YES_NO),
    Setting("brake", "records", "brake_records", "count", "hold deletions above this number …",
            "10", _parse_count),
    Setting("brake", "percent", "brake_percent", "percent", "… if they are also more than this "
            "share of a collection", "20", _parse_percent),
    Setting("brake", "window_seconds", "brake_window_seconds", "seconds",
            "count deletions within this time together", "600.0", _parse_seconds),
    Setting("conflicts", "hold", "conflicts_hold", "list",
            "you decide conflicts in these collections, whatever the next lists say; the same "
            "goes for collections in no list", '["app.bsky.actor.*"]', _parse_patterns),
    Setting("conflicts", "merge", "conflicts_merge", "list",
            "merge conflicts in these field by field; where fields collide, you decide",
            '["com.example.*"]', _parse_patterns),
    Setting("conflicts", "local", "conflicts_local", "list", "the folder's version wins",
            '["com.example.draft"]', _parse_patterns),
    Setting("conflicts", "remote", "conflicts_remote", "list", "the repo's version wins",
            '["com.example.cache"]', _parse_patterns),
    Setting("conflicts", "text", "conflicts_text", "list",
            "merge strings in these line by line instead of as a whole",
            '["com.example.page"]', _parse_patterns),
    Setting("files", "markdown", "markdown", "table",
            "collections whose records are Markdown files with front matter, each with the "
            "field that is the body, or a list of fields of which the first that holds a text "
            "is the body", '{ "com.whtwnd.blog.entry" = "content" }', _parse_markdown),
    Setting("files", "plain_text", "plain_text", "table of strings",
            "collections of `markdown`, each with the field that repeats the body without "
            "markup; syncd makes it again when you edit the body",
            '{ "site.standard.document" = "textContent" }', _parse_plain_text),
    Setting("history", "days", "history_days", "count",
            "how many days history keeps superseded versions", "90", _parse_count),
    Setting("history", "megabytes", "history_megabytes", "count",
            "how much history keeps; it removes the oldest versions first", "1024", _parse_count),
    Setting("blobs", "fetch", "blobs_fetch", "word",
            "all: download the blobs that records name into `blobs/`; none: only those that you "
            "ask for (`syncd blob get`)", '"all"', _word_parser(FETCH)),
    Setting("blobs", "collections", "blobs_collections", "list",
            "download only the blobs that records of these collections or patterns name",
            '["app.bsky.actor.*"]', _parse_patterns),
    Setting("blobs", "max_megabytes", "blobs_max_megabytes", "megabytes",
            "download a larger blob only if you ask for it", "50", _parse_megabytes),
    Setting("blobs", "total_megabytes", "blobs_total_megabytes", "megabytes",
            "download no blob automatically that would make `blobs/` larger than this",
            "1024", _parse_megabytes),
    Setting("blobs", "location", "blobs_location", "word",
            "what to do with a file whose metadata says where it was made: hold: do not upload "
            "it; strip: upload it without its metadata; keep: upload it unchanged, on a machine "
            "where you ran `syncd blob location allow`", '"strip"', _word_parser(LOCATIONS)),
    Setting("git", "commit", "git_commit", "boolean",
            "commit what was synced to the git repository that contains the folder",
            "true", _YES_NO),
    Setting("git", "push", "git_push", "name",
            "the git remote to push these commits to; none if unset", '"origin"', _parse_remote),
    Setting("git", "blobs", "git_blobs", "boolean", "commit the files in `blobs/` too", "true",
            _YES_NO),
    Setting("hooks", "after_pull", "hook_after_pull", "command",
            "the program to run after a pull, and its arguments; see `syncd help hooks.md`",
            '["./deploy", "--quiet"]', _parse_command),
    Setting("hooks", "after_push", "hook_after_push", "command",
            "the program to run after a push, and its arguments", '["./announce"]', _parse_command),
    Setting("hooks", "on_problem", "hook_on_problem", "command",
            "the program to run if something new needs you, or nothing can be synced, and its "
            "arguments", '["./page-me"]', _parse_command),
    Setting("hooks", "seconds", "hook_seconds", "seconds", "how long one hook may run",
            "60.0", _parse_seconds),
)  # fmt: skip
