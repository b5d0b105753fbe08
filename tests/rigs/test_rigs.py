"""The page that says which rig is for which question names every rig that there is."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_rig_is_on_the_page_and_every_file_on_the_page_exists() -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")
    files = {file.name for file in HERE.glob("[a-z]*.py")}
    rigs = {name for name in files if not name.startswith("test_")}
    first_cells = " ".join(re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE))
    assert rigs <= set(re.findall(r"`(\w+\.py)`", first_cells))
    for name in re.findall(r"`([\w*]+\.(?:py|sh))`", page):
        assert (HERE / name).exists(), name
