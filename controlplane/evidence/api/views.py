"""REST views of metrics and stored results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.core.api.environments import asked_environment
from controlplane.core.api.records import IF_MATCH, RecordRead, RecordViewSet, expected_version
from controlplane.core.errors import InvalidInput
from controlplane.evidence import selectors, services
from controlplane.evidence.api.serializers import AnalysisListed, AnalysisRead, MetricCreate, MetricSave
from controlplane.evidence.models import Analysis, Metric

LONGEST_QUERY = 200


class MetricViewSet(RecordViewSet):
    """Numbers per unit that people agreed on; in use in an environment from the moment they are saved."""

    queryset = Metric.objects.all()
    serializer_class = RecordRead
    model = Metric
    view_permission: ClassVar[str] = "evidence.view"

    def get_queryset(self) -> QuerySet[Any]:
        return selectors.metrics().order_by("key")

    def answer(self, record: Any, *, status: int = 200, environments: tuple[str, ...] = ()) -> Response:
        """The metric as it now is. No ruleset carries it: serving needs no metric."""
        fresh = self.get_queryset().get(pk=record.pk)
        body = self.read_serializer(fresh, context=self.get_serializer_context()).data
        return Response(body, status=status, headers={"ETag": f'"{fresh.row_version}"'})

    @extend_schema(request=MetricCreate, responses={201: RecordRead})
    def create(self, request: Request) -> Response:
        body = MetricCreate(data=request.data)
        body.is_valid(raise_exception=True)
        values = {"owner": self.actor.name, **body.validated_data}
        made = services.create_metric(**values, actor=self.actor, at=datetime.now(UTC))
        return self.answer(made, status=201)

    @extend_schema(request=MetricSave, responses={200: RecordRead}, parameters=[IF_MATCH])
    def partial_update(self, request: Request, key: str) -> Response:
        metric, expects = self.record(key), expected_version(request)
        body = MetricSave(data=request.data)
        body.is_valid(raise_exception=True)
        values = {"content": metric.newest().content, **body.validated_data}
        saved = services.save_metric(
            metric=metric, **values, actor=self.actor, at=datetime.now(UTC), expects=expects
        )
        return self.answer(saved)


class AnalysisViewSet(mixins.RetrieveModelMixin, viewsets.GenericViewSet[Analysis]):
    """Stored results, newest first; `?subject=` and `?environment=` narrow the list."""

    queryset = Analysis.objects.all()
    serializer_class = AnalysisRead
    lookup_value_regex = "[0-9]{1,18}"
    view_permission: ClassVar[str] = "evidence.view"

    def get_queryset(self) -> QuerySet[Analysis]:
        environment = asked_environment(self.request)
        rows = super().get_queryset()
        return rows.filter(environment=environment) if environment else rows

    @extend_schema(
        responses={200: AnalysisListed(many=True)},
        parameters=[
            OpenApiParameter("subject", description="such as experiments.experiment:checkout"),
            OpenApiParameter("environment"),
        ],
    )
    def list(self, request: Request) -> Response:
        rows = self.get_queryset().defer("sql", "result", "request", "population").order_by("-id")
        subject = request.query_params.get("subject", "")
        if len(subject) > LONGEST_QUERY:
            raise InvalidInput.on("subject", "is too long", f"Write at most {LONGEST_QUERY} characters.")
        rows = rows.filter(subject=subject) if subject else rows
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(AnalysisListed(page or [], many=True).data)
