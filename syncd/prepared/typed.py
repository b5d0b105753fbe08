"""Follow typed words through the table of commands, as click parses them. Never fails: what no
command takes ends the way there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from syncd.prepared.known import Known, options_of


class Taken(NamedTuple):
    """What one command takes of the words after its name.

    Attributes:
        given: The value of each option that is given, by its first name; "" of a flag.
        arguments: How many words count as arguments.
        rest: The words that are left for a command below.
    """

    given: Mapping[str, str]
    arguments: int = 0
    rest: Sequence[str] = ()


class Place(NamedTuple):
    """The command that the words lead to.

    Attributes:
        path: The names of the commands down to it, without `syncd`.
        directory: The value of -C.
    """

    path: str
    command: Known
    taken: Taken
    directory: str


def follow(root: Known, words: Sequence[str]) -> Place:
    """Return the last command among `words`, the words after `syncd`."""
    path, command, taken = "", root, take(root, words)
    directory = taken.given.get("-C", ".")
    while taken.rest and taken.rest[0] in command.get("commands", ()):
        name = taken.rest[0]
        path, command = f"{path} {name}".strip(), command["commands"][name]
        taken = take(command, taken.rest[1:])
    return Place(path, command, taken, directory)


def take(command: Known, words: Sequence[str]) -> Taken:
    """Return what `command` takes of `words`; click stops where an option is wrong."""
    given: dict[str, str] = {}
    arguments, left = 0, list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            arguments += len(left)
            break
        if len(word) > 1 and word[0] == "-":
            if not _take_option(command, word, left, given):
                return Taken(given)
        elif "commands" in command:
            return Taken(given, rest=(word, *left))
        else:
            arguments += 1
    return Taken(given, arguments, left)


def _take_option(command: Known, word: str, left: list[str], given: dict[str, str]) -> bool:
    """Note in `given` what `word` asks for, with the next of `left`; False where that is wrong."""
    named = {name: option for option in options_of(command) for name in option["option"]}
    name, equals, value = word.partition("=")
    if name.startswith("--"):
        option = named.get(name)
        if option is None or (equals and "value" not in option):
            return False
        return _give(option, [value] if equals else left, given)
    for at in count(1):  # -vC DIR is -v -C DIR
        option, more = named.get(f"-{word[at]}"), word[at + 1 :]
        if option is None or not _give(option, [more] if more else left, given):
            return False
        if "value" in option or not more:
            return True
    raise AssertionError


def _give(option: Known, left: list[str], given: dict[str, str]) -> bool:
    """Note an option in `given`, with the next of `left` if it takes a value and there is one."""
    if "value" in option and not left:
        return False
    given[option["option"][0]] = left.pop(0) if "value" in option else ""
    return True
