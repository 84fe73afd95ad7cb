"""Items are taken in whole or refused with a reason, line by line, batch by batch."""

import gzip
import io
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from controlplane.catalog import selectors
from controlplane.catalog.models import Attribute, Item
from controlplane.catalog.rules.items import MAX_LINE, read_line
from controlplane.core.errors import Forbidden
from controlplane.core.models import AuditEvent, Reaction, SecurityEvent, User
from controlplane.core.services import grant_role
from tests.catalog.conftest import ADMIN, AT, LATER, VIEWER, upload

pytestmark = pytest.mark.django_db

SHOE: dict[str, Any] = {
    "item_id": "shoe-1",
    "title": "Blue shoe",
    "image_url": "https://img.example/1.jpg",
    "attributes": {"brand": "Acme", "price": 59.5},
    "signals": {"toxicity": 0.1},
    "provider": "acme",
    "available": True,
    "regions": ["DE", "FR"],
}


def only_item() -> dict[str, Any]:
    return dict(Item.objects.values().get())


def test_upload__new_items__are_created_as_stated() -> None:
    report = upload(SHOE, {"item_id": "bare"})

    assert report.counts == {"created": 2, "updated": 0, "unchanged": 0, "refused": 0}
    shoe = dict(Item.objects.values().get(item_id="shoe-1"))
    assert {name: shoe[name] for name in SHOE} == SHOE
    assert (shoe["first_seen_at"], shoe["updated_at"], shoe["deleted_at"]) == (AT, AT, None)
    bare = Item.objects.values().get(item_id="bare")
    assert (bare["title"], bare["attributes"], bare["available"], bare["regions"]) == ("", {}, True, None)


def test_upload__the_same_again__changes_nothing() -> None:
    upload(SHOE)
    before = only_item()

    assert upload(SHOE, at=LATER).counts == {"created": 0, "updated": 0, "unchanged": 1, "refused": 0}
    assert only_item() == before


def test_upload__one_field__leaves_the_others_as_they_are() -> None:
    upload(SHOE)
    before = only_item()

    report = upload({"item_id": "shoe-1", "available": False}, at=LATER)

    assert report.counts["updated"] == 1
    assert only_item() == before | {"available": False, "updated_at": LATER}


def test_upload__regions_null__means_everywhere_and_absent_keeps_them() -> None:
    upload(SHOE)

    upload({"item_id": "shoe-1", "title": "x"})
    assert only_item()["regions"] == ["DE", "FR"]
    upload({"item_id": "shoe-1", "regions": None})
    assert only_item()["regions"] is None


def test_upload__deleted_then_stated_again__comes_back() -> None:
    upload(SHOE)
    upload({"item_id": "shoe-1", "deleted": True}, at=LATER)
    assert only_item()["deleted_at"] == LATER
    assert (
        upload({"item_id": "shoe-1", "deleted": True}, at=LATER + timedelta(hours=1)).counts["unchanged"] == 1
    )

    assert upload({"item_id": "shoe-1"}).counts["updated"] == 1
    assert (only_item()["deleted_at"], only_item()["title"]) == (None, "Blue shoe")


