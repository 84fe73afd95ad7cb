"""The dictionary: learned from what passes by, corrected by people, asked before a condition is saved."""

from typing import Any

import pytest

from controlplane.catalog import selectors, services
from controlplane.catalog.models import Attribute
from controlplane.catalog.rules.observations import observe
from controlplane.catalog.services import attributes
from controlplane.core.errors import Conflict, Forbidden, InvalidInput
from controlplane.core.models import AuditEvent
from tests.catalog.conftest import ADMIN, AT, LATER, VIEWER, upload

pytestmark = pytest.mark.django_db


def learn(*samples: dict[str, Any], at: Any = AT) -> tuple[str, ...]:
    return services.learn("production", "request", samples, actor=ADMIN, at=at)


def refusal(condition: Any, subject: str = "request") -> list[tuple[str, str]]:
    """Field and remedy of everything wrong with the condition."""
    try:
        services.check_condition(condition, subject, "when")
    except InvalidInput as error:
        return [(each.field, each.remedy) for each in error.errors]
    return []


def test_observe__nested_values__names_types_counts_and_examples() -> None:
    seen = observe([{"a": {"b": {"c": {"d": {"e": 1}}}}, "n": None, "": 1, "x.y": 2}, {"a": {"b": 5}}])

    assert {name: (one.type, one.count) for name, one in seen.items()} == {
        "a": ("object", 2),
        "a.b": ("object", 2),
        "a.b.c": ("object", 1),
        "a.b.c.d": ("object", 1),
    }


def test_learn__new_names__are_one_audited_operation() -> None:
    assert learn({"country": "DE", "vip": True}, {"country": "FR"}) == ("country", "vip")

    event = AuditEvent.objects.get()
    assert (event.operation, event.environment) == ("catalog.learn_attributes", "production")
    assert event.difference["counts"] == {"learned": 2}
    country = Attribute.objects.get(name="country")
    assert (country.type, country.values_seen, country.seen_count) == ("string", ["DE", "FR"], 2)


def test_learn__known_names__counts_without_an_audit_event() -> None:
    learn({"country": "DE"})

    assert learn({"country": "FR"}, {"country": "DE"}, at=LATER) == ()

    country = Attribute.objects.get()
    assert (country.values_seen, country.seen_count) == (["DE", "FR"], 3)
    assert (country.first_seen_at, country.last_seen_at) == (AT, LATER)
    assert AuditEvent.objects.count() == 1


def test_learn__many_values__keeps_fifty() -> None:
    learn(*({"id": f"v{number}"} for number in range(30)))
    learn(*({"id": f"v{number}"} for number in range(20, 90)))

    assert Attribute.objects.get().values_seen == [f"v{number}" for number in range(50)]


def test_learn__endless_new_names__stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MOST_LEARNED", 5)

    learn({f"n{number}": 1 for number in range(4)})
    learn({f"m{number}": 1 for number in range(4)})
    learn({"z": 1})

    assert set(selectors.attribute_names("request")) == {"n0", "n1", "n2", "n3", "m0"}


def test_learn__private_attribute__keeps_no_value() -> None:
    learn({"email": "ada@example.org"})
    email = services.save_attribute(Attribute.objects.get(), private=True, actor=ADMIN, at=AT)
    assert email.values_seen == []

    learn({"email": "bob@example.org"})

    assert (Attribute.objects.get().values_seen, Attribute.objects.get().seen_count) == ([], 2)
    assert selectors.private_attributes("request") == {"email"}
    assert "example.org" not in str(list(AuditEvent.objects.values()))


@pytest.mark.django_db(transaction=True)
def test_learn__by_somebody_without_the_right__is_refused() -> None:
    with pytest.raises(Forbidden):
        services.learn("production", "request", [{"a": 1}], actor=VIEWER, at=AT)

    assert Attribute.objects.count() == 0


