"""What becomes of a conflict: keep an edit, merge two, or leave both to a person. Pure.

`settle` decides by policy alone, `fields` merges two edits of one record, `sequences` its lists and
texts, `marked` writes a merge for an editor. No side is ever dropped.
"""

from syncd.merge.fields import Collision, Merged, changed, merge
from syncd.merge.marked import marked
from syncd.merge.settle import is_edit_kept, settle

__all__ = ["Collision", "Merged", "changed", "is_edit_kept", "marked", "merge", "settle"]
