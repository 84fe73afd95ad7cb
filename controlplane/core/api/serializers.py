"""Shapes of core's own REST resources."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from controlplane.core.api.records import StrictSerializer
from controlplane.core.models import ApiToken, AuditEvent, OpenFinding, SecurityEvent
from controlplane.core.records import valid_key
from controlplane.core.services import SCOPES


class TokenRead(serializers.ModelSerializer[ApiToken]):
    class Meta:
        model = ApiToken
        fields = [
            "key", "name", "kind", "prefix", "roles", "scopes", "environment", "surfaces",
            "created_at", "created_by", "expires_at", "revoked_at", "last_used_at", "row_version",
        ]  # fmt: skip


class TokenShown(TokenRead):
    """A token with its text, in the one answer that shows it."""

    token = serializers.CharField(help_text="Keep it now: it is not shown again.")

    class Meta(TokenRead.Meta):
        fields = [*TokenRead.Meta.fields, "token"]


class TokenCreate(StrictSerializer):
    key = serializers.CharField(max_length=64, validators=[valid_key])
    name = serializers.CharField(max_length=120)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[(scope, scope) for scope in SCOPES])
    )
    roles = serializers.ListField(
        child=serializers.ChoiceField(choices=[(role, role) for role in settings.ROLES]),
        required=False,
        default=list,
    )
    environment = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    surfaces = serializers.ListField(child=serializers.CharField(max_length=64), required=False, default=list)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    kind = serializers.ChoiceField(
        choices=ApiToken.Kind.choices, required=False, default=ApiToken.Kind.SECRET
    )


class FindingRead(serializers.ModelSerializer[OpenFinding]):
    class Meta:
        model = OpenFinding
        fields = [
            "source", "code", "severity", "subject", "environment", "message", "evidence",
            "first_seen_at", "last_seen_at", "resolved_at",
        ]  # fmt: skip


class AuditEventRead(serializers.ModelSerializer[AuditEvent]):
    seal = serializers.SerializerMethodField()

    class Meta:
        model = AuditEvent
        fields = [
            "id", "at", "operation", "subject", "actor_kind", "actor_id", "environment", "row_version",
            "difference", "request_id", "approved_by", "digest", "seal",
        ]  # fmt: skip

    def get_seal(self, event: AuditEvent) -> int | None:
        sealed: Any = getattr(event, "sealed", None)
        return sealed.seal_id if sealed else None


class SecurityEventRead(serializers.ModelSerializer[SecurityEvent]):
    class Meta:
        model = SecurityEvent
        fields = [
            "id", "at", "kind", "operation", "subject", "actor_kind", "actor_id", "address", "code", "detail", "request_id",
        ]  # fmt: skip
