"""Every exception syncd raises, as one tree whose branches say whose move is next.

An error carries data for programs and two sentences for a person: what happened, and what to do
next. This module imports nothing and never formats for a terminal.
"""

from __future__ import annotations

from typing import ClassVar


class SyncdError(Exception):
    """Root of the tree. `message` says what happened, `hint` what to do next (may be empty)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# --- The bytes or the text are wrong: whoever produced them must change them. -------------------


class Malformed(SyncdError, ValueError):
    """Text or bytes are not what their format requires."""


class BadSyntax(Malformed):
    """An identifier (DID, handle, NSID, record key, TID, CID, AT URI) breaks its grammar."""


class BadJson(Malformed):
    """JSON text cannot stand for a record. `line` and `column` count from 1, or are None."""

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class BadData(Malformed):
    """A value or a block is outside the atproto data model or not canonical DAG-CBOR."""


class BadCar(Malformed):
    """A CAR stream is cut, or a block's content does not have the CID it came with."""


class BadTree(Malformed):
    """A Merkle search tree node breaks a rule of the tree: order, layer, prefix or shape."""


class BadCommit(Malformed):
    """A commit block is malformed, is for another repo, or its signature does not verify."""


class WrongKey(BadCommit):
    """A commit is not signed with the key of the account."""


class BadFrame(Malformed):
    """A firehose frame cannot be read."""


class BadAnswer(Malformed):
    """A server's answer is not what its lexicon says (HTML, plain text, missing fields)."""


# --- The remote view cannot be trusted yet: syncd looks again. -----------------------------------


class Unverified(SyncdError):
    """What the PDS sent does not prove a repo state; nothing was concluded from it."""


class MissingBlocks(Unverified):
    """The tree names blocks that did not arrive. Absence of a block is never a deletion."""

    def __init__(self, message: str, *, count: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.count = count


class RolledBack(Unverified):
    """The PDS shows a commit older than one it showed before."""


# --- The PDS did not do it: syncd waits, or looks and plans again. -------------------------------


class PdsError(SyncdError):
    """A request did not succeed."""


class Unreachable(PdsError):
    """No connection, no DNS, a timeout before anything was sent, or a 5xx to a read."""

    exit_code = 69


class RateLimited(PdsError):
    """The PDS asks for a pause. `retry_seconds` is how long, already capped."""

    exit_code = 69

    def __init__(self, message: str, *, retry_seconds: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class Crowded(PdsError):
    """A stream carries so much of other accounts that polling is cheaper than listening."""


class NotFound(PdsError):
    """The PDS knows the repo but not this record or blob."""


class SwapFailed(PdsError):
    """The guard of a write did not hold; nothing was written."""


class Rejected(PdsError):
    """The PDS refused the content of a write; nothing was written.

    `name` is the XRPC error name, `status` the HTTP status.
    """

    def __init__(self, message: str, *, name: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.status = status


class TooLarge(Rejected):
    """The request body or the commit is over a limit of the PDS; nothing was written."""


class Unknown(PdsError):
    """No usable answer to a write: it may or may not have been applied. Look before the next."""


# --- A person must act. ---------------------------------------------------------------------------


class CredentialsRefused(SyncdError):
    """Password, token or session is wrong, revoked, absent or not enough."""

    exit_code = 77


class CredentialsElsewhere(CredentialsRefused):
    """The credentials were made at another server than the one to write to; it got none of them.

    `made_at` and `asked` are origins.
    """

    def __init__(self, did: str, *, made_at: str, asked: str) -> None:
        super().__init__(
            f"the credentials of {did} were made at {made_at}, and its repo is to be written at "
            f"{asked}, which gets none of them",
            hint=f"if the account lives at {asked} now: syncd login {did}; "
            "otherwise see pds and plc in syncd.toml",
        )
        self.made_at = made_at
        self.asked = asked


class ExpiredToken(CredentialsRefused):
    """The access token is past its time; a refresh is the next move."""


class RepoUnavailable(SyncdError):
    """The repo cannot be read now.

    `status` is deactivated, takendown, suspended, deleted or notfound; none of them is evidence
    that a record was deleted.
    """

    def __init__(self, message: str, *, status: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class IdentityError(SyncdError):
    """A handle or DID does not resolve, or the two do not name each other."""


class ConfigWrong(SyncdError):
    """A setting, flag or environment variable cannot be used."""

    exit_code = 78


class FolderWrong(SyncdError):
    """The folder is not the mirror it should be: absent, not empty, replaced, unmarked."""

    exit_code = 78


class StateWrong(SyncdError):
    """The state file is damaged, foreign, or from a newer syncd."""

    exit_code = 78


class StateDamaged(StateWrong):
    """A state file does not hold what was written to it; it can be set aside and made anew."""


class Locked(SyncdError):
    """Another syncd has this folder; `pid` is its process, or None if it is unknown."""

    exit_code = 75

    def __init__(self, message: str, *, pid: int | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class GitFailed(SyncdError):
    """git did not do what it was asked for; the sync itself goes on without it."""


# --- This file, this moment: the cycle goes on without it. ---------------------------------------


class FileChanged(SyncdError):
    """A file is no longer what the plan was made for; it was left as it is."""


class FileProblem(SyncdError):
    """One file cannot be read or written; every other file goes on."""
