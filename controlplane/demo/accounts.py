"""One account per role, and where their passwords are kept between runs on the same data folder."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

ROLES = ("viewer", "merchandiser", "analyst", "compliance", "approver", "operator")


def read_accounts(path: Path, *, create: Callable[[list[str]], Mapping[str, str]]) -> dict[str, str]:
    """Account name to password. ``create`` makes accounts from ``name=role`` when the file does not exist yet.

    The file is readable by its owner alone.
    """
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, dict) and set(ROLES) <= set(kept):
            return {str(name): str(password) for name, password in kept.items()}
    made = dict(create([f"{role}={role}" for role in ROLES]))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=2)
    return made
