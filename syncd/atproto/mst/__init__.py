"""Merkle search trees: the signed map from record path to CID. Blocks in, facts out; no I/O.

The caller checks the hash of every block. A missing block raises MissingBlocks and never means "no
such key". Source: https://atproto.com/specs/repository#mst-structure
"""

from syncd.atproto.mst.diff import Difference, KeyChange, diff, difference
from syncd.atproto.mst.edit import Put, build, insert, remove
from syncd.atproto.mst.node import (
    MAX_KEY_LENGTH,
    MAX_LAYER,
    Entry,
    Get,
    Node,
    common_prefix,
    encode_node,
    layer_of,
    parse_node,
)
from syncd.atproto.mst.read import (
    covering_proof,
    lookup,
    lookup_all,
    missing,
    nodes,
    proof,
    walk,
)

__all__ = [
    "MAX_KEY_LENGTH",
    "MAX_LAYER",
    "Difference",
    "Entry",
    "Get",
    "KeyChange",
    "Node",
    "Put",
    "build",
    "common_prefix",
    "covering_proof",
    "diff",
    "difference",
    "encode_node",
    "insert",
    "layer_of",
    "lookup",
    "lookup_all",
    "missing",
    "nodes",
    "parse_node",
    "proof",
    "remove",
    "walk",
]
