"""The lexicons that come with syncd."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import syncd.lexicons
from syncd.lexicons.bundle import KNOWN_TO_PDS, OLD_DAYS, load_bundle
from tests.atproto.lexicon.test_differential import judged

POST = "app.bsky.feed.post"
DAY = 86_400
PUBLISHED = 1_790_467_200
"""2026-09-27, in unix seconds."""


def test_the_bundle_has_the_lexicon_of_a_post_and_of_what_it_refers_to() -> None:
    bundle = load_bundle()
    assert POST in bundle.record_types()
    lexicon = bundle.find(POST)
    assert lexicon is not None
    assert lexicon.key == "tid"
    assert bundle.find(POST) is lexicon
    assert bundle.find("app.bsky.embed.images") is not None
    assert bundle.find("com.example.thing") is None


def test_no_reference_of_the_bundle_leads_out_of_it() -> None:
    bundle = load_bundle()
    text = json.dumps([*bundle.documents.values()])
    names = {piece.partition('"')[0].partition("#")[0] for piece in text.split('"ref": "')[1:]}
    assert names - {""} <= bundle.documents.keys()


def test_every_type_that_the_pds_knows_is_in_the_bundle() -> None:
    assert {*load_bundle().record_types()} >= KNOWN_TO_PDS


@pytest.mark.reference
def test_the_types_that_the_pds_knows_are_those() -> None:
    types = load_bundle().record_types()
    cases = [("self", {"$type": name}) for name in (*types, "com.example.thing")]
    verdicts = dict(zip((*types, "com.example.thing"), judged(cases), strict=True))
    assert {name for name, verdict in verdicts.items() if verdict is not None} == KNOWN_TO_PDS


def test_its_age_counts_from_the_day_of_the_package() -> None:
    bundle = load_bundle()
    assert bundle.age_days(PUBLISHED) == 0
    assert not bundle.is_old(PUBLISHED + OLD_DAYS * DAY)
    assert bundle.is_old(PUBLISHED + (OLD_DAYS + 1) * DAY)


def test_the_licences_come_along() -> None:
    text = Path(syncd.lexicons.__file__).with_name("LICENSE-atproto.txt").read_text("utf-8")
    assert "Copyright (c) 2022-2026 Bluesky Social PBC" in text
    assert "Permission is hereby granted" in text


@pytest.mark.parametrize("arguments", [["--help"], ["held"]])
def test_a_command_that_checks_nothing_loads_no_lexicon(
    arguments: list[str], tmp_path: Path
) -> None:
    script = (
        "import sys; from syncd.cli import cli\n"
        f"try: cli({arguments!r}, standalone_mode=False)\n"
        "except BaseException: pass\n"
        "assert 'regex' not in sys.modules, 'regex'\n"
        "assert not [name for name in sys.modules if name.startswith('syncd.lexicons')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
