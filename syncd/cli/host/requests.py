"""Answer what other processes ask a running daemon on its control socket.

Each question is one of `QUESTIONS`; which version of syncd asks, control.py has checked.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

from syncd.cli.host.reporter import Teller
from syncd.daemon import Daemon
from syncd.errors import SyncdError
from syncd.mirror.wire import DaemonAnswer, SentReport, SentTally, StatusAnswer, SyncAnswer
from syncd.state.notes import Paused
from syncd.values import dataclass

LATER_SECONDS = 0.05
"""The answer goes out first: the socket ends with the daemon."""


@dataclass(frozen=True, slots=True)
class Responder:
    """The answers of one daemon to questions; `reload` is for the whole process."""

    daemon: Daemon
    teller: Teller
    reload: Callable[[], None]

    async def handle(self, question: str) -> DaemonAnswer:
        """Return the answer. Raises SyncdError if the question is not known, or as a sync does."""
        answer = QUESTIONS.get(question)
        # A client of our version asks nothing else; somebody may ask by hand.
        if answer is None:
            raise SyncdError(f"the running syncd does not know {question!r}", hint="syncd status")
        return await answer(self)

    async def status(self) -> DaemonAnswer:
        """Return the phase, the problem, and the counts since the daemon started."""
        tally = SentTally(**asdict(self.teller.tally))
        return StatusAnswer(os.getpid(), self._phase(), self.teller.trouble, tally)

    async def pause(self) -> DaemonAnswer:
        """Pause the daemon, even across a restart."""
        # Where the disk refuses the note, the pause lasts as long as the process.
        with suppress(SyncdError):
            self.daemon.mirror.state.keep(Paused())
        self.daemon.pause()
        return self._standing()

    async def resume(self) -> DaemonAnswer:
        """End the pause. The answer has the next phase."""
        with suppress(SyncdError):
            self.daemon.mirror.state.forget(Paused)
        self.daemon.resume()
        return DaemonAnswer(os.getpid(), "syncing")

    async def sync(self) -> DaemonAnswer:
        """Sync at once, and report."""
        report = SentReport.of(await self.daemon.now())
        return SyncAnswer(os.getpid(), self._phase(), report)

    async def stop(self) -> DaemonAnswer:
        """End the daemon."""
        asyncio.get_running_loop().call_later(LATER_SECONDS, self.daemon.stop)
        return self._standing()

    async def ask_to_reload(self) -> DaemonAnswer:
        """Read the settings of all mirrors of the process again."""
        asyncio.get_running_loop().call_later(LATER_SECONDS, self.reload)
        return self._standing()

    def _standing(self) -> DaemonAnswer:
        return DaemonAnswer(os.getpid(), self._phase())

    def _phase(self) -> str | None:
        return None if self.teller.phase is None else self.teller.phase.value


QUESTIONS: dict[str, Callable[[Responder], Awaitable[DaemonAnswer]]] = {
    "status": Responder.status,
    "pause": Responder.pause,
    "resume": Responder.resume,
    "sync": Responder.sync,
    "stop": Responder.stop,
    "reload": Responder.ask_to_reload,
}
"""What a client may ask."""
