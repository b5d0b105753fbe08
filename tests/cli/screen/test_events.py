"""The lines of `syncd log` at any width: nothing is cut, no name is broken, sentences fold."""

from __future__ import annotations

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.cli.cells import wrapped
from syncd.cli.screen.events import event_parts, folded
from syncd.mirror.past.events import REFUSED, UNCONFIRMED, Event
from syncd.model import Side
from syncd.state import How

NOTE, CID = "com.example.note/a-record-key-of-some-length", cid_of_block(b"one")
WHY = "the PDS refuses this record: the PDS answered 400 InvalidRequest: Record/text is too long"
EVENTS = [
    Event(1_000, How.REFUSED, REFUSED, Side.REMOTE, NOTE, None, CID, reason=WHY),
    Event(1_000, None, UNCONFIRMED, Side.REMOTE, NOTE, CID, None, reason="edited in the folder"),
    Event(
        1_000, How.PULLED, "created", Side.LOCAL, "com.example.note", count=400, pds="https://a.b"
    ),
]


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.deed)
def test_at_each_width_nothing_is_cut_and_only_a_word_is_longer_than_a_line(
    event: Event, width: int
) -> None:
    whole = folded(event_parts(event, is_local=False), 0)
    lines = folded(event_parts(event, is_local=False), width)
    assert len(whole) == 1
    assert " ".join(lines).split() == whole[0].split()
    assert all(len(line) <= width or " " not in line.strip() for line in lines)


@pytest.mark.parametrize("width", [0, 1, 40])
def test_a_sentence_is_broken_between_words_and_keeps_all_of_them(width: int) -> None:
    lines = wrapped(WHY, width)
    assert " ".join(lines).split() == WHY.split()
    assert all(line.startswith("  ") for line in lines)
    assert len(lines) == 1 if not width else max(map(len, lines)) <= max(width, 18)
