"""REST of experiments: from a draft to a result, and what is refused on the way."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from controlplane.core import services as core
from controlplane.core.models import AuditEvent
from experiments.models import Experiment
from tests.evidence import lakes
from tests.experiments.making import ADMIN, content

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_ground")]


class Caller:
    """Speaks REST with a token of one role."""

    def __init__(self, role: str) -> None:
        _, text = core.create_token(
            key=f"t-{role}", name=role, scopes=["rest"], roles=[role], actor=ADMIN, at=datetime.now(UTC)
        )
        self._client = Client(headers={"Authorization": f"Bearer {text}"})

    def send(self, method: str, path: str, body: Any = None, *, seen: int | None = None) -> Any:
        headers = {} if seen is None else {"If-Match": f'"{seen}"'}
        data = "" if body is None else json.dumps(body)
        return self._client.generic(
            method, f"/api/v1/experiments{path}", data, content_type="application/json", headers=headers
        )


@pytest.fixture
def analyst() -> Caller:
    return Caller("analyst")


def create(caller: Caller, **changes: Any) -> Any:
    return caller.send(
        "POST", "", {"key": "checkout", "title": "The checkout", "content": content(**changes)}
    )


def write_traffic() -> None:
    """300 units of each arm, exposed now; half of treatment buys, none of control but ten."""
    hours = (datetime.now(UTC) - lakes.START) / timedelta(hours=1)
    rows = []
    for arm, buyers in (("control", 10), ("treatment", 150)):
        for unit in range(300):
            rows.append(lakes.exposure(f"{arm}-{unit}", arm, hours, surface="home-feed"))
            if unit < buyers:
                rows.append(lakes.purchase(f"{arm}-{unit}", hours))
    lakes.write_lake(Path(urlsplit(settings.LAKE_URL).path), rows)


@pytest.mark.usefixtures("own_lake")
def test_journey__draft_to_result__over_rest_alone(analyst: Caller) -> None:
    made = create(analyst, coverage=5_000)
    assert (made.status_code, made.json()["status"], made["ETag"]) == (201, "draft", '"1"')
    start = analyst.send("POST", "/checkout/start", {"environment": "production"}, seen=1)
    assert (start.status_code, start.json()["status"], start.json()["live"]) == (
        200,
        "running",
        {"production": 1},
    )
    assert start.json()["ruleset"]["status"] == "published"
    ramp = analyst.send(
        "POST", "/checkout/ramp", {"environment": "production", "coverage": 10_000}, seen=2
    ).json()
    assert (ramp["content"]["coverage"], ramp["live"]) == (10_000, {"production": 2})
    assert analyst.send("GET", "/checkout/results").status_code == 404
    write_traffic()
    analysed = analyst.send("POST", "/checkout/analyse", {}, seen=3)
    assert analysed.status_code == 201, analysed.content
    stop = analyst.send("POST", "/checkout/stop", {"environment": "production"}, seen=3).json()
    assert (stop["status"], stop["live"], len(stop["phases"])) == ("stopped", {}, 1)
    result = analyst.send("GET", "/checkout/results").json()
    assert result == analysed.json()
    told = result["result"]
    assert [(arm["arm"], arm["units"]) for arm in told["arms"]] == [("control", 300), ("treatment", 300)]
    assert (told["sample_ratio"]["level"], told["verdicts"][0]["word"]) == ("clear", "ship")
    purchase = told["metrics"][0]["comparisons"][0]
    assert purchase["difference"] == pytest.approx(140 / 300)
    assert list(AuditEvent.objects.order_by("id").values_list("operation", flat=True))[-5:] == [
        "experiments.create_experiment",
        "experiments.start_experiment",
        "experiments.ramp_experiment",
        "evidence.run_analysis",
        "experiments.stop_experiment",
    ]


@pytest.mark.parametrize("verb", ["start", "ramp", "stop", "analyse"])
@pytest.mark.parametrize(("seen", "status"), [(None, 428), (9, 412)])
def test_verb__without_the_version_or_with_another__refused(
    analyst: Caller, verb: str, seen: int | None, status: int
) -> None:
    create(analyst)
    body = {"environment": "production", **({"coverage": 1} if verb == "ramp" else {})}
    assert analyst.send("POST", f"/checkout/{verb}", body, seen=seen).status_code == status
    assert Experiment.objects.get().row_version == 1


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("start", {}, "environment"),
        ("start", {"environment": "nowhere"}, "environment"),
        ("start", {"environment": "production", "version": 0}, "version"),
        ("ramp", {"environment": "production"}, "coverage"),
        ("ramp", {"environment": "production", "coverage": 10_001}, "coverage"),
        ("ramp", {"environment": "production", "coverage": 1, "force": True}, "force"),
        ("stop", {"environment": 7.5, "now": 1}, "now"),
        ("analyse", {"as_of": "yesterday"}, "as_of"),
    ],
)
def test_verb__bad_body__names_the_field_and_changes_nothing(
    analyst: Caller, verb: str, body: dict[str, Any], field: str
) -> None:
    create(analyst)
    answer = analyst.send("POST", f"/checkout/{verb}", body, seen=1)
    assert answer.status_code == 400, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert Experiment.objects.get().row_version == 1


def test_create__content_wrong_in_two_places__names_both(analyst: Caller) -> None:
    answer = create(analyst, coverage=-1, hash_attribute="device")
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {
        "content.coverage",
        "content.hash_attribute",
    }
    assert not Experiment.objects.exists()


def test_start__as_viewer__forbidden(analyst: Caller) -> None:
    create(analyst)
    viewer = Caller("viewer")
    assert viewer.send("GET", "/checkout").status_code == 200
    answer = viewer.send("POST", "/checkout/start", {"environment": "production"}, seen=1)
    assert (answer.status_code, Experiment.objects.get().status) == (403, "draft")
