"""What was published, exactly: content-addressed sections and fragments, revisions that name them, heads, holds."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Section(models.Model):
    """One section of a ruleset by the digest of its canonical JSON. Text, because jsonb respells numbers."""

    digest = models.CharField(max_length=64, primary_key=True)
    body = models.TextField()

    def __str__(self) -> str:
        return self.digest[:12]


class StoredFragment(models.Model):
    """What one source said, by the digest of its canonical JSON."""

    digest = models.CharField(max_length=64, primary_key=True)
    body = models.TextField()

    def __str__(self) -> str:
        return self.digest[:12]


class Revision(models.Model):
    """One published version of an environment's ruleset. Never changed, never deleted."""

    environment = models.CharField(max_length=64)
    number = models.PositiveBigIntegerField()
    previous = models.PositiveBigIntegerField()
    """The head it replaced; 0 for the first."""
    manifest = models.JSONField()
    digest = models.CharField(max_length=64)
    """Sha-256 of the manifest without its signature."""
    cause = models.CharField(max_length=200)
    author = models.CharField(max_length=160)
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "number"], name="rulesets_revision_number_once"),
            models.CheckConstraint(
                condition=models.Q(number__gt=models.F("previous")), name="rulesets_revision_grows"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment} {self.number}"


class RevisionSection(models.Model):
    """Which content a section has in a revision."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="sections")
    name = models.CharField(max_length=80)
    section = models.ForeignKey(Section, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["revision", "name"], name="rulesets_revisionsection_once")
        ]

    def __str__(self) -> str:
        return self.name


class RevisionFragment(models.Model):
    """Which fragment of a source a revision was linked from, and why not the newest where it is not."""

    class Standing(models.TextChoices):
        CURRENT = "current", "Current"
        STALE = "stale", "Last good"
        HELD = "held", "Held back"

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="fragments")
    source = models.CharField(max_length=64)
    provider = models.CharField(max_length=200)
    """Dotted path of the function it came from."""
    fragment = models.ForeignKey(StoredFragment, on_delete=models.PROTECT, related_name="+")
    standing = models.CharField(max_length=8, choices=Standing.choices, default=Standing.CURRENT)

    class Meta:
        ordering: ClassVar = ["source"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["revision", "source"], name="rulesets_revisionfragment_once")
        ]

    def __str__(self) -> str:
        return self.source


class Head(models.Model):
    """The revision that serving systems get. Moved only by whoever holds the environment's publish lock."""

    environment = models.CharField(max_length=64, primary_key=True)
    revision = models.OneToOneField(Revision, on_delete=models.PROTECT, related_name="head")
    since = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["environment"]

    def __str__(self) -> str:
        return self.environment


class Hold(models.Model):
    """Some sources stay as they were in an earlier revision, until somebody releases them or the time is over."""

    environment = models.CharField(max_length=64)
    sources = ArrayField(models.CharField(max_length=64))
    from_revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="holds")
    reason = models.CharField(max_length=500)
    owner = models.CharField(max_length=160)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=160, blank=True, default="")
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")),
                name="rulesets_hold_ends_after_it_begins",
                violation_error_message="The hold would end before it begins; choose a later end.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["environment"],
                condition=models.Q(released_at__isnull=True),
                name="rulesets_hold_standing",
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment}: {', '.join(self.sources)} as in {self.from_revision.number}"

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "sources": sorted(self.sources),
            "from_revision": self.from_revision.number,
            "reason": self.reason,
            "owner": self.owner,
            "expires_at": self.expires_at.isoformat(),
            "released_at": self.released_at.isoformat() if self.released_at else None,
            "released_by": self.released_by,
        }
