"""Many people at once: what was committed is published, in an order that loses nothing, whatever else goes wrong."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connections, transaction

from controlplane.core.actors import Actor
from controlplane.core.canonical import digest
from controlplane.core.models import OpenFinding
from controlplane.rulesets import selectors, services
from controlplane.rulesets.models import Revision
from tests.rulesets import sources

CONNECTIONS = 8
OPERATIONS = 200
RECORDS = 20
LONGEST_DELAY = 0.03
SEED = 20261123


def now() -> datetime:
    return datetime.now(UTC)


class Storm:
    """Two hundred saves of twenty records, each followed after a moment by a publish, and a switch in the middle."""

    def __init__(self, operator: Actor) -> None:
        self._operator = operator
        self.answers: list[str] = []
        self.switch: services.Published | None = None
        self.switch_seconds = 0.0
        self.head_before_switch = 0
        self._halfway = threading.Event()

    def save(self, number: int, *, factor: float, delay: float) -> None:
        sources.boost(f"rule-{number % RECORDS:02d}", factor)
        time.sleep(delay)
        self.answers.append(services.carry("production")["status"])
        if len(self.answers) >= OPERATIONS // 2:
            self._halfway.set()

    def throw(self) -> None:
        """The switch, when there is already an override that no schema accepts."""
        sources.boost("rule-broken", 0.5)
        began = time.monotonic()
        with services.publishing("production", wait=services.SWITCH_WAIT), transaction.atomic():
            before = selectors.head("production")
            self.head_before_switch = before.number if before else 0
            sources.switch("recall", ["a"])
            self.switch = services.publish_switch(
                sources.switches("production", now()),
                environment="production",
                cause="kill switch recall",
                at=now(),
                actor=self._operator,
            )
        self.switch_seconds = time.monotonic() - began

    def throw_halfway(self) -> None:
        assert self._halfway.wait(60)
        self.throw()


def in_thread(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connections.close_all()


def switches_in(revision: Revision) -> list[str]:
    return [body["key"] for body in selectors.sections(revision)["shared"]["kill_switches"]]


@pytest.fixture
def storm(production: str, operator: Actor) -> Storm:
    """What is left when the storm is over and the broken override has been repaired."""
    rng = random.Random(SEED)
    storm = Storm(operator)
    work: list[Callable[[], None]] = []
    for number in range(OPERATIONS):
        factor, delay = 1 + rng.randint(1, 900) / 100, rng.uniform(0, LONGEST_DELAY)

        def save(number: int = number, factor: float = factor, delay: float = delay) -> None:
            storm.save(number, factor=factor, delay=delay)

        work.append(save)
    services.publish("production", cause="before the storm", at=now())
    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        thrown = pool.submit(in_thread, storm.throw_halfway)
        for done in [pool.submit(in_thread, each) for each in work]:
            done.result(120)
        thrown.result(120)
    return storm


def test_storm__when_it_is_over__the_head_equals_a_compile_from_scratch(storm: Storm) -> None:
    assert len(storm.answers) == OPERATIONS
    assert {row.subject for row in OpenFinding.objects.filter(code="invalid_ruleset", resolved_at=None)} == {
        "overrides.override:rule-broken"
    }
    sources.remove("overrides", "rule-broken")
    services.publish("production", cause="repaired", at=now())

    head = selectors.head("production")
    assert head is not None
    scratch = services.compiled_sections("production", at=now())
    assert selectors.sections(head) == scratch
    assert {name: digest(body) for name, body in scratch.items()} == head.manifest["sections"]
    assert len(scratch["surface:home-feed"]["overrides"]) == RECORDS

    numbers = sorted(Revision.objects.values_list("number", flat=True))
    assert numbers == list(range(1, head.number + 1))
    assert all(each.previous == each.number - 1 for each in Revision.objects.all())
    assert "published" in storm.answers

    # The switch: at once, in every revision from then on, and not delayed by the broken override.
    assert storm.switch is not None
    assert storm.switch.changed
    assert storm.switch.revision == storm.head_before_switch + 1
    later = list(Revision.objects.filter(number__gte=storm.switch.revision).order_by("number"))
    assert [each.number for each in later if switches_in(each) != ["recall"]] == []
    earlier = Revision.objects.get(number=storm.head_before_switch)
    assert switches_in(earlier) == []
    assert storm.switch_seconds < 5
