"""The storm with the product's own records: operations on overrides, a kill switch, and a record that is broken in place."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
from django.db import connections

from controlplane.catalog import services as catalog
from controlplane.core.actors import Actor
from controlplane.core.models import AuditEvent, OpenFinding
from controlplane.rulesets import selectors, services
from controlplane.rulesets.models import Revision
from governance.guardrails import services as guardrails
from overrides import services as overrides
from overrides.models import Override

ADMIN = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))
HERE = "production"
RECORDS = 20
CONNECTIONS = 8
OPERATIONS = 200
SEED = 4


def now() -> datetime:
    return datetime.now(UTC)


def content(factor: float) -> dict[str, object]:
    return {"type": "boost", "condition": {"available": True}, "factor": factor, "reason": "launch"}


def make(key: str) -> Override:
    override = overrides.create_override(
        key=key, title=key, owner="Ada", content=content(1.5), actor=ADMIN, at=now()
    )
    return overrides.publish_override(override, environment=HERE, actor=ADMIN, at=now())


@pytest.fixture
def records(transactional_db: None) -> list[Override]:
    """Twenty live boosts on one surface."""
    catalog.create_environment(key=HERE, name="Production", kind="production", actor=ADMIN, at=now())
    surface = catalog.create_surface(
        key="home-feed",
        title="Home feed",
        owner="Ada",
        content={"kind": "home-feed", "slots": 6},
        actor=ADMIN,
        at=now(),
    )
    catalog.publish_surface(surface, environment=HERE, actor=ADMIN, at=now())
    made = [make(f"boost-{number:02d}") for number in range(RECORDS)]
    services.publish(HERE, cause="before the storm", at=now())
    return made


def break_in_place(override: Override) -> None:
    """Point the record at a version no operation would have saved."""
    broken = override.versions.create(
        number=999, content={"type": "boost"}, digest="0" * 64, created_by="nobody", created_at=now()
    )
    override.point(HERE, broken, at=now())


class Thrown:
    """The kill switch of the storm: when half of the operations are done, beside a broken override."""

    def __init__(self) -> None:
        self.halfway = threading.Event()
        self.revision = 0
        self.seconds = 0.0

    def throw(self, victim: Override) -> None:
        assert self.halfway.wait(90)
        break_in_place(victim)
        began = time.monotonic()
        _, self.revision = guardrails.throw_kill_switch(
            key="recall",
            environment=HERE,
            kind="block_items",
            items=["item-1"],
            reason="recall",
            actor=ADMIN,
            at=now(),
        )
        self.seconds = time.monotonic() - began


def on_a_connection_of_its_own(work: Callable[[], object]) -> None:
    try:
        work()
    finally:
        connections.close_all()


def switches_in(revision: Revision) -> list[str]:
    return [body["key"] for body in selectors.sections(revision)["shared"]["kill_switches"]]


def test_storm__of_operations__head_is_a_compile_from_scratch_and_keeps_the_switch(
    records: list[Override],
) -> None:
    rng = random.Random(SEED)
    thrown = Thrown()
    victim = make("victim")
    services.publish(HERE, cause="the victim", at=now())
    done: list[str] = []
    before = AuditEvent.objects.count()

    def save_and_publish(override: Override, factor: float, delay: float) -> None:
        saved = overrides.save_override(
            Override.objects.get(pk=override.pk), content=content(factor), actor=ADMIN, at=now()
        )
        overrides.publish_override(saved, environment=HERE, actor=ADMIN, at=now())
        time.sleep(delay)
        services.carry(HERE)
        done.append(override.key)
        if len(done) >= OPERATIONS // 4:
            thrown.halfway.set()

    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        switch = pool.submit(on_a_connection_of_its_own, lambda: thrown.throw(victim))
        running = []
        for number in range(OPERATIONS // 2):
            one, factor, delay = (
                records[number % RECORDS],
                1 + rng.randint(1, 900) / 100,
                rng.uniform(0, 0.05),
            )
            running.append(
                pool.submit(
                    on_a_connection_of_its_own,
                    partial(save_and_publish, one, factor, delay),
                )
            )
        for each in [*running, switch]:
            each.result(150)

    assert AuditEvent.objects.count() - before == OPERATIONS + 1
    services.publish(HERE, cause="after the storm", at=now())
    assert (
        OpenFinding.objects.filter(source="rulesets.publish", severity="error", resolved_at=None).count() == 1
    )
    victim.unpoint(HERE)
    services.publish(HERE, cause="repaired", at=now())
    head = selectors.head(HERE)
    assert head is not None
    scratch = services.compiled_sections(HERE, at=now())
    assert selectors.sections(head) == scratch
    live = {record.key: record.live(HERE) for record in Override.objects.filter(pointers__environment=HERE)}
    served = {body["key"]: body["version"] for body in scratch["surface:home-feed"]["overrides"]}
    assert served == {key: version.number for key, version in live.items()}
    assert len(served) == RECORDS

    assert thrown.seconds < 5
    later = Revision.objects.filter(environment=HERE, number__gte=thrown.revision)
    assert later.count() >= 2
    assert [each.number for each in later if switches_in(each) != ["recall"]] == []
    assert switches_in(selectors.revision(HERE, thrown.revision - 1)) == []
