"""Findings as people meet them: since when, last confirmed when, gone when."""

from datetime import timedelta

import pytest

from controlplane.core import open_findings
from controlplane.core.findings import Finding, Severity
from controlplane.core.models import OpenFinding
from tests.core.conftest import AT

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(hours=1)


def finding(code: str, subject: str = "tests.thing:1", severity: Severity = Severity.WARNING) -> Finding:
    return Finding(code, severity, subject, f"{code} of {subject}", {"seen": 1})


def rows() -> list[tuple[object, ...]]:
    return list(
        OpenFinding.objects.order_by("pk").values_list(
            "code", "subject", "severity", "first_seen_at", "last_seen_at", "resolved_at"
        )
    )


def test_replace__repeated_new_and_gone__are_told_apart() -> None:
    assert open_findings.replace("checks", [finding("a"), finding("b")], at=AT) == 2

    assert (
        open_findings.replace("checks", [finding("b", severity=Severity.ERROR), finding("c")], at=LATER) == 2
    )

    assert rows() == [
        ("a", "tests.thing:1", "warning", AT, AT, LATER),
        ("b", "tests.thing:1", "error", AT, LATER, None),
        ("c", "tests.thing:1", "warning", LATER, LATER, None),
    ]


def test_replace__gone_and_back__opens_anew() -> None:
    for found, at in (([finding("a")], AT), ([], AT), ([finding("a")], LATER)):
        open_findings.replace("checks", found, at=at)

    assert [row[3:] for row in rows()] == [(AT, AT, AT), (LATER, LATER, None)]


def test_replace__another_source_or_environment__is_left_alone() -> None:
    open_findings.replace("checks", [finding("a")], at=AT)
    open_findings.replace("checks", [finding("a")], at=AT, environment="staging")
    open_findings.replace("others", [finding("a")], at=AT)

    open_findings.replace("checks", [], at=LATER)

    assert list(OpenFinding.objects.filter(resolved_at=None).values_list("source", "environment")) == [
        ("checks", "staging"),
        ("others", ""),
    ]


def test_replace__the_same_twice_at_once__is_one_row() -> None:
    assert open_findings.replace("checks", [finding("a"), finding("a")], at=AT) == 1

    assert len(rows()) == 1
