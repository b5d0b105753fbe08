"""The vector files that syncd claims to satisfy, and how to read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).with_name("vectors")

SYNTAX_KINDS = (
    "atidentifier",
    "aturi",
    "cid",
    "datetime",
    "did",
    "handle",
    "language",
    "nsid",
    "recordkey",
    "tid",
    "uri",
)
VALID_SYNTAX = tuple(f"syntax/{kind}_syntax_valid.txt" for kind in SYNTAX_KINDS)
INVALID_SYNTAX = (
    *(f"syntax/{kind}_syntax_invalid.txt" for kind in SYNTAX_KINDS),
    "syntax/datetime_parse_invalid.txt",
    "syntax/language_parse_invalid.txt",
)
DATA_MODEL = tuple(
    f"data-model/data-model-{kind}.json" for kind in ("fixtures", "valid", "invalid")
)
CRYPTO = (
    "crypto/signature-fixtures.json",
    "crypto/w3c_didkey_K256.json",
    "crypto/w3c_didkey_P256.json",
)
MST = ("mst/common_prefix.json", "mst/example_keys.txt", "mst/key_heights.json")
FIREHOSE = ("firehose/commit-proof-fixtures.json",)
LEXICON = tuple(
    f"lexicon/{kind}.json"
    for kind in ("lexicon-valid", "lexicon-invalid", "record-data-valid", "record-data-invalid")
)
CATALOG = tuple(
    f"lexicon/catalog/{kind}.json"
    for kind in ("permission-set", "procedure", "query", "record", "subscription")
)
CLAIMED = (
    *LEXICON,
    *CATALOG,
    *VALID_SYNTAX,
    *INVALID_SYNTAX,
    *DATA_MODEL,
    *CRYPTO,
    *MST,
    *FIREHOSE,
)


@dataclass(frozen=True, slots=True)
class Vector:
    """One case of a vector file: a line of text, or an item of a JSON list."""

    file: str
    number: int
    value: Any

    @property
    def kind(self) -> str:
        """What a syntax file is about: the first part of its name."""
        return Path(self.file).name.split("_")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def read_vectors(directory: Path, file: str) -> list[Vector]:
    """The cases of a file, in order; none if it is not there."""
    path = directory / file
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return [Vector(file, number, item) for number, item in enumerate(json.loads(text), 1)]
    lines = enumerate(text.split("\n"), 1)
    return [Vector(file, n, line) for n, line in lines if line and not line.startswith("#")]
