"""docs/blobs.md as a reader follows it."""

from __future__ import annotations

import json
from io import BytesIO

from syncd.atproto.blob import BlobRef
from syncd.atproto.data import Value, cid_of
from syncd.config import SETTINGS
from syncd.cycle.blobs.attached import PAUSES_SECONDS
from syncd.cycle.blobs.keep import FAILURES
from syncd.model import Change, RecordPath
from syncd.sandbox import MemoryPds
from tests.rigs import schema
from tests.rigs.terminal import HANDLE, Terminal

from .markdown import console_lines, read, section, table

DOCUMENT = read("docs/blobs.md")
PROFILE = "app.bsky.actor.profile/self"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def write_profile(terminal: Terminal) -> BlobRef:
    pds = MemoryPds(terminal.host, terminal.login.did)
    ref = await pds.upload_blob(BytesIO(PICTURE), len(PICTURE), "image/png")
    record: dict[str, Value] = {"$type": "app.bsky.actor.profile", "avatar": ref.value}
    await pds.put(Change(RecordPath(PROFILE), None, cid_of(record), record), validate=False)
    return ref


def test_the_settings_are_those_of_the_table() -> None:
    keys = [row[0].strip("`") for row in table(DOCUMENT, "key", "what it does")]
    assert keys == [setting.key for setting in SETTINGS if setting.section == "blobs"]


def test_the_numbers_are_those_of_the_code() -> None:
    assert PAUSES_SECONDS == (3_600, 86_400, 7 * 86_400)
    assert FAILURES == 3
    assert "after an hour, a day, and then each week" in DOCUMENT
    assert "after three failures" in DOCUMENT


async def test_each_command_says_what_is_here(terminal: Terminal) -> None:
    ref = await write_profile(terminal)
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} notes --no-blobs")
    folder = terminal.home / "notes"
    assert "fetch" not in (folder / "syncd.toml").read_text()
    assert "1 named, 0 here" in terminal.ok("syncd status", at=folder)
    for line in console_lines(section(DOCUMENT, "See them, get them")):
        terminal.ok(line, at=folder)
    file = folder / "blobs" / f"{ref.cid}.png"
    assert file.read_bytes() == PICTURE
    listed = terminal.ok("syncd blob ls", at=folder)
    assert f"blobs/{ref.cid}.png" in listed
    assert PROFILE in listed
    assert "1 named, 1 here" in terminal.ok("syncd status", at=folder)


async def test_a_clone_has_the_blobs_and_says_so_as_json(terminal: Terminal) -> None:
    ref = await write_profile(terminal)
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} notes")
    folder = terminal.home / "notes"
    settings = section(DOCUMENT, "Which are fetched").partition("```toml\n")[2].partition("```")[0]
    assert settings in (folder / "syncd.toml").read_text()
    shown = json.loads(terminal.ok("syncd blob ls --json", at=folder))
    schema.check("blob ls", shown)
    assert shown["blobs"][0]["file"] == f"blobs/{ref.cid}.png"
    got = json.loads(terminal.ok(f"syncd blob get {ref.cid} --json", at=folder))
    schema.check("blob get", got)
    assert got["fetched"] == 0
    schema.check("status", json.loads(terminal.ok("syncd status --json", at=folder)))
    schema.check("verify", json.loads(terminal.ok("syncd verify --json --remote", at=folder)))
    terminal.host.blobs(terminal.login.did)._blobs.clear()
    ran = terminal.run("syncd verify --remote", at=folder)
    assert ran.code == 3
    assert f"{ref.cid}.png" in ran.out
    assert "is missing on the PDS" in ran.out
