"""REST views of experiments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.core.api.environments import check_reads
from controlplane.core.api.records import IF_MATCH, InEnvironment, RecordViewSet, expected_version
from controlplane.core.errors import NotFound
from controlplane.evidence import selectors as evidence
from controlplane.evidence.api.serializers import AnalysisRead
from experiments import services
from experiments.api.serializers import Analyse, ExperimentRead, Ramp, Stop
from experiments.models import Experiment


class ExperimentViewSet(RecordViewSet):
    """A/B tests: design, run, read."""

    queryset = Experiment.objects.all()
    serializer_class = ExperimentRead
    read_serializer = ExperimentRead
    model = Experiment
    create_record = staticmethod(services.create_experiment)
    save_record = staticmethod(services.save_experiment)
    view_permission: ClassVar[str] = "experiments.view"

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().prefetch_related("phases__version")

    def _do(self, request: Request, key: str, body: Any, act: Any) -> Response:
        experiment, expects = self.record(key), expected_version(request)
        body.is_valid(raise_exception=True)
        act(experiment, **body.validated_data, actor=self.actor, at=datetime.now(UTC), expects=expects)
        return self.answer(experiment, environments=(body.validated_data["environment"],))

    @extend_schema(request=InEnvironment, responses={200: ExperimentRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def start(self, request: Request, key: str) -> Response:
        """Run it in an environment."""
        return self._do(request, key, InEnvironment(data=request.data), services.start_experiment)

    @extend_schema(request=Ramp, responses={200: ExperimentRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def ramp(self, request: Request, key: str) -> Response:
        """Change how much of the traffic it enrols."""
        return self._do(request, key, Ramp(data=request.data), services.ramp_experiment)

    @extend_schema(request=Stop, responses={200: ExperimentRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, key: str) -> Response:
        """Enrol and treat nobody any more in an environment."""
        return self._do(request, key, Stop(data=request.data), services.stop_experiment)

    @extend_schema(request=Analyse, responses={201: AnalysisRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def analyse(self, request: Request, key: str) -> Response:
        """Analyse the newest phase from the lake as it is now, and keep the result."""
        experiment, expects = self.record(key), expected_version(request)
        body = Analyse(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.analyse_experiment(
            experiment, **body.validated_data, actor=self.actor, at=datetime.now(UTC), expects=expects
        )
        return Response(AnalysisRead(made).data, status=201)

    @extend_schema(
        responses={200: AnalysisRead}, parameters=[OpenApiParameter("environment", default="production")]
    )
    @action(detail=True, methods=["get"])
    def results(self, request: Request, key: str) -> Response:
        """The newest stored result. 404 while there is none."""
        environment = check_reads(request, request.query_params.get("environment", "production"))
        latest = evidence.latest_analysis(self.record(key).subject, environment=environment)
        if latest is None:
            raise NotFound(f"{key} has no result in {environment} yet; POST to analyse makes one.")
        return Response(AnalysisRead(latest).data)
