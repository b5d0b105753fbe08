"""What `new` says of a file that cannot be taken over, and of a collection that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.errors import BadSyntax, FileChanged, FileProblem, SyncdError
from tests.rigs.mirrors import make_mirror

BLOG = "com.whtwnd.blog.entry"


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("post.md", '+++\ntitle = "A"\n+++\n', ":1:1:"),
        ("post.md", "---\ntitle: &a A\n---\n", ":2:8:"),
        ("post.json", '{\n  "a": 1,,\n}', ":2:10:"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, name: str, text: str, place: str
) -> None:
    root = make_mirror(tmp_path / "notes")
    with (root / "syncd.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[files]\nmarkdown = {{ "{BLOG}" = "content" }}\n')
    source = tmp_path / name
    source.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", BLOG, str(source)])
    assert isinstance(done.exception, FileProblem)
    assert done.exception.message.startswith(f"{source}{place}")
    assert not list((root / BLOG).glob("*"))


def test_a_collection_that_is_nearly_another_is_asked_about_and_made_all_the_same(
    tmp_path: Path,
) -> None:
    root = make_mirror(tmp_path / "notes")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", "app.bsky.feed.pots"])
    assert done.exit_code == 0
    assert "app.bsky.feed.post?" in done.stderr
    assert (root / done.stdout.strip()).is_file()
    known = CliRunner().invoke(cli, ["-C", str(root), "new", "app.bsky.feed.post"])
    assert known.stderr == ""


def test_of_a_namespace_the_collections_below_it_are_named(tmp_path: Path) -> None:
    """They are those of lexicons and of the folder; what holds no records is none of them."""
    root = make_mirror(tmp_path / "notes")
    for name in ("app.bsky.feed.saved", "app.bsky.feed.no name"):
        (root / name).mkdir()
    done = CliRunner().invoke(cli, ["-C", str(root), "new", "app.bsky.feed"])
    assert done.exit_code == 0
    assert (root / done.stdout.strip()).is_file()
    for name in ("app.bsky.feed.post", "app.bsky.feed.like", "app.bsky.feed.saved"):
        assert name in done.stderr
    assert "app.bsky.feed.defs" not in done.stderr
    again = CliRunner().invoke(cli, ["-C", str(root), "new", "app.bsky.feed"])
    assert again.stderr == ""


@pytest.mark.parametrize("typed", ["app.bsky", "app.bsky.", "./app.bsky", "app"])
def test_of_a_namespace_that_is_no_nsid_the_collections_below_it_are_named(
    tmp_path: Path, typed: str
) -> None:
    root = make_mirror(tmp_path / "notes")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", typed])
    assert isinstance(done.exception, BadSyntax)
    assert "app.bsky.actor.profile" in done.exception.hint
    assert not any("." in file.name for file in root.glob("app*"))
    unknown = CliRunner().invoke(cli, ["-C", str(root), "new", "nobody.example"])
    assert isinstance(unknown.exception, BadSyntax)
    assert "profile" not in unknown.exception.hint


def test_of_a_lexicon_without_records_the_collections_beside_it_are_named(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", "app.bsky.feed.defs"])
    assert done.exit_code == 0
    assert "app.bsky.feed.post" in done.stderr
    assert "app.bsky.actor.profile" not in done.stderr


@pytest.mark.parametrize("typed", ["com.example.note/bread", "./com.example.note/bread.json"])
def test_a_record_that_is_named_is_the_name_of_its_draft(tmp_path: Path, typed: str) -> None:
    root = make_mirror(tmp_path / "notes")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", typed])
    assert done.stdout.strip() == "com.example.note/bread.draft.json"
    before = (root / done.stdout.strip()).read_bytes()
    again = CliRunner().invoke(cli, ["-C", str(root), "new", typed])
    assert isinstance(again.exception, FileChanged)
    assert (root / done.stdout.strip()).read_bytes() == before


def test_a_name_that_the_lexicon_forbids_makes_no_draft(tmp_path: Path) -> None:
    root, profile = make_mirror(tmp_path / "notes"), "app.bsky.actor.profile"
    wrong = CliRunner().invoke(cli, ["-C", str(root), "new", f"{profile}/me"])
    assert isinstance(wrong.exception, BadSyntax)
    assert profile in wrong.exception.hint
    right = CliRunner().invoke(cli, ["-C", str(root), "new", f"{profile}/self"])
    assert right.stdout.strip() == f"{profile}/self.draft.json"


@pytest.mark.parametrize("editor", ["false", "no-such-editor"])
def test_of_an_editor_that_fails_the_draft_stays_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    root = make_mirror(tmp_path / "notes")
    words = ["-C", str(root), "new", "com.example.note/bread", "--edit"]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, SyncdError)
    assert (root / done.stdout.strip()).is_file()
    assert done.stdout.strip() in done.exception.hint


def test_a_source_that_is_missing_has_a_next_step(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "notes")
    done = CliRunner().invoke(cli, ["-C", str(root), "new", BLOG, str(tmp_path / "none")])
    assert isinstance(done.exception, FileProblem)
    assert done.exception.hint
