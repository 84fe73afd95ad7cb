"""The last good ruleset on disk, so that a restarted host decides before the network answers."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1


def identity(*, token: str, environment: str | None) -> str:
    """A name for files of one token in one environment that gives neither away."""
    return hashlib.sha256(f"{environment or ''}\n{token}".encode()).hexdigest()[:24]


def private_directory(path: Path) -> Path:
    """Make a folder only its owner can enter; an existing one is left as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@dataclass(frozen=True, slots=True)
class Cached:
    """What was read back: the document, its ETag, and when the server last confirmed it."""

    document: Mapping[str, Any]
    etag: str | None
    confirmed_at: datetime


class RulesetCache:
    """One file: a header line with digest and ETag, then the document as it was received.

    Written beside and renamed over, mode 0600; its modification time is when the server last confirmed it.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self.path = directory / f"ruleset-{name}.json"

    def write(self, *, body: bytes, etag: str | None, confirmed_at: datetime) -> None:
        """Replace the file atomically. Raises OSError."""
        private_directory(self._directory)
        header = {"format": FORMAT, "sha256": hashlib.sha256(body).hexdigest(), "etag": etag}
        handle, beside = tempfile.mkstemp(prefix=".ruleset-", dir=self._directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(header).encode() + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            os.utime(beside, (confirmed_at.timestamp(), confirmed_at.timestamp()))
            Path(beside).replace(self.path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def confirm(self, at: datetime) -> None:
        """Note that the server still serves this document. Raises OSError."""
        os.utime(self.path, (at.timestamp(), at.timestamp()))

    def read(self) -> Cached | None:
        """The cached ruleset, or None when there is none. Raises ValueError when the file is damaged, OSError."""
        try:
            with self.path.open("rb") as file:
                confirmed = os.fstat(file.fileno()).st_mtime
                raw = file.read()
        except FileNotFoundError:
            return None
        first, _, body = raw.partition(b"\n")
        header = json.loads(first)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"{self.path}: not a ruleset file of this format")
        if hashlib.sha256(body).hexdigest() != header.get("sha256"):
            raise ValueError(f"{self.path}: the content does not match its digest")
        etag = header.get("etag")
        return Cached(
            document=json.loads(body),
            etag=etag if isinstance(etag, str) else None,
            confirmed_at=datetime.fromtimestamp(confirmed, tz=UTC),
        )
