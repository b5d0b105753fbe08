"""S14: what a CI job takes that publishes a commit from a fresh git clone, beside the clone itself.

The PDS is a sandbox, which takes each batch in some milliseconds: what is measured is syncd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.measure import Command, Failed, Spent, alternate, ratio, run, walls
from bench.outcome import Check, Outcome
from bench.pushes import Records, records_of
from bench.stage import SYNCD, Stage, remove
from syncd.atproto.jsontext import format_record
from syncd.atproto.syntax import Did
from syncd.atproto.xrpc import WriteOp
from syncd.model import split_record_path
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from syncd.sandbox.repo.engine import MAX_WRITES
from tests.rigs.machine import Machine

PUBLISH, CLONE = "syncd sync in a fresh clone", "git clone"
SITE_OF, CHANGED_OF = 10, 100
"""The site has a tenth of the records, and a hundredth of it changes: 10,000 and 100 of 100,000."""


@dataclass(slots=True)
class Site:
    """A git repository of records, its author, and the PDS that it is published to."""

    stage: Stage
    machine: Machine
    host: Sandbox
    did: Did
    edits: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def author(self) -> Path:
        return self.stage.work / "author"

    @property
    def origin(self) -> Path:
        return self.stage.work / "site.git"

    def begin(self, records: Records) -> None:
        """All records are in the repo and in git, and the first commit is published."""
        for at in range(0, len(records), MAX_WRITES):
            writes = [
                WriteOp("create", *split_record_path(path), value)
                for path, value in records[at : at + MAX_WRITES]
            ]
            self.host.repo(self.did).apply(writes)
        self.author.mkdir()
        settings = f'[mirror]\ndid = "{self.did}"\nmode = "publish"\n'
        (self.author / "syncd.toml").write_text(settings, encoding="utf-8")
        self._save(records)
        self._git("init", "--quiet", "--initial-branch", "main")
        run(
            self._command(
                self.stage.work,
                "git",
                "init",
                "--quiet",
                "--bare",
                "--initial-branch",
                "main",
                self.origin,
            )
        )
        self._git("remote", "add", "origin", self.origin)
        self._commit()
        self.publish_from(self._fresh_clone())

    def publish(self, records: Sequence[Records]) -> Spent:
        """A job after a commit that changes some records."""
        changed = records[next(self.edits) % len(records)]
        self._save(changed)
        self._commit()
        spent = self.publish_from(self._fresh_clone())
        path, value = changed[-1]
        if self.host.repo(self.did).record(path) != value:
            raise Failed(f"{path} was not published")
        return spent

    def publish_from(self, clone: Path) -> Spent:
        try:
            return run(self._command(clone, SYNCD, "sync"))
        finally:
            remove(clone)

    def clone(self) -> Spent:
        target = self.stage.work / "clone"
        try:
            return self._clone_to(target)
        finally:
            remove(target)

    def _fresh_clone(self) -> Path:
        target = self.stage.work / "job"
        self._clone_to(target)
        return target

    def _clone_to(self, target: Path) -> Spent:
        return run(self._command(self.stage.work, "git", "clone", "--quiet", self.origin, target))

    def _save(self, records: Records) -> None:
        for path, value in records:
            file = self.author / f"{path}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(format_record(value))

    def _commit(self) -> None:
        self._git("add", "--all")
        self._git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "edit")
        self._git("push", "--quiet", "origin", "main")

    def _git(self, *words: str | Path) -> None:
        run(self._command(self.author, "git", *words))

    def _command(self, at: Path, *words: str | Path) -> Command:
        return Command(words, self.machine.environment(), at)


@contextmanager
def site(stage: Stage) -> Iterator[Site]:
    host, home = Sandbox(), stage.directory("home")
    # What a job writes aside costs what a file costs on the disk of the row.
    scratch = stage.directory("scratch")
    with start(host) as running:
        login = host.create_account("site")
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text(login.password, encoding="utf-8")
        place = {"SYNCD_PDS": running.url, "SYNCD_PLC_URL": running.url}
        given = {"SYNCD_PASSWORD_FILE": str(password), "PYTHONWARNINGS": "", **place}
        given["TMPDIR"] = str(scratch)
        yield Site(stage, Machine(home, given), host, login.did)


def publish_from_git(stage: Stage) -> Outcome:
    """S14."""
    records = records_of(range(max(2, stage.records // SITE_OF)))
    some = range(max(1, len(records) // CHANGED_OF))
    versions = [records_of(some, note=f"edit {number}") for number in range(2)]
    with site(stage) as published:
        published.begin(records)
        contenders = {PUBLISH: lambda: published.publish(versions), CLONE: published.clone}
        runs = alternate(contenders, stage.rounds)
    slower = ratio(walls(runs[PUBLISH]), walls(runs[CLONE]))
    return Outcome([Check(f"wall / {CLONE}", slower, 3, "x", stretch=2)], runs)
