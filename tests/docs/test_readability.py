"""No idiom of the house is in the documents or the docstrings; the table counts what it says."""

from __future__ import annotations

import pytest

from .readability import Text, code, documents, table


def test_no_document_has_an_idiom_of_the_house() -> None:
    assert {text.place: text.idioms() for text in documents() if text.idioms()} == {}


def test_no_docstring_has_an_idiom_of_the_house() -> None:
    docstrings = [text for text in code() if text.kind == "docstrings"]
    assert {text.place: text.idioms() for text in docstrings if text.idioms()} == {}


@pytest.mark.parametrize(
    ("sentence", "idioms"),
    [
        ("It tells the path, and somebody mends it.", ["tells", "somebody", "mends"]),
        ("What waits for you goes on.", ["waits for you", "goes on"]),
        ("A missing block is no deletion.", ["is no deletion"]),
        ("Two blobs cannot be told apart.", []),
        ('The message "mend the file" and the key `told` are quoted.', []),
    ],
)
def test_an_idiom_is_found_where_it_is_not_quoted(sentence: str, idioms: list[str]) -> None:
    assert Text("page", "documents", sentence).idioms() == idioms


def test_the_table_counts_sentences_words_and_passives() -> None:
    texts = [
        Text(
            "a", "documents", "The file is written twice. syncd keeps what you save here.\n\n- one"
        ),
        Text("b", "docstrings", "Return the path of the file. Raise nothing at all."),
        Text("c", "messages", "the file is missing. and the folder too."),
    ]
    header, pages, *_ = table(texts)
    assert dict(zip(header, pages, strict=True)) == {
        "": "documents",
        "sentences": "2",
        "words": "5.5",
        "90th percentile": "6",
        "over 30": "0.0%",
        "passive": "50.0%",
        "idioms": "0",
    }
