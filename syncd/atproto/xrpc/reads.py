"""Read the answers to sessions and reads. Each reader expects a 2xx (see `raise_for`).

A body outside the lexicon raises BadAnswer. Never verifies: every CID is a claim of the PDS.
Sources: lexicons com.atproto.{server,repo,sync,identity}.*
"""

from __future__ import annotations

from dataclasses import field
from typing import Final

from syncd.atproto.blob import BlobRef, blob_ref
from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.data import cid_of, from_json
from syncd.atproto.syntax import Did, Handle, Tid, parse_did, parse_handle, parse_tid
from syncd.atproto.xrpc.answer import (
    Fields,
    Response,
    as_object,
    commit_pair,
    items_of,
    maybe,
    parsed,
    plain,
    read_deep_object,
    read_object,
    text_of,
)
from syncd.errors import BadAnswer, BadData, BadSyntax
from syncd.values import dataclass

_MORE = 0x80
"""The bit of a byte of a varint that says that another one follows."""
_CBOR_MAP = 5
"""The major type of a map in CBOR: the upper three bits of its first byte."""


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """createSession and refreshSession: the account and its two tokens, hidden in the repr."""

    did: Did
    handle: Handle | None
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    status: str | None = None


def read_session(response: Response) -> SessionAnswer:
    """Read createSession or refreshSession. `status` is why the account is inactive, or None."""
    fields = read_object(response)
    return SessionAnswer(
        did=parsed(parse_did, text_of(fields, "did")),
        handle=_handle(fields),
        access=_token(fields, "accessJwt"),
        refresh=_token(fields, "refreshJwt"),
        status=_inactive(fields),
    )


def _token(fields: Fields, name: str) -> str:
    """Return a token fit for a header: visible ASCII only, so it cannot add a header line."""
    token = text_of(fields, name)
    if not token or not all("!" <= character <= "~" for character in token):
        raise BadAnswer(f"the PDS answered with a {name} that is not a token")
    return token


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """getSession: the account, and why it is inactive (None: it is active)."""

    did: Did
    handle: Handle | None
    status: str | None


def read_session_info(response: Response) -> SessionInfo:
    """Read getSession. Raises BadAnswer."""
    fields = read_object(response)
    return SessionInfo(
        parsed(parse_did, text_of(fields, "did")), _handle(fields), _inactive(fields)
    )


def _handle(fields: Fields) -> Handle | None:
    """Return the handle, or None if absent, malformed or `handle.invalid` (handle spec)."""
    text = maybe(fields, "handle", str)
    try:
        return None if text in (None, "handle.invalid") else parse_handle(text or "")
    except BadSyntax:
        return None


def _inactive(fields: Fields) -> str | None:
    if maybe(fields, "active", bool) is not False:
        return None
    return plain(maybe(fields, "status", str) or "") or "inactive"


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """The fields of describeServer syncd uses. `blob_limit` is in bytes, None if omitted."""

    did: str | None
    blob_limit: int | None


def read_server(response: Response) -> ServerDescription:
    """Read describeServer. Raises BadAnswer."""
    fields = read_object(response)
    return ServerDescription(maybe(fields, "did", str), maybe(fields, "blobUploadLimit", int))


