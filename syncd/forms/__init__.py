"""How the file of a record is written: each form is one module, and nothing outside knows which.

`Forms` says which form the files of a collection have. Pure; never opens a file.
"""

from syncd.forms.bodies import lines_for
from syncd.forms.by_line import by_line, from_lines, line_shown
from syncd.forms.form import DRAFT, Collided, Form, Marks, Pointer
from syncd.forms.forms import (
    DOCUMENTS,
    ENDINGS,
    EVERY,
    USUAL,
    Forms,
    cid_of_text,
    read_plain,
    with_markdown,
)
from syncd.forms.imported import import_post

__all__ = [
    "DOCUMENTS",
    "DRAFT",
    "ENDINGS",
    "EVERY",
    "USUAL",
    "Collided",
    "Form",
    "Forms",
    "Marks",
    "Pointer",
    "by_line",
    "cid_of_text",
    "from_lines",
    "import_post",
    "line_shown",
    "lines_for",
    "read_plain",
    "with_markdown",
]
