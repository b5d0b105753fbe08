"""Give hatchling the addresses of the project, and a README that needs no checkout beside it.

The one place of the address is `home` in pyproject.toml. It is empty until the owner sets it. This
module invents no address, and reads no file but the README.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(
    r"(?:<picture>\s*<source [^>]*>\s*)?"
    r'<img src="(?P<file>[^":]+)" alt="(?P<said>[^"]*)">(?:\s*</picture>)?'
    r"|!\[(?P<text>[^]]*)\]\((?P<path>[^):]+)\)"
)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?P<path>(?!https?:|#)[^)]+)\)")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


class AddressesHook(MetadataHookInterface):
    """Fill in the readme and, once there is an address, the links of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        home: str = self.config["home"]
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        shown = outside(text, home, f"v{self._version()}")
        metadata["readme"] = {"content-type": "text/markdown", "text": shown}
        metadata["urls"] = addresses(home)

    def _version(self) -> str:
        source = Path(self.root, "syncd", "__init__.py").read_text(encoding="utf-8")
        (version,) = re.findall(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
        return str(version)


def addresses(home: str) -> dict[str, str]:
    """Return the links of the project, or none without its address."""
    if not home:
        return {}
    return {
        "Homepage": home,
        "Issues": f"{home}/issues",
        "Changelog": f"{home}/blob/main/CHANGELOG.md",
    }


def outside(text: str, home: str, tag: str) -> str:
    """Return the README for a page that has no files of the repository beside it.

    Args:
        text: The README in Markdown, with paths relative to the repository.
        home: Where the repository is, such as `https://HOST/OWNER/syncd`; empty if nowhere yet.
            Then pictures are left out, and of a link to a file only its text remains.
        tag: The git tag of the release, whose files the addresses name.
    """
    position, parts = 0, []
    for code in _CODE.finditer(text):
        parts += [_prose(text[position : code.start()], home, tag), code.group()]
        position = code.end()
    whole = "".join([*parts, _prose(text[position:], home, tag)])
    return re.sub(r"\n{3,}", "\n\n", whole)


def _prose(text: str, home: str, tag: str) -> str:
    def picture(found: re.Match[str]) -> str:
        path = found["file"] or found["path"]
        said = found["said"] or found["text"] or ""
        return f"![{said}]({home}/raw/{tag}/{path})" if home else ""

    def link(found: re.Match[str]) -> str:
        return f"[{found['text']}]({home}/blob/{tag}/{found['path']})" if home else found["text"]

    return _PICTURE.sub(picture, _LINK.sub(link, text))
