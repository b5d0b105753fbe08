"""Colour is for terminals only, and for nobody who switched it off."""

from __future__ import annotations

import io

import pytest

from syncd.cli.screen.colour import has_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "", "TERM": "xterm"}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"NO_COLOR": "false", "TERM": "xterm"}, False),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "", "TERM": "dumb"}, False),
        ({"NO_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_no_color_and_a_dumb_terminal_switch_it_off_and_an_empty_no_color_does_not(
    environ: dict[str, str], expected: bool
) -> None:
    assert has_colour(Terminal(), environ) is expected


def test_a_pipe_has_none_whatever_the_environment_says() -> None:
    assert not has_colour(io.StringIO(), {})
    assert not has_colour(io.StringIO(), {"TERM": "xterm"})
