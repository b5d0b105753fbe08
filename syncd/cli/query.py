"""What a person asks of the log of a mirror, and the look that answers it. Prints nothing.

A log that is followed is asked again and again, with one question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, TypeAlias

from syncd.cli.arguments.places import standing
from syncd.cli.screen.blobs import blob_json
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.workspace import Workspace
from syncd.mirror.blobs.rows import words_of
from syncd.mirror.names import Name, check_known, read_names, record_meant, was_known
from syncd.mirror.notices import OnNotice, once
from syncd.mirror.offline import open_files
from syncd.mirror.past.events import Event, Question, merged, read_events
from syncd.mirror.past.pictures import Pictures
from syncd.mirror.times import read_past
from syncd.model import RecordPath
from syncd.state import How
from syncd.values import dataclass

_Pairs: TypeAlias = Sequence[tuple[Name | None, RecordPath | None]]


@dataclass(frozen=True, slots=True)
class Query:
    """What a person asks of the log of the mirror around `directory`.

    Attributes:
        hows: Only these; empty: all.
        started: When it was asked, in unix seconds: `since` counts from then.
        said: For people, the blobs that each event brought or took away, as far as it was looked.
        blobs: The same for programs.
    """

    directory: Path
    paths: tuple[str, ...]
    since: str | None
    hows: frozenset[How]
    as_json: bool
    started: int
    said: dict[Event, list[str]] = field(default_factory=dict)
    blobs: dict[Event, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_of_all(self) -> bool:
        """True if its events are chosen by their number alone."""
        return not (self.paths or self.since is not None or self.hows)

    def look(self, most: int | None, on_notice: OnNotice, reach: int | None = None) -> list[Event]:
        """Return the newest events: at most `most`, of the `reach` newest of all; None: no bound.

        Raises BadSyntax for a PATH that means no record that the mirror ever had.
        """
        with open_files(self.directory, is_checked=False) as workspace:
            names = read_names(workspace, self.paths, standing(self.directory))
            meant = [record_meant(workspace, name) for name in names]
            moment = None if self.since is None else read_past(self.since, self.started)
            asked: _Pairs = [*zip(names, meant, strict=True)] or [(None, None)]
            heard = once(on_notice)
            answers = [
                read_events(workspace, Question(*pair, moment, self.hows, most, reach), heard)
                for pair in asked
            ]
            for name, found in zip(names, answers, strict=False):
                if _is_of_none(workspace, name, found):
                    check_known(workspace, name)
            events = answers[0] if len(answers) == 1 else merged(answers, most)
            self._describe(workspace, filter(None, meant), events)
            return events

    def _describe(
        self, workspace: Workspace, records: Iterable[RecordPath], events: Sequence[Event]
    ) -> None:
        """Describe the blobs of records that were named one by one."""
        for record in records:
            if self.as_json:
                self.blobs.update(_blobs(workspace, record, events))
            else:
                self.said.update(_pictures(workspace, record, events))


def _is_of_none(workspace: Workspace, name: Name, events: Sequence[Event]) -> bool:
    """Return whether `events` and history say nothing of a record that `name` means.

    A clone says that a collection came, and not which records.
    """
    return all(event.how == How.CLONED for event in events) and not was_known(workspace, name)


def _pictures(
    workspace: Workspace, record: RecordPath, events: Iterable[Event]
) -> dict[Event, list[str]]:
    """Return the description of the blobs that each event brought or took away."""
    pictures, words = Pictures(workspace, record), words_of(workspace)
    found: dict[Event, list[str]] = {}
    for event in events:
        brought, gone = pictures.change(event)
        said = [f"+ {words(ref)}" for ref in brought] + [f"- {words(ref)}" for ref in gone]
        if said:
            found[event] = said
    return found


def _blobs(
    workspace: Workspace, record: RecordPath, events: Iterable[Event]
) -> dict[Event, Mapping[str, Any]]:
    """Return, as JSON, the blobs that each event brought and took away."""
    pictures, names = Pictures(workspace, record), store_of(workspace).list().names
    found: dict[Event, Mapping[str, Any]] = {}
    for event in events:
        brought, gone = pictures.change(event)
        if brought or gone:
            found[event] = {
                "brought": [blob_json(ref, names) for ref in brought],
                "gone": [blob_json(ref, names) for ref in gone],
            }
    return found
