"""The settings of one mirror: syncd.toml read once into one frozen Config. Never asks the network.

`SETTINGS` is the only list of keys; docs/configuration.md shows the same table and a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import tomli

from syncd.atproto.syntax import Did, Handle, parse_did, parse_handle, parse_nsid
from syncd.errors import BadSyntax, ConfigWrong
from syncd.model import Policy, RecordPath, split_record_path

FILE_NAME = "syncd.toml"
DEFAULT_PLC = "https://plc.directory"


@dataclass(frozen=True, slots=True)
class Config:
    """What a person can set. Durations are seconds.

    `validate` is for every collection, or (pattern, value) pairs of which the first that matches
    counts; None leaves it to the PDS.
    """

    did: Did
    handle: Handle | None = None
    pds: str | None = None
    plc: str = DEFAULT_PLC
    read_only: bool = False
    collections: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    validate: bool | tuple[tuple[str, bool], ...] | None = None
    doorbell: str = "auto"
    jetstream: str | None = None
    poll_seconds: float = 5.0
    quiet_seconds: float = 0.2
    full_look_seconds: float = 300.0
    brake_records: int = 10
    brake_percent: int = 20
    brake_window_seconds: float = 600.0
    conflicts_hold: tuple[str, ...] = ()
    conflicts_merge: tuple[str, ...] = ()
    conflicts_local: tuple[str, ...] = ()
    conflicts_remote: tuple[str, ...] = ()
    conflicts_text: tuple[str, ...] = ()
    history_days: int = 90
    history_megabytes: int = 1024

    def covers(self, collection: str) -> bool:
        """True if records of this collection belong to the mirror."""
        wanted = not self.collections or _matches(collection, self.collections)
        return wanted and not _matches(collection, self.exclude)

    def validate_of(self, path: RecordPath) -> bool | None:
        """Whether the PDS is asked to check this record; None leaves it to the PDS."""
        if not isinstance(self.validate, tuple):
            return self.validate
        collection = split_record_path(path)[0]
        pairs = ((fnmatchcase(collection, pattern), value) for pattern, value in self.validate)
        return next((value for is_meant, value in pairs if is_meant), None)

    def policy(self, path: RecordPath) -> Policy:
        """What becomes of a conflict at `path`; the first list that names its collection says."""
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
        """True if strings of this record are merged line by line."""
        return _matches(split_record_path(path)[0], self.conflicts_text)

    def covers_path(self, path: RecordPath) -> bool:
        return self.covers(split_record_path(path)[0])


def _matches(collection: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(collection, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of syncd.toml: where it stands, which Config field it sets, what it means."""

    section: str
    key: str
    field: str
    kind: str
    meaning: str
    example: str
    parse: Callable[[Any], Any]

    @property
    def name(self) -> str:
        return f"[{self.section}] {self.key}"


def _expect(kind: type, words: str) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:  # noqa: ANN401
        if type(value) is not kind:
            raise ValueError(words)
        return value

    return parse


def _seconds(value: Any) -> float:  # noqa: ANN401
    if type(value) not in (int, float) or not 0 < value <= 86_400:
        raise ValueError("a number of seconds above 0 and at most 86400")
    return float(value)


