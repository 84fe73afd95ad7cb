"""`manage.py create_people`: accounts from the command line, on the record."""

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from controlplane.core.models import AuditEvent, RoleGrant, User


def create(*people: str) -> dict[str, str]:
    out = io.StringIO()
    call_command("create_people", *people, stdout=out)
    made = json.loads(out.getvalue())
    assert isinstance(made, dict)
    return made


@pytest.mark.django_db
def test_create_people__two_people__can_sign_in_and_hold_their_roles() -> None:
    made = create("anna=analyst", "mo=merchandiser")
    assert sorted(made) == ["anna", "mo"]
    assert made["anna"] != made["mo"]
    user = User.objects.get(username="anna")
    assert user.check_password(made["anna"])
    assert set(RoleGrant.objects.values_list("user__username", "role")) == {
        ("anna", "analyst"),
        ("mo", "merchandiser"),
    }
    operations = AuditEvent.objects.order_by("id").values_list("operation", flat=True)
    assert list(operations) == ["core.create_user", "core.grant_role"] * 2


@pytest.mark.django_db
@pytest.mark.parametrize("person", ["anna", "anna=", "anna=emperor"])
def test_create_people__cannot_be_done__says_which(person: str) -> None:
    with pytest.raises(CommandError, match=r"^anna"):
        create("eve=viewer", person)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_create_people__name_taken__is_refused() -> None:
    create("anna=analyst")
    with pytest.raises(CommandError, match=r"^anna=viewer: "):
        create("anna=viewer")
