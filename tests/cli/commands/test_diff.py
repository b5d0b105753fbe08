"""Colour is for terminals only, and for nobody who switched it off."""

from __future__ import annotations

import io

import pytest

from syncd.cli.commands.diff import coloured, uses_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_and_no_color_switch_it_off() -> None:
    assert uses_colour(Terminal(), {})
    assert uses_colour(Terminal(), {"NO_COLOR": ""})
    assert not uses_colour(Terminal(), {"NO_COLOR": "1"})
    assert not uses_colour(io.StringIO(), {})


@pytest.mark.parametrize(
    ("line", "code"), [("-a", "31"), ("+a", "32"), ("@@ -1 +1 @@", "36"), ("--- repo/x", "1")]
)
def test_what_went_is_red_and_what_came_is_green(line: str, code: str) -> None:
    assert coloured(line) == f"\x1b[{code}m{line}\x1b[0m"
    assert coloured(" same") == " same"