def _count(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _percent(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or not 0 <= value <= 100:
        raise ValueError("a whole number from 0 to 100")
    return value


DOORBELLS = ("auto", "stream", "jetstream", "poll")


def _doorbell(value: Any) -> str:  # noqa: ANN401
    if value not in DOORBELLS:
        raise ValueError("one of " + ", ".join(f'"{name}"' for name in DOORBELLS))
    return str(value)


def _origin(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^/\s?#@]+/?", value):
        raise ValueError("an origin such as https://pds.example.com")
    return value.rstrip("/")


def check_pattern(pattern: str) -> str:
    """A collection (NSID), or a pattern of one with * and ?. Raises ConfigWrong."""
    if re.fullmatch(r"[A-Za-z0-9.-]*[*?][A-Za-z0-9.*?-]*", pattern):
        return pattern
    try:
        return parse_nsid(pattern)
    except BadSyntax as error:
        raise ConfigWrong(f"{error.message}, nor a pattern such as app.bsky.*") from None


def _patterns(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of collections or patterns")
    return tuple(check_pattern(pattern) for pattern in value)


def _validate(value: Any) -> bool | tuple[tuple[str, bool], ...]:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or not all(isinstance(item, bool) for item in value.values()):
        raise ValueError("true, false, or a table of patterns that are each true or false")
    return tuple((check_pattern(pattern), item) for pattern, item in value.items())


def _identifier(parse: Callable[[str], str]) -> Callable[[Any], str]:
    def parse_setting(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str):
            raise ValueError("a string")
        return parse(value)

    return parse_setting


_YES_NO = _expect(bool, "true or false")

SETTINGS: tuple[Setting, ...] = (
    Setting("mirror", "did", "did", "string", "whose repo this folder mirrors (required)",
            '"did:plc:abc…"', _identifier(parse_did)),
    Setting("mirror", "handle", "handle", "string", "the handle, for display only",
            '"alice.example.com"', _identifier(parse_handle)),
    Setting("mirror", "pds", "pds", "origin", "the PDS, instead of the one the DID document names",
            '"https://pds.example.com"', _origin),
    Setting("mirror", "plc", "plc", "origin", "the directory that resolves did:plc",
            '"https://plc.directory"', _origin),
    Setting("mirror", "read_only", "read_only", "boolean", "never write to the repo; no login",
            "true", _YES_NO),
    Setting("mirror", "collections", "collections", "list", "only these collections or patterns",
            '["app.bsky.*"]', _patterns),
    Setting("mirror", "exclude", "exclude", "list", "all but these collections or patterns",
            '["app.bsky.feed.like"]', _patterns),
    Setting("push", "validate", "validate", "boolean or table", "ask the PDS to check records "
            "against their lexicons: true always, false never, unset where it knows them; or this "
            "for each collection or pattern, of which the first that matches counts",
            '{ "com.example.*" = false }', _validate),
    Setting("run", "doorbell", "doorbell", "word", "what tells of news: the PDS's own stream, a "
            "Jetstream, polling, or auto: the best of them that works", '"auto"', _doorbell),
    Setting("run", "jetstream", "jetstream", "origin", "the Jetstream to listen to",
            '"https://jetstream2.us-east.bsky.network"', _origin),
    Setting("run", "poll_seconds", "poll_seconds", "seconds", "how often the PDS is asked for news "
            "while nothing else tells of them", "5.0", _seconds),
    Setting("run", "quiet_seconds", "quiet_seconds", "seconds", "how long the folder must be quiet "
            "before a saved file is pushed", "0.2", _seconds),
    Setting("run", "full_look_seconds", "full_look_seconds", "seconds", "how often the whole "
            "folder is looked at, whatever the file events say", "300.0", _seconds),
    Setting("brake", "records", "brake_records", "count", "deletions are held above this number …",
            "10", _count),
    Setting("brake", "percent", "brake_percent", "percent", "… if they are also more than this "
            "share of a collection", "20", _percent),
    Setting("brake", "window_seconds", "brake_window_seconds", "seconds", "deletions this close "
            "together count as one", "600.0", _seconds),
    Setting("conflicts", "hold", "conflicts_hold", "list", "conflicts of these collections wait "
            "for you whatever the next lists say; so do all that no list names",
            '["app.bsky.actor.*"]', _patterns),
    Setting("conflicts", "merge", "conflicts_merge", "list", "merge these field by field; where "
            "fields collide they wait", '["com.example.*"]', _patterns),
    Setting("conflicts", "local", "conflicts_local", "list", "the folder's version wins",
            '["com.example.draft"]', _patterns),
    Setting("conflicts", "remote", "conflicts_remote", "list", "the repo's version wins",
            '["com.example.cache"]', _patterns),
    Setting("conflicts", "text", "conflicts_text", "list", "strings of these are merged line by "
            "line, not as a whole", '["com.example.page"]', _patterns),
    Setting("history", "days", "history_days", "count", "how long superseded versions are kept",
            "90", _count),
    Setting("history", "megabytes", "history_megabytes", "count", "how much of them is kept, the "
            "oldest go first", "1024", _count),
)  # fmt: skip


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read syncd.toml, then the environment. Raises ConfigWrong naming file, line and key."""
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomli.loads(text)
    except OSError as error:
        raise ConfigWrong(f"{path} cannot be read: {error.strerror}", hint=_NO_FILE_HINT) from None
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ConfigWrong(f"{path}: {error}", hint="mend the line, then run again") from None
    values = _values(tables, text, path)
    if environ.get("SYNCD_PLC_URL"):
        values["plc"] = _from_environment(environ["SYNCD_PLC_URL"])
    if "did" not in values:
        raise ConfigWrong(f"{path} does not say whose repo it is: [mirror] did is missing")
    if values.get("doorbell") == "jetstream" and "jetstream" not in values:
        hint = 'name one, or leave the choice to syncd with doorbell = "auto"'
        raise ConfigWrong(f"{path}: [run] doorbell asks for a Jetstream, none is named", hint=hint)
    return Config(**values)


_NO_FILE_HINT = "a mirror's settings are written by `syncd clone`"


def _values(tables: Mapping[str, Any], text: str, path: Path) -> dict[str, Any]:
    known = {(setting.section, setting.key): setting for setting in SETTINGS}
    values: dict[str, Any] = {}
    for section, table in tables.items():
        for key, value in table.items() if isinstance(table, dict) else [("", table)]:
            where = f"{path}, line {_line_of(text, section, key)}"
            if (section, key) not in known:
                hint = "docs/configuration.md lists every key"
                raise ConfigWrong(f"{where}: there is no setting [{section}] {key}", hint=hint)
            setting = known[section, key]
            values[setting.field] = _parse_value(setting, value, where)
    return values


def _parse_value(setting: Setting, value: object, where: str) -> object:
    try:
        return setting.parse(value)
    except (BadSyntax, ConfigWrong) as error:
        raise ConfigWrong(f"{where}: {setting.name}: {error.message}") from None
    except ValueError as error:
        hint = f"for example {setting.key} = {setting.example}"
        raise ConfigWrong(f"{where}: {setting.name} needs {error}", hint=hint) from None


def _from_environment(value: str) -> str:
    try:
        return _origin(value)
    except ValueError as error:
        raise ConfigWrong(f"SYNCD_PLC_URL needs {error}") from None


def _line_of(text: str, section: str, key: str) -> int:
    """The line of a key; of its section, or 1, if the key is written in some other way."""
    found, inside = 1, False
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*\[\s*{re.escape(section)}\s*\]", line) or (
            not key and re.match(rf"\s*{re.escape(section)}\s*=", line)
        ):
            found, inside = number, True
        elif line.lstrip().startswith("["):
            inside = False
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return found


def render_config(config: Config) -> str:
    """The short, commented syncd.toml that `clone` writes: only what differs from the defaults."""
    defaults = {field.name: field.default for field in fields(Config)}
    lines = ["# Settings of this syncd mirror. Every key: docs/configuration.md"]
    section = ""
    for setting in SETTINGS:
        value = getattr(config, setting.field)
        if value == defaults[setting.field]:
            continue
        if setting.section != section:
            section = setting.section
            lines += ["", f"[{section}]"]
        lines.append(f"{setting.key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        pairs = (f"{_toml(key)} = {_toml(item)}" for key, item in value)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
