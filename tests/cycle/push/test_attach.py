"""A record that names files: they are uploaded when it may be sent, and their references put in."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.atproto.syntax import Did, Rkey
from syncd.blobs import files
from syncd.blobs.consent import consent_of, location_here
from syncd.blobs.hints import Hints
from syncd.blobs.location import tells_place
from syncd.blobs.streams import STREAMS
from syncd.config import Config
from syncd.cycle.observe.attached import files_named
from syncd.cycle.push.attach import Uploads
from syncd.cycle.push.sending import Parcel, Sender
from syncd.errors import SyncdError, Unreachable
from syncd.mirror import publishing
from syncd.mirror.names import read_names
from syncd.mirror.waiting import publish_waiting
from syncd.model import Pending, RecordPath
from syncd.sandbox import Bucket, MemoryPds, RateLimits, Sandbox, faults
from syncd.sandbox.methods.request import BLOB_BYTES
from tests.rigs.device import Device, World, rework

ONE = RecordPath("com.example.note/one")
TWO = RecordPath("com.example.note/two")
UPLOAD = "com.atproto.repo.uploadBlob"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 100
REF = BlobRef(cid_of_blob(PICTURE), "image/png", len(PICTURE))
PADDED = '{"$type": "blob", "ref": {"$link": "CID"}, "size": 108, "mimeType": "image/png"}'
NAMED = {"$type": "blob", "$file": "pictures/cover.png"}


def world_of(tmp_path: Path, sandbox: Sandbox | None = None) -> World:
    sandbox = sandbox or Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account())


def device_of(world: World, **settings: Any) -> Device:  # noqa: ANN401
    config = Config(world.login.did, brake_records=1000, **settings)
    device = world.device(config=config)
    put(device, "pictures/cover.png")
    return device


def put(device: Device, name: str, content: bytes = PICTURE) -> Path:
    file = device.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def uploads(world: World) -> int:
    return world.sandbox.blobs(world.login.did).count


def picture_of(world: World, path: RecordPath = ONE) -> Any:  # noqa: ANN401
    record = world.sandbox.repo(world.login.did).record(path)
    return record and record.get("image")


async def test_a_file_that_a_record_names_is_uploaded_and_its_reference_put_in_once(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED, text="hello")
    report = await device.sync()
    assert (report.pushed, report.problems) == ((ONE,), ())
    assert picture_of(world) == REF.value
    assert device.read(ONE)["image"] == to_json(REF.value)
    async with world.pds().fetch_blob(REF.cid) as pieces:
        assert b"".join([piece async for piece in pieces]) == PICTURE
    before = device.files()
    assert not (await device.sync()).pushed
    assert device.files() == before
    assert (device.root / "pictures/cover.png").read_bytes() == PICTURE


@pytest.mark.parametrize(
    ("before", "after", "image"),
    [
        ('{\n    "text": "x",\n    "image": ', ',\n    "$type": "com.example.note"\n}', PADDED),
        ('{"$type": "com.example.note", "image": ', ', "text": "x"}\r\n', PADDED),
        ('{"$type":"com.example.note","image":', "}", PADDED.replace(": ", ":").replace(", ", ",")),
    ],
)
async def test_the_rest_of_the_file_stays_as_a_person_wrote_it(
    tmp_path: Path, before: str, after: str, image: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save_text(ONE, before + json.dumps(NAMED) + after)
    await device.sync()
    assert picture_of(world) == REF.value
    found = device.file(ONE).read_bytes().decode().replace(str(REF.cid), "CID")
    assert found == before + image + after


@pytest.mark.parametrize("key", [r"\u0024file", r"$f\u0069le", r"\u0024\u0066\u0069\u006C\u0065"])
async def test_the_key_that_names_a_file_may_be_spelt_with_escapes(
    tmp_path: Path, key: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save_text(ONE, json.dumps({"image": NAMED, "text": "x"}).replace("$file", key))
    assert files_named(device.mirror.folder, [ONE]) == {NAMED["$file"]}
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world) == REF.value
    assert device.read(ONE)["image"] == to_json(REF.value)


@pytest.mark.parametrize(
    "cover",
    [
        "cover: {$type: blob, $file: pictures/cover.png}",
        "cover:\n  $type: blob\n  $file: pictures/cover.png",
        'cover: {$type: blob, "\\x24fil\\x65": pictures/cover.png}',
        'cover:\n  $type: blob\n  "\\U00000024file": pictures/cover.png',
        'cover: {$type: blob, ? "$fi\\\n    le" : pictures/cover.png}',
    ],
)
async def test_a_page_names_a_file_in_its_front_matter(tmp_path: Path, cover: str) -> None:
    world = world_of(tmp_path)
    device = device_of(world, markdown=(("com.example.note", (("content",),)),))
    device.root.joinpath("com.example.note").mkdir()
    page = device.root / "com.example.note" / "one.md"
    page.write_text(f"---\n# mine\ntitle: A title\n{cover}\n---\n\nThe text.\n", encoding="utf-8")
    report = await device.sync()
    assert (report.pushed, report.problems) == ((ONE,), ())
    record = world.sandbox.repo(world.login.did).record(ONE)
    assert record is not None
    assert (record["cover"], record["content"]) == (REF.value, "The text.")
    text = page.read_text(encoding="utf-8")
    assert "# mine\ntitle: A title\n" in text
    assert "$file" not in text
    assert not (await device.sync()).pushed


# --- Names that are no file to upload -------------------------------------------------------------


def link(device: Device) -> None:
    (device.root / "pictures" / "link.png").symlink_to(device.root / "pictures" / "cover.png")


def hidden(device: Device) -> None:
    put(device, ".env", b"TOKEN=secret")
    put(device, "pictures/.private/cover.png")


def link_above(device: Device) -> None:
    (device.root / "album").symlink_to(device.root / "pictures")


def fifo(device: Device) -> None:
    os.mkfifo(device.root / "pictures" / "fifo.png")


def nothing(device: Device) -> None:
    put(device, "pictures/empty.png", b"")
    put(device, "pictures/.git/config", b"secret")
    put(device, "pictures/large.png", bytes(BLOB_BYTES + 1))
    put(device, "pictures/closed.png").chmod(0)


def socket_file(device: Device) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        # The name of a socket is short: it is bound from within its directory.
        descriptor = os.open(device.root / "pictures", os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{descriptor}/socket.png")
        os.close(descriptor)


def huge(device: Device) -> None:
    """A film without an end: to read it all would take minutes of each look."""
    os.truncate(put(device, "pictures/huge.mkv"), 1 << 40)


def pointer(device: Device) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    put(device, "pictures/pointer.png", text.encode())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("/etc/passwd", nothing),
        ("../secret", nothing),
        ("pictures/../../secret", nothing),
        ("pictures/../pictures/cover.png", nothing),
        ("./pictures/cover.png", nothing),
        ("pictures//cover.png", nothing),
        ("", nothing),
        (".", nothing),
        ("pictures/cover.png\0", nothing),
        ("pictures", nothing),
        ("pictures/", nothing),
        ("pictures/none.png", nothing),
        ("pictures/cover.png/x", nothing),
        ("pictures/empty.png", nothing),
        (".syncd/state.db", nothing),
        (".SyncD/state.db", nothing),
        (".syncd./state.db", nothing),
        ("pictures/.git/config", nothing),
        ("pictures/.GIT/config", nothing),
        (".env", hidden),
        ("pictures/.private/cover.png", hidden),
        ("x" * 300, nothing),
        ("pictures/cover\ud800.png", nothing),
        ("pictures/link.png", link),
        ("album/cover.png", link_above),
        ("pictures/fifo.png", fifo),
        ("pictures/socket.png", socket_file),
        ("pictures/pointer.png", pointer),
        ("pictures/huge.mkv", huge),
    ],
)
async def test_a_name_that_is_no_file_to_upload_is_a_problem_with_its_place(
    tmp_path: Path, name: str, make: Callable[[Device], None]
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, "../secret", b"secret")
    make(device)
    text = json.dumps({"text": "x", "image": {"$type": "blob", "$file": name}}, indent=2)
    device.save_text(ONE, text)
    (problem,) = (await device.sync()).problems
    assert problem.path == ONE
    assert problem.line is not None
    assert problem.hint
    assert uploads(world) == 0
    assert device.file(ONE).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("com.example.note/two.json", "the file of a record"),
        ("com.example.note/two.draft.json", "a draft"),
        ("syncd.toml", "the settings"),
        ("Syncd.TOML", "the settings"),
        ("Com.Example.Note/two.JSON", "the file of a record"),
        ("secrets/key.png", "git ignores"),
        ("secrets/tracked.png", ""),
        ("pictures/cover.png", ""),
    ],
)
async def test_what_nobody_meant_to_publish_is_not_uploaded(
    tmp_path: Path, name: str, why: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, name, PICTURE)
    put(device, ".gitignore", b"secrets/\n")

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", device.root, *words], check=True, capture_output=True)

    git("init", "-q")
    if "tracked" in name:
        git("add", "--force", name)
    device.save(ONE, image={"$type": "blob", "$file": name})
    report = await device.sync()
    if not why:
        assert ONE in report.pushed
        return
    problem = next(each for each in report.problems if each.path == ONE)
    assert why in problem.reason
    assert problem.line == 1
    assert uploads(world) == 0


@pytest.mark.parametrize(
    ("attribute", "is_sent"),
    [
        ("filter=git-crypt diff=git-crypt", False),
        ("filter=crypt", False),
        ("filter={0.a}%s", False),
        ("filter=lfs diff=lfs merge=lfs -text", True),
        ("filter=annex", True),
        ("-filter", True),
        ("filter", True),
        ("-text", True),
    ],
)
async def test_a_file_that_git_keeps_encrypted_is_not_uploaded(
    tmp_path: Path, attribute: str, is_sent: bool
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    make_repository(device.root)
    put(device, ".gitattributes", f"secrets/** {attribute}\n".encode())
    put(device, "secrets/key.png", PICTURE)
    put(device, "pictures/cover.png", PICTURE + b"2")
    device.save(ONE, image={"$type": "blob", "$file": "secrets/key.png"})
    device.save(TWO, image={"$type": "blob", "$file": "pictures/cover.png"})
    report = await device.sync()
    assert (ONE in report.pushed) is is_sent
    assert TWO in report.pushed
    assert uploads(world) == 1 + is_sent
    assert [p.line for p in report.problems if p.path == ONE] == [1] * (not is_sent)


@pytest.mark.parametrize("odd", ["", "sub/cover.png", "link/cover.png"])
async def test_git_is_asked_once_for_all_files_of_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, ".gitignore", b"secrets/\n")
    make_repository(device.root)
    names = [f"{where}/{n}.png" for n in range(5) for where in ("pictures", "secrets")]
    for number, name in enumerate(names):
        put(device, name, PICTURE + name.encode())
        path = RecordPath(f"com.example.note/n{number}")
        device.save(path, image={"$type": "blob", "$file": name})
    if odd:
        put(device, odd, PICTURE)
        make_odd(device.root, odd)
        device.save(ONE, image={"$type": "blob", "$file": odd})
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    report = await device.sync()
    assert len(report.pushed) == 5
    held = {p.path for p in report.problems if "git ignores" in p.reason} - {ONE}
    assert held == {f"com.example.note/n{number}" for number in range(1, 10, 2)}
    asked = trace.read_text().count('"event":"start"')
    assert odd or asked <= 4  # ignored, and filters: once for each look of a sync
    assert uploads(world) == 5


def make_repository(root: Path) -> None:
    subprocess.run(["git", "-C", root, "init", "-q"], check=True)


def make_odd(root: Path, name: str) -> None:
    """Have git refuse to say whether it ignores a file."""
    place = root / name.partition("/")[0]
    if place.name == "link":
        place.rename(root / "real")
        place.symlink_to(root / "real")
        return
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    subprocess.run(["git", "-C", root, "add", "sub"], check=True, capture_output=True)


def taken_in_berlin() -> bytes:
    """Return a picture whose metadata says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    out = BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "JPEG", exif=exif)
    return out.getvalue()


