"""One piece of `make model`. Only the process that plays it imports what it plays with."""

from __future__ import annotations

from collections import Counter


def play_piece(piece: tuple[int, int]) -> Counter[str]:
    """A count and a seed. Raises as `play_schedules`, with the command that shows it again."""
    from .play import play_schedules  # noqa: PLC0415

    count, number = piece
    try:
        return play_schedules(count, number)
    except BaseException as error:
        error.add_note(f"`make model N={count} SEED={number}` shows it again")
        raise
