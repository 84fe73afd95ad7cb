"""Publishing: what becomes a revision, what does not, and what a broken source may not do."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from controlplane.core.actors import Actor
from controlplane.core.errors import InvalidInput, NotFound
from controlplane.core.keys import signing_key
from controlplane.core.models import OpenFinding
from controlplane.engine import Ruleset
from controlplane.engine.validate import check_document
from controlplane.rulesets import publishing, selectors, services, signing
from controlplane.rulesets.models import Revision
from tests.rulesets import sources
from tests.rulesets.sources import NOW


def publish(environment: str = "production") -> services.Published:
    return services.publish(environment, cause="test", at=NOW)


def served(environment: str = "production") -> dict[str, object]:
    head = selectors.head(environment)
    assert head is not None
    return selectors.document(head)


def overrides_served() -> dict[str, float]:
    section = selectors.sections(selectors.head("production"))["surface:home-feed"]
    return {body["key"]: body["factor"] for body in section["overrides"]}


def open_codes() -> list[tuple[str, str]]:
    rows = OpenFinding.objects.filter(resolved_at__isnull=True).order_by("code", "subject")
    return [(row.code, row.subject) for row in rows]


def test_publish__first_time__makes_a_signed_document_that_the_engine_takes(production: str) -> None:
    sources.boost("summer", items=["a", "b"])

    published = publish()

    assert published == services.Published("production", 1, changed=True)
    document = served()
    assert check_document(document) == []
    ruleset = Ruleset.from_document(document)
    assert (ruleset.revision, ruleset.environment, ruleset.surfaces) == (1, "production", ("home-feed",))
    assert sorted(ruleset.surface("home-feed").facts) == ["a", "b"]
    key = signing_key(settings.KEYS_DIR / "ruleset.ed25519").public_key()
    assert signing.is_genuine(ruleset.manifest, key)
    assert not signing.is_genuine({**ruleset.manifest, "revision": 2}, key)


def test_publish__nothing_changed__makes_no_revision(production: str) -> None:
    publish()

    assert publish() == services.Published("production", 1, changed=False)
    assert Revision.objects.count() == 1


def test_publish__content_of_an_earlier_revision_again__is_a_new_revision(production: str) -> None:
    sources.boost("summer", 1.2)
    publish()
    sources.boost("summer", 1.5)
    publish()
    sources.boost("summer", 1.2)

    assert publish() == services.Published("production", 3, changed=True)
    first, third = (selectors.revision("production", number) for number in (1, 3))
    assert first.manifest["sections"] == third.manifest["sections"]
    assert third.previous == 2


def test_publish__unknown_environment__is_not_found(production: str) -> None:
    with pytest.raises(NotFound):
        publish("nowhere")


def test_publish__an_override_that_fails_the_schema__serves_the_last_good_and_says_so(
    production: str,
) -> None:
    sources.boost("summer", 1.2)
    publish()
    sources.boost("summer", 0.5)  # a boost below 1 is no boost
    sources.guardrail("toxic")

    assert publish().changed
    assert overrides_served() == {"summer": 1.2}
    section = selectors.sections(selectors.head("production"))["surface:home-feed"]
    assert [body["key"] for body in section["guardrails"]] == ["toxic"]
    assert open_codes() == [("invalid_ruleset", "overrides.override:summer")]
    standing = {
        source: one.standing for source, one in selectors.contributions(selectors.head("production")).items()
    }
    assert standing == {
        "catalog": "current",
        "guardrails": "current",
        "overrides": "stale",
        "switches": "current",
    }

    sources.boost("summer", 1.4)
    assert publish().changed
    assert overrides_served() == {"summer": 1.4}
    assert open_codes() == []


def test_publish__no_last_good_fragment__serves_what_is_sound_of_it(production: str) -> None:
    sources.boost("broken", 0.5)
    sources.boost("sound", 1.3)

    assert publish().changed
    assert overrides_served() == {"sound": 1.3}
    assert open_codes() == [("invalid_ruleset", "overrides.override:broken")]


def test_publish__a_source_that_raises__serves_its_last_good_fragment(production: str) -> None:
    sources.boost("summer", 1.2)
    publish()
    sources.boost("summer", 1.5, raises="the disk is made of cheese")
    sources.guardrail("toxic")

    assert publish().changed
    assert overrides_served() == {"summer": 1.2}
    assert open_codes() == [("source_failed", f"rulesets.source:{sources.HERE}.overrides")]


def test_publish__a_rule_naming_what_is_not_there__is_reported(production: str) -> None:
    sources.boost("ghostly", items=["ghost", "a"])
    sources.boost("nowhere", section="surface:cellar")
    sources.boost("nobody", when={"audience": "vip"})

    publish()

    assert overrides_served() == {"ghostly": 1.5}
    assert open_codes() == [
        ("dangling_reference", "overrides.override:nowhere"),
        ("invalid_ruleset", "overrides.override:nobody"),
        ("unknown_items", "overrides.override:ghostly"),
    ]


def test_publishing__inside_a_transaction__is_refused(production: str) -> None:
    with pytest.raises(RuntimeError, match="before the transaction"), transaction.atomic():
        publish()


def test_publishing__lock_held_elsewhere__is_busy_after_the_wait(production: str) -> None:
    key = publishing.lock_key("production")
    with psycopg.connect(settings.DATABASE_DIRECT_URL, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key])
        with pytest.raises(publishing.PublishBusy):
            services.publish("production", cause="test", at=NOW, wait=0.2)
    assert publish().revision == 1  # the session's end released it


def test_publish__commit_while_waiting_for_the_lock__is_in_the_revision(production: str) -> None:
    publish()
    outcome: list[services.Published] = []

    def wait_and_publish() -> None:
        outcome.append(publish())
        connection.close()

    with psycopg.connect(settings.DATABASE_DIRECT_URL, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [publishing.lock_key("production")])
        waiting = threading.Thread(target=wait_and_publish)
        waiting.start()
        while not other.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchone():
            pass
        sources.boost("late", 1.7)
        other.execute("SELECT pg_advisory_unlock(%s)", [publishing.lock_key("production")])
        waiting.join(20)

    assert outcome == [services.Published("production", 2, changed=True)]
    assert overrides_served() == {"late": 1.7}


def test_carry__after_a_write__names_the_revision(production: str) -> None:
    sources.boost("summer")

    assert services.carry("production") == {
        "environment": "production",
        "revision": 1,
        "status": "published",
    }


def test_carry__another_publish_takes_long__says_pending(production: str) -> None:
    with psycopg.connect(settings.DATABASE_DIRECT_URL, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [publishing.lock_key("production")])
        assert services.carry("production") == {
            "environment": "production",
            "revision": None,
            "status": "pending",
        }


def test_revisions__changed_or_deleted_in_sql__are_refused(production: str) -> None:
    publish()
    for statement in (
        "UPDATE rulesets_revision SET number = 9",
        "DELETE FROM rulesets_revisionsection",
        "UPDATE rulesets_section SET body = '{}'",
        "TRUNCATE rulesets_storedfragment CASCADE",
    ):
        with pytest.raises(Exception, match="never changed or removed"), connection.cursor() as cursor:
            cursor.execute(statement)


def throw(operator: Actor, *, items: tuple[str, ...] = ("a",)) -> services.Published:
    with services.publishing("production"), transaction.atomic():
        sources.switch("stop", items)
        return services.publish_switch(
            sources.switches("production", NOW),
            environment="production",
            cause="kill switch stop",
            at=NOW,
            actor=operator,
        )


def test_publish_switch__another_source_is_broken__is_published_at_once(
    production: str, operator: Actor
) -> None:
    sources.boost("summer", 1.2)
    publish()
    sources.boost("summer", 0.5)
    sources.put("guardrails", "x", "surface:*", {"raises": "broken"})

    assert throw(operator) == services.Published("production", 2, changed=True)
    sections = selectors.sections(selectors.head("production"))
    assert [body["key"] for body in sections["shared"]["kill_switches"]] == ["stop"]
    assert overrides_served() == {"summer": 1.2}


def test_publish_switch__an_unfit_switch__writes_nothing(production: str, operator: Actor) -> None:
    publish()

    with pytest.raises(InvalidInput, match="blocks no item"):
        throw(operator, items=())
    assert sources.switches("production", NOW).entries == ()
    assert Revision.objects.count() == 1


def test_publish_switch__nothing_was_published_before__publishes_everything(
    production: str, operator: Actor
) -> None:
    sources.boost("summer", 1.2)

    assert throw(operator) == services.Published("production", 1, changed=True)
    assert overrides_served() == {"summer": 1.2}
