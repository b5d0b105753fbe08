"""Report problems of a mirror with the commands that fix them (`syncd doctor`). Never fixes any."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from syncd.cli import loop
from syncd.cli.screen.output import many, say, say_json
from syncd.doctor import Finding, Severity, examine
from syncd.mirror.offline import root_around

BROKEN = 1
"""The exit code if at least one finding is an error."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def doctor(directory: Path, as_json: bool) -> None:
    """Find problems of disk, permissions, clock, PDS, credentials and state; suggest fixes.

    \b
    Examples:
      syncd doctor
      syncd -C ~/repo doctor --json
    """
    if as_json:
        findings = loop.run(examine(root_around(directory)))
        say_json({"findings": [_json(finding) for finding in findings]})
    else:
        findings = loop.run(examine(root_around(directory), on_found=_say))
        _say_sum(findings)
    is_broken = any(finding.level is Severity.ERROR for finding in findings)
    raise click.exceptions.Exit(BROKEN if is_broken else 0)


def _say(finding: Finding) -> None:
    say(f"{finding.level.value:<8} {finding.check:<12} {finding.what}", indent=22)
    if finding.level is not Severity.OK and finding.fix:
        say(f"  next: {finding.fix}")


def _say_sum(findings: tuple[Finding, ...]) -> None:
    count = Counter(finding.level for finding in findings)
    errors, warnings = count[Severity.ERROR], count[Severity.WARNING]
    counted = f"{many(errors, 'error')}, {many(warnings, 'warning')}"
    say(counted if errors or warnings else "all is well")


def _json(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "level": finding.level.value,
        "what": finding.what,
        "mend": finding.fix,
    }
