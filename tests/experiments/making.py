"""Makes experiments, and results of them from events that stand in memory."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.catalog import services as catalog
from controlplane.catalog.models import Environment
from controlplane.core.actors import Actor
from controlplane.evidence import services as evidence
from controlplane.evidence.analysis import analyse
from controlplane.evidence.documents import result_document
from controlplane.evidence.models import Analysis
from experiments import services
from experiments.models import Experiment
from tests.evidence import lakes

START = lakes.START
NOW = START + timedelta(days=14)
ADMIN = Actor(kind="user", id="0", name="root", grants=frozenset({("admin", None)}))
ANALYST = Actor(kind="user", id="1", name="ana", grants=frozenset({("analyst", None)}))
VIEWER = Actor(kind="user", id="2", name="vic", grants=frozenset({("viewer", None)}))
METRICS: Mapping[str, Mapping[str, str]] = {
    "purchase": {"kind": "proportion", "event_type": "conversion", "name": "purchase", "aggregation": "any"},
    "returns": {
        "kind": "proportion", "event_type": "conversion", "name": "return", "aggregation": "any", "direction": "decrease",
    },
    "revenue": {
        "kind": "mean", "event_type": "value", "name": "revenue", "aggregation": "sum", "value_field": "value", "unit": "EUR",
    },
}  # fmt: skip
TITLES = {"purchase": "Shoppers who buy", "returns": "Shoppers who return", "revenue": "Revenue per shopper"}


def ground() -> None:
    """An environment, two surfaces, an audience and three metrics."""
    at = START - timedelta(days=1)
    for key in ("production", "staging"):
        Environment.objects.create(key=key, name=key.capitalize(), created_at=at)
    for key in ("home-feed", "search"):
        surface = catalog.create_surface(
            key=key,
            title=key.capitalize(),
            owner="root",
            content={"kind": key, "slots": 6},
            actor=ADMIN,
            at=at,
        )
        catalog.publish_surface(surface, environment="production", actor=ADMIN, at=at)
    catalog.create_audience(
        key="gold",
        title="Gold",
        owner="root",
        content={"condition": {"surface": "search"}},
        actor=ADMIN,
        at=at,
    )
    for key, content in METRICS.items():
        evidence.create_metric(
            key=key,
            title=TITLES[key],
            owner="root",
            content=content,
            environment="production",
            actor=ADMIN,
            at=at,
        )


def content(**changes: Any) -> dict[str, Any]:
    """Half control, half treatment, everybody on the home feed."""
    return {
        "hypothesis": "More will buy.",
        "surfaces": ["home-feed"],
        "arms": [
            {"key": "control", "title": "Control", "weight": 5000, "parameters": {}},
            {"key": "treatment", "title": "Personal", "weight": 5000, "parameters": {"ranker": "personal"}},
        ],
        "coverage": 10_000,
        "primary_metric": "purchase",
        "metrics": ["purchase", "revenue"],
        **changes,
    }


def draft(key: str = "checkout", **changes: Any) -> Experiment:
    return services.create_experiment(
        key=key, title="The checkout", owner="ana", content=content(**changes), actor=ANALYST, at=START
    )


def started(key: str = "checkout", **changes: Any) -> Experiment:
    return services.start_experiment(draft(key, **changes), environment="production", actor=ANALYST, at=START)


def published(
    key: str = "checkout", *, sizes_fixed: bool = False, note: str = "", **changes: Any
) -> Experiment:
    """An experiment that ran elsewhere."""
    return services.import_experiment(
        key=key, title="The checkout", owner="ana", content=content(**changes), started_at=START, ended_at=NOW,
        sizes_fixed=sizes_fixed, unit_note=note, actor=ANALYST, at=NOW,
    )  # fmt: skip


def events(
    sizes: Mapping[str, int], rates: Mapping[str, float], *, experiment: str = "checkout", seed: int = 1
) -> list[dict[str, Any]]:
    """So many units in each arm, of which so many buy, most of them spending around twenty."""
    rng = random.Random(seed)
    rows = []
    for arm, size in sizes.items():
        for unit in range(size):
            user, at = f"{arm}-{unit}", rng.uniform(0, 300)
            rows.append(
                lakes.exposure(
                    user, arm, at, experiment=experiment, surface=rng.choice(["home-feed", "search"])
                )
            )
            if unit < rates[arm] * size:
                rows += [
                    lakes.purchase(user, at + 1),
                    lakes.revenue(user, at + 1, float(rng.randrange(10, 31))),
                ]
    return rows


def result(experiment: Experiment, rows: Sequence[Mapping[str, Any]], *, until: datetime = NOW) -> Analysis:
    """A stored result of the rows, made by the analysis itself."""
    request = services.analysis_request(experiment, environment="production", until=until)
    document = result_document(analyse(lakes.events_table(rows), request, lake_version=3))
    return Analysis.objects.create(
        subject=experiment.subject, environment="production", as_of=until, population=request.population.to_json(),
        request=request.to_json(), method=document["method"], version=document["version"], seed=None,
        alpha=request.plan.alpha, inputs_digest=document["inputs_digest"], sql=document.pop("sql"), result=document,
        lake_version=3, created_at=datetime.now(UTC), created_by="ana",
    )  # fmt: skip
