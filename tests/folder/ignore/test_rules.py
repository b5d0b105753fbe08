"""`.syncdignore`: what it leaves out, in git's words, and what becomes of what it does not say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.folder.ignore.rules import MAX_BYTES, Match, Rules, read_rules
from syncd.folder.root import Folder

NOTE = "com.example.note"


def rules(folder: Folder, content: bytes | None = None) -> Rules:
    if content is not None:
        (folder.root / ".syncdignore").write_bytes(content)
    with folder.open() as root:
        return read_rules(root)


def test_without_a_file_only_what_programs_leave_is_ignored(folder: Folder) -> None:
    found = rules(folder)
    assert found.problem is None
    assert not found.excludes(f"{NOTE}/one.json")
    assert found.excludes(f"{NOTE}/one_BASE_12.json")


@pytest.mark.parametrize(
    ("line", "ignored", "not_ignored"),
    [
        ("*.tmp.json", f"{NOTE}/a.tmp.json", f"{NOTE}/a.json"),
        (f"{NOTE}/", f"{NOTE}/a.json", "com.example.other/a.json"),
        (f"/{NOTE}/x*", f"{NOTE}/x1.json", f"{NOTE}/y.json"),
        ("x?.json", f"{NOTE}/x1.json", f"{NOTE}/x12.json"),
        ("x[0-9].json", f"{NOTE}/x1.json", f"{NOTE}/xa.json"),
        ("**/private*", f"{NOTE}/private.json", f"{NOTE}/public.json"),
        ("com.example.*/x.json", f"{NOTE}/x.json", "org.example.note/x.json"),
        ("\\#x.json", f"{NOTE}/#x.json", f"{NOTE}/x.json"),
    ],
)
def test_a_line_means_what_it_means_to_git(
    folder: Folder, line: str, ignored: str, not_ignored: str
) -> None:
    found = rules(folder, line.encode() + b"\n")
    assert found.problem is None
    assert found.excludes(ignored)
    assert not found.excludes(not_ignored)


def test_git_itself_says_the_same(folder: Folder, tmp_path: Path) -> None:
    lines = ["# mine", "", "*.tmp.json", "!keep.tmp.json", "/com.example.note/x*", "d.e.f/", "  "]
    names = [
        *(f"{NOTE}/a.tmp.json", f"{NOTE}/keep.tmp.json", f"{NOTE}/x.json", f"{NOTE}/y.json"),
        *("d.e.f/a.json", "d.e.f/keep.tmp.json", "a.b.c/com.example.note/x.json"),
    ]
    (tmp_path / ".gitignore").write_text("\n".join(lines) + "\n")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    ran = subprocess.run(
        ["git", "check-ignore", *names], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = rules(folder, ("\n".join(lines) + "\n").encode())
    assert [name for name in names if found.excludes(name)] == ran.stdout.split()


def test_the_line_that_ignores_a_name_is_named(folder: Folder) -> None:
    found = rules(folder, b"# notes\r\n\r\n   \n*.old.json\r\n!b.old.json\n")
    match = found.match(f"{NOTE}/a.old.json")
    assert match is not None
    assert match.line == 4
    assert found.match(f"{NOTE}/b.old.json") is None


def test_a_line_takes_a_built_in_form_back(folder: Folder) -> None:
    found = rules(folder, b"!*_BASE_*.json\n")
    assert found.match(f"{NOTE}/one_BASE_12.json") is None
    assert isinstance(found.match(f"{NOTE}/one_LOCAL_12.json"), Match)


@pytest.mark.parametrize("line", [b"!", b"foo\\", b"[z-a].json", b"[[:alpha:]].json"])
def test_a_bad_line_is_named_and_no_new_file_becomes_a_record(folder: Folder, line: bytes) -> None:
    found = rules(folder, b"*.old.json\n\n" + line + b"\n*.new.json\n")
    assert found.problem is not None
    assert (found.problem.path, found.problem.line) == (".syncdignore", 3)
    assert found.excludes(f"{NOTE}/anything.json")
    # The other lines are read all the same.
    assert found.match(f"{NOTE}/a.new.json") == Match("line 4 of .syncdignore ignores it", 4)
    assert found.match(f"{NOTE}/anything.json") is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe*.json", b"x\n" * MAX_BYTES])
def test_a_file_that_cannot_be_understood_keeps_every_new_file_back(
    folder: Folder, content: bytes
) -> None:
    found = rules(folder, content)
    assert found.problem is not None
    assert found.excludes(f"{NOTE}/anything.json")


def test_a_link_or_a_directory_in_its_place_is_a_problem(folder: Folder) -> None:
    file = folder.root / ".syncdignore"
    file.mkdir()
    assert rules(folder).problem is not None
    file.rmdir()
    (folder.root / "elsewhere").write_text("*.json\n")
    file.symlink_to("elsewhere")
    assert rules(folder).problem is not None
    file.unlink()
    os.mkfifo(file)
    assert rules(folder).problem is not None


def test_a_byte_order_mark_is_no_part_of_the_first_line(folder: Folder) -> None:
    found = rules(folder, b"\xef\xbb\xbfx.json\n")
    assert found.match(f"{NOTE}/x.json") is not None


def test_other_rules_have_another_digest(folder: Folder) -> None:
    contents = [None, b"a\n", b"b\n", b"", b"\xff"]
    digests = {rules(folder, content).digest for content in contents}
    assert len(digests) == len(contents)
    assert rules(folder, b"a\n").digest == rules(folder, b"a\n").digest


def test_the_library_is_not_loaded_where_there_is_no_file() -> None:
    code = (
        "import sys; from syncd.folder.ignore.rules import Rules; import syncd.mirror.online\n"
        "assert Rules().excludes('a.b.c/x_BASE_1.json'); assert 'pathspec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
