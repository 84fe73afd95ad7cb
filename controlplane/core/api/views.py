"""REST views of tokens, findings and the trails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.core import services
from controlplane.core.api.authentication import actor_of
from controlplane.core.api.environments import within_reach
from controlplane.core.api.records import IF_MATCH, expected_version, takes_nothing
from controlplane.core.api.serializers import (
    AuditEventRead,
    FindingRead,
    SecurityEventRead,
    TokenCreate,
    TokenRead,
    TokenShown,
)
from controlplane.core.models import ApiToken, AuditEvent, OpenFinding, SecurityEvent


class TokenViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ApiToken]):
    """API tokens; the text of one is in the answer that creates or rotates it, and nowhere else."""

    queryset = ApiToken.objects.all()
    serializer_class = TokenRead
    lookup_field = "key"
    view_permission: ClassVar[str] = "core.view"

    @extend_schema(request=TokenCreate, responses={201: TokenShown})
    def create(self, request: Request) -> Response:
        body = TokenCreate(data=request.data)
        body.is_valid(raise_exception=True)
        token, text = services.create_token(
            **body.validated_data, actor=actor_of(request), at=datetime.now(UTC)
        )
        return self._shown(token, text, status=201)

    @extend_schema(request=None, responses={200: TokenShown}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, key: str) -> Response:
        takes_nothing(request)
        token, text = services.rotate_token(
            token=get_object_or_404(ApiToken, key=key),
            actor=actor_of(request),
            at=datetime.now(UTC),
            expects=expected_version(request),
        )
        return self._shown(token, text)

    @extend_schema(request=None, responses={200: TokenRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, key: str) -> Response:
        takes_nothing(request)
        token = services.revoke_token(
            token=get_object_or_404(ApiToken, key=key),
            actor=actor_of(request),
            at=datetime.now(UTC),
            expects=expected_version(request),
        )
        return Response(TokenRead(token).data, headers={"ETag": f'"{token.row_version}"'})

    def _shown(self, token: ApiToken, text: str, *, status: int = 200) -> Response:
        body: dict[str, Any] = {**TokenRead(token).data, "token": text}
        return Response(
            body, status=status, headers={"ETag": f'"{token.row_version}"', "Cache-Control": "no-store"}
        )


def _filtered(rows: QuerySet[Any], request: Request, fields: tuple[str, ...]) -> QuerySet[Any]:
    for field in fields:
        if request.query_params.get(field):
            rows = rows.filter(**{field: request.query_params[field]})
    return rows


class FindingViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[OpenFinding]):
    """Findings that stand open; `?all=1` adds the resolved ones."""

    queryset = OpenFinding.objects.all()
    serializer_class = FindingRead
    view_permission: ClassVar[str] = "core.view"

    def get_queryset(self) -> QuerySet[OpenFinding]:
        rows = _filtered(super().get_queryset(), self.request, ("subject", "severity", "environment", "code"))
        rows = within_reach(rows, self.request)
        return rows if self.request.query_params.get("all") else rows.filter(resolved_at__isnull=True)


@extend_schema(
    parameters=[OpenApiParameter(name) for name in ("subject", "operation", "actor_id", "environment")]
)
class AuditEventViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[AuditEvent]
):
    """The audit trail, newest first."""

    queryset = AuditEvent.objects.select_related("sealed")
    serializer_class = AuditEventRead
    view_permission: ClassVar[str] = "core.view"

    def get_queryset(self) -> QuerySet[AuditEvent]:
        rows = _filtered(
            super().get_queryset(), self.request, ("subject", "operation", "actor_id", "environment")
        )
        return within_reach(rows, self.request)


class SecurityEventViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[SecurityEvent]):
    """What was refused and who came in, newest first; for compliance, operators and admins."""

    queryset = SecurityEvent.objects.all()
    serializer_class = SecurityEventRead
    view_permission: ClassVar[str] = "core.view_security"

    def get_queryset(self) -> QuerySet[SecurityEvent]:
        return _filtered(super().get_queryset(), self.request, ("kind", "operation", "actor_id"))
