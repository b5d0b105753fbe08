"""`syncd service` without a systemd: what is written, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.cli import cli
from syncd.cli.commands import service
from syncd.cli.commands.service import escape, find_program, render
from syncd.config import read_list
from syncd.errors import ConfigWrong, FolderWrong, SyncdError
from syncd.folder.root import initialise
from tests.rigs.mirrors import make_mirror

ENV = "/usr/bin/env syncd"
TEMPLATES = ("syncd@.service", "syncd-user@.service")


@pytest.mark.parametrize("template", TEMPLATES)
def test_an_older_systemd_sees_no_setting_that_it_does_not_know(template: str) -> None:
    assert "\nRestartSteps" not in render(template, ENV, 252)
    newer = render(template, ENV, 254)
    assert re.findall(r"^(RestartSteps|RestartMaxDelaySec)=", newer, re.MULTILINE) == [
        "RestartSteps",
        "RestartMaxDelaySec",
    ]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_program_is_the_one_that_installs(template: str) -> None:
    text = render(template, "/opt/syncd/bin/syncd", 252)
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert line.startswith("/opt/syncd/bin/syncd run ")


@pytest.mark.parametrize("template", TEMPLATES)
def test_only_the_loop_is_asked_and_every_line_of_hardening_says_why(template: str) -> None:
    text = render(template, ENV, 252)
    assert re.findall(r"^Type=(.*)$", text, re.MULTILINE) == ["notify"]
    hardening = text.partition("Each line takes one")[2].partition("[Install]")[0].splitlines()[1:]
    settings = [number for number, line in enumerate(hardening) if line and line[0] != "#"]
    assert len(settings) >= 10
    assert [hardening[n] for n in settings if not hardening[n - 1].startswith("#")] == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/alice/work/notes", "home-alice-work-notes"),
        ("/srv/my-notes", r"srv-my\x2dnotes"),
        ("/srv/a b", r"srv-a\x20b"),
        ("/.hidden", r"\x2ehidden"),
        ("/", "-"),
        ("/srv//twice/", "srv-twice"),
        ("/srv/é", r"srv-\xc3\xa9"),
    ],
)
def test_a_path_becomes_a_part_of_a_units_name(path: str, name: str) -> None:
    assert escape(path) == name


@pytest.mark.skipif(
    shutil.which("systemd-escape") is None,
    reason="NOT TESTED against systemd-escape: there is none",
)
@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)
                .filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3))  # fmt: skip
def test_systemd_escapes_a_path_the_same_way(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    done = subprocess.run(
        ["systemd-escape", "--path", path], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        assert escape(path) == done.stdout.removesuffix("\n")


def test_a_system_service_is_not_started_from_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "syncd"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert find_program(is_system=False) == str(program)
    assert find_program(is_system=True) == str(program)
    monkeypatch.setattr(service, "_HIDDEN", (tmp_path,))
    with pytest.raises(ConfigWrong, match=re.escape(str(program))):
        find_program(is_system=True)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder that looks like a mirror."""
    root = tmp_path / "notes"
    root.mkdir()
    initialise(root, "marker")
    return root


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_without_a_session_of_the_user_nothing_is_written_and_a_way_is_named(
    mirror: Path, tmp_path: Path, command: str
) -> None:
    config = tmp_path / "config"
    environ = {
        "XDG_CONFIG_HOME": str(config),
        "XDG_RUNTIME_DIR": str(tmp_path / "none"),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none/bus",
    }
    ran = CliRunner().invoke(cli, ["-C", str(mirror), "service", command], env=environ)
    assert isinstance(ran.exception, ConfigWrong)
    assert "enable-linger" in ran.exception.hint
    assert not config.exists()


