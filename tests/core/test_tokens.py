"""Tokens: shown once, kept hashed, recognised while they may be used."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from controlplane.core import tokens
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput
from controlplane.core.models import ApiToken, AuditEvent
from controlplane.core.services import create_token, revoke_token, rotate_token
from tests.core.conftest import ADMIN, AT, OPERATOR

pytestmark = pytest.mark.django_db


def mint(**given: Any) -> tuple[ApiToken, str]:
    values: dict[str, Any] = {
        "key": "reader",
        "name": "Reader",
        "scopes": ["rest"],
        "roles": ["viewer"],
    } | given
    return create_token(**{"actor": ADMIN, "at": AT, **values})


def test_create_token__its_text__opens_it_and_stands_nowhere() -> None:
    token, text = mint()

    assert tokens.recognise(text, at=AT) == token
    assert text.startswith(f"cp_{token.prefix}_")
    secret = text.removeprefix(f"cp_{token.prefix}_")
    kept = str(ApiToken.objects.values().get()) + str(AuditEvent.objects.values().get())
    assert secret not in kept
    assert tokens.hash_secret(secret) in kept


@pytest.mark.parametrize(
    "text",
    ["", "cp_", "cp_12345678_", "Bearer x", "cp_12345678_" + "x" * 43, "cp_12345678_" + "x" * 44, "\x00"],
)
def test_recognise__no_token_of_ours__is_none(text: str) -> None:
    mint()

    assert tokens.recognise(text, at=AT) is None


def test_recognise__one_letter_off__is_none() -> None:
    _, text = mint()

    assert tokens.recognise(text[:-1] + ("a" if text[-1] != "a" else "b"), at=AT) is None


@pytest.mark.parametrize(("after", "opens"), [(59, True), (60, False), (61, False)])
def test_recognise__around_expiry__opens_before_it_only(after: int, opens: bool) -> None:
    _, text = mint(expires_at=AT + timedelta(minutes=60))

    assert (tokens.recognise(text, at=AT + timedelta(minutes=after)) is not None) is opens


def test_recognise__used_often__notes_it_once_a_minute() -> None:
    _, text = mint()

    def last_used(at: datetime) -> datetime | None:
        tokens.recognise(text, at=at)
        return ApiToken.objects.get().last_used_at

    assert last_used(AT) == AT
    assert last_used(AT + timedelta(seconds=59)) == AT
    assert last_used(AT + timedelta(seconds=61)) == AT + timedelta(seconds=61)


def test_rotate_token__old_secret__works_for_a_day_longer() -> None:
    token, old = mint()

    token, new = rotate_token(token=token, actor=ADMIN, at=AT)

    assert new != old
    for text, hours, opens in ((old, 23, True), (old, 24, False), (new, 23, True), (new, 1000, True)):
        found = tokens.recognise(text, at=AT + timedelta(hours=hours))
        assert (found is not None) is opens, (text == old, hours)


def test_rotate_token__twice__forgets_the_oldest_at_once() -> None:
    token, oldest = mint()
    token, older = rotate_token(token=token, actor=ADMIN, at=AT)
    rotate_token(token=token, actor=ADMIN, at=AT)

    assert tokens.recognise(oldest, at=AT) is None
    assert tokens.recognise(older, at=AT) is not None


def test_rotate_token__with_rights_the_actor_lacks__is_refused() -> None:
    token, text = mint(roles=["compliance"])

    with pytest.raises(Forbidden):
        rotate_token(token=token, actor=OPERATOR, at=AT)

    assert tokens.recognise(text, at=AT) is not None


def test_revoke_token__also_its_old_secret__opens_nothing() -> None:
    token, old = mint()
    token, new = rotate_token(token=token, actor=ADMIN, at=AT)

    revoke_token(token=token, actor=ADMIN, at=AT)

    assert (tokens.recognise(old, at=AT), tokens.recognise(new, at=AT)) == (None, None)
    with pytest.raises(Conflict, match="revoked before"):
        revoke_token(token=token, actor=ADMIN, at=AT)
    with pytest.raises(Conflict, match="cannot be rotated"):
        rotate_token(token=token, actor=ADMIN, at=AT)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"roles": ["king"]}, "roles"),
        ({"roles": ["admin"]}, "roles"),
        ({"scopes": ["ruleset:read"], "environment": "production"}, "roles"),
        ({"scopes": ["ruleset:read"], "roles": []}, "environment"),
        ({"scopes": ["events:write"], "roles": []}, "environment"),
        ({"kind": "client", "scopes": ["rest"]}, "scopes"),
        ({"kind": "client", "scopes": ["ruleset:read"], "roles": [], "environment": "production"}, "scopes"),
        ({"expires_at": AT}, "expires_at"),
    ],
)
def test_create_token__wrong__names_the_field_and_makes_none(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        mint(**given)

    assert [error.field for error in caught.value.errors] == [field]
    assert ApiToken.objects.count() == 0


def test_actor_of_token__surfaces__limit_every_role() -> None:
    token, _ = mint(roles=["operator", "viewer"], surfaces=["feed", "search"], environment="production")

    actor = Actor.of_token(token)

    assert actor.grants == {
        (role, surface) for role in ("operator", "viewer") for surface in ("feed", "search")
    }
    assert (actor.kind, actor.id, actor.environment) == ("token", token.prefix, "production")
