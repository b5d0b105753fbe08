"""The pictures of the README: made anew, they show the same, and they fetch nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from .markdown import ROOT, read

pytestmark = pytest.mark.xdist_group("pictures")  # what they share takes long to make

SHOWN = sorted(re.findall(r'src="(docs/pictures/\w+\.svg)"', read("README.md")))
BLANKS = " \xa0"
SVG = "{http://www.w3.org/2000/svg}"


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
