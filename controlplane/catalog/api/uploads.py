"""Bodies of NDJSON uploads: read within limits, unpacked, cut into lines."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from controlplane.core.api.problems import BodyTooLarge
from controlplane.core.errors import FieldError, InvalidInput

MAX_SENT: Final = 64 * 2**20
MAX_UNPACKED: Final = 256 * 2**20
_CHUNK: Final = 2**18


def unreadable(why: str) -> InvalidInput:
    """The refusal of a body that cannot be read as a whole."""
    remedy = "Send one JSON object per line, plain or gzipped as one stream."
    return InvalidInput(f"The body cannot be read: {why}.", errors=[FieldError("", why, remedy)])


class NdjsonParser(BaseParser):
    """The body as bytes, at most `MAX_SENT`; `lines` unpacks it and cuts it up."""

    media_type = "application/x-ndjson"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body: bytes = stream.read(MAX_SENT + 1)
        if len(body) > MAX_SENT:
            raise BodyTooLarge(f"The body is larger than {MAX_SENT // 2**20} MiB; send it in parts.")
        return body


class JsonLinesParser(NdjsonParser):
    media_type = "application/jsonl"


def lines(body: bytes, *, encoding: str) -> Iterator[bytes]:
    """The body's lines. Raises, before the first of them, what is wrong with its compression or size.

    encoding: the value of Content-Encoding, `gzip` or nothing.
    """
    if encoding.lower() in {"", "identity"}:
        return _cut(iter([body]))
    if encoding.lower() != "gzip":
        raise UnsupportedMediaType(encoding, detail="Send the lines plain or with Content-Encoding: gzip.")
    unpacked = sum(map(len, _unpack(body)))
    if unpacked > MAX_UNPACKED:
        raise BodyTooLarge(f"The lines are larger than {MAX_UNPACKED // 2**20} MiB; send them in parts.")
    return _cut(_unpack(body))


def _unpack(body: bytes) -> Iterator[bytes]:
    """Chunks of the gzip members, no further than just past the limit."""
    total, rest = 0, body
    while rest:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                chunk = member.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise unreadable(f"it is not gzip ({error})") from error
            rest = member.unconsumed_tail
            if not chunk and not rest and not member.eof:
                raise unreadable("it is cut off in the midst of the gzip stream")
            total += len(chunk)
            yield chunk
            if total > MAX_UNPACKED:
                return
        rest = member.unused_data


def _cut(chunks: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for chunk in chunks:
        *whole, left = (left + chunk).split(b"\n")
        yield from whole
    if left:
        yield left
