"""The vectors themselves: that all are there, and that none was overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from .suite import CLAIMED, read_vectors

FOLDERS = sorted({str(Path(file).parent) for file in CLAIMED})


@pytest.mark.parametrize("file", CLAIMED)
def test_a_claimed_file_is_there_and_has_cases(directory: Path, file: str) -> None:
    assert read_vectors(directory, file), f"{file} is missing or empty in {directory}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_a_claimed_folder_is_claimed(directory: Path, folder: str) -> None:
    files = (path for path in (directory / folder).iterdir() if path.is_file())
    found = {f"{folder}/{path.name}" for path in files}
    assert found == {file for file in CLAIMED if str(Path(file).parent) == folder}
