"""Values for Hypothesis, and an equality that tells 1 from True and a CID from its bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import MAX_INTEGER, Record, Value

CIDS: st.SearchStrategy[Cid] = st.binary(max_size=4).map(cid_of_block) | st.binary(max_size=4).map(
    cid_of_blob
)
TEXTS = st.text(max_size=12)
KEYS = TEXTS.filter(lambda key: key not in ("$link", "$bytes", "$type", "cid", "__proto__"))


def values(integers: st.SearchStrategy[int]) -> st.SearchStrategy[Value]:
    scalars = st.none() | st.booleans() | integers | TEXTS | st.binary(max_size=40) | CIDS
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
