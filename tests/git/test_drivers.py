"""The merge driver and the diff driver, called by git itself in a clone without credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.forms import USUAL
from syncd.git.drivers import attribute_line
from syncd.merge.texts import merge_texts
from tests.rigs.machine import Machine

from .conftest import Repo, make_repo

NOTE = "com.example.note/one.json"


@pytest.fixture(params=["", "sites/my [notes]/"], ids=["at-the-top", "inside"])
def clone(request: pytest.FixtureRequest, tmp_path: Path, own_git: Path) -> Clone:
    """A repository that the drivers were installed in."""
    repo = make_repo(tmp_path / "clone")
    clone = Clone(
        repo, request.param, Machine(tmp_path / "home", {"GIT_CONFIG_GLOBAL": str(own_git)})
    )
    folder = repo.top / request.param
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "syncd.toml").write_text(
        '[mirror]\ndid = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"\n'
        '[conflicts]\ntext = ["com.example.page"]\n',
        encoding="utf-8",
    )
    clone.machine.ok("git", "install", at=folder)
    return clone


class Clone:
    def __init__(self, repo: Repo, prefix: str, machine: Machine) -> None:
        self.repo, self.prefix, self.machine = repo, prefix, machine

    def file(self, name: str) -> Path:
        return self.repo.top / self.prefix / name

    def write(self, name: str, text: str) -> None:
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        self.file(name).write_text(text, encoding="utf-8")

    def branches(self, name: str, base: str | None, ours: str, theirs: str) -> None:
        """One commit on each of two branches, from the same start."""
        self.write("com.example.other/x.json", "{}")
        if base is not None:
            self.write(name, base)
        self.repo.commit_all("Base")
        self.repo.git("switch", "--quiet", "--create", "side")
        self.write(name, theirs)
        self.repo.commit_all("Theirs")
        self.repo.git("switch", "--quiet", "main")
        self.write(name, ours)
        self.repo.commit_all("Ours")

    def read(self, name: str) -> Any:  # noqa: ANN401
        return json.loads(self.file(name).read_text(encoding="utf-8"))


def line(**fields: Any) -> str:  # noqa: ANN401
    """All in one line: nothing that git could merge by itself."""
    return json.dumps(fields)


def test_git_merges_different_fields_of_one_line(clone: Clone) -> None:
    clone.branches(NOTE, line(a=1, b=1), line(a=2, b=1), line(a=1, b=1, c=3))
    clone.repo.git("merge", "--no-edit", "side")
    assert clone.read(NOTE) == {"$type": "com.example.note", "a": 2, "b": 1, "c": 3}
    assert clone.repo.status() == []


def test_a_collision_is_a_conflict_with_git_s_marks_around_the_field_alone(clone: Clone) -> None:
    clone.branches(NOTE, line(a=1, b=1), line(a=2, b=2), line(a=3, b=1))
    out = clone.repo.git("merge", "--no-edit", "side", code=1)
    assert "both sides changed /a" in out
    assert clone.file(NOTE).read_text(encoding="utf-8").splitlines()[2:8] == [
        "<<<<<<< ours",
        '  "a": 2,',
        "=======",
        '  "a": 3,',
        ">>>>>>> theirs",
        '  "b": 2',
    ]
    assert clone.repo.status() == [
        f'UU "{clone.prefix}{NOTE}"' if " " in clone.prefix else f"UU {NOTE}"
    ]


def test_records_that_both_sides_made_are_merged_from_nothing(clone: Clone) -> None:
    clone.branches(NOTE, None, line(a=1, s=0), line(b=2, s=0))
    clone.repo.git("merge", "--no-edit", "side")
    assert clone.read(NOTE) == {"$type": "com.example.note", "a": 1, "b": 2, "s": 0}


def test_strings_are_merged_by_line_where_the_settings_say_so(clone: Clone) -> None:
    page = "com.example.page/one.json"
    clone.branches(page, line(t="1\n2\n3\n"), line(t="one\n2\n3\n"), line(t="1\n2\nthree\n"))
    clone.repo.git("merge", "--no-edit", "side")
    assert clone.read(page)["t"] == "one\n2\nthree\n"


def test_what_is_no_record_is_merged_by_git_s_own_lines(clone: Clone) -> None:
    texts = "{\n1\n2\n3\n4\n}\n", "{\none\n2\n3\n4\n}\n", "{\n1\n2\n3\nfour\n}\n"
    clone.branches(NOTE, *texts)
    clone.repo.git("merge", "--no-edit", "side")
    assert clone.file(NOTE).read_text(encoding="utf-8") == "{\none\n2\n3\nfour\n}\n"
    clone.repo.git("reset", "--quiet", "--hard", "HEAD~1")
    clone.write(NOTE, "{\nuno\n2\n3\n4\n}\n")
    clone.repo.commit_all("Collide")
    clone.write(NOTE, "{\n")
    clone.repo.git("switch", "--quiet", "--force", "side")
    clone.write(NOTE, "{\nein\n2\n3\n4\n}\n")
    clone.repo.commit_all("Too")
    clone.repo.git("merge", "--no-edit", "main", code=1)
    assert "<<<<<<< ours" in clone.file(NOTE).read_text(encoding="utf-8")


def test_a_rebase_and_a_cherry_pick_use_the_driver_too(clone: Clone) -> None:
    clone.branches(NOTE, line(a=1, b=1), line(a=2, b=1), line(a=1, b=2))
    clone.repo.git("rebase", "--quiet", "side")
    assert clone.read(NOTE) == {"$type": "com.example.note", "a": 2, "b": 2}


def test_the_order_and_layout_of_keys_is_no_difference(clone: Clone) -> None:
    clone.write(NOTE, '{"b": 1, "a": {"y": 1, "x": 2}}')
    clone.repo.commit_all("Base")
    clone.write(NOTE, '{\n  "a": {"x": 2, "y": 1},\n\n  "b": 1}\n')
    assert not [row for row in clone.repo.git("diff").splitlines() if row.startswith("@@")]
    clone.write(NOTE, '{\n  "a": {"x": 3, "y": 1},\n\n  "b": 1}\n')
    changed = [row for row in clone.repo.git("diff").splitlines() if row[:1] in "+-"][2:]
    assert changed == ['-    "x": 2,', '+    "x": 3,']
    clone.write(NOTE, "{no JSON}")
    assert "+{no JSON}" in clone.repo.git("diff")


def test_git_shows_a_picture_as_its_file_type_and_size(clone: Clone) -> None:
    ref = BlobRef(cid_of_blob(b"cat"), "image/jpeg", 1_200_000)
    uploaded, named = line(image=to_json(ref.value)), {"$type": "blob", "$file": "a.png"}
    clone.write(NOTE, line(image=named))
    clone.repo.commit_all("Name a file")
    clone.write(NOTE, uploaded)
    out = clone.repo.git("diff")
    assert '-  "image": "a.png, to be uploaded"' in out
    assert f'+  "image": "blobs/{ref.cid}.jpg (image/jpeg, 1.2 MB)"' in out
    assert out.count(str(ref.cid)) == 1
    assert json.loads(clone.file(NOTE).read_text(encoding="utf-8")) == json.loads(uploaded)


def test_other_json_files_stay_git_s(clone: Clone) -> None:
    for name in ("package.json", "src/a.json", "com.example.note/one.txt"):
        out = clone.repo.git("check-attr", "merge", "diff", "--", clone.prefix + name)
        assert out.count("unspecified") == 2, name
    for name in (NOTE, "com.example.note/long%/one.json"):
        out = clone.repo.git("check-attr", "merge", "diff", "--", clone.prefix + name)
        assert out.count(": syncd") == 2, name


def test_uninstall_leaves_no_trace(clone: Clone) -> None:
    attributes = clone.repo.top / ".git" / "info" / "attributes"
    clone.machine.ok("git", "install", at=clone.file(""))
    assert attributes.read_text(encoding="utf-8").count("merge=syncd") == 1
    mine = "*.png binary\n"
    attributes.write_text(mine + attributes.read_text(encoding="utf-8"), encoding="utf-8")
    clone.machine.ok("git", "uninstall", at=clone.file(""))
    assert attributes.read_text(encoding="utf-8") == mine
    assert "syncd" not in (clone.repo.top / ".git" / "config").read_text(encoding="utf-8")
    assert clone.machine.ok("git", "uninstall", at=clone.file("")).out == "nothing to remove\n"


def test_a_directory_called_syncd_in_the_worktree_is_not_run(clone: Clone) -> None:
    trap = clone.repo.top / "syncd"
    trap.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (trap / name).write_text("raise SystemExit(99)\n", encoding="utf-8")
    clone.branches(NOTE, line(a=1, b=1), line(a=2, b=1), line(a=1, b=2))
    clone.repo.git("merge", "--no-edit", "side")
    assert clone.read(NOTE)["b"] == 2


def test_it_can_be_installed_where_no_mirror_is_known(tmp_path: Path, own_git: Path) -> None:
    repo = make_repo(tmp_path / "plain")
    (repo.top / "below").mkdir()
    machine = Machine(tmp_path / "home", {"GIT_CONFIG_GLOBAL": str(own_git)})
    out = machine.ok("git", "install", at=repo.top / "below").out
    assert "merges and shows /*.*.*/**/*.json with syncd" in out
    assert repo.git("check-attr", "merge", "--", NOTE).endswith(": merge: syncd")


def test_from_the_top_of_the_repository_the_mirror_below_is_found(
    tmp_path: Path, own_git: Path
) -> None:
    repo = make_repo(tmp_path / "plain")
    machine = Machine(tmp_path / "home", {"GIT_CONFIG_GLOBAL": str(own_git)})
    for name in ("site", "other"):
        (repo.top / name).mkdir()
        (repo.top / name / "syncd.toml").touch()
        repo.git("add", f"{name}/syncd.toml")
        repo.git("commit", "--quiet", "--message", name)
        ran = machine.run("git", "install", at=repo.top)
        if name == "site":
            assert "merges and shows /site/*.*.*/**/*.json with syncd" in ran.out
    assert (ran.code, ran.out) == (1, "")
    assert "there are 2 mirrors below" in ran.err
    assert f"next: name one of them: syncd -C {repo.top}/other git install" in ran.err


def test_where_there_is_no_git_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    ran = Machine(tmp_path / "home").run("git", "install")
    assert (ran.code, ran.out) == (1, "")
    assert "is not in a git repository\n  next: run git init" in ran.err


def test_the_merge_is_symmetric_but_for_the_text_that_is_kept() -> None:
    base, ours, theirs = (t.encode() for t in (line(a=1), line(a=1, b=2), line(a=1)))
    assert merge_texts(base, ours, theirs, "com.example.note") == (ours, ())
    assert merge_texts(base, theirs, ours, "com.example.note") == (ours, ())


def test_marks_are_as_long_as_git_asks_and_no_text_can_pass_for_one() -> None:
    hostile = "\n<<<<<<< folder\n=======\n"
    texts = (line(a=1, t=hostile), line(a=2, t=hostile), line(a=3, t=hostile))
    merged, collisions = merge_texts(
        *(texts[0].encode(), texts[1].encode(), texts[2].encode()),
        "com.example.note",
        mark_length=9,
    )
    assert collisions == ("/a",)
    rows = merged.decode().splitlines()
    assert [row for row in rows if row[:1] in "<=>"] == [
        "<" * 9 + " ours",
        "=" * 9,
        ">" * 9 + " theirs",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b'{"b":1,"a":2}', b'{\n  "a": 2,\n  "b": 1\n}\n'),
        (b'{"b":1,"$type":"x.y.z"}', b'{\n  "$type": "x.y.z",\n  "b": 1\n}\n'),
        (b'{"b":1.5}', b'{"b":1.5}'),
        (b"[" * 100_000, b"[" * 100_000),
        (b"\xff", b"\xff"),
        (b"", b""),
        (b"[1]", b"[1]"),
    ],
)
def test_what_is_shown_is_in_order_or_as_it_is(text: bytes, shown: bytes) -> None:
    assert USUAL.default.ordered(text) == shown


def test_the_attribute_of_a_strange_directory_is_quoted() -> None:
    assert attribute_line("", ".json") == "/*.*.*/**/*.json merge=syncd diff=syncd"
    assert attribute_line("a/", ".json") == "/a/*.*.*/**/*.json merge=syncd diff=syncd"
    assert attribute_line('a "b"*/', ".json").startswith(r'"/a \"b\"\\*/*.*.*/**/*.json" ')
