"""The preview, exactly: slates with and without the draft, what leaves, which pins lost their place, which rules meet."""

from typing import Any

import pytest

from controlplane.core.errors import InvalidInput
from controlplane.core.models import AuditEvent
from controlplane.rulesets import services as publishing
from overrides import rules, selectors, services
from overrides.conflicts import conflicts
from overrides.models import Override
from overrides.preview import Preview
from tests.overrides.conftest import AT, BOOST, LATER, MONA, pin, stock

pytestmark = pytest.mark.django_db(transaction=True)
MORNING = "2026-03-02T09:00:00Z"


@pytest.fixture
def served() -> None:
    """The shop with a boost of coats live on its feed, published."""
    stock()
    boost = services.create_override(
        key="coats", title="Coats", owner="mona", content=dict(BOOST), actor=MONA, at=AT
    )
    services.publish_override(boost, environment="production", actor=MONA, at=AT)
    publishing.publish("production", cause="test", at=AT)


def look(content: dict[str, Any], *candidates: str, key: str = "draft", **asked: Any) -> Preview:
    question = selectors.Question(
        **{"surface": "feed", "at": AT, "context": {}, "candidates": candidates, **asked}
    )
    return selectors.preview_draft(
        "production", key=key, number=1, content=rules.check(content), question=question, now=AT
    )


def slate(places: Any) -> list[tuple[str, int | None]]:
    return [(place.item, place.was) for place in places]


def test_preview__pin_of_new_and_missing_items__shows_both_slates(served: None) -> None:
    found = look(pin("e", "gone", "a"), "a", "b", "c", "d")

    # Scores 1, 0.8, 0.6, 0.4; the boost doubles those of c and d.
    assert slate(found.before) == [("c", 2), ("a", 3), ("b", 4), ("d", None)]
    assert slate(found.after) == [("e", None), ("c", 1), ("a", 2), ("b", 3)]
    assert found.after[0].codes == ("override:draft@1",)
    assert found.after[1].codes == ("override:coats@1",)
    assert [(one.item, one.position, one.why) for one in found.leaving] == [
        ("d", 4, "it fell off the end of the slate")
    ]
    assert [(one.item, one.wanted, one.why) for one in found.lost_pins] == [
        ("gone", "position 2", "it is out of stock")
    ]
    assert (found.changed, found.revision, found.at) == (4, 1, MORNING)


def test_preview__outside_the_window__changes_nothing(served: None) -> None:
    found = look(pin("e", windows=[["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]]), "a", "b")

    assert (found.changed, slate(found.after)) == (0, [("a", 1), ("b", 2)])


def test_preview__as_of_a_later_day__the_window_has_opened(served: None) -> None:
    content = pin("e", windows=[["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]])

    found = look(content, "a", "b", at=rules.showtime(rules.check(content), at=AT))

    assert found.at == "2026-03-05T00:00:00Z"
    assert slate(found.after) == [("e", None), ("a", 1), ("b", 2)]


def test_preview__rule_that_is_live__is_compared_with_its_absence(served: None) -> None:
    found = look({**BOOST, "factor": 9}, "a", "b", "c", "d", key="coats")

    assert [place.item for place in found.before] == ["a", "b", "c", "d"]
    assert [place.item for place in found.after] == ["c", "d", "a", "b"]


def test_preview__for_an_audience__the_request_belongs_to_it_when_asked(served: None) -> None:
    content = {"type": "hide", "items": ["a"], "when": {"audience": "germans"}, "reason": "x"}

    stranger, german = look(content, "a", "b"), look(content, "a", "b", members_of=["germans"])
    by_context = look(content, "a", "b", context={"country": "DE"})

    assert slate(stranger.after) == [("a", 1), ("b", 2)]
    assert slate(german.after) == slate(by_context.after) == [("b", 2)]
    assert [(one.item, one.why, one.rule) for one in german.leaving] == [
        ("a", "a rule hides it", "override:draft")
    ]


def test_preview__no_candidates__samples_the_catalogue_with_the_rules_own_items(served: None) -> None:
    found = look({**BOOST, "condition": {"category": "mugs"}, "factor": 50}, key="draft")

    assert found.after[0].item == "e"
    assert found.after == look({**BOOST, "condition": {"category": "mugs"}, "factor": 50}).after


def test_preview__surface_not_served__names_the_field(served: None) -> None:
    with pytest.raises(InvalidInput) as caught:
        look(pin("a"), surface="email")

    assert [error.field for error in caught.value.errors] == ["surface"]


def test_preview__nothing_published__names_the_remedy() -> None:
    stock()

    with pytest.raises(InvalidInput) as caught:
        look(pin("a"))

    assert caught.value.errors[0].remedy == "Publish a surface there first."


def test_preview__anything__writes_nothing(served: None) -> None:
    before = AuditEvent.objects.count(), Override.objects.count()
    look(pin("e"), "a")

    assert (AuditEvent.objects.count(), Override.objects.count()) == before


def body(key: str, content: dict[str, Any]) -> dict[str, Any]:
    return rules.body(key, 1, rules.check(content), saved_at=LATER)


@pytest.mark.parametrize(
    ("draft", "other", "expected"),
    [
        (
            pin("a", "b"),
            pin("c", position=2),
            [("warning", "Both claim position 2; other keeps them and the other moves down.")],
        ),
        (
            pin("a", "b", priority=1),
            pin("c", "d", position=1),
            [("warning", "Both claim positions 1, 2; this rule keeps them and the other moves down.")],
        ),
        (pin("a"), pin("b", position=2), []),
        (
            pin("a"),
            pin("b", windows=[["2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"]]),
            [],
        ),
        (
            pin("a", "b", position=3),
            {"type": "hide", "items": ["b"], "reason": "x"},
            [("warning", "other hides b; a hidden item is not shown whatever else raises it.")],
        ),
        (
            {"type": "boost", "items": ["a"], "factor": 2, "reason": "x"},
            {"type": "bury", "items": ["a"], "factor": 0.5, "reason": "x"},
            [("note", "Both are about a.")],
        ),
        (
            pin("a", "b"),
            {"type": "require", "items": ["a"], "reason": "x"},
            [
                ("warning", "other lets only its own items through; b would not be shown."),
                ("note", "Both are about a."),
            ],
        ),
    ],
)
def test_conflicts__two_rules__says_who_loses_what(
    draft: dict[str, Any], other: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = conflicts(body("this", draft), [body("other", other), body("this", other)])

    assert [(one.severity, one.message) for one in found] == expected
