"""A page: front matter between two lines of `---`, an empty line, and a body. Pure.

The last line break of a file is not part of the body, and neither is one empty line before it. The
lines may end with CRLF: the body has LF, and the file keeps its line ends.
"""

from __future__ import annotations

import re
from dataclasses import replace

from syncd.errors import BadJson
from syncd.values import dataclass

BOM = "\ufeff"
_MARK = re.compile(r"---[ \t]*")
_END = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_DOTS = re.compile(r"^\.\.\.[ \t]*$", re.MULTILINE)
_SIDE = re.compile(r"^(?:<{7,}|>{7,}|\|{7,})(?= |$)", re.MULTILINE)
_LEFT = re.compile(r"^(?:<{7,}(?= |$)|={7,}$|[%+]{7,}(?= |$)|>{7,}(?= |$))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """The parts of a page, with LF.

    Attributes:
        head: A byte order mark, and the first line.
        front: The lines of the front matter.
        mark: The line that ends it, with its line break if it has one.
        rest: All that follows.
        newline: How lines end in the file.
    """

    head: str
    front: str
    mark: str
    rest: str
    newline: str = "\n"

    @property
    def body(self) -> str:
        """Return the body: without the empty line before it, and the line break after it."""
        return self.rest.removeprefix("\n").removesuffix("\n")

    def with_body(self, body: str) -> Page:
        """Return the page with another body; an equal one leaves every byte as it is."""
        if body == self.body:
            return self
        # A person may leave that empty line out; a body that begins with one needs it.
        lead = "\n" if self.rest.startswith("\n") or not self.rest or body[:1] in ("\n", "") else ""
        mark = self.mark if self.mark.endswith("\n") else f"{self.mark}\n"
        return replace(self, mark=mark, rest=f"{lead}{body}\n")

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column of an offset in the front matter."""
        line = self.front.count("\n", 0, at) + 2
        return line, at - self.front.rfind("\n", 0, at)

    def place_of_body(self) -> tuple[int, int]:
        """Return line and column of the first character of the body."""
        return self.front.count("\n") + 3 + self.rest.startswith("\n"), 1

    def refusal(self, at: int, reason: str, hint: str = "") -> BadJson:
        """Return the error about what stands at an offset in the front matter."""
        line, column = self.place(at)
        return BadJson(reason, line=line, column=column, hint=hint)

    def encode(self) -> bytes:
        """Return the text of the file."""
        text = self.head + self.front + self.mark + self.rest
        return (text if self.newline == "\n" else text.replace("\n", self.newline)).encode()


def new_page(front: str, body: str) -> Page:
    """Return a page in syncd's own style."""
    return Page("---\n", front, "---\n", f"\n{body}\n")


def is_page(text: bytes) -> bool:
    """Return whether a text begins as a page does."""
    return text.removeprefix(BOM.encode()).startswith(b"---")


def split_page(text: bytes) -> Page:
    """Divide the text of a page. Raises BadJson if it has no front matter, or a lone CR."""
    try:
        source = text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode().removeprefix(BOM)
        raise refusal(before, len(before), "the text is not UTF-8", _UTF8) from None
    newline = "\r\n" if source.partition("\n")[0].endswith("\r") else "\n"
    source = source.replace("\r\n", "\n")
    bare = source.removeprefix(BOM)
    _check_characters(bare)
    head, _, rest = bare.partition("\n")
    if not _MARK.fullmatch(head):
        if head.startswith("+++"):
            raise refusal(bare, 0, "syncd does not read front matter in TOML", AS_YAML)
        raise refusal(bare, 0, "the front matter is missing", _BEGIN)
    page = _ended(source[: len(source) - len(bare)] + f"{head}\n", rest, newline)
    start = len(head) + 1
    dots = _DOTS.search(bare, start, len(bare) if page is None else start + len(page.front))
    if dots is not None:
        reason = "a line of ... does not end the front matter"
        raise refusal(bare, dots.start(), reason, "write --- in its place")
    if page is None:
        raise refusal(bare, len(bare), "the front matter has no end", "end it with a line of ---")
    _check_merged(bare, page)
    return page


def keep_ends(old: bytes, new: bytes) -> bytes:
    """Return the text `new` with the line ends that the lines of `old` have."""
    before, after = old.split(b"\n"), new.split(b"\n")
    ends = {line[-1:] == b"\r" for line in before[:-1]}
    if len(ends) < 2:
        return new
    from difflib import SequenceMatcher  # noqa: PLC0415 (few files have such lines)

    bare = [[line.removesuffix(b"\r") for line in lines] for lines in (before, after)]
    for start, other, length in SequenceMatcher(None, bare[0], bare[1]).get_matching_blocks():
        # What follows the last line break ends with none.
        most = min(length, len(before) - 1 - start, len(after) - 1 - other)
        after[other : other + max(0, most)] = before[start : start + max(0, most)]
    return b"\n".join(after)


AS_YAML = "write it as YAML between lines of ---; `hugo convert toYAML` does that"
_UTF8 = "save it as UTF-8"
_AS_JSON = "remove it, or save the record as a JSON file instead"
_BEGIN = (
    "begin with a line of ---, then `key: value` lines, then --- again; name a file that is no "
    "record in .syncdignore"
)


def _check_characters(bare: str) -> None:
    """Raise BadJson for a NUL or a carriage return."""
    if (at := bare.find("\0", 0, 2)) >= 0:
        # UTF-16 without its mark has one there.
        reason = "the file is not text in UTF-8: it begins with a NUL character"
        raise refusal(bare, at, reason, _UTF8)
    if "\r" in bare and "\n" not in bare:
        reason = "the lines of the file end with carriage returns alone"
        raise refusal(bare, bare.index("\r"), reason, "save it with line feeds (LF)")
    for char, name in (("\r", "a carriage return"), ("\0", "a NUL character")):
        if (at := bare.find(char)) >= 0:
            raise refusal(bare, at, f"{name} cannot stand in a Markdown file", _AS_JSON)


def _ended(head: str, rest: str, newline: str) -> Page | None:
    end = _END.search(rest)
    if end is None:
        return None
    return Page(head, rest[: end.start()], end[0], rest[end.end() :], newline)


def _check_merged(bare: str, page: Page) -> None:
    """Raise BadJson for the marks of a merge that nobody has finished."""
    start = len(bare) - len(page.rest)
    found = _SIDE.search(bare, 0, start)
    at = found.start() if found else -1
    if at < 0 and (inside := find_unmerged(page.rest)) >= 0:
        at = start + inside
    if at >= 0:
        hint = "choose a side, or merge both, and remove the markers"
        raise refusal(bare, at, "unresolved git conflict", hint)


def find_unmerged(body: str) -> int:
    """Return where the marks of a merge begin, if a body has all three in order; else -1.

    Marks of one merge have one length: git makes longer ones where .gitattributes asks for them,
    and where a text has shorter ones. Jujutsu divides the sides by `%` and `+`, not by `=`.
    """
    if "<<<<<<<" not in body:
        return -1
    begun: dict[int, int] = {}
    divided: set[int] = set()
    for mark in _LEFT.finditer(body):
        size = len(mark[0])
        if mark[0][0] == "<":
            begun.setdefault(size, mark.start())
        elif mark[0][0] != ">":
            divided |= {size} & begun.keys()
        elif size in divided:
            return begun[size]
    return -1


def refusal(source: str, at: int, reason: str, hint: str = "") -> BadJson:
    """Return the error about what stands at an offset of a text with LF and no mark."""
    line = source.count("\n", 0, at) + 1
    return BadJson(reason, line=line, column=at - source.rfind("\n", 0, at), hint=hint)
