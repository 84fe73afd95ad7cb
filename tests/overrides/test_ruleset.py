"""The exact bodies overrides contribute, and the exact revision that carries them."""

import pytest

from controlplane.engine import Candidate, Request, Ruleset, decide
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from overrides import ruleset, services
from tests.overrides.conftest import AT, MONA, Make, pin, stock


def test_fragment__live_override_on_two_surfaces__is_an_entry_in_each(make: Make) -> None:
    override = make(surfaces=["search", "feed"], when={"audience": "germans"}, items=["c"], priority=3)
    make("draft")
    services.publish_override(override, environment="production", actor=MONA, at=AT)

    fragment = ruleset.fragment("production", AT)

    body = {
        "key": "coats",
        "version": 1,
        "type": "boost",
        "items": ["c"],
        "condition": {"category": "coats"},
        "when": {"condition": None, "audience": "germans"},
        "windows": [],
        "priority": 3,
        "must_match_filters": True,
        "factor": 2,
        "temporary": False,
        "updated_at": "2026-03-02T09:00:00Z",
    }
    assert [(entry.section, entry.kind, entry.key) for entry in fragment.entries] == [
        ("surface:feed", "overrides", "coats"),
        ("surface:search", "overrides", "coats"),
    ]
    assert [dict(entry.body) for entry in fragment.entries] == [body, body]
    assert fragment.entries[0].refs == (("item", "c"), ("audience", "germans"), ("surface", "feed"))
    assert ruleset.fragment("staging", AT).entries == ()


def test_fragment__everywhere__is_one_entry_of_every_surface(make: Make) -> None:
    override = make(**pin("b", "a", surfaces=[], position=2), condition=None, factor=None)
    services.publish_override(override, environment="production", actor=MONA, at=AT)

    (entry,) = ruleset.fragment("production", AT).entries

    assert entry.section == "surface:*"
    assert {name: entry.body[name] for name in ("type", "items", "position", "temporary", "windows")} == {
        "type": "pin",
        "items": ["b", "a"],
        "position": 2,
        "temporary": True,
        "windows": [["2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"]],
    }
    assert "factor" not in entry.body


@pytest.mark.django_db(transaction=True)
def test_publish__pin_and_boost__decide_the_slate_of_the_revision_that_carries_them() -> None:
    stock()
    for key, content in (
        ("pins", pin("e", "gone")),
        ("coats", {"type": "boost", "surfaces": ["feed"], "condition": {"category": "coats"}, "factor": 3, "reason": "x"}),
    ):  # fmt: skip
        made = services.create_override(key=key, title=key, owner="mona", content=content, actor=MONA, at=AT)
        services.publish_override(made, environment="production", actor=MONA, at=AT)
    published = publishing.publish("production", cause="test", at=AT)

    document = rulesets.document(rulesets.revision("production", published.revision))
    decision = decide(
        Ruleset.from_document(document),
        Request(
            surface="feed",
            at="2026-03-02T09:00:00Z",
            unit_ids={},
            candidates=[
                Candidate("a", 0.9),
                Candidate("b", 0.8),
                Candidate("c", 0.4, {"category": "coats"}),
            ],
        ),
    )

    assert [(shown.id, shown.rule_codes) for shown in decision.slate] == [
        ("e", ("override:pins@1",)),
        ("c", ("override:coats@1",)),
        ("a", ()),
        ("b", ()),
    ]
    assert [(one.id, one.reason) for one in decision.removed] == [("gone", "unavailable")]
