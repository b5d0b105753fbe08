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
    """One line of the report. `name` is a key of KINDS; `fix` may be empty."""

    name: str
    level: Severity
    what: str
    fix: str = ""

    @property
    def check(self) -> str:
        """The name of the check, before the dot."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Kind:
    """A finding as a template: `{value}` stands for each value."""

    level: Severity
    what: str
    fix: str = ""


_OK, _WARNING, _ERROR = Severity

KINDS: Final[Mapping[str, Kind]] = {
    # --- the folder and its files ---
    "folder.ok": Kind(_OK, "the state file belongs to this folder, {path}"),
    "folder.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "folder.doubt": Kind(_WARNING, "{reason}", "{hint}"),
    "config.ok": Kind(_OK, "syncd can read syncd.toml"),
    "config.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "names.ok": Kind(_OK, "file names have room for {length} bytes and keep their case"),
    "names.short": Kind(
        _ERROR,
        "file names may have only {length} bytes here: some records would get no file",
        "move the folder to a file system that takes 255 bytes",
    ),
    "names.portable": Kind(
        _OK, "the file system ignores case, and portable names keep all records apart"
    ),
    "names.folded": Kind(
        _ERROR,
        "the file system ignores case in file names, so two records could get the same file",
        'set filenames = "portable" in [mirror] of syncd.toml, or move the folder to a file system '
        "that keeps case apart",
    ),
    "disk.ok": Kind(_OK, "the disk ({kind}) stores a file when syncd asks for it"),
    "disk.network": Kind(
        _WARNING,
        "{kind} is on the network: edits from other machines arrive late, and locks may fail",
        "keep the mirror on a local disk",
    ),
    "disk.memory": Kind(
        _WARNING,
        "{kind} is in memory: the mirror is lost when the machine restarts",
        "keep the mirror on a disk",
    ),
    "disk.unsynced": Kind(
        _ERROR,
        "the disk does not store files in {path}: {reason}; a power failure could lose them",
        "look for errors of the disk: dmesg",
    ),
    "space.ok": Kind(_OK, "the disk has {free} of free space"),
    "space.low": Kind(
        _WARNING,
        "the disk of {path} has only {free} of free space",
        "free some space: df -h {path}",
    ),
    "space.out": Kind(
        _ERROR,
        "the disk of {path} has room for {free} and {files} more files: the next pull may fail",
        "free some space: df -h {path}; df -i {path}",
    ),
    "permissions.ok": Kind(_OK, "no other user can read the secrets and the state of syncd"),
    "permissions.secret": Kind(
        _ERROR, "other users can open the secret {path} (mode {mode})", "chmod {wanted} {path}"
    ),
    "permissions.open": Kind(
        _WARNING, "other users can open {path} (mode {mode})", "chmod {wanted} {path}"
    ),
    "permissions.none": Kind(
        _WARNING,
        "the file system of {path} keeps no permissions, so other users can open it (mode {mode})",
        "mount it with the option umask=077, or move the folder to another file system",
    ),
    "permissions.owner": Kind(
        _ERROR,
        "{path} belongs to user {owner}, but syncd runs as user {user} and cannot change it",
        "sudo chown {user} {path}",
    ),
    "permissions.collection": Kind(
        _ERROR,
        "{path}, or a file in it, belongs to user {owner}, but syncd runs as user {user}",
        "sudo chown -R {user} {path}",
    ),
    "permissions.readonly": Kind(_ERROR, "syncd cannot write to {path}", "ls -ld {path}"),
    "watches.ok": Kind(_OK, "the kernel reports changes in {directories} directories"),
    "watches.none": Kind(
        _WARNING, "{reason}; the daemon looks at all files every few seconds instead", "{hint}"
    ),
    "watches.few": Kind(
        _WARNING,
        "the folder has {directories} directories, and this user may watch {limit} in all: the "
        "daemon may notice edits late",
        "sudo sysctl fs.inotify.max_user_watches={wanted}",
    ),
    "sharing.none": Kind(_OK, "syncd found no file-sync program that shares the folder"),
    "sharing.kept_out": Kind(_OK, "{reason}: {hint}"),
    "sharing.found": Kind(_WARNING, "{reason}", "{hint}"),
    "autosave.none": Kind(_OK, "syncd found no editor that saves by itself here"),
    "autosave.settled": Kind(_OK, "{editors} may save by itself; [push] makes what it saves wait"),
    "autosave.found": Kind(
        _WARNING, "{editors} may save by itself here, and syncd pushes each save at once", "{hint}"
    ),
    # --- what syncd remembers ---
    "state.ok": Kind(_OK, "the state file has {records} records, and every row is intact"),
    "state.missing": Kind(
        _WARNING,
        "there is no state file: the next sync makes one, and holds what only the folder has",
        "syncd sync",
    ),
    "state.damaged": Kind(_ERROR, "{reason}", "{hint}"),
    "history.ok": Kind(_OK, "syncd can read every version in history"),
    "history.damaged": Kind(_ERROR, "{reason}", "syncd log"),
    "blobs.none": Kind(_OK, "no synced record names a blob"),
    "blobs.ok": Kind(_OK, "{here} of {named} blobs are in blobs/; the settings ask for no others"),
    "blobs.due": Kind(_WARNING, "syncd has not fetched {count} of {named} blobs yet", "syncd sync"),
    "blobs.beyond": Kind(
        _WARNING,
        "{count} of {named} blobs exceed the limits of [blobs] in syncd.toml: they are not here",
        "syncd blob get --all",
    ),
    "blobs.missing": Kind(
        _WARNING, "the PDS did not give {count} of {named} blobs", "list them: syncd blob ls"
    ),
    "blobs.blocked": Kind(_ERROR, "{path}: {reason}", "{hint}"),
    "repo.ok": Kind(_OK, "syncd trusts the newest commit that it has seen of the repo"),
    "repo.doubted": Kind(_ERROR, "{reason}", "{hint}"),
    # --- the account ---
    "identity.ok": Kind(_OK, "{did} is {handle}, on {pds}"),
    "identity.unconfirmed": Kind(
        _WARNING,
        "{did} and its handle do not confirm each other, so syncd uses the DID",
        "check the handle in the settings of the account, and its DNS entry",
    ),
    "identity.moved": Kind(_WARNING, "the account has moved from {before} to {pds}", "syncd sync"),
    "identity.wrong": Kind(_ERROR, "{reason}", "{hint}"),
    "pds.ok": Kind(_OK, "{pds} answers: {software}"),
    "pds.away": Kind(_ERROR, "{reason}", "{hint}"),
    "pds.unavailable": Kind(
        _ERROR,
        "the PDS does not serve the repo, which is {status}: syncd cannot pull or push",
        "check the account with whoever runs the PDS",
    ),
    "limits.seen": Kind(_OK, "largest request: {body}; largest blob: {blob}; reads: {reads}"),
    "clock.ok": Kind(_OK, "this clock differs from that of the PDS by {seconds} seconds"),
    "clock.unknown": Kind(_OK, "the PDS does not send its time, so syncd cannot compare clocks"),
    "clock.off": Kind(
        _WARNING,
        "this clock differs from that of the PDS by {seconds} seconds: syncd misjudges when a "
        "session expires",
        "sudo timedatectl set-ntp true",
    ),
    "guards.ok": Kind(_OK, "the PDS refuses to overwrite what syncd has not seen"),
    "guards.batch": Kind(
        _OK, "the PDS guards batches but not single records, so syncd sends all changes in batches"
    ),
    "guards.unneeded": Kind(_OK, "this mirror is read-only and needs none"),
    "guards.unknown": Kind(_OK, "syncd asks the PDS before the first push"),
    "guards.ignored": Kind(
        _WARNING,
        "this PDS ignores guards: syncd can overwrite what another client writes at the same "
        "moment",
        "change a record in one place at a time; see: syncd help pushing",
    ),
    "credentials.ok": Kind(_OK, "the password is in {source}; {age}"),
    "credentials.unneeded": Kind(_OK, "this mirror is read-only and needs none"),
    "credentials.session": Kind(
        _WARNING,
        "there is a session but no password: pushes stop when the session ends; {age}",
        "syncd login {did}",
    ),
    "credentials.main": Kind(
        _WARNING,
        "{source} has the main password of the account, which gives full control of it",
        "create an app password in the settings of the account, then: syncd login {did}",
    ),
    "credentials.elsewhere": Kind(
        _ERROR,
        "the credentials are for {made_at}, but the account is on {pds}: syncd does not send them "
        "there, and pushes nothing",
        "syncd login {did}",
    ),
    "credentials.missing": Kind(
        _ERROR,
        "there is no password and no valid session: syncd pushes nothing",
        "syncd login {did}",
    ),
    "credentials.refused": Kind(_ERROR, "{reason}", "{hint}"),
    "budget.ok": Kind(_OK, "{hour} write points are left for this hour, {day} for today"),
    "budget.own": Kind(
        _OK, "this PDS allows {limits}; {hour} points are left for this hour, {day} for today"
    ),
    "budget.uncounted": Kind(_OK, "this PDS has shown no limit on writes"),
    "budget.spent": Kind(
        _WARNING,
        "the write budget is used up: syncd pushes nothing before {at}",
        "wait, as syncd run continues by itself; watch it: syncd status",
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
        "{path} restarts syncd after exit code {codes}, although a restart cannot help",
        "add RestartPreventExitStatus=75 77 78 to its [Service], then run: systemctl daemon-reload",
    ),
    "unit.program": Kind(
        _ERROR,
        "{path} starts {program}, which does not exist: the service cannot start",
        "correct ExecStart= in {path}, then run: systemctl daemon-reload",
    ),
    # --- what comes with syncd ---
    "lexicons.ok": Kind(_OK, "the lexicons of {package} {version} are {days} days old"),
    "lexicons.old": Kind(
        _WARNING,
        "the lexicons of {package} {version} are {days} days old: where the PDS checks records "
        "itself, syncd only warns about them",
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
    return Finding(name, kind.level, kind.what.format(**values), kind.fix.format(**quoted))
