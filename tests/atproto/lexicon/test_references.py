"""What a lexicon refers to is found wherever it stands, and nothing that only looks like it."""

from __future__ import annotations

from syncd.atproto.lexicon.document import parse_lexicon
from syncd.atproto.lexicon.references import others_of, references_of

HERE, THERE, FAR = "com.example.note", "com.example.defs", "org.example.far"
LEXICON = parse_lexicon(
    {
        "lexicon": 1,
        "id": HERE,
        "defs": {
            "main": {
                "type": "record",
                "key": "any",
                "record": {
                    "type": "object",
                    "properties": {
                        "near": {"type": "ref", "ref": "#part"},
                        "many": {"type": "array", "items": {"type": "ref", "ref": THERE}},
                        "one": {"type": "union", "refs": [f"{THERE}#one", f"{FAR}#two"]},
                        "ref": {"type": "string", "description": "no.such.reference"},
                        "refs": {"type": "string"},
                    },
                },
            },
            "part": {"type": "object", "properties": {"again": {"type": "ref", "ref": "#part"}}},
        },
    }
)


def test_references_are_found_in_every_definition() -> None:
    full = {f"{HERE}#part", THERE, f"{THERE}#one", f"{FAR}#two"}
    assert {each.removesuffix("#main") for each in references_of(LEXICON)} == full


def test_the_other_lexicons_are_named_once_each() -> None:
    assert others_of(LEXICON) == {THERE, FAR}
