"""Operations on overrides: both sides of each permission, what is live, and what is written when it fails."""

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.catalog.models import Item
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, DomainError, Forbidden, InvalidInput, Stale
from controlplane.core.models import AuditEvent, SecurityEvent
from overrides import services
from overrides.models import Override, OverridePointer, OverrideVersion
from tests.overrides.conftest import ADMIN, AT, BOOST, FELIX, LATER, MONA, VERA, Make, pin, somebody

pytestmark = pytest.mark.django_db
EVERYWHERE = "every surface"


def written() -> tuple[int, int, int, int]:
    """Overrides, versions, pointers and audit events there are."""
    models: tuple[Any, ...] = (Override, OverrideVersion, OverridePointer, AuditEvent)
    return tuple(model.objects.count() for model in models)


def denied(actor: Actor, act: Callable[[], Any]) -> str:
    """What the actor is told; nothing is written but one security line."""
    before, lines = written(), SecurityEvent.objects.count()
    with pytest.raises(Forbidden) as caught:
        act()
    assert written() == before
    line = SecurityEvent.objects.order_by("-id")[0]
    assert (SecurityEvent.objects.count() - lines, line.kind, line.actor_id) == (1, "refused", actor.id)
    return caught.value.detail


def test_create_override__merchandiser__is_saved_and_live_nowhere(make: Make) -> None:
    override = make()

    assert override.newest().content["factor"] == 2
    assert override.pointers.count() == 0
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.operation, event.subject) == ("overrides.create_override", "overrides.override:coats")


def test_create_override__viewer__is_denied(make: Make) -> None:
    detail = denied(VERA, lambda: make(actor=VERA))

    assert detail == "vera may not overrides.create_override on feed"


@pytest.mark.parametrize("surfaces", [[], ["search"], ["feed", "search"]])
def test_create_override__role_on_one_surface__reaches_no_other(make: Make, surfaces: list[str]) -> None:
    make("mine", actor=FELIX)

    denied(FELIX, lambda: make("theirs", actor=FELIX, surfaces=surfaces))


def test_save_override__role_on_one_surface__may_not_spread_to_every_surface(make: Make) -> None:
    mine = make(actor=FELIX)

    detail = denied(
        FELIX,
        lambda: services.save_override(mine, content={**BOOST, "surfaces": []}, actor=FELIX, at=LATER),
    )

    assert detail == f"felix may not overrides.save_override on {EVERYWHERE}"


def test_save_override__live_elsewhere__counts_the_surfaces_it_is_live_on(make: Make) -> None:
    wide = make(surfaces=["feed", "search"], actor=ADMIN)
    services.publish_override(wide, environment="production", actor=ADMIN, at=AT)
    services.save_override(wide, content=dict(BOOST), actor=ADMIN, at=AT)

    denied(FELIX, lambda: services.save_override(wide, title="Mine", actor=FELIX, at=LATER))
    denied(
        FELIX,
        lambda: services.withdraw_override(wide, environment="production", actor=FELIX, at=LATER),
    )


def test_publish_override__older_version_reaches_further__is_denied(make: Make) -> None:
    wide = make(surfaces=[], actor=ADMIN)
    services.save_override(wide, content=dict(BOOST), actor=ADMIN, at=AT)

    detail = denied(
        FELIX,
        lambda: services.publish_override(wide, environment="production", version=1, actor=FELIX, at=LATER),
    )
    services.publish_override(wide, environment="production", actor=FELIX, at=LATER)

    assert detail == f"felix may not overrides.publish_override on {EVERYWHERE}"
    assert wide.live("production").number == 2


def test_publish_override__approver_or_analyst__is_denied(make: Make) -> None:
    override = make()

    for role in ("viewer", "analyst", "approver", "compliance", "operator"):
        actor = somebody(role, role)
        denied(
            actor,
            lambda actor=actor: services.publish_override(  # type: ignore[misc]  # bound at once
                override, environment="production", actor=actor, at=LATER
            ),
        )


def test_publish_override__only_windows_in_the_past__conflicts_and_stays_as_it_was(make: Make) -> None:
    old = make(windows=[["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]])
    before = written()

    with pytest.raises(Conflict, match="only windows in the past"):
        services.publish_override(old, environment="production", actor=MONA, at=AT)

    assert written() == before


def test_withdraw_override__live__is_live_no_longer_there_and_stays_elsewhere(make: Make) -> None:
    override = make()
    for environment in ("production", "staging"):
        services.publish_override(override, environment=environment, actor=MONA, at=AT)

    services.withdraw_override(override, environment="production", actor=MONA, at=LATER)

    assert list(override.pointers.values_list("environment", flat=True)) == ["staging"]
    with pytest.raises(Conflict, match="coats is not live in production"):
        services.withdraw_override(override, environment="production", actor=MONA, at=LATER)


def test_save_override__seen_an_older_version__is_stale(make: Make) -> None:
    override = make()
    services.save_override(override, title="Theirs", actor=ADMIN, at=AT, expects=1)

    with pytest.raises(Stale):
        services.save_override(override, title="Mine", actor=MONA, at=AT, expects=1)

    assert Override.objects.get().title == "Theirs"


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"surfaces": ["fed"]}, "content.surfaces", "there is no surface fed"),
        ({"items": ["a", "zz"]}, "content.items", "there is no item zz"),
        ({"when": {"audience": "nobody"}}, "content.when.audience", "there is no audience nobody"),
        (
            {"condition": {"categry": "coats"}},
            "content.condition.categry",
            "no item has an attribute 'categry'",
        ),
        (
            {"condition": {"category": {"$like": "c"}}},
            "content.condition.category.$like",
            "",
        ),
        (
            {"when": {"condition": {"country": {"$regex": "(a+)+$"}}}},
            "content.when.condition.country.$regex",
            "",
        ),
    ],
)
def test_create_override__names_what_is_not_there__is_refused_with_the_field(
    make: Make, fields: dict[str, Any], field: str, message: str
) -> None:
    before = written()

    with pytest.raises(InvalidInput) as caught:
        make(**fields)

    (error,) = caught.value.errors
    assert error.field == field
    assert message in error.message
    assert error.remedy != ""
    assert written() == before


def test_create_override__deleted_item__is_not_there(make: Make, shop: None) -> None:
    Item.objects.filter(item_id="a").update(deleted_at=AT)

    with pytest.raises(DomainError, match="do not exist"):
        make(**pin("a"), condition=None, factor=None)


def test_create_override__key_taken__conflicts(make: Make) -> None:
    make()

    with pytest.raises(Conflict, match="This key is taken"):
        make()
