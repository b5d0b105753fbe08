"""List every possible finding: its severity, its sentence and the command that fixes it. Pure.

`docs/doctor.md` lists the same findings; a test compares the two.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from syncd.values import dataclass


class Severity(StrEnum):
    """The severity of a finding. One `error` makes the exit code nonzero."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `name` is a key of KINDS; `mend`, the fix, may be empty."""

    name: str
    level: Severity
    what: str
    mend: str = ""

    @property
    def check(self) -> str:
        """The name of the check, before the dot."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Kind:
    """A finding as a template: `{value}` stands for each value."""

    level: Severity
    what: str
    mend: str = ""


_OK, _WARNING, _ERROR = Severity

KINDS: Final[Mapping[str, Kind]] = {
    # --- the folder and its files ---
    "folder.ok": Kind(_OK, "{path} is the folder that its state file knows"),
    "folder.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "folder.doubt": Kind(_WARNING, "{reason}", "{hint}"),
    "config.ok": Kind(_OK, "syncd.toml can be read"),
    "config.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "names.ok": Kind(_OK, "file names of {length} bytes, in upper and lower case"),
    "names.short": Kind(
        _ERROR,
        "file names may have {length} bytes here, and syncd needs 255",
        "move the folder to another file system",
    ),
    "names.folded": Kind(
        _ERROR,
        "the file system does not tell upper from lower case: two records could be one file",
        "move the folder to a file system that does",
    ),
    "disk.ok": Kind(_OK, "a file is on the disk ({kind}) when syncd says so"),
    "disk.network": Kind(
        _WARNING,
        "{kind} is on the network: edits made elsewhere come late, and locks may not hold",
        "keep the mirror on a local disk",
    ),
    "disk.memory": Kind(
        _WARNING,
        "{kind} is in memory: the next start of the machine takes the mirror with it",
        "keep the mirror on a disk",
    ),
    "disk.unsynced": Kind(
        _ERROR, "no file in {path} can be brought to the disk: {reason}", "see: dmesg"
    ),
    "space.ok": Kind(_OK, "{free} are free"),
    "space.low": Kind(
        _WARNING, "only {free} are free on the disk of {path}", "make room there: df -h {path}"
    ),
    "space.out": Kind(
        _ERROR,
        "{free} and {files} more files are all that the disk of {path} can take",
        "make room there: df -h {path}; df -i {path}",
    ),
    "permissions.ok": Kind(_OK, "nobody else can read the secrets and what syncd remembers"),
    "permissions.secret": Kind(
        _ERROR, "the secret {path} is open to other users ({mode})", "chmod {wanted} {path}"
    ),
    "permissions.open": Kind(
        _WARNING, "{path} is open to other users ({mode})", "chmod {wanted} {path}"
    ),
    "permissions.owner": Kind(
        _ERROR, "{path} belongs to the user {owner}, and syncd runs as {user}", "ls -ld {path}"
    ),
    "permissions.collection": Kind(
        _ERROR,
        "{path}, or a file in it, belongs to the user {owner}, and syncd runs as {user}",
        "sudo chown -R {user} {path}",
    ),
    "permissions.readonly": Kind(_ERROR, "{path} cannot be written to", "ls -ld {path}"),
    "watches.ok": Kind(_OK, "{directories} directories tell of changes"),
    "watches.none": Kind(
        _WARNING, "{reason}; the daemon looks at everything every few seconds instead", "{hint}"
    ),
    "watches.few": Kind(
        _WARNING,
        "the folder has {directories} directories, and this user may watch {limit} in all",
        "sudo sysctl fs.inotify.max_user_watches={wanted}",
    ),
    "sharing.none": Kind(_OK, "syncd found no file-sync program that shares the folder"),
    "sharing.kept_out": Kind(_OK, "{reason}: {hint}"),
    "sharing.found": Kind(_WARNING, "{reason}", "{hint}"),
    "autosave.none": Kind(_OK, "no editor here is known to save by itself"),
    "autosave.settled": Kind(_OK, "{editors} may save by itself, and what it saves waits"),
    "autosave.found": Kind(
        _WARNING, "{editors} may save by itself here, and what is saved is pushed", "{hint}"
    ),
    # --- what syncd remembers ---
    "state.ok": Kind(_OK, "{records} records are remembered, every row as it was written"),
    "state.missing": Kind(_WARNING, "there is no state file", "syncd sync"),
    "state.damaged": Kind(_ERROR, "{reason}", "{hint}"),
    "history.ok": Kind(_OK, "every version that is kept can be read"),
    "history.damaged": Kind(_ERROR, "{reason}", "syncd log"),
    "blobs.none": Kind(_OK, "no record that was synced names a blob"),
    "blobs.ok": Kind(_OK, "{here} of {named} blobs are in blobs/, and no other is asked for"),
    "blobs.due": Kind(_WARNING, "{count} of {named} blobs are still to be fetched", "syncd sync"),
    "blobs.beyond": Kind(
        _WARNING,
        "{count} of {named} blobs are beyond the limits of [blobs] in syncd.toml",
        "syncd blob get --all",
    ),
    "blobs.missing": Kind(
        _WARNING, "the PDS did not give {count} of {named} blobs", "see which: syncd blob ls"
    ),
    "blobs.blocked": Kind(_ERROR, "{path}: {reason}", "{hint}"),
    "repo.ok": Kind(_OK, "the newest commit that was seen of the repo is believed"),
    "repo.doubted": Kind(_ERROR, "{reason}", "{hint}"),
    # --- the account ---
    "identity.ok": Kind(_OK, "{did} is {handle}, on {pds}"),
    "identity.unconfirmed": Kind(
        _WARNING,
        "no handle is confirmed for {did}",
        "see the handle in the settings of the account, and its DNS; syncd uses the DID",
    ),
    "identity.moved": Kind(
        _WARNING, "the account is on {pds} now, and was on {before}", "syncd sync"
    ),
    "identity.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "pds.ok": Kind(_OK, "{pds} answers ({software}), version {version}"),
    "pds.away": Kind(_ERROR, "{reason}", "{hint}"),
    "pds.unavailable": Kind(
        _ERROR, "the repo cannot be read: {status}", "check the account at its PDS"
    ),
    "limits.seen": Kind(_OK, "one request: {body}; one blob: {blob}; reads: {reads}"),
    "clock.ok": Kind(_OK, "{seconds} seconds from the clock of the PDS"),
    "clock.unknown": Kind(_OK, "the PDS does not send its time"),
    "clock.off": Kind(
        _WARNING,
        "{seconds} seconds from the clock of the PDS",
        "sudo timedatectl set-ntp true",
    ),
    "guards.ok": Kind(_OK, "the PDS refuses a write over what syncd has not seen"),
    "guards.batch": Kind(
        _OK, "the PDS guards batches, and no single records: changes go in batches"
    ),
    "guards.unneeded": Kind(_OK, "this mirror is read-only"),
    "guards.unknown": Kind(_OK, "the PDS will be asked before the first push"),
    "guards.ignored": Kind(
        _WARNING,
        "this PDS ignores guards: who writes to a record at the same moment can be overwritten",
        "write from one place at a time; see: syncd help pushing",
    ),
    "credentials.ok": Kind(_OK, "the password is in {source}; {age}"),
    "credentials.unneeded": Kind(_OK, "this mirror is read-only and needs none"),
    "credentials.session": Kind(
        _WARNING,
        "there is a session and no password: when it ends, pushes halt; {age}",
        "syncd login {did}",
    ),
    "credentials.main": Kind(
        _WARNING,
        "{source} holds the main password of the account, which can do everything",
        "make an app password in the settings of the account, then: syncd login {did}",
    ),
    "credentials.elsewhere": Kind(
        _ERROR,
        "password and session were made at {made_at}, and the account is on {pds}, which gets "
        "neither: pushes halt",
        "syncd login {did}",
    ),
    "credentials.missing": Kind(
        _ERROR, "there is neither a password nor a session that can continue", "syncd login {did}"
    ),
    "credentials.refused": Kind(_ERROR, "{reason}", "{hint}"),
    "budget.ok": Kind(_OK, "{hour} write points are left this hour, {day} today"),
    "budget.own": Kind(
        _OK, "this PDS allows {limits}; {hour} points are left this hour, {day} today"
    ),
    "budget.uncounted": Kind(_OK, "the PDS has not shown that it counts writes"),
    "budget.spent": Kind(
        _WARNING,
        "no write fits into the budget before {at}",
        "wait: syncd run continues by itself; see: syncd status",
    ),
    # --- the service ---
    "daemon.ok": Kind(_OK, "the daemon is {phase} (process {pid})"),
    "daemon.none": Kind(_OK, "no daemon runs for this mirror"),
    "daemon.away": Kind(_WARNING, "the daemon is {phase} (process {pid}): {reason}", "{hint}"),
    "daemon.halted": Kind(_ERROR, "the daemon is halted (process {pid}): {reason}", "{hint}"),
    "unit.ok": Kind(_OK, "{path} starts {program}"),
    "unit.none": Kind(_OK, "no systemd unit of syncd is installed"),
    "unit.restarts": Kind(
        _WARNING,
        "{path} starts syncd again after exit code {codes}, which no new start helps",
        "add RestartPreventExitStatus=75 77 78 to its [Service] and run: systemctl daemon-reload",
    ),
    "unit.program": Kind(
        _ERROR,
        "{path} starts {program}, which is not there",
        "see ExecStart= in {path}, then run: systemctl daemon-reload",
    ),
    # --- what comes with syncd ---
    "lexicons.ok": Kind(_OK, "the lexicons of {package} {version} are {days} days old"),
    "lexicons.old": Kind(
        _WARNING,
        "the lexicons of {package} {version} are {days} days old: what breaks them is only warned "
        "of where the PDS checks it itself",
        "install a newer syncd, or: syncd lexicon update",
    ),
}
"""The template of each finding by `check.finding`, in the order of the report."""

CHECKS: Final = tuple(dict.fromkeys(name.partition(".")[0] for name in KINDS))
"""The names of all checks, in the order of the report."""


def found(name: str, **values: object) -> Finding:
    """Make the finding `name` with its values; quote a path in the command for the shell."""
    kind = KINDS[name]
    quoted = {
        key: shlex.quote(str(value)) if key == "path" else value for key, value in values.items()
    }
    return Finding(name, kind.level, kind.what.format(**values), kind.mend.format(**quoted))
