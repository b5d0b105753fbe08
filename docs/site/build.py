"""Build the site of the documents: `make site`, or `python -m docs.site.build [DIR]`.

The pages are those of the repository, in the places that they have there, so that their links work
as they stand. A link that leads nowhere fails the build. Changes no page, and fetches nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
_LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")
_TWO_PICTURES = re.compile(
    r'<picture>\s*(<source [^>]*>)\s*(<img src="([^"]+)"[^>]*>)\s*</picture>'
)
_HTML_PICTURE = re.compile(r'(?<!>)<img src="([^"]+)" alt="([^"]*)">')
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def stage(place: Path) -> None:
    """Write mkdocs.yml into `place`, and pages and pictures into `place`/pages."""
    shutil.copy(HERE / "mkdocs.yml", place)
    for name in pages():
        page = place / "pages" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            text = (ROOT / name).read_text(encoding="utf-8")
            page.write_text(adapt(text, name.parent), encoding="utf-8")
        else:
            shutil.copy(ROOT / name, page)


def pages() -> list[Path]:
    """Return the pages and the pictures of the site, by their places in the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.svg")]
    return [path.relative_to(ROOT) for path in found]


def adapt(text: str, directory: Path) -> str:
    """Return the text of a page in `directory` as mkdocs reads Markdown.

    A list needs an empty line before it. A link to a file that is no page, such as an example,
    becomes its words: the site has pages only. A picture becomes a link to itself, because on a
    phone its letters are small: a tap shows it alone, where it can be enlarged. A picture that
    has a second one for phones keeps both, in HTML.
    """
    parts = _FENCE.split(text)
    shown = {(ROOT / name).resolve() for name in pages()}

    def keep(link: re.Match[str]) -> str:
        target = (ROOT / directory / link["target"]).resolve()
        return link["words"] if target.exists() and target not in shown else link[0]

    for number in range(0, len(parts), 2):
        part = _LINK.sub(keep, "\n".join(_with_room(parts[number].split("\n"))))
        part = _TWO_PICTURES.sub(r'<a href="\3"><picture>\1\2</picture></a>', part)
        part = _HTML_PICTURE.sub(r"![\2](\1)", part)
        parts[number] = _PICTURE.sub(r"[![\1](\2)](\2)", part)
    return "".join(parts)


def _with_room(lines: list[str]) -> Iterator[str]:
    before = ""
    for line in lines:
        if _ITEM.match(line) and before and not _ITEM.match(before) and before[:1] != " ":
            yield ""
        yield line
        before = line


def build(place: Path) -> None:
    """Build the site into `place`; exit with the words of mkdocs if a link leads nowhere."""
    with tempfile.TemporaryDirectory() as scratch:
        stage(Path(scratch))
        command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        config = ["--config-file", f"{scratch}/mkdocs.yml", "--site-dir", str(place.resolve())]
        # Material for MkDocs gets fixes until May 2027; its notice of that is not about the pages.
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        # Without --quiet: with it, mkdocs does not count the warnings that --strict is about.
        done = subprocess.run([*command, *config], env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site")
