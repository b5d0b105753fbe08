"""Suggest the nearest command for a misspelt name. Never runs it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import ClassVar

import click


class Suggesting(click.Group):
    """A group of commands that names the nearest command in the error for an unknown one.

    `meant` has what to say of the names that other programs have for a command.
    """

    meant: ClassVar[Mapping[str, str]] = {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of `args`, or fail with a suggestion; click calls this."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not ctx.resilient_parsing:
            near = get_close_matches(args[0], known, n=1)
            guess = f"did you mean {near[0]!r}?" if near else ""
            meant = self.meant.get(args[0], guess)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; {meant}" if meant else ""))
        return super().resolve_command(ctx, args)
