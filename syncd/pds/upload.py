"""Send the bytes of one file as the body of a request. Never holds more than a piece of them.

A blob goes out with its length and never in chunks: the reference PDS answers nothing any more on
a connection where chunks went over its limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import BinaryIO, Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_digest
from syncd.errors import (
    BadAnswer,
    Busy,
    FileChanged,
    RateLimited,
    Rejected,
    SwapFailed,
    SyncdError,
    Unknown,
    Unreachable,
    UploadLimited,
)
from syncd.values import dataclass

PIECE_BYTES: Final = 256 * 1024


@dataclass(slots=True)
class Upload:
    """`size` bytes of `file` from its present position. May be sent again, from there.

    Attributes:
        expected: The CID of the bytes, if they were hashed before; else None.
        cid: The CID of the bytes that were sent last, if they were not hashed before; None until
            all of them were sent.
    """

    file: BinaryIO
    size: int
    expected: Cid | None = None
    start: int = field(init=False)
    cid: Cid | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.start = self.file.tell()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes. Raises FileChanged if there are fewer or more than `size`."""
        self.file.seek(self.start)
        self.cid = None
        digest, left = hashlib.sha256(), self.size
        while left:
            piece = self.file.read(min(PIECE_BYTES, left))
            if not piece:
                raise FileChanged(f"the file is {left} bytes shorter than when syncd read it")
            if self.expected is None:
                digest.update(piece)
            left -= len(piece)
            # Whether the file has grown is known before its last piece is sent.
            if not left and self.file.read(1):
                raise FileChanged("the file is longer than when syncd read it")
            yield piece
        if self.expected is None:
            self.cid = cid_of_digest(digest.digest())

    def read_again(self) -> Cid:
        """Return what the bytes of the file are now."""
        self.file.seek(self.start)
        digest, left = hashlib.sha256(), self.size
        while left and (piece := self.file.read(min(PIECE_BYTES, left))):
            digest.update(piece)
            left -= len(piece)
        return cid_of_digest(digest.digest())


def checked_upload(ref: BlobRef, upload: Upload) -> BlobRef:
    """Return the reference in the answer to an upload.

    Raises BadAnswer if it names other bytes than the file has, FileChanged if the file no longer
    has those that were expected either.
    """
    # Nobody told the PDS this hash: it has it from the bytes that came. Any other is looked into.
    if ref.cid == upload.expected and ref.size == upload.size:
        return ref
    sent = upload.cid if upload.expected is None else upload.read_again()
    if ref.cid != sent and upload.expected is not None and sent != upload.expected:
        raise FileChanged("the file was changed while syncd sent it")
    if ref.cid != sent or ref.size != upload.size:
        raise BadAnswer(
            f"the PDS stored other bytes than syncd sent: {ref.cid}, of {ref.size} bytes",
            hint=(
                "no record names them; try again, and if this repeats, ask the operator of the PDS"
            ),
        )
    return ref


NO_SUCH_METHOD: Final = 501
NO_UPLOADS_HINT = "remove the file from the record, or move the account to a PDS that accepts files"


@contextmanager
def upload_refusals() -> Iterator[None]:
    """Translate the refusals of a write to those of an upload, which changes no repo.

    An upload without an answer is done again: no harm comes of one that was carried out.
    """
    try:
        yield
    except Busy:
        raise
    except RateLimited as error:
        raise UploadLimited(
            error.message,
            retry_seconds=error.retry_seconds,
            hint="wait; this limit counts uploads only, and `syncd run` tries again on its own",
        ) from error
    except Unknown as error:
        if error.status == NO_SUCH_METHOD:
            raise _none_taken(error) from error
        raise Unreachable(
            error.message, hint="wait, then try again; `syncd run` does so on its own"
        ) from error
    except SwapFailed as error:
        raise Rejected(error.message, name="", status=409, hint=error.hint) from error
    except Rejected as error:
        # arroba says in a 400 that it has no such method.
        if "not implemented" in error.message.lower():
            raise _none_taken(error) from error
        raise


def _none_taken(error: SyncdError) -> Rejected:
    reason = f"this PDS does not accept uploads ({error.message})"
    return Rejected(reason, name="", status=NO_SUCH_METHOD, hint=NO_UPLOADS_HINT)
