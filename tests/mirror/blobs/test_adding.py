"""`syncd blob add` and `blob replace`: a file of a person becomes a blob that a record names."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.blobs.location import tells_place
from syncd.cli import cli
from syncd.errors import FolderWrong, SyncdError
from syncd.mirror.offline import open_files
from syncd.model import RecordPath
from tests.rigs import schema
from tests.rigs.mirrors import make_mirror

NOTE = "com.example.note"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 100
REF = BlobRef(cid_of_blob(PICTURE), "image/png", len(PICTURE))
NEW = PICTURE + b"new"
BLOG, POST, FEED = "com.whtwnd.blog.entry", "app.bsky.feed.post", "app.bsky.feed.generator"
MADE = {"createdAt": "2026-11-30T00:00:00Z"}
WITH_ALT = {"alt": "y", "image": "REF"}
IN_BLOG = {"blobref": "REF", "name": "cover.png"}
IMAGES = {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": "REF"}]}
AVATAR = {"avatar": "REF"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_mirror(tmp_path / "notes")
    settings = root / "syncd.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("read_only = true", "read_only = false"), encoding="utf-8")
    return root


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "cover.png"
    file.write_bytes(PICTURE)
    return file


def run(root: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), "blob", *map(str, words)])


def ok(root: Path, *words: str | Path) -> str:
    done = run(root, *words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def refused(root: Path, *words: str | Path) -> SyncdError:
    """Return the error of a command; each names what to do next."""
    done = run(root, *words)
    assert isinstance(done.exception, SyncdError), done.output
    assert done.exception.hint
    return done.exception


def save(root: Path, name: str, text: str) -> Path:
    file = root / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def taken_in_berlin(form: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    out = BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, form, exif=exif)
    return out.getvalue()


def test_a_reference_is_printed_and_the_bytes_are_kept(root: Path, picture: Path) -> None:
    assert json.loads(ok(root, "add", picture)) == to_json(REF.value)
    (file,) = (root / "blobs").iterdir()
    assert (file.name, file.read_bytes()) == (f"{REF.cid}.png", PICTURE)
    assert picture.read_bytes() == PICTURE
    # Once more, also by the file that is there already: nothing changes.
    assert json.loads(ok(root, "add", file)) == to_json(REF.value)
    assert [each.name for each in (root / "blobs").iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("collection", "pointer", "before", "after"),
    [
        (NOTE, "#/image", {"text": "x"}, {"image": "REF", "text": "x"}),
        (NOTE, "#/image", {"image": None}, {"image": "REF"}),
        (NOTE, "#/a~1b", {}, {"a/b": "REF"}),
        (NOTE, "#/a%20b", {"a b": None}, {"a b": "REF"}),
        (NOTE, "#/a%20b", {}, {"a b": "REF"}),
        (NOTE, "#/a%20b", {"a%20b": None}, {"a%20b": "REF"}),
        (NOTE, "#/a%20b", {"a%20b": None, "a b": None}, {"a%20b": "REF", "a b": None}),
        (NOTE, "#/l/0/k%C3%A9", {"l": [{"k%C3%A9": None}]}, {"l": [{"k%C3%A9": "REF"}]}),
        (NOTE, "#/k%C3%A9%2Fx%7E1y", {"ké": {}}, {"ké": {"x/y": "REF"}}),
        (NOTE, "#/100%", {}, {"100%": "REF"}),
        (NOTE, "#/a%FF", {}, {"a%FF": "REF"}),
        (NOTE, "#%2Fa", {}, {"a": "REF"}),
        (NOTE, "#/images/-", {"images": []}, {"images": ["REF"]}),
        (NOTE, "#/images/-", {}, {"images": ["REF"]}),
        (NOTE, "#/images/0/image", {"images": [{"alt": "y"}]}, {"images": [WITH_ALT]}),
        (NOTE, "#/images/1", {"images": ["x"]}, {"images": ["x", "REF"]}),
        (BLOG, "", {"content": "x"}, {"content": "x", "blobs": [IN_BLOG]}),
        (POST, "", {"text": "x", **MADE}, {"text": "x", **MADE, "embed": {**IMAGES}}),
        (FEED, "", {"did": "did:web:a.test", **MADE}, {"did": "did:web:a.test", **MADE, **AVATAR}),
    ],
)
@pytest.mark.parametrize("name", ["one.json", "one.draft.json"])
def test_a_reference_is_put_into_a_record_or_a_draft(
    root: Path,
    picture: Path,
    name: str,
    collection: str,
    pointer: str,
    before: Any,  # noqa: ANN401
    after: Any,  # noqa: ANN401
) -> None:
    file = save(root, f"{collection}/{name}", json.dumps(before))
    ok(root, "add", picture, "--to", f"{collection}/{name}{pointer}")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found.pop("$type", collection) == collection
    assert found == json.loads(json.dumps(after).replace('"REF"', json.dumps(to_json(REF.value))))
    assert [each.name for each in file.parent.iterdir()] == [name]


def test_the_rest_of_a_file_stays_as_a_person_wrote_it(root: Path, picture: Path) -> None:
    file = save(
        root, f"{NOTE}/one.json", '{\r\n   "$type": "com.example.note",\r\n   "b": [1]\r\n}'
    )
    shown = json.loads(ok(root, "add", picture, "--to", f"{NOTE}/one#/a", "--json"))
    schema.check("blob add", shown)
    text = file.read_bytes().decode()
    assert text.startswith('{\r\n   "$type": "com.example.note",\r\n   ')
    line = text.split("\r\n")[shown["to"]["line"] - 1]
    assert line[shown["to"]["column"] - 1 :].startswith("{")
    assert str(REF.cid) in text


def test_a_page_keeps_its_comments_and_its_text(root: Path, picture: Path) -> None:
    with (root / "syncd.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[files]\nmarkdown = {{ "{NOTE}" = "content" }}\n')
    file = save(root, f"{NOTE}/one.md", "---\n# mine\ntitle: A\n---\n\nThe text.\n")
    ok(root, "add", picture, "--to", f"{NOTE}/one.md#/cover")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("---\n# mine\n")
    assert text.endswith("\ntitle: A\n---\n\nThe text.\n")
    assert str(REF.cid) in text


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        ("#/text", '{"text": "mine"}'),
        ("#/images/3", '{"images": []}'),
        ("#/images/x", '{"images": []}'),
        ("#/embed/images/-", '{"embed": {"$type": "app.bsky.embed.external"}}'),
        ("#/a/b/c", "{}"),
        ("#a", "{}"),
        ("#/a~2b", "{}"),
        ("#/a~", "{}"),
        ("#/a%7E", "{}"),
        ("", "{}"),
        ("#/a", '{"a": 1.5}'),
        ("#/a", '{"b": {"$type": "blob", "$file": "a.png"}}'),
        ("#/a", "{"),
    ],
)
def test_what_has_no_place_for_it_stays_as_it_is(
    root: Path, picture: Path, pointer: str, text: str
) -> None:
    file = save(root, f"{NOTE}/one.json", text)
    refused(root, "add", picture, "--to", f"{NOTE}/one{pointer}")
    assert file.read_text(encoding="utf-8") == text


def test_a_lexicon_with_two_places_asks_for_one(root: Path, picture: Path) -> None:
    save(root, "app.bsky.actor.profile/self.json", "{}")
    error = refused(root, "add", picture, "--to", "app.bsky.actor.profile/self")
    assert "#/avatar" in error.hint
    assert "#/banner" in error.hint


def test_for_a_record_that_is_not_there_yet_the_hint_makes_a_draft_that_takes_it(
    root: Path, picture: Path
) -> None:
    error = refused(root, "add", picture, "--to", "app.bsky.actor.profile/self#/avatar")
    command = "syncd new app.bsky.actor.profile"
    assert command in error.hint
    draft = CliRunner().invoke(cli, ["-C", str(root), *command.split()[1:]]).stdout.strip()
    ok(root, "add", picture, "--to", f"{draft}#/avatar")
    assert json.loads((root / draft).read_text(encoding="utf-8"))["avatar"] == to_json(REF.value)


def make_bad(kind: str, root: Path, tmp_path: Path) -> Path:
    """Return a file that cannot be added."""
    file = tmp_path / kind
    match kind:
        case "empty":
            file.touch()
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "hidden":
            file = root / ".env"
            file.write_text("TOKEN=1", encoding="utf-8")
        case "link":
            (tmp_path / "secret").write_text("TOKEN=1", encoding="utf-8")
            file = root / "picture.png"
            file.symlink_to(tmp_path / "secret")
        case "below a link":
            (tmp_path / "home").mkdir()
            (tmp_path / "home" / "a").write_text("TOKEN=1", encoding="utf-8")
            (root / "pictures").symlink_to(tmp_path / "home")
            file = root / "pictures" / "a"
        case "tells":
            file.write_bytes(taken_in_berlin())
        case "film":
            file.write_bytes(b"\0\0\0\x18ftypmp42" + b"\0" * 12 + b"com.apple.quicktime.location")
    return file


@pytest.mark.parametrize(
    "kind",
    ["nowhere", "empty", "directory", "pipe", "hidden", "link", "below a link", "tells", "film"],
)
def test_what_is_no_file_to_publish_is_refused(root: Path, tmp_path: Path, kind: str) -> None:
    file = make_bad(kind, root, tmp_path)
    record = save(root, f"{NOTE}/one.json", "{}")
    refused(root, "add", file, "--to", f"{NOTE}/one#/image")
    assert record.read_text(encoding="utf-8") == "{}"
    assert not (root / "blobs").exists()
    if kind == "film":
        # What a hint offers works.
        assert "--strip" not in refused(root, "add", file).hint
        refused(root, "add", "--strip", file)


def test_a_place_is_taken_out_or_left_in_as_a_person_says(root: Path, tmp_path: Path) -> None:
    file, before = tmp_path / "hill.jpg", taken_in_berlin()
    file.write_bytes(before)
    shown = json.loads(ok(root, "add", "--strip", file, "--json"))
    assert shown["stripped"]
    assert not tells_place(BytesIO((root / shown["file"]).read_bytes()), "image/jpeg")
    shown = json.loads(ok(root, "add", "--as-is", file, "--json"))
    assert (root / shown["file"]).read_bytes() == before
    assert not shown["stripped"]


def naming(*files: str) -> str:
    return json.dumps({"images": [{"$type": "blob", "$file": file} for file in files]})


def in_folder(root: Path, name: str, content: bytes) -> BlobRef:
    (root / "pictures").mkdir(exist_ok=True)
    (root / "pictures" / name).write_bytes(content)
    return BlobRef(cid_of_blob(content), "image/png", len(content))


@pytest.mark.parametrize("name", ["one.json", "one.draft.json"])
@pytest.mark.parametrize("pointer", ["", "#/images/0"])
def test_a_record_that_names_a_file_gets_its_reference(root: Path, name: str, pointer: str) -> None:
    """As the hint says where a picture tells its place; the other files of the record too."""
    other = in_folder(root, "b.png", NEW)
    picture = root / "pictures" / "hill.jpg"
    picture.write_bytes(taken_in_berlin())
    file = save(root, f"{NOTE}/{name}", naming("pictures/hill.jpg", "pictures/b.png"))
    assert "syncd blob add --strip FILE --to RECORD" in refused(root, "add", picture).hint
    to = f"{NOTE}/{name}{pointer}"
    shown = json.loads(ok(root, "add", "--strip", picture, "--to", to, "--json"))
    assert shown["to"]["pointer"] == "/images/0"
    found = json.loads(file.read_text(encoding="utf-8"))["images"]
    assert found == [shown["ref"], to_json(other.value)]
    assert (root / "blobs" / f"{other.cid}.png").read_bytes() == NEW


def test_a_file_from_elsewhere_takes_the_place_of_one_that_a_record_names(
    root: Path, picture: Path
) -> None:
    file = save(root, f"{NOTE}/one.json", naming("pictures/none.png"))
    refused(root, "add", picture, "--to", f"{NOTE}/one#/images/-")
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(naming("pictures/none.png"))
    ok(root, "add", picture, "--to", f"{NOTE}/one#/images/0")
    assert json.loads(file.read_text(encoding="utf-8"))["images"] == [to_json(REF.value)]


def test_what_a_record_named_before_is_in_history(root: Path, picture: Path) -> None:
    in_folder(root, "b.png", NEW)
    before = naming("pictures/b.png")
    save(root, f"{NOTE}/one.json", before)
    ok(root, "add", picture, "--to", f"{NOTE}/one#/images/-")
    with open_files(root) as workspace:
        path = RecordPath(f"{NOTE}/one")
        kept = [workspace.history.content(event.cid) for event in workspace.history.events(path)]
    assert kept == [before.encode()]


@pytest.mark.parametrize(
    ("name", "when", "command"),
    [
        ("one.json", "now", "syncd sync"),
        ("one.draft.json", "now", f"syncd publish {NOTE}/one.draft.json"),
        ("one.json", "ask", f"syncd publish {NOTE}/one"),
    ],
)
def test_a_command_says_which_one_sends_the_record(
    root: Path, picture: Path, name: str, when: str, command: str
) -> None:
    if when == "ask":
        with (root / "syncd.toml").open("a", encoding="utf-8") as settings:
            settings.write('\n[push]\nwhen = "ask"\n')
    save(root, f"{NOTE}/{name}", "{}")
    added = run(root, "add", picture, "--to", f"{NOTE}/{name}#/image")
    assert added.stderr.strip().endswith(f": {command}")
    picture.write_bytes(NEW)
    replaced = run(root, "replace", str(REF.cid), picture)
    assert replaced.stderr.strip().endswith(f": {command}")


@pytest.mark.parametrize("setting", ["strip", "keep"])
def test_a_setting_says_it_for_every_file(root: Path, tmp_path: Path, setting: str) -> None:
    with (root / "syncd.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[blobs]\nlocation = "{setting}"\n')
    file = tmp_path / "hill.jpg"
    file.write_bytes(taken_in_berlin())
    if setting == "keep":
        refused(root, "add", file)
        assert "allowed here" in ok(root, "location", "allow")
    assert json.loads(ok(root, "add", file, "--json"))["stripped"] is (setting == "strip")
    if setting == "keep":
        assert "not uploaded" in ok(root, "location", "forbid")
        refused(root, "add", file)


def test_other_bytes_under_the_name_of_a_blob_are_set_aside(root: Path, picture: Path) -> None:
    (root / "blobs").mkdir()
    (root / "blobs" / f"{REF.cid}.png").write_bytes(b"mine")
    ok(root, "add", picture)
    found = {file.name: file.read_bytes() for file in (root / "blobs").iterdir()}
    assert found == {f"{REF.cid}.png": PICTURE, f"edited-1-{REF.cid}.png": b"mine"}


def test_nothing_is_added_to_a_mirror_that_never_pushes(root: Path, picture: Path) -> None:
    text = (root / "syncd.toml").read_text(encoding="utf-8")
    text = text.replace("read_only = false", "read_only = true")
    (root / "syncd.toml").write_text(text, encoding="utf-8")
    assert isinstance(run(root, "add", picture).exception, FolderWrong)


# --- blob replace ---------------------------------------------------------------------------------


def names(value: Any) -> str:  # noqa: ANN401
    return json.dumps(to_json(value))


def test_every_file_that_names_a_blob_names_the_new_one(root: Path, picture: Path) -> None:
    old = names(REF.value)
    both = f'{{"a": {old}, "b": [{{"c": {old}}}], "text": "x"}}'
    files = [save(root, f"{NOTE}/{n}", both) for n in ("one.json", "two.json", "three.draft.json")]
    other = save(root, f"{NOTE}/other.json", '{"text": "x"}')
    broken = save(root, f"{NOTE}/broken.draft.json", f'{{"a": {old},,}}')
    picture.write_bytes(NEW)
    done = run(root, "replace", f"blobs/{REF.cid}.png", picture, "--json")
    assert done.exit_code == 3
    shown = json.loads(done.stdout)
    schema.check("blob replace", shown)
    assert sorted(shown["files"]) == sorted(str(file.relative_to(root)) for file in files)
    assert list(shown["failed"]) == [str(broken.relative_to(root))]
    new = BlobRef(cid_of_blob(NEW), "image/png", len(NEW))
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        assert (found["a"], found["b"], found["text"]) == (
            to_json(new.value), [{"c": to_json(new.value)}], "x",
        )  # fmt: skip
    assert other.read_text(encoding="utf-8") == '{"text": "x"}'


def test_a_blob_that_nobody_names_is_not_replaced(root: Path, picture: Path) -> None:
    save(root, f"{NOTE}/one.json", f'{{"a": {names(REF.value)}}}')
    refused(root, "replace", cid_of_blob(b"another").__str__(), picture)
    refused(root, "replace", str(REF.cid), picture)  # by itself
    refused(root, "replace", "nonsense", picture)
