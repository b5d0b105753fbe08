"""Where each editor reads which schema a file has: the place of its settings, and the words. Pure.

Never reads a file. syncd recognises what it wrote by the place of the schemas, or by the lines
around it. So it can remove that from settings that a person has edited since.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from syncd.errors import FileProblem
from syncd.mirror.editors.edits import with_entries, without_entries
from syncd.values import dataclass

SCHEMAS: Final = ".syncd/schemas"
MADE: Final = f"{SCHEMAS}/.made.json"
"""What the last installation left."""
_OURS: Final = f"/{SCHEMAS}/"
_CODE: Final = ("json.schemas",)
_ZED: Final = ("lsp", "json-language-server", "settings", "json", "schemas")
_SERVER: Final = "vscode-json-language-server"
_TOML_DIRECTIVE: Final = f"#:schema ./{SCHEMAS}/syncd.toml.json"


@dataclass(frozen=True, slots=True)
class Mapped:
    """The schema `file`, a path in the folder and a URL, of the files that `patterns` name."""

    patterns: tuple[str, ...]
    file: str
    url: str


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor.

    Attributes:
        title: Its name for people.
        file: Its settings, from the top of the folder.
        programs: What starts it.
        add: Puts the schemas into the text of its settings. Raises BadJson or FileProblem.
        take_out: Takes them out again.
        needs: What a person has to have or to do besides.
    """

    title: str
    file: str
    programs: tuple[str, ...]
    add: Callable[[str, Sequence[Mapped]], str]
    take_out: Callable[[str], str]
    needs: str = ""


def _is_ours(entry: object) -> bool:
    return isinstance(entry, dict) and _OURS in str(entry.get("url"))


def _add_to_code(text: str, mapped: Sequence[Mapped]) -> str:
    # A relative URL counts from the folder, so that the settings can be shared.
    entries = [{"fileMatch": list(each.patterns), "url": f"./{each.file}"} for each in mapped]
    return with_entries(text, _CODE, entries, _is_ours)


def _add_to_zed(text: str, mapped: Sequence[Mapped]) -> str:
    return with_entries(text, _ZED, [_entry(each) for each in mapped], _is_ours)


def _entry(mapped: Mapped) -> dict[str, Any]:
    return {"fileMatch": list(mapped.patterns), "url": mapped.url}


def _add_to_helix(text: str, mapped: Sequence[Mapped]) -> str:
    rest = _without_block(text, "#")
    if re.search(rf"^[^#\n]*{_SERVER}", rest, re.MULTILINE):
        # A table can be there once, and which of its keys are whose nobody could tell later.
        raise FileProblem(
            f"it already configures {_SERVER}",
            hint=f"add the files of {SCHEMAS} to its config.json.schemas by hand",
        )
    lines = [
        f"[language-server.{_SERVER}.config]",
        "provideFormatter = true",
        "",
        f"[language-server.{_SERVER}.config.json]",
        "validate = { enable = true }",
        "schemas = [",
        *(f"  {_toml(each)}," for each in mapped),
        "]",
    ]
    gap = "" if not rest or rest.endswith("\n\n") else "\n" if rest.endswith("\n") else "\n\n"
    return f"{rest}{gap}{_block(lines, '#')}"


def _toml(mapped: Mapped) -> str:
    return f"{{ fileMatch = {json.dumps(list(mapped.patterns))}, url = {json.dumps(mapped.url)} }}"


def _add_to_neovim(text: str, mapped: Sequence[Mapped]) -> str:
    lines = [
        'vim.lsp.config("jsonls", {',
        "  settings = {",
        "    json = {",
        "      validate = { enable = true },",
        "      schemas = {",
        *(f"        {_lua(each)}," for each in mapped),
        "      },",
        "    },",
        "  },",
        "})",
    ]
    # At the end it could come after a `return`, which ends a file of Lua.
    return _block(lines, "--") + _without_block(text, "--")


def _lua(mapped: Mapped) -> str:
    patterns = ", ".join(map(json.dumps, mapped.patterns))
    return f"{{ fileMatch = {{ {patterns} }}, url = {json.dumps(mapped.url)} }}"


def _block(lines: Sequence[str], mark: str) -> str:
    first = f"{mark} >>> syncd (to remove these lines: syncd editor uninstall)"
    return "\n".join([first, *lines, f"{mark} <<< syncd", ""])


def _without_block(text: str, mark: str) -> str:
    pattern = rf"(?:(?<=\n)\n)?^{mark} >>> syncd\b.*?^{mark} <<< syncd[^\n]*\n?"
    return re.sub(pattern, "", text, flags=re.MULTILINE | re.DOTALL)


def with_directive(settings: str) -> str:
    """Return the text of syncd.toml with the line that names its schema to editors of TOML."""
    if re.search(r"^#:schema ", settings, re.MULTILINE):
        return settings
    end = "\r\n" if "\r\n" in settings else "\n"
    return f"{_TOML_DIRECTIVE}{end}{settings}"


def without_directive(settings: str) -> str:
    """Return the text of syncd.toml without that line; a line that names another schema stays."""
    return re.sub(rf"^{re.escape(_TOML_DIRECTIVE)}\r?\n", "", settings, flags=re.MULTILINE)


EDITORS: Final[Mapping[str, Editor]] = {
    "vscode": Editor(
        "VS Code",
        ".vscode/settings.json",
        ("code", "codium", "cursor", "code-insiders"),
        _add_to_code,
        lambda text: without_entries(text, _CODE, _is_ours),
    ),
    "zed": Editor(
        "Zed",
        ".zed/settings.json",
        ("zed", "zeditor"),
        _add_to_zed,
        lambda text: without_entries(text, _ZED, _is_ours),
    ),
    "helix": Editor(
        "Helix",
        ".helix/languages.toml",
        ("hx", "helix"),
        _add_to_helix,
        lambda text: _without_block(text, "#"),
        f"{_SERVER}, from the npm package vscode-langservers-extracted",
    ),
    "neovim": Editor(
        "Neovim",
        ".nvim.lua",
        ("nvim",),
        _add_to_neovim,
        lambda text: _without_block(text, "--"),
        "Neovim 0.11 with nvim-lspconfig, its server jsonls enabled, and `set exrc`",
    ),
}
"""By the name of the option."""
