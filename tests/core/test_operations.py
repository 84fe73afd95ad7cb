"""The operation in its three forms: one transaction, one audit event, and nothing at all when it is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from controlplane.core import registry
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, Forbidden, InvalidInput, NotFound, Stale
from controlplane.core.models import ApiToken, AuditEvent, Reaction, RoleGrant, SecurityEvent, User
from controlplane.core.operations import operation, subject_of
from controlplane.core.policies import ApprovalRequired
from controlplane.core.registry import register
from controlplane.core.services import create_token, create_user, grant_role, revoke_role, revoke_token
from tests.core import hooks
from tests.core.conftest import ADMIN, AT, OPERATOR, VIEWER

pytestmark = pytest.mark.django_db


@register("tests.touch", title="Touch", publishes=True)
def _touch() -> None:
    """An operation only these tests know."""


def make_token(key: str = "reader", actor: Actor = ADMIN, **given: Any) -> ApiToken:
    values: dict[str, Any] = {"name": "Reader", "scopes": ["rest"], "roles": ["viewer"]} | given
    return create_token(key=key, actor=actor, at=AT, **values)[0]


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="bob", date_joined=AT)


def untouched() -> tuple[int, int, int]:
    return AuditEvent.objects.count(), Reaction.objects.count(), ApiToken.objects.count()


# --- on a row


def test_operation__on_a_row__counts_the_version_and_records_the_difference(user: User) -> None:
    grant_role(user=user, role="analyst", actor=ADMIN, at=AT)

    event = AuditEvent.objects.get()
    assert (event.operation, event.subject, event.row_version) == (
        "core.grant_role",
        f"core.user:{user.pk}",
        2,
    )
    assert event.difference == {"grants": {"from": [], "to": [["analyst", ""]]}}
    assert (event.actor_kind, event.actor_id, event.at) == ("user", "1", AT)
    assert "ada" not in str(event.__dict__)
    assert user.row_version == 2


def test_operation__body_raises__leaves_nothing(user: User) -> None:
    with pytest.raises(Conflict):
        revoke_role(user=user, role="analyst", actor=ADMIN, at=AT)

    assert User.objects.get().row_version == 1
    assert untouched() == (0, 0, 0)


def test_operation__seen_version_is_the_present_one__passes(user: User) -> None:
    grant_role(user=user, role="analyst", actor=ADMIN, at=AT, expects=1)
    grant_role(user=user, role="viewer", actor=ADMIN, at=AT, expects=2)

    assert User.objects.get().row_version == 3


@pytest.mark.parametrize("expects", [0, 1, 3, 99])
def test_operation__seen_another_version__is_stale_and_says_both(user: User, expects: int) -> None:
    grant_role(user=user, role="analyst", actor=ADMIN, at=AT)

    with pytest.raises(Stale) as caught:
        grant_role(user=user, role="viewer", actor=ADMIN, at=AT, expects=expects)

    assert caught.value.extra == {"row_version": 2, "expected": expects}
    assert list(RoleGrant.objects.values_list("role", flat=True)) == ["analyst"]
    assert AuditEvent.objects.count() == 1


def test_operation__row_is_gone__is_not_found(user: User) -> None:
    stale = User.objects.get()
    User.objects.all().delete()

    with pytest.raises(NotFound):
        grant_role(user=stale, role="viewer", actor=ADMIN, at=AT)


def test_operation__works_on_the_row_as_it_is_now__not_as_the_caller_read_it(user: User) -> None:
    seen_before = User.objects.get()
    User.objects.update(email="new@example.org")

    with operation("core.grant_role", seen_before, by=ADMIN, at=AT) as row:
        assert row.email == "new@example.org"

    assert (seen_before.email, seen_before.row_version) == ("new@example.org", 2)


def test_operation__lock__lets_rows_that_refer_to_it_be_inserted(user: User) -> None:
    with CaptureQueriesContext(connection) as queries:
        grant_role(user=user, role="viewer", actor=ADMIN, at=AT)

    assert any(query["sql"].endswith("FOR NO KEY UPDATE") for query in queries.captured_queries)


def test_operation__breach_of_a_childs_constraint__speaks_the_models_words(user: User) -> None:
    RoleGrant.objects.create(user=user, role="viewer")

    with (
        pytest.raises(Conflict, match="This person already has that role there") as caught,
        operation("core.grant_role", user, by=ADMIN, at=AT) as row,
    ):
        RoleGrant.objects.create(user=row, role="viewer")

    assert caught.value.extra == {"constraint": "core_rolegrant_once"}


def test_operation__unknown_integrity_error__is_not_dressed_up(user: User) -> None:
    with pytest.raises(IntegrityError), operation("core.grant_role", user, by=ADMIN, at=AT):
        SecurityEvent.objects.bulk_create([SecurityEvent(kind="login")])


# --- create


def test_create__new_row__records_its_whole_content() -> None:
    make_token(surfaces=["feed"])

    event = AuditEvent.objects.get()
    assert (event.operation, event.subject, event.row_version) == (
        "core.create_token",
        "core.apitoken:reader",
        1,
    )
    assert event.difference["key"] == {"to": "reader"}
    assert event.difference["surfaces"] == {"to": ["feed"]}
    assert not {"secret_hash", "previous_hash"} & set(event.difference)


def test_create__key_taken__conflicts_and_writes_nothing() -> None:
    make_token()

    with pytest.raises(Conflict) as caught:
        make_token()

    assert [error.field for error in caught.value.errors] == ["key"]
    assert untouched() == (1, 0, 1)


@pytest.mark.parametrize("rows", [0, 2])
def test_create__no_row_or_two__is_a_programming_error(rows: int) -> None:
    def make() -> None:
        with operation.create("core.create_user", by=ADMIN, model=User, at=AT) as created:
            for number in range(rows):
                created(User.objects.create(username=f"u{number}", date_joined=AT))

    with pytest.raises(RuntimeError, match=f"made {rows} rows"):
        make()

    assert (User.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_create_user__weak_password__names_the_field() -> None:
    with pytest.raises(InvalidInput) as caught:
        create_user(username="carol", password="carol", actor=ADMIN, at=AT)

    assert {error.field for error in caught.value.errors} == {"password"}
    assert User.objects.count() == 0


# --- batch


def test_batch__counts_digest_and_errors__are_one_event() -> None:
    with operation.batch("tests.touch", by=ADMIN, subject="tests.thing:*", at=AT) as report:
        report.input_digest = "abc"
        report.count("created", 3)
        report.count("created")
        for line in range(150):
            report.error(line, FieldError("name", "is odd", "Even it out."))

    event = AuditEvent.objects.get()
    assert event.row_version is None
    assert event.difference["counts"] == {"created": 4}
    assert (event.difference["input_digest"], event.difference["error_count"]) == ("abc", 150)
    assert len(event.difference["errors"]) == 100
    assert event.difference["errors"][1] == {
        "line": 1,
        "field": "name",
        "message": "is odd",
        "remedy": "Even it out.",
    }


def test_batch__body_raises__leaves_nothing() -> None:
    def half() -> None:
        with operation.batch("tests.touch", by=ADMIN, subject="x", at=AT):
            User.objects.create(username="half", date_joined=AT)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        half()

    assert (User.objects.count(), AuditEvent.objects.count(), Reaction.objects.count()) == (0, 0, 0)


# --- permission, for people and for the system


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "actor",
    [VIEWER, Actor.system("beat"), Actor.system("nobody"), Actor(kind="user", id="9", name="new")],
    ids=lambda actor: actor.subject,
)
def test_permission__lacking__writes_one_security_line_and_nothing_else(actor: Actor) -> None:
    with pytest.raises(Forbidden) as caught:
        make_token(actor=actor)

    assert caught.value.extra == {"operation": "core.create_token"}
    assert untouched() == (0, 0, 0)
    line = SecurityEvent.objects.get()
    assert (line.kind, line.operation, line.subject, line.code) == (
        "refused",
        "core.create_token",
        "core.apitoken",
        "forbidden",
    )
    assert (line.actor_kind, line.actor_id) == (actor.kind, actor.id)


@pytest.mark.parametrize(
    "actor", [ADMIN, OPERATOR, Actor.system("bootstrap")], ids=lambda actor: actor.subject
)
def test_permission__held__lets_it_pass(actor: Actor) -> None:
    assert make_token(actor=actor).key == "reader"


@pytest.mark.parametrize(
    ("grants", "surfaces", "may"),
    [
        ({("operator", None)}, [], True),
        ({("operator", None)}, ["feed", "search"], True),
        ({("operator", "feed")}, ["feed"], True),
        ({("operator", "feed")}, ["feed", "search"], False),
        ({("operator", "feed"), ("operator", "search")}, ["feed", "search"], True),
        ({("operator", "feed"), ("viewer", "search")}, ["feed", "search"], False),
        ({("operator", "feed")}, [], False),
        ({("viewer", None)}, ["feed"], False),
        (set(), [], False),
    ],
)
def test_permission__role_on_surfaces__covers_those_surfaces_only(
    grants: set[tuple[str, str | None]], surfaces: list[str], may: bool
) -> None:
    actor = Actor(kind="user", id="7", name="eve", grants=frozenset(grants))

    assert actor.may("rulesets.publish", surfaces=surfaces) is may


@pytest.mark.parametrize(
    ("scopes", "environment", "asked", "may"),
    [
        ({"rest"}, None, "production", True),
        ({"rest"}, "production", "production", True),
        ({"rest"}, "production", "staging", False),
        ({"ruleset:read"}, None, "production", False),
        (set(), None, None, False),
    ],
)
def test_permission__token__needs_the_scope_and_stays_in_its_environment(
    scopes: set[str], environment: str | None, asked: str | None, may: bool
) -> None:
    actor = Actor(
        kind="token", id="abc", name="t", grants=frozenset({("operator", None)}), scopes=frozenset(scopes),
        environment=environment,
    )  # fmt: skip

    assert actor.may("rulesets.publish", environment=asked) is may


@pytest.mark.parametrize(
    ("role", "allowed"), [("viewer", True), ("operator", True), ("compliance", False), ("approver", False)]
)
def test_create_token__role_beyond_the_givers__is_refused(role: str, allowed: bool) -> None:
    if allowed:
        assert make_token(actor=OPERATOR, roles=[role]).roles == [role]
    else:
        with pytest.raises(Forbidden, match="rights they lack"):
            make_token(actor=OPERATOR, roles=[role])
        assert ApiToken.objects.count() == 0


# --- policies


@pytest.fixture
def _watched(settings: Settings) -> None:
    hooks.JUDGED.clear()
    settings.POLICIES = ["tests.core.hooks.watches"]


@pytest.mark.usefixtures("_watched")
def test_policy__every_form__is_asked_after_permission_with_all_it_needs(user: User) -> None:
    make_token(environment="staging", surfaces=["feed"])
    grant_role(user=user, role="viewer", actor=ADMIN, at=AT)
    with operation.batch("tests.touch", by=ADMIN, subject="tests.thing:*", at=AT):
        pass
    with pytest.raises(Forbidden):
        make_token("other", actor=VIEWER)

    asked = [(one.operation, one.subject, one.row, one.environment, one.surfaces) for one in hooks.JUDGED]
    assert asked == [
        ("core.create_token", "core.apitoken", None, "staging", ("feed",)),
        ("core.grant_role", f"core.user:{user.pk}", user, "", ()),
        ("tests.touch", "tests.thing:*", None, "", ()),
    ]


def test_policy__refuses__nothing_is_written(settings: Settings) -> None:
    settings.POLICIES = ["tests.core.hooks.refuses"]

    with pytest.raises(Conflict, match="not on a Sunday"):
        make_token()

    assert untouched() == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_policy__several_want_approvals__all_are_named_and_logged(settings: Settings) -> None:
    settings.POLICIES = ["tests.core.hooks.wants_compliance", "tests.core.hooks.wants_approver"]

    with pytest.raises(ApprovalRequired) as caught:
        make_token()

    assert [need["role"] for need in caught.value.extra["needs"]] == ["compliance", "approver"]
    assert untouched() == (0, 0, 0)
    assert SecurityEvent.objects.get().code == "approval_required"


# --- registry and names


def test_register__two_functions_one_name__is_refused() -> None:
    with pytest.raises(ValueError, match=r"two functions want to be the operation tests\.touch"):

        @register("tests.touch", title="Another")
        def _another() -> None:
            """Not the one that holds the name."""


def test_find__unknown_name__raises() -> None:
    with pytest.raises(LookupError, match=r"there is no operation named tests\.nothing"):
        registry.find("tests.nothing")


def test_operation__unregistered_name__cannot_be_recorded(user: User) -> None:
    with pytest.raises(LookupError), operation("tests.nameless", user, by=ADMIN, at=AT):
        pass

    assert (User.objects.get().row_version, AuditEvent.objects.count()) == (1, 0)


def test_subject_of__keyed_row__uses_the_key(user: User) -> None:
    assert subject_of(make_token()) == "core.apitoken:reader"
    assert subject_of(user) == f"core.user:{user.pk}"


def test_revoke_token__inside_a_refused_outer_transaction__leaves_nothing() -> None:
    token = make_token()

    def revoke_and_fail() -> None:
        with transaction.atomic():
            revoke_token(token=token, actor=ADMIN, at=AT + timedelta(hours=1))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        revoke_and_fail()

    assert ApiToken.objects.get().revoked_at is None
    assert AuditEvent.objects.count() == 1
