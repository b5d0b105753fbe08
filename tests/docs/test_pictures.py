"""The pictures of the README: made anew, they show the same, and they fetch nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from docs.moving import SECONDS
from docs.pictures import ARRIVED, COMMITTED, LIST, POST, PULLED, PUSHED, SAVED, WRITTEN

from .markdown import ROOT, read

pytestmark = pytest.mark.xdist_group("pictures")  # what they share takes long to make

SHOWN = sorted(re.findall(r'src(?:set)?="(docs/pictures/[\w-]+\.svg)"', read("README.md")))
BLANKS = " \xa0"
SVG = "{http://www.w3.org/2000/svg}"
LARGEST_MOVING = 8_000
MOVING, NARROW = "docs/pictures/moving.svg", "docs/pictures/moving-narrow.svg"
PHONE, SMALLEST = 358, 11
"""The room for a picture on a screen of 390 pixels, and the smallest letters that read well."""


def words(path: Path) -> list[str]:
    """Every piece of text in a picture, in order, without its colour and the blanks after it.

    How many blanks fill a line depends on how many digits a process's number has.
    """
    texts = ("".join(text.itertext()) for text in ET.parse(path).iter(f"{SVG}text"))
    return [text.rstrip(BLANKS) for text in texts]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, "-m", "docs.pictures", str(place)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.tools
def test_every_picture_is_shown_and_every_one_shown_is_made(fresh: Path) -> None:
    assert [Path(path).name for path in SHOWN] == sorted(path.name for path in fresh.iterdir())


@pytest.mark.tools
@pytest.mark.parametrize("path", SHOWN)
def test_what_a_picture_shows_still_comes_out(fresh: Path, path: str) -> None:
    assert words(ROOT / path) == words(fresh / Path(path).name), "make pictures, and look at them"


@pytest.mark.parametrize("path", SHOWN)
def test_a_picture_fetches_nothing(path: str) -> None:
    text = read(path).replace("http://www.w3.org/2000/svg", "")
    assert "url(http" not in text
    assert re.findall(r"(?:href|src)=", text) == []


def seen(second: float | None) -> set[str]:
    """What the moving picture shows at a second of its motion; None is what it shows without."""
    text = read(MOVING)
    frames = {
        name: re.findall(r"([\d.]+)% \{ opacity: (\d)", steps)
        for name, steps in re.findall(r"@keyframes (\w+) \{ (.*) \}", text)
    }
    shown = set()
    for part in ET.fromstring(text).iter(f"{SVG}text"):
        name, *kinds = part.attrib["class"].split()
        opacity = 0.0 if "gone" in kinds else 1.0
        if second is not None and name in frames:
            past = [value for at, value in frames[name] if float(at) <= 100 * second / SECONDS]
            opacity = float(past[-1])
        if opacity:
            shown.add((part.text or "").replace("\xa0", " ").strip())
    return shown


def test_a_file_is_saved_then_pushed_then_a_commit_and_a_post_comes_the_other_way() -> None:
    pushed, pulled = f"pushed    {LIST}", f"pulled    {POST}"
    before, after = '"text": "passport"', '"text": "passport, camera"'
    at = {
        moment: seen(moment + 0.1)
        for moment in (0, SAVED, PUSHED, COMMITTED, WRITTEN, PULLED, ARRIVED)
    }
    assert {before, "passport"} <= at[0]
    assert not at[0] & {after, pushed, str(POST)}
    assert after in at[SAVED]
    assert not at[SAVED] & {before, pushed, "passport, camera"}
    assert pushed in at[PUSHED]
    assert "passport, camera" in at[COMMITTED]
    assert not at[COMMITTED] & {"passport", str(POST)}
    assert str(POST) in at[WRITTEN]
    assert pulled in at[PULLED]
    assert f"{POST}.json" in at[ARRIVED] - at[PULLED]


def test_the_moving_picture_is_small_and_shows_its_end_to_who_wants_no_motion() -> None:
    text = read(MOVING)
    assert len(text.encode()) < LARGEST_MOVING
    quiet, _, moving = text.partition("@media (prefers-reduced-motion: no-preference)")
    assert "animation" not in quiet
    assert "animation" in moving
    assert seen(None) == seen(SECONDS - 1)


def test_the_moving_picture_for_phones_says_the_same_in_letters_that_a_phone_shows_large() -> None:
    wide, narrow = (" ".join(words(ROOT / path)) for path in (MOVING, NARROW))
    assert narrow.split() == wide.split()
    drawn = ET.parse(ROOT / NARROW)
    width, height = map(int, drawn.getroot().attrib["viewBox"].split()[2:])
    (size,) = map(int, re.findall(r"font: (\d+)px", read(NARROW)))
    assert size * PHONE / width >= SMALLEST
    for text in drawn.iter(f"{SVG}text"):
        letters = len("".join(text.itertext()))
        assert float(text.attrib["x"]) + 0.61 * size * letters <= width
        assert float(text.attrib["y"]) < height


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_each_colour_of_text_can_be_read_on_its_page(page: int) -> None:
    for name in ("text", "dim", "out", "in"):
        both = [
            re.findall(rf"--{colour}: #(\w{{6}});", read(MOVING))[page] for colour in (name, "page")
        ]
        darker, lighter = sorted(map(luminance, both))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
