"""Finding out what a file system can hold, where a probe before was cut short."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncd.errors import FolderWrong
from syncd.folder.probe import is_empty, probe

LEFT = ".syncd-0123456789abcdef"


@pytest.mark.parametrize("files", [(), (".syncd-x", "case"), ("n" * 255,)])
def test_what_an_earlier_probe_left_is_nothing_and_goes(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    (tmp_path / LEFT).mkdir()
    for name in files:
        (tmp_path / LEFT / name).touch()
    assert is_empty(tmp_path)
    probe(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{LEFT}/mine", "a"),
        (f"{LEFT}/deep/er", ""),
        (".syncd-x/a", ""),
        (f"{LEFT}0/a", ""),
        ("notes/a", ""),
    ],
)
def test_what_a_person_has_is_something_and_stays(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    assert not is_empty(tmp_path)
    probe(tmp_path)
    assert file.read_text(encoding="utf-8") == text


def test_a_link_of_that_name_is_left_alone_with_what_it_leads_to(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / LEFT).symlink_to(elsewhere)
    assert not is_empty(root)
    probe(root)
    assert (root / LEFT).is_symlink()
    assert elsewhere.is_dir()


def test_a_place_that_goes_meanwhile_is_no_file_system_without_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir

    def mkdir_and_lose(self: Path, mode: int = 0o777) -> None:
        made(self, mode)
        shutil.rmtree(self)

    monkeypatch.setattr(Path, "mkdir", mkdir_and_lose)
    with pytest.raises(FolderWrong) as failed:
        probe(tmp_path)
    assert "names" not in failed.value.message
    assert not list(tmp_path.iterdir())
