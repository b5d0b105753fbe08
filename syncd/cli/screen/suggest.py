"""Suggest the nearest command for a misspelt name. Never runs it."""

from __future__ import annotations

from difflib import get_close_matches

import click


class Suggesting(click.Group):
    """A group of commands that names the nearest command in the error for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of `args`, or fail with a suggestion; click calls this."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not ctx.resilient_parsing:
            near = get_close_matches(args[0], known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}{meant}")
        return super().resolve_command(ctx, args)
