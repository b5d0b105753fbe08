"""An account on the reference PDS, and machines that are logged in to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference.pds import ReferencePds
from tests.rigs.home import Home


@pytest.fixture
def home(reference_pds: ReferencePds, tmp_path: Path) -> Home:
    return Home(reference_pds, reference_pds.create_account(), tmp_path)
