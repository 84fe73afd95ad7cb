"""REST views of what happens to events on their way: quarantine, counts, retention, erasures."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.catalog.selectors import environment_keys, surface_keys
from controlplane.core.api.authentication import actor_of
from controlplane.core.api.environments import asked_environment
from controlplane.core.api.records import IF_MATCH, expected_version
from controlplane.core.errors import InvalidInput
from controlplane.events import selectors, services
from controlplane.events.api.serializers import (
    ErasureCreate,
    ErasureRead,
    IngestCountRead,
    QuarantinedRead,
    QuarantineGroupRead,
    RedriveReport,
    RedriveRequest,
    RetentionRead,
    RetentionSet,
)
from controlplane.events.models import Erasure, IngestCount, QuarantinedRecord, RetentionRule

ENVIRONMENT = OpenApiParameter("environment", description="only this environment's")
SINCE = OpenApiParameter("since", OpenApiTypes.DATE, description="from this UTC day on")
NUMBER = "[0-9]{1,18}"


def known_environment(key: str) -> str:
    """The key, if there is such an environment. Raises InvalidInput."""
    known = environment_keys()
    if key not in known:
        raise InvalidInput.on(
            "environment", f"there is no {key}", f"Known: {', '.join(known) or 'none yet'}."
        )
    return key


class QuarantineViewSet(mixins.RetrieveModelMixin, viewsets.GenericViewSet[QuarantinedRecord]):
    """Records that are no events, with the reason."""

    queryset = QuarantinedRecord.objects.all()
    serializer_class = QuarantinedRead
    lookup_value_regex = NUMBER
    view_permission: ClassVar[str] = "events.view"

    def get_queryset(self) -> QuerySet[QuarantinedRecord]:
        return selectors.quarantined(environment=asked_environment(self.request))

    @extend_schema(responses={200: QuarantineGroupRead(many=True)}, parameters=[ENVIRONMENT])
    def list(self, request: Request) -> Response:
        """What waits, grouped by reason, the most frequent first, each with its newest record as a sample."""
        groups: Any = selectors.quarantine_groups(environment=asked_environment(request))
        page = self.paginate_queryset(groups)
        return self.get_paginated_response(QuarantineGroupRead(page or [], many=True).data)

    @extend_schema(request=RedriveRequest, responses={200: RedriveReport})
    @action(detail=False, methods=["post"])
    def redrive(self, request: Request) -> Response:
        """Judge what waits again, after a fix, at most a thousand records at a time."""
        body = RedriveRequest(data=request.data)
        body.is_valid(raise_exception=True)
        environment = known_environment(body.validated_data["environment"])
        report = services.redrive(
            **body.validated_data,
            surfaces=surface_keys(environment),
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        return Response(report.to_json())


class ErasureViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Erasure]):
    """Requests to erase one person's events everywhere, newest first. A sweep carries them out within minutes."""

    queryset = Erasure.objects.all()
    serializer_class = ErasureRead
    lookup_value_regex = NUMBER
    view_permission: ClassVar[str] = "events.view"

    def get_queryset(self) -> QuerySet[Erasure]:
        environment = asked_environment(self.request)
        return selectors.erasures(environments=[environment] if environment else None)

    @extend_schema(parameters=[ENVIRONMENT])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=ErasureCreate, responses={201: ErasureRead})
    def create(self, request: Request) -> Response:
        body = ErasureCreate(data=request.data)
        body.is_valid(raise_exception=True)
        erasure = services.request_erasure(
            environment=known_environment(body.validated_data["environment"]),
            user_id=body.validated_data["id"],
            reason=body.validated_data["reason"],
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        return Response(ErasureRead(erasure).data, status=201, headers={"ETag": f'"{erasure.row_version}"'})


@extend_schema(parameters=[ENVIRONMENT, SINCE])
class EventCountList(mixins.ListModelMixin, viewsets.GenericViewSet[IngestCount]):
    """Events per UTC day, type and fate: `moved`, `late`, `duplicate`, or the code of quarantine."""

    queryset = IngestCount.objects.all()
    serializer_class = IngestCountRead
    view_permission: ClassVar[str] = "events.view"

    def get_queryset(self) -> QuerySet[IngestCount]:
        since = self.request.query_params.get("since", "")
        try:
            day = date.fromisoformat(since) if since else None
        except ValueError:
            raise InvalidInput.on("since", "is no day", "Write it as 2026-11-23.") from None
        return selectors.daily_counts(environment=asked_environment(self.request), since=day)


class RetentionViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[RetentionRule]):
    """How many days events of each type stay; a type without a rule stays for ever."""

    queryset = selectors.retention_rules()
    serializer_class = RetentionRead
    lookup_field = "key"
    lookup_value_regex = "[a-z_]{1,16}"
    view_permission: ClassVar[str] = "events.view"

    @extend_schema(request=RetentionSet, responses={200: RetentionRead}, parameters=[IF_MATCH])
    def update(self, request: Request, key: str) -> Response:
        """Set the days of one type, the key. The first rule of a type is made with `If-Match: "0"`."""
        expects = expected_version(request)
        body = RetentionSet(data=request.data)
        body.is_valid(raise_exception=True)
        rule = services.set_retention(
            event_type=key,
            **body.validated_data,
            actor=actor_of(request),
            at=datetime.now(UTC),
            expects=expects,
        )
        return Response(RetentionRead(rule).data, headers={"ETag": f'"{rule.row_version}"'})
