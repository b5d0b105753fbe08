"""Install the systemd unit of a mirror (`syncd service`). Never runs the daemon itself."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from syncd.children import without_secrets
from syncd.cli.screen.output import say, say_json, say_lines
from syncd.cli.screen.suggest import Suggesting
from syncd.errors import ConfigWrong, FolderWrong, SyncdError
from syncd.folder.root import find_root
from syncd.mirror.every.find import find_mirrors, usual_list
from syncd.mirror.offline import root_around
from syncd.trouble import at_home
from syncd.values import dataclass

STATE: Final = Path("/var/lib/syncd")
"""The directory of the system service's mirrors, and the home of its user."""
USER: Final = "syncd"
_ALL_MIRRORS: Final = "syncd-mirrors.service"
NOT_RUNNING: Final = 1
STEPS_SINCE: Final = 254
"""The first version of systemd with RestartSteps=."""

_SOURCES: Final = (Path(__file__).parents[2] / "units", Path(__file__).parents[3] / "systemd")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]*")
_ODD: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NO_TEXT: Final = re.compile(r"[\ud800-\udfff]")
_SEARCHED: Final = (Path("/usr/local/bin"), Path("/usr/bin"))
_HIDDEN: Final = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of one mirror.

    Attributes:
        template: The name of the template unit, such as `syncd@.service`.
        instance: The part of the unit's name after the `@`.
        directory: The directory of the unit file.
        manager: The options of systemctl that select the manager.
        override: The text of a drop-in; empty if none is needed.
        starts: The template of the unit that it starts, for a timer.
    """

    template: str
    instance: str
    directory: Path
    manager: tuple[str, ...]
    override: str = ""
    starts: str = ""

    @property
    def name(self) -> str:
        """Return the name of the unit, with its instance."""
        return self.template.replace("@", f"@{self.instance}")

    @property
    def file(self) -> Path:
        """Return the file of the template."""
        return self.directory / self.template

    @property
    def drop_in(self) -> Path:
        """Return the file of the drop-in."""
        return self.directory / f"{self.name}.d" / "folder.conf"

    def is_installed(self) -> bool:
        """Return whether `install` has left something of it; the template may be of others."""
        is_own = not self.instance and self.file.exists()
        return is_own or self.drop_in.exists() or bool(self.links())

    def links(self) -> list[Path]:
        """Return the links that `enable` has made; they stay if the unit file is removed."""
        links = (at / self.name for at in self.directory.glob("*.wants"))
        return [link for link in links if os.path.lexists(link)]


@click.group(cls=Suggesting)
def service() -> None:
    """Run the mirror as a systemd service of your user, or of the system with --system.

    \b
    Examples:
      syncd -C ~/notes service install
      sudo syncd -C /var/lib/syncd/alice service install --system
      syncd service status
    """


_OF_SYSTEM = click.option(
    "--system", is_flag=True, help="A service of the system instead of your user."
)
_OF_ALL = click.option("--all", "of_all", is_flag=True, help="One service for all your mirrors.")
_BY_TIMER = click.option("--timer", is_flag=True, help="With --all: sync every 15 minutes instead.")


@service.command()
@_OF_SYSTEM
@_OF_ALL
@_BY_TIMER
@click.option("--no-start", is_flag=True, help="Install and enable it, but do not start it now.")
@click.option("--print", "only_print", is_flag=True, help="Print the files, and write nothing.")
@click.pass_obj
def install(
    directory: Path, system: bool, of_all: bool, timer: bool, no_start: bool, only_print: bool
) -> None:
    """Install the unit, enable it and start it.

    With --all it is one service for the mirrors that ~/.config/syncd/mirrors.toml lists, or a timer
    that syncs them every 15 minutes. Where there is no list yet, those are written into one that
    `syncd status --all` shows.

    \b
    Examples:
      syncd -C ~/notes service install
      syncd -C ~/notes service install --print
      syncd service install --all --timer
    """
    unit, program = _unit_of(directory, system, of_all, timer), find_program(is_system=system)
    if only_print:
        _print(unit, program)
        return
    _check_manager(unit)
    if of_all:
        make_list(directory)
    for template in filter(None, (unit.starts, unit.template)):
        _write(unit.directory / template, render(template, program, _systemd_version()))
    if unit.override:
        _write(unit.drop_in, unit.override)
    _systemctl(unit, "daemon-reload")
    _systemctl(unit, "enable", unit.name)
    if not no_start:
        _systemctl(unit, "restart", unit.name)
    say(f"installed {unit.file} and enabled {unit.name}")
    if not system:
        say("  next: to run it while you are not logged in: loginctl enable-linger")


@service.command()
@_OF_SYSTEM
@_OF_ALL
@_BY_TIMER
@click.pass_obj
def uninstall(directory: Path, system: bool, of_all: bool, timer: bool) -> None:
    """Stop the service, disable it, and remove what `install` wrote. The mirror stays as it is.

    With -C it also removes the service of a folder that was deleted or moved since.

    \b
    Example:
      syncd -C ~/notes service uninstall
    """
    try:
        unit = _unit_of(directory, system, of_all, timer)
    except FolderWrong:
        gone = None if system else _unit_of_gone(directory)
        if gone is None:
            raise
        unit = gone
    _check_manager(unit)
    if not unit.is_installed():
        say(f"{unit.name} is not installed")
        return
    if unit.file.exists():
        _systemctl(unit, "disable", "--now", unit.name)
    else:
        # systemctl disables nothing without the unit file, and stops only what runs still.
        with suppress(SyncdError):
            _systemctl(unit, "stop", unit.name)
    for link in unit.links():
        link.unlink(missing_ok=True)
    shutil.rmtree(unit.drop_in.parent, ignore_errors=True)
    before, at, after = unit.template.partition("@")
    if not at or not list(unit.directory.glob(f"*.wants/{before}@?*{after}")):
        unit.file.unlink(missing_ok=True)
    if unit.starts:
        (unit.directory / unit.starts).unlink(missing_ok=True)
    _systemctl(unit, "daemon-reload")
    say(f"uninstalled {unit.name}")


@service.command()
@_OF_SYSTEM
@_OF_ALL
@_BY_TIMER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(directory: Path, system: bool, of_all: bool, timer: bool, as_json: bool) -> None:
    """Show the service: its state, what it reports, and how often systemd restarted it.

    \b
    Example:
      syncd -C ~/notes service status --json
    """
    unit = _unit_of(directory, system, of_all, timer)
    _check_manager(unit)
    wanted = ("ActiveState", "SubState", "Result", "MainPID", "NRestarts", "StatusText")
    shown = _systemctl(unit, "show", *(f"--property={name}" for name in wanted), unit.name)
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    is_current = unit.file.exists() and unit.file.read_text(encoding="utf-8") == render(
        unit.template, find_program(is_system=system), _systemd_version()
    )
    state = found.get("ActiveState", "unknown")
    if as_json:
        say_json({"unit": unit.name, "is_current": is_current, **found})
    else:
        say(f"unit     {unit.name}")
        say(f"state    {state} ({found.get('SubState', '')}), result {found.get('Result', '')}")
        say(f"reports  {found.get('StatusText') or 'nothing'}")
        say(f"restarts {found.get('NRestarts', '0')}")
        if not is_current:
            is_here = unit.is_installed()
            old = "the unit file is missing or outdated: another version of syncd wrote it"
            say(old if is_here else "the service is not installed")
            options = (" --system" * system, " --all" * of_all, " --timer" * timer)
            say(f"  next: syncd service install{''.join(options)}")
    raise click.exceptions.Exit(0 if state in ("active", "reloading") else NOT_RUNNING)


def _print(unit: Unit, program: str) -> None:
    """Print what `install` would write, even without systemd."""
    try:
        version = _systemd_version()
    except ConfigWrong:
        version = 0
    for template in filter(None, (unit.starts, unit.template)):
        say_lines(f"# {unit.directory / template}\n{render(template, program, version)}")
    if unit.override:
        say_lines(f"# {unit.drop_in}\n{unit.override}")


def render(template: str, program: str, systemd_version: int) -> str:
    """Fill in the template: the program, and the settings that this version of systemd knows.

    Raises ConfigWrong if the template is missing from the installation.
    """
    source = next((at / template for at in _SOURCES if (at / template).exists()), None)
    if source is None:
        raise ConfigWrong(f"{template} is missing from this installation", hint="reinstall syncd")
    text = source.read_text(encoding="utf-8")
    if program != "/usr/bin/env syncd":
        text = text.replace("ExecStart=/usr/bin/env syncd", f"ExecStart={program}")
    return text.replace("\n#Restart", "\nRestart") if systemd_version >= STEPS_SINCE else text


def find_program(*, is_system: bool) -> str:
    """Return the command that starts this syncd from a unit.

    Raises ConfigWrong if the program is in a home, which a system service cannot read.
    """
    called = Path(sys.argv[0]).absolute()
    found = called if called.name == "syncd" and os.access(called, os.X_OK) else None
    found = found or (Path(which) if (which := shutil.which("syncd")) else None)
    if found is not None and found.parent in _SEARCHED:
        return "/usr/bin/env syncd"
    program = f"{sys.executable} -m syncd" if found is None else str(found)
    real = Path(program.split(" ", maxsplit=1)[0]).resolve()
    if is_system and any(real.is_relative_to(home) for home in _HIDDEN):
        raise ConfigWrong(
            f"a system service cannot read {program}, because it is in a home directory",
            hint="install syncd for all users: syncd help operations",
        )
    return _quoted(program) if found is not None else program


def _unit_of(
    directory: Path, is_system: bool, of_all: bool = False, by_timer: bool = False
) -> Unit:
    if (by_timer and not of_all) or (of_all and is_system):
        raise click.UsageError("--timer needs --all, and --all does not go with --system")
    if of_all:
        names = ("syncd-sync.timer", "syncd-sync.service") if by_timer else (_ALL_MIRRORS, "")
        return Unit(names[0], "", _user_units(), ("--user",), starts=names[1])
    root = root_around(directory)
    return _system_unit(root) if is_system else _user_unit(root)


def _system_unit(root: Path) -> Unit:
    if root.parent != STATE or not _PLAIN.fullmatch(root.name):
        raise FolderWrong(
            f"a system service cannot run the mirror {root}: it writes only below {STATE}",
            hint=f"clone into {STATE}/NAME: syncd help operations",
        )
    try:
        owner = pwd.getpwnam(USER).pw_uid
    except KeyError:
        owner = -1
    if root.stat().st_uid != owner:
        raise FolderWrong(
            f"a system service cannot write to {root}: the user {USER} does not own it",
            hint="create the user and the mirror: syncd help operations",
        )
    return Unit("syncd@.service", root.name, Path("/etc/systemd/system"), ())


def _user_unit(root: Path) -> Unit:
    template, home, directory = "syncd-user@.service", at_home("~"), _user_units()
    if root.parent == home and _PLAIN.fullmatch(root.name):
        return Unit(template, root.name, directory, ("--user",))
    program = find_program(is_system=False)
    override = f"[Service]\nExecStart=\nExecStart={program} run {_quoted(str(root))}\n"
    return Unit(template, escape(str(root)), directory, ("--user",), override)


def _unit_of_gone(directory: Path) -> Unit | None:
    """Return the installed unit of a folder that is no mirror any more; None if there is none."""
    # `resolve` would follow links, and a folder may have been installed by either path.
    spelled = os.path.abspath(directory)  # noqa: PTH100
    places = dict.fromkeys((spelled, os.path.realpath(directory)))
    units = (_user_unit(Path(place)) for place in places)
    return next((unit for unit in units if unit.is_installed()), None)


def _user_units() -> Path:
    config = Path(os.environ.get("XDG_CONFIG_HOME") or at_home("~") / ".config")
    return config / "systemd" / "user"


def make_list(directory: Path) -> None:
    """Write the list of all mirrors that are known, if there is none. Raises FolderWrong."""
    file = usual_list(os.environ)
    if file.exists():
        return
    here = None
    with suppress(FolderWrong):
        here = find_root(directory)
    found = [known.folder for known in find_mirrors(os.environ, here) if known.error is None]
    known = [folder for folder in found if _is_listable(folder)]
    for folder in found:
        if folder not in known:
            say(f"left out {folder}: a list is UTF-8, and the name of this folder is not")
            say("  next: rename the folder, or run syncd service install in it")
    if not known:
        hint = f'list them in {file}: mirrors = ["~/alice", "/srv/bob"]'
        raise FolderWrong(
            "syncd does not know any mirror of yours that a service could run", hint=hint
        )
    names = ",\n".join(f"    {json.dumps(str(folder), ensure_ascii=False)}" for folder in known)
    # JSON leaves this character as it is, and TOML does not take it.
    names = names.replace("\x7f", "\\u007f")
    _write(file, f"mirrors = [\n{names},\n]\n")
    say(f"wrote {file} with {len(known)} of your mirrors")


def _is_listable(folder: Path) -> bool:
    return not _NO_TEXT.search(str(folder))


def escape(path: str) -> str:
    """Escape a path for the name of a unit, as `systemd-escape --path` does."""
    plain = re.sub(r"/+", "/", path).strip("/")
    octets = (chr(byte) for byte in os.fsencode(plain))
    escaped = (
        "-" if c == "/" else c if re.fullmatch(r"[A-Za-z0-9:_.]", c) else f"\\x{ord(c):02x}"
        for c in octets
    )
    text = "".join(escaped)
    return f"\\x2e{text[1:]}" if text.startswith(".") else text or "-"


def _quoted(text: str) -> str:
    """Quote one word for a command line in a unit (systemd.service(5))."""
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(special, written)
    # A line ends at a line feed, and systemd ignores one that is not UTF-8.
    for odd in set(_ODD.findall(text)):
        text = text.replace(odd, "".join(f"\\x{byte:02x}" for byte in os.fsencode(odd)))
    return f'"{text}"' if re.search(r"[\s\"'\\;]", text) else text


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        is_ours = file.is_relative_to(at_home("~"))
        hint = (
            f"check its directory: ls -ld {file.parent}" if is_ours else "run the command as root"
        )
        raise SyncdError(f"cannot write {file}: {error.strerror}", hint=hint) from None


def _systemd_version() -> int:
    found = re.match(r"systemd (\d+)", _call(["systemctl", "--version"]))
    return int(found[1]) if found else 0


def _check_manager(unit: Unit) -> None:
    """Raise ConfigWrong, before anything is written, if the manager of units cannot be reached."""
    try:
        _systemctl(unit, "show", "--property=Version")
    except SyncdError as error:
        if isinstance(error, ConfigWrong) or not unit.manager:
            raise
        user = pwd.getpwuid(os.getuid()).pw_name
        raise ConfigWrong(
            f"cannot reach the systemd of your user, so nothing was changed: {error.message}",
            hint=f"log in as {user} (su and sudo start no session), or run: sudo loginctl "
            f"enable-linger {user}; export XDG_RUNTIME_DIR=/run/user/{os.getuid()}",
        ) from None


def _systemctl(unit: Unit, *arguments: str) -> str:
    return _call(["systemctl", *unit.manager, *arguments])


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and the name of a unit
            command,
            env=without_secrets(),
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError:
        hint = "have the service manager of this machine start: syncd run"
        raise ConfigWrong(
            "this machine has no systemd: the program systemctl is missing", hint=hint
        ) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        name = command[-1]
        hint = f"read the log: journalctl {'--user ' if '--user' in command else ''}--unit {name}"
        raise SyncdError(f"{' '.join(command)} failed: {said[0]}", hint=hint)
    return done.stdout
