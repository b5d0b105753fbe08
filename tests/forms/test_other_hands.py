"""The same record from many hands: any two front matters with one meaning are one record."""

from __future__ import annotations

import json
import random
from typing import Final

import pytest

from syncd.atproto.data import Record, Value, cid_of, encode
from syncd.forms.markdown_form import MarkdownForm
from tests.chance import IS_STRESS, seeded, times

BLOG = "com.whtwnd.blog.entry"
ENTRY = MarkdownForm(BLOG, (("content",),))
TEXTS: Final = 5_000 if IS_STRESS else times(800)

TYPED = """---
# my notes
tags: [walks, 'long ones']   # two

title: 'A "walk"'
folded: "yes"
ogp: {url: 'https://example.com/a.png', width: 1200}
nothing: null
createdAt: 2026-11-29T12:00:00.000Z
isDraft: false
---

Some words.
"""
OBSIDIAN = """---
tags:
  - walks
  - long ones
title: A "walk"
folded: "yes"
ogp:
  url: https://example.com/a.png
  width: 1200
nothing:
createdAt: 2026-11-29T12:00:00.000Z
isDraft: false
---

Some words.
"""
PRETTIER = """---
# my notes
tags: [walks, "long ones"] # two

title: 'A "walk"'
folded: "yes"
ogp: { url: "https://example.com/a.png", width: 1200 }
nothing: null
createdAt: 2026-11-29T12:00:00.000Z
isDraft: false
---

Some words.
"""


@pytest.mark.parametrize("text", [OBSIDIAN, PRETTIER, OBSIDIAN.replace("\n", "\r\n")])
def test_what_a_notebook_or_a_formatter_makes_of_it_is_the_same_record(text: str) -> None:
    typed = ENTRY.parse(TYPED.encode(), BLOG)
    assert typed["ogp"] == {"url": "https://example.com/a.png", "width": 1200}
    found = ENTRY.parse(text.encode(), BLOG)
    assert cid_of(found) == cid_of(typed)
    # And what it made stays as it is, whatever comes from the repo.
    assert ENTRY.restyled(text.encode(), encode(typed), BLOG) == text.encode()


WORDS = ("A walk", "it's", 'say "so"', "a: b", "- x", "yes", "null", "7", "", "é", "#no", "x #y")


class Hand:
    """Writes values as a person does who has a taste for each of them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def value(self, depth: int = 0) -> Value:
        kind = self.chance.randrange(7 if depth < 2 else 5)
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.chance.randint(0, 3))]
        if kind == 6:
            keys = self.chance.sample(("url", "width", "a b", "é"), self.chance.randint(0, 3))
            return {key: self.value(depth + 1) for key in keys}
        numbers: tuple[Value, ...] = (None, True, False, self.chance.randint(-9, 2**53 - 1))
        return self.chance.choice(WORDS) if kind else self.chance.choice(numbers)

    def front(self, fields: dict[str, Value]) -> str:
        names = self.chance.sample(list(fields), len(fields))
        lines = [self.noise() + self.entry(name, fields[name], "") for name in names]
        return "".join(lines) + self.noise()

    def noise(self) -> str:
        return self.chance.choice(("", "", "", "\n", "# a comment\n", "  # another\n"))

    def entry(self, key: str, value: Value, indent: str) -> str:
        name = self.chance.choice((key, json.dumps(key)))
        if isinstance(value, list | dict) and value and self.chance.random() < 0.6:
            return f"{indent}{name}:\n{self.block(value, indent + self.chance.choice(('  ', ' ')))}"
        return f"{indent}{name}:{self.chance.choice((' ', '   '))}{self.flow(value)}{self.tail()}"

    def block(self, value: list[Value] | dict[str, Value], indent: str) -> str:
        if isinstance(value, dict):
            return "".join(self.entry(key, item, indent) for key, item in value.items())
        return "".join(f"{indent}- {self.flow(item)}{self.tail()}" for item in value)

    def tail(self) -> str:
        return self.chance.choice(("\n", "\n", " # why\n", "  \n"))

    def flow(self, value: Value) -> str:
        if isinstance(value, list):
            return "[" + ", ".join(map(self.flow, value)) + self.chance.choice(("]", " ]"))
        if isinstance(value, dict):
            pairs = (f"{json.dumps(key)}: {self.flow(item)}" for key, item in value.items())
            return "{ " + ", ".join(pairs) + " }"
        if isinstance(value, str):
            return self.word(value)
        return json.dumps(value)

    def word(self, text: str) -> str:
        styles = [json.dumps(text), json.dumps(text, ensure_ascii=False), f"'{_doubled(text)}'"]
        return self.chance.choice([*styles, *([text] if text in ("A walk", "é", "it's") else [])])


def _doubled(text: str) -> str:
    return text.replace("'", "''")


def test_any_two_texts_of_one_meaning_are_one_record() -> None:
    for number in range(TEXTS):
        hand = Hand(seeded(number))
        names = hand.chance.sample(("title", "tags", "ogp", "a b", "é", "x-y"), 4)
        fields = {name: hand.value() for name in names}
        body = hand.chance.choice(("", "Hi", "# H\n\n---\n", "\n", "a\n\n"))
        record: Record = {"$type": BLOG, **fields, "content": body}
        for _ in range(2):
            gap = "\n" if body.startswith("\n") else hand.chance.choice(("\n", ""))
            text = f"---\n{hand.front(fields)}---\n{gap if body else chr(10)}{body}\n"
            text = hand.chance.choice((text, text.replace("\n", "\r\n")))
            assert cid_of(ENTRY.parse(text.encode(), BLOG)) == cid_of(record), text
            again = ENTRY.restyled(text.encode(), encode(record), BLOG)
            assert again == text.encode(), text
