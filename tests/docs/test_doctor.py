"""docs/doctor.md lists every finding as the code has it."""

from __future__ import annotations

import re

from syncd.doctor import KINDS
from syncd.doctor.kinds import CHECKS

from .markdown import read, section, table

DOCUMENT = read("docs/doctor.md")
ROWS = table(DOCUMENT, "finding", "level", "what it says", "what fixes it")


def shown(text: str) -> str:
    """With each value as its name in capitals."""
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), text)


def test_the_table_is_that_of_the_code() -> None:
    expected = [
        (f"`{name}`", kind.level.value, shown(kind.what), shown(kind.fix))
        for name, kind in KINDS.items()
    ]
    assert expected == ROWS


def test_every_check_is_explained_once_and_in_order() -> None:
    names = re.findall(
        r"^- \*\*([\w, ]+)\*\*:", section(DOCUMENT, "What is looked at"), re.MULTILINE
    )
    explained = [name for group in names for name in group.split(", ")]
    assert set(explained) == set(CHECKS)
    assert len(explained) == len(CHECKS)
