"""What nobody waited for: reactions, the sweep, and the commands."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from controlplane.catalog import services as catalog
from controlplane.catalog.models import Environment
from controlplane.core import reactions
from controlplane.core.actors import Actor
from controlplane.core.models import Reaction
from controlplane.rulesets import selectors, services, tasks
from controlplane.rulesets.models import Revision
from tests.rulesets import sources
from tests.rulesets.sources import NOW

ADMIN = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))


def test_reaction__of_an_operation_that_publishes__is_delivered_as_a_revision(production: str) -> None:
    audience = catalog.create_audience(
        key="vip", title="VIP", owner="Ada", content={"condition": {"country": "NL"}}, actor=ADMIN, at=NOW
    )
    catalog.publish_audience(audience, environment="production", actor=ADMIN, at=NOW)
    assert Reaction.objects.filter(key="rulesets.publish", done_at=None).exists()

    outcome = reactions.deliver(at=NOW + timedelta(seconds=1))

    assert outcome["failed"] == 0
    revision = Revision.objects.get()
    assert revision.cause == "Put an audience live in an environment: vip"
    assert revision.author == "user 1"  # nobody of that id is known here, so the id stands for the name


def test_sweep__publishes_every_environment_and_ends_holds(production: str, operator: Actor) -> None:
    Environment.objects.create(key="staging", name="Staging", kind="staging", created_at=NOW)
    sources.boost("summer", 1.2)
    services.publish("production", cause="test", at=NOW)
    sources.boost("summer", 1.5)
    services.publish("production", cause="test", at=NOW)
    services.set_hold(
        environment="production",
        from_revision=1,
        reason="sales fell",
        actor=operator,
        at=NOW - timedelta(days=3000),
        expires_at=NOW - timedelta(days=2999),
    )

    assert tasks.sweep() == {"production": 4, "staging": 1}
    assert tasks.sweep() == {"production": 4, "staging": 1}
    assert list(selectors.standing_holds("production")) == []


def test_command__publish_and_show(production: str) -> None:
    out = StringIO()
    call_command("publish", stdout=out)
    call_command("publish", "production", stdout=out)
    assert out.getvalue().splitlines() == [
        "production: revision 1 (published)",
        "production: revision 1 (unchanged)",
    ]
    shown = StringIO()
    call_command("show_ruleset", "production", stdout=shown)
    assert json.loads(shown.getvalue())["manifest"]["revision"] == 1
    with pytest.raises(CommandError, match="no revision 7"):
        call_command("show_ruleset", "production", "--revision", "7")
    with pytest.raises(CommandError, match="no environment nowhere"):
        call_command("publish", "nowhere")
