"""Operations on evidence, against a real database: metrics as records, results that stay, imports that
repeat.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import DatabaseError, connection, transaction

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Stale
from controlplane.core.models import AuditEvent, SecurityEvent
from controlplane.evidence import selectors, services
from controlplane.evidence.models import Analysis, ImportedSummary, Metric
from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.services import SummaryRow
from controlplane.stats.answers import Undefined
from controlplane.stats.comparison import Comparison
from tests.evidence.lakes import PURCHASE, population, write_lake
from tests.evidence.test_analysis import shop

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
ANALYST = Actor(kind="user", id="1", name="ana", grants=frozenset({("analyst", None)}))
VIEWER = Actor(kind="user", id="2", name="vic", grants=frozenset({("viewer", None)}))
CONTENT = {"kind": "proportion", "event_type": "conversion", "name": "purchase", "aggregation": "any"}


def made(key: str = "purchase", **changes: Any) -> Metric:
    arguments: dict[str, Any] = {
        "key": key,
        "title": "Purchase",
        "owner": "ana",
        "content": CONTENT,
        "environment": "production",
        "actor": ANALYST,
        "at": NOW,
    }
    return services.create_metric(**{**arguments, **changes})


def test_create_metric__complete__in_use_with_one_audit_event() -> None:
    made()
    spec = selectors.live_specs(["purchase"], environment="production")[0]
    assert (spec.key, spec.title, spec.kind, spec.window_hours) == (
        "purchase",
        "Purchase",
        "proportion",
        None,
    )
    assert list(AuditEvent.objects.values_list("operation", "subject")) == [
        ("evidence.create_metric", "evidence.metric:purchase")
    ]


def test_create_metric__by_a_viewer__nothing_but_a_security_line() -> None:
    with pytest.raises(Forbidden):
        made(actor=VIEWER)
    assert (Metric.objects.count(), AuditEvent.objects.count()) == (0, 0)
    assert SecurityEvent.objects.get().operation == "evidence.create_metric"


def test_create_metric__bad_content__names_field_and_remedy() -> None:
    with pytest.raises(InvalidInput) as refused:
        made(content={**CONTENT, "aggregation": "sum"})
    assert refused.value.errors[0].field == "content.aggregation"
    assert refused.value.errors[0].remedy == "Use any or retention."
    assert Metric.objects.count() == 0


def test_create_metric__key_taken__conflict() -> None:
    made()
    with pytest.raises(Conflict):
        made()


def test_save_metric__new_window__next_version_live_and_the_old_one_kept() -> None:
    metric = services.save_metric(
        metric=made(),
        content={**CONTENT, "window_hours": 72},
        environment="production",
        actor=ANALYST,
        at=NOW,
    )
    assert [v.number for v in metric.versions.all()] == [2, 1]
    assert selectors.live_specs(["purchase"], environment="production")[0].window_hours == 72
    assert metric.versions.get(number=1).content["window_hours"] is None
    assert metric.row_version == 2


def test_save_metric__seen_an_older_state__stale() -> None:
    metric = made()
    with pytest.raises(Stale):
        services.save_metric(
            metric=metric, content=CONTENT, environment="production", actor=ANALYST, at=NOW, expects=7
        )
    assert metric.versions.count() == 1


def test_live_specs__not_in_use_here__not_found() -> None:
    made()
    with pytest.raises(NotFound):
        selectors.live_specs(["purchase"], environment="staging")


@pytest.fixture
def request_with_lake(own_lake: str) -> AnalysisRequest:
    write_lake(Path(urlsplit(own_lake).path), shop(500, rates={"a": 0.1, "b": 0.3}))
    plan = Plan("a", {"a": 5000, "b": 5000}, "purchase")
    return AnalysisRequest("experiments.experiment:checkout", population(), (PURCHASE,), plan)


def test_run_analysis__stored__carries_all_that_made_it(request_with_lake: AnalysisRequest) -> None:
    stored = services.run_analysis(request=request_with_lake, actor=ANALYST, at=NOW)
    assert stored == selectors.latest_analysis("experiments.experiment:checkout", environment="production")
    assert AnalysisRequest.from_json(stored.request) == request_with_lake
    assert stored.result["verdicts"][0]["word"] == "ship"
    assert (stored.version, stored.alpha, stored.seed, stored.created_by) == (1, 0.05, None, "ana")
    assert "SELECT" in stored.sql
    assert "sql" not in stored.result
    event = AuditEvent.objects.get()
    assert (event.operation, event.subject) == ("evidence.run_analysis", "experiments.experiment:checkout")
    assert event.difference["analysis"] == {"to": stored.pk}


def test_run_analysis__by_a_viewer__refused_without_running(request_with_lake: AnalysisRequest) -> None:
    with pytest.raises(Forbidden):
        services.run_analysis(request=request_with_lake, actor=VIEWER, at=NOW)
    assert Analysis.objects.count() == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE evidence_analysis SET alpha = 0.5", "DELETE FROM evidence_analysis"]
)
def test_analysis__changed_afterwards__the_database_refuses(
    statement: str, request_with_lake: AnalysisRequest
) -> None:
    services.run_analysis(request=request_with_lake, actor=ANALYST, at=NOW)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Analysis.objects.get().alpha == 0.05


def rows(*, mean: float = 0.12) -> list[SummaryRow]:
    return [
        SummaryRow("1", "control", 1.5, 10_000, 0.10, 0.09),
        SummaryRow("1", "treatment", 1.5, 10_000, mean, 0.10),
    ]


def imported(lines: list[SummaryRow], at: datetime = NOW) -> dict[str, Any]:
    report = services.import_summaries(subject="asos:036afc", source="asos", rows=lines, actor=ANALYST, at=at)
    return report.to_json()


def test_import_summaries__twice__second_time_unchanged() -> None:
    assert imported(rows())["counts"] == {"created": 2}
    assert imported(rows(), NOW + timedelta(hours=1))["counts"] == {"created": 0, "unchanged": 2}
    assert ImportedSummary.objects.count() == 2
    assert AuditEvent.objects.count() == 2


def test_import_summaries__bad_lines__refused_one_by_one() -> None:
    lines = [
        *rows(),
        SummaryRow("1", "treatment", 2.0, -1, 0.1, 0.1),
        SummaryRow("1", "treatment", 2.0, 10, float("nan"), 0.1),
        SummaryRow("1", "treatment", 2.0, 10, 0.1, -0.1),
        SummaryRow("", "treatment", 2.0, 10, 0.1, 0.1),
        SummaryRow("1", "treatment", 1.5, 10_000, 0.5, 0.1),
    ]
    report = imported(lines)
    assert report["counts"] == {"created": 2}
    assert [(e["line"], e["field"]) for e in report["errors"]] == [
        (2, "n"),
        (3, "mean"),
        (4, "variance"),
        (5, "metric"),
        (6, "checkpoint"),
    ]


def test_imported_comparisons__published_statistics__compared_at_each_checkpoint() -> None:
    imported([*rows(), SummaryRow("1", "treatment", 2.0, 20_000, 0.11, 0.1)])
    first, second = selectors.imported_comparisons("asos:036afc", control="control")
    assert isinstance(first.answer, Comparison)
    assert first.answer.difference == pytest.approx(0.02)
    assert first.answer.standard_error == pytest.approx((0.19 / 10_000) ** 0.5)
    assert isinstance(second.answer, Undefined)
    assert second.answer.reason == "no_units"
    assert selectors.imported_subjects() == ["asos:036afc"]
