"""Map a refused request to the error that says whose move is next. Pure: never waits or retries.

Status and error name decide together: names differ between servers, and some servers send none.
Sources: the `errors` of the lexicons, and the observed reference PDS.
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

_UNSUPPORTED = re.compile(r"\bswap(?:commit|record)\b.*\b(?:support|implement)")
_PLACE = re.compile(r"\$(?:\.[\w$-]+|\[[0-9]{1,6}\])+")

_HINTS: Final[Mapping[type[SyncdError], str]] = {
    CredentialsRefused: "run `syncd login` with an app password of this account",
    ExpiredToken: "if this repeats, run `syncd login`",
    RateLimited: "wait, then try again; `syncd run` does so on its own",
    Busy: "wait, then try again; `syncd run` does so on its own",
    Rejected: "change the record, or the name of its file, so that the PDS accepts it",
    TooLarge: "make the record smaller: its PDS accepts no larger request",
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
_REDIRECT_HINT = "syncd does not follow redirects; give it the address of the PDS itself"

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
        form: What the body is, for a sentence, where it says nothing.
    """

    status: int
    name: str
    words: str
    is_page: bool
    place: str = ""
    form: str = ""

    @property
    def sentence(self) -> str:
        """The answer as a sentence for a person: status, name and message."""
        named = f"{self.status} {self.name}".rstrip()
        return f"the PDS answered {named}" + (f": {self.words}" if self.words else self.form)


def raise_for(response: Response, *, is_write: bool, now: float, is_open: bool = False) -> None:
    """Return if the answer is a 2xx, else raise its error. `now` is in unix seconds.

    `is_open`: the request carried no credential, so a 401 or 403 says nothing about ours.

    Raises:
        RateLimited: A 429: nothing was done. `retry_seconds` is the pause.
        Busy: A 503 with a pause: a write may have been applied, as after Unknown.
        SwapFailed, TooLarge, Rejected: The PDS refused the write; nothing was written.
        NotFound, RepoUnavailable, IdentityError: The PDS does not have or does not show the object.
        ExpiredToken, CredentialsRefused: The PDS refused the token; nothing was done.
        Unreachable, BadAnswer: A read got a 5xx, or an answer outside XRPC.
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
    if is_open and issubclass(kind, CredentialsRefused):
        return LoginWanted(answer.sentence, hint=_CLOSED_HINT)
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
        named = {"name": answer.name, "place": answer.place}
        return kind(answer.sentence, status=answer.status, hint=hint, **named)
    if kind is Unknown:
        is_own = answer.status >= 400 and not answer.is_page
        return Unknown(answer.sentence, status=answer.status if is_own else None, hint=hint)
    return kind(answer.sentence, hint=hint)


def _hint(answer: ErrorAnswer, kind: type[SyncdError]) -> str:
    if answer.status < 400:
        return _REDIRECT_HINT
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
    if answer.is_page or answer.status < 400 or lost:
        return Unknown if is_write else BadAnswer
    if answer.status in (401, 403):
        return CredentialsRefused
    if is_write:
        return _refusal_of_a_write(answer)
    return PdsError


def _refusal_of_a_write(answer: ErrorAnswer) -> type[SyncdError]:
    """Choose for a status without a name of one meaning: most say nothing of what was sent."""
    if answer.status == 409:
        return SwapFailed
    has_reason = bool(answer.name or answer.words)
    return Rejected if has_reason and answer.status in _OF_THE_CONTENT else Unknown


def read_error(response: Response) -> ErrorAnswer:
    """Parse an error answer. Never raises."""
    name, words = _name_and_words(response)
    if name or words is not None:
        said = words or ""
        # Read before the message is cut: it ends with the place, behind whatever it quotes.
        place = next(iter(reversed(_PLACE.findall(said[-_PLACE_LENGTH:]))), "")
        return ErrorAnswer(response.status, _one_line(name), _one_line(said), False, place)
    text = response.body[:4096].decode("utf-8", "replace").strip()
    is_html = text.startswith("<") or response.media_type == "text/html"
    is_page = is_html or _is_cut(response)
    shown = "" if is_page else _one_line(text)
    return ErrorAnswer(response.status, "", shown, is_page, form=_form(response, is_html=is_html))


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
    return name if isinstance(name, str) else "", words if isinstance(words, str) else None


def _one_line(text: str) -> str:
    """Make text safe to show: no control characters, no likely token or app password."""
    visible = "".join(c if c.isprintable() else " " for c in text[: 4 * _WORDS_LENGTH])
    hidden = " ".join(_SECRET.sub("(hidden)", visible).split())
    return hidden if len(hidden) <= _WORDS_LENGTH else hidden[: _WORDS_LENGTH - 3] + "..."
