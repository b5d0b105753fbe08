"""Print metrics of a mirror and its daemon for Prometheus (`syncd metrics`). Only reads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import click

from syncd.budget import DAY, HOUR
from syncd.cli.screen.output import say_lines
from syncd.cli.screen.visible import visible
from syncd.cycle.push.ledger import read_ledger
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem
from syncd.mirror.delegate import ask_daemon
from syncd.mirror.offline import known_account, open_files
from syncd.mirror.wire import StatusAnswer
from syncd.model import Pending
from syncd.plan import for_a_person

Sample = tuple[str, str, str, float]
"""The name, kind (gauge or counter), help text and value of a metric."""

_COUNTERS = {
    "cycles": "Cycles since the daemon started.",
    "failures": "Cycles that failed since the daemon started.",
    "pushed": "Records pushed since the daemon started.",
    "pulled": "Records pulled since the daemon started.",
    "merged": "Records merged since the daemon started.",
    "adopted": "Records found equal on both sides since the daemon started.",
    "requests": "Requests of its cycles since the daemon started.",
}
PHASES = ("idle", "syncing", "offline", "paused", "halted")


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE, replacing it as a whole: for node_exporter's textfile collector.",
)
@click.pass_obj
def metrics(directory: Path, output: Path | None) -> None:
    """Print the state of the mirror and what its daemon did, in Prometheus's text format.

    \b
    Examples:
      syncd metrics
      syncd -C ~/notes metrics --output /var/lib/node_exporter/notes.prom
    """
    with open_files(directory) as files:
        # What cannot be shown would be shown in escapes that Prometheus does not know.
        labels = {"did": files.config.did, "folder": visible(str(files.root))}
        samples = list(_of_state(files))
    answer = ask_daemon(directory, "status", StatusAnswer)
    text = render([*samples, *_of_daemon(answer)], labels)
    if output is None:
        say_lines(text)
    else:
        _replace(output, text)


def render(samples: Iterable[Sample], labels: Mapping[str, str]) -> str:
    """Format samples in the text exposition format of Prometheus, version 0.0.4."""
    written = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    lines: list[str] = []
    for name, kind, meaning, value in samples:
        family, _, extra = name.partition("{")
        if f"# TYPE {family} {kind}" not in lines:
            lines += [f"# HELP {family} {meaning}", f"# TYPE {family} {kind}"]
        inside = f"{written},{extra.removesuffix('}')}" if extra else written
        lines.append(f"{family}{{{inside}}} {value:.17g}")
    return "\n".join(lines) + "\n"


def _of_state(files: Workspace) -> Iterator[Sample]:
    state, now = files.state, int(time.time())
    conflicts, problems, held = for_a_person(state.waiting())
    sizes = state.collection_sizes()
    records = sum(size for name, size in sizes.items() if files.config.covers(name))
    yield "syncd_records", "gauge", "Records that are equal on both sides.", records
    yield "syncd_conflicts", "gauge", "Open conflicts.", len(conflicts)
    yield "syncd_problems", "gauge", "Files or records that need a fix.", len(problems)
    yield "syncd_held", "gauge", "Changes that wait to be approved or rejected.", len(held)
    meaning = "1 if the state may not belong to the files, so that no change of them is pushed."
    yield "syncd_doubt", "gauge", meaning, files.doubt is not None
    waiting = sum(isinstance(item, Pending) for item in state.waiting())
    yield "syncd_waiting", "gauge", "Changes that wait for their time to be pushed.", waiting
    account = known_account(state, files.config)
    ledger = read_ledger(state, (account.pds if account else files.config.pds) or "", now)
    for window, name in ((HOUR, "hour"), (DAY, "day")):
        meaning = "Write points that are left."
        yield f'syncd_budget_left{{window="{name}"}}', "gauge", meaning, ledger.left(window, now)


def _of_daemon(answer: StatusAnswer | None) -> Iterator[Sample]:
    yield "syncd_up", "gauge", "1 if a daemon runs.", answer is not None
    if answer is None:
        return
    tally = answer.tally
    for phase in PHASES:
        meaning = "1 for the phase that the daemon is in."
        yield f'syncd_phase{{phase="{phase}"}}', "gauge", meaning, answer.phase == phase
    for name, meaning in _COUNTERS.items():
        yield f"syncd_{name}_total", "counter", meaning, getattr(tally, name)
    meaning = "Duration of its cycles in seconds."
    yield "syncd_cycle_seconds_total", "counter", meaning, tally.seconds
    meaning = "Time of the last successful cycle in Unix seconds; 0 if there was none."
    yield "syncd_last_success_seconds", "gauge", meaning, tally.last_success


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _replace(output: Path, text: str) -> None:
    """Replace a file as a whole. Raises FileProblem, also for a device or a pipe, which stay."""
    hint = "name another file with --output"
    if output.exists() and not output.is_file():
        raise FileProblem(f"{output} is not a file that can be replaced", hint=hint)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(output)
    except OSError as error:
        # What kept it from being written can keep it from being removed.
        with suppress(OSError):
            temporary.unlink()
        message = f"{output} cannot be written: {error.strerror}"
        raise FileProblem(message, hint=hint) from None