async def test_a_picture_that_says_where_it_was_taken_is_not_uploaded(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, "pictures/cover.png", taken_in_berlin())
    device.save(ONE, image=NAMED)
    device.save(TWO, text="no picture")
    for _ in range(2):
        report = await device.sync()
        (problem,) = report.problems
        assert (problem.path, problem.line, problem.column) == (ONE, 1, 40)
        assert uploads(world) == 0
    assert picture_of(world) is None
    put(device, "pictures/cover.png")
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world) == REF.value


async def test_a_picture_that_may_say_where_it_was_taken_is_uploaded_as_it_is(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    device = device_of(world, blobs_location="keep")
    picture = taken_in_berlin()
    put(device, "pictures/cover.png", picture)
    device.save(ONE, image=NAMED)
    # The setting may have come with the folder: it counts once a person here has said so.
    (problem,) = (await device.sync()).problems
    assert "syncd blob location allow" in problem.hint
    assert uploads(world) == 0
    config = device.mirror.config
    # Another account's mirror was here before: what was said of it does not count for this one.
    consent_of(replace(config, did=Did("did:plc:another")), device.root).allow("keep")
    assert not (await device.sync()).pushed
    consent = consent_of(config, device.root)
    consent.allow("keep")
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world)["ref"] == cid_of_blob(picture)
    assert consent.forbid()
    assert location_here(config, device.root) == files.UNALLOWED


