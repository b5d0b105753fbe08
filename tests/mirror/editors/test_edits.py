"""Settings that a person wrote keep every letter: ours go in, and out again."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from syncd.errors import BadJson
from syncd.mirror.editors.edits import has_entries, with_entries, without_entries
from syncd.mirror.editors.jsonc import parse_jsonc, value_of
from tests.chance import SEED, times

PATH = ("json.schemas",)
DEEP = ("lsp", "json-language-server", "settings", "json", "schemas")
OURS: list[dict[str, Any]] = [
    {"fileMatch": ["/a/**/*.json"], "url": "./.syncd/a"},
    {"url": "./.syncd/b"},
]
OTHER = {"url": "https://example.com/x.json"}


def is_ours(entry: object) -> bool:
    return isinstance(entry, dict) and ".syncd/" in str(entry.get("url"))


def read(text: str) -> Any:  # noqa: ANN401
    node = parse_jsonc(text)
    return None if node is None else value_of(text, node)


SETTINGS = [
    "",
    "\n",
    "// only a comment\n",
    "\ufeff{\n}\n",
    "{}",
    '{"a": 1}',
    '{ "a": 1, }',
    '{\n  "a": 1 // why\n}\n',
    '{\n\t"a": {"b": [1, 2,],}, // why\n\t/* more */\n}\n',
    '{ // first\n    "a": 1,\n    // last\n}\n',
    '{\r\n  "a": "// no comment \\" /*",\r\n  "b": null\r\n}\r\n',
    '{\n  "json.schemas": [\n    {"url": "https://x.example/x"}, // mine\n  ],\n  "z": 1\n}\n',
    '{"json.schemas": [{"url": "https://example.com/x.json"}]}',
    '{"json.schemas": [ // mine\n {"url": "https://example.com/x.json"} /* so */ ] , "b": []}',
    '{"lsp": {"json-language-server": {"x": 1}, "other": {}}, "b": 1}',
    '{\n  "lsp": { // servers\n    "json-language-server": {"settings": {"json": {"y": []}}}\n  }}',
]


@pytest.mark.parametrize("path", [PATH, DEEP], ids=["flat", "deep"])
@pytest.mark.parametrize("text", SETTINGS)
def test_what_goes_in_comes_out_and_everything_else_stays(text: str, path: tuple[str, ...]) -> None:
    before = read(text) or {}
    done = with_entries(text, path, OURS, is_ours)
    found = read(done)
    for key in path:
        found = found[key]
    assert found[:2] == OURS
    assert has_entries(done, path, is_ours)
    assert not has_entries(text, path, is_ours)
    for comment in re.findall(r"// [a-z]+\n|/\* [a-z]+ \*/", text):
        assert comment in done
    assert with_entries(done, path, OURS, is_ours) == done
    out = without_entries(done, path, is_ours)
    assert (read(out) or {}) == before
    if re.sub(r"[\s\ufeff]", "", text) not in ("", "{}", "//onlyacomment"):
        assert out == text


def test_entries_of_others_and_keys_of_others_are_never_touched() -> None:
    text = json.dumps({"json.schemas": [OTHER, *OURS, OTHER], "editor.tabSize": 3}, indent=3)
    assert read(without_entries(text, PATH, is_ours)) == {
        "json.schemas": [OTHER, OTHER],
        "editor.tabSize": 3,
    }
    assert read(with_entries(text, PATH, OURS[:1], is_ours))["json.schemas"] == [
        OURS[0],
        OTHER,
        OTHER,
    ]


@pytest.mark.parametrize("order", ["oxo", "xo", "ox", "x", "xx", "oxx", "xox"])
@pytest.mark.parametrize("comma", ["", ","])
@pytest.mark.parametrize("comment", ["", " // c\n", "/* c */"])
def test_entries_that_a_person_moved_are_found_wherever_they_are(
    order: str, comma: str, comment: str
) -> None:
    items = [json.dumps(OURS[0] if each == "x" else OTHER) + comment for each in order]
    text = '{\n "a": 1, // c\n "json.schemas": [' + ", ".join(items) + comma + "]\n}\n"
    out = read(without_entries(text, PATH, is_ours))
    assert out.get("json.schemas", []) == [OTHER] * order.count("o")
    assert out["a"] == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1', (1, 8)),
        ('{\n  "a" 1}', (2, 7)),
        ("{\n  a: 1}", (2, 3)),
        ('{"a": 1} {}', (1, 10)),
        ('{"a": 1 "b": 2}', (1, 9)),
        ('{"json.schemas": {}}', (1, 18)),
        ("[]", (1, 1)),
        ('{"a": nul}', (1, 7)),
        ('{"a": "\\x"}', (1, 7)),
        ("[" * 200, (1, 101)),
    ],
)
def test_what_is_no_settings_file_is_named_with_its_place(
    text: str, place: tuple[int, int]
) -> None:
    with pytest.raises(BadJson) as caught:
        with_entries(text, PATH, OURS, is_ours)
    assert (caught.value.line, caught.value.column) == place


def test_of_a_key_that_is_there_twice_the_last_counts_as_in_editors() -> None:
    text = '{"json.schemas": 1, "json.schemas": []}'
    assert read(with_entries(text, PATH, OURS, is_ours))["json.schemas"] == OURS


def test_random_settings_come_back_to_the_letter() -> None:
    rng = random.Random(SEED)
    for _ in range(times(300)):
        text = _random_settings(rng)
        path = rng.choice([PATH, DEEP, ("a", "b")])
        try:
            done = with_entries(text, path, OURS, is_ours)
        except BadJson:
            continue
        assert read(without_entries(done, path, is_ours)) == read(text) or "{}" in text, text
        assert with_entries(done, path, OURS, is_ours) == done


def _random_settings(rng: random.Random) -> str:
    def blank() -> str:
        return rng.choice(["", "", " ", "\n", "\t", " // c\n", "/* c, } */", "\r\n"])

    def value(room: int) -> str:
        if room == 0 or rng.random() < 0.3:
            return rng.choice(
                ["1", "true", "null", '"x, // y"', '"\\"]"', "-1.5e3", json.dumps(OTHER)]
            )
        keys = ["a", "b", "json.schemas", *DEEP]
        is_object = rng.random() < 0.6
        items = [
            (f'"{key}"{blank()}:{blank()}' if is_object else "") + value(room - 1) + blank()
            for key in rng.sample(keys, rng.randrange(1, 4))
        ]
        tail = rng.choice(["", "", ","])
        inner = blank() + f",{blank()}".join(items) + tail + blank()
        return f"{{{inner}}}" if is_object else f"[{inner}]"

    members = [f'"{key}": {value(4)}' for key in rng.sample(["a", "json.schemas", "lsp"], 2)]
    return "{" + blank() + ("," + blank()).join(members) + blank() + "}"
