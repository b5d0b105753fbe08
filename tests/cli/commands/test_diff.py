"""A diff shows by colour what went and what came."""

from __future__ import annotations

import pytest

from syncd.cli.commands.diff import coloured


@pytest.mark.parametrize(
    ("line", "code"), [("-a", "31"), ("+a", "32"), ("@@ -1 +1 @@", "36"), ("--- repo/x", "1")]
)
def test_what_went_is_red_and_what_came_is_green(line: str, code: str) -> None:
    assert coloured(line) == f"\x1b[{code}m{line}\x1b[0m"
    assert coloured(" same") == " same"