async def test_a_picture_goes_without_its_place_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world, blobs_location="strip")
    picture = taken_in_berlin()
    file = put(device, "pictures/cover.png", picture)
    device.save(ONE, image=NAMED)
    assert (await device.sync()).pushed == (ONE,)
    assert file.read_bytes() == picture
    async with world.pds().fetch_blob(picture_of(world)["ref"]) as pieces:
        published = b"".join([piece async for piece in pieces])
    assert not tells_place(BytesIO(published), "image/jpeg")
    with Image.open(BytesIO(published)) as sent, Image.open(BytesIO(picture)) as before:
        assert sent.tobytes() == before.tobytes()
    assert not (await device.sync()).pushed


async def test_a_draft_with_such_a_picture_is_not_published(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, "pictures/cover.png", taken_in_berlin())
    draft = "com.example.note/first.draft.json"
    put(device, draft, json.dumps({"image": NAMED}).encode())
    with pytest.raises(SyncdError, match="line 1, column 11"):
        publishing.prepare(device.mirror.workspace, draft, Rkey("one"))
    assert uploads(world) == 0


async def test_a_file_that_is_too_large_is_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[int] = []
    describe = files.described

    def noted(name: str, file: BinaryIO, size: int, hints: Hints) -> BlobRef:
        described.append(size)
        return describe(name, file, size, hints)

    monkeypatch.setattr(files, "described", noted)
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, "pictures/cover.png", bytes(BLOB_BYTES + 1))
    device.save(ONE, image=NAMED)
    requests = world.sandbox.faults
    requests.add(faults.Refuse(500), UPLOAD)
    (problem,) = (await device.sync()).problems
    assert str(BLOB_BYTES) in problem.reason
    assert (problem.line, problem.column) == (1, 40)
    assert requests.waiting  # nothing was sent
    # From now on the file is not even read.
    described.clear()
    put(device, "pictures/cover.png", bytes(BLOB_BYTES + 2))
    (problem,) = (await device.sync()).problems
    assert (problem.line, problem.column, described) == (1, 40, [])
    put(device, "pictures/cover.png")
    requests.clear()
    device.save(ONE, image=NAMED, text="smaller")
    assert (await device.sync()).pushed == (ONE,)


