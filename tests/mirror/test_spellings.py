"""Every command that takes a PATH takes each spelling of it, from wherever a person stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest
from click.testing import CliRunner, Result

from syncd.cli import cli
from syncd.config import FILE_NAME, Config, render_config
from syncd.errors import SyncdError
from syncd.model import Held, Memory, RecordPath, Side
from tests.rigs.device import Device, World

NOTE, PAGE = "com.example.note", "com.example.page"
ONE, LONG = RecordPath(f"{NOTE}/one"), RecordPath(f"{PAGE}/long")
DRAFT = f"{NOTE}/first.draft.json"
NOWHERE = "http://127.0.0.1:1"
UNREACHABLE = 69
OF_ONE = {"unpublish --yes": UNREACHABLE, "restore --back 1 --dry-run": 0}

RECORD: Mapping[str, str] = {
    "a record path": "{path}",
    "a file": "{file}",
    "a file with ./": "./{file}",
    "an absolute file": "{root}/{file}",
    "a file through a link": "{link}/{file}",
    "a file with ..": "{collection}/../{file}",
    "a URI with the DID": "at://{did}/{path}",
    "a URI with the handle": "at://{handle}/{path}",
    "a pasted URI": " \u202aat://{did}/{path}\u202c",
    "a doubled slash": "{collection}//{name}",
}
MANY: Mapping[str, str] = {
    "a directory": "{collection}",
    "a directory with a slash": "{collection}/",
    "a directory with ./": "./{collection}",
    "an absolute directory": "{root}/{collection}",
    "a directory through a link": "{link}/{collection}",
    "a URI of a collection": "at://{did}/{collection}",
    "a pattern": "{collection}/*",
    "a pattern of files": "{collection}/*{ending}",
    "a pattern of collections": "*/{name}*",
}
WRONG: Mapping[str, str] = {
    "a name of nothing": "{collection}/nothing",
    "a file of nothing": "./{collection}/nothing.json",
    "a URI of nothing": "at://{did}/{collection}/nothing",
    "a URI of another repo": "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/{path}",
    "a URI of nobody": "at://",
    "a web address": "https://bsky.app/profile/{handle}",
    "a file elsewhere": "/etc/passwd",
    "a pattern that fits nothing": "org.*",
    "an open bracket": "[",
    "no name": "",
    "another kind of file": "syncd.toml",
}
LISTS = {
    "conflicts": 3,
    "held": 3,
    "log": 0,
    "restore --dry-run": 0,
    "lexicon check": 0,
    "blob ls": 0,
}
"""Commands that take many records and ask no PDS, with the exit code of one that is found."""
DECIDES = ("resolve --local", "approve", "reject", "blob get")


@pytest.fixture
async def laptop(world: World) -> Device:
    """Two records, one of them in Markdown: each was edited once, is in conflict, and held."""
    account = world.login
    config = Config(
        account.did,
        handle=account.handle,
        pds=NOWHERE,
        plc=NOWHERE,
        markdown=((PAGE, (("text",),)),),
    )
    laptop = world.device(config=config)
    for path in (ONE, LONG):
        await world.write(path, text="before")
    await laptop.sync()
    for path in (ONE, LONG):
        await world.write(path, text="after")
    await laptop.sync()
    for path in (ONE, LONG):
        file = laptop.file(path)
        file.write_text(file.read_text().replace("after", "here"))
        await world.write(path, text="there")
    await laptop.sync()
    state = laptop.mirror.state
    waits = {
        each.path: (each, Held(RecordPath(each.path), Side.LOCAL, "why"))
        for each in state.waiting()
    }
    state.record(Memory(waiting=waits))
    (laptop.root / DRAFT).write_text('{"$type": "com.example.note"}')
    (laptop.root / FILE_NAME).write_text(render_config(config))
    (world.tmp_path / "link").symlink_to(laptop.root)
    return laptop


def spelt(form: str, laptop: Device, path: RecordPath) -> str:
    """Return a form of this record's name."""
    file = laptop.file(path)
    collection, name = path.split("/")
    config = laptop.mirror.config
    return form.format(
        path=path,
        file=file.relative_to(laptop.root),
        root=laptop.root,
        link=laptop.root.parent / "link",
        did=config.did,
        handle=config.handle,
        collection=collection,
        name=name,
        ending=file.suffix,
    )


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code, and what it printed or why it failed."""
    done: Result = CliRunner().invoke(cli, words)
    if isinstance(done.exception, SyncdError):
        return done.exception.exit_code, f"{done.exception.message}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, done.output


def named_in(printed: str) -> set[str]:
    """Return the records that an answer in JSON names."""
    return set(re.findall(r'"path": "([^"]+)"', printed))


def spellings(laptop: Device, *kinds: Mapping[str, str]) -> Iterator[tuple[str, RecordPath, str]]:
    """Yield each form of the name of each record: what it is, the record, and the words."""
    for path in (ONE, LONG):
        for kind in kinds:
            yield from ((what, path, spelt(form, laptop, path)) for what, form in kind.items())


@pytest.mark.parametrize("command", LISTS)
def test_a_command_that_lists_takes_each_spelling(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(laptop.root)
    for what, path, word in spellings(laptop, RECORD, MANY):
        code, printed = run(*command.split(), "--json", "--", word)
        assert (code, named_in(printed) or {path}) == (LISTS[command], {path}), (what, printed)


@pytest.mark.parametrize("command", DECIDES)
def test_a_command_that_then_asks_the_pds_takes_each_spelling(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(laptop.root)
    for what, _, word in spellings(laptop, RECORD, MANY):
        # What was named is found; only the PDS is not.
        assert run(*command.split(), "--", word)[0] == UNREACHABLE, what


@pytest.mark.parametrize("command", [*LISTS, *DECIDES, *OF_ONE, "publish"])
def test_a_name_of_nothing_is_an_error_with_that_name(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(laptop.root)
    for what, _, word in spellings(laptop, WRONG):
        code, sentence = run(*command.split(), "--", word)
        assert code in (1, 78), (what, sentence)
        assert (word.rpartition("/")[2] or word or "empty") in sentence, what


@pytest.mark.parametrize("command", OF_ONE)
def test_a_command_for_one_record_takes_each_spelling_of_one_and_none_of_many(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(laptop.root)
    # No draft is made of a record in conflict.
    laptop.mirror.state.record(Memory(waiting={ONE: (), LONG: ()}))
    for what, _, word in spellings(laptop, RECORD):
        assert run(*command.split(), "--", word)[0] == OF_ONE[command], what
    for what, _, word in spellings(laptop, MANY):
        code, sentence = run(*command.split(), "--", word)
        assert (code, word in sentence) == (1, True), (what, sentence)


@pytest.mark.parametrize("command", ["log", "conflicts", "lexicon check", "restore --dry-run"])
def test_names_count_from_where_a_person_stands_and_from_the_mirror(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    aside = laptop.root / "com.example.aside"
    aside.mkdir()
    expected = LISTS[command]
    for path in (ONE, LONG):
        file = laptop.file(path)
        for place, word in (
            (file.parent, file.name),
            (file.parent, f"./{file.name}"),
            (file.parent, "."),
            (aside, f"../{path.partition('/')[0]}/{file.name}"),
            (aside, path),
        ):
            monkeypatch.chdir(place)
            assert run(*command.split(), "--", word)[0] == expected, (place, word)
        outside = laptop.root.parent
        monkeypatch.chdir(outside)
        for word in (path, str(file), str(file.relative_to(outside)), f"./{laptop.root.name}"):
            words = ("-C", str(laptop.root), *command.split(), "--", word)
            assert run(*words)[0] == expected, word


@pytest.mark.parametrize(
    "form",
    [DRAFT, f"./{DRAFT}", f"{{root}}/{DRAFT}", f"{{link}}/{DRAFT}", "{collection}/*.draft.json"],
)
def test_a_draft_is_published_by_each_spelling(
    laptop: Device, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(laptop.root)
    assert run("publish", "--", spelt(form, laptop, ONE))[0] == UNREACHABLE
