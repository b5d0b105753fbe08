"""The data model: JSON to DAG-CBOR to CID and back, and what is no record."""

from __future__ import annotations

from base64 import b64decode

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import cid_of, decode, encode, from_json, to_json
from syncd.errors import BadData

from .suite import Vector

FIXTURES, VALID, INVALID = (
    f"data-model/data-model-{kind}.json" for kind in ("fixtures", "valid", "invalid")
)


@pytest.mark.vectors(FIXTURES)
def test_a_record_has_the_block_and_cid_that_others_give_it(vector: Vector) -> None:
    text = vector.value["cbor_base64"]
    block = b64decode(text + "=" * (-len(text) % 4))
    record = from_json(vector.value["json"])
    assert encode(record) == block
    assert decode(block) == record
    assert to_json(decode(block)) == vector.value["json"]
    assert str(cid_of(record)) == str(cid_of_block(block)) == vector.value["cid"]


@pytest.mark.vectors(VALID)
def test_a_valid_record_survives_the_way_to_its_block_and_back(vector: Vector) -> None:
    record = from_json(vector.value["json"])
    assert to_json(decode(encode(record))) == vector.value["json"]


@pytest.mark.vectors(INVALID)
def test_an_invalid_record_is_refused(vector: Vector) -> None:
    with pytest.raises(BadData):
        from_json(vector.value["json"])
