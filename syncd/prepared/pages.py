"""Find the pages of the documentation, in an installed syncd and in a checkout. Reads none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_INSTALLED: Final = Path(__file__).parents[1] / "pages"
_CHECKOUT: Final = Path(__file__).parents[2]


def find_pages() -> dict[str, Path]:
    """Return the pages of the documentation by name in small letters, with `.md` and without."""
    if _INSTALLED.is_dir():
        pages = [*_INSTALLED.glob("*.md")]
    else:
        pages = [*(_CHECKOUT / "docs").glob("*.md"), *_CHECKOUT.glob("SECURITY.md")]
    return {name: page for page in pages for name in (page.stem.lower(), page.name.lower())}