# --- Reads ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """One record in JSON. `value` is unchecked; `cid` is a claim of the PDS."""

    uri: str
    cid: Cid
    value: object


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of listRecords. Only an empty page ends a list: all others carry a cursor."""

    records: tuple[RecordAnswer, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class RepoDescription:
    """describeRepo. `collections` omits collections without records."""

    did: Did
    handle: Handle | None
    is_handle_correct: bool
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepoStatus:
    """getRepoStatus. `status` is why a repo is inactive; only an active repo has a `rev`."""

    active: bool
    status: str | None
    rev: Tid | None


def read_record(response: Response) -> RecordAnswer:
    """Read getRecord. Computes the CID if the PDS omits it, as the lexicon allows."""
    return _record(read_deep_object(response))


def read_page(response: Response) -> RecordPage:
    """Read listRecords. Raises BadAnswer."""
    fields = read_object(response)
    records = tuple(_record(as_object(item)) for item in items_of(fields, "records"))
    return RecordPage(records, maybe(fields, "cursor", str))


def _record(fields: Fields) -> RecordAnswer:
    text, value = maybe(fields, "cid", str), fields.get("value")
    try:
        cid = parse_cid(text) if text is not None else cid_of(from_json(value))
    except (BadSyntax, BadData) as error:
        reason = f"the PDS answered with an unreadable record: {plain(str(error))}"
        raise BadAnswer(reason) from error
    return RecordAnswer(text_of(fields, "uri"), cid, value)


def read_repo_description(response: Response) -> RepoDescription:
    """Read describeRepo. Raises BadAnswer."""
    fields = read_object(response)
    return RepoDescription(
        did=parsed(parse_did, text_of(fields, "did")),
        handle=_handle(fields),
        is_handle_correct=maybe(fields, "handleIsCorrect", bool) is True,
        collections=tuple(
            item for item in items_of(fields, "collections") if isinstance(item, str)
        ),
    )


def read_latest(response: Response) -> tuple[Cid, Tid]:
    """Read getLatestCommit: CID and rev of the commit, both unverified. Raises BadAnswer."""
    return commit_pair(read_object(response))


def read_repo_status(response: Response, did: Did) -> RepoStatus:
    """Read getRepoStatus. Raises BadAnswer, also if it is about another repo than `did`."""
    fields = read_object(response)
    if maybe(fields, "did", str) not in (None, did):
        raise BadAnswer(f"the PDS answered for another repo than {did}")
    active, rev = maybe(fields, "active", bool), maybe(fields, "rev", str)
    if active is None:
        raise BadAnswer("the PDS does not say whether the repo is active")
    status = None if active else _inactive(fields)
    return RepoStatus(active, status, None if rev is None else parsed(parse_tid, rev))


def read_did(response: Response) -> Did:
    """Read resolveHandle. Raises BadAnswer."""
    return parsed(parse_did, text_of(read_object(response), "did"))


def read_blob_ref(response: Response) -> BlobRef:
    """Read uploadBlob: the reference for a record. Raises BadAnswer."""
    try:
        value = from_json(as_object(read_object(response).get("blob")))
    except BadData as error:
        reason = f"the answer to an upload names no blob: {plain(error.message)}"
        raise BadAnswer(reason) from error
    ref = blob_ref(value) if isinstance(value, dict) else None
    if ref is None:
        raise BadAnswer("the answer to an upload names no blob")
    return ref


def read_missing_blobs(response: Response) -> tuple[list[Cid], str | None]:
    """Read listMissingBlobs: the blobs of a page, and its cursor. Raises BadAnswer."""
    fields = read_object(response)
    items = map(as_object, items_of(fields, "blobs"))
    cids = [parsed(parse_cid, text_of(item, "cid")) for item in items]
    return cids, maybe(fields, "cursor", str)


CAR_START_BYTES: Final = 11
"""How many bytes of a body show at most whether it can be a CAR: a varint and one byte."""


def is_long_enough(start: bytes) -> bool:
    """Return True if the first bytes of a body show whether it can be a CAR."""
    return len(start) >= CAR_START_BYTES or any(byte < _MORE for byte in start[:-1])


def check_car(response: Response, start: bytes) -> None:
    """Check the first bytes of an answer to getRepo or getBlocks. Raises BadAnswer for a page.

    The media type decides nothing alone: a PDS that serves through Flask calls its CAR text/html.
    """
    if _is_car(start):
        return
    is_text = response.media_type.startswith("text/") or response.media_type.endswith("json")
    if is_text or start.lstrip()[:1] in (b"<", b"{"):
        raise BadAnswer(
            f"the PDS answered with {response.media_type or 'a page'} in place of a CAR file",
            hint=(
                "nothing was changed; the network may need a login in a browser first: log in "
                "there, then try again"
            ),
        )


def _is_car(start: bytes) -> bool:
    """Return True for the length of a header (a varint) and the first byte of a CBOR map."""
    end = next((at for at, byte in enumerate(start) if byte < _MORE), len(start))
    return start[end + 1 : end + 2] != b"" and start[end + 1] >> 5 == _CBOR_MAP