@pytest.mark.parametrize(
    "value",
    [
        {"$type": "blob", "$file": 5},
        {"$type": "blob", "$file": "pictures/cover.png", "alt": "x"},
        {"$type": "blob", "$file": "pictures/cover.png", "size": 1},
        {"$type": "blob"},
    ],
)
async def test_a_map_that_is_nearly_a_name_of_a_file_is_a_malformed_blob(
    tmp_path: Path, value: dict[str, object]
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=value)
    (problem,) = (await device.sync()).problems
    assert "malformed blob" in problem.reason
    assert uploads(world) == 0


async def test_a_name_without_its_type_is_a_problem_until_it_has_one(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image={"$file": "pictures/cover.png"})
    (problem,) = (await device.sync()).problems
    assert (problem.path, problem.line) == (ONE, 1)
    assert (uploads(world), world.records()) == (0, {})
    device.save(ONE, image=NAMED)
    assert (await device.sync()).pushed == (ONE,)


# --- Not before the record may be sent ------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"read_only": True},
        {"push_when": "ask"},
        {"settle_seconds": 3600.0},
    ],
)
async def test_nothing_is_uploaded_for_a_record_that_waits(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    world = world_of(tmp_path)
    device = device_of(world, **settings)
    device.save(ONE, image=NAMED)
    before = device.files()
    for _ in range(2):
        report = await device.sync()
        assert not report.pushed
        assert uploads(world) == 0
    assert device.files() == before


async def test_a_file_that_waits_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless its stat is another one, or it was changed a moment ago."""
    world = world_of(tmp_path)
    device = device_of(world, push_when="ask")
    device.save(ONE, image=NAMED)
    read: list[str] = []
    describe = files.described

    def described(name: str, *what: Any) -> BlobRef:  # noqa: ANN401
        read.append(name)
        return describe(name, *what)

    monkeypatch.setattr(files, "described", described)
    await device.sync()
    count = len(read)
    assert count >= 1
    monkeypatch.setattr(files, "_RESTS_NS", -3_600_000_000_000)
    await device.sync()
    assert len(read) == count + 1
    await device.sync()
    assert len(read) == count + 1
    put(device, "pictures/cover.png", PICTURE + b"1")
    await device.sync()
    assert len(read) == count + 2


async def test_a_record_that_waits_for_a_person_is_sent_with_its_file_once_published(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    device = device_of(world, push_when="ask")
    device.save(ONE, image=NAMED)
    device.save(TWO, image=NAMED)
    await device.sync()
    workspace = device.mirror.workspace
    assert [item.path for item in publishing.choose_all(workspace).waiting] == [ONE, TWO]
    chosen = publishing.choose(workspace, read_names(workspace, [ONE], [device.root]))
    publish_waiting(workspace, chosen.waiting)
    report = await device.sync()
    assert (report.pushed, [item.path for item in report.pending]) == ((ONE,), [TWO])
    assert picture_of(world) == REF.value


@pytest.mark.parametrize(
    ("settings", "remote", "command"),
    [
        ({}, False, "then: syncd sync;"),
        ({"push_when": "ask"}, False, f"then: syncd publish {ONE};"),
        ({"read_only": True}, False, "without --read-only"),
        ({}, True, "syncd diff"),
    ],
)
async def test_the_hint_about_a_missing_file_names_what_works_here(
    tmp_path: Path, settings: dict[str, Any], remote: bool, command: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world, **settings)
    if remote:
        await world.write(ONE, n=1)
        await device.sync()
        await world.write(ONE, n=2)
    device.save(ONE, image={"$type": "blob", "$file": "pictures/none.png"})
    (problem,) = (await device.sync()).problems
    assert (problem.path, problem.line) == (ONE, 1)
    assert command in (problem.hint or "")


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("pictures/hill.png", ["Pictures/Hill.PNG"]),
        ("pictures/caf\u00e9.png", ["pictures/cafe\u0301.png"]),
        ("pictures/cafe\u0301.png", ["pictures/CAF\u00c9.png"]),
        ("pictures/hill.png", ["pictures/Hill.png", "pictures/HILL.png"]),
        ("pictures/hill.png", ["pictures/hill.jpg"]),
    ],
)
async def test_a_name_that_is_spelt_otherwise_than_the_file_is_shown_as_it_must_be(
    tmp_path: Path, named: str, there: list[str]
) -> None:
    device = device_of(world_of(tmp_path))
    (device.root / "pictures" / "cover.png").unlink()
    (device.root / "pictures").rmdir()
    for name in there:
        put(device, name)
    device.save(ONE, image={"$type": "blob", "$file": named})
    (problem,) = (await device.sync()).problems
    is_alike = len(there) == 1 and not there[0].endswith(".jpg")
    assert (json.dumps(there[0]) in (problem.hint or "")) is is_alike
    if is_alike:
        device.save_text(ONE, json.dumps({"image": {"$type": "blob", "$file": there[0]}}))
        assert (await device.sync()).pushed == (ONE,)


async def test_the_hint_about_the_missing_file_of_a_draft_names_the_draft(tmp_path: Path) -> None:
    device = device_of(world_of(tmp_path))
    draft = "com.example.note/my first.draft.json"
    put(device, draft, b'{"image": {"$type": "blob", "$file": "pictures/none.png"}}')
    with pytest.raises(SyncdError) as caught:
        publishing.prepare(device.mirror.workspace, draft)
    assert "then: syncd publish 'com.example.note/my first.draft.json';" in caught.value.hint


async def test_a_dry_run_uploads_nothing_and_names_the_record(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    before = device.files()
    report = await device.mirror.preview()
    assert not report.problems
    assert (uploads(world), device.files()) == (0, before)


async def test_the_files_of_a_draft_are_uploaded_once_it_is_published(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    draft = "com.example.note/first.draft.json"
    put(device, draft, json.dumps({"image": NAMED}).encode())
    await device.sync()
    assert uploads(world) == 0
    workspace = device.mirror.workspace
    publication = publishing.prepare(workspace, draft, Rkey("one"))
    publishing.publish(workspace, publication)
    assert uploads(world) == 0
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world) == REF.value


async def test_a_draft_that_names_no_file_is_not_published(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    draft = "com.example.note/first.draft.json"
    put(device, draft, b'{"image": {"$type": "blob", "$file": "pictures/none.png"}}')
    with pytest.raises(SyncdError, match=r"line 1, column 11.*no file pictures/none\.png"):
        publishing.prepare(device.mirror.workspace, draft, Rkey("one"))


async def test_nothing_is_uploaded_where_the_repo_changed_the_record_too(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, text="first")
    await device.sync()
    other = world.device("phone")
    await other.sync()
    other.save(ONE, text="theirs")
    await other.sync()
    device.save(ONE, text="mine", image=NAMED)
    before = device.files()
    report = await device.sync()
    assert [problem.path for problem in report.problems] == [ONE]
    assert "changed in the repo" in report.problems[0].reason
    assert (uploads(world), device.files()) == (0, before)


async def test_a_record_that_its_lexicon_refuses_uploads_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    post = RecordPath("app.bsky.feed.post/3jzfcijpj2z2a")
    images = [{"image": NAMED, "alt": "x"}] * 5
    embed = {"$type": "app.bsky.embed.images", "images": images}
    device.save(post, text="x", createdAt="2026-01-01T00:00:00Z", embed=embed)
    (problem,) = (await device.sync()).problems
    assert "lexicon" in problem.reason
    assert uploads(world) == 0


# --- What is there already, and what the PDS says -------------------------------------------------


async def test_a_file_that_two_records_name_is_uploaded_once(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED, images=[NAMED])
    device.save(TWO, image=NAMED)
    requests = world.sandbox.faults
    requests.add(faults.Refuse(500), UPLOAD, skip=1)
    report = await device.sync()
    assert report.pushed == (ONE, TWO)
    assert requests.waiting
    assert picture_of(world) == picture_of(world, TWO) == REF.value


async def test_a_file_whose_bytes_the_record_names_already_is_not_uploaded(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    await device.sync()
    device = world.restart(device)
    device.save(ONE, image=NAMED, text="again")
    requests = world.sandbox.faults
    requests.add(faults.Refuse(500), UPLOAD)
    assert (await device.sync()).pushed == (ONE,)
    assert requests.waiting


async def test_a_file_that_says_nothing_new_gets_its_reference_and_is_not_sent(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    await device.sync()
    before = device.read(ONE)
    device.save(ONE, image=NAMED)
    world.sandbox.faults.add(faults.Refuse(500), UPLOAD)
    report = await device.sync()
    assert (report.pushed, report.problems) == ((), ())
    assert device.read(ONE) == before


async def test_the_reference_has_the_type_that_the_pds_says(tmp_path: Path) -> None:
    """Here of a text, which another client uploaded as Markdown."""
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, "pictures/notes.md", b"# Notes\n")
    world.sandbox.blobs(world.login.did).upload(b"# Notes\n", "text/markdown")
    device.save(ONE, image={"$type": "blob", "$file": "pictures/notes.md"})
    report = await device.sync()
    assert (report.pushed, report.problems) == ((ONE,), ())
    assert picture_of(world)["mimeType"] == "text/markdown"


async def test_a_limit_of_uploads_holds_its_records_back_and_no_others(tmp_path: Path) -> None:
    limits = RateLimits(upload=Bucket("upload-blob", 1, 86400))
    world = world_of(tmp_path, Sandbox(limits=limits))
    device = device_of(world)
    put(device, "pictures/other.png", PICTURE + b"1")
    device.save(ONE, image=NAMED)
    device.save(TWO, image={"$type": "blob", "$file": "pictures/other.png"})
    three = RecordPath("com.example.note/zzz")
    device.save(three, text="no picture")
    report = await device.sync()
    assert report.pushed == (ONE, three)
    assert report.halted is None
    (waits,) = device.mirror.state.waiting()
    assert isinstance(waits, Pending)
    assert waits.path == TWO
    assert waits.due_ns is not None
    # The next cycle asks for nothing, and the record waits on.
    assert not (await device.sync()).pushed
    assert [item.path for item in device.mirror.state.waiting()] == [TWO]
    rework(device.mirror, clock_ns=lambda: waits.due_ns + 1)
    world.sandbox.limits = None
    assert (await device.sync()).pushed == (TWO,)
    assert device.mirror.state.waiting() == ()


@pytest.mark.parametrize(
    "effect", [faults.DropRequest(), faults.DropAnswer(), faults.Refuse(502), faults.Html()]
)
async def test_an_upload_without_an_answer_is_done_again(
    tmp_path: Path, effect: faults.Effect
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    device.save(TWO, text="no picture")
    world.sandbox.faults.add(effect, UPLOAD)
    report = await device.mirror.cycle()
    assert report.pushed == (TWO,)
    assert report.halted is not None
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world) == REF.value


async def test_a_file_that_never_gets_an_answer_keeps_back_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    send = Sender._send
    stuck = {f"pictures/{number}.png" for number in range(2 * STREAMS)}

    async def without_answer(self: Sender, parcel: Parcel) -> None:
        if parcel.name in stuck:
            raise Unreachable("com.atproto.repo.uploadBlob got no usable answer")
        await send(self, parcel)

    monkeypatch.setattr(Sender, "_send", without_answer)
    last = RecordPath("com.example.note/z")
    for number, name in enumerate([*sorted(stuck), "pictures/z.png"]):
        put(device, name, PICTURE + bytes([number]))
        path = last if name not in stuck else RecordPath(f"com.example.note/r{number}")
        device.save(path, image={"$type": "blob", "$file": name})
    pushed: set[RecordPath] = set()
    for _ in range(STREAMS + 1):
        report = await device.mirror.cycle()
        pushed |= set(report.pushed)
        assert report.problems == ()
        assert isinstance(report.halted, Unreachable)
    assert pushed == {last}
    monkeypatch.undo()
    assert len((await device.sync()).pushed) == len(stuck)


async def test_what_the_pds_refuses_is_a_problem_until_the_file_changes(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    blobs = world.sandbox.blobs(world.login.did)
    blobs.upload(PICTURE, "image/png")
    blobs.take_down(REF.cid)
    for _ in range(2):
        report = await device.sync()
        (problem,) = report.problems
        assert "takendown" in problem.reason
        assert not report.pushed
    put(device, "pictures/cover.png", PICTURE + b"1")
    assert (await device.sync()).pushed == (ONE,)


async def test_many_files_are_uploaded_some_at_a_time_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    running, most, begun = 0, 0, list[str]()
    send = Sender._send

    async def counted(self: Sender, parcel: Parcel) -> None:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        begun.append(parcel.name)
        await asyncio.sleep(0)
        await send(self, parcel)
        running -= 1

    monkeypatch.setattr(Sender, "_send", counted)
    names = [f"pictures/{number}.png" for number in range(10)]
    for number, name in enumerate(names):
        put(device, name, PICTURE + bytes([number]))
        both = [{"$type": "blob", "$file": each} for each in (name, names[0])]
        device.save(RecordPath(f"com.example.note/r{number}"), images=both)
    assert len((await device.sync()).pushed) == 10
    assert (most, sorted(begun)) == (STREAMS, sorted(names))
    assert uploads(world) == 10


async def test_a_file_that_comes_back_after_its_record_went_is_uploaded_again(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    for _ in range(2):
        device.save(ONE, image=NAMED)
        assert (await device.sync()).pushed == (ONE,)
        assert picture_of(world) == REF.value
        await world.delete(ONE)
        assert uploads(world) == 0
        await device.sync()
        assert not device.has(ONE)


# --- Edits and stops in between -------------------------------------------------------------------


@pytest.mark.parametrize("content", [PICTURE[:-1] + b"Y", b"GIF89a" + bytes(len(PICTURE) - 6)])
async def test_no_other_bytes_are_uploaded_in_the_place_of_those_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Of the same size, so that only another stat shows the difference."""
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    send, met = Sender._send, list[int]()

    async def edited(self: Sender, *what: Any) -> None:  # noqa: ANN401
        if not met:
            put(device, "pictures/cover.png", content)
        try:
            await send(self, *what)
        finally:
            met.append(uploads(world))

    monkeypatch.setattr(Sender, "_send", edited)
    assert (await device.sync()).pushed == (ONE,)
    assert met == [0, 1]
    assert picture_of(world)["ref"] == cid_of_blob(content)


async def test_a_file_that_changes_before_it_is_uploaded_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED)
    upload, edits = Sender._send, [PICTURE + b"edited", b"GIF89a" + PICTURE]

    async def edited(self: Sender, *what: Any) -> None:  # noqa: ANN401
        if edits:
            put(device, "pictures/cover.png", edits.pop())
        await upload(self, *what)

    monkeypatch.setattr(Sender, "_send", edited)
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world)["ref"] == cid_of_blob(PICTURE + b"edited")
    assert device.read(ONE)["image"]["mimeType"] == "image/png"