def test_the_unit_can_be_printed_and_nothing_is_written(mirror: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    environ = {"XDG_CONFIG_HOME": str(config), "PATH": str(tmp_path)}
    words = ["-C", str(mirror), "service", "install", "--print"]
    ran = CliRunner().invoke(cli, words, env=environ)
    assert ran.exit_code == 0, ran.output
    assert f"# {config}/systemd/user/syncd-user@.service" in ran.output
    assert f"run {mirror}" in ran.output
    assert not config.exists()


MIRRORS, TIMED = "syncd-mirrors.service", ("syncd-sync.service", "syncd-sync.timer")


def test_the_unit_of_all_mirrors_is_that_of_one_but_for_the_list() -> None:
    one, of_all = (
        {line for line in render(name, ENV, 254).splitlines() if not line.startswith("#")}
        for name in ("syncd-user@.service", MIRRORS)
    )
    assert of_all - one == {
        "Description=syncd mirrors of %u",
        "Environment=SYNCD_CONFIG=%E/syncd/mirrors.toml",
        f"ExecStart={ENV} run",
    }
    assert one - of_all == {"Description=syncd mirror %h/%i", f"ExecStart={ENV} run %h/%i"}


@pytest.mark.parametrize(("home", "asks_root"), [("", False), ("elsewhere", True)])
def test_a_unit_that_cannot_be_written_asks_for_root_only_outside_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, asks_root: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / home))
    (tmp_path / "systemd").write_text("this is no directory")
    with pytest.raises(SyncdError) as caught:
        service._write(tmp_path / "systemd" / "syncd.service", "")
    assert str(tmp_path / "systemd" / "syncd.service") in caught.value.message
    assert (str(tmp_path / "systemd") in caught.value.hint) != asks_root


@pytest.mark.parametrize("template", [*TEMPLATES, MIRRORS, TIMED[0]])
def test_no_service_writes_its_memory_to_the_disk(template: str) -> None:
    assert "\nLimitCORE=0\n" in render(template, ENV, 254)


def test_the_timer_starts_one_sync_of_all_for_which_3_is_no_failure() -> None:
    text = render(TIMED[0], "/opt/syncd/bin/syncd", 254)
    assert "\nType=oneshot\n" in text
    assert "\nExecStart=/opt/syncd/bin/syncd run --once\n" in text
    assert "\nSuccessExitStatus=3\n" in text
    assert "OnUnitInactiveSec=15min" in render(TIMED[1], ENV, 254)


@pytest.mark.parametrize(
    ("options", "files"), [(["--all"], [MIRRORS]), (["--all", "--timer"], list(TIMED))]
)
def test_those_of_all_mirrors_are_printed_outside_of_any_and_nothing_is_written(
    tmp_path: Path, options: list[str], files: list[str]
) -> None:
    config = tmp_path / "config"
    environ = {"XDG_CONFIG_HOME": str(config), "PATH": str(tmp_path)}
    words = ["-C", str(tmp_path), "service", "install", "--print", *options]
    ran = CliRunner().invoke(cli, words, env=environ)
    assert ran.exit_code == 0, ran.output
    assert re.findall(r"^# /.*/user/(.*)$", ran.output, re.MULTILINE) == files
    assert not config.exists()


@pytest.mark.parametrize("options", [["--timer"], ["--all", "--system"]])
def test_choices_that_do_not_go_together_are_refused(mirror: Path, options: list[str]) -> None:
    words = ["-C", str(mirror), "service", "install", "--print", *options]
    assert CliRunner().invoke(cli, words).exit_code == 2


