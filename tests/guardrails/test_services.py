"""Guardrails and kill switches: rights, asymmetry, exact fragments, and switches that come with their revision or not at all."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput
from controlplane.core.fragments import Fragment
from controlplane.core.models import AuditEvent, SecurityEvent
from controlplane.core.policies import ApprovalRequired
from controlplane.engine import Candidate, Request, Ruleset, decide
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from controlplane.rulesets.models import Revision
from governance.guardrails import ruleset, selectors, services
from governance.guardrails.models import Guardrail, GuardrailPointer, GuardrailVersion, KillSwitch
from tests.guardrails.conftest import BLOCK, CLEO, CORA, Make, make_guardrail, stock_signals
from tests.overrides.conftest import AT, LATER, VERA, somebody

database = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)
OPERATOR = somebody("otto", "operator")


def written() -> tuple[int, ...]:
    models: tuple[Any, ...] = (
        Guardrail, GuardrailVersion, GuardrailPointer, KillSwitch, AuditEvent, Revision,
    )  # fmt: skip
    return tuple(model.objects.count() for model in models)


def refused(error: type[Exception], actor: Actor, act: Callable[[], Any]) -> str:
    """What the actor is told; nothing is written but one security line about them."""
    before, lines = written(), SecurityEvent.objects.count()
    with pytest.raises(error) as caught:
        act()
    assert written() == before
    line = SecurityEvent.objects.order_by("-id")[0]
    assert (SecurityEvent.objects.count() - lines, line.actor_id) == (1, actor.id)
    return str(getattr(caught.value, "detail", caught.value))


@database
@pytest.mark.parametrize("role", sorted(set(settings.ROLES) - {"compliance", "admin"}))
def test_create_guardrail__other_roles__are_denied(make: Make, role: str) -> None:
    actor = somebody(role, role)

    refused(Forbidden, actor, lambda: make(actor=actor))


@database
def test_guardrail__role_on_one_surface__reaches_no_other(make: Make) -> None:
    mine = make("mine", actor=CLEO, surfaces=["feed"])

    refused(Forbidden, CLEO, lambda: make("theirs", actor=CLEO))
    refused(
        Forbidden,
        CLEO,
        lambda: services.save_guardrail(mine, content=dict(BLOCK), actor=CLEO, at=LATER),
    )
    services.publish_guardrail(mine, environment="production", actor=CLEO, at=LATER)
    assert mine.live("production").number == 1


@database
def test_publish_guardrail__tighter__is_one_persons_act(make: Make) -> None:
    guardrail = make()
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)
    services.save_guardrail(guardrail, content={**BLOCK, "threshold": 0.7}, actor=CORA, at=AT)

    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=LATER)

    assert guardrail.live("production").number == 2


@database
@pytest.mark.parametrize(
    "change", [{"threshold": 0.9}, {"status": "shadow"}, {"surfaces": ["feed"]}, {"action": "label"}]
)
def test_publish_guardrail__looser__needs_an_approver(make: Make, change: dict[str, Any]) -> None:
    guardrail = make()
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)
    services.save_guardrail(guardrail, content={**BLOCK, **change}, actor=CORA, at=AT)

    detail = refused(
        ApprovalRequired,
        CORA,
        lambda: services.publish_guardrail(guardrail, environment="production", actor=CORA, at=LATER),
    )

    assert detail == "a looser version of a live guardrail takes two people (approver: approver)"
    assert guardrail.live("production").number == 1


@database
def test_publish_guardrail__older_looser_version__needs_an_approver_too(make: Make) -> None:
    guardrail = make(threshold=0.9)
    services.save_guardrail(guardrail, content=dict(BLOCK), actor=CORA, at=AT)
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)

    refused(
        ApprovalRequired,
        CORA,
        lambda: services.publish_guardrail(
            guardrail, environment="production", version=1, actor=CORA, at=LATER
        ),
    )


@database
def test_publish_guardrail__live_elsewhere_only__loosens_nothing_here(make: Make) -> None:
    guardrail = make()
    services.publish_guardrail(guardrail, environment="staging", actor=CORA, at=AT)
    services.save_guardrail(guardrail, content={**BLOCK, "threshold": 0.9}, actor=CORA, at=AT)

    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=LATER)

    assert guardrail.live("production").number == 2


@database
def test_withdraw_guardrail__anyone__needs_an_approver(make: Make) -> None:
    guardrail = make()
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)

    refused(
        ApprovalRequired,
        CORA,
        lambda: services.withdraw_guardrail(guardrail, environment="production", actor=CORA, at=LATER),
    )
    refused(
        Forbidden,
        VERA,
        lambda: services.withdraw_guardrail(guardrail, environment="production", actor=VERA, at=LATER),
    )


@database
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"signal": "toxcity"}, "content.signal"),
        ({"surfaces": ["fed"]}, "content.surfaces"),
        ({"condition": {"categry": "x"}}, "content.condition.categry"),
    ],
)
def test_create_guardrail__names_what_is_not_there__is_refused_with_the_field(
    make: Make, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        make(**fields)

    assert [error.field for error in caught.value.errors] == [field]
    assert caught.value.errors[0].remedy != ""
    assert Guardrail.objects.count() == 0


@database
def test_fragment__live_guardrails__are_exactly_these_bodies(make: Make) -> None:
    everywhere = make()
    feed = make(
        "ages",
        action="age_gate",
        signal=None,
        threshold=None,
        condition={"category": "lamps"},
        min_age=16,
        surfaces=["feed"],
        status="shadow",
    )
    make("draft")
    for guardrail in (everywhere, feed):
        services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)

    fragment = ruleset.fragment("production", AT)

    assert [(entry.section, entry.kind, dict(entry.body), entry.refs) for entry in fragment.entries] == [
        (
            "surface:*",
            "guardrails",
            {
                "key": "toxic",
                "version": 1,
                "action": "block",
                "signal": "toxicity",
                "op": ">=",
                "threshold": 0.8,
                "missing": "skip",
                "condition": None,
                "windows": [],
                "status": "live",
            },
            (),
        ),
        (
            "surface:feed",
            "guardrails",
            {
                "key": "ages",
                "version": 1,
                "action": "age_gate",
                "signal": None,
                "op": ">=",
                "threshold": None,
                "missing": "skip",
                "condition": {"category": "lamps"},
                "windows": [],
                "status": "shadow",
                "min_age": 16,
            },
            (("surface", "feed"),),
        ),
    ]


@database
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"c", "d"}),
        ({"op": ">"}, {"d"}),
        ({"op": "<", "threshold": 0.2}, {"a"}),
        ({"op": "!=", "threshold": 0.1}, {"b", "c", "d"}),
        ({"missing": "fail_closed"}, {"c", "d", "e", "gone"}),
        ({"condition": {"category": "lamps"}, "threshold": 0}, {"a"}),
        ({"condition": {"category": "mugs"}, "missing": "fail_closed"}, {"e", "gone"}),
        ({"signal": None, "threshold": None, "condition": {"category": "coats"}}, {"c", "d"}),
    ],
)
def test_tripped_items__guardrail__are_those_the_engine_would_stop(
    make: Make, fields: dict[str, Any], expected: set[str]
) -> None:
    content = make(**fields).newest().content

    assert selectors.tripped_items(content) == expected
    reach = selectors.reach(content)
    assert (reach.tripped, reach.total) == (len(expected), 6)


def throw(
    key: str = "recall", *, actor: Actor = CORA, at: datetime = LATER, **fields: Any
) -> tuple[KillSwitch, int]:
    asked = {"kind": "block_items", "items": ["a"], "reason": "batch 17", **fields}
    return services.throw_kill_switch(key=key, environment="production", actor=actor, at=at, **asked)


def slate() -> list[str]:
    head = rulesets.head("production")
    assert head is not None
    candidates = [Candidate(item, 1 - n / 10) for n, item in enumerate("abe")]
    request = Request("feed", "2026-03-02T10:00:00Z", {}, candidates=candidates)
    return [shown.id for shown in decide(Ruleset.from_document(rulesets.document(head)), request).slate]


@pytest.fixture
def served(transactional_db: None) -> None:
    stock_signals()
    publishing.publish("production", cause="test", at=AT)


@committed
@pytest.mark.parametrize("actor", [CORA, OPERATOR])
def test_throw_kill_switch__switch_audit_and_revision__are_written_together(
    served: None, actor: Actor
) -> None:
    assert slate() == ["a", "b", "e"]
    before = written()

    _, revision = throw(actor=actor, items=["a", "unheard-of"])

    assert [after - was for was, after in zip(before, written(), strict=True)] == [0, 0, 0, 1, 1, 1]
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.operation, event.subject, event.environment) == (
        "guardrails.throw_kill_switch",
        "guardrails.killswitch:recall",
        "production",
    )
    head = rulesets.head("production")
    assert head is not None
    assert (revision, head.number, head.cause) == (2, 2, "kill switch recall: batch 17")
    assert rulesets.sections(head)["shared"]["kill_switches"] == [
        {
            "key": "recall",
            "version": 1,
            "kind": "block_items",
            "items": ["a", "unheard-of"],
            "rule": None,
            "surfaces": [],
            "reason": "batch 17",
        }
    ]
    assert slate() == ["b", "e"]


@committed
@pytest.mark.parametrize(
    "fields",
    [
        {"items": []},
        {"surfaces": ["fed"]},
        {"key": "Not a key"},
        {"kind": "disable_rule", "items": [], "rule": "x"},
    ],
)
def test_throw_kill_switch__input_wrong__writes_nothing(served: None, fields: dict[str, Any]) -> None:
    before = written()

    with pytest.raises(InvalidInput):
        throw(**fields)

    assert written() == before
    assert slate() == ["a", "b", "e"]


@committed
def test_throw_kill_switch__revision_cannot_be_written__leaves_no_switch(
    served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written()

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("controlplane.rulesets.revisions.signing.manifest", full)
    with pytest.raises(OSError, match="no space left"):
        throw()

    assert written() == before


@committed
def test_throw_kill_switch__key_taken__conflicts_and_the_first_stands(served: None) -> None:
    throw()
    before = written()

    with pytest.raises(Conflict, match="This key is taken"):
        throw(items=["b"])

    assert written() == before
    assert slate() == ["b", "e"]


@committed
@pytest.mark.parametrize("role", sorted(set(settings.ROLES) - {"compliance", "operator", "admin"}))
def test_throw_kill_switch__other_roles__are_denied(served: None, role: str) -> None:
    actor = somebody(role, role)

    refused(Forbidden, actor, lambda: throw(actor=actor))


@committed
def test_throw_kill_switch__role_on_one_surface__covers_that_one_only(served: None) -> None:
    refused(Forbidden, CLEO, lambda: throw(actor=CLEO))
    throw(actor=CLEO, surfaces=["feed"])

    assert slate() == ["b", "e"]


def broken(environment: str, at: datetime) -> Fragment:
    """A source that cannot be compiled."""
    raise RuntimeError("this source is broken")


@committed
def test_throw_kill_switch__another_source_broken__is_not_delayed(served: None, settings: Any) -> None:
    settings.RULESET_SOURCES = [
        path if path != "overrides.ruleset.fragment" else f"{__name__}.broken"
        for path in settings.RULESET_SOURCES
    ]

    _, revision = throw()

    assert revision == 2
    assert slate() == ["b", "e"]
    publishing.publish("production", cause="after", at=LATER)
    assert slate() == ["b", "e"]


@committed
def test_release_kill_switch__anyone__needs_an_approver_and_it_stands(served: None) -> None:
    switch, _ = throw()

    detail = refused(
        ApprovalRequired, CORA, lambda: services.release_kill_switch(switch=switch, actor=CORA, at=LATER)
    )
    refused(
        Forbidden, OPERATOR, lambda: services.release_kill_switch(switch=switch, actor=OPERATOR, at=LATER)
    )

    assert detail == "letting through what a guardrail or switch stops takes two people (approver: approver)"
    assert slate() == ["b", "e"]


@committed
def test_release_kill_switch__once_no_policy_asks__is_served_again_and_twice_conflicts(
    served: None, settings: Any
) -> None:
    switch, _ = throw()
    settings.POLICIES = []

    services.release_kill_switch(switch=switch, actor=CORA, at=LATER)
    publishing.publish("production", cause="released", at=LATER)

    assert slate() == ["a", "b", "e"]
    with pytest.raises(Conflict, match="recall was released before"):
        services.release_kill_switch(switch=switch, actor=CORA, at=LATER)


@committed
def test_publish__guardrail_live__keeps_tripping_items_off_the_slate(served: None) -> None:
    guardrail = make_guardrail(threshold=0.5)
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)

    publishing.publish("production", cause="test", at=LATER)

    assert slate() == ["a", "e"]