async def test_a_record_that_is_edited_during_the_upload_keeps_the_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED, text="one")
    upload, edits = Sender._send, ["two"]

    async def edited(self: Sender, *what: Any) -> None:  # noqa: ANN401
        await upload(self, *what)
        if edits:
            device.save(ONE, image=NAMED, text=edits.pop())

    monkeypatch.setattr(Sender, "_send", edited)
    assert (await device.sync()).pushed == (ONE,)
    assert device.read(ONE)["text"] == "two"
    assert picture_of(world) == REF.value


async def test_a_hard_link_is_a_file_like_any_other(tmp_path: Path) -> None:
    """Photo folders are full of them, and who makes one could make a copy."""
    world = world_of(tmp_path)
    device = device_of(world)
    (tmp_path / "elsewhere.png").write_bytes(PICTURE)
    (device.root / "pictures/cover.png").unlink()
    (device.root / "pictures/cover.png").hardlink_to(tmp_path / "elsewhere.png")
    device.save(ONE, image=NAMED)
    assert (await device.sync()).pushed == (ONE,)
    assert picture_of(world) == REF.value


class Stop(BaseException):
    """The process ends here."""


STOPS = ("before the upload", "after the upload", "after the file", "after the record")


@pytest.mark.parametrize("stop", STOPS)
async def test_a_stop_between_any_two_steps_loses_nothing_and_the_next_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, image=NAMED, text="hello")
    upload, put_in = Sender._send, Uploads._put_in

    async def stopped_upload(self: Sender, *what: Any) -> None:  # noqa: ANN401
        if stop == STOPS[0]:
            raise Stop
        await upload(self, *what)
        if stop == STOPS[1]:
            raise Stop

    def stopped_put(self: Uploads, *what: Any) -> Any:  # noqa: ANN401
        found = put_in(self, *what)
        if stop == STOPS[2]:
            raise Stop
        return found

    def stopping(send: Callable[..., Any]) -> Callable[..., Any]:
        async def stopped(*what: Any, **how: Any) -> Any:  # noqa: ANN401
            written = await send(*what, **how)
            if stop == STOPS[3]:
                raise Stop
            return written

        return stopped

    with monkeypatch.context() as patches:
        patches.setattr(Sender, "_send", stopped_upload)
        patches.setattr(Uploads, "_put_in", stopped_put)
        patches.setattr(MemoryPds, "put", stopping(MemoryPds.put))
        patches.setattr(MemoryPds, "write", stopping(MemoryPds.write))
        with pytest.raises(Stop):
            await device.sync()
    device = world.restart(device)
    report = await device.sync()
    assert report.problems == ()
    assert picture_of(world) == REF.value
    assert device.read(ONE) == {
        "$type": "com.example.note",
        "image": to_json(REF.value),
        "text": "hello",
    }
    assert uploads(world) == 1
    assert not (await device.sync()).pushed