REFUSED = [
    (b'{"item_id": "x"', "", "the text is not JSON"),
    (b"[1, 2]", "", "the line is not a JSON object"),
    (b'"x"', "", "the line is not a JSON object"),
    (b"null", "", "the line is not a JSON object"),
    (b'{"item_id": "x", "signals": {"a": NaN}}', "", "NaN is not a JSON number"),
    (b'{"item_id": "x", "signals": {"a": Infinity}}', "", "Infinity is not a JSON number"),
    (b'{"item_id": "x", "signals": {"a": 1e999}}', "", "a number is too large"),
    (b'{"item_id": "x", "attributes": {"a": 99999999999999999999}}', "", "an integer is beyond 64 bits"),
    (b'{"item_id": "x", "item_id": "y"}', "", "the name 'item_id' appears twice in one object"),
    (b'{"item_id": "x", "attributes": {"a": 1, "\\u0061": 2}}', "", "the name 'a' appears twice"),
    (b'{"item_id": "x", "title": "a\\u0000b"}', "", "text contains a NUL character"),
    (b'{"item_id": "x", "attributes": {"a\\u0000": 1}}', "", "text contains a NUL character"),
    (b'{"item_id": "x", "title": "\\ud800"}', "", "text contains half of a surrogate pair"),
    (b'{"item_id": "x", "title": "\xff\xfe"}', "", "the text is not UTF-8"),
    (b'{"item_id": "x", "attributes": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}", "", "nested deeper than 40"),
    (b"[" * 100_000, "", "nested deeper than 40"),
    (b'{"item_id": "x", "title": "' + b"a" * MAX_LINE + b'"}', "", "the line has"),
    (b'{"title": "x"}', "item_id", "is missing"),
    (b'{"item_id": 7}', "item_id", "is missing or not a text"),
    (b'{"item_id": " "}', "item_id", "is missing or not a text"),
    (b'{"item_id": "' + b"x" * 129 + b'"}', "item_id", "not a text of 1 to 128"),
    (b'{"item_id": "x", "titel": "t"}', "titel", "there is no such field"),
    (b'{"item_id": "x", "title": 1}', "title", "is not a text"),
    (b'{"item_id": "x", "title": null}', "title", "is not a text"),
    (b'{"item_id": "x", "image_url": "http://img.example/1.jpg"}', "image_url", "is not an https address"),
    (b'{"item_id": "x", "image_url": "javascript:alert(1)"}', "image_url", "is not an https address"),
    (b'{"item_id": "x", "image_url": "https://"}', "image_url", "is not an https address"),
    (b'{"item_id": "x", "available": "yes"}', "available", "is not true or false"),
    (b'{"item_id": "x", "attributes": []}', "attributes", "is not an object"),
    (b'{"item_id": "x", "attributes": {"a.b": 1}}', "attributes.a.b", "cannot be the name of an attribute"),
    (b'{"item_id": "x", "attributes": {"id": 1}}', "attributes.id", "this name is taken"),
    (b'{"item_id": "x", "signals": {"a": "high"}}', "signals.a", "is not a finite number"),
    (b'{"item_id": "x", "signals": {"a": true}}', "signals.a", "is not a finite number"),
    (b'{"item_id": "x", "regions": []}', "regions", "is not a list of 1 to 300 regions"),
    (b'{"item_id": "x", "regions": ["DE", 4]}', "regions.1", "is not a region code"),
    (b'{"item_id": "x", "regions": ["DE", "DE"]}', "regions", "names a region twice"),
    (b'{"item_id": "x", "deleted": 1}', "deleted", "is not true or false"),
]


@pytest.mark.parametrize(("line", "field", "reason"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_upload__a_bad_line_among_good_ones__is_refused_alone(line: bytes, field: str, reason: str) -> None:
    report = upload({"item_id": "before"}, line, {"item_id": "after"})

    assert report.counts == {"created": 2, "updated": 0, "unchanged": 0, "refused": 1}
    (refused,) = report.refused
    assert refused.line == 2
    assert refused.error is not None
    assert (refused.error.field, refused.error.message[: len(reason)]) == (field, reason) or (
        refused.error.field == field and reason in refused.error.message
    )
    assert refused.error.remedy
    assert set(Item.objects.values_list("item_id", flat=True)) == {"before", "after"}


def test_upload__an_item_twice__takes_the_first_and_names_its_line() -> None:
    report = upload(
        {"item_id": "a", "title": "first"},
        {"item_id": "b"},
        {"item_id": "a", "title": "second"},
        batch_lines=2,
    )

    (refused,) = report.refused
    assert refused.error is not None
    assert (refused.line, refused.error.field, refused.error.message) == (
        3,
        "item_id",
        "line 1 states this item already",
    )
    assert Item.objects.get(item_id="a").title == "first"


def test_upload__text_that_looks_like_names__is_taken_in() -> None:
    tricky = {"item_id": 'a":"b', "title": 'say "item_id": "x", twice', "attributes": {"note": '": ": "'}}

    assert upload(tricky).counts["created"] == 1
    assert Item.objects.get().title == tricky["title"]


def test_upload__integers_to_the_edge_of_64_bits__keep_their_value() -> None:
    upload({"item_id": "a", "attributes": {"n": 2**63 - 1, "m": -(2**63) + 1}})

    assert Item.objects.get().attributes == {"n": 2**63 - 1, "m": -(2**63) + 1}


def test_upload__batches__each_is_one_audit_event_with_counts_and_digest() -> None:
    upload({"item_id": "a"}, b"nonsense", {"item_id": "b"}, batch_lines=2)

    first, second = AuditEvent.objects.order_by("id")
    assert (first.operation, first.subject, first.actor_id) == ("catalog.upsert_items", "catalog.item:*", "1")
    assert first.difference["counts"] == {"created": 1, "refused": 1}
    assert first.difference["error_count"] == 1
    assert first.difference["errors"][0]["line"] == 1
    assert second.difference["counts"] == {"created": 1}
    assert len({first.difference["input_digest"], second.difference["input_digest"]}) == 2
    assert Reaction.objects.filter(operation="catalog.upsert_items").count() == 2


@pytest.mark.django_db(transaction=True)
def test_upload__the_database_fails_in_the_second_batch__first_stands_second_leaves_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;"
            "CREATE TRIGGER break_it BEFORE INSERT ON catalog_item FOR EACH ROW"
            " WHEN (NEW.item_id = 'd') EXECUTE FUNCTION break_it();"
        )
    try:
        with pytest.raises(DatabaseError, match="broken"):
            upload(*({"item_id": name, "attributes": {name: 1}} for name in "abcd"), batch_lines=2)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER break_it ON catalog_item; DROP FUNCTION break_it();")

    assert set(Item.objects.values_list("item_id", flat=True)) == {"a", "b"}
    assert set(Attribute.objects.values_list("name", flat=True)) == {"a", "b"}
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_upload__by_a_viewer__is_refused_and_leaves_one_security_line() -> None:
    with pytest.raises(Forbidden):
        upload(SHOE, actor=VIEWER)

    assert (Item.objects.count(), AuditEvent.objects.count(), Attribute.objects.count()) == (0, 0, 0)
    assert SecurityEvent.objects.get().operation == "catalog.upsert_items"


def test_upload__teaches_the_dictionary__names_types_and_values() -> None:
    upload(
        {
            "item_id": "a",
            "attributes": {"brand": "Acme", "made": {"year": 2024}},
            "signals": {"toxicity": 0.5},
        },
        {
            "item_id": "b",
            "attributes": {"brand": "Bolt", "since": "2026-01-01T00:00:00Z", "tags": ["x", "y"]},
        },
    )

    assert selectors.attribute_names("item") == {
        "brand": "string",
        "made": "object",
        "made.year": "number",
        "signals": "object",
        "signals.toxicity": "number",
        "since": "datetime",
        "tags": "list",
    }
    brand = Attribute.objects.get(name="brand")
    assert (brand.values_seen, brand.seen_count, brand.source) == (["Acme", "Bolt"], 2, "learned")
    assert Attribute.objects.get(name="tags").values_seen == ["x", "y"]


def test_read_line__well_formed__says_only_what_was_said() -> None:
    each = read_line(b'{"item_id": "a", "title": "T"}', line=3)

    assert (each.line, each.item_id, dict(each.said)) == (3, "a", {"title": "T"})


def test_upload__a_hundred_thousand_items__take_well_under_a_minute() -> None:
    lines = [
        orjson.dumps(SHOE | {"item_id": f"sku-{number}", "title": f"Shoe {number}"})
        for number in range(100_000)
    ]
    started = time.monotonic()

    report = upload(*lines)

    assert report.counts["created"] == Item.objects.count() == 100_000
    assert time.monotonic() - started < 60


@pytest.fixture
def operator(db: None) -> User:
    user = User.objects.create(username="olga", date_joined=AT)
    return grant_role(user=user, role="operator", actor=ADMIN, at=AT)


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_load_items__file_with_a_bad_line__takes_in_the_rest_and_fails(
    operator: User, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"items{suffix}"
    body = b'{"item_id": "a"}\n\n{"item_id": 1}\n{"item_id": "b"}\r\n'
    file.write_bytes(gzip.compress(body, mtime=0) if suffix.endswith("gz") else body)
    told, wrong = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError, match="1 of 3 lines were refused"):
        call_command("load_items", str(file), "--by", "olga", stdout=told, stderr=wrong)

    assert told.getvalue() == "created 2, updated 0, unchanged 0, refused 1\n"
    assert wrong.getvalue().startswith("line 3: item_id is missing or not a text of 1 to 128 characters.")
    assert set(Item.objects.values_list("item_id", flat=True)) == {"a", "b"}


def test_load_items__broken_gzip__says_so(operator: User, tmp_path: Path) -> None:
    file = tmp_path / "items.gz"
    file.write_bytes(gzip.compress(b'{"item_id": "a"}\n' * 3, mtime=0)[:-6])

    with pytest.raises(CommandError, match="cannot be read to its end"):
        call_command("load_items", str(file), "--by", "olga", stdout=io.StringIO())
