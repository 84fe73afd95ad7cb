"""Operations on people and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from controlplane.core import tokens
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, Forbidden, InvalidInput
from controlplane.core.models import ApiToken, RoleGrant, User
from controlplane.core.operations import operation
from controlplane.core.registry import register

SCOPES = ("ruleset:read", "events:write", "decide:run", "rest")
ROTATION_GRACE = timedelta(hours=24)


@register("core.create_user", title="Create a person's account")
def create_user(*, username: str, password: str, actor: Actor, at: datetime, email: str = "") -> User:
    """A new account without any role. Raises InvalidInput when the password is too weak, Conflict when the name is taken."""
    draft = User(username=username, email=email, is_staff=True, date_joined=at)
    try:
        validate_password(password, user=draft)
    except ValidationError as error:
        raise InvalidInput(
            "The password is too weak.",
            errors=[FieldError("password", message) for message in error.messages],
        ) from error
    draft.set_password(password)
    with operation.create("core.create_user", by=actor, model=User, at=at) as created:
        draft.save(force_insert=True)
        created(draft)
    return draft


@register("core.change_own_password", title="Change one's own password")
def change_own_password(*, user: User, old: str, new: str, actor: Actor, at: datetime) -> User:
    """A new password for oneself. Raises Forbidden for somebody else's, InvalidInput for a wrong old or a weak new one."""
    # Whoever holds a role anywhere may do this; one limited to surfaces is asked about the first of them.
    limited = (
        ()
        if any(surface is None for _, surface in actor.grants)
        else sorted(s for _, s in actor.grants if s)[:1]
    )
    with operation("core.change_own_password", user, by=actor, at=at, surfaces=limited) as row:
        if (actor.kind, actor.id) != ("user", str(row.pk)):
            raise Forbidden("A password is changed by the person it belongs to.")
        if not row.check_password(old):
            raise InvalidInput.on("old_password", "is not your password", "Type the one you sign in with.")
        try:
            validate_password(new, user=row)
        except ValidationError as error:
            raise InvalidInput(
                "The password is too weak.",
                errors=[FieldError("new_password", message) for message in error.messages],
            ) from error
        row.set_password(new)
        row.save(update_fields=["password"])
    return user


@register("core.set_person_active", title="Let a person in, or not")
def set_person_active(
    *, user: User, active: bool, actor: Actor, at: datetime, expects: int | None = None
) -> User:
    """Whether the person can sign in; ending it ends their sessions at once. Raises Conflict when it is so already."""
    with operation("core.set_person_active", user, by=actor, at=at, expects=expects) as row:
        if row.is_active is active:
            raise Conflict(f"{row.username} is {'active' if active else 'inactive'} already.")
        if (actor.kind, actor.id) == ("user", str(row.pk)):
            raise Conflict("Somebody else must do that to your own account.")
        row.is_active = active
        row.save(update_fields=["is_active"])
    return user


@register("core.grant_role", title="Give a role")
def grant_role(
    *, user: User, role: str, actor: Actor, at: datetime, surface: str = "", expects: int | None = None
) -> User:
    """Give a person a role, on one surface or everywhere. Giving it again changes nothing."""
    _known_role(role)
    with operation("core.grant_role", user, by=actor, at=at, expects=expects) as user:
        RoleGrant.objects.get_or_create(user=user, role=role, surface=surface)
    return user


@register("core.revoke_role", title="Take a role away")
def revoke_role(
    *, user: User, role: str, actor: Actor, at: datetime, surface: str = "", expects: int | None = None
) -> User:
    """Take a role from a person. Raises Conflict when it was not given."""
    with operation("core.revoke_role", user, by=actor, at=at, expects=expects) as user:
        deleted, _ = RoleGrant.objects.filter(user=user, role=role, surface=surface).delete()
        if not deleted:
            raise Conflict(
                f"{user.username} does not hold the role {role}{f' on {surface}' if surface else ''}."
            )
    return user


def _known_role(role: str, field: str = "role") -> None:
    if role not in settings.ROLES:
        raise InvalidInput.on(
            field, f"there is no role {role!r}", f"Choose one of {', '.join(settings.ROLES)}."
        )


