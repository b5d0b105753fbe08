"""What a running daemon answers on its control socket. Every question is one of `WHAT`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from syncd.cli.host.reporter import Teller
from syncd.cli.open.wire import report_to_wire
from syncd.control import Answer
from syncd.daemon import Daemon
from syncd.errors import SyncdError

PAUSED = "paused"
"""The note in the state file: a pause outlives the process, as a person would expect."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Handles the questions to one daemon; `reload` is for the whole process."""

    daemon: Daemon
    teller: Teller
    reload: Callable[[], None]

    async def handle(self, question: Mapping[str, Any]) -> Answer:
        """Raises SyncdError for a question that is not known, and for what a sync raises."""
        what = WHAT.get(str(question.get("do")))
        if what is None:
            raise SyncdError(
                f"the running syncd does not know {question.get('do')!r}",
                hint="restart it, it may be an older one",
            )
        return {"pid": os.getpid(), "phase": self._phase(), **await what(self)}

    async def status(self) -> Answer:
        """The phase, what is wrong, and what happened since the daemon came up."""
        tally = self.teller.tally
        counts = {name: getattr(tally, name) for name in tally.__slots__}
        return {"trouble": self.teller.trouble, "tally": counts}

    async def pause(self) -> Answer:
        self._keep(is_paused=True)
        self.daemon.pause()
        return {"phase": self._phase()}

    async def resume(self) -> Answer:
        self._keep(is_paused=False)
        self.daemon.resume()
        return {"phase": "syncing"}

    async def sync(self) -> Answer:
        """A whole sync that begins now, and its report."""
        return {"report": report_to_wire(await self.daemon.now())}

    async def stop(self) -> Answer:
        # The answer goes out first: the socket ends with the daemon.
        asyncio.get_running_loop().call_later(0.05, self.daemon.stop)
        return {}

    async def ask_to_reload(self) -> Answer:
        asyncio.get_running_loop().call_later(0.05, self.reload)
        return {}

    def _phase(self) -> str | None:
        return None if self.teller.phase is None else self.teller.phase.value

    def _keep(self, *, is_paused: bool) -> None:
        with suppress(SyncdError):
            self.daemon.mirror.state.keep_note(PAUSED, {"paused": True} if is_paused else None)


WHAT: dict[str, Callable[[Answers], Awaitable[Answer]]] = {
    "status": Answers.status,
    "pause": Answers.pause,
    "resume": Answers.resume,
    "sync": Answers.sync,
    "stop": Answers.stop,
    "reload": Answers.ask_to_reload,
}
