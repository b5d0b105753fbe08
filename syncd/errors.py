"""Every exception of syncd, in one tree. The branch of an error says who must act next.

An error carries data for programs and two sentences for a person: what happened, and what to do
next. Imports nothing and never formats for a terminal.
"""

from __future__ import annotations

from typing import ClassVar

_ASK_THE_OPERATOR = "nothing was changed; trying again will not help: ask the operator of the PDS"


class SyncdError(Exception):
    """Something else failed, as the message says. Root of the tree.

    `message` says what happened, `hint` what to do next (may be empty). `ordinary_hint` is the
    hint of a class whose errors all have the same next step. `effect` and `advice` are what
    docs/errors.md says of a class: what syncd does then, and what a person does.
    """

    exit_code: ClassVar[int] = 1
    ordinary_hint: ClassVar[str] = ""
    effect: ClassVar[str] = "what was done stays done"
    advice: ClassVar[str] = "do what the message says"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.ordinary_hint


# --- The bytes or the text are wrong: their author must change them. ----------------------------


class Malformed(SyncdError, ValueError):
    """Text or bytes break the rules of their format."""

    effect = "syncd does not use what is malformed"
    advice = "correct what the message names"


class BadSyntax(Malformed):
    """An identifier (DID, handle, NSID, record key, TID, CID, AT URI) breaks its grammar."""


class BadJson(Malformed):
    """JSON text is not that of a record. `line` and `column` count from 1, or are None."""

    effect = "syncd neither pushes nor overwrites the file"
    advice = "correct the file at that place and save it"

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class BadData(Malformed):
    """A value or a block is outside the atproto data model or not canonical DAG-CBOR."""


class BadCar(Malformed):
    """A CAR stream is cut, or the content of a block does not match its CID."""

    ordinary_hint = (
        "nothing was changed; try again, and if this repeats, ask the operator of the PDS"
    )
    effect = "nothing was changed"
    advice = "try again; if this repeats, ask the operator of the PDS"


class BadTree(Malformed):
    """A Merkle search tree node breaks a rule of the tree: order, layer, prefix or shape."""

    ordinary_hint = _ASK_THE_OPERATOR
    effect = "nothing was changed"
    advice = "ask the operator of the PDS: trying again will not help"


class BadCommit(Malformed):
    """A commit block is malformed, is for another repo, or its signature does not verify."""

    ordinary_hint = _ASK_THE_OPERATOR
    effect = "nothing was changed"
    advice = "ask the operator of the PDS: trying again will not help"


class WrongKey(BadCommit):
    """A commit lacks a valid signature by the key of the account."""