@register("core.create_token", title="Create an API token")
def create_token(
    *,
    key: str,
    name: str,
    actor: Actor,
    at: datetime,
    scopes: Sequence[str],
    roles: Sequence[str] = (),
    environment: str = "",
    surfaces: Sequence[str] = (),
    expires_at: datetime | None = None,
    kind: str = ApiToken.Kind.SECRET,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown this once and never again."""
    _check_token(scopes=scopes, roles=roles, environment=environment, expires_at=expires_at, kind=kind, at=at)
    text, prefix, secret_hash = tokens.mint()
    with operation.create(
        "core.create_token", by=actor, model=ApiToken, at=at, environment=environment, surfaces=surfaces
    ) as created:
        _may_hand_out(roles, surfaces, actor)
        token = created(
            ApiToken.objects.create(
                key=key,
                name=name,
                kind=kind,
                prefix=prefix,
                secret_hash=secret_hash,
                roles=list(roles),
                scopes=list(scopes),
                environment=environment,
                surfaces=list(surfaces),
                expires_at=expires_at,
                created_at=at,
                created_by=actor.name,
            )
        )
    return token, text


def _check_token(
    *,
    scopes: Sequence[str],
    roles: Sequence[str],
    environment: str,
    expires_at: datetime | None,
    kind: str,
    at: datetime,
) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        what = f"unknown: {', '.join(unknown)}" if unknown else "none given"
        raise InvalidInput.on("scopes", what, f"Choose from {', '.join(SCOPES)}.")
    for role in roles:
        _known_role(role, "roles")
    if roles and "rest" not in scopes:
        raise InvalidInput.on(
            "roles",
            "only a token with the scope rest can hold roles",
            "Add the scope rest or drop the roles.",
        )
    if "admin" in roles:
        raise InvalidInput.on("roles", "a token cannot be admin", "Name the roles the program needs.")
    if kind == ApiToken.Kind.CLIENT and set(scopes) - {"events:write"}:
        raise InvalidInput.on(
            "scopes", "a public client key may only write events", "Use the scope events:write alone."
        )
    if {"ruleset:read", "events:write", "decide:run"} & set(scopes) and not environment:
        raise InvalidInput.on(
            "environment", "a serving token belongs to one environment", "Name the environment."
        )
    if expires_at is not None and expires_at <= at:
        raise InvalidInput.on("expires_at", "lies in the past", "Choose a later time or leave it out.")


def _may_hand_out(roles: Sequence[str], surfaces: Sequence[str], actor: Actor) -> None:
    """Nobody gives a program rights they do not have themselves: an operator makes no approver. Raises Forbidden."""
    if actor.kind == "system":
        return
    for role in roles:
        missing = [right for right in sorted(settings.ROLES[role]) if not actor.may(right, surfaces=surfaces)]
        if missing:
            raise Forbidden(
                f"{actor.name} cannot give the role {role}, which holds rights they lack: {', '.join(missing)}"
            )


@register("core.rotate_token", title="Rotate an API token")
def rotate_token(
    *, token: ApiToken, actor: Actor, at: datetime, expects: int | None = None
) -> tuple[ApiToken, str]:
    """A new secret under the same prefix; the old one works for another day. Raises Conflict when revoked."""
    secret = tokens.split(tokens.mint()[0])
    assert secret is not None  # mint makes what split reads
    with operation("core.rotate_token", token, by=actor, at=at, expects=expects) as token:
        _may_hand_out(token.roles, token.surfaces, actor)
        if token.revoked_at is not None:
            raise Conflict("A revoked token cannot be rotated; create a new one.")
        token.previous_hash, token.previous_until = token.secret_hash, at + ROTATION_GRACE
        token.secret_hash = tokens.hash_secret(secret[1])
        token.save(update_fields=["previous_hash", "previous_until", "secret_hash"])
    return token, f"cp_{token.prefix}_{secret[1]}"


@register("core.revoke_token", title="Revoke an API token")
def revoke_token(*, token: ApiToken, actor: Actor, at: datetime, expects: int | None = None) -> ApiToken:
    """The token opens nothing from now on. Raises Conflict when it was revoked before."""
    with operation("core.revoke_token", token, by=actor, at=at, expects=expects) as token:
        if token.revoked_at is not None:
            raise Conflict("This token was revoked before.")
        token.revoked_at = at
        token.save(update_fields=["revoked_at"])
    return token
