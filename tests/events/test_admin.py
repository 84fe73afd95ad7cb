"""Pages of quarantine, erasures and retention, and the operator's panel, as a signed-in person sees them."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from controlplane.catalog import services as catalog
from controlplane.core.actors import Actor
from controlplane.core.models import RoleGrant, User
from controlplane.events import services
from controlplane.events.buffer import Bad, Submission
from controlplane.events.models import Erasure, QuarantinedRecord, RetentionRule
from controlplane.events.shapes import Refusal

ADMIN = Actor(kind="user", id="0", name="tests", grants=frozenset({("admin", None)}))
AT = datetime(2024, 11, 23, 12, tzinfo=UTC)
MENDED = (
    b'{"event_id":"e-1","type":"conversion","name":"purchase","occurred_at":"2024-11-23T11:59:00Z",'
    b'"unit_ids":{"user":"u-1"}}'
)


@pytest.fixture
def operator(transactional_db: None) -> Client:
    """An operator's browser, with one record in quarantine that is an event by now."""
    user = User.objects.create(username="olga", is_staff=True, date_joined=AT)
    RoleGrant.objects.create(user=user, role="operator")
    catalog.create_environment(key="production", name="Production", actor=ADMIN, at=AT)
    refusal = Refusal("unknown_field", "colour", "there is no such field", "leave it out")
    services.store(
        [Submission("production", "live", (), (Bad(refusal, "e-1", "conversion", MENDED),))], at=AT
    )
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_home__record_in_quarantine__operator_reads_code_and_reason(operator: Client) -> None:
    page = operator.get("/").content.decode()

    assert "unknown_field colour" in page
    assert "there is no such field; records: 1, times seen: 1" in page
    assert "0 wait for the lake" in page


def test_quarantine__looked_at__shows_the_record_as_it_came(operator: Client) -> None:
    record = QuarantinedRecord.objects.get()

    assert "unknown_field" in operator.get("/events/quarantinedrecord/").content.decode()
    page = operator.get(f"/events/quarantinedrecord/{record.pk}/change/").content.decode()
    assert "&quot;event_id&quot;:&quot;e-1&quot;" in page


def test_redrive__form_sent__takes_the_record_in(operator: Client) -> None:
    assert "Waiting in production: 1." in operator.get("/events/quarantinedrecord/redrive/").content.decode()

    answer = operator.post("/events/quarantinedrecord/redrive/", {"environment": "production"})

    assert (answer.status_code, answer["Location"]) == (302, "/events/quarantinedrecord/")
    assert QuarantinedRecord.objects.get().outcome == "accepted"


def test_erasure__form_sent__is_asked_for_and_the_list_hides_the_id(operator: Client) -> None:
    form = {"environment": "production", "user_id": "u-17", "reason": "asked by letter"}

    answer = operator.post("/events/erasure/add/", form)

    assert (answer.status_code, answer["Location"]) == (302, "/events/erasure/")
    erasure = Erasure.objects.get()
    assert erasure.user_id == "u-17"
    for address in ("/events/erasure/", f"/events/erasure/{erasure.pk}/change/"):
        assert "u-17" not in operator.get(address).content.decode()


def test_retention__changed_by_somebody_else_meanwhile__is_refused_on_the_page(operator: Client) -> None:
    operator.post("/events/retentionrule/add/", {"event_type": "click", "days": "30"})
    rule = RetentionRule.objects.get()
    address = f"/events/retentionrule/{rule.pk}/change/"

    assert operator.post(address, {"days": "40", "expects": "1"}).status_code == 302
    stale = operator.post(address, {"days": "50", "expects": "1"})

    assert "you saw 1" in stale.content.decode()
    assert RetentionRule.objects.get().days == 40
