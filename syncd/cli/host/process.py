"""Open the daemon of one mirror: its files, its watcher, its voice, and its control socket."""

from __future__ import annotations

import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import field
from functools import partial
from pathlib import Path

from syncd import desktop
from syncd.cli.host.hooked import hooks_of
from syncd.cli.host.journal import Level, LogEntry, Voice
from syncd.cli.host.reporter import Teller
from syncd.cli.host.requests import Responder
from syncd.cli.host.settings import FilesSettings, describe_settings, read_again
from syncd.cli.screen.output import tell
from syncd.cli.screen.verbose import listeners
from syncd.config import FILE_NAME
from syncd.control import listen
from syncd.credentials.store import CREDENTIAL
from syncd.cycle.mirror import Mirror
from syncd.daemon import FATAL, Daemon, Pulse, Requests
from syncd.errors import CredentialsRefused, FileProblem, SyncdError
from syncd.folder.ignore.rules import IGNORE_FILE
from syncd.folder.names import record_path_of
from syncd.folder.root import OWN
from syncd.git.repository import is_changing
from syncd.mirror.online import open_mirror
from syncd.news import choose_doorbells
from syncd.notify import Notifier
from syncd.pds.shared import SharedStreams
from syncd.state.notes import DaemonState, Paused, Unwatched
from syncd.values import dataclass
from syncd.watch import Watcher


@dataclass(slots=True)
class Running:
    """What the mirrors of one process share; for `alike` see Teller."""

    voice: Voice
    notifier: Notifier
    reload: Callable[[], None] = lambda: None
    alike: int | None = None
    _shown: dict[Path, str] = field(default_factory=dict)
    _requests: dict[Path, Requests] = field(default_factory=dict)
    _streams: SharedStreams = field(default_factory=SharedStreams)

    @asynccontextmanager
    async def open(self, directory: Path, pulse: Pulse) -> AsyncIterator[Daemon]:
        """Open the daemon of the mirror around `directory`; the caller runs it."""
        async with open_mirror(directory, listeners()) as mirror:
            root = mirror.folder.root
            teller = Teller(
                mirror, self.voice, lambda text: self._show(root, text), alike=self.alike
            )
            if mirror.config.desktop:
                self._alert_on_desktop(teller)
            teller.hooks = hooks_of(root, mirror.config, teller.say_of_a_hook)
            with watched(mirror, self.voice) as watcher:
                daemon = Daemon(
                    mirror,
                    watcher,
                    teller.on_change,
                    doorbells=partial(
                        choose_doorbells,
                        stream=self._streams.stream,
                        jetstream=self._streams.jetstream,
                    ),
                    ends_on=_ends_on(os.environ),
                    pulse=pulse,
                    are_settings_outdated=self._settings_of(mirror).are_outdated,
                    requests=self._requests.setdefault(directory, Requests()),
                )
                answers = Responder(daemon, teller, self.reload)
                async with listen(root / OWN, answers.handle):
                    whose = mirror.account.handle or mirror.account.did
                    teller.say("watching", f"watching {root} for {whose}")
                    # A person's pause outlives the process that it was asked of.
                    if mirror.state.note(Paused) is not None:
                        daemon.pause()
                    yield daemon
            teller.hooks.close()
            with suppress(SyncdError):
                mirror.state.forget(DaemonState)
            teller.say("stopped", f"stopped {root}")
            self._shown.pop(root, None)

    def _alert_on_desktop(self, teller: Teller) -> None:
        """Show new items on the desktop, or report why that is impossible."""
        obstacle = desktop.find_obstacle(os.environ)
        if obstacle is None:
            teller.alert = desktop.show
        else:
            message = f"desktop notifications do not work: {obstacle}"
            hint = (
                "syncd status shows the same; to turn them off: [run] desktop = false in syncd.toml"
            )
            root = str(teller.mirror.folder.root)
            self.voice(LogEntry("desktop", message, Level.WARNING, mirror=root, hint=hint))

    def is_changed(self, daemon: Daemon) -> bool:
        """Read the settings of a mirror again; return whether usable other ones exist."""
        root, before = daemon.mirror.folder.root, daemon.mirror.config
        try:
            after = read_again(root, before)
        except SyncdError as error:
            self._say_broken(root, error)
            return False
        self._say_changed(root, describe_settings(before, after), is_used=True)
        return after != before

    def _say_changed(self, root: Path, names: str, is_used: bool) -> None:
        message, hint = f"new settings are in use: {names}", ""
        if not is_used:
            message = f"{FILE_NAME} has changed settings that are not in use yet: {names}"
            hint = "syncd reload"
        elif not names:
            message = "no setting has changed"
        entry = LogEntry("settings", message, Level.NOTICE, mirror=str(root), hint=hint)
        self.voice(entry)

    def _say_broken(self, root: Path, error: SyncdError) -> None:
        message = f"{error.message}; the previous settings stay in use"
        self.voice(LogEntry("settings", message, Level.ERROR, mirror=str(root), hint=error.hint))

    def _settings_of(self, mirror: Mirror) -> FilesSettings:
        root = mirror.folder.root
        broken, changed = partial(self._say_broken, root), partial(self._say_changed, root)
        return FilesSettings(root, mirror.config, broken, changed)

    def failed(self, directory: Path, error: Exception, pause: float | None) -> None:
        """Report why a mirror is not running, and whether it will run again."""
        if directory in self._requests:
            ended = error if isinstance(error, SyncdError) else SyncdError(str(error))
            self._requests[directory].answer(ended)
        mirror = "" if directory == Path() else str(directory.absolute())
        message, hint = str(error) or type(error).__name__, ""
        if isinstance(error, SyncdError):
            message, hint = error.message, error.hint
        else:
            for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
                tell(line)
            message = f"a defect of syncd: {type(error).__name__}: {message}"
        if pause is not None:
            message += f"; syncd tries this mirror again in {pause:.0f} s"
        self.voice(LogEntry("error", message, Level.ERROR, mirror=mirror, hint=hint))

    def _show(self, root: Path, text: str) -> None:
        """Send systemd one line about all mirrors."""
        self._shown[root] = text
        many = len(self._shown) > 1
        lines = (f"{at.name}: {said}" if many else said for at, said in self._shown.items())
        self.notifier.status(" | ".join(lines))


