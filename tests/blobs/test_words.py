"""What people read of a blob instead of its hash."""

from __future__ import annotations

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import Record, Value
from syncd.blobs.words import blob_words, size_words, with_words

CID = cid_of_blob(b"cat")
REF = BlobRef(CID, "image/jpeg", 2_000_000)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (-1, "? B"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (2_000_000, "2.0 MB"),
        (3_000_000_000, "3.0 GB"),
    ],
)
def test_sizes_are_short(size: int, words: str) -> None:
    assert size_words(size) == words


def test_a_blob_is_its_file_type_and_size() -> None:
    assert blob_words(REF) == f"blobs/{CID}.jpg (image/jpeg, 2.0 MB)"
    assert blob_words(REF, {CID: f"{CID}.bin"}) == f"blobs/{CID}.bin (image/jpeg, 2.0 MB)"
    assert blob_words(REF, {}) == f"blobs/{CID}.jpg (image/jpeg, 2.0 MB, not here)"


def test_words_stand_where_references_stood_and_nowhere_else() -> None:
    untracked: dict[str, Value] = {**REF.value, "more": 1}
    record: Record = {"a": [{"b": REF.value}, REF.value], "c": untracked, "d": CID}
    found = with_words(record, lambda ref: str(ref.size))
    assert found == {"a": [{"b": "2000000"}, "2000000"], "c": untracked, "d": CID}
