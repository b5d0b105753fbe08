"""How the file of a record is written: each form is one module, and nothing outside knows which.

`Forms` says which form the files of a collection have. Pure; never opens a file.
"""

from syncd.forms.bodies import lines_for
from syncd.forms.form import DRAFT, Collided, Form, Marks, Pointer, Sayer
from syncd.forms.forms import (
    DOCUMENTS,
    ENDINGS,
    USUAL,
    Forms,
    block_at_once,
    cid_of_text,
    every_form,
    meaning_at_once,
    read_plain,
    with_markdown,
)

__all__ = [
    "DOCUMENTS",
    "DRAFT",
    "ENDINGS",
    "USUAL",
    "Collided",
    "Form",
    "Forms",
    "Marks",
    "Pointer",
    "Sayer",
    "block_at_once",
    "cid_of_text",
    "every_form",
    "lines_for",
    "meaning_at_once",
    "read_plain",
    "with_markdown",
]
