"""MovieLens (small): a real catalogue of films with genres, and what people rated.

Layout: `movies.csv` (movieId, title, genres) and `ratings.csv` (userId, movieId, rating, timestamp in epoch seconds).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from experiments.importing.files import number, rows
from experiments.importing.parts import Import

KEY: Final = "movielens"
RATING: Final = "rating"
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")
_NO_GENRES: Final = "(no genres listed)"


def run(directory: Path, job: Import) -> None:
    """Take in the films as items and the ratings as value events."""
    job.surface(KEY, title="MovieLens", slots=20)
    job.items(items(directory))
    job.events(events(directory))


def items(directory: Path) -> Iterator[dict[str, Any]]:
    """The films as the catalogue takes them."""
    for _, row in rows(directory / "movies.csv", ("movieId", "title", "genres")):
        year = _YEAR.search(row["title"])
        genres = [] if row["genres"] == _NO_GENRES else row["genres"].split("|")
        yield {
            "item_id": f"{KEY}:{row['movieId']}",
            "title": row["title"],
            "provider": KEY,
            "attributes": {"genres": genres, **({"year": int(year[1])} if year else {})},
        }


def events(directory: Path) -> Iterator[dict[str, Any]]:
    """One value event per rating, in stars."""
    path = directory / "ratings.csv"
    for line, row in rows(path, ("userId", "movieId", "rating", "timestamp")):
        moment = datetime.fromtimestamp(number(path, line, "timestamp", row["timestamp"]), tz=UTC)
        yield {
            "event_id": f"{KEY}:{row['userId']}:{row['movieId']}",
            "type": "value",
            "name": RATING,
            "occurred_at": moment.isoformat(),
            "unit_ids": {"user": f"{KEY}:{row['userId']}"},
            "item_id": f"{KEY}:{row['movieId']}",
            "value": number(path, line, "rating", row["rating"]),
        }
