"""Suggest the nearest command for a misspelt name. Never runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import click

_FORBID = "'syncd hooks forbid' takes the permission back"
_INSTALL = "'syncd service install' enables and starts it"
_UNINSTALL = "'syncd service uninstall' stops and removes it, 'syncd pause' does neither"
BELOW: Mapping[str, Mapping[str, str]] = {
    "hooks": {
        **dict.fromkeys(("deny", "disable", "disallow", "remove", "revoke"), _FORBID),
        **dict.fromkeys(("list", "ls", "show", "status"), "see 'syncd hooks'"),
    },
    "service": {
        **dict.fromkeys(("enable", "restart", "start"), _INSTALL),
        **dict.fromkeys(("disable", "remove", "stop"), _UNINSTALL),
    },
}
"""Group -> name -> what to say to who types that name after the group."""


class Suggesting(click.Group):
    """A group of commands whose error for an unknown name suggests the nearest command.

    `meant` has what to say of the names that other programs have for a command.
    """

    meant: ClassVar[Mapping[str, str]] = {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of `args`, or fail with a suggestion; click calls this."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not ctx.resilient_parsing:
            words = self._guess(args[0], known)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; {words}" if words else ""))
        return super().resolve_command(ctx, args)

    def _guess(self, typed: str, known: Sequence[str]) -> str:
        """Return the suggestion for a name; a slip in another program's name counts as that."""
        from difflib import get_close_matches  # noqa: PLC0415 (only a slip needs it)

        others = self.meant or BELOW.get(self.name or "", {})
        begun = [name for name in known if name.startswith(typed)]
        near = get_close_matches(typed, begun or [*known, *others], n=1)
        meant = others.get(typed) or (others.get(near[0]) if near else None)
        return meant or (f"did you mean {near[0]!r}?" if near else "")


def explained(error: click.ClickException, group: click.Group) -> click.ClickException:
    """Return the error; for an option before the command, say where it belongs."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    if error.ctx.parent is None:
        return _explained_after(error, group.list_commands(error.ctx))
    own = {name for parameter in group.params for name in parameter.opts}
    if error.option_name not in own:
        return error
    command = error.ctx.command_path.partition(" ")[2]
    where = f"It comes before the command: syncd {error.option_name} … {command}"
    return click.UsageError(f"{error.message} {where}", error.ctx)


def _explained_after(error: click.NoSuchOption, names: Sequence[str]) -> click.ClickException:
    """Return the error; for an option that commands have, say where it belongs."""
    from syncd.prepared.known import known_commands, options_of  # noqa: PLC0415 (for a slip)

    commands = map(known_commands()["commands"].get, names)
    options = (option for one in commands if one for option in options_of(one))
    if not any(error.option_name in option["option"] for option in options):
        return error
    where = f"It comes after the command: syncd COMMAND {error.option_name}"
    return click.UsageError(f"{error.message} {where}", error.ctx)
