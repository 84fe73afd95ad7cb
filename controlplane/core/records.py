"""A record is an identity, its immutable versions, and per environment one pointer to the version that is live."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.validators import RegexValidator
from django.db import models

from controlplane.core.canonical import as_stored, digest
from controlplane.core.naming import KEY_PATTERN

valid_key = RegexValidator(
    KEY_PATTERN,
    "Use 1 to 64 lower-case letters, digits, dots, dashes or underscores, beginning and ending with a letter or digit.",
)


def new_salt() -> str:
    """A salt nobody can guess, so that nobody can choose their bucket."""
    return secrets.token_hex(8)


class Record(models.Model):
    """The identity: what stays the same while versions come and go. `row_version` counts every change of the aggregate."""

    key = models.CharField(
        max_length=64,
        unique=True,
        validators=[valid_key],
        error_messages={"unique": "This key is taken; choose another."},
    )
    title = models.CharField(max_length=160)
    owner = models.CharField(max_length=160)
    salt = models.CharField(max_length=32, default=new_salt, editable=False)
    created_at = models.DateTimeField(editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True
        ordering: ClassVar = ["key"]

    if TYPE_CHECKING:  # the reverse sides of the foreign keys that subclasses of version and pointer add
        versions: Any
        pointers: Any

    def __str__(self) -> str:
        return self.title or self.key

    @classmethod
    def subject_of(cls, key: str) -> str:
        """The name under which audit events, findings and other apps speak of the record with this key.

        `experiments.experiment:checkout` for the experiment `checkout`.
        """
        return f"{cls._meta.app_label}.{cls._meta.model_name}:{key}"

    @property
    def subject(self) -> str:
        return self.subject_of(self.key)

    def newest(self) -> Any:
        """The version with the highest number, live or not; None before the first."""
        return self.versions.order_by("-number").first()

    def live(self, environment: str) -> Any:
        """The version live in the environment, or None."""
        pointer = self.pointers.filter(environment=environment).select_related("version").first()
        return pointer.version if pointer else None

    def add_version(self, content: Mapping[str, Any], *, by: str, at: datetime, note: str = "") -> Any:
        """Append the next version. Call it inside an operation, which holds the identity's lock.

        Content equal to the newest version's returns that version instead of a copy of it.
        """
        newest = self.newest()
        content = as_stored(content)
        content_digest = digest(content)
        if newest is not None and newest.digest == content_digest:
            return newest
        number = newest.number + 1 if newest else 1
        return self.versions.create(
            number=number,
            content=content,
            digest=content_digest,
            created_by=by,
            created_at=at,
            note=note,
        )

    def point(self, environment: str, version: Any, *, at: datetime) -> Any:
        """Make the version live in the environment."""
        pointer, _ = self.pointers.update_or_create(
            environment=environment, defaults={"version": version, "since": at}
        )
        return pointer

    def unpoint(self, environment: str) -> bool:
        """Take the record out of the environment; says whether it was live there."""
        deleted, _ = self.pointers.filter(environment=environment).delete()
        return bool(deleted)

    def audit_snapshot(self) -> dict[str, Any]:
        """What audit events compare before and after: identity, newest version's content, pointers."""
        newest = self.newest()
        skipped = {"id", "row_version", "salt", "created_at"}
        fields = {
            field.attname: _plain(getattr(self, field.attname))
            for field in self._meta.concrete_fields
            if field.attname not in skipped
        }
        return {
            **fields,
            "version": newest.number if newest else None,
            "content": newest.content if newest else None,
            "live": {
                pointer.environment: pointer.version.number
                for pointer in self.pointers.select_related("version")
            },
        }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class RecordVersion(models.Model):
    """One immutable state of a record's content. Subclasses add `record = ForeignKey(..., related_name="versions")`."""

    number = models.PositiveIntegerField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=160)
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        abstract = True
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record", "number"], name="%(app_label)s_%(class)s_number_once")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("a version is never changed; add the next one")
        super().save(*args, **kwargs)


class RecordPointer(models.Model):
    """Which version is live in one environment. Subclasses add `record` (related_name="pointers") and `version` (PROTECT)."""

    environment = models.CharField(max_length=64)
    since = models.DateTimeField()

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record", "environment"], name="%(app_label)s_%(class)s_once")
        ]

    @classmethod
    def live_in(cls, environment: str) -> models.QuerySet[Self]:
        """Pointers of the environment with version and record at hand, sorted by the record's key."""
        return (
            cls._default_manager.filter(environment=environment)
            .select_related("version", "record")
            .order_by("record__key")
        )
