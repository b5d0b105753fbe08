"""Undo the Content-Encoding of an answer, in bounded pieces. Bytes in, bytes out; no socket."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from syncd.errors import BadAnswer

PIECE_BYTES = 256 * 1024
"""The longest piece that one compressed chunk is turned into at a time."""

_GZIP = 31


class Inflater:
    """A decoder for the body of one answer, with a limit of `limit` bytes in all."""

    def __init__(self, encoding: str, *, limit: int) -> None:
        """Take the Content-Encoding. Raise BadAnswer unless it is gzip or none."""
        if encoding.strip().lower() not in ("", "identity", "gzip", "x-gzip"):
            raise BadAnswer("the PDS answered with a compression that syncd did not ask for")
        is_plain = encoding.strip().lower() in ("", "identity")
        self._gzip = None if is_plain else zlib.decompressobj(wbits=_GZIP)
        self._left = limit
        self._limit = limit

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Return the plain bytes of `chunk`. Raise BadAnswer over the limit or if it is no gzip."""
        if self._gzip is None:
            yield self._counted(chunk)
            return
        while chunk:
            if self._gzip.eof:
                # zlib would keep all of it, and nothing would count it.
                raise BadAnswer("the PDS answered with more than its compressed body")
            try:
                piece = self._gzip.decompress(chunk, PIECE_BYTES)
            except zlib.error:
                raise BadAnswer("the PDS answered with damaged compression") from None
            yield self._counted(piece)
            chunk = self._gzip.unconsumed_tail

    def close(self) -> bytes:
        """Return the last plain bytes. Raise BadAnswer if the compressed body was cut."""
        if self._gzip is None:
            return b""
        rest = self._counted(self._gzip.flush())
        if not self._gzip.eof:
            raise BadAnswer("the PDS answered with a compressed body that was cut")
        return rest

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise BadAnswer(f"the PDS answered with more than {self._limit} bytes")
        return piece
