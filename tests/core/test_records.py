"""A record is an identity, immutable versions, and one pointer per environment."""

import pytest
from django.db import IntegrityError, transaction

from controlplane.catalog.models import Audience, AudiencePointer
from controlplane.core.canonical import as_stored, canonical_json, digest
from controlplane.core.differences import difference
from controlplane.core.records import new_salt, valid_key
from tests.core.conftest import AT

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(db: None) -> Audience:
    return Audience.objects.create(key="adults", title="Adults", owner="ada", created_at=AT)


def test_add_version__new_content__is_numbered_and_digested(record: Audience) -> None:
    first = record.add_version({"condition": {"age": 18}}, by="ada", at=AT, note="first")
    second = record.add_version({"condition": {"age": 21}}, by="bob", at=AT)

    assert (first.number, second.number) == (1, 2)
    assert first.digest == digest({"condition": {"age": 18}})
    assert (first.note, second.created_by, second.created_at) == ("first", "bob", AT)
    assert record.newest() == second


def test_add_version__equal_content__is_the_same_version(record: Audience) -> None:
    first = record.add_version({"a": 1, "b": [1e16, -0.0]}, by="ada", at=AT)

    assert record.add_version({"b": [1e16, -0.0], "a": 1}, by="bob", at=AT) == first
    assert digest(record.versions.get().content) == first.digest


def test_add_version__content_of_an_older_one__is_a_new_version(record: Audience) -> None:
    for content in ({"a": 1}, {"a": 2}, {"a": 1}):
        record.add_version(content, by="ada", at=AT)

    assert [version.number for version in record.versions.all()] == [3, 2, 1]


def test_version__saved_again__is_refused(record: Audience) -> None:
    version = record.add_version({"a": 1}, by="ada", at=AT)
    version.content = {"a": 2}

    with pytest.raises(TypeError, match="a version is never changed"):
        version.save()

    assert record.versions.get().content == {"a": 1}


def test_version__same_number_twice__is_refused_by_the_database(record: Audience) -> None:
    record.add_version({"a": 1}, by="ada", at=AT)

    with pytest.raises(IntegrityError, match="number_once"), transaction.atomic():
        record.versions.create(number=1, content={}, digest="", created_at=AT, created_by="eve")


def test_point__moved__leaves_one_pointer_per_environment(record: Audience) -> None:
    first = record.add_version({"a": 1}, by="ada", at=AT)
    second = record.add_version({"a": 2}, by="ada", at=AT)

    record.point("production", first, at=AT)
    record.point("staging", second, at=AT)
    record.point("production", second, at=AT)

    assert record.live("production") == record.live("staging") == second
    assert record.live("elsewhere") is None
    assert record.pointers.count() == 2
    assert [pointer.record.key for pointer in AudiencePointer.live_in("production")] == ["adults"]
    assert record.audit_snapshot()["live"] == {"production": 2, "staging": 2}


def test_unpoint__says_whether_it_was_live(record: Audience) -> None:
    record.point("production", record.add_version({"a": 1}, by="ada", at=AT), at=AT)

    assert record.unpoint("production") is True
    assert record.unpoint("production") is False


def test_audit_snapshot__tells_content_and_keeps_the_salt(record: Audience) -> None:
    record.add_version({"a": 1}, by="ada", at=AT)

    snapshot = record.audit_snapshot()
    assert (snapshot["key"], snapshot["version"], snapshot["content"]) == ("adults", 1, {"a": 1})
    assert "salt" not in snapshot


def test_new_salt__each__is_another() -> None:
    assert len({new_salt() for _ in range(100)}) == 100


@pytest.mark.parametrize("key", ["a", "a1", "a.b-c_d", "x" * 64, "0"])
def test_valid_key__well_formed__passes(key: str) -> None:
    valid_key(key)


def test_canonical_json__nan__is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": float("nan")})


def test_canonical_json__any_order__is_one_spelling() -> None:
    assert (
        canonical_json({"b": 1, "a": "ü"}) == canonical_json({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'.encode()
    )


def test_as_stored__values_respelled_by_the_database__are_respelled_here() -> None:
    assert repr(as_stored({1: (-0.0, 1e16, 2.5, 2.0**53 - 1)})) == (
        "{'1': [0.0, 10000000000000000, 2.5, 9007199254740991.0]}"
    )


def test_difference__kinds_of_change__are_leaves_with_from_and_to() -> None:
    assert difference(
        {"a": {"x": 1}, "b": [1], "c": 1, "e": 1}, {"a": {"x": 2}, "b": [1, 2], "d": None, "e": 1}
    ) == {
        "a.x": {"from": 1, "to": 2},
        "b": {"from": [1], "to": [1, 2]},
        "c": {"from": 1},
        "d": {"to": None},
    }
