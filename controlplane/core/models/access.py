"""People, their roles, and API tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models


class User(AbstractUser):
    """A person who signs in. What they may do follows from their role grants, not from Django's permissions."""

    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["username"]

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "username": self.username,
            "is_active": self.is_active,
            "grants": sorted([grant.role, grant.surface] for grant in self.role_grants.all()),
        }


def _role_choices() -> list[tuple[str, str]]:
    return [(role, role.capitalize()) for role in settings.ROLES]


class RoleGrant(models.Model):
    """One role of one person, on one surface or, when `surface` is empty, on all of them."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=32, choices=_role_choices)
    surface = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "role", "surface"],
                name="core_rolegrant_once",
                violation_error_message="This person already has that role there.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} on {self.surface or 'every surface'}"


class ApiToken(models.Model):
    """A secret that lets a program in. Only its hash is kept; `prefix` is the public name by which people know it."""

    class Kind(models.TextChoices):
        SECRET = "secret", "Server token"
        CLIENT = "client", "Public client key"

    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.SECRET)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    roles = ArrayField(models.CharField(max_length=32), default=list, blank=True)
    scopes = ArrayField(models.CharField(max_length=64), default=list)
    environment = models.CharField(max_length=64, blank=True, default="")
    surfaces = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=160)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return f"{self.name} (cp_{self.prefix}_…)"

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "prefix": self.prefix,
            "roles": sorted(self.roles),
            "scopes": sorted(self.scopes),
            "environment": self.environment,
            "surfaces": sorted(self.surfaces),
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "revoked_at": self.revoked_at.isoformat() if self.revoked_at else None,
        }
