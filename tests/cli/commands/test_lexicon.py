"""`syncd lexicon`: a linter of any folder, and where lexicons are from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncd.cli import cli
from syncd.errors import SyncdError

NOW = "2026-11-29T10:00:00.000Z"
POST = "app.bsky.feed.post/3jzfcijpj2z2a.json"
BAD = f"""{{
  "$type": "app.bsky.feed.post",
  "text": "hello",
  "createdAt": "{NOW}",
  "langs": ["en", "de", "fr", "it"],
  "tag": ["x"]
}}
"""
THING = {
    "lexicon": 1,
    "id": "com.example.thing",
    "defs": {
        "main": {
            "type": "record",
            "key": "literal:self",
            "record": {"type": "object", "properties": {"n": {"type": "integer"}}},
        }
    },
}


def put(root: Path, file: str, content: object) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["-C", str(root), "lexicon", *arguments], standalone_mode=True, catch_exceptions=True
    )


def check(root: Path, *arguments: str) -> tuple[dict[str, Any], int]:
    done = run(root, "check", "--json", *arguments)
    return json.loads(done.stdout), done.exit_code


def places(found: dict[str, Any], kind: str = "faults") -> list[tuple[str, int, int, str]]:
    return [(f["file"], f["line"], f["column"], f["pointer"]) for f in found[kind]]


def test_a_fault_is_printed_at_its_line_as_compilers_do(tmp_path: Path) -> None:
    put(tmp_path, POST, BAD)
    done = run(tmp_path, "check")
    assert done.exit_code == 3
    first, note, summary = done.stdout.splitlines()
    assert first.startswith(f"{POST}:5:12: langs: ")
    assert note.startswith(f"{POST}:6:10: note: tag: ")
    assert "1 file checked" in summary


def test_a_folder_without_a_fault_exits_with_0(tmp_path: Path) -> None:
    put(tmp_path, POST, {"text": "x", "createdAt": NOW})
    put(tmp_path, "com.example.other/a.json", {"anything": 1})
    found, code = check(tmp_path)
    assert code == 0
    assert found == {
        "version": 1,
        "files": 2,
        "without_lexicon": {"com.example.other": 1},
        "faults": [],
        "notes": [],
    }
    assert run(tmp_path, "check").exit_code == 0
    assert run(tmp_path.parent, "check", "nothing/here").exit_code != 0


def test_every_kind_of_file_is_checked(tmp_path: Path) -> None:
    put(tmp_path, POST, BAD)
    put(tmp_path, "app.bsky.feed.post/+draft.json", {"text": "no date"})
    put(tmp_path, "app.bsky.feed.like/x.json", "{")
    put(tmp_path, "lexicons/com/example/thing.json", THING)
    put(tmp_path, "lexicons/com/example/other.json", THING)
    put(tmp_path, "com.example.thing/other.json", {"n": "x"})
    put(tmp_path, "com.atproto.lexicon.schema/com.example.bad.json", {"lexicon": 1})
    put(tmp_path, "notes.txt", "x")
    put(tmp_path, ".syncd/conflicts/app.bsky.feed.post/a.json", "{")
    found, code = check(tmp_path)
    assert code == 3
    assert found["files"] == 7
    assert sorted(places(found), key=str) == [
        ("app.bsky.feed.like/x.json", 1, 2, ""),
        ("app.bsky.feed.post/+draft.json", 1, 1, ""),
        (POST, 5, 12, "/langs"),
        ("com.atproto.lexicon.schema/com.example.bad.json", 1, 1, ""),
        ("com.atproto.lexicon.schema/com.example.bad.json", 1, 1, ""),
        ("com.example.thing/other.json", 1, 7, "/n"),
        ("com.example.thing/other.json", None, None, ""),
        ("lexicons/com/example/other.json", 1, 22, "/id"),
    ]


@pytest.mark.parametrize(
    "name",
    ["app.bsky.feed.post", "app.bsky.feed.post/", "app.bsky.feed.post/3jzfcijpj2z2a", POST],
)
def test_a_path_chooses_what_is_checked(tmp_path: Path, name: str) -> None:
    put(tmp_path, POST, BAD)
    put(tmp_path, "app.bsky.feed.like/x.json", "{")
    found, _ = check(tmp_path, name)
    assert [each["file"] for each in found["faults"]] == [POST]


def is_unknown(error: BaseException | None) -> bool:
    """The name is wrong, not the folder: docs/errors.md has 78 for that."""
    return isinstance(error, SyncdError) and error.exit_code == 1 and bool(error.hint)


def test_a_path_that_is_no_file_is_an_error_and_no_success(tmp_path: Path) -> None:
    put(tmp_path, POST, BAD)
    done = run(tmp_path, "check", "app.bsky.feed.pst")
    assert is_unknown(done.exception)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.json", "{")
    root = tmp_path / "folder"
    root.mkdir()
    (root / "app.bsky.feed.post").symlink_to(tmp_path / "elsewhere")
    put(root, "app.bsky.feed.like/x.json", "{")
    (root / "app.bsky.feed.like" / "y.json").symlink_to(tmp_path / "elsewhere" / "a.json")
    found, code = check(root)
    assert {each["file"] for each in found["faults"]} == {
        "app.bsky.feed.like/x.json",
        "app.bsky.feed.like/y.json",
    }
    assert code == 3


def test_the_form_of_github_escapes_what_ends_a_command(tmp_path: Path) -> None:
    put(tmp_path, "app.bsky.feed.post/a%3Ab.json", {"text": 1, "createdAt": "100%\n"})
    done = run(tmp_path, "check", "--format=github")
    assert done.exit_code == 3
    assert len(done.stdout.splitlines()) == 3
    for line in done.stdout.splitlines():
        assert line.startswith("::error file=app.bsky.feed.post/a%253Ab.json,line=1,col=")
    assert "100%25" in done.stdout


def test_a_mirror_is_checked_from_anywhere_in_it(tmp_path: Path) -> None:
    put(tmp_path, POST, BAD)
    inside = tmp_path / "app.bsky.feed.post"
    found, _ = check(inside)
    assert found["files"] == 0, "without a mirror, the folder is the one that was named"


def test_the_lexicons_are_listed_with_where_they_are_from(tmp_path: Path) -> None:
    put(tmp_path, POST, BAD)
    put(tmp_path, "com.example.thing/self.json", {})
    put(tmp_path, "com.example.none/self.json", {})
    put(tmp_path, "com.example.bad/self.json", {})
    put(tmp_path, "lexicons/com/example/thing.json", THING)
    put(tmp_path, "lexicons/com/example/bad.json", THING)
    found = json.loads(run(tmp_path, "ls", "--json").stdout)
    origins = {row["collection"]: row["origin"] for row in found["collections"]}
    assert origins == {
        "app.bsky.feed.post": "bundle",
        "com.example.thing": "folder",
        "com.example.none": None,
        "com.example.bad": "folder",
    }
    assert found["bundle"]["package"] == "@atproto/api"
    (bad,) = (r["problem"] for r in found["collections"] if r["collection"] == "com.example.bad")
    assert "com.example.bad" in bad
    text = run(tmp_path, "ls").stdout
    assert "lexicons/com/example/thing.json" in text
    assert found["bundle"]["published"] in text


def test_a_lexicon_is_shown_as_json(tmp_path: Path) -> None:
    put(tmp_path, "lexicons/com/example/thing.json", THING)
    assert json.loads(run(tmp_path, "show", "com.example.thing").stdout) == THING
    shipped = json.loads(run(tmp_path, "show", "app.bsky.feed.post").stdout)
    assert shipped["defs"]["main"]["key"] == "tid"
    assert is_unknown(run(tmp_path, "show", "com.example.none").exception)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("show", "app.bsky.feed.pots"), "app.bsky.feed.post"),
        (("show", "com.example.things"), "com.example.thing"),
        (("check", "app.bsky.feed.pst"), "app.bsky.feed.post"),
        (("check", POST.replace("2a.json", "2b.json")), POST),
    ],
)
def test_a_name_that_is_nearly_another_is_asked_about(
    tmp_path: Path, arguments: tuple[str, ...], meant: str
) -> None:
    put(tmp_path, POST, BAD)
    put(tmp_path, "lexicons/com/example/thing.json", THING)
    error = run(tmp_path, *arguments).exception
    assert isinstance(error, SyncdError)
    assert is_unknown(error)
    assert meant in error.hint
    other = run(tmp_path, arguments[0], "org.nothing.alike").exception
    assert isinstance(other, SyncdError)
    assert is_unknown(other)
    assert meant not in other.hint
