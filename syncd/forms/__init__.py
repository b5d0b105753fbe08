"""How the file of a record is written: each form is one module, and nothing outside knows which.

`Forms` says which form the files of a collection have. Pure; never opens a file.
"""

from syncd.forms.bodies import lines_for
from syncd.forms.form import DRAFT, Collided, Form, Marks, Pointer
from syncd.forms.forms import DOCUMENTS, ENDINGS, USUAL, Forms, cid_of_text, with_markdown
from syncd.forms.imported import import_post

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
    "cid_of_text",
    "import_post",
    "lines_for",
    "with_markdown",
]
