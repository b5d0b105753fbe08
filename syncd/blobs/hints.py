"""What to do about a file that cannot be uploaded: the next step that works where it is said.

A job that publishes from git has no mirror and no person: no command brings a file there, only a
commit does.
"""

from __future__ import annotations

import json
from typing import Final

from syncd.values import dataclass

_SETTING: Final = 'location = "strip" under [blobs] in syncd.toml'
_PROGRAM: Final = "remove the place with another program, such as exiftool or mat2"


@dataclass(frozen=True, slots=True)
class Hints:
    """The next steps in one place.

    Attributes:
        name: The name is none of a file to upload.
        place: The file says where it was made.
        unallowed: Also that; `location = "keep"` does not count here yet.
        stuck: Also that, and syncd cannot take it out.
        barred: Both: it does not count, and syncd cannot take it out.
        stand_in: The file is what git keeps in the place of the one that is meant.
    """

    name: str
    place: str
    unallowed: str
    stuck: str
    barred: str
    stand_in: str

    def of_place(self, *, is_removable: bool, is_allowed: bool) -> str:
        """Return what to do about a file that is held because it says where it was made."""
        if is_removable:
            return self.place if is_allowed else self.unallowed
        return self.stuck if is_allowed else self.barred


_ALLOW: Final = (
    'to let location = "keep" in syncd.toml count on this machine: syncd blob location allow'
)
HERE: Final = Hints(
    name='name a file in this folder, from its top and with "/", as in "$file": '
    '"pictures/cover.jpg"; for a file from elsewhere: syncd blob add FILE --to RECORD',
    place="publish it without its place: syncd blob add --strip FILE --to RECORD; with it: "
    f"--as-is; for every file: {_SETTING}",
    unallowed=f"{_ALLOW}; to remove the place: syncd blob add --strip FILE --to RECORD",
    stuck=f"{_PROGRAM}; to publish it with its place: syncd blob add --as-is FILE --to RECORD",
    barred=f"{_ALLOW}; or {_PROGRAM}",
    stand_in="bring the file itself: git lfs pull, git annex get and git annex unlock, or "
    "git-crypt unlock",
)
"""In a mirror, and in a draft of it."""

IN_GIT: Final = Hints(
    name='name a file of the commit, from the top of the folder and with "/", as in "$file": '
    '"pictures/cover.jpg"',
    place=f'{_PROGRAM}, or set {_SETTING} ("keep" publishes the place); then commit that',
    unallowed=f'{_PROGRAM}, or set {_SETTING} ("keep" publishes the place); then commit that',
    stuck=f"{_PROGRAM}, and commit the file; to publish it with its place: "
    'location = "keep" under [blobs] in syncd.toml',
    barred=f"{_PROGRAM}, and commit the file",
    stand_in="a job that publishes from git sends what git itself has, so keep the file itself in "
    "git: for Git LFS, git lfs untrack it and commit it again",
)
"""Where a job publishes a commit."""


def put_it_there(then: str) -> str:
    """Return what to do about a missing file; `then` is the command afterwards, if there is one."""
    command = f", then: {then}" if then else ""
    return f"put it there{command}; the name is from the top of the folder"


def name_as(name: str) -> str:
    """Return what to do about a name that is spelt otherwise than the file `name`."""
    # In escapes: two forms of one accent look the same.
    return f'there is one with another spelling; name it so: "$file": {json.dumps(name)}'
