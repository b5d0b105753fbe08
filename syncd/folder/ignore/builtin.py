"""Name the files that other programs leave beside records: conflict copies and unfinished writes.

Never matches a name by likeness: each form has a part that no person types by chance, such as a
time, a process id or a prefix of its program. Rows are data; rules.py applies them.
"""

from __future__ import annotations

import re

from syncd.values import dataclass

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_END = r"\.(?:json|md)"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One form of file name.

    Attributes:
        what: The kind of file and the program that makes it, as half a sentence.
        form: A regular expression for the whole name, without its directories.
        source: Where the form is documented.
    """

    what: str
    form: str
    source: str


LEFTOVERS: tuple[Leftover, ...] = (
    Leftover(
        "a conflict copy of Syncthing",
        rf".+\.sync-conflict-\d{{8}}-\d{{6}}(?:-[A-Z2-7]{{7}})?{_END}",
        "docs.syncthing.net/users/syncing.html, conflicting changes",
    ),
    Leftover(
        "an unfinished file of Syncthing",
        r"(?:\.syncthing\.|~syncthing~).+\.tmp",
        "docs.syncthing.net/users/syncing.html, temporary files",
    ),
    Leftover(
        "a conflict copy of Nextcloud or ownCloud",
        rf".+_conflict-(?:[^/]+-)?\d{{8}}-\d{{6}}{_END}",
        "doc.owncloud.com/desktop, conflicts; docs.nextcloud.com before client 2.6",
    ),
    Leftover(
        "a conflict copy of Nextcloud or ownCloud",
        r".+ \((?:conflicted copy [^()]*\d{4}-\d\d-\d\d \d{6}|case clash from [^()]*)\).*",
        "docs.nextcloud.com/server/latest/user_manual/en/desktop/conflicts.html",
    ),
    Leftover(
        "a conflict copy of Dropbox",
        r".+ \([^()]*(?:conflicted copy|Case Conflict|Selective Sync Conflict)[^()]*\).*",
        "help.dropbox.com/organize/conflicted-copy",
    ),
    Leftover(
        "an unfinished file of Nextcloud or ownCloud",
        r"\..+\.~[0-9a-f]+",
        "sync-exclude.lst of the desktop client",
    ),
    Leftover(
        "a backup of OneDrive for Linux",
        rf".+-safeBackup-\d{{4}}{_END}",
        "github.com/abraunegg/onedrive, docs/usage.md, and its issue 3439",
    ),
    Leftover(
        "a variant of git-annex",
        rf".+\.variant-[0-9a-f]{{4,32}}(?:{_END})?",
        "git-annex.branchable.com/git-annex-resolvemerge",
    ),
    Leftover(
        "a file of Unison",
        r"\.unison\..+\.unison\.tmp|\.bak\.\d+\..+",
        "the manual of Unison, backupprefix",
    ),
    Leftover(
        "an unfinished file of rsync",
        rf"\..+{_END}\.[A-Za-z0-9]{{6}}",
        "rsync(1), --temp-dir and --inplace",
    ),
    Leftover(
        "a conflict copy of Resilio Sync",
        rf".+\.Conflict\d*{_END}",
        "help.resilio.com, conflict files in Sync",
    ),
    Leftover(
        "an unfinished file of Resilio Sync",
        r".+\.(?:!sync|bts)",
        "help.resilio.com, files with a .!sync extension",
    ),
    Leftover(
        "a conflict copy of Seafile",
        r".+ \(SFConflict [^()]*\).*",
        "help.seafile.com/syncing_client/file_conflicts",
    ),
    Leftover(
        "a conflict copy of Synology Drive",
        rf".+_{_MONTH}-\d\d-\d{{4,6}}-\d{{4}}_[A-Za-z]*Conflict(?:_\d+)?{_END}",
        "kb.synology.com, Synology_Drive_file_conflict_resolution",
    ),
    Leftover(
        "an unfinished file of Mutagen",
        r"\.mutagen-temporary-.*",
        "github.com/mutagen-io/mutagen, TemporaryNamePrefix",
    ),
    Leftover(
        "one side of a merge in git mergetool",
        rf".+_(?:BASE|LOCAL|REMOTE|BACKUP)(?:_[LR]CONFL)?_\d+{_END}",
        "git-mergetool(1), and its script since 2.0",
    ),
    Leftover(
        "one side of a merge in git mergetool",
        rf".+{_END}\.(?:BASE|LOCAL|REMOTE|BACKUP)\.\d+{_END}",
        "the script of git mergetool before 2.0",
    ),
    Leftover(
        "a copy of a draft",
        rf".+\.draft[._~:-].*{_END}",
        "the drafts of syncd: a backup of what is not published is not published either",
    ),
    Leftover(
        "a file that a merge or a patch left",
        r".+\.(?:orig|rej)",
        "git-mergetool(1), mergetool.keepBackup; patch(1)",
    ),
    Leftover(
        "a swap or probe file of Vim",
        r"\..+\.sw[a-p]|4913",
        "the help of Vim, swap-file and backup-changed",
    ),
    Leftover(
        "a backup of an editor",
        r".+~|.+\.(?:bak|save)",
        "the help of Vim, Emacs, nano, gedit and Kate on backups",
    ),
    Leftover(
        "a lock or an automatic save of Emacs",
        r"\.#.+|#.+#",
        "the manual of Emacs, file locks and auto save files",
    ),
    Leftover("a swap file of Kate", r"\..+\.kate-swp", "docs.kde.org, Kate, swap files"),
    Leftover("a lock of LibreOffice", r"\.~lock\..+#", "help.libreoffice.org, locked documents"),
    Leftover(
        "an unfinished file of a JetBrains editor",
        r".+___jb_(?:tmp|old)___",
        "jetbrains.com/help, safe write",
    ),
    Leftover(
        "an unfinished file of GNOME", r"\.goutputstream-.+", "docs.gtk.org/gio, g_file_replace"
    ),
    Leftover(
        "what macOS keeps beside a file",
        r"\._.+|\.DS_Store",
        "support.apple.com, AppleDouble files on other file systems",
    ),
    Leftover("a file that NFS still needs", r"\.nfs[0-9a-f]{16,}", "nfs(5), silly rename"),
)


def combined() -> re.Pattern[str]:
    """Return one regular expression for all forms; the last group that matched is the row."""
    return re.compile("|".join(f"({row.form})" for row in LEFTOVERS))
