"""The REST shape all records share: list, read, create, save a version, and verbs; `If-Match` on every write to one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.core.actors import Actor
from controlplane.core.api.authentication import actor_of
from controlplane.core.api.problems import PreconditionRequired, complaint
from controlplane.core.api.shapes import unknown_fields, wrong_types
from controlplane.core.errors import InvalidInput
from controlplane.core.records import valid_key

IF_MATCH = OpenApiParameter(
    name="If-Match",
    location=OpenApiParameter.HEADER,
    required=True,
    description='`"<row_version>"`, the version you read',
)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses what is no object, fields it does not know, and values of another JSON type, naming each."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if not isinstance(data, dict):
            raise InvalidInput.on("", "the body is not a JSON object", "Send one object in braces.")
        errors = [*unknown_fields(data, self.fields), *wrong_types(data, self.fields)]
        if errors:
            raise InvalidInput(complaint(errors), errors=errors)
        return super().run_validation(data)


class NoFields(StrictSerializer):
    """The body of a verb that takes nothing: `{}` or no body at all."""


def takes_nothing(request: Request) -> None:
    """Raises InvalidInput when the caller sent something that would have no effect."""
    NoFields(data=request.data or {}).is_valid(raise_exception=True)


class RulesetAnswer(serializers.Serializer[Any]):
    """Which ruleset revision carries the write."""

    environment = serializers.CharField()
    revision = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(choices=["published", "pending", "held"])
    held = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="sources saved and not served"
    )


class RecordRead(serializers.Serializer[Any]):
    """A record as it is read: identity, newest version, and what is live where."""

    key = serializers.CharField()
    title = serializers.CharField()
    owner = serializers.CharField()
    row_version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)
    version = serializers.SerializerMethodField()
    digest = serializers.SerializerMethodField()
    content = serializers.SerializerMethodField()
    live = serializers.SerializerMethodField()

    def _newest(self, record: Any) -> Any:
        return max(record.versions.all(), key=lambda version: version.number, default=None)

    def get_version(self, record: Any) -> int | None:
        newest = self._newest(record)
        return newest.number if newest else None

    def get_digest(self, record: Any) -> str | None:
        newest = self._newest(record)
        return newest.digest if newest else None

    def get_content(self, record: Any) -> dict[str, Any] | None:
        newest = self._newest(record)
        return newest.content if newest else None

    def get_live(self, record: Any) -> dict[str, int]:
        return {pointer.environment: pointer.version.number for pointer in record.pointers.all()}


class VersionRead(serializers.Serializer[Any]):
    """One immutable state of a record's content."""

    number = serializers.IntegerField()
    digest = serializers.CharField()
    content = serializers.DictField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    note = serializers.CharField()


class RecordCreate(StrictSerializer):
    key = serializers.CharField(max_length=64, validators=[valid_key])
    title = serializers.CharField(max_length=160)
    owner = serializers.CharField(max_length=160, required=False)
    content = serializers.DictField()
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class RecordSave(StrictSerializer):
    title = serializers.CharField(max_length=160, required=False)
    owner = serializers.CharField(max_length=160, required=False)
    content = serializers.DictField(required=False)
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class OutOfEnvironment(StrictSerializer):
    """Body of the verbs that take a record out of an environment."""

    environment = serializers.CharField(max_length=64)


class InEnvironment(OutOfEnvironment):
    """Body of the verbs that move a pointer."""

    version = serializers.IntegerField(min_value=1, required=False)


def expected_version(request: Request) -> int:
    """The row version of `If-Match`. Raises 428 when absent and 400 when it is not a version."""
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise PreconditionRequired
    match = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', header)
    if not match:
        raise ValidationError({"If-Match": ['Send the row_version you read, such as "3".']})
    return int(match[1])


def carrying_revision(environment: str) -> dict[str, Any] | None:
    """Which revision carries what was just written, by the hook the settings name."""
    if not settings.WRITE_ANSWER or not environment:
        return None
    answer: dict[str, Any] | None = import_string(settings.WRITE_ANSWER)(environment)
    return answer


