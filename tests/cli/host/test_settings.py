"""What a running mirror makes of a `syncd.toml` that has changed. Reads files, opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from syncd.cli.host.settings import FilesSettings
from syncd.config import load_config
from syncd.errors import SyncdError

DID = "did:plc:" + "a" * 24
PLAIN = f'[mirror]\ndid = "{DID}"\n'
MARKDOWN = PLAIN + '[files]\nmarkdown = { "com.example.post" = "content" }\n'


@dataclass(slots=True)
class Ears:
    """A mirror's settings, and what is said of them."""

    root: Path
    broken: list[SyncdError] = field(default_factory=list)
    changed: list[tuple[str, bool]] = field(default_factory=list)
    settings: FilesSettings = field(init=False)

    def __post_init__(self) -> None:
        self.save(PLAIN)
        config = load_config(self.root / "syncd.toml", {})
        self.settings = FilesSettings(
            *(self.root, config, self.broken.append),
            lambda names, is_used: self.changed.append((names, is_used)),
        )

    def save(self, text: str) -> None:
        """As editors do: another file takes the name."""
        new = self.root / "new"
        new.write_text(text)
        new.rename(self.root / "syncd.toml")

    def are_outdated(self) -> bool:
        return self.settings.are_outdated()


@pytest.fixture
def ears(tmp_path: Path) -> Ears:
    return Ears(tmp_path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (MARKDOWN, "[files] markdown"),
        (PLAIN + 'filenames = "portable"\n', "[mirror] filenames"),
        (
            MARKDOWN.replace("[files]", 'filenames = "portable"\n[files]'),
            "[mirror] filenames, [files] markdown",
        ),
        (MARKDOWN + "[run]\npoll_seconds = 9\n", "[run] poll_seconds, [files] markdown"),
    ],
)
def test_settings_of_the_files_are_outdated_once_others_are_saved(
    ears: Ears, text: str, names: str
) -> None:
    assert not ears.are_outdated()
    ears.save(text)
    assert ears.are_outdated()
    assert ears.changed == [(names, True)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN + "\n# only a comment\n", []),
        (PLAIN + "[files]\nmarkdown = {}\n", []),
        (PLAIN + "[run]\npoll_seconds = 9\n", [("[run] poll_seconds", False)]),
    ],
)
def test_any_other_change_leaves_them_in_use_and_is_named_once(
    ears: Ears, text: str, said: list[tuple[str, bool]]
) -> None:
    ears.save(text)
    assert not ears.are_outdated()
    assert not ears.are_outdated()
    assert ears.changed == said


@pytest.mark.parametrize(
    "text",
    ["", "[files]\nmark", MARKDOWN + "markdown = 1\n", MARKDOWN.replace("aaaa", "bbbb")],
)
def test_what_cannot_be_used_is_reported_once_and_the_next_text_is_read(
    ears: Ears, text: str
) -> None:
    ears.save(text)
    assert not ears.are_outdated()
    assert not ears.are_outdated()
    assert len(ears.broken) == 1
    ears.save(MARKDOWN)
    assert ears.are_outdated()


def test_a_file_that_is_missing_changes_nothing(ears: Ears) -> None:
    (ears.root / "syncd.toml").unlink()
    assert not ears.are_outdated()
    assert ears.broken == []


def test_settings_that_a_checkout_brings_are_read_when_git_is_done(ears: Ears) -> None:
    git = ears.root / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "MERGE_HEAD").write_text("1" * 40)
    ears.save(MARKDOWN)
    assert not ears.are_outdated()
    (git / "MERGE_HEAD").unlink()
    assert ears.are_outdated()
