"""`syncd editor`: schemas, named in settings that a person wrote, and taken out of them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
from click.testing import CliRunner, Result
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from syncd.cli import cli
from syncd.config import load_config
from syncd.config.schema import config_schema
from syncd.config.settings import SETTINGS
from syncd.errors import FileProblem
from syncd.mirror.editors.install import install, refresh, uninstall
from syncd.mirror.editors.kinds import EDITORS
from syncd.mirror.editors.served import keep_served
from syncd.mirror.lexicons.updating import Mirrored
from tests.cli.commands.test_lexicon import put
from tests.mirror.test_updating import THING, Network, lexicon, place, update
from tests.rigs.device import World

POST = "app.bsky.feed.post"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = place(tmp_path / "my notes")
    put(root, f"{POST}/a.json", {"text": "x"})
    put(root, "com.example.unknown/a.json", {})
    return root


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), "editor", *arguments])


def mapped(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((root / ".vscode/settings.json").read_text())[
        "json.schemas"
    ]
    return found


def everything(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_the_collections_whose_lexicon_is_known_have_a_schema(root: Path) -> None:
    assert run(root, "install", "--vscode").exit_code == 0
    assert mapped(root) == [
        {
            "fileMatch": [f"/{POST}/**/*.json", "!**/.syncd/**"],
            "url": f"./.syncd/schemas/{POST}.json",
        }
    ]
    schema = json.loads((root / ".syncd" / "schemas" / f"{POST}.json").read_text())
    assert schema["title"] == POST
    assert (root / "syncd.toml").read_text().startswith("#:schema ./.syncd/schemas/syncd.toml.json")
    load_config(root / "syncd.toml", {})
    assert "$schema" not in (root / POST / "a.json").read_text()


@pytest.mark.parametrize("editor", EDITORS)
def test_what_was_put_in_is_taken_out_to_the_letter(root: Path, editor: str) -> None:
    before = everything(root)
    assert run(root, "install", f"--{editor}").exit_code == 0
    assert (root / EDITORS[editor].file).exists()
    assert run(root, "uninstall").exit_code == 0
    assert everything(root) == before
    assert run(root, "uninstall").exit_code == 0


OWN: dict[str, str] = {
    "vscode": '{\n  // mine\n  "a": 3, /* why */\n  "json.schemas": [{"url": "x"}],\n}\n',
    "zed": '{\r\n  "lsp": {"json-language-server": {"x": 1}}, // mine\r\n}\r\n',
    "helix": '# mine\n[[language]]\nname = "python"',
    "neovim": "-- mine\nreturn { a = 1 }\n",
}


@pytest.mark.parametrize("editor", EDITORS)
def test_what_a_person_wrote_stays_with_its_comments(root: Path, editor: str) -> None:
    file = root / EDITORS[editor].file
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(OWN[editor].encode())
    file.chmod(0o640)
    for _ in range(2):
        install(Mirrored(root), [editor])
    done = file.read_text()
    assert "mine" in done
    assert done.count(f"schemas/{POST}.json") == 1
    uninstall(root)
    kept = file.read_bytes().decode()
    # A line end that the last line lacked is needed before a table, and stays.
    assert kept.rstrip("\n") == OWN[editor].rstrip("\n")
    assert file.stat().st_mode & 0o777 == 0o640
    assert not (root / ".syncd" / "schemas").exists()


def test_helix_finds_its_settings_in_toml(root: Path) -> None:
    put(root, ".helix/languages.toml", OWN["helix"])
    install(Mirrored(root), ["helix"])
    found = tomli.loads((root / ".helix" / "languages.toml").read_text())
    assert found["language"] == [{"name": "python"}]
    config = found["language-server"]["vscode-json-language-server"]["config"]
    (entry,) = config["json"]["schemas"]
    assert entry["url"] == (root / ".syncd" / "schemas" / f"{POST}.json").as_uri()
    assert " " not in entry["url"]


@pytest.mark.parametrize(
    ("editor", "text", "place"),
    [
        ("vscode", '{"json.schemas": {}}', "(line 1, column 18)"),
        ("vscode", '{"a": 1', "(line 1, column 8)"),
        ("zed", '{"lsp": []}', "(line 1, column 9)"),
        ("helix", "[language-server.vscode-json-language-server]\ncommand = 'x'\n", ""),
    ],
)
def test_settings_that_cannot_be_edited_are_named_and_nothing_is_changed(
    root: Path, editor: str, text: str, place: str
) -> None:
    put(root, EDITORS[editor].file, text)
    before = everything(root)
    done = run(root, "install", "--neovim", f"--{editor}")
    assert done.exit_code != 0
    assert isinstance(done.exception, FileProblem)
    assert EDITORS[editor].file in str(done.exception)
    assert place in str(done.exception)
    assert everything(root) == before


def test_settings_that_are_no_text_are_named(root: Path) -> None:
    (root / ".vscode").mkdir()
    (root / ".vscode" / "settings.json").write_bytes(b"\xff\xfe{\x00}\x00")
    assert isinstance(run(root, "install", "--vscode").exception, FileProblem)


def test_a_link_to_settings_elsewhere_stays_a_link(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles.json"
    elsewhere.write_text("{}")
    (root / ".vscode").mkdir()
    (root / ".vscode" / "settings.json").symlink_to(elsewhere)
    install(Mirrored(root), ["vscode"])
    assert (root / ".vscode" / "settings.json").is_symlink()
    assert POST in elsewhere.read_text()


def test_without_an_option_the_editors_of_the_machine_are_served(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert run(root, "install").exit_code != 0
    put(tmp_path, "bin/hx", "#!/bin/sh\n")
    (tmp_path / "bin" / "hx").chmod(0o755)
    assert run(root, "install").exit_code == 0
    assert (root / ".helix" / "languages.toml").exists()
    assert not (root / ".vscode").exists()


def add_lexicon(root: Path) -> None:
    put(root, "lexicons/com/example/unknown.json", lexicon("com.example.unknown"))


def add_collection(root: Path) -> None:
    put(root, "app.bsky.feed.like/a.json", {})


def change_lexicon(root: Path) -> None:
    put(root, f"com.atproto.lexicon.schema/{POST}.json", lexicon(POST, x={"type": "integer"}))


@pytest.mark.parametrize("change", [add_lexicon, add_collection, change_lexicon])
def test_schemas_are_made_anew_when_lexicons_or_collections_change(
    root: Path, change: Callable[[Path], None]
) -> None:
    install(Mirrored(root), ["vscode"])
    before = everything(root / ".syncd" / "schemas")
    refresh(Mirrored(root))
    assert everything(root / ".syncd" / "schemas") == before
    change(root)
    refresh(Mirrored(root))
    after = everything(root / ".syncd" / "schemas")
    assert after != before
    assert {f"{entry['url'].rpartition('/')[2]}" for entry in mapped(root)} == {
        name for name in after if name not in ("syncd.toml.json", ".made.json")
    }


def test_a_schema_goes_with_its_collection(root: Path) -> None:
    install(Mirrored(root), ["vscode"])
    shutil.rmtree(root / POST)
    refresh(Mirrored(root))
    assert "json.schemas" not in (root / ".vscode" / "settings.json").read_text()
    assert not (root / ".syncd" / "schemas" / f"{POST}.json").exists()


def test_nothing_is_made_for_who_did_not_ask(root: Path) -> None:
    before = everything(root)
    refresh(Mirrored(root))
    assert everything(root) == before


def test_settings_broken_since_stop_no_refresh_with_an_error(root: Path) -> None:
    install(Mirrored(root), ["vscode"])
    (root / ".vscode" / "settings.json").write_text("{")
    add_collection(root)
    refresh(Mirrored(root))
    assert (root / ".vscode" / "settings.json").read_text() == "{"


def test_the_schema_of_the_settings_has_every_key_and_takes_every_example() -> None:
    schema = config_schema()
    Draft7Validator.check_schema(schema)
    for setting in SETTINGS:
        example = tomli.loads(f"x = {setting.example}")["x"]
        file = {"mirror": {"did": "did:plc:abc"}}
        file.setdefault(setting.section, {})[setting.key] = example
        assert Draft7Validator(schema).is_valid(file), setting.key
        file[setting.section][f"{setting.key}x"] = example
        assert not Draft7Validator(schema).is_valid(file), setting.key
    bad: list[dict[str, object]] = [{}, {"mirror": {}}, {"mirror": {"did": 1}}]
    for wrong in bad:
        assert not Draft7Validator(schema).is_valid(wrong)
    words = {"mirror": {"did": "did:plc:abc"}, "push": {"lexicons": "no"}}
    assert not Draft7Validator(schema).is_valid(words)


def test_a_new_lexicon_is_in_the_schemas_after_update(root: Path) -> None:
    put(root, f"{THING}/a.json", {})
    install(Mirrored(root), ["vscode"])
    update(root, Network({THING: lexicon(THING)}), THING)
    refresh(Mirrored(root))
    assert (root / ".syncd" / "schemas" / f"{THING}.json").exists()


async def test_a_sync_keeps_the_schemas_new_where_editors_are_served(world: World) -> None:
    device = world.device()
    add_collection(device.root)
    keep_served(device.mirror.workspace)
    assert not (device.root / ".syncd" / "schemas").exists()
    install(Mirrored(device.root), ["vscode"])
    put(device.root, f"{POST}/a.json", {})
    keep_served(device.mirror.workspace)
    assert (device.root / ".syncd" / "schemas" / f"{POST}.json").exists()
    assert not (device.root / "syncd.toml").exists()
