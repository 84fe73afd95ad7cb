"""Coming in and going out: throttling, the password policy, where one is sent, and when a session ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.test import Client

from controlplane.core.actors import Actor
from controlplane.core.errors import InvalidInput
from controlplane.core.models import ApiToken, RoleGrant, SecurityEvent, User
from controlplane.core.services import create_user

pytestmark = pytest.mark.django_db
PASSWORD = "tall ships in a harbour"
ADMIN = Actor(kind="user", id="0", name="tests", grants=frozenset({("admin", None)}))
LOCKED_FOR = timedelta(minutes=15)


@pytest.fixture
def ada() -> User:
    user = create_user(username="ada", password=PASSWORD, actor=ADMIN, at=datetime.now(UTC))
    RoleGrant.objects.create(user=user, role="admin")
    return user


def sign_in(browser: Client, password: str = PASSWORD, *, name: str = "ada", going: str = "") -> Any:
    return browser.post(
        f"/login/?next={going}" if going else "/login/",
        {"username": name, "password": password, "next": going},
    )


def inside(browser: Client) -> bool:
    return browser.get("/").status_code == 200


def kinds() -> list[tuple[str, str]]:
    return list(SecurityEvent.objects.order_by("pk").values_list("kind", "actor_id"))


def test_login__right_password__comes_in_and_is_noted(ada: User) -> None:
    browser = Client()

    assert sign_in(browser).status_code == 302
    assert inside(browser)
    assert kinds() == [("login", str(ada.pk))]


def test_login__wrong_password_and_unknown_name__are_answered_alike_and_noted(ada: User) -> None:
    wrong, unknown = sign_in(Client(), "not it at all"), sign_in(Client(), name="nobody")

    assert (wrong.status_code, unknown.status_code) == (200, 200)
    said = [str(answer.context["form"].errors) for answer in (wrong, unknown)]
    assert said[0] == said[1]
    assert kinds() == [("login_failed", "ada"), ("login_failed", "nobody")]
    assert not SecurityEvent.objects.filter(detail__contains="not it at all").exists()


def test_login__five_failures__lock_the_account_for_fifteen_minutes(ada: User) -> None:
    browser = Client()
    answers = [sign_in(browser, f"guess number {number}") for number in range(5)]
    locked = sign_in(browser)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert locked.status_code == 429
    assert b"locked" in locked.content
    assert not inside(browser)
    assert [kind for kind, _ in kinds()] == ["login_failed"] * 4 + ["login_locked"] * 2


def test_login__after_the_lock__comes_in_again(ada: User) -> None:
    browser = Client()
    for _ in range(5):
        sign_in(browser, "a wrong guess")
    earlier = datetime.now(UTC) - LOCKED_FOR
    AccessAttempt.objects.update(attempt_time=earlier + timedelta(seconds=30))
    assert sign_in(browser).status_code == 429

    AccessAttempt.objects.update(attempt_time=earlier - timedelta(seconds=1))

    assert sign_in(browser).status_code == 302
    assert inside(browser)


def test_login__somebody_elses_failures__do_not_lock_me_out(ada: User) -> None:
    for _ in range(6):
        sign_in(Client(), "guess", name="somebody")

    assert sign_in(Client()).status_code == 302


def test_login__a_forged_forwarding_header__does_not_escape_the_lock(ada: User) -> None:
    for number in range(5):
        Client(headers={"X-Forwarded-For": f"10.0.0.{number}"}).post(
            "/login/", {"username": "ada", "password": "guess"}
        )

    assert sign_in(Client(headers={"X-Forwarded-For": "10.0.0.99"})).status_code == 429


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "too short"),
        ("password1234", "too common"),
        ("839201847562", "numeric"),
        ("ada.lovelace1", "similar"),
    ],
)
def test_create_user__weak_password__is_refused(password: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_user(username="ada.lovelace", password=password, actor=ADMIN, at=datetime.now(UTC))

    assert {error.field for error in refused.value.errors} == {"password"}
    assert why in " ".join(error.message for error in refused.value.errors)
    assert not User.objects.exists()


def test_password__kept__is_argon2_and_nowhere_in_the_trail(ada: User) -> None:
    assert ada.password.startswith("argon2$argon2id$")
    assert PASSWORD not in str(list(SecurityEvent.objects.values())) + str(ada.audit_snapshot())


@pytest.mark.parametrize(
    "going", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_login__sent_elsewhere__stays_here(ada: User, going: str) -> None:
    assert sign_in(Client(), going=going)["Location"] == "/"


def test_login__sent_to_a_page__goes_there(ada: User) -> None:
    assert sign_in(Client(), going="/core/apitoken/")["Location"] == "/core/apitoken/"


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_environment_switch__sent_elsewhere__stays_here(ada: User, back: str) -> None:
    browser = Client()
    sign_in(browser)

    assert browser.post("/environment/", {"environment": "production", "next": back})["Location"] == "/"


def test_environment_switch__unknown_environment__is_not_kept(ada: User) -> None:
    browser = Client()
    sign_in(browser)
    browser.post("/environment/", {"environment": "nowhere\x00", "next": "/"})

    assert browser.session.get("environment") is None


def test_logout__by_get__does_not_sign_out_and_by_post_does(ada: User) -> None:
    browser = Client()
    sign_in(browser)
    browser.get("/logout/")
    assert inside(browser)

    browser.post("/logout/")

    assert not inside(browser)
    assert kinds()[-1] == ("logout", str(ada.pk))


def test_session__a_new_one_at_sign_in(ada: User) -> None:
    browser = Client()
    browser.get("/login/")
    planted = browser.session
    planted["planted"] = "by somebody"
    planted.save()
    browser.cookies["sessionid"] = planted.session_key or ""

    sign_in(browser)

    assert browser.cookies["sessionid"].value != planted.session_key


def test_session__of_somebody_deactivated__ends_at_once_on_pages_and_rest(ada: User) -> None:
    browser = Client()
    sign_in(browser)
    assert browser.get("/api/v1/tokens").status_code == 200

    User.objects.filter(pk=ada.pk).update(is_active=False)

    assert not inside(browser)
    assert browser.get("/api/v1/tokens").status_code == 401
    assert sign_in(Client()).status_code == 200


def test_session__role_taken_away__right_is_gone_with_the_next_request(ada: User) -> None:
    browser = Client()
    sign_in(browser)
    RoleGrant.objects.filter(user=ada).delete()

    assert browser.get("/api/v1/tokens").status_code == 403


def test_session__pages_and_rest__need_the_csrf_token(ada: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    body = {"key": "new", "name": "New", "scopes": ["rest"], "kind": "secret"}

    answers = [
        browser.post("/core/apitoken/add/", body),
        browser.post("/core/user/add/", {"username": "eve", "password": PASSWORD}),
        browser.post("/logout/"),
        browser.post("/environment/", {"environment": "production"}),
        browser.post("/login/", {"username": "ada", "password": PASSWORD}),
        browser.post("/api/v1/tokens", body, content_type="application/json"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert not ApiToken.objects.exists()
    assert User.objects.count() == 1
    assert inside(browser)


def test_person_form__flags_of_django__are_not_settable(ada: User) -> None:
    browser = Client()
    sign_in(browser)
    sly = {
        "username": "eve",
        "password": PASSWORD,
        "is_superuser": "on",
        "user_permissions": "1",
        "is_staff": "on",
    }
    browser.post("/core/user/add/", sly)
    eve = User.objects.get(username="eve")
    browser.post(f"/core/user/{eve.pk}/change/", {"role": "viewer", "surface": "", **sly})

    eve.refresh_from_db()
    assert not eve.is_superuser
    assert [(grant.role, grant.surface) for grant in eve.role_grants.all()] == [("viewer", "")]
