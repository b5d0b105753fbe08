"""Settings: every key is read, every mistake is named with its line."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from syncd.atproto.syntax import Did, Handle
from syncd.atproto.xrpc import parse_origin
from syncd.config import SETTINGS, Config, load_config, render_config
from syncd.errors import BadSyntax, ConfigWrong
from syncd.model import RecordPath

DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
MINIMAL = f'[mirror]\ndid = "{DID}"\n'


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "syncd.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, environ)


def test_only_the_did_is_needed(tmp_path: Path) -> None:
    assert read(tmp_path, MINIMAL) == Config(did=Did(DID))


def test_every_field_has_one_setting() -> None:
    assert sorted(setting.field for setting in SETTINGS) == sorted(f.name for f in fields(Config))


def test_what_clone_writes_is_read_back_as_it_was(tmp_path: Path) -> None:
    config = Config(
        did=Did(DID),
        handle=Handle("alice.example.com"),
        pds="http://127.0.0.1:2583",
        plc="http://127.0.0.1:2582",
        read_only=True,
        collections=("app.bsky.*", "com.example.note"),
        exclude=("app.bsky.feed.like",),
        validate=False,
        poll_seconds=1.5,
        brake_records=3,
    )
    assert read(tmp_path, render_config(config)) == config


def test_the_environment_comes_after_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL, SYNCD_PLC_URL="http://127.0.0.1:1")
    assert config.plc == "http://127.0.0.1:1"
    named = MINIMAL + 'pds = "https://pds.example.com"\n'
    assert read(tmp_path, named).pds == "https://pds.example.com"
    assert read(tmp_path, named, SYNCD_PDS="").pds == "https://pds.example.com"
    assert read(tmp_path, named, SYNCD_PDS="https://pds.example.org/").pds == (
        "https://pds.example.org"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "did is missing"),
        ("[mirror\n", "line 1"),
        (MINIMAL + '[run]\ndoorbell = "loud"\n', "line 4, column 1: [run] doorbell needs one of"),
        (MINIMAL + '[run]\ndoorbell = "jetstream"\n', "no Jetstream is named"),
        (MINIMAL + "colour = 3\n", "line 3, column 1: there is no setting [mirror] colour"),
        (MINIMAL + "[paint]\ncolour = 3\n", "line 4, column 1: there is no setting [paint] colour"),
        ('[mirror]\ndid = "alice"\n', "line 2, column 1: [mirror] did"),
        ("[mirror]\ndid = 7\n", "line 2, column 1: [mirror] did needs a string"),
        (
            MINIMAL + 'read_only = "yes"\n',
            "line 3, column 1: [mirror] read_only needs true or false",
        ),
        (MINIMAL + 'pds = "ftp://x"\n', "line 3, column 1: [mirror] pds needs an origin"),
        (MINIMAL + 'pds = "https://x/path"\n', "needs an origin"),
        (MINIMAL + "collections = [3]\n", "line 3, column 1: [mirror] collections needs a list"),
        (MINIMAL + 'collections = ["nonsense"]\n', "line 3, column 1: [mirror] collections"),
        (
            MINIMAL + "[run]\npoll_seconds = 0\n",
            "line 4, column 1: [run] poll_seconds needs a number",
        ),
        (MINIMAL + "[run]\npoll_seconds = true\n", "needs a number"),
        (
            MINIMAL + "[brake]\npercent = 101\n",
            "line 4, column 1: [brake] percent needs a whole number",
        ),
        (MINIMAL + "[brake]\nrecords = -1\n", "needs a whole number"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigWrong, match=words.replace("[", r"\[")) as caught:
        read(tmp_path, text)
    assert "syncd.toml" in caught.value.message


def raw(tmp_path: Path, content: bytes) -> Config:
    (tmp_path / "syncd.toml").write_bytes(content)
    return load_config(tmp_path / "syncd.toml", {})


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_a_file_is_read_however_an_editor_saves_its_lines(
    tmp_path: Path, mark: bytes, ends: bytes
) -> None:
    text = mark + (MINIMAL + "[run]\n\tpoll_seconds = 7").encode().replace(b"\n", ends)
    assert raw(tmp_path, text).poll_seconds == 7
    with pytest.raises(ConfigWrong, match="line 5, column 2"):
        raw(tmp_path, text + ends + b"\tx = 1")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (MINIMAL.encode() + b"# caf\xe9\n", 3),
        (MINIMAL.encode("utf-16"), 1),
        (b"# " + b"\xff" * 3, 1),
    ],
)
def test_a_text_in_another_encoding_is_named_with_its_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    with pytest.raises(ConfigWrong) as caught:
        raw(tmp_path, content)
    assert f"line {line}: the text is not UTF-8" in caught.value.message
    assert "UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[run]\npoll_second = 3\n", "[run] poll_seconds"),
        ("[rnu]\npoll_seconds = 3\n", "[run] poll_seconds"),
        ('[scope]\ncollections = ["a.b.c"]\n', "[mirror] collections"),
        ('[hooks]\nafterpull = ["x"]\n', "[hooks] after_pull"),
        ("[mirror]\nsettle_second = 3\n", "[push] settle_seconds"),
        ("poll-seconds = 3\n", "[run] poll_seconds"),
    ],
)
def test_a_key_that_is_nearly_a_setting_is_answered_with_its_name(
    tmp_path: Path, text: str, meant: str
) -> None:
    with pytest.raises(ConfigWrong) as caught:
        read(tmp_path, text)
    assert f"did you mean {meant}?" in caught.value.hint


@pytest.mark.parametrize("text", ["run = 3\n", "[[run]]\npoll_seconds = 3\n"])
def test_a_value_in_the_place_of_a_table_is_named_as_that(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigWrong, match="run is a table") as caught:
        read(tmp_path, text)
    assert "[run]" in caught.value.hint


def test_every_mistake_has_a_next_step(tmp_path: Path) -> None:
    for text in ("", "x", '[mirror]\ndid = "alice"\n', MINIMAL + 'collections = ["nonsense"]\n'):
        with pytest.raises(ConfigWrong) as caught:
            read(tmp_path, text)
        assert caught.value.hint, text


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "syncd.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    with pytest.raises(ConfigWrong, match="is not a file"):
        load_config(file, {})


def test_a_bad_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigWrong, match="SYNCD_PLC_URL"):
        read(tmp_path, MINIMAL, SYNCD_PLC_URL="nonsense")
    with pytest.raises(ConfigWrong, match="SYNCD_PDS"):
        read(tmp_path, MINIMAL, SYNCD_PDS="nonsense")


SERVERS = [("mirror", "pds"), ("mirror", "plc"), ("run", "jetstream")]


def set_server(tmp_path: Path, section: str, key: str, value: str) -> Config:
    inside = "" if section == "mirror" else f"[{section}]\n"
    return read(tmp_path, f'{MINIMAL}{inside}{key} = "{value}"\n')


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://pds.example.com", "https://pds.example.com"),
        ("https://pds.example.com/", "https://pds.example.com"),
        ("https://PDS.Example.com", "https://pds.example.com"),
        ("https://pds.example.com:8443", "https://pds.example.com:8443"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2606:4700::1]:8443", "https://[2606:4700::1]:8443"),
        ("https://[2606:4700::1]:443", "https://[2606:4700::1]"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:2583/", "http://localhost:2583"),
        ("http://[::1]:2583", "http://[::1]:2583"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
    ],
)
def test_a_server_is_read_into_the_form_that_connections_use(
    tmp_path: Path, text: str, origin: str
) -> None:
    assert str(parse_origin(text)) == origin
    for section, key in SERVERS:
        assert getattr(set_server(tmp_path, section, key, text), key) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pds.example.com",
        "ftp://pds.example.com",
        "http://pds.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:port",
        "https://pds.example.com:",
        "https://",
        "https://pds.example.com//",
        "https://pds.example.com/xrpc",
        "https://pds.example.com?x=1",
        "https://pds.example.com#x",
        "https://user:secret@pds.example.com",
        "https://pds example.com",
        "https://pds.example.com.",
        "https://[::1",
        "https://pds.exämple.com",
    ],
)
def test_a_server_that_could_not_be_connected_to_is_no_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_origin(text)
    for section, key in SERVERS:
        with pytest.raises(
            ConfigWrong, match=rf"line [34], column 1: \[{section}\] {key} needs"
        ) as caught:
            set_server(tmp_path, section, key, text)
        assert "secret" not in caught.value.message
    if text:
        with pytest.raises(ConfigWrong, match="SYNCD_PLC_URL needs"):
            read(tmp_path, MINIMAL, SYNCD_PLC_URL=text)


def test_scope_is_patterns_minus_patterns() -> None:
    config = Config(Did(DID), collections=("app.bsky.*",), exclude=("app.bsky.feed.l*",))
    assert config.covers("app.bsky.feed.post")
    assert not config.covers("app.bsky.feed.like")
    assert not config.covers("com.example.note")
    assert config.covers_path(RecordPath("app.bsky.feed.post/abc"))
    assert Config(Did(DID)).covers("com.example.note")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (None, None, None)),
        ("[push]\nvalidate = true\n", (True, True, True)),
        (
            '[push]\nvalidate = { "com.example.note" = false, "com.*" = true }\n',
            (False, True, None),
        ),
        ('[push.validate]\n"com.*" = true\n"com.example.note" = false\n', (True, True, None)),
    ],
)
def test_validation_is_set_for_all_or_for_each_pattern(
    tmp_path: Path, text: str, expected: tuple[bool | None, ...]
) -> None:
    config = read(tmp_path, MINIMAL + text)
    paths = ("com.example.note/a", "com.example.other/a", "org.example.note/a")
    assert tuple(config.validate_of(RecordPath(path)) for path in paths) == expected
    assert read(tmp_path, render_config(config)) == config


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ('"yes"', 1),
        ("1", 1),
        ('{ "com.*" = 1 }', 14),
        ('{ "com.*" = true, "not a pattern" = true }', 30),
        ("[]", 1),
    ],
)
def test_a_wrong_validate_is_named_with_its_place(tmp_path: Path, value: str, column: int) -> None:
    with pytest.raises(ConfigWrong) as caught:
        read(tmp_path, MINIMAL + f"[push]\nvalidate = {value}\n")
    assert f"line 4, column {column}: [push] validate" in caught.value.message


PATHS = tuple(map(RecordPath, ("com.example.note/a", "com.example.other/a", "org.example.note/a")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (False, False, False)),
        ('[push]\nwhen = "save"\n', (False, False, False)),
        ('[push]\nwhen = "ask"\n', (True, True, True)),
        ('[push.when]\n"com.example.*" = "ask"\n', (True, True, False)),
        (
            '[push]\nwhen = { "com.example.other" = "save", "com.*" = "ask" }\n',
            (True, False, False),
        ),
        ('[push.when]\n"*" = "ask"\n"com.example.note" = "save"\n', (True, True, True)),
    ],
)
def test_a_push_asks_in_all_collections_or_by_the_first_pattern(
    tmp_path: Path, text: str, expected: tuple[bool, ...]
) -> None:
    config = read(tmp_path, MINIMAL + text)
    assert tuple(map(config.asks_before_push, PATHS)) == expected
    assert read(tmp_path, render_config(config)) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0.0, 0.0, 0.0)),
        ("[push]\nsettle_seconds = 30\n", (30.0, 30.0, 30.0)),
        ("[push]\nsettle_seconds = 0\n", (0.0, 0.0, 0.0)),
        (
            '[push.settle_seconds]\n"com.example.note" = 0.5\n"com.*" = 60\n',
            (0.5, 60.0, 0.0),
        ),
    ],
)
def test_files_settle_for_so_long_in_all_collections_or_by_the_first_pattern(
    tmp_path: Path, text: str, expected: tuple[float, ...]
) -> None:
    config = read(tmp_path, MINIMAL + text)
    assert tuple(map(config.settle_seconds_of, PATHS)) == expected
    assert read(tmp_path, render_config(config)) == config


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('when = "later"\n', "line 4, column 1: [push] when"),
        ("  when = true\n", "line 4, column 3: [push] when"),
        ('when = ["ask"]\n', "line 4, column 1: [push] when"),
        ('when = { "com.*" = "ask", "org.*" = "no" }\n', "line 4, column 27: [push] when"),
        ('when = { "com.*" = "ask", "org .*" = "ask" }\n', "line 4, column 27: [push] when"),
        ('"when"."com.*" = "never"\n', "line 4, column 1: [push] when"),
        ("settle_seconds = -1\n", "line 4, column 1: [push] settle_seconds"),
        ("settle_seconds = true\n", "line 4, column 1: [push] settle_seconds"),
        ("settle_seconds = nan\n", "line 4, column 1: [push] settle_seconds"),
        ("settle_seconds = 86401\n", "line 4, column 1: [push] settle_seconds"),
        ('settle_seconds = "30"\n', "line 4, column 1: [push] settle_seconds"),
        ('[push.when]\n"com.*" = "ask"\n"x.*" = 3\n', "line 6, column 1: [push] when"),
        (
            "[push.settle_seconds]\n\"com.*\" = 1\n  'x.*' = inf\n",
            "line 6, column 3: [push] settle_seconds",
        ),
    ],
)
def test_a_wrong_time_to_push_is_one_sentence_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    with pytest.raises(ConfigWrong) as caught:
        read(tmp_path, MINIMAL + "[push]\n" + text)
    assert f"syncd.toml, {place}" in caught.value.message
    assert "\n" not in caught.value.message
