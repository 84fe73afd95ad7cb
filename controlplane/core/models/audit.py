"""The trail: what was done, what was refused, and the seals that make the first tamper-evident. Append-only by triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

if TYPE_CHECKING:
    _BigInteger = models.BigIntegerField[int, int]
else:
    _BigInteger = models.BigIntegerField  # generic to the type checker only


class TransactionId(_BigInteger):
    """The id of the transaction that wrote the row, as PostgreSQL's 64-bit xid8."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def get_prep_value(self, value: Any) -> Any:
        return value

    def from_db_value(self, value: Any, *_: Any) -> int:
        return int(value)


class CurrentTransaction(models.Func):
    """`pg_current_xact_id()`."""

    function = "pg_current_xact_id"
    arity = 0


class AuditEvent(models.Model):
    """One operation that happened: by whom, on what, with what difference. Never changed, never deleted."""

    at = models.DateTimeField()
    operation = models.CharField(max_length=80)
    subject = models.CharField(max_length=200)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.CharField(max_length=64)
    actor_hash = models.CharField(max_length=64)
    """Salted hash of the actor's name: what the digest covers, so that the name can be erased elsewhere."""
    environment = models.CharField(max_length=64, blank=True, default="")
    row_version = models.PositiveIntegerField(null=True)
    difference = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, default="")
    approved_by = models.CharField(max_length=80, blank=True, default="")
    digest = models.CharField(max_length=64)
    transaction = TransactionId(db_default=CurrentTransaction(), editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["subject", "-id"], name="core_audit_subject"),
            models.Index(fields=["operation", "-id"], name="core_audit_operation"),
            models.Index(fields=["actor_kind", "actor_id", "-id"], name="core_audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} on {self.subject}"


class AuditSeal(models.Model):
    """A signed statement: these events, in this order, and no others came between the previous seal and this one."""

    number = models.PositiveBigIntegerField(primary_key=True)
    first = models.PositiveBigIntegerField()
    last = models.PositiveBigIntegerField()
    count = models.PositiveIntegerField()
    root = models.CharField(max_length=64)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    key_id = models.CharField(max_length=16)
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["first"], name="core_auditseal_first_once"),
            models.CheckConstraint(
                condition=models.Q(last=models.F("first") + models.F("count") - 1),
                name="core_auditseal_dense",
            ),
        ]

    def __str__(self) -> str:
        return f"seal {self.number}"


class SealedEvent(models.Model):
    """The dense place a sealed event has in the trail."""

    position = models.PositiveBigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="sealed")
    seal = models.ForeignKey(AuditSeal, on_delete=models.PROTECT, related_name="events")

    class Meta:
        ordering: ClassVar = ["position"]

    def __str__(self) -> str:
        return f"position {self.position}"


class SecurityEvent(models.Model):
    """What was refused, and who came in or failed to. Append-only."""

    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    """`refused`, `login`, `login_failed`, `logout`, `token_refused`."""
    operation = models.CharField(max_length=80, blank=True, default="")
    subject = models.CharField(max_length=200, blank=True, default="")
    actor_kind = models.CharField(max_length=8, blank=True, default="")
    actor_id = models.CharField(max_length=160, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    code = models.CharField(max_length=40, blank=True, default="")
    detail = models.CharField(max_length=500, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["kind", "-id"], name="core_security_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.operation}"
