"""Put references in the place of files that a front matter names. Pure; reads no file."""

from __future__ import annotations

from dataclasses import replace

from syncd.atproto.blob import Refer, file_named
from syncd.atproto.data import Json, to_json
from syncd.errors import BadData
from syncd.forms.frontmatter.tree import Fault, Node


def referred(node: Node, refer: Refer) -> Node:
    """Return `node` with the value of a reference for each map that names a file.

    Places stay those of the text. Raises Fault where `refer` raises BadData.
    """
    value = node.value
    name = file_named(value) if isinstance(value, dict) else None
    if name is not None:
        return replace(node, value=_reference(node, name, refer), entries=None)
    if node.entries is not None:
        entries = tuple(replace(e, node=referred(e.node, refer)) for e in node.entries)
        return replace(node, value={e.key: e.node.value for e in entries}, entries=entries)
    if node.items is not None:
        items = tuple(referred(item, refer) for item in node.items)
        return replace(node, value=[item.value for item in items], items=items)
    return node


def _reference(node: Node, name: str, refer: Refer) -> Json:
    try:
        return to_json(refer(name).value)
    except BadData as error:
        at = node.entries[0].at if node.entries else node.at
        raise Fault(at, error.message, error.hint) from None
