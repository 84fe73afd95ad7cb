"""Importers on small files of the publishers' layouts: what comes in, and what a damaged file is told."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.core.actors import Actor
from controlplane.core.errors import InvalidInput, NotFound
from experiments.importing import asos, cookiecats, movielens, openbandit
from experiments.importing.parts import Import

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _job() -> Import:
    return Import(environment="production", actor=Actor.system("importer"), at=NOW, owner="tests")


def test_openbandit_events__a_click__is_an_impression_with_its_propensity_and_a_click(tmp_path: Path) -> None:
    _write(
        tmp_path / "bts" / "men" / "men.csv",
        ",timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0,user-item_affinity_1\n"
        "7,2019-11-24 00:03:13.442536+00:00,14,3,1,0.25,abc,0.0,2.5\n",
    )
    impression, click = openbandit.events(tmp_path, "bts", "men")
    assert impression == {
        "event_id": "open-bandit:bts:men:7:impression",
        "type": "impression",
        "occurred_at": "2019-11-24T00:03:13.442536+00:00",
        "surface": "open-bandit-men",
        "unit_ids": {"request": "bts:men:7"},
        "assignments": [{"experiment": "open-bandit", "phase": 1, "arm": "bts"}],
        "items": [{"id": "men:14", "position": 3, "item_propensity": 0.25, "is_visible": True}],
        "properties": {"user_feature_0": "abc", "user_item_affinity": {"1": 2.5}},
    }
    assert click == {
        "event_id": "open-bandit:bts:men:7:click",
        "type": "click",
        "occurred_at": "2019-11-24T00:03:13.442536+00:00",
        "surface": "open-bandit-men",
        "unit_ids": {"request": "bts:men:7"},
        "item_id": "men:14",
        "position": 3,
    }


def test_cookiecats_events__a_player__has_an_exposure_rounds_and_the_days_of_returning(
    tmp_path: Path,
) -> None:
    _write(
        tmp_path / "cookie_cats.csv",
        "userid,test_version,sum_gamerounds,retention_1,retention_7\n116,gate_30,3,False,True\n",
    )
    told = [(event["type"], event.get("name"), event["occurred_at"]) for event in cookiecats.events(tmp_path)]
    assert told == [
        ("exposure", None, "2016-01-01T00:00:00+00:00"),
        ("value", "game_rounds", "2016-01-01T00:00:00+00:00"),
        ("conversion", "retention_7", "2016-01-08T00:00:00+00:00"),
    ]


def test_movielens_items__title_genres_and_year__without_genres_an_empty_list(tmp_path: Path) -> None:
    _write(
        tmp_path / "movies.csv",
        'movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n2,"Film, nameless",(no genres listed)\n',
    )
    assert list(movielens.items(tmp_path)) == [
        {
            "item_id": "movielens:1",
            "title": "Toy Story (1995)",
            "provider": "movielens",
            "attributes": {"genres": ["Adventure", "Comedy"], "year": 1995},
        },
        {
            "item_id": "movielens:2",
            "title": "Film, nameless",
            "provider": "movielens",
            "attributes": {"genres": []},
        },
    ]


def test_asos_read__each_variant__is_a_comparison_with_its_own_control(tmp_path: Path) -> None:
    _write(
        tmp_path / asos.FILE,
        ",".join(asos.COLUMNS)
        + "\na1,2,1,1.5,10.0,11.0,0.5,0.6,0.25,0.24\na1,3,1,1.5,12.0,13.0,0.5,0.7,0.25,\n",
    )
    found = asos.read(tmp_path)
    assert list(found) == ["asos-a1-2", "asos-a1-3"]
    assert [(row.arm, row.n, row.mean) for row in found["asos-a1-2"]] == [
        ("control", 10, 0.5),
        ("treatment", 11, 0.6),
    ]
    assert str(found["asos-a1-3"][1].variance) == "nan"


@pytest.mark.parametrize(
    ("read", "file", "text", "message"),
    [
        (
            cookiecats.events,
            "cookie_cats.csv",
            "userid,test_version\n1,gate_30\n",
            "has no column retention_1",
        ),
        (
            cookiecats.events,
            "cookie_cats.csv",
            "userid,test_version,sum_gamerounds,retention_1,retention_7\n1,gate_50,3,False,False\n",
            "line 2: test_version is 'gate_50'",
        ),
        (
            cookiecats.events,
            "cookie_cats.csv",
            "userid,test_version,sum_gamerounds,retention_1,retention_7\n1,gate_30,many,False,False\n",
            "line 2: sum_gamerounds is 'many', not a number",
        ),
        (
            cookiecats.events,
            "cookie_cats.csv",
            "userid,test_version,sum_gamerounds,retention_1,retention_7\n1,gate_30,3,maybe,False\n",
            "line 2: retention_1 is 'maybe', neither true nor false",
        ),
        (
            movielens.events,
            "ratings.csv",
            "userId,movieId,rating,timestamp\n1,2,4.0\n",
            "line 2: the row has the wrong number of columns",
        ),
    ],
)
def test_events__damaged_file__names_file_line_and_column(
    read: Callable[[Path], object], file: str, text: str, message: str, tmp_path: Path
) -> None:
    _write(tmp_path / file, text)
    with pytest.raises(InvalidInput) as caught:
        list(read(tmp_path))  # type: ignore[call-overload]  # every reader is iterable
    assert message in caught.value.detail
    assert file in caught.value.detail


@pytest.mark.django_db
def test_run__folder_without_the_set__says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        asos.run(tmp_path, _job())
    assert asos.FILE in caught.value.detail