def test_a_list_is_made_of_what_is_known_and_one_that_is_there_stays(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    service.make_list(mirror)
    file = tmp_path / "config" / "syncd" / "mirrors.toml"
    assert mirror in read_list(file)
    file.write_text('mirrors = ["/srv/bob"]', encoding="utf-8")
    service.make_list(mirror)
    assert read_list(file) == (Path("/srv/bob"),)


def test_a_list_is_made_without_a_folder_that_it_cannot_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd: list[Path] = []
    file = tmp_path / "config/syncd/mirrors.toml"
    for octets in (b"b\xffd", "a\x7f\tÅ\u202e\"'".encode()):
        odd.append(tmp_path / os.fsdecode(octets))
        odd[-1].mkdir()
        initialise(odd[-1], "marker")
    units = tmp_path / "config/systemd/user/default.target.wants"
    units.mkdir(parents=True)
    for folder in odd:
        name = f"syncd-user@{escape(str(folder))}.service"
        (units / name).touch()
        (units.parent / f"{name}.d").mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    service.make_list(tmp_path)
    assert {odd[0], odd[1]} & set(read_list(file)) == {odd[1]}
    said = capsys.readouterr().out
    assert r"b\xffd" in said or r"b\udcffd" in said


def test_of_several_mirrors_that_are_synced_once_one_that_fails_keeps_no_other_back(
    tmp_path: Path,
) -> None:
    folders = [str(make_mirror(tmp_path / name)) for name in ("one", "two")]
    ran = CliRunner().invoke(cli, ["run", "--once", str(tmp_path / "gone"), *folders])
    assert ran.exit_code == 78
    assert [f"{folder}:" in ran.stdout for folder in folders] == [True, True]
    assert ran.stderr.count("syncd: ") == 3


@pytest.fixture
def managed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that says yes to everything; return the directory of the user's units."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho systemd 252\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/systemd/user"


@pytest.mark.parametrize("options", [(), ("--all",), ("--all", "--timer")])
def test_uninstall_leaves_no_link_to_a_unit_file_that_was_removed_by_hand(
    mirror: Path, managed: Path, options: tuple[str, ...]
) -> None:
    assert ask(mirror, "install", *options).exit_code == 0
    enabled = next(iter(managed.glob("*.timer")), next(iter(managed.glob("*.service"))))
    template, of_this = enabled.name, [at.name.removesuffix(".d") for at in managed.glob("*@*.d")]
    link = managed / "default.target.wants" / next(iter(of_this), template)
    link.parent.mkdir()
    link.symlink_to(enabled)
    enabled.unlink()
    ran = ask(mirror, "uninstall", *options)
    assert (ran.exit_code, "not installed" in ran.output) == (0, False)
    assert [at for at in managed.rglob("*") if not at.is_dir()] == []
    assert "not installed" in ask(mirror, "uninstall", *options).output


def ask(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), "service", *words])


@pytest.mark.parametrize("options", [(), ("--all",), ("--all", "--timer")])
def test_what_is_not_installed_is_not_said_to_be_uninstalled(
    mirror: Path, managed: Path, options: tuple[str, ...]
) -> None:
    ran = ask(mirror, "uninstall", *options)
    assert (ran.exit_code, "not installed" in ran.output) == (0, True)
    assert "another version" not in ask(mirror, "status", *options).output


def test_the_service_of_another_mirror_is_not_taken_for_that_of_this_one(
    mirror: Path, managed: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    initialise(other, "other")
    assert ask(other, "install").exit_code == 0
    before = sorted(managed.rglob("*"))
    assert "not installed" in ask(mirror, "uninstall").output
    assert sorted(managed.rglob("*")) == before


@pytest.mark.parametrize("fate", ["moved", "deleted", "emptied"])
def test_the_service_of_a_folder_that_is_gone_can_be_uninstalled(
    mirror: Path, managed: Path, fate: str
) -> None:
    assert ask(mirror, "install").exit_code == 0
    assert list(managed.rglob("folder.conf"))
    mirror.rename(mirror.with_name("elsewhere"))
    if fate == "emptied":
        mirror.mkdir()
    if fate == "deleted":
        shutil.rmtree(mirror.with_name("elsewhere"))
    ran = ask(mirror, "uninstall")
    assert ran.exit_code == 0, ran.exception
    assert not list(managed.rglob("folder.conf"))
    assert isinstance(ask(mirror, "uninstall").exception, FolderWrong)


@pytest.mark.parametrize("name", [b"a\nExecStartPre=b", b"b\xffd", b"50% $HOME 'q' \"p\" \\x"])
def test_a_folder_of_any_name_is_one_word_of_one_line_in_utf_8(
    managed: Path, tmp_path: Path, name: bytes
) -> None:
    root = tmp_path / os.fsdecode(name)
    root.mkdir()
    initialise(root, "marker")
    ran = ask(root, "install")
    assert ran.exit_code == 0, ran.exception
    (file,) = managed.rglob("folder.conf")
    *_, line = file.read_text(encoding="utf-8").splitlines()
    word = line.partition(" run ")[2].replace("%%", "%").replace("$$", "$").encode()
    assert word[:1] == word[-1:] == b'"'
    said = word[1:-1].decode("unicode_escape").encode("latin-1")
    assert said == os.fsencode(root)
