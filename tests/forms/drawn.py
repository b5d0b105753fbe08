"""Draw records that are hard to write as pages, from one seed, without a library.

Quick, so that a run of many records ends. Never shrinks what failed: the seed draws it again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from syncd.atproto.data import Record, Value

RESERVED: Final = frozenset(("$link", "$bytes", "$type", "cid", "__proto__"))
LETTERS: Final = "ab \n\t:-#'\"{}[],&*!|>%@`\\é日😀\u00a0\u2028\x85\ufeff\0\r\x1b"


def draw_word(chance: random.Random, words: Sequence[str]) -> str:
    """Return one of `words`, or a short text of letters that YAML treats in its own way."""
    if chance.random() < 0.6:
        return chance.choice(words)
    return "".join(chance.choices(LETTERS, k=chance.randrange(9)))


def draw_value(chance: random.Random, words: Sequence[str], depth: int = 3) -> Value:
    """Return a value of any kind of the data model, nested at most `depth` deep."""
    kind = chance.randrange(7 if depth else 5)
    if kind == 5:
        return [draw_value(chance, words, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 6:
        return draw_fields(chance, words, chance.randrange(4), depth - 1)
    plain: tuple[Value, ...] = (
        None,
        chance.random() < 0.5,
        chance.choice((0, 7, -9, 2**53 - 1, chance.randrange(2**53))),
        chance.randbytes(chance.randrange(4)),
        draw_word(chance, words),
    )
    return plain[kind]


def draw_fields(
    chance: random.Random, words: Sequence[str], count: int, depth: int = 3
) -> dict[str, Value]:
    """Return at most `count` fields, none of whose names means more than a name."""
    keys = (draw_word(chance, words) for _ in range(count))
    return {key: draw_value(chance, words, depth) for key in keys if key not in RESERVED}


def draw_content(chance: random.Random, lines: Sequence[str], words: Sequence[str]) -> Value:
    """Return a body at one of the places that are in use, at two of them, or at none."""
    body, second = (
        "".join(
            chance.choice(lines) if chance.random() < 0.5 else draw_word(chance, words)
            for _ in range(chance.randrange(7))
        )
        for _ in range(2)
    )
    shapes: tuple[Value, ...] = (
        body,
        {"$type": "at.markpub.markdown", "text": {"$type": "x", "markdown": body}},
        {"$type": "x.y.z", "text": body},
        {"$type": "x.y.z", "value": body},
        {"$type": "x.y.z", "value": body, "text": second},
        {"$type": "x.y.z", "blocks": []},
    )
    return chance.choice(shapes)


def draw_record(
    chance: random.Random, collection: str, words: Sequence[str], lines: Sequence[str]
) -> Record:
    """Return a record of `collection` whose body is at `content` or below it."""
    fields = draw_fields(chance, (*words, "$body"), chance.randrange(6))
    return {**fields, "content": draw_content(chance, lines, words), "$type": collection}
