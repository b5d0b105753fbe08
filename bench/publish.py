"""Put what was measured into the documents: `python -m bench.publish [DIR]`.

Takes the results that `python -m bench` left in DIR, copies them to docs/performance, and from all
that is there then draws the pictures and writes the tables of docs/performance.md. A row that was
not measured anew stays as it was. Measures nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.plots import plots
from bench.results import RESULTS, keep, kept
from bench.stage import ROOT
from bench.table import with_tables

PAGE = ROOT / "docs" / "performance.md"
PUBLISHED = ROOT / "docs" / "performance"


def publish(source: Path, page: Path = PAGE, published: Path = PUBLISHED) -> None:
    for result in kept(source).values():
        keep(result, published)
    results = kept(published)
    for name, picture in plots(results).items():
        (published / name).write_text(picture, encoding="utf-8")
    text = with_tables(page.read_text(encoding="utf-8"), results)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    publish(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
