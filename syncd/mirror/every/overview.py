"""Where all mirrors of this user stand. One that cannot be looked at does not hide the others."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.errors import SyncdError
from syncd.mirror.every.find import Known
from syncd.mirror.offline import open_files
from syncd.mirror.standing import Standing, read_standing
from syncd.trouble import refusal
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Glance:
    """A mirror and its state, or the reason why its state is unknown."""

    known: Known
    standing: Standing | None
    error: SyncdError | None

    @property
    def needs_a_person(self) -> bool:
        """Return whether the mirror needs a person."""
        return self.standing is None or self.standing.needs_a_person


def look_at_all(mirrors: Iterable[Known]) -> list[Glance]:
    """Look at each mirror on this disk, and ask its daemon."""
    return [_glance(known) for known in mirrors]


def _glance(known: Known) -> Glance:
    if known.error is not None:
        return Glance(known, None, known.error)
    try:
        with open_files(known.folder, is_checked=False) as workspace:
            return Glance(known, read_standing(workspace), None)
    except SyncdError as error:
        return Glance(known, None, error)
    except OSError as error:
        return Glance(known, None, refusal(error))
