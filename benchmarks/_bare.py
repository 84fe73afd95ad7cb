"""The least ASGI app that answers a poll: fixed bytes, a fixed tag, and 304 when the caller has it already.

Run by granian as the baseline; the bytes and headers are those the product answered, handed over in a file.
"""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_ANSWER = json.loads(Path(os.environ["BENCH_ANSWER"]).read_text(encoding="utf-8"))
_BODY = bytes.fromhex(_ANSWER["body"])
_ETAG = _ANSWER["etag"].encode()
_HEADERS = [(name.encode(), value.encode()) for name, value in _ANSWER["headers"]]
_HEADERS_304 = [
    pair for pair in _HEADERS if pair[0] not in {b"content-length", b"content-type", b"content-encoding"}
]


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer every request with the fixed document."""
    if scope["type"] != "http":
        return
    if any(name == b"if-none-match" and value == _ETAG for name, value in scope["headers"]):
        await send({"type": "http.response.start", "status": 304, "headers": _HEADERS_304})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})
