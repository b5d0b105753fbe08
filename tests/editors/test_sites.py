"""Sites that real generators build from the very files of a mirror: Hugo and Astro."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.config import Config
from syncd.forms.markdown_form import MarkdownForm, front_of
from syncd.forms.page import is_page
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.chance import seeded, times
from tests.forms.drawn import draw_record
from tests.rigs.device import Device, World

from .generators import Site, astro_site, hugo_site, read_by_astro

BLOG = "com.whtwnd.blog.entry"
WALK, DAY = RecordPath(f"{BLOG}/a-walk"), RecordPath(f"{BLOG}/3mxyz2345abcd")
MARKDOWN = ((BLOG, (("content",),)),)
CREATED = "2026-11-29T12:00:00.000Z"
FIRST: Record = {
    "$type": BLOG,
    "title": "A walk",
    "createdAt": CREATED,
    "ogp": {"url": "https://example.com/a.png", "width": 1200},
    "content": "It rained, and we **walked**.",
}
# What a generator reads, WhiteWind knows nothing of, and a record may have all the same.
OWN = """weight: 3 # of the site
aliases: [ /old/, '/older/' ]
layout: ../layouts/Post.astro
build:
    list: always
"""
OWN_FIELDS: Record = {
    "weight": 3,
    "aliases": ["/old/", "/older/"],
    "layout": "../layouts/Post.astro",
    "build": {"list": "always"},
}
TITLES = (
    "2026-11-30",
    "Yes",
    "12:30",
    "a: b # c",
    '"so"',
    "- x",
    "0x1F",
    "null",
    "😀 & <b>",
    "1e3",
)


@pytest.fixture(params=[hugo_site, astro_site])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    make: Callable[[Path], Site] = request.param
    return make(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


@pytest.fixture
def laptop(world: World) -> Device:
    return world.device("posts", Config(world.login.did, markdown=MARKDOWN))


async def write(world: World, record: Record, path: RecordPath = WALK) -> None:
    await world.write(path, **{key: value for key, value in record.items() if key != "$type"})


@pytest.mark.tools
async def test_a_site_is_built_from_the_files_before_and_after_edits_on_both_sides(
    site: Site, world: World, laptop: Device
) -> None:
    await write(world, FIRST)
    await laptop.sync()
    file = laptop.file(WALK)
    (file.parent / "later.draft.md").write_text("---\ntitle: Later\n---\n\nNot yet.\n")
    (file.parent / "+idea.md").write_text("---\ntitle: Idea\n---\n\nNot yet.\n")
    pages = site.build()
    assert list(pages) == ["a-walk"]
    assert "<strong>walked</strong>" in pages["a-walk"]
    assert f'<time datetime="{CREATED}">' in pages["a-walk"]

    text = file.read_text().replace("title: A walk\n", 'title: "A long walk" # mine\n' + OWN)
    file.write_text(text.replace("rained", "snowed"))
    assert (await laptop.sync()).pushed == (WALK,)
    second = {**FIRST, **OWN_FIELDS, "title": "A long walk"}
    second["content"] = "It snowed, and we **walked**."
    assert world.records() == {WALK: cid_of(second)}
    assert "<title>A long walk</title>" in site.build()["a-walk"]

    await write(world, {**second, "content": "# So\n\n---\n\nIt *hailed*.\n", "subtitle": "no"})
    assert (await laptop.sync()).pulled == (WALK,)
    now = file.read_text()
    assert 'title: "A long walk" # mine\n' in now
    assert set(OWN.splitlines()) <= set(now.splitlines())
    page = site.build()["a-walk"]
    assert "<hr" in page
    assert "It <em>hailed</em>." in page
    # The generator has changed no file, and none that it made is a record.
    assert file.read_text() == now
    report = await laptop.sync()
    assert (report.pushed, report.problems, report.is_settled) == ((), (), True)


@pytest.mark.tools
async def test_a_conflict_and_a_file_that_is_no_record_leave_the_site_as_it_is(
    site: Site, world: World, laptop: Device
) -> None:
    await write(world, FIRST)
    await laptop.sync()
    file = laptop.file(WALK)
    file.write_text(file.read_text().replace("rained", "snowed"))
    await write(world, {**FIRST, "content": "It hailed."})
    assert (await laptop.sync()).conflicts
    pages = site.build()
    assert list(pages) == ["a-walk"]
    assert "snowed" in pages["a-walk"]
    file.write_text(file.read_text().replace("title:", "weight: 0.5\ntitle:"))
    report = await laptop.sync()
    problem = next(problem for problem in report.problems if problem.path == WALK)
    line = file.read_text().splitlines().index("weight: 0.5") + 1
    assert (problem.line, problem.column) == (line, 9)
    assert "snowed" in site.build()["a-walk"]


@pytest.mark.tools
async def test_a_title_of_any_kind_is_a_title_of_the_site(
    site: Site, world: World, laptop: Device
) -> None:
    for number, title in enumerate(TITLES):
        path = RecordPath(f"{BLOG}/p{number}")
        await write(world, {**FIRST, "title": title}, path)
    await laptop.sync()
    pages = site.build()
    escaped = [
        title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for title in TITLES
    ]
    for number, title in enumerate(escaped):
        shown = pages[f"p{number}"].replace("&#34;", '"').replace("&quot;", '"')
        assert f"<title>{title}</title>" in shown


WORDS = (
    *TITLES,
    "A walk",
    "",
    "~",
    "true",
    "NO",
    "0b11",
    "1_000",
    "2026-11",
    "a\nb",
    "<<",
    "=",
    "é",
)
LINES = ("a\n", "---\n", "\n", "# H\n", "+++\n", "\t", "...\n", "{{< x >}}\n")


@pytest.mark.tools
def test_astro_reads_in_each_file_what_the_record_has() -> None:
    form, chance = MarkdownForm(BLOG, (("content",),)), seeded()
    records = (draw_record(chance, BLOG, WORDS, LINES) for _ in range(times(20_000)))
    pages = [text for text in map(form.format, records) if is_page(text)]
    assert len(pages) >= times(20_000) / 10
    for text, (front, rest) in zip(pages, read_by_astro([t.decode() for t in pages]), strict=True):
        page, fields = front_of(text)
        # It leaves the line break behind the mark to the rest.
        assert (front, rest) == (fields, f"\n{page.rest}")
