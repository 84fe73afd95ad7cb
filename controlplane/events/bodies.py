"""From a request body to the records in it: bounded, decompressed without trust, split without losing a record."""

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import orjson
import zstandard

from controlplane.events.decoding import keys_are_unique

MAX_BODY = 16 * 2**20
MAX_DECOMPRESSED = 64 * 2**20
MAX_RECORDS = 10_000
MAX_ZSTD_WINDOW = 8 * 2**20
CHUNK = 256 * 1024
READ_SECONDS = 30.0

_python_json = json.JSONDecoder()

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class BodyRefused(Exception):
    """The body as a whole cannot be taken. `status` is the HTTP answer."""

    def __init__(self, status: int, code: str, detail: str, remedy: str, *, field: str = "body") -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy
        self.field = field


class ClientGone(Exception):
    """The sender left before its body was complete."""


async def read_body(receive: Receive, *, announced: int | None, limit: int = MAX_BODY) -> bytes:
    """The whole request body. Raises BodyRefused when it is too large or too slow, ClientGone when cut off."""
    if announced is not None and announced > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise BodyRefused(
            408, "body_too_slow", f"the body did not arrive within {READ_SECONDS:g} s", "send smaller batches"
        ) from None


def decompress(body: bytes, encoding: str, *, limit: int = MAX_DECOMPRESSED) -> bytes:
    """The body without its `Content-Encoding`. Never makes more than `limit` bytes; raises BodyRefused."""
    if encoding in ("", "identity"):
        return body
    try:
        if encoding == "gzip":
            return _gunzip(body, limit)
        if encoding == "zstd":
            return _unzstd(body, limit)
    except (zlib.error, zstandard.ZstdError) as error:
        raise BodyRefused(
            400,
            "malformed_encoding",
            f"the body is not valid {encoding}: {error}",
            f"compress it with {encoding}",
        ) from None
    raise BodyRefused(
        415, "unknown_encoding", f"Content-Encoding {encoding[:40]!r} is not known", "use gzip, zstd or none",
        field="Content-Encoding",
    )  # fmt: skip


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size, rest = 0, body
    while rest:
        member = zlib.decompressobj(wbits=31)
        part = member.decompress(rest, limit - size + 1)
        size += len(part)
        parts.append(part)
        if size > limit:
            raise _too_large(limit, "decompressed ")
        if not member.eof:
            raise zlib.error("it ends in the middle")
        rest = member.unused_data
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
    with decompressor.stream_reader(body, read_across_frames=True) as reader:
        while part := reader.read(CHUNK):
            size += len(part)
            if size > limit:
                raise _too_large(limit, "decompressed ")
            parts.append(part)
    if size == 0 or not _zstd_is_whole(body):
        raise zstandard.ZstdError("it ends in the middle")
    return b"".join(parts)


def _zstd_is_whole(body: bytes) -> bool:
    """Does the last frame end? The stream reader takes a cut-off frame for the end of the data."""
    rest = body
    while rest:
        frame = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).decompressobj()
        for start in range(0, len(rest), CHUNK):
            frame.decompress(rest[start : start + CHUNK])
            if frame.eof:
                rest = frame.unused_data + rest[start + CHUNK :]
                break
        else:
            return False
    return True


def split(body: bytes, *, lines_declared: bool) -> list[bytes]:
    """The records of a body: of a JSON array, a single object, or one per line. Blank lines are no records.

    With `lines_declared` (an NDJSON content type) every line is a record, readable or not. Otherwise a body in which
    nothing can be read is refused as a whole. Raises BodyRefused.
    """
    text = body.strip()
    if not text:
        raise BodyRefused(
            400, "empty_body", "the body is empty", "send a JSON array, an object, or one event per line"
        )
    if text.startswith(b"[") and not lines_declared:
        return list(_elements(text))
    if text.startswith(b"{") and not lines_declared and _is_json(text):
        return [text]
    if text.count(b"\n") > 2 * MAX_RECORDS:
        raise _too_many()
    records = [record for line in text.split(b"\n") if (record := line.strip())]
    if len(records) > MAX_RECORDS:
        raise _too_many()
    if not lines_declared and not any(_is_json(record) for record in records):
        raise _unreadable(text)
    return records


def _elements(text: bytes) -> Iterator[bytes]:
    """The elements of a JSON array, each as bytes of its own."""
    try:
        elements = orjson.loads(text)
    except ValueError:
        raise _unreadable(text) from None
    if len(elements) > MAX_RECORDS:
        raise _too_many()
    if keys_are_unique(text, elements):
        try:
            return iter([orjson.dumps(element) for element in elements])
        except TypeError:
            pass  # one is nested too deeply to be spelled again: cut the text instead
    return _slices(text.decode(), len(elements))


def _slices(text: str, count: int) -> Iterator[bytes]:
    """The elements of the array as they stand in `text`, which is known to be valid JSON with `count` elements."""
    end = 1
    for _ in range(count):
        start = _skip(text, end)
        end = _end_of_value(text, start)
        yield text[start:end].encode()


def _skip(text: str, position: int) -> int:
    while text[position] in " \t\r\n,":
        position += 1
    return position


def _end_of_value(text: str, start: int) -> int:
    """Where the JSON value that begins at `start` ends."""
    try:
        return _python_json.raw_decode(text, start)[1]
    except RecursionError:
        return _closing_bracket(text, start)


def _closing_bracket(text: str, start: int) -> int:
    """The same by counting brackets, for an object or array too deep to be decoded."""
    depth, position, in_string = 0, start, False
    while True:
        character = text[position]
        if in_string:
            if character == "\\":
                position += 1
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        position += 1
        if depth == 0 and not in_string:
            return position


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _unreadable(text: bytes) -> BodyRefused:
    reason = "it is not valid UTF-8"
    try:
        json.loads(text.decode())
    except UnicodeDecodeError:
        pass
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    else:
        reason = "it holds a number or character outside JSON"
    return BodyRefused(
        400,
        "malformed_body",
        f"the body cannot be read as JSON: {reason}",
        "send a JSON array, or one event per line",
    )


def _too_large(limit: int, what: str = "") -> BodyRefused:
    return BodyRefused(
        413,
        "body_too_large",
        f"the {what}body is larger than {limit // 2**20} MiB",
        "split it into several requests",
    )


def _too_many() -> BodyRefused:
    return BodyRefused(
        413,
        "too_many_records",
        f"the body holds more than {MAX_RECORDS} records",
        "split it into several requests",
    )
