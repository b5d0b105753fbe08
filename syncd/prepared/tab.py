"""Answer a Tab in bash, zsh or fish, from the table of commands: what click would answer.

Never fails, and opens nothing but the names that it offers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from syncd.prepared.known import Known, arguments_of, known_commands, options_of
from syncd.prepared.offer import OFFERS
from syncd.prepared.typed import Place, follow

ASKED_BY: str = "_SYNCD_COMPLETE"
"""The variable by which the script of a shell asks; click makes its name from the program's."""


class Item(NamedTuple):
    """What the word under the cursor can become.

    Attributes:
        kind: "plain"; "file" or "dir" where the shell has to look for the names.
        line: What it is for, in the shells that show that; "" where its name says it.
    """

    value: str
    kind: str = "plain"
    line: str = ""


def answer_tab(environ: Mapping[str, str]) -> str | None:
    """Return what the script of the asking shell reads; None for a shell that only click knows."""
    shell = environ[ASKED_BY].removesuffix("_complete")
    if shell not in _FORMATS:
        return None
    words, incomplete = _fish(environ) if shell == "fish" else _by_number(environ)
    items = complete(known_commands(), words, incomplete)
    return "\n".join(map(_FORMATS[shell], items)) + "\n"


def complete(root: Known, words: Sequence[str], incomplete: str) -> list[Item]:
    """Return what `incomplete`, the word after `words`, can become."""
    place, is_option = follow(root, words), incomplete.startswith("-")
    last = words[-1] if words else ""
    if is_option and "=" in incomplete:
        last, _, incomplete = incomplete.partition("=")
        words, is_option = (*words, last), incomplete.startswith("-")
    elif incomplete == "=":
        incomplete = ""
    if is_option and "--" not in words:
        return list(_below(place, incomplete))
    for option in options_of(place.command):
        if "value" in option and last in option["option"]:
            return _values(place, option, incomplete)
    for at, argument in enumerate(arguments_of(place.command)):
        if argument.get("many") or at >= place.taken.arguments:
            return _values(place, argument, incomplete)
    return list(_below(place, incomplete))


def _below(place: Place, incomplete: str) -> Iterator[Item]:
    """Yield the commands of a command, and its options that can still be given."""
    for name, command in place.command.get("commands", {}).items():
        if name.startswith(incomplete):
            yield Item(name, line=command["line"])
    for option in options_of(place.command) if incomplete else ():
        if option.get("many") or option["option"][0] not in place.taken.given:
            names = (name for name in option["option"] if name.startswith(incomplete))
            yield from (Item(name, line=option["help"]) for name in names)


def _values(place: Place, taken: Known, incomplete: str) -> list[Item]:
    """Return how the value of an argument or an option can continue."""
    value = taken["value"]
    if taken.get("is_offered"):
        found: list[str] = []
        with suppress(OSError):
            found = OFFERS[place.path](Path(place.directory), incomplete)
        # The shell knows files better, and a file names its record as well.
        return [Item(name) for name in found] or [Item(incomplete, "file")]
    if value in ("file", "directory"):
        return [Item(incomplete, "dir" if value == "directory" else "file")]
    choices = () if value == "text" else value
    return [Item(choice) for choice in choices if choice.startswith(incomplete)]


def _by_number(environ: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the words before the cursor and the one under it, as bash and zsh say them."""
    words, at = split(environ["COMP_WORDS"]), int(environ["COMP_CWORD"])
    return words[1:at], words[at] if at < len(words) else ""


def _fish(environ: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the same of fish, which says the words as far as the cursor, and the last of them."""
    words, last = split(environ["COMP_WORDS"])[1:], split(environ["COMP_CWORD"])
    incomplete = last[0] if last else ""
    return words[:-1] if incomplete and words[-1:] == [incomplete] else words, incomplete


def split(line: str) -> list[str]:
    """Return the words of a command line; the last one may still lack its closing quote."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _bash_format(item: Item) -> str:
    return f"{item.kind},{item.value}"


def _zsh_format(item: Item) -> str:
    # The script would end a value at a colon, but none that has a line has one.
    return f"{item.kind}\n{item.value}\n{item.line or '_'}"


def _fish_format(item: Item) -> str:
    return f"{item.kind},{item.value}" + (f"\t{item.line}" if item.line else "")


_FORMATS = {"bash": _bash_format, "zsh": _zsh_format, "fish": _fish_format}