@contextmanager
def watched(mirror: Mirror, voice: Voice) -> Iterator[Watcher]:
    """Start the watcher. If the kernel refuses, it asks for a look every few seconds."""
    root = mirror.folder.root
    notice = Blindness(mirror, voice).notice
    notice(None)
    record_of = partial(record_path_of, portable=mirror.folder.portable, forms=mirror.folder.forms)
    watcher = Watcher(
        *(root, mirror.config.covers, record_of, lambda: is_changing(root), notice),
        rules=(IGNORE_FILE, FILE_NAME),
        forms=mirror.folder.forms,
    )
    try:
        watcher.start()
    except FileProblem as error:
        notice(error)
    try:
        yield watcher
    finally:
        watcher.stop()


@dataclass(slots=True)
class Blindness:
    """Reports that there are no file events, and notes it for `status`."""

    mirror: Mirror
    voice: Voice
    error: str = ""

    def notice(self, error: FileProblem | None) -> None:
        """Report that the folder cannot be watched, or with None that it is watched again."""
        message = "" if error is None else error.message
        if error is not None and message != self.error:
            said = f"{message}; syncd looks at the whole folder every few seconds instead"
            root = str(self.mirror.folder.root)
            self.voice(LogEntry("unwatched", said, Level.WARNING, mirror=root, hint=error.hint))
        self.error = message
        with suppress(SyncdError):
            if error is None:
                self.mirror.state.forget(Unwatched)
            else:
                self.mirror.state.keep(Unwatched(message, error.hint))


def _ends_on(environ: Mapping[str, str]) -> tuple[type[SyncdError], ...]:
    """Choose the errors that end the daemon: a password from systemd stays for the service's life.

    Where it is refused, no new login helps: the service ends, and its unit does not restart it.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    is_handed_over = directory is not None and os.access(Path(directory, CREDENTIAL), os.F_OK)
    return (*FATAL, CredentialsRefused) if is_handed_over else FATAL
