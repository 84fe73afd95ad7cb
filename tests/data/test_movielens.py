"""MovieLens becomes catalogue and interactions, whole."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from controlplane.catalog.models import Item
from controlplane.events.lake import open_table
from experiments.importing import movielens
from experiments.importing.parts import Import

pytestmark = [pytest.mark.data, pytest.mark.timeout(900)]


def test_movielens__imported__has_every_film_and_every_rating(
    place: Callable[[str], Path], job: Import
) -> None:
    folder = place("movielens")
    with (folder / "movies.csv").open() as file:
        films = list(csv.DictReader(file))
    with (folder / "ratings.csv").open() as file:
        ratings = list(csv.DictReader(file))

    movielens.run(folder, job)

    stored = {item.item_id: item for item in Item.objects.filter(provider="movielens")}
    assert len(stored) == len(films)
    for film in films[:: len(films) // 50]:
        item = stored[f"movielens:{film['movieId']}"]
        assert item.title == film["title"]
        genres = [] if film["genres"] == "(no genres listed)" else film["genres"].split("|")
        assert item.attributes["genres"] == genres
    table = open_table(settings.LAKE_URL)
    assert table is not None
    logged = table.to_pyarrow_table(
        columns=["name", "user_id", "item_id", "value", "occurred_at"]
    ).to_pylist()
    rated = {(row["user_id"], row["item_id"]): row for row in logged if row["name"] == "rating"}
    assert len(rated) == len(ratings)
    assert sum(row["value"] for row in rated.values()) == sum(float(row["rating"]) for row in ratings)
    for row in ratings[:: len(ratings) // 50]:
        stored_row = rated[f"movielens:{row['userId']}", f"movielens:{row['movieId']}"]
        assert stored_row["value"] == float(row["rating"])
        assert int(stored_row["occurred_at"].timestamp()) == int(row["timestamp"])
