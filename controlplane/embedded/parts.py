"""The parts of an installation outside its database, and the names they have in a backup."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ANCHORS = "anchors/audit.jsonl"
# Beat's schedule is a cache of when it last ran; it may be torn while beat writes it, and is made anew.
NOT_KEPT = ("beat-schedule",)


@dataclass(frozen=True)
class Parts:
    """Where they are, and how the database is reached."""

    owner_url: str
    direct_url: str
    lake_url: str
    keys: Path
    anchor_file: Path
    state: Path
    secret_key: str

    @classmethod
    def of(cls, settings: Any) -> "Parts":
        """Those of the installation that Django's settings describe."""
        return cls(
            owner_url=settings.DATABASE_OWNER_URL,
            direct_url=settings.DATABASE_DIRECT_URL,
            lake_url=settings.LAKE_URL,
            keys=Path(settings.KEYS_DIR),
            anchor_file=Path(settings.AUDIT_ANCHOR_FILE),
            state=Path(settings.STATE_DIR),
            secret_key=settings.SECRET_KEY,
        )

    @property
    def lake(self) -> Path | None:
        """The lake's folder; None when it is a store elsewhere, which keeps versions of its own."""
        parts = urlsplit(self.lake_url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    def folders(self) -> dict[str, Path]:
        """Folders by the name they have in a backup."""
        kept = {"keys": self.keys, "state": self.state}
        return kept | ({"lake": self.lake} if self.lake is not None else {})

    def small_files(self) -> Iterator[tuple[str, Path]]:
        """Anchors first, then state and keys, each with its name in a backup."""
        if self.anchor_file.exists():
            yield ANCHORS, self.anchor_file
        for name in ("state", "keys"):
            yield from _files(name, self.folders()[name])

    def lake_files(self) -> Iterator[tuple[str, Path]]:
        if self.lake is not None:
            yield from _files("lake", self.lake)

    def path_of(self, member: str) -> Path | None:
        """Where a member of a backup belongs; None when it is no file of a part."""
        if member == ANCHORS:
            return self.anchor_file
        folder, _, rest = member.partition("/")
        pure = Path(rest)
        if folder not in self.folders() or not rest or pure.is_absolute() or ".." in pure.parts:
            return None
        return self.folders()[folder] / pure


def _files(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith(NOT_KEPT):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
