"""One node of a Merkle search tree: its bytes, its value, and the rules of a single node.

Never looks at a second node: `bounds` has the rules between nodes. Source:
https://atproto.com/specs/repository#mst-structure
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from syncd.atproto.cid import Cid, Link, link_from_bytes
from syncd.errors import BadSyntax, BadTree
from syncd.values import dataclass

Get = Callable[[Cid], bytes | None]
"""A source of blocks: returns bytes whose hash the caller has checked, or None."""

MAX_KEY_LENGTH = 1024
MAX_LAYER = 128
"""The highest layer of any tree: SHA-256 has 256 bits, two for each layer."""

_HASH_BITS = 256
_SLASH = 0x2F
_LOWEST_LAYER = 0x40
"""The least first byte of a hash that does not begin with a pair of zero bits."""
_KEY = re.compile(rb"[a-zA-Z0-9_~.:-]+/[a-zA-Z0-9_~.:-]+")

# The canonical DAG-CBOR of a node, as a grammar. A match of a key cannot swallow what follows:
# `ap` consists of characters of keys, but the head of a number after `ap` does not.
_LINK = rb"\xd8\x2a\x58\x25\x00(\x01\x71\x12\x20.{32})"
_OPENING = re.compile(rb"\xa2\x61e([\x80-\x97]|\x98.|\x99..|\x9a....)", re.DOTALL)
_KEY_AND_SUBTREE = (
    rb"\xa4\x61k([\x40-\x57]|\x58.|\x59..)([a-zA-Z0-9_~.:/-]*)"
    rb"\x61p([\x00-\x17]|\x18.|\x19..)"
    rb"\x61t(?:\xf6|" + _LINK + rb")\x61v"
)
_ENTRY = re.compile(
    _KEY_AND_SUBTREE + rb"\xd8\x2a\x58\x25\x00(\x01[\x55\x71]\x12\x20.{32})", re.DOTALL
)
_FOREIGN = re.compile(
    _KEY_AND_SUBTREE + rb"\xd8\x2a([\x41-\x57]|\x58[\x18-\xff]|\x59[\x01-\xff].)\x00", re.DOTALL
)
"""The same up to the CID of the record, which no PDS makes, and which may be of any length."""
_CLOSING = re.compile(rb"\x61l(?:\xf6|" + _LINK + rb")", re.DOTALL)


class Entry(NamedTuple):
    """A key of a node, the CID of its record, and the subtree with the keys right after it.

    The specification leaves the record to its reader, so its CID may be of any codec and hash. If
    it `is_block`, it is one that a PDS makes; for every other the tree has no record to show.
    """

    key: str
    value: Cid
    right: Cid | None


@dataclass(frozen=True, slots=True)
class Node:
    """Keys of one layer, between two neighbours of a higher layer. `left`: the subtree before."""

    left: Cid | None
    entries: tuple[Entry, ...]

    @property
    def layer(self) -> int | None:
        """The layer of its keys; None without keys: then only the parent knows the layer."""
        return layer_of(self.entries[0].key) if self.entries else None


def layer_of(key: str) -> int:
    """Count the pairs of zero bits at the start of the key's SHA-256; 0 is the lowest layer."""
    return _layer(key.encode())


def _layer(key: bytes) -> int:
    digest = hashlib.sha256(key).digest()
    # Three of four keys are on the lowest layer, and their first byte says so.
    if digest[0] >= _LOWEST_LAYER:
        return 0
    return (_HASH_BITS - int.from_bytes(digest, "big").bit_length()) // 2


def common_prefix(left: bytes, right: bytes) -> int:
    """Count the bytes two keys share from their start."""
    length = min(len(left), len(right))
    difference = int.from_bytes(left[:length], "big") ^ int.from_bytes(right[:length], "big")
    return length - (difference.bit_length() + 7) // 8


def check_key(key: bytes) -> None:
    """Raise BadTree unless `key` has the form collection/rkey, in the characters of keys."""
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key):
        raise BadTree(f"{key[:80]!r} is not a key that a tree can hold")


