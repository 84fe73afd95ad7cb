"""Shapes of kill switches."""

from __future__ import annotations

from rest_framework import serializers

from controlplane.core.api.records import RulesetAnswer, StrictSerializer
from controlplane.core.records import valid_key
from governance.guardrails.models import KillSwitch


class KillSwitchRead(serializers.ModelSerializer[KillSwitch]):
    ruleset = RulesetAnswer(required=False, read_only=True)

    class Meta:
        model = KillSwitch
        fields = [
            "key", "environment", "kind", "items", "rule", "surfaces", "reason", "thrown_at", "thrown_by",
            "released_at", "released_by", "row_version", "ruleset",
        ]  # fmt: skip


class KillSwitchThrow(StrictSerializer):
    key = serializers.CharField(max_length=64, validators=[valid_key])
    environment = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=KillSwitch.Kind.choices)
    items = serializers.ListField(child=serializers.CharField(max_length=128), required=False, default=list)
    rule = serializers.CharField(
        required=False, default="", allow_blank=True, allow_null=True, max_length=160
    )
    surfaces = serializers.ListField(child=serializers.CharField(max_length=64), required=False, default=list)
    reason = serializers.CharField(max_length=500)
