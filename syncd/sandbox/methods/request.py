"""One request to the sandbox, with readers for its typed parts. Never acts on a request.

A missing part, or one of the wrong type, raises `Rejected` with status 400, in words close to those
of the reference PDS.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TypeVar

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Nsid, Rkey, parse_at_identifier, parse_nsid, parse_rkey
from syncd.errors import BadSyntax, Rejected
from syncd.sandbox.answer import CAR, invalid, too_large
from syncd.sandbox.methods.lexjson import parse_json
from syncd.values import dataclass

T = TypeVar("T")

JSON_BYTES = 150 * 1024
RECORD_JSON_BYTES = 1_000_000
BLOB_BYTES = 5 * 1024 * 1024
IMPORT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class XrpcRequest:
    """An HTTP request of an XRPC method. Header names are in lower case.

    `address` is the address of the client, `origin` the URL the client used for the sandbox. The
    repr hides headers and body.
    """

    verb: str
    nsid: str
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    address: str = "127.0.0.1"
    origin: str = "http://127.0.0.1"

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    # --- Query parameters -------------------------------------------------------------------------

    def maybe(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Read an optional parameter; an empty one counts as absent. Raises Rejected."""
        values = self.params.get(name, ())
        return self._parsed(name, values[0], parse) if values and values[0] else None

    def required(self, name: str, parse: Callable[[str], T]) -> T:
        """Read a required parameter. Raises Rejected."""
        value = self.maybe(name, parse)
        if value is None:
            raise self._wrong(f'Missing required key "{name}" at $')
        return value

    def many(self, name: str, parse: Callable[[str], T]) -> list[T]:
        """Read every value of a repeated parameter. Raises Rejected."""
        return [self._parsed(name, value, parse) for value in self.params.get(name, ())]

    def _parsed(self, name: str, text: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except (BadSyntax, ValueError) as error:
            raise self._wrong(f"{error} at $.{name}") from None

    def _wrong(self, message: str) -> Rejected:
        return invalid(f"Invalid {self.nsid} params: {message}")

    # --- Bodies -----------------------------------------------------------------------------------

    def no_body(self) -> None:
        """Raise Rejected if there is a body."""
        if self.body:
            raise invalid("A request body was provided when none was expected")

    def json_body(self, limit: int) -> Fields:
        """Read the body as a JSON object of at most `limit` bytes. Raises Rejected."""
        self._check_body("application/json", limit)
        body = parse_json(self.body)
        if not isinstance(body, dict):
            raise invalid("Expected object value type at $")
        return Fields(body)

    def check_car(self) -> None:
        """Raise Rejected unless the body is a CAR of at most IMPORT_BYTES, by its media type."""
        self._check_body(CAR, IMPORT_BYTES)

    def blob_body(self) -> bytes:
        """Read the body as a blob of at most BLOB_BYTES. Raises Rejected."""
        if not self.media_type:
            raise invalid("Request encoding (Content-Type) required but not provided")
        check_blob_size(len(self.body))
        return self._plain_body()

    def _plain_body(self) -> bytes:
        """Return the body, decompressed if it was compressed."""
        if self.headers.get("content-encoding") != "gzip":
            return self.body
        try:
            return gzip.decompress(self.body)
        except (OSError, EOFError, zlib.error):
            raise invalid("unable to read input") from None

    def _check_body(self, media_type: str, limit: int) -> None:
        if not self.body:
            raise invalid("A request body is expected but none was provided")
        if not self.media_type:
            raise invalid("Request encoding (Content-Type) required but not provided")
        if self.media_type != media_type:
            raise invalid(f"Wrong request encoding (Content-Type): {self.media_type}")
        if len(self.body) > limit:
            raise too_large()


def check_blob_size(size: int) -> None:
    """Raise Rejected for a blob above the limit."""
    if size > BLOB_BYTES:
        raise too_large_blob()


def too_large_blob() -> Rejected:
    """Make the refusal of a blob above the limit, which has another name than that of a write."""
    return Rejected("request entity too large", name="PayloadTooLarge", status=413)


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of a JSON object in the body of a request; `at` is its place, as `$.writes[0]`.

    Each reader raises Rejected for a member that is missing or of the wrong type.
    """

    members: Mapping[str, object]
    at: str = "$"

    def has(self, name: str) -> bool:
        return name in self.members

    def value(self, name: str) -> object:
        """Read a required member of any type."""
        if name not in self.members:
            raise invalid(f'Missing required key "{name}" at {self.at}')
        return self.members[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise self._mistyped("string", name)
        return value

    def maybe_text(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def flag(self, name: str) -> bool | None:
        value = self.value(name) if self.has(name) else None
        if self.has(name) and not isinstance(value, bool):
            raise self._mistyped("boolean", name)
        return value if isinstance(value, bool) else None

    def items(self, name: str) -> list[Fields]:
        """Read a required array of objects."""
        values = self.value(name)
        if not isinstance(values, list):
            raise self._mistyped("array", name)
        return [self._item(name, number, value) for number, value in enumerate(values)]

    def repo(self) -> str:
        return self._parsed("repo", parse_at_identifier)

    def collection(self) -> Nsid:
        return self._parsed("collection", parse_nsid)

    def rkey(self) -> Rkey:
        return self._parsed("rkey", parse_rkey)

    def cid(self, name: str) -> Cid | None:
        """Read an optional CID, which may not be null."""
        return self._parsed(name, parse_cid) if self.has(name) else None

    def _item(self, name: str, number: int, value: object) -> Fields:
        at = f"{self.at}.{name}[{number}]"
        if not isinstance(value, dict):
            raise invalid(f"Expected object value type at {at}")
        return Fields(value, at)

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T:
        text = self.text(name)
        try:
            return parse(text)
        except BadSyntax as error:
            raise invalid(f"{error.message} at {self.at}.{name}") from None

    def _mistyped(self, kind: str, name: str) -> Rejected:
        value = self.members[name]
        got = "null" if value is None else repr(value)
        return invalid(f"Expected {kind} value type (got {got}) at {self.at}.{name}")
