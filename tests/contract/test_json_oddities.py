"""Every oddity of JSON: the CID that syncd predicts beside the one that the PDS files it under.

Where syncd refuses a text, the table says what the PDS would have made of it: an error, or another
record than the text says. Texts are sent as they are, by a client that knows nothing of syncd.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest

from syncd.atproto.cid import cid_of_blob, parse_link
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.atproto.multibase import to_base58
from syncd.errors import BadJson
from tests.atproto.test_cid import SPELLINGS
from tests.contract.rungs import HostRung, HttpRung, shared_login
from tests.contract.words import COLLECTION

TYPE = f'"$type": "{COLLECTION}"'
BLOCK = str(cid_of({"$type": COLLECTION}))
BLOB = str(cid_of_blob(b"a"))
KINDS = ("of CIDv0", "to dag-pb", "by SHA-512", "to dag-json by BLAKE2b", "to an empty record")
LINKS = {f"a link {kind}": link for kind, link in zip(KINDS, SPELLINGS, strict=True)}
LINKS["a link in base58"] = "z" + to_base58(parse_link(SPELLINGS[1]))

SAME = {
    "a number with a zero fraction": f'{{{TYPE}, "v": 1.0}}',
    "a number with an exponent": f'{{{TYPE}, "v": 1e2}}',
    "a number with a negative exponent": f'{{{TYPE}, "v": 1200e-2}}',
    "minus zero": f'{{{TYPE}, "v": [-0, -0.0]}}',
    "the largest integers": f'{{{TYPE}, "v": [9007199254740991, -9007199254740991]}}',
    "a NUL": f'{{{TYPE}, "v": "a\\u0000b"}}',
    "a surrogate pair": f'{{{TYPE}, "v": "\\ud83d\\ude00"}}',
    "an escaped slash": f'{{{TYPE}, "v": "\\/"}}',
    "composed and decomposed": f'{{{TYPE}, "v": "é e\u0301", "\u00e9": 1, "e\u0301": 2}}',
    "a separator that JavaScript once refused": f'{{{TYPE}, "v": "\u2028"}}',
    "an empty key": f'{{{TYPE}, "": 1}}',
    "an unknown key with a dollar": f'{{{TYPE}, "$foo": 1}}',
    "keys that JavaScript orders first": f'{{{TYPE}, "b": 1, "10": 2, "9": 3, "constructor": 4}}',
    "a link": f'{{{TYPE}, "v": {{"$link": "{BLOCK}"}}}}',
    "a link to a blob": f'{{{TYPE}, "v": {{"$link": "{BLOB}"}}}}',
    **{name: f'{{{TYPE}, "v": {{"$link": "{link}"}}}}' for name, link in LINKS.items()},
    "bytes": f'{{{TYPE}, "v": {{"$bytes": "AAECAw"}}}}',
    "bytes with padding": f'{{{TYPE}, "v": {{"$bytes": "AAECAw=="}}}}',
    "no bytes at all": f'{{{TYPE}, "v": {{"$bytes": ""}}}}',
    "a nested type": f'{{{TYPE}, "v": {{"$type": "anything"}}}}',
    "no type": '{"v": 1}',
    "CRLF, tabs and no order": f'{{\r\n\t"z": 1,\r\n\t{TYPE},\r\n\t"a": [ ]\r\n}}',
    "some depth": f'{{{TYPE}, "v": {"[" * 200}{"]" * 200}}}',
    "a long list": f'{{{TYPE}, "v": [{", ".join(["1"] * 20_000)}]}}',
    "many keys": f"{{{TYPE}, {', '.join(f'{chr(34)}k{n}{chr(34)}: {n}' for n in range(5000))}}}",
}
"""Texts that syncd takes: the PDS must store the very record that syncd made of them."""

FAILS = {
    "a fraction": (f'{{{TYPE}, "v": 1.5}}', 400),
    "a small fraction": (f'{{{TYPE}, "v": [1e-7]}}', 400),
    "NaN": (f'{{{TYPE}, "v": NaN}}', 400),
    "an integer beyond 2^53": (f'{{{TYPE}, "v": 9007199254740993}}', 500),
    "an integer of 64 bits": (f'{{{TYPE}, "v": -9223372036854775808}}', 500),
    "an integer beyond 64 bits": (f'{{{TYPE}, "v": 18446744073709551616}}', 500),
    "an exponent beyond 2^53": (f'{{{TYPE}, "v": 1e20}}', 500),
    "the key __proto__": (f'{{{TYPE}, "__proto__": 1}}', 400),
    "the key __proto__ inside": (f'{{{TYPE}, "v": {{"__proto__": 1}}}}', 400),
    "an old blob": (f'{{{TYPE}, "v": {{"cid": "{BLOB}", "mimeType": "a/b"}}}}', 400),
    "another type": ('{"$type": "com.example.other"}', 400),
    "an empty type": ('{"$type": ""}', 400),
    "a type that is no text": ('{"$type": 7}', 400),
    "a list": ("[1]", 400),
    "a text": ('"record"', 400),
    "null": ("null", 400),
    "a comment": (f"{{{TYPE} /* mine */}}", 400),
    "a comma too many": (f"{{{TYPE},}}", 400),
    "nothing": ("", 400),
}
"""Texts that syncd refuses and the PDS too: by a 400, or by a 500 that no retry would mend."""

MANGLED = {
    "a key twice": (f'{{{TYPE}, "v": 1, "v": 2}}', 2),
    "a lone surrogate": (f'{{{TYPE}, "v": "\\ud800"}}', "\ufffd"),
    "a lone low surrogate": (f'{{{TYPE}, "v": "a\\udc00b"}}', "a\ufffdb"),
    "a fraction lost in rounding": (f'{{{TYPE}, "v": 9007199254740990.9}}', 9007199254740991),
    "bytes in the other alphabet": (f'{{{TYPE}, "v": {{"$bytes": "-_-_"}}}}', {"$bytes": "+/+/"}),
}
"""Texts that syncd refuses because the PDS stores something else than they say."""

LITERAL: dict[str, object] = {
    "a link that is none": {"$link": "notacid"},
    "a link with company": {"$link": BLOCK, "x": 1},
    "bytes that are none": {"$bytes": "!!"},
    "bytes with company": {"$bytes": "AA", "x": 1},
    "a type that is no text, inside": {"$type": 7},
    "a blob without its size": {"$type": "blob", "ref": {"$link": BLOB}, "mimeType": "a/b"},
}
"""Values that syncd refuses because the PDS stores them as a mere map, not as what they look like.
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One account of a host, and a client that sends texts as they are."""

    http: httpx.Client
    did: str

    def put(self, text: str) -> httpx.Response:
        where = f'"repo": "{self.did}", "collection": "{COLLECTION}", "rkey": "odd"'
        body = f'{{{where}, "validate": false, "record": {text}}}'
        return self.http.post(
            "/xrpc/com.atproto.repo.putRecord",
            content=body.encode(),
            headers={"content-type": "application/json"},
        )

    def stored(self, answer: httpx.Response) -> object:
        """What the PDS says it stored, in the field `v`."""
        assert answer.status_code == 200, answer.text
        params = {"repo": self.did, "collection": COLLECTION, "rkey": "odd"}
        found = self.http.get("/xrpc/com.atproto.repo.getRecord", params=params).json()
        assert found["cid"] == answer.json()["cid"]
        return found["value"]["v"]


@pytest.fixture
def server(http_rung: HttpRung) -> Iterator[Server]:
    login = shared_login(http_rung)
    with closing(login.client()) as http:
        yield Server(http, login.account.did)


@pytest.fixture(scope="module")
def host(host_rung: HostRung) -> Iterator[Server]:
    """For what syncd refuses because of what the reference PDS does with it."""
    login = host_rung.login()
    with closing(login.client()) as http:
        yield Server(http, login.account.did)


def refused(text: str) -> BadJson:
    """Why syncd does not take the text."""
    with pytest.raises(BadJson) as caught:
        parse_record(text.encode(), COLLECTION)
    return caught.value


@pytest.mark.parametrize("name", SAME)
def test_the_cid_that_syncd_predicts_is_the_one_of_the_pds(server: Server, name: str) -> None:
    predicted = str(cid_of(parse_record(SAME[name].encode(), COLLECTION)))
    answer = server.put(SAME[name])
    assert (answer.status_code, answer.json().get("cid")) == (200, predicted)


@pytest.mark.parametrize("name", LINKS)
def test_a_link_has_the_spelling_of_the_pds(server: Server, name: str) -> None:
    link = LINKS[name]
    answer = server.put(f'{{{TYPE}, "v": {{"$link": "{link}"}}}}')
    assert server.stored(answer) == {"$link": str(parse_link(link))}


@pytest.mark.parametrize("name", FAILS)
def test_what_the_pds_cannot_take_is_refused_with_its_place(host: Server, name: str) -> None:
    text, status = FAILS[name]
    error = refused(text)
    assert error.line is not None
    assert error.column is not None
    assert host.put(text).status_code == status


@pytest.mark.parametrize("name", MANGLED)
def test_what_the_pds_would_store_as_something_else_is_refused(host: Server, name: str) -> None:
    text, stored = MANGLED[name]
    assert refused(text).line is not None
    assert host.stored(host.put(text)) == stored


@pytest.mark.parametrize("name", LITERAL)
def test_what_the_pds_would_not_understand_as_it_looks_is_refused(host: Server, name: str) -> None:
    text = f'{{{TYPE}, "v": {json.dumps(LITERAL[name])}}}'
    assert refused(text).line is not None
    assert host.stored(host.put(text)) == LITERAL[name]


@pytest.mark.parametrize("depth", [300, 900])
def test_nesting_that_the_pds_takes_and_syncd_cannot_read_is_refused(
    reference_rung: HttpRung, depth: int
) -> None:
    """The sandbox reads records as syncd does, so only the real PDS can show this."""
    text = f'{{{TYPE}, "v": {"[" * depth}{"]" * depth}}}'
    assert "nested more than" in refused(text).message
    login = reference_rung.login()
    with closing(login.client()) as http:
        assert Server(http, login.account.did).put(text).status_code == 200
