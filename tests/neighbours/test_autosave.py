"""Which editors save by themselves in a folder, by their marks and settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.neighbours.autosave import find_autosave

SETTINGS = [
    (".vscode/settings.json", '{"files.autoSave": "afterDelay"}', "VS Code"),
    (".vscode/settings.json", '{\n  "files.autoSave" : "onFocusChange",\n}', "VS Code"),
    (".vscode/settings.json", '{"files.autoSave": "off"}', None),
    (".vscode/settings.json", '{\n  // "files.autoSave": "afterDelay"\n}', None),
    (".vscode/settings.json", '{"files.autoSaveDelay": 10}', None),
    (".config/Code/User/settings.json", '{"files.autoSave": "onWindowChange"}', "VS Code"),
    (".config/VSCodium/User/settings.json", '{"files.autoSave": "afterDelay"}', "VSCodium"),
    (".zed/settings.json", '{"autosave": "on_focus_change"}', "Zed"),
    (".config/zed/settings.json", '{"autosave": {"after_delay": {"milliseconds": 9}}}', "Zed"),
    (".zed/settings.json", '{"autosave": "off"}', None),
    (".idea/workspace.xml", "", "an IDE of JetBrains"),
    (".obsidian/app.json", "{}", "Obsidian"),
]


@pytest.mark.parametrize("is_above", [False, True])
@pytest.mark.parametrize(("path", "text", "name"), SETTINGS)
def test_an_editor_is_named_where_it_saves_by_itself(
    tmp_path: Path, path: str, text: str, name: str | None, is_above: bool
) -> None:
    root = tmp_path / "site" / "records"
    root.mkdir(parents=True)
    assert find_autosave(root) == ()
    file = (tmp_path if is_above else root) / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert find_autosave(root) == (() if name is None else (name,))


def test_settings_that_cannot_be_read_name_nobody_and_keep_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    os.mkfifo(tmp_path / ".vscode" / "settings.json")
    (tmp_path / ".zed" / "settings.json").mkdir(parents=True)
    (tmp_path / ".idea").write_text("no directory")
    assert find_autosave(tmp_path) == ()
