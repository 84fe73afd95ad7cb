"""Shapes of revisions, differences and holds."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from controlplane.core.api.records import RulesetAnswer, StrictSerializer
from controlplane.rulesets.models import Hold, Revision


class RevisionRead(serializers.ModelSerializer[Revision]):
    class Meta:
        model = Revision
        fields = ["environment", "number", "previous", "digest", "cause", "author", "at"]


class FragmentRead(serializers.Serializer[Any]):
    """Which fragment of a source the revision was linked from."""

    source = serializers.CharField()  # type: ignore[assignment]  # a field named as people say it
    digest = serializers.CharField(source="fragment_id")
    standing = serializers.ChoiceField(choices=["current", "stale", "held"])


class RevisionDetail(RevisionRead):
    """A revision with its manifest and where its parts came from."""

    fragments = FragmentRead(many=True)
    is_head = serializers.SerializerMethodField()

    class Meta(RevisionRead.Meta):
        fields = [*RevisionRead.Meta.fields, "manifest", "fragments", "is_head"]

    def get_is_head(self, revision: Revision) -> bool:
        return hasattr(revision, "head")


class FieldChange(serializers.Serializer[Any]):
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class ChangeRead(serializers.Serializer[Any]):
    """One record that differs, as a sentence and field by field."""

    what = serializers.ChoiceField(choices=["added", "removed", "changed"])
    kind = serializers.CharField()
    key = serializers.CharField()
    surfaces = serializers.ListField(child=serializers.CharField())
    fields = serializers.DictField(child=FieldChange())  # type: ignore[assignment]  # the name people expect in JSON
    sentence = serializers.CharField()


class DifferenceRead(serializers.Serializer[Any]):
    environment = serializers.CharField()
    before = serializers.IntegerField()
    after = serializers.IntegerField(allow_null=True)
    changes = ChangeRead(many=True)


class HoldRead(serializers.ModelSerializer[Hold]):
    from_revision = serializers.IntegerField(source="from_revision.number")

    class Meta:
        model = Hold
        fields = [
            "id", "environment", "sources", "from_revision", "reason", "owner",
            "created_at", "expires_at", "released_at", "released_by", "row_version",
        ]  # fmt: skip


class HoldAnswer(HoldRead):
    """A hold and the revision that carries the change."""

    ruleset = RulesetAnswer()

    class Meta(HoldRead.Meta):
        fields = [*HoldRead.Meta.fields, "ruleset"]


class HoldCreate(StrictSerializer):
    environment = serializers.CharField(max_length=64)
    from_revision = serializers.IntegerField(min_value=1)
    sources = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, allow_null=True, default=None
    )
    reason = serializers.CharField(max_length=500)
    owner = serializers.CharField(max_length=160, required=False, default="", allow_blank=True)
    expires_at = serializers.DateTimeField()