class BadFrame(Malformed):
    """A message of a stream cannot be read. `about` is the DID that it names even so, if any."""

    effect = "syncd ignores the message, and asks the PDS itself"
    advice = "nothing"

    def __init__(self, message: str, *, about: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.about = about


class BadShape(Malformed):
    """JSON that syncd saved or received lacks a field, or holds a value of another type.

    Whoever reads it says what becomes of that; no command shows it as it is.
    """

    effect = "syncd uses what it can read, and says what it did instead"
    advice = "nothing"


class BadAnswer(Malformed):
    """A server's answer breaks its lexicon (HTML, plain text, missing fields)."""

    effect = "syncd does not use the answer"
    advice = "check the address of the PDS: `syncd doctor`"


# --- The remote view cannot be trusted yet: syncd looks again. -----------------------------------


class Unverified(SyncdError):
    """The blocks of the PDS do not prove a state of the repo; syncd concluded nothing from them."""

    effect = "nothing was changed; syncd looks again"
    advice = "`syncd sync`"


class MissingBlocks(Unverified):
    """The tree links to `count` blocks that did not arrive. A missing block deletes nothing."""

    def __init__(self, message: str, *, count: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.count = count


class RolledBack(Unverified):
    """The PDS shows an older commit than before."""

    effect = "nothing was changed; syncd does not follow the repo"
    advice = "`syncd status` says how to continue"


class RevAhead(Unverified):
    """The rev of a commit is a time far in the future."""

    effect = "nothing was changed; syncd does not follow the repo"
    advice = "`syncd status` says how to continue"


# --- The PDS did not carry the request out: syncd waits, or looks and plans again. ---------------


class PdsError(SyncdError):
    """A request did not succeed."""

    effect = "syncd counts nothing as done"
    advice = "`syncd doctor`"


class Unreachable(PdsError):
    """No connection, no DNS, a timeout before anything was sent, or a 5xx to a read."""

    exit_code = 69
    effect = "nothing was written; a daemon tries again on its own"
    advice = "check the network, then `syncd sync`"


class LoginWanted(Unreachable):
    """The PDS refused a read because it had no token. It says nothing about our credentials."""

    effect = "nothing was read"
    advice = "`syncd login ACCOUNT`"


class RateLimited(PdsError):
    """The PDS asks for a pause of `retry_seconds`, already capped to a day."""

    exit_code = 69
    effect = "nothing was written; a daemon continues on its own"
    advice = "wait; `syncd status` says until when"

    def __init__(self, message: str, *, retry_seconds: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class Busy(RateLimited):
    """The PDS is overloaded or under maintenance: a 503 that names a pause."""


class LoginLimited(RateLimited):
    """The PDS begins or renews no session of this account for a while. It does take writes."""


class UploadLimited(RateLimited):
    """The PDS accepts no more blobs for a while. It does take writes."""


class Crowded(PdsError):
    """A stream carries so many events of other accounts that polling is cheaper."""

    effect = "syncd polls for an hour"
    advice = "nothing"


class NotFound(PdsError):
    """The PDS knows the repo but not this record or blob."""

    effect = "syncd counts nothing as deleted"
    advice = "`syncd verify --remote`"


class BlobNotFound(NotFound):
    """The PDS does not send this blob: it lacks it, or does not show it. No deletion of it."""

    effect = "the record stays; syncd asks for the blob again"
    advice = "`syncd blob ls`"


class SwapFailed(PdsError):
    """The guard of a write did not hold; nothing was written."""

    effect = "nothing was written; syncd looks and plans again"
    advice = "nothing"


class Rejected(PdsError):
    """The PDS refused the content of a write; nothing was written.

    `name` is the XRPC error name, `status` the HTTP status. `place` is where in the request the
    fault is, as the PDS says it (`$.writes[77].record.langs`), or empty. `blob` is the CID of a
    blob that it names, or empty.
    """

    effect = "nothing was written; other records are pushed"
    advice = "correct the file and save it"

    def __init__(
        self,
        message: str,
        *,
        name: str,
        status: int,
        hint: str = "",
        place: str = "",
        blob: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.status = status
        self.place = place
        self.blob = blob


class TooLarge(Rejected):
    """The request body or the commit is over a limit of the PDS; nothing was written."""

    effect = "nothing was written; syncd sends smaller requests"
    advice = "if the record by itself is too large, make it smaller"


class GuardUnsupported(Rejected):
    """The PDS accepts no write with this guard (swapCommit, swapRecord); nothing was written."""

    effect = "nothing was written; syncd writes in another way"
    advice = "nothing"


class Unknown(PdsError):
    """A write got no usable answer and may have been applied. Look at the repo before the next.

    `status` is that of an answer that may be the word of the PDS itself; None for a page, a
    redirect, an unreadable answer, a refused access in other words than those of XRPC, and none at
    all.
    """

    ordinary_hint = "wait; syncd looks at the repo before it writes again"
    effect = "syncd looks at the repo before it writes again"
    advice = "`syncd sync`"

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


# --- A person must act. ---------------------------------------------------------------------------


class CredentialsRefused(SyncdError):
    """Password, token or session is wrong, revoked, absent or not enough."""

    exit_code = 77
    effect = "pushes halt; pulls continue"
    advice = "`syncd login ACCOUNT`"


class CredentialsElsewhere(CredentialsRefused):
    """The credentials were made at another server than the one to write to; it got none of them.

    `made_at` and `asked` are origins.
    """

    effect = "pushes halt; the other server got no credentials"
    advice = (
        "if you moved the account: `syncd login ACCOUNT`; otherwise correct `pds` and "
        "`plc` in `syncd.toml`"
    )

    def __init__(self, did: str, *, made_at: str, asked: str) -> None:
        super().__init__(
            f"the credentials of {did} are for {made_at}, but the account is on {asked}: "
            "syncd does not send them there",
            hint=f"if you moved the account to {asked}: syncd login {did}; otherwise correct "
            "pds and plc in syncd.toml",
        )
        self.made_at = made_at
        self.asked = asked


class ExpiredToken(CredentialsRefused):
    """The access token has expired; the client must refresh the session."""

    effect = "syncd renews the session"
    advice = "nothing"


class RepoUnavailable(SyncdError):
    """The repo cannot be read now.

    `status` is deactivated, takendown, suspended, deleted or notfound. None of these proves that a
    record was deleted.
    """

    effect = "no file is changed; syncd looks again"
    advice = "ask the operator of the PDS about the account"

    def __init__(self, message: str, *, status: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class IdentityError(SyncdError):
    """A handle or DID does not resolve, or the handle and the DID do not name each other."""

    effect = "nothing was changed"
    advice = "check the name; `syncd doctor`"


class ConfigWrong(SyncdError):
    """A setting, flag or environment variable cannot be used."""

    exit_code = 78
    effect = "nothing was changed"
    advice = "correct the setting: `syncd help configuration`"


class FolderWrong(SyncdError):
    """The folder is not the expected mirror: absent, not empty, replaced or unmarked."""

    exit_code = 78
    effect = "nothing was changed"
    advice = (
        "find the message under [When the folder is not what it "
        "was](#when-the-folder-is-not-what-it-was)"
    )


class StateWrong(SyncdError):
    """The state file is damaged, foreign, or from a newer syncd."""

    exit_code = 78
    effect = "nothing was changed"
    advice = (
        "find the message under [When the folder is not what it "
        "was](#when-the-folder-is-not-what-it-was)"
    )


class StateDamaged(StateWrong):
    """A state file is corrupt. syncd can move it aside and make a new one."""

    effect = "nothing was deleted; the next sync makes a new file"
    advice = "`syncd sync`"


class Locked(SyncdError):
    """Another syncd process has this folder. `pid` is its process ID, or None if unknown."""

    exit_code = 75
    effect = "nothing was changed"
    advice = "use the syncd that has the folder, or `syncd stop`"

    def __init__(self, message: str, *, pid: int | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class OtherVersion(SyncdError):
    """The running daemon is a syncd of another version, with another protocol."""

    effect = "nothing was changed"
    advice = "restart the daemon: `syncd stop`, then `syncd run`"


class BadUsage(SyncdError):
    """The command line is wrong. The parser of the command line shows it, and how to get help."""

    exit_code = 2
    effect = "nothing was changed"
    advice = "`syncd COMMAND --help`"


class Interrupted(SyncdError):
    """A person pressed Ctrl-C, or gave no answer to a question."""

    exit_code = 130
    effect = "what was done stays done; the next sync continues"
    advice = "nothing"


class GitFailed(SyncdError):
    """A git command failed. The sync itself does not depend on git and continues."""

    effect = "the sync is complete; the git commit is not"
    advice = "see [git.md](git.md)"


# --- One file, for now: the cycle continues with all others. -------------------------------------


class FileChanged(SyncdError):
    """A file changed after the plan was made; syncd left it untouched."""

    effect = "syncd left the file as it is, and plans again"
    advice = "nothing"


class FileProblem(SyncdError):
    """One file cannot be read or written; syncd continues with every other file."""

    effect = "other files are synced"
    advice = "correct the file that the message names"
