"""Values for Hypothesis, and an equality that tells 1 from True and a CID from its bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from syncd.atproto.cid import Cid, Link, cid_of_blob, cid_of_block, link_from_bytes
from syncd.atproto.data import MAX_INTEGER, Record, Value

CIDS: st.SearchStrategy[Cid] = st.binary(max_size=4).map(cid_of_block) | st.binary(max_size=4).map(
    cid_of_blob
)


def varint(number: int) -> bytes:
    """`number` as multiformats writes it: seven bits a byte, the lowest first."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def foreign(codec: int, code: int, digest: bytes) -> Link:
    """A link of version 1 to what no repo is made of."""
    return link_from_bytes(b"\x01" + b"".join(map(varint, (codec, code, len(digest)))) + digest)


LINKS: st.SearchStrategy[Link] = st.one_of(
    st.builds(
        foreign,
        st.sampled_from([0x55, 0x70, 0x71, 0x78, 0x0129, 0x0202]) | st.integers(0, 2**53 - 1),
        st.sampled_from([0x00, 0x12, 0x13, 0x14, 0x1E, 0xB220]) | st.integers(0, 2**20),
        st.binary(max_size=64),
    ),
    st.binary(min_size=32, max_size=32).map(lambda digest: link_from_bytes(b"\x12\x20" + digest)),
)
"""Links to anything: another codec, another hash, CIDv0."""
TEXTS = st.text(max_size=12)
KEYS = TEXTS.filter(lambda key: key not in ("$link", "$bytes", "$type", "cid", "__proto__"))


def values(integers: st.SearchStrategy[int]) -> st.SearchStrategy[Value]:
    scalars = st.none() | st.booleans() | integers | TEXTS | st.binary(max_size=40)
    scalars = scalars | CIDS | LINKS
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=16,
    )


ANY_VALUES = values(st.integers(-(2**63), 2**63 - 1))
EXACT_VALUES = values(st.integers(-MAX_INTEGER, MAX_INTEGER))
EXACT_RECORDS: st.SearchStrategy[Record] = st.dictionaries(KEYS, EXACT_VALUES, max_size=6)


def is_same(one: object, other: object) -> bool:
    """True if both are equal and of the same types, all the way down; the order of keys is free."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other


def nested(depth: int, leaf: Value = None) -> Value:
    """`depth` lists around a leaf."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def stacked(depth: int, width: int) -> Value:
    """`depth` lists, each the last item of the one around it, behind `width` numbers."""
    value: Value = []
    for _ in range(depth):
        value = [*range(width), value]
    return value


LARGE: dict[str, Record] = {
    "numbers deep inside": {"a": nested(250, [0] * 20_000)},
    "numbers at every depth": {"a": stacked(250, 100)},
    "maps deep inside": {"a": nested(200, [{"a": 1, "": [[]]}] * 2_000)},
    "many keys deep inside": {"a": nested(240, {f"{at}": at for at in range(9_000)})},
    "many keys": {f"{at}": None for at in range(9_000)},
    "a long key around much": {"k" * 300_000: [{"a": [0]}] * 2_000},
    "long keys deep inside": {"a": nested(250, [{"k" * 9_000 + str(at): 0} for at in range(80)])},
    "empty lists": {"a": nested(250, [[]] * 8_000)},
    "bytes and links": {"a": nested(100, [b"", cid_of_block(b"a"), b"a"] * 2_000)},
    "control characters": {"a": ["\0" * 900_000, "\x1f"]},
    "characters of two words": {"a": nested(250, ["😀é\u2028", '"\\'] * 9_000)},
    "one long text": {"a": "é" * 900_000},
}
"""Records of up to 1 MB of the kinds whose files could become large."""