def test_save_attribute__type_said_by_a_person__stays_when_learning_disagrees() -> None:
    learn({"size": "42"})
    services.save_attribute(Attribute.objects.get(), type="number", actor=ADMIN, at=AT)

    learn({"size": "43"})

    size = Attribute.objects.get()
    assert (size.type, size.source) == ("number", "edited")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"subject": "user"}, "subject"),
        ({"name": "a b"}, "name"),
        ({"name": ".a"}, "name"),
        ({"name": "$and"}, "name"),
        ({"name": "a.b.c.d.e"}, "name"),
        ({"name": "x" * 161}, "name"),
        ({"type": "text"}, "type"),
        ({"description": "x" * 501}, "description"),
    ],
)
def test_create_attribute__wrong__names_the_field(given: dict[str, Any], field: str) -> None:
    values = {"subject": "item", "name": "brand", "type": "string"} | given

    with pytest.raises(InvalidInput) as caught:
        services.create_attribute(**values, actor=ADMIN, at=AT)

    assert [error.field for error in caught.value.errors] == [field]
    assert Attribute.objects.count() == 0


def test_create_attribute__there_already__conflicts() -> None:
    services.create_attribute(subject="item", name="brand", type="string", actor=ADMIN, at=AT)

    with pytest.raises(Conflict, match="There is an attribute of that name already"):
        services.create_attribute(subject="item", name="brand", type="number", actor=ADMIN, at=AT)


def test_check_condition__empty_dictionary__lets_any_name_pass() -> None:
    assert refusal({"anything": 1}) == []
    assert refusal({"anything": 1}, "item") == []


@pytest.mark.parametrize("condition", [None, {}, {"user": "u1"}, {"surface": "feed"}, {"country": "DE"}])
def test_check_condition__known_or_built_in__passes(condition: Any) -> None:
    learn({"country": "DE"})

    assert refusal(condition) == []


def test_check_condition__nested_logic__finds_every_unknown_name() -> None:
    learn({"country": "DE", "device": {"os": "ios"}, "tags": ["a"]})

    found = refusal(
        {"$or": [{"contry": "DE"}, {"$not": {"device.so": "ios"}}], "tags.0": "a", "tags.length": 1}
    )

    assert [field for field, _ in found] == ["when.contry", "when.device.so"]
    assert found[0][1].startswith("Did you mean country?")
    assert "device.os" in found[1][1]


def test_check_condition__object_nobody_looked_into__lets_paths_below_it_pass() -> None:
    services.create_attribute(subject="request", name="profile", type="object", actor=ADMIN, at=AT)
    services.create_attribute(subject="request", name="age", type="number", actor=ADMIN, at=AT)

    assert refusal({"profile.anything": 1}) == []
    assert [field for field, _ in refusal({"age.years": 1})] == []  # `age` is built in
    assert [field for field, _ in refusal({"profil.x": 1})] == ["when.profil.x"]


def test_check_condition__malformed__names_the_place_and_remedy() -> None:
    ((field, remedy),) = refusal({"country": {"$in": "DE"}})

    assert (field, remedy) == ("when.country.$in", "Wrap the value in [ ].")


def test_check_condition__item_signals__are_known_once_items_have_them() -> None:
    assert refusal({"signals.toxicty": {"$gt": 0.5}}, "item") == []
    upload({"item_id": "a", "attributes": {"brand": "x"}, "signals": {"toxicity": 0.4}})

    assert (
        refusal({"signals.toxicity": {"$gt": 0.5}, "brand": "x", "id": "a", "available": True}, "item") == []
    )
    assert [field for field, _ in refusal({"signals.toxicty": {"$gt": 0.5}}, "item")] == [
        "when.signals.toxicty"
    ]


def test_check_signal__misspelt__names_the_nearest() -> None:
    services.check_signal("toxicty")
    upload({"item_id": "a", "signals": {"toxicity": 0.4}})

    services.check_signal("toxicity")
    with pytest.raises(InvalidInput) as caught:
        services.check_signal("toxicty", "content.signal")

    (error,) = caught.value.errors
    assert (error.field, error.message) == ("content.signal", "no item has a signal 'toxicty'")
    assert error.remedy.startswith("Did you mean toxicity?")
