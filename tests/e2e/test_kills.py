"""The daemon is killed at random moments while a person and another app write, and nothing is lost.

`make torture N=…` kills it more often. Nothing is told to the daemon before it dies, and what the
two write while it is dead counts as much as everything else. The rule is stated in journal.py.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from tests.chance import SEED, seeded, times
from tests.rigs import warm
from tests.rigs.home import Home
from tests.rigs.machine import cid_in, wait_until

from .editor import Editor
from .test_everybody_writes import (
    SHARED,
    App,
    Desk,
    agree,
    app,
    decide,
    is_settled,
    make_desk,
    own,
)

__all__ = ("app",)

KILLS = int(os.environ.get("SYNCD_KILLS") or times(100))
LONGEST_LIFE_SECONDS = 1.0


def test_a_daemon_that_is_killed_at_any_moment_loses_nothing(home: Home, app: App) -> None:
    rng = seeded()
    for path in (*SHARED, *own("app"), *own("laptop")):
        app.order("put", path)
    desk = make_desk(home, "laptop", "poll")
    editor = Editor(desk.name, desk.folder, app.journal)
    kills = sum(live_and_die(desk, editor, app, rng) for _ in range(KILLS))
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        wait_until(lambda: is_settled(home, [desk]), "everything coming to rest", 300)
    agree(home, [desk])
    nothing_is_lost(home, desk, app)
    decide(home, [desk], rng)
    counts = f"{kills} kills, {len(app.journal.written)} versions, none lost (seed {SEED})\n"
    if "SYNCD_COUNTS" in os.environ:
        Path(os.environ["SYNCD_COUNTS"]).write_text(counts, encoding="utf-8")


def live_and_die(desk: Desk, editor: Editor, app: App, rng: random.Random) -> bool:
    """Start the daemon, let all three write for a while, kill it. True if it was alive then."""
    log = desk.machine.home / "killed.log"
    with (
        log.open("wb") as out,
        warm.Process[bytes](
            desk.machine.command("run", desk.folder),
            env=desk.machine.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        if rng.random() < 0.7:  # the others die while they start
            wait_until(lambda: b"watching" in log.read_bytes(), "watching", 300)
        end = time.monotonic() + rng.uniform(0.05, LONGEST_LIFE_SECONDS)
        while time.monotonic() < end:
            write(editor, app, rng)
            time.sleep(rng.uniform(0, 0.1))
        is_alive = process.poll() is None
        process.kill()
    write(editor, app, rng)
    return is_alive


def write(editor: Editor, app: App, rng: random.Random) -> None:
    """One thing that the person or the other app does; mostly where the other has just been."""
    places = rng.choices([app.recent, SHARED, own("laptop")], [50, 25, 25])[0]
    path = rng.choice(list(places))
    match rng.choices(["carefully", "plainly", "delete", "app"], [30, 10, 10, 50])[0]:
        case "carefully":
            editor.save_carefully(path)
        case "plainly":
            editor.save_plainly(path, rng.uniform(0, 0.01))
        case "delete":
            editor.delete(path)
        case _:
            verb = rng.choices(["put", "swap", "delete", "batch"], [40, 20, 20, 20])[0]
            app.order(verb, *rng.sample(SHARED, 3 if verb == "batch" else 1))
    editor.give_in(rng.choice(SHARED))


def nothing_is_lost(home: Home, desk: Desk, app: App) -> None:
    history = home.history()
    app.journal.read_history(history, app.revs)
    found = {str(cid) for cid in desk.files().values()} | desk.kept() | set(home.records().values())
    recovered = desk.folder / ".syncd" / "recovered"
    for file in recovered.rglob("*"):
        if file.is_file():
            copy = desk.machine.home / f"{file.parent.name}" / "x.json"
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
            found.add(str(cid_in(desk.machine.home, f"{file.parent.name}/x")))
    assert app.journal.lost(found) == []
    assert app.journal.overwritten(history, app.revs) == []
