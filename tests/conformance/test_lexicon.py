"""Lexicons: which documents are lexicons, and which records their lexicons allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import from_json
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import BadLexicon, parse_lexicon

from .suite import CATALOG, Vector

VALID, INVALID, RECORDS, BAD_RECORDS = (
    f"lexicon/{name}.json"
    for name in ("lexicon-valid", "lexicon-invalid", "record-data-valid", "record-data-invalid")
)


@pytest.fixture
def catalog(directory: Path) -> Catalog:
    documents = [json.loads((directory / file).read_bytes()) for file in CATALOG]
    lexicons = {document["id"]: parse_lexicon(document) for document in documents}
    return Catalog(lexicons.get)


@pytest.mark.vectors(VALID)
def test_a_valid_document_is_a_lexicon(vector: Vector) -> None:
    assert parse_lexicon(vector.value["lexicon"]).id == vector.value["lexicon"]["id"]


@pytest.mark.vectors(INVALID)
def test_an_invalid_document_is_refused_with_the_place(vector: Vector) -> None:
    with pytest.raises(BadLexicon) as refused:
        parse_lexicon(vector.value["lexicon"])
    assert all(fault.pointer for fault in refused.value.faults)


@pytest.mark.vectors(RECORDS)
def test_a_valid_record_has_no_fault(vector: Vector, catalog: Catalog) -> None:
    record = from_json(in_the_data_model(vector.value["data"]))
    found = catalog.check(str(record["$type"]), vector.value["rkey"], record)
    # The vector "full" has "cidlink" where its lexicon has "cid-link", which deserves a note.
    assert [fault for fault in found if not fault.is_note] == []


@pytest.mark.vectors(BAD_RECORDS)
def test_an_invalid_record_has_a_fault(vector: Vector, catalog: Catalog) -> None:
    record = from_json(in_the_data_model(vector.value["data"]))
    found = catalog.check(str(record["$type"]), "demo", record)
    assert [fault for fault in found if not fault.is_note]


def in_the_data_model(value: Any) -> Any:  # noqa: ANN401
    """A value of a vector, but for two things that are in no record and not what it is about.

    Its blobs have links that are not raw, and bytes are "123", whose last bits are lost.
    """
    if isinstance(value, list):
        return [in_the_data_model(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("$type") == "blob":
        link = value["ref"]["$link"].replace("bafyrei", "bafkrei")
        return {**value, "ref": {"$link": link}}
    if value == {"$bytes": "123"}:
        return {"$bytes": "120="}
    return {key: in_the_data_model(item) for key, item in value.items()}
