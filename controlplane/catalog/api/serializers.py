"""Shapes of the catalogue's REST resources."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from controlplane.catalog.models import Attribute, Environment, Item
from controlplane.catalog.models.environments import valid_colour
from controlplane.core.api.records import StrictSerializer
from controlplane.core.records import valid_key


class EnvironmentRead(serializers.ModelSerializer[Environment]):
    class Meta:
        model = Environment
        fields = ["key", "name", "kind", "colour", "protected", "created_at", "row_version"]


class EnvironmentSave(StrictSerializer):
    name = serializers.CharField(max_length=120, required=False)
    kind = serializers.ChoiceField(choices=Environment.Kind.choices, required=False)
    colour = serializers.CharField(max_length=7, validators=[valid_colour], required=False)
    protected = serializers.BooleanField(required=False)


class EnvironmentCreate(EnvironmentSave):
    key = serializers.CharField(max_length=64, validators=[valid_key])
    name = serializers.CharField(max_length=120)


class AttributeRead(serializers.ModelSerializer[Attribute]):
    key = serializers.CharField(read_only=True)
    subject = serializers.ChoiceField(source="subject_kind", choices=Attribute.Subject.choices)
    values_seen = serializers.ListField(child=serializers.JSONField(), read_only=True)

    class Meta:
        model = Attribute
        fields = [
            "key", "subject", "name", "type", "description", "private", "values_seen", "seen_count",
            "first_seen_at", "last_seen_at", "source", "row_version",
        ]  # fmt: skip


class AttributeSave(StrictSerializer):
    type = serializers.ChoiceField(choices=Attribute.Type.choices, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    private = serializers.BooleanField(required=False)


class AttributeCreate(AttributeSave):
    subject = serializers.ChoiceField(choices=Attribute.Subject.choices)
    name = serializers.CharField(max_length=160)
    type = serializers.ChoiceField(choices=Attribute.Type.choices)


class ItemRead(serializers.ModelSerializer[Item]):
    attributes = serializers.DictField(child=serializers.JSONField())
    signals = serializers.DictField(child=serializers.FloatField())

    class Meta:
        model = Item
        fields = [
            "item_id", "title", "image_url", "attributes", "signals", "provider", "available", "regions",
            "first_seen_at", "updated_at", "deleted_at",
        ]  # fmt: skip


class RefusedLine(serializers.Serializer[Any]):
    """One line that was not taken in; lines count from 1, `field` is empty for the line as a whole."""

    line = serializers.IntegerField()
    item_id = serializers.CharField()
    field = serializers.CharField()
    reason = serializers.CharField()
    remedy = serializers.CharField()


class UploadAnswer(serializers.Serializer[Any]):
    """What became of an upload. `errors` holds the first thousand refused lines; `?report=lines` tells all lines."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Not a class attribute: every serializer has an attribute `errors` of another meaning.
        return {**super().get_fields(), "errors": serializers.ListField(child=RefusedLine())}
