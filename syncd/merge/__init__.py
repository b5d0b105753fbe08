"""Settle a conflict: keep the edit, merge both edits, or leave them to a person. Pure.

`settle` decides by policy alone, `fields` merges two edits of one record, `sequences` merges lists
and texts, `marked` writes a merge for an editor. Never drops a side.
"""

from syncd.merge.fields import Collision, Merged, changed, merge
from syncd.merge.marked import marked
from syncd.merge.settle import is_edit_kept, settle

__all__ = ["Collision", "Merged", "changed", "is_edit_kept", "marked", "merge", "settle"]
