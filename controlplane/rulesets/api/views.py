"""REST views of revisions, their differences, holds, and publishing by hand."""

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
from rest_framework.views import APIView

from controlplane.core.api.authentication import actor_of
from controlplane.core.api.environments import asked_environment, check_reads
from controlplane.core.api.records import (
    IF_MATCH,
    RulesetAnswer,
    carrying_revision,
    expected_version,
    takes_nothing,
)
from controlplane.rulesets import selectors, services
from controlplane.rulesets.api.serializers import (
    DifferenceRead,
    HoldAnswer,
    HoldCreate,
    HoldRead,
    RevisionDetail,
    RevisionRead,
)
from controlplane.rulesets.difference import difference
from controlplane.rulesets.models import Hold, Revision
from controlplane.rulesets.services import Published

ENVIRONMENT = OpenApiParameter("environment", description="only this environment's")


def carried_by(published: Published) -> dict[str, Any]:
    """The answer that names the revision a write is in."""
    return {
        "environment": published.environment,
        "revision": published.revision or None,
        "status": "published",
    }


@extend_schema(parameters=[ENVIRONMENT])
class RevisionList(mixins.ListModelMixin, viewsets.GenericViewSet[Revision]):
    """Published revisions, newest first."""

    queryset = Revision.objects.all()
    serializer_class = RevisionRead
    view_permission: ClassVar[str] = "rulesets.view"

    def get_queryset(self) -> QuerySet[Revision]:
        return selectors.revisions(asked_environment(self.request))


class RevisionView(APIView):
    """One revision: manifest, and which fragment of each source it was linked from."""

    view_permission: ClassVar[str] = "rulesets.view"

    @extend_schema(responses={200: RevisionDetail})
    def get(self, request: Request, environment: str, number: int) -> Response:
        return Response(RevisionDetail(selectors.revision(check_reads(request, environment), number)).data)


class DifferenceView(APIView):
    """What changed from one revision to another, in sentences and field by field."""

    view_permission: ClassVar[str] = "rulesets.view"

    @extend_schema(responses={200: DifferenceRead})
    def get(self, request: Request, environment: str, before: int, after: int) -> Response:
        check_reads(request, environment)
        sections = [selectors.sections(selectors.revision(environment, number)) for number in (before, after)]
        changes = [change.to_json() for change in difference(*sections)]
        return Response({"environment": environment, "before": before, "after": after, "changes": changes})


class PublishView(APIView):
    """Compile what is live and publish it now."""

    view_permission: ClassVar[str] = "rulesets.view"

    @extend_schema(request=None, responses={200: RulesetAnswer})
    def post(self, request: Request, environment: str) -> Response:
        takes_nothing(request)
        published = services.publish_by_hand(
            environment=environment, actor=actor_of(request), at=datetime.now(UTC)
        )
        return Response(carried_by(published))


@extend_schema(parameters=[ENVIRONMENT], methods=["GET"])
class HoldViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Hold]):
    """Holds: sources that stay as they were in an earlier revision until released."""

    queryset = selectors.holds()
    serializer_class = HoldRead
    lookup_value_regex = r"\d+"
    view_permission: ClassVar[str] = "rulesets.view"

    def get_queryset(self) -> QuerySet[Hold]:
        return selectors.holds(asked_environment(self.request))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        hold = self.get_object()
        return Response(HoldRead(hold).data, headers={"ETag": f'"{hold.row_version}"'})

    @extend_schema(request=HoldCreate, responses={201: HoldAnswer})
    def create(self, request: Request) -> Response:
        body = HoldCreate(data=request.data)
        body.is_valid(raise_exception=True)
        hold, published = services.set_hold(
            **body.validated_data, actor=actor_of(request), at=datetime.now(UTC)
        )
        return self._answer(hold, carried_by(published), status=201)

    @extend_schema(request=None, responses={200: HoldAnswer}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Serve the held sources as they now are. Look at `release-preview` first."""
        takes_nothing(request)
        hold = services.release_hold(
            hold=get_object_or_404(Hold, pk=pk),
            actor=actor_of(request),
            at=datetime.now(UTC),
            expects=expected_version(request),
        )
        return self._answer(hold, carrying_revision(hold.environment))

    @extend_schema(responses={200: DifferenceRead})
    @action(detail=True, methods=["get"], url_path="release-preview")
    def release_preview(self, request: Request, pk: str) -> Response:
        """What would change for shoppers if the hold were released now."""
        hold = get_object_or_404(Hold.objects.select_related("from_revision"), pk=pk)
        check_reads(request, hold.environment)
        now_served, then_served = services.preview_release(hold, at=datetime.now(UTC))
        head = selectors.head(hold.environment)
        changes = [change.to_json() for change in difference(now_served, then_served)]
        number = head.number if head else 0
        return Response(
            {"environment": hold.environment, "before": number, "after": None, "changes": changes}
        )

    def _answer(self, hold: Hold, ruleset: dict[str, Any] | None, *, status: int = 200) -> Response:
        body = {**HoldRead(hold).data, "ruleset": ruleset}
        return Response(body, status=status, headers={"ETag": f'"{hold.row_version}"'})
