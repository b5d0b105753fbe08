"""What syncd keeps on this machine below `$XDG_STATE_HOME`, outside of every mirror.

`directory` keeps it closed to other users, and `allowed` what a person of this machine allowed.
"""

from __future__ import annotations

from syncd.private.directory import close_to_others, make_private, state_directory

__all__ = ["close_to_others", "make_private", "state_directory"]
