"""How documents, docstrings and messages read: `make readability`.

It prints a table: words in a sentence, sentences in the passive, and the house's old idioms. A test
keeps the idioms at none in the documents and the docstrings. Judges no single sentence.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, quantiles

from .markdown import DOCUMENTS, ROOT, without_fences

IDIOMS = (
    r"\b(?:tells|told)\b(?! (?:apart|from|to|you)\b)",
    r"\bmend(?:s|ed|ing)?\b",
    r"\bgo(?:es)? on\b",
    r"\bwaits? for you\b",
    r"\bsome(?:body|one) else\b",
    r"\bsomebody\b",
    r"\bto be had\b",
    r"\bis no deletion\b",
    r"\bthat one is\b",
)
"""What the house said where a technical writer would name who does what."""
LONG_WORDS = 30
_BE = r"(?:am|are|is|was|were|be|been|being)"
_PASSIVE = re.compile(
    rf"\b{_BE}\s+(?:\w+ly\s+|not\s+)?(?:\w+ed|\w+en|written|sent|kept|held|made|found|lost)\b"
)
_IDIOM = re.compile("|".join(IDIOMS), re.IGNORECASE)
_QUOTED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"")
_MARKUP = re.compile(r"<[^>]+>|^#+ .*$|^\|[-| ]+\|$|\]\([^)]*\)|[*_\[\]>]", re.MULTILINE)
_END = re.compile(r"(?<=[.!?:;])\s+|\n\s*\n|\n\s*[-*] |\|")


@dataclass(frozen=True, slots=True)
class Text:
    """One text: where it stands, and what a person reads."""

    place: str
    kind: str
    text: str

    def sentences(self) -> list[str]:
        """Return the sentences of at least three words; a quoted name or message is one word."""
        plain = _MARKUP.sub(" ", _QUOTED.sub("it", self.text))
        found = (" ".join(part.split()) for part in _END.split(plain))
        return [sentence for sentence in found if len(sentence.split()) >= 3]

    def idioms(self) -> list[str]:
        """Return each idiom that stands in the text, outside of code and quotations."""
        return [found[0] for found in _IDIOM.finditer(_QUOTED.sub("it", self.text))]


def documents() -> Iterator[Text]:
    """Yield every page of the documentation but the log of changes, which is a record."""
    for page in DOCUMENTS:
        if page.name != "CHANGELOG.md":
            text = without_fences(page.read_text(encoding="utf-8"))
            yield Text(str(page.relative_to(ROOT)), "documents", text)


def code() -> Iterator[Text]:
    """Yield each docstring of the product and each message of its code."""
    for file in sorted((ROOT / "syncd").rglob("*.py")):
        place = str(file.relative_to(ROOT))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docs = {id(node) for node in _docstrings(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_doc = id(node) in docs
                if is_doc or len(node.value.split()) >= 3:
                    yield Text(
                        f"{place}:{node.lineno}", "docstrings" if is_doc else "messages", node.value
                    )


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for part in node.body:
                if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
                    yield part.value


def table(texts: list[Text]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each kind: sentences, words in one, how many are long or passive, idioms."""
    yield ("", "sentences", "words", "90th percentile", f"over {LONG_WORDS}", "passive", "idioms")
    for kind in ("documents", "docstrings", "messages"):
        of_kind = [text for text in texts if text.kind == kind]
        sentences = [sentence for text in of_kind for sentence in text.sentences()]
        words = [len(sentence.split()) for sentence in sentences]
        yield (
            kind,
            str(len(words)),
            f"{mean(words):.1f}",
            f"{quantiles(words, n=10, method='inclusive')[-1]:.0f}",
            f"{sum(n > LONG_WORDS for n in words) / len(words):.1%}",
            f"{sum(bool(_PASSIVE.search(s)) for s in sentences) / len(words):.1%}",
            str(sum(len(text.idioms()) for text in of_kind)),
        )


def main(wanted: list[str]) -> None:
    """Print the table, and each idiom of the kinds in `wanted` with its place."""
    texts = [*documents(), *code()]
    for row in table(texts):
        print("".join(f"{cell:>17}" for cell in row))
    for text in texts:
        if text.kind in wanted and (found := text.idioms()):
            print(f"{text.place}: {', '.join(found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
