"""Map a refused request to the error that says whose move is next. Pure: never waits or retries.

Status and error name decide together: names differ between servers, and some servers send none.
What has no error name may come from a firewall or a proxy in front of the PDS. So it refuses
neither credentials nor a record for good. Sources: the `errors` of the lexicons, and the observed
reference PDS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from syncd.atproto.server.pace import DEFAULT_RETRY_SECONDS, asked_seconds
from syncd.atproto.xrpc.answer import Response, parsed_json
from syncd.errors import (
    BadAnswer,
    BlobNotFound,
    Busy,
    CredentialsRefused,
    ExpiredToken,
    GuardUnsupported,
    IdentityError,
    LoginWanted,
    NotFound,
    PdsError,
    RateLimited,
    Rejected,
    RepoUnavailable,
    SwapFailed,
    SyncdError,
    TooLarge,
    Unknown,
    Unreachable,
)
from syncd.values import dataclass

ERRORS: Final[Mapping[str, type[SyncdError]]] = {
    "AccountDeactivated": RepoUnavailable,
    "AccountNotFound": RepoUnavailable,
    "AccountSuspended": RepoUnavailable,
    "AccountTakedown": RepoUnavailable,
    "AuthFactorTokenRequired": CredentialsRefused,
    "AuthMissing": CredentialsRefused,
    "AuthenticationRequired": CredentialsRefused,
    "BlobNotFound": BlobNotFound,
    "BlockNotFound": NotFound,
    "DidDeactivated": IdentityError,
    "DidNotFound": IdentityError,
    "ExpiredToken": ExpiredToken,
    "HandleNotFound": IdentityError,
    "InvalidSwap": SwapFailed,
    "InvalidToken": ExpiredToken,
    "PayloadTooLarge": TooLarge,
    "PayloadTooLargeError": TooLarge,
    "RateLimitExceeded": RateLimited,
    "RecordAlreadyExists": SwapFailed,
    "RecordNotFound": NotFound,
    "RepoDeactivated": RepoUnavailable,
    "RepoNotFound": RepoUnavailable,
    "RepoSuspended": RepoUnavailable,
    "RepoTakendown": RepoUnavailable,
    "ScopeMissingError": CredentialsRefused,
    "invalid_dpop_proof": CredentialsRefused,
    "use_dpop_nonce": CredentialsRefused,
}
"""Error names with one meaning. InvalidToken counts as expired, because a new token resolves it."""

WRITE_ERRORS: Final[Mapping[str, type[SyncdError]]] = {
    "BlobNotFound": Rejected,
    "InvalidMimeType": Rejected,
    "InvalidRequest": Rejected,
    "InvalidSize": Rejected,
    "RecordNotFound": SwapFailed,
}
"""Error names with another meaning for a write: there the record is at fault."""

UNAVAILABLE: Final[Mapping[str, str]] = {
    "AccountDeactivated": "deactivated",
    "AccountNotFound": "notfound",
    "AccountSuspended": "suspended",
    "AccountTakedown": "takendown",
    "RepoDeactivated": "deactivated",
    "RepoNotFound": "notfound",
    "RepoSuspended": "suspended",
    "RepoTakendown": "takendown",
}
"""The `status` of a RepoUnavailable."""

_PHRASES: Final = (
    ("bad token scope", CredentialsRefused),
    ("too many writes", TooLarge),
    ("could not find cids", NotFound),
    ("blocks not found", NotFound),
    ("could not find repo", RepoUnavailable),
    ("invalid bearer token", ExpiredToken),
)
"""Messages under error names too general to decide by: of the reference PDS, alteran and arroba."""

_READ_PHRASES: Final = (*_PHRASES, ("blob not found", BlobNotFound))
"""The same for a read: the reference PDS has no name for a blob that it does not give."""

_NAME = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
"""An error name of XRPC. Frameworks write the phrase of a status there: `Bad Request`."""

_CHALLENGE = re.compile(r"(?:^|,)\s*(?:bearer|dpop)\b", re.IGNORECASE)
"""A `WWW-Authenticate` that asks for a token; a proxy with a password of its own asks for Basic."""

_BLOB = re.compile(r"\bbafkrei[a-z2-7]{52}\b")

_UNSUPPORTED = re.compile(r"\bswap(?:commit|record)\b.*\b(?:support|implement)")
_PLACE = re.compile(r"\$(?:\.[\w$-]+|\[[0-9]{1,6}\])+")

_HINTS: Final[Mapping[type[SyncdError], str]] = {
    CredentialsRefused: "run `syncd login` with an app password of this account",
    ExpiredToken: "if this repeats, run `syncd login`",
    RateLimited: "wait, then try again; `syncd run` does so on its own",
    Busy: "wait, then try again; `syncd run` does so on its own",
    Rejected: "change the record, or the name of its file, so that the PDS accepts it",
    TooLarge: "make the record smaller: its PDS, or a server in front of it, accepts no larger "
    "request",
    RepoUnavailable: "check the account at its PDS; until then syncd changes nothing here",
    Unreachable: "wait, then try again; `syncd run` does so on its own",
}

_DPOP_HINT: Final = (
    "this PDS accepts only OAuth (DPoP), which syncd does not support: ask its operator "
    "for app passwords; without one, you can mirror the account with `syncd clone "
    "--read-only`"
)

_NAME_HINTS: Final = {
    "invalid_dpop_proof": _DPOP_HINT,
    "use_dpop_nonce": _DPOP_HINT,
    "AuthFactorTokenRequired": "use an app password: it needs no second factor",
    "AuthenticationRequired": "make an app password for syncd in the settings of the account, "
    "then: syncd login",
    "BlobNotFound": "upload the blob again: give its file to `syncd blob add FILE`, then: "
    "syncd sync; or take it out of the record",
}
_NO_LENGTH = (
    f"; it does not say for how long, so syncd waits {DEFAULT_RETRY_SECONDS:.0f} seconds, and "
    "longer after each further one"
)
_CLOSED_HINT = (
    "this PDS, or a server in front of it, asks for a login where other PDSes do not; a "
    "mirror that is not read-only uses your login: syncd login"
)
_IN_FRONT_HINT = (
    "a firewall, a proxy or a login page in front of the PDS may have answered, which says "
    "nothing about your password; `syncd run` tries again on its own; if it stays so, ask the "
    "operator of the network or of the PDS, or run `syncd login`"
)
_REDIRECT_HINT = "syncd does not follow redirects; give it the address of the PDS itself"

_NO_ACCESS: Final = (401, 403, 407)

_OF_THE_CONTENT: Final = (400, 422)
"""The statuses by which a server refuses what a request holds. 413 and 409 have a class each."""

_WORDS_LENGTH = 200
_PLACE_LENGTH = 1_000
_SERVER_LENGTH = 80
_SECRET = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+|\b[a-z0-9]{4}(?:-[a-z0-9]{4}){3}\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """A parsed error answer.

    Attributes:
        name: The error name; empty unless the body is the error object of XRPC.
        words: The message of the server, in one bounded line without tokens.
        is_page: The body is HTML, or JSON that is cut short: it may not be the word of the PDS.
        place: The last path into the request that the message names, or empty.
        blob: The last CID of a blob that the message names, or empty.
        form: What the body is, for a sentence, where it says nothing.
        is_challenge: It asks for a token, as RFC 6750 and RFC 9449 say it.
    """

    status: int
    name: str
    words: str
    is_page: bool
    place: str = ""
    form: str = ""
    blob: str = ""
    is_challenge: bool = False

    @property
    def sentence(self) -> str:
        """The answer as a sentence for a person: status, name and message."""
        named = f"{self.status} {self.name}".rstrip()
        who = "the PDS, or a server in front of it," if self.is_anonymous else "the PDS"
        return f"{who} answered {named}" + (f": {self.words}" if self.words else self.form)

    @property
    def is_anonymous(self) -> bool:
        """True for a refusal that any server on the way may have made."""
        return not self.name and not self.is_challenge and 400 <= self.status < 500

    @property
    def refuses_credentials(self) -> bool:
        """True for a 401 or 403 in the words of XRPC, or of the RFCs of tokens."""
        if self.status == 403:
            return self.name == "Forbidden"
        return self.status == 401 and (bool(self.name) or self.is_challenge)


def raise_for(response: Response, *, is_write: bool, now: float, is_open: bool = False) -> None:
    """Return if the answer is a 2xx, else raise its error. `now` is in unix seconds.

    `is_open`: the request carried no credential, so a 401 or 403 says nothing about ours.

    Raises:
        RateLimited: A 429: nothing was done. `retry_seconds` is the pause.
        Busy: A 503 with a pause: a write may have been applied, as after Unknown.
        SwapFailed, TooLarge, Rejected: The PDS refused the write; nothing was written.
        NotFound, RepoUnavailable, IdentityError: The PDS does not have or does not show the object.
        ExpiredToken, CredentialsRefused: The PDS refused the token; nothing was done.
        Unreachable, BadAnswer: A read or a login got a 5xx, or an answer outside XRPC.
        LoginWanted: A read without a token got a 401 or a 403.
        Unknown: A write got one of these: it may have been applied.
        PdsError: The PDS refused a read for another reason.
    """
    if not response.is_ok:
        raise error_of(response, is_write=is_write, now=now, is_open=is_open)


def error_of(
    response: Response, *, is_write: bool, now: float, is_open: bool = False
) -> SyncdError:
    """Return the error of an answer outside 2xx (see `raise_for`)."""
    answer = read_error(response)
    kind = kind_of(answer, is_write=is_write)
    if is_open and _wants_login(answer, kind):
        in_front = answer.is_anonymous and answer.status != 401
        return LoginWanted(answer.sentence, hint=_IN_FRONT_HINT if in_front else _CLOSED_HINT)
    # A server that names a pause is alive: waiting that long is better than a guessed backoff.
    if "retry-after" in response.headers and (kind is Unreachable or response.status == 503):
        kind = Busy
    hint = _hint(answer, kind)
    if issubclass(kind, RateLimited):
        asked = asked_seconds(response.headers, now=now, words=answer.words)
        pause = DEFAULT_RETRY_SECONDS if asked is None else asked
        sentence = answer.sentence + (_NO_LENGTH if asked is None else "")
        return kind(sentence, retry_seconds=pause, hint=hint)
    if kind is RepoUnavailable:
        status = UNAVAILABLE.get(answer.name, "notfound")
        return RepoUnavailable(answer.sentence, status=status, hint=hint)
    if issubclass(kind, Rejected):
        named = {"name": answer.name, "place": answer.place, "blob": answer.blob}
        return kind(answer.sentence, status=answer.status, hint=hint, **named)
    if kind is Unknown:
        own = answer.status if _may_be_of_the_pds(answer) else None
        return Unknown(answer.sentence, status=own, hint=hint)
    return kind(answer.sentence, hint=hint)


def _wants_login(answer: ErrorAnswer, kind: type[SyncdError]) -> bool:
    """Return True for a read that may be answered with a token: millipds says so in plain text."""
    is_plain = answer.status in (401, 403) and not answer.is_page and kind is Unreachable
    return is_plain or issubclass(kind, CredentialsRefused)


def _may_be_of_the_pds(answer: ErrorAnswer) -> bool:
    if answer.is_page or answer.status < 400:
        return False
    if answer.status in _OF_THE_CONTENT:
        return bool(answer.name or answer.words)
    return bool(answer.name) or answer.status not in _NO_ACCESS


def _hint(answer: ErrorAnswer, kind: type[SyncdError]) -> str:
    if answer.status < 400:
        return _REDIRECT_HINT
    if answer.is_anonymous and answer.status in _NO_ACCESS:
        return _IN_FRONT_HINT
    return _NAME_HINTS.get(answer.name) or _HINTS.get(kind, "")


def kind_of(answer: ErrorAnswer, *, is_write: bool) -> type[SyncdError]:
    """Choose the class of the error: by a certain status, else by message, name, or a default."""
    return (
        _kind_by_status(answer.status, is_write=is_write)
        or _kind_by_words(answer, is_write=is_write)
        or (WRITE_ERRORS.get(answer.name) if is_write else None)
        or ERRORS.get(answer.name)
        or _kind_by_default(answer, is_write=is_write)
    )


def _kind_by_status(status: int, *, is_write: bool) -> type[SyncdError] | None:
    if status == 429:
        return RateLimited
    if status == 413:
        return TooLarge
    if status == 501:
        return Unknown if is_write else BadAnswer
    if status >= 500 or status == 408:
        return Unknown if is_write else Unreachable
    return None


def _kind_by_words(answer: ErrorAnswer, *, is_write: bool) -> type[SyncdError] | None:
    words = answer.words.lower()
    is_plain_text = answer.status == 400 and not answer.name and not answer.is_page
    if is_write and answer.status == 400 and _UNSUPPORTED.search(words):
        return GuardUnsupported
    # Some servers refuse a swap in plain text without an error name.
    if is_write and is_plain_text and "swap" in words:
        return SwapFailed
    phrases = _PHRASES if is_write else _READ_PHRASES
    return next((kind for phrase, kind in phrases if words.startswith(phrase)), None)


def _kind_by_default(answer: ErrorAnswer, *, is_write: bool) -> type[SyncdError]:
    # A page, a redirect, or a 404 without a name may come from a proxy in front of the PDS. Such an
    # answer proves nothing: not that a record is missing, nor that a write did not happen.
    lost = answer.status in (404, 405) and not answer.name
    if not answer.is_page and answer.refuses_credentials:
        return CredentialsRefused
    if answer.status in _NO_ACCESS:
        return Unknown if is_write else Unreachable
    if answer.is_page or answer.status < 400 or lost:
        return Unknown if is_write else BadAnswer
    if is_write:
        return _refusal_of_a_write(answer)
    return PdsError


def _refusal_of_a_write(answer: ErrorAnswer) -> type[SyncdError]:
    """Choose for a status without a name of one meaning: most say nothing of what was sent."""
    if not answer.name:
        return Unknown
    if answer.status == 409:
        return SwapFailed
    return Rejected if answer.status in _OF_THE_CONTENT else Unknown


def read_error(response: Response) -> ErrorAnswer:
    """Parse an error answer. Never raises."""
    name, words = _name_and_words(response)
    is_challenge = bool(_CHALLENGE.search(response.headers.get("www-authenticate", "")[:4096]))
    if name or words is not None:
        said = words or ""
        # Read before the message is cut: it ends with the place, behind whatever it quotes.
        place, blob = (
            next(iter(reversed(wanted.findall(said[-_PLACE_LENGTH:]))), "")
            for wanted in (_PLACE, _BLOB)
        )
        return ErrorAnswer(
            response.status,
            _one_line(name),
            _one_line(said),
            False,
            place=place,
            blob=blob,
            is_challenge=is_challenge,
        )
    text = response.body[:4096].decode("utf-8", "replace").strip()
    is_html = text.startswith("<") or response.media_type == "text/html"
    is_page = is_html or _is_cut(response)
    shown = "" if is_page else _one_line(text)
    form = _form(response, is_html=is_html)
    return ErrorAnswer(response.status, "", shown, is_page, form=form, is_challenge=is_challenge)


def _form(response: Response, *, is_html: bool) -> str:
    """Say what an answer without a message of XRPC is."""
    target = _server_of(response.headers.get("location", ""))
    if response.status < 400 and target:
        return f", a redirect to {target}"
    if not response.body.strip():
        return " with an empty body"
    return " with a web page" if is_html else " with JSON that is cut short"


def _server_of(address: str) -> str:
    """Return the name of the server that an address leads to, if it is fit to be shown."""
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return name if name.isascii() and name.isprintable() and len(name) <= _SERVER_LENGTH else ""


def _is_cut(response: Response) -> bool:
    """Return True for a body that begins as JSON and is none."""
    if response.body.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        parsed_json(response)
    except (BadAnswer, RecursionError):
        return False
    except ValueError:
        return True
    return False


def _name_and_words(response: Response) -> tuple[str, str | None]:
    try:
        fields = parsed_json(response)
    except (BadAnswer, ValueError, RecursionError):
        return "", None
    if not isinstance(fields, dict):
        return "", None
    name, words = fields.get("error"), fields.get("message")
    said = words if isinstance(words, str) else None
    if not isinstance(name, str):
        return "", said
    # The phrase of a status is none of the names of XRPC; to a person it may be all there is.
    return (name, said) if _NAME.fullmatch(name) else ("", said or name)


def _one_line(text: str) -> str:
    """Make text safe to show: no control characters, no likely token or app password."""
    visible = "".join(c if c.isprintable() else " " for c in text[: 4 * _WORDS_LENGTH])
    hidden = " ".join(_SECRET.sub("(hidden)", visible).split())
    return hidden if len(hidden) <= _WORDS_LENGTH else hidden[: _WORDS_LENGTH - 3] + "..."
