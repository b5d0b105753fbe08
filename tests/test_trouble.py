"""What a file system says of its room counts only where it counts room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from syncd.trouble import find_cause

PLENTY = {
    "f_flag": 0,
    "f_files": 1_000,
    "f_favail": 900,
    "f_blocks": 1_000,
    "f_bavail": 900,
    "f_bfree": 950,
}


@pytest.mark.parametrize(
    ("says", "is_trouble"),
    [
        ({}, False),
        # What is free besides is reserved: ext4 refuses even root with some of it left.
        ({"f_bavail": 0}, True),
        ({"f_blocks": 0, "f_bavail": 0, "f_bfree": 0}, False),
        ({"f_files": 0, "f_favail": 0}, False),
        ({"f_favail": 0}, True),
        ({"f_flag": os.ST_RDONLY}, True),
    ],
)
def test_a_file_system_is_in_trouble_if_it_counts_room_and_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: dict[str, int], is_trouble: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**{**PLENTY, **says}))
    assert (find_cause(tmp_path) is not None) is is_trouble


def test_a_file_system_that_answers_nothing_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(5, "no")

    monkeypatch.setattr(os, "statvfs", refuse)
    assert find_cause(tmp_path) is not None
