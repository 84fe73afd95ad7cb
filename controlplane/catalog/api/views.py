"""REST views of the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.catalog import selectors, services
from controlplane.catalog.api.serializers import (
    AttributeCreate,
    AttributeRead,
    AttributeSave,
    EnvironmentCreate,
    EnvironmentRead,
    EnvironmentSave,
    ItemRead,
    UploadAnswer,
)
from controlplane.catalog.api.uploads import JsonLinesParser, NdjsonParser, lines, unreadable
from controlplane.catalog.models import Attribute, Audience, Environment, Item, Surface
from controlplane.catalog.services.items import LineReport, UploadReport
from controlplane.core.api.authentication import actor_of
from controlplane.core.api.records import (
    IF_MATCH,
    PublishableViewSet,
    RecordRead,
    expected_version,
)

MAX_ERRORS = 1_000


class EnvironmentViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Environment]
):
    """Where rulesets are served."""

    queryset = selectors.environments()
    serializer_class = EnvironmentRead
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    view_permission: ClassVar[str] = "catalog.view"

    @extend_schema(request=EnvironmentCreate, responses={201: EnvironmentRead})
    def create(self, request: Request) -> Response:
        body = EnvironmentCreate(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.create_environment(
            **body.validated_data, actor=actor_of(request), at=datetime.now(UTC)
        )
        return _row(EnvironmentRead(made), status=201)

    @extend_schema(request=EnvironmentSave, responses={200: EnvironmentRead}, parameters=[IF_MATCH])
    def partial_update(self, request: Request, key: str) -> Response:
        environment = get_object_or_404(Environment, key=key)
        expects = expected_version(request)
        body = EnvironmentSave(data=request.data)
        body.is_valid(raise_exception=True)
        saved = services.save_environment(
            environment, **body.validated_data, actor=actor_of(request), at=datetime.now(UTC), expects=expects
        )
        return _row(EnvironmentRead(saved))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return _row(EnvironmentRead(self.get_object()))


class SurfaceViewSet(PublishableViewSet):
    """Places where recommendations are shown."""

    queryset = selectors.surfaces()
    serializer_class = RecordRead
    model = Surface
    create_record = staticmethod(services.create_surface)
    save_record = staticmethod(services.save_surface)
    publish_record = staticmethod(services.publish_surface)
    withdraw_record = staticmethod(services.withdraw_surface)
    view_permission: ClassVar[str] = "catalog.view"


class AudienceViewSet(PublishableViewSet):
    """Named conditions on requests."""

    queryset = selectors.audiences()
    serializer_class = RecordRead
    model = Audience
    create_record = staticmethod(services.create_audience)
    save_record = staticmethod(services.save_audience)
    publish_record = staticmethod(services.publish_audience)
    withdraw_record = staticmethod(services.withdraw_audience)
    view_permission: ClassVar[str] = "catalog.view"


class AttributeViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Attribute]):
    """The attribute dictionary. An attribute's key is its subject and name: `item.brand`."""

    queryset = selectors.attributes()
    serializer_class = AttributeRead
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    view_permission: ClassVar[str] = "catalog.view"

    def get_queryset(self) -> QuerySet[Attribute]:
        asked = self.request.query_params
        return selectors.attributes(
            subject=_one_of(asked.get("subject", ""), "subject", Attribute.Subject.values),
            q=_text(asked.get("q", ""), "q"),
        )

    @extend_schema(
        parameters=[OpenApiParameter("subject", enum=Attribute.Subject.values), OpenApiParameter("q")]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, key: str) -> Response:
        return _row(AttributeRead(_attribute(key)))

    @extend_schema(request=AttributeCreate, responses={201: AttributeRead})
    def create(self, request: Request) -> Response:
        body = AttributeCreate(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.create_attribute(**body.validated_data, actor=actor_of(request), at=datetime.now(UTC))
        return _row(AttributeRead(made), status=201)

    @extend_schema(request=AttributeSave, responses={200: AttributeRead}, parameters=[IF_MATCH])
    def partial_update(self, request: Request, key: str) -> Response:
        attribute = _attribute(key)
        expects = expected_version(request)
        body = AttributeSave(data=request.data)
        body.is_valid(raise_exception=True)
        saved = services.save_attribute(
            attribute, **body.validated_data, actor=actor_of(request), at=datetime.now(UTC), expects=expects
        )
        return _row(AttributeRead(saved))


class ItemViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Item]):
    """What is recommended. Items are written in bulk."""

    queryset = Item.objects.order_by("item_id")
    serializer_class = ItemRead
    lookup_field = "item_id"
    lookup_value_regex = "[^/]+"
    view_permission: ClassVar[str] = "catalog.view"

    @extend_schema(
        parameters=[
            OpenApiParameter("q", description="part of the id or the title"),
            OpenApiParameter("provider"),
            OpenApiParameter("available", enum=["true", "false"]),
            OpenApiParameter("deleted", enum=["true", "false"], description="deleted items instead"),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = request.query_params
        rows = selectors.items(
            q=_text(asked.get("q", ""), "q"),
            provider=_text(asked.get("provider", ""), "provider"),
            available=_flag(asked.get("available", ""), "available"),
            deleted=bool(_flag(asked.get("deleted", ""), "deleted")),
        )
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(ItemRead(page or [], many=True).data)

    @extend_schema(
        request={"application/x-ndjson": {"type": "string", "format": "binary"}},
        responses={200: UploadAnswer},
        parameters=[
            OpenApiParameter("report", enum=["lines"], description="answer with NDJSON, one object per line"),
            OpenApiParameter("Content-Encoding", location=OpenApiParameter.HEADER, enum=["gzip"]),
        ],
    )
    @action(detail=False, methods=["post"], parser_classes=[NdjsonParser, JsonLinesParser])
    def bulk(self, request: Request) -> HttpResponse | Response:
        """Create and update items, one JSON object per line. Fields a line does not name stay as they are."""
        body = request.data if isinstance(request.data, bytes) else b""
        if not body:
            raise unreadable("it is empty")
        report = UploadReport()
        given = lines(body, encoding=request.headers.get("Content-Encoding", ""))
        for batch in services.upsert_items(given, actor=actor_of(request), at=datetime.now(UTC)):
            report.add(batch)
        if request.query_params.get("report") == "lines":
            told = b"".join(orjson.dumps(line.to_json()) + b"\n" for line in report.lines)
            return HttpResponse(told, content_type="application/x-ndjson")
        return Response({**report.counts, "errors": [_refused(line) for line in report.refused[:MAX_ERRORS]]})


def _refused(line: LineReport) -> dict[str, Any]:
    return {name: value for name, value in line.to_json().items() if name != "verdict"}


def _row(serialized: Any, *, status: int = 200) -> Response:
    """One row with its version as ETag."""
    data = serialized.data
    return Response(data, status=status, headers={"ETag": f'"{data["row_version"]}"'})


def _attribute(key: str) -> Attribute:
    subject, _, name = key.partition(".")
    return get_object_or_404(Attribute, subject_kind=subject, name=name)


def _text(value: str, field: str) -> str:
    if "\x00" in value or len(value) > 200:
        raise ValidationError({field: ["Write at most 200 characters, without NUL."]})
    return value


def _one_of(value: str, field: str, choices: list[str]) -> str:
    if value and value not in choices:
        raise ValidationError({field: [f"There is no {value!r}. Choose one of {', '.join(choices)}."]})
    return value


def _flag(value: str, field: str) -> bool | None:
    return None if not value else _one_of(value, field, ["true", "false"]) == "true"
