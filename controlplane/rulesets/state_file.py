"""What a serving process needs to start without a database: one JSON file, written whole or not at all, 0600."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = 1


def write(path: Path, content: dict[str, Any], *, at: datetime) -> None:
    """Replace the file. Raises OSError; the old file then stands."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(
                {"format": FORMAT, "written_at": at.isoformat(), **content}, file, separators=(",", ":")
            )
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], datetime] | None:
    """Content and time of writing; None when there is no file. Raises OSError or ValueError for one that is unfit."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    stored = json.loads(text)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ValueError(f"{path} is not a state file of format {FORMAT}")
    return stored, datetime.fromisoformat(stored["written_at"])
