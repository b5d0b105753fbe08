"""The sandbox says `valid` and `unknown` where the reference PDS does, and refuses the rest."""

from __future__ import annotations

import pytest

from syncd.atproto.data import Record
from syncd.atproto.syntax import Nsid, Rkey
from syncd.atproto.xrpc import WriteOp
from syncd.errors import Rejected
from syncd.sandbox.repo.writes import prepare, prepare_all

POST, NOTE = Nsid("app.bsky.feed.post"), Nsid("com.example.note")
KEY = Rkey("3jzfcijpj2z2a")
GOOD: Record = {"text": "hello", "createdAt": "2030-01-02T03:04:05Z"}
LANGS: Record = {**GOOD, "langs": ["en", 5]}


def status(
    collection: Nsid, record: Record, validate: bool | None = None, rkey: str = KEY
) -> str | None:
    op = WriteOp("create", collection, Rkey(rkey), record)
    return prepare(op, validate=validate).status


def test_a_known_type_is_valid_and_another_one_unknown() -> None:
    assert status(POST, GOOD) == status(POST, GOOD, validate=True) == "valid"
    assert status(NOTE, {"anything": 1}) == "unknown"
    assert status(POST, {}, validate=False) is None
    # A type of the bundle that the PDS was not built with.
    assert status(Nsid("site.standard.document"), {}) == "unknown"


@pytest.mark.parametrize(
    ("collection", "record", "rkey", "words"),
    [
        (POST, {"text": 5, "createdAt": GOOD["createdAt"]}, KEY, "record: .*at \\$.record.text$"),
        (POST, {"text": ""}, KEY, "createdAt.*at \\$.record$"),
        (POST, LANGS, KEY, "at \\$.record.langs\\[1\\]$"),
        (POST, GOOD, "hello", "^Invalid record key for app.bsky.feed.post: "),
    ],
)
def test_a_fault_of_a_known_type_is_refused_with_its_place(
    collection: Nsid, record: Record, rkey: str, words: str
) -> None:
    for validate in (None, True):
        with pytest.raises(Rejected, match=words) as caught:
            status(collection, record, validate, rkey)
        assert caught.value.status == 400


def test_an_unknown_type_is_refused_where_validation_is_asked_for() -> None:
    with pytest.raises(Rejected, match=r"^Unknown lexicon type: com\.example\.note$"):
        status(NOTE, {}, validate=True)


def test_of_a_batch_the_write_is_named() -> None:
    ops = [WriteOp("create", POST, KEY, record) for record in (GOOD, LANGS)]
    with pytest.raises(Rejected, match=r"at \$\.writes\[1\]\.record\.langs\[1\]$"):
        prepare_all(ops, validate=None)