def encode_node(node: Node) -> bytes:
    """Encode a node in its one canonical form. Keys must be valid, sorted, and of one layer."""
    parts = [b"\xa2\x61e", _head(0x80, len(node.entries))]
    last = b""
    for entry in node.entries:
        key = entry.key.encode("ascii")
        shared = common_prefix(last, key)
        rest = key[shared:]
        parts += (b"\xa4\x61k", _KEY_HEADS[len(rest)], rest, b"\x61p", _head(0x00, shared))
        parts += (b"\x61t", _link(entry.right), b"\x61v", _leaf(entry.value))
        last = key
    parts += (b"\x61l", _link(node.left))
    return b"".join(parts)


def _link(cid: Cid | None) -> bytes:
    return b"\xf6" if cid is None else b"\xd8\x2a\x58\x25\x00" + cid


def _leaf(cid: Cid) -> bytes:
    return b"\xd8\x2a" + _head(0x40, len(cid) + 1) + b"\x00" + cid


def _head(major: int, number: int) -> bytes:
    """Encode a CBOR major type and its argument in the fewest bytes (RFC 8949, section 4.2.1)."""
    if number < 24:
        return bytes((major | number,))
    power = (number >= 1 << 8) + (number >= 1 << 16)
    return bytes((major | 24 + power,)) + number.to_bytes(1 << power, "big")


_KEY_HEADS = [_head(0x40, length) for length in range(MAX_KEY_LENGTH + 1)]
_NUMBERS = {_head(0x00, number): number for number in range(MAX_KEY_LENGTH + 1)}


@lru_cache(maxsize=2048)
def parse_node(block: bytes) -> Node:
    """Read a block as a node. Raises BadTree for every departure from the one canonical form.

    The checks: DAG-CBOR and fields, exact prefixes; the characters, length, strict order and
    common layer of keys. A node without keys passes here, because only its link can refuse it. A
    cache keeps the last nodes: the paths of one cycle lead through the same few.
    """
    opening = _OPENING.match(block)
    at = opening.end() if opening else 0
    entries: list[Entry] = []
    last, layer = b"", None
    while found := _ENTRY.match(block, at) or _FOREIGN.match(block, at):
        head, rest, shared, right, value = found.groups()
        at = found.end()
        if found.re is _FOREIGN:
            value, at = _foreign_leaf(block, value, at)
        key = _next_key(last, head, rest, _NUMBERS.get(shared))
        height = _layer(key)
        if layer not in (None, height):
            raise BadTree("a tree node holds keys of different layers")
        entries.append(Entry(key.decode("ascii"), Cid(value), Cid(right) if right else None))
        last, layer = key, height
    closing = _CLOSING.fullmatch(block, at)
    if not opening or not closing or opening[1] != _head(0x80, len(entries)):
        raise BadTree("a block is not a tree node in the form that atproto prescribes")
    return Node(Cid(closing[1]) if closing[1] else None, tuple(entries))


def _foreign_leaf(block: bytes, head: bytes, at: int) -> tuple[Link, int]:
    """Read the CID of a record at `at`, behind the head of its bytes; return it and its end."""
    # The byte before `at` is the first of the bytes that the head counts.
    length = head[0] - 0x41 if len(head) == 1 else int.from_bytes(head[1:], "big") - 1
    try:
        return link_from_bytes(block[at : at + length], most=length), at + length
    except BadSyntax as error:
        raise BadTree(f"a tree node names a record without a CID: {error.message}") from None


def _next_key(last: bytes, head: bytes, rest: bytes, shared: int | None) -> bytes:
    """Expand the key after `last`: its first `shared` bytes, all bytes they share, and `rest`."""
    if len(rest) > MAX_KEY_LENGTH or head != _KEY_HEADS[len(rest)] or shared is None:
        raise BadTree("a tree node is not in canonical DAG-CBOR")
    key = last[:shared] + rest
    if key <= last:
        raise BadTree("a tree node does not hold its keys in order")
    if shared > len(last) or rest[:1] == last[shared : shared + 1]:
        raise BadTree("a tree node does not compress its keys exactly")
    # Of the characters of keys is `rest`, and the shared part is that of a key that was checked.
    if key.count(b"/") != 1 or key[0] == _SLASH or key[-1] == _SLASH or len(key) > MAX_KEY_LENGTH:
        check_key(key)
    return key
