"""A formatter of others, run over a folder of Markdown files: prettier, as editors run it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.config import Config
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.npm import NODE, ensure_packages
from tests.rigs.device import Device, World

HERE = Path(__file__).parent / "formatter"
BLOG, DOCUMENT = "com.whtwnd.blog.entry", "site.standard.document"
MARKDOWN = ((BLOG, (("content",),)), (DOCUMENT, (("content", "text", "markdown"),)))
FRONT = """---
tags:   [ walks,   "long ones" ]
title:    'A "walk"'   # mine


visibility: "public"
ogp: { url: 'https://example.com/a.png',   width: 1200 }
isDraft: false
createdAt: 2026-11-29T12:00:00.000Z
empty: ''
folded:   "yes"
---
"""
FIELDS: dict[str, Any] = {
    "tags": ["walks", "long ones"],
    "title": 'A "walk"',
    "visibility": "public",
    "ogp": {"url": "https://example.com/a.png", "width": 1200},
    "isDraft": False,
    "createdAt": "2026-11-29T12:00:00.000Z",
    "empty": "",
    "folded": "yes",
}


@pytest.fixture
def laptop(tmp_path: Path) -> Device:
    sandbox = Sandbox()
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    return world.device(config=Config(world.login.did, markdown=MARKDOWN))


def write(device: Device, path: str, body: str) -> Path:
    file = device.root / f"{path}.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{FRONT}\n{body}", encoding="utf-8")
    return file


def run_prettier(root: Path, *flags: str) -> None:
    program = ensure_packages("formatter", HERE) / "node_modules" / "prettier" / "bin"
    command = [str(NODE), str(program / "prettier.cjs"), "--write", *flags, "."]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=300)


def record(body: str) -> Record:
    return {"$type": BLOG, **FIELDS, "content": body}


@pytest.mark.tools
@pytest.mark.parametrize(
    "flags", [(), ("--single-quote",), ("--prose-wrap=always",), ("--end-of-line=crlf",)]
)
async def test_what_it_lays_out_anew_in_front_matter_alone_causes_no_request(
    laptop: Device, flags: tuple[str, ...]
) -> None:
    bodies = ("Some words.\n", "# A walk\n\nSome **words**.\n\n- one\n- two\n")
    files = [write(laptop, f"{BLOG}/p{number}", body) for number, body in enumerate(bodies)]
    await laptop.sync()
    before = laptop.base()
    assert set(before.values()) == {cid_of(record(body.rstrip("\n"))) for body in bodies}
    texts = [file.read_text() for file in files]
    run_prettier(laptop.root, *flags)
    assert all(file.read_text() != text for file, text in zip(files, texts, strict=True))
    requests = laptop.mirror.requests
    report = await laptop.sync()
    assert (report.pushed, report.is_settled) == ((), True)
    assert laptop.mirror.requests - requests == 1
    assert laptop.base() == before


@pytest.mark.tools
async def test_what_it_changes_in_a_body_is_an_ordinary_edit(laptop: Device) -> None:
    path = RecordPath(f"{BLOG}/one")
    file = write(laptop, path, "A walk\n======\n\n*Some* words\n* one\n* two\n")
    await laptop.sync()
    run_prettier(laptop.root)
    report = await laptop.sync()
    assert (report.pushed, report.is_settled) == ((path,), True)
    body = file.read_text().partition("---\n\n")[2]
    assert body.startswith("# A walk\n\n_Some_ words\n\n- one\n")
    assert laptop.base() == {path: cid_of(record(body.rstrip("\n")))}
    assert "# mine" in file.read_text()
