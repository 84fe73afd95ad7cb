"""What the control plane finds wrong with itself."""

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.core import diagnostics
from controlplane.core.models import AuditEvent, OpenFinding, Reaction

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def _reaction(**changes: object) -> Reaction:
    values: dict[str, object] = {
        "key": "rulesets.publish",
        "operation": "overrides.publish_override",
        "subject": "overrides.override:summer",
        "created_at": NOW,
        "due_at": NOW,
        "attempts": 10,
        "error": "it broke",
    }
    return Reaction.objects.create(**{**values, **changes})


def test_run__reaction_given_up__is_a_finding_until_it_is_gone() -> None:
    dead = _reaction(dead_at=NOW)
    _reaction()

    assert diagnostics.run(at=NOW)["controlplane.core.diagnostics.reactions_given_up"] == 1
    finding = OpenFinding.objects.get(resolved_at__isnull=True)
    assert (finding.code, finding.severity, finding.subject) == (
        "reaction_given_up",
        "error",
        f"core.reaction:{dead.pk}",
    )
    assert "failed 10 times" in finding.message

    dead.delete()
    diagnostics.run(at=NOW + timedelta(minutes=1))
    finding.refresh_from_db()
    assert finding.resolved_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(("age", "found"), [(timedelta(minutes=5), 0), (timedelta(minutes=6), 1)])
def test_trail_not_sealed__by_age_of_the_oldest_unsealed_event(age: timedelta, found: int) -> None:
    AuditEvent.objects.create(
        at=NOW - age, operation="core.grant_role", subject="core.user:1", actor_kind="user", actor_id="1",
        actor_hash="", digest="0" * 64,
    )  # fmt: skip
    assert len(list(diagnostics.trail_not_sealed(at=NOW))) == found


def test_run__a_diagnosis_that_fails__does_not_hide_the_others(settings: object) -> None:
    settings.DIAGNOSTICS = [  # type: ignore[attr-defined]  # pytest-django's settings
        "tests.core.test_diagnostics.broken",
        "controlplane.core.diagnostics.reactions_given_up",
    ]
    _reaction(dead_at=NOW)
    assert diagnostics.run(at=NOW) == {"controlplane.core.diagnostics.reactions_given_up": 1}


def broken(*, at: datetime) -> list[object]:
    raise RuntimeError(f"broken at {at}")
