"""The setting `filenames`: chosen at clone by what the disk can hold, changed without loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.errors import FolderWrong
from tests.folder.folding import How, folding
from tests.rigs.home import Home
from tests.rigs.machine import configure

PATHS = ("com.example.note/Foo", "com.example.note/a:b", "com.example.note/plain")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "com.example.note").iterdir())


def set_filenames(folder: Path, value: str) -> None:
    file = folder / "syncd.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("filenames")]
    at = lines.index("[mirror]") + 1
    file.write_text("\n".join([*lines[:at], f'filenames = "{value}"', *lines[at:], ""]))


def test_another_setting_renames_every_file_and_writes_nothing_to_the_repo(home: Home) -> None:
    for path in PATHS:
        home.write(path, text=path)
    laptop = home.machine()
    folder = home.clone(laptop)
    assert "filenames" not in (folder / "syncd.toml").read_text()
    plain = names(folder)
    rev = home.rev()
    set_filenames(folder, "portable")
    assert laptop.run("status", at=folder).code == 0, "what only looks changes nothing"
    assert names(folder) == plain
    ran = laptop.ok("sync", at=folder)
    assert 'filenames = "portable"' in ran.err
    assert names(folder) == ["%46oo.json", "a%3ab.json", "plain.json"]
    made = laptop.ok("new", "com.example.note", "--json", at=folder).json
    assert (folder / made["file"]).is_file()
    (folder / "com.example.note" / "%46oo.json").unlink()
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 1
    assert home.cid(PATHS[0]) is None
    rev = home.rev()
    set_filenames(folder, "plain")
    laptop.ok("sync", at=folder)
    assert (home.rev(), "a:b.json" in names(folder)) == (rev, True)
    assert laptop.ok("verify", "--json", at=folder).json["findings"] == []


def test_a_daemon_pushes_what_is_saved_under_a_portable_name(home: Home) -> None:
    home.write(PATHS[0], text="before")
    laptop = home.machine()
    folder = home.clone(laptop)
    set_filenames(folder, "portable")
    configure(folder, "run", full_look_seconds=3600)
    file = folder / "com.example.note" / "%46oo.json"
    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        daemon.wait_for('filenames = "')
        before = home.cid(PATHS[0])
        file.write_text('{"text": "after"}')
        daemon.wait_for(f"pushed    {PATHS[0]}")
    assert home.cid(PATHS[0]) not in (before, None)


@pytest.mark.parametrize("asked", [None, "plain", "portable"])
def test_a_clone_onto_a_disk_that_folds_case_has_portable_names(
    home: Home, asked: str | None
) -> None:
    """In this process, where the disk can be made to fold."""
    for path in PATHS:
        home.write(path, text=path)
    folder = home.tmp_path / "mirror"
    if asked:
        folder.mkdir()
        did = f'[mirror]\ndid = "{home.account.did}"\nread_only = true\n'
        plc = f'plc = "{home.pds.plc_url}"\npds = "{home.pds.url}"\n'
        (folder / "syncd.toml").write_text(f'{did}{plc}filenames = "{asked}"\n')
    arguments = ["clone", home.account.handle, str(folder), "--read-only", "--adopt", *home.place]
    with folding(folder, How(refused=":")):
        ran = CliRunner().invoke(cli, arguments)
    if asked == "plain":
        assert isinstance(ran.exception, FolderWrong)
        assert "does not tell upper from lower case" in ran.exception.message
        assert 'set filenames = "portable"' in ran.exception.hint
        assert not (folder / "com.example.note").exists()
        return
    assert ran.exit_code == 0, ran.output
    assert names(folder) == ["%46oo.json", "a%3ab.json", "plain.json"]
    assert 'filenames = "portable"' in (folder / "syncd.toml").read_text()
    assert ('filenames = "portable" is set in syncd.toml' in ran.output) == (asked is None)
