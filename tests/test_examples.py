"""Every example, run as its first lines say, and what it shows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.atproto.keys import make_key
from syncd.model import Change, RecordPath
from syncd.sandbox import MemoryPds, Sandbox
from syncd.sandbox.http.server import start
from tests.rigs import warm

EXAMPLES = Path(__file__).parent.parent / "examples"
ROOT = EXAMPLES.parent
PATHS = [RecordPath(f"com.example.note/n{number}") for number in range(20)]


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


def run(*command: str | Path, home: Path) -> Ran:
    """Run an example in an empty home, with this syncd as the `syncd` of its PATH."""
    syncd = home / "bin" / "syncd"
    syncd.parent.mkdir(exist_ok=True)
    (home / "tmp").mkdir(exist_ok=True)
    environ: Mapping[str, str] = {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PATH": f"{syncd.parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
    }
    program = warm.in_a_shell(environ)
    syncd.write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
    syncd.chmod(0o755)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def test_there_are_no_other_examples() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "_"))}
    assert names == {
        *("first-mirror.sh", "two-machines.sh", "own-lexicon.sh", "pictures.sh"),
        *("decide.py", "library.py", "git", "blog"),
    }


def test_an_avatar_a_post_and_a_cover_bring_their_pictures(tmp_path: Path) -> None:
    ran = run("bash", EXAMPLES / "pictures.sh", home=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "3 pushed; head" in ran.out
    assert '"cover":' in ran.out
    assert "3 blobs, 3 here" in ran.out
    assert ran.out.count("blobs: 3 named, 3 here; each file was hashed") == 1
    assert "1 deleted; head" in ran.out
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_first_mirror_is_made_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = run("bash", EXAMPLES / "first-mirror.sh", home=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "push      com.example.note/hello: created in the folder" in ran.out
    assert "1 to do; nothing was done" in ran.out
    assert ran.out.count("1 pushed; head") == 2
    assert ran.out.count("nothing to do; head") == 2
    assert "1 deleted; head" in ran.out
    assert "1 record agrees: files, base, tree, root and signature" in ran.out
    assert not list((tmp_path / "tmp").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "tmp"}


def test_two_machines_meet_in_a_conflict_and_both_versions_are_shown(tmp_path: Path) -> None:
    ran = run("bash", EXAMPLES / "two-machines.sh", home=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    conflict, _, end = ran.out.partition("laptop$ syncd resolve")
    assert (
        "conflict  com.example.note/shopping: edited in the folder, edited in the repo" in conflict
    )
    assert 'in the file:   {"text": "oat milk, bread"}' in conflict
    assert re.search(r'kept beside it: \{[^}]*"text": "milk, bread, eggs"', conflict)
    assert re.search(r'on the desktop now: \{[^}]*"text": "oat milk, bread, eggs"', end)
    assert end.count("1 record agrees") == 2
    assert not list((tmp_path / "tmp").iterdir())


def test_a_lexicon_of_ones_own_is_published_used_and_guards_its_records(tmp_path: Path) -> None:
    ran = run("bash", EXAMPLES / "own-lexicon.sh", home=tmp_path)
    assert ran.code == 0, ran.err
    schema = "com.atproto.lexicon.schema/com.example.recipe"
    begun = json.loads(ran.out.partition("draft.json\n")[2].partition("}")[0] + "}")
    assert begun == {"$type": "com.example.recipe", "name": "", "minutes": 1}
    check, _, rest = ran.out.partition("$ syncd sync")
    assert "soup.json:1:29: minutes: must be a whole number, not a string" in check
    assert 'did you mean "course"?' in check
    assert "exit code 3" in check
    held, _, rest = rest.partition("$ syncd lexicon check")
    assert f"pushed    {schema}" in held
    assert "problem   com.example.recipe/soup" in held
    sent, _, broken = rest.partition("1 record")
    assert "1 file with faults" not in sent
    assert "pushed    com.example.recipe/soup" in sent
    assert "com.example.recipe/soup: minutes: must be a string" in broken
    assert f"pushed    {schema}" in broken
    assert "changed  .vscode/settings.json" in broken
    assert "lexicons 2 of 2 records have one" in broken
    assert not list((tmp_path / "tmp").iterdir())


def test_the_posts_of_a_site_are_imported_published_and_edited_on_both_sides(
    tmp_path: Path,
) -> None:
    ran = run("bash", EXAMPLES / "blog" / "blog.sh", home=tmp_path)
    assert ran.code == 0, ran.err
    published, _, edited = ran.out.partition("$ syncd sync")
    assert "pushed    com.whtwnd.blog.entry/a-walk" in published
    post = published.partition("$ cat com.whtwnd.blog.entry/a-walk.md\n")[2]
    assert re.match(r"---\n(?s:.*)---\n\nIt rained, and we \*\*walked\*\*\.\n", post)
    # What Astro's collection and Hugo's settings ask for is there.
    assert {"title: A walk", "createdAt: 2026-11-29T00:00:00.000Z"} <= set(post.splitlines())
    assert "later" not in edited.replace("drafts", "")
    assert edited.count("1 pushed; head") == 2
    assert "pulled    com.whtwnd.blog.entry/a-walk" in edited
    last = edited.rpartition("$ cat ")[2]
    assert 'title: "A long walk" # was: A walk\n' in last
    assert "It snowed a lot, and we **walked**.\n" in last
    assert "drafts   1, " in last
    assert not list((tmp_path / "tmp").iterdir())


@dataclass(frozen=True, slots=True)
class Repo:
    """A CAR file of a small repo, and the key that signed it."""

    car: Path
    key: str


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    pds = MemoryPds(sandbox, login.did)

    async def fill() -> bytes:
        for number, path in enumerate(PATHS):
            record: Record = {"$type": "com.example.note", "number": number}
            await pds.put(Change(path, None, cid_of(record), record))
        return b"".join([chunk async for chunk in pds.fetch_repo()])

    car = tmp_path / "repo.car"
    car.write_bytes(asyncio.run(fill()))
    account = sandbox.accounts.get(login.did)
    return Repo(car, account.key.public.did_key)


def library(repo: Repo, tmp_path: Path, *options: str) -> Ran:
    return run(sys.executable, EXAMPLES / "library.py", repo.car, *options, home=tmp_path)


def test_the_library_verifies_a_repo_and_shows_a_record(repo: Repo, tmp_path: Path) -> None:
    ran = library(repo, tmp_path, "--key", repo.key, "--show", PATHS[7])
    assert ran.code == 0, ran.err
    assert "20 records" in ran.out
    assert "signature verified" in ran.out
    for path in PATHS:
        assert re.search(rf"^bafyrei[a-z2-7]{{52}}  {path}$", ran.out, re.MULTILINE)
    assert '"number": 7' in ran.out


def test_without_a_key_it_says_that_the_signature_was_not_checked(
    repo: Repo, tmp_path: Path
) -> None:
    ran = library(repo, tmp_path)
    assert ran.code == 0
    assert "signature not checked" in ran.out


def test_another_key_a_changed_byte_and_a_cut_file_prove_nothing(
    repo: Repo, tmp_path: Path
) -> None:
    other = make_key("k256", b"\x07" * 32).public.did_key
    assert library(repo, tmp_path, "--key", other).code == 1
    content = repo.car.read_bytes()
    for damaged in (content[:-40], content.replace(b"com.example.note", b"com.example.vote", 1)):
        repo.car.write_bytes(damaged)
        ran = library(repo, tmp_path, "--key", repo.key)
        assert ran.code == 1
        assert ran.err.startswith("not proven: ")
        assert not ran.out


def test_a_rule_of_ones_own_decides_conflicts_and_the_other_version_stays_in_history(
    tmp_path: Path,
) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(login.password, encoding="utf-8")
    pds, folder = MemoryPds(sandbox, login.did), tmp_path / "notes"
    files = {path: folder / f"{path}.json" for path in PATHS[:3]}

    async def write(path: RecordPath, text: str) -> None:
        record: Record = {"$type": "com.example.note", "text": text}
        await pds.put(Change(path, await pds.fetch_record(path), cid_of(record), record))

    def syncd(*words: str | Path) -> Ran:
        return run(tmp_path / "bin" / "syncd", *words, home=tmp_path)

    def text_of(path: RecordPath) -> object:
        return json.loads(files[path].read_text(encoding="utf-8"))["text"]

    with start(sandbox) as server:
        here = ("--pds", server.url, "--plc", server.url)
        for path in files:
            asyncio.run(write(path, "first"))
        run("true", home=tmp_path)
        assert syncd("login", "alice.test", "--password-file", password, *here).code == 0
        assert syncd("clone", "alice.test", folder, *here).code == 0
        for file in files.values():
            file.write_text('{"text": "written here"}', encoding="utf-8")
        for path, text in zip(files, ("short", "by far the longer text", "short"), strict=True):
            asyncio.run(write(path, text))
        assert syncd("-C", folder, "sync").code == 3
        decide = (sys.executable, EXAMPLES / "decide.py", folder)
        ran = run(*decide, "com.example.note/n0", "com.example.note/n1", home=tmp_path)
        assert ran.code == 3, ran.err
        assert [text_of(path) for path in files] == [
            "written here",
            "by far the longer text",
            "written here",
        ]
        assert run(*decide, "com.example.*/*", home=tmp_path).code == 0
        log = syncd("-C", folder, "log", "--json").out.splitlines()
    assert {event["path"] for event in map(json.loads, log)} >= set(files)