class RecordViewSet(viewsets.GenericViewSet[Any]):
    """List, read, create and save for one kind of record; subclasses name the model and the operations."""

    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    model: ClassVar[Any]
    read_serializer: ClassVar[type[serializers.Serializer[Any]]] = RecordRead
    create_record: ClassVar[Callable[..., Any]]
    save_record: ClassVar[Callable[..., Any]]
    view_permission: ClassVar[str]

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.prefetch_related("versions", "pointers__version")
        return rows.order_by("key")

    def record(self, key: str) -> Any:
        """The record with that key. Raises Http404."""
        return get_object_or_404(self.model, key=key)

    def answer(self, record: Any, *, status: int = 200, environments: tuple[str, ...] = ()) -> Response:
        """The record as it now is, its ETag, and the revision that carries it where it is live."""
        fresh = self.get_queryset().get(pk=record.pk)
        body = dict(self.read_serializer(fresh, context=self.get_serializer_context()).data)
        touched = environments or tuple(sorted(pointer.environment for pointer in fresh.pointers.all()))
        carried = [answer for environment in touched if (answer := carrying_revision(environment))]
        if carried:
            body["ruleset"] = carried[0]
        return Response(body, status=status, headers={"ETag": f'"{fresh.row_version}"'})

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(
            self.read_serializer(page, many=True, context=self.get_serializer_context()).data
        )

    def retrieve(self, request: Request, key: str) -> Response:
        return self.answer_read(get_object_or_404(self.get_queryset(), key=key))

    def answer_read(self, record: Any) -> Response:
        """The record, for a read."""
        body = self.read_serializer(record, context=self.get_serializer_context()).data
        return Response(body, headers={"ETag": f'"{record.row_version}"'})

    @extend_schema(request=RecordCreate, responses={201: RecordRead})
    def create(self, request: Request) -> Response:
        body = RecordCreate(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        values.setdefault("owner", self.actor.name)
        record = type(self).create_record(**values, actor=self.actor, at=datetime.now(UTC))
        return self.answer(record, status=201)

    @extend_schema(request=RecordSave, responses={200: RecordRead}, parameters=[IF_MATCH])
    def partial_update(self, request: Request, key: str) -> Response:
        record = self.record(key)
        expects = expected_version(request)
        body = RecordSave(data=request.data)
        body.is_valid(raise_exception=True)
        saved = type(self).save_record(
            record, **body.validated_data, actor=self.actor, at=datetime.now(UTC), expects=expects
        )
        return self.answer(saved)

    @extend_schema(responses={200: VersionRead(many=True)}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def versions(self, request: Request, key: str) -> Response:
        """Every version of the record, newest first."""
        record = self.record(key)
        return Response(VersionRead(record.versions.order_by("-number"), many=True).data)


class PublishableViewSet(RecordViewSet):
    """Records whose versions go live in an environment, and out of it again; subclasses name those operations too."""

    publish_record: ClassVar[Callable[..., Any]]
    withdraw_record: ClassVar[Callable[..., Any]]

    @extend_schema(request=InEnvironment, responses={200: RecordRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, key: str) -> Response:
        """Make a version, the newest unless named, live in an environment."""
        return self._moved(request, key, InEnvironment(data=request.data), type(self).publish_record)

    @extend_schema(request=OutOfEnvironment, responses={200: RecordRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, key: str) -> Response:
        """Take the record out of an environment."""
        return self._moved(request, key, OutOfEnvironment(data=request.data), type(self).withdraw_record)

    def _moved(
        self, request: Request, key: str, body: StrictSerializer, verb: Callable[..., Any]
    ) -> Response:
        record = self.record(key)
        expects = expected_version(request)
        body.is_valid(raise_exception=True)
        moved = verb(record, **body.validated_data, actor=self.actor, at=datetime.now(UTC), expects=expects)
        return self.answer(moved, environments=(body.validated_data["environment"],))
