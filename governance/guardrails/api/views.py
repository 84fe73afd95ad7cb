"""REST views of guardrails and kill switches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.core.api.authentication import actor_of
from controlplane.core.api.records import (
    IF_MATCH,
    PublishableViewSet,
    RecordRead,
    carrying_revision,
    expected_version,
    takes_nothing,
)
from governance.guardrails import services
from governance.guardrails.api.serializers import KillSwitchRead, KillSwitchThrow
from governance.guardrails.models import Guardrail, KillSwitch


class GuardrailViewSet(PublishableViewSet):
    """Rules of the compliance team."""

    queryset = Guardrail.objects.all()
    serializer_class = RecordRead
    model = Guardrail
    create_record = staticmethod(services.create_guardrail)
    save_record = staticmethod(services.save_guardrail)
    publish_record = staticmethod(services.publish_guardrail)
    withdraw_record = staticmethod(services.withdraw_guardrail)
    view_permission: ClassVar[str] = "guardrails.view"


class KillSwitchViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[KillSwitch]
):
    """What is stopped at once. A switch and the revision that carries it are written together."""

    queryset = KillSwitch.objects.all()
    serializer_class = KillSwitchRead
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    view_permission: ClassVar[str] = "guardrails.view"

    @extend_schema(request=KillSwitchThrow, responses={201: KillSwitchRead})
    def create(self, request: Request) -> Response:
        body = KillSwitchThrow(data=request.data)
        body.is_valid(raise_exception=True)
        values = {**body.validated_data, "rule": body.validated_data["rule"] or ""}
        switch, revision = services.throw_kill_switch(**values, actor=actor_of(request), at=datetime.now(UTC))
        answer = {"environment": switch.environment, "revision": revision, "status": "published"}
        return Response(
            {**KillSwitchRead(switch).data, "ruleset": answer},
            status=201,
            headers={"ETag": f'"{switch.row_version}"'},
        )

    @extend_schema(request=None, responses={200: KillSwitchRead}, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"])
    def release(self, request: Request, key: str) -> Response:
        """Let serve again what the switch stopped."""
        switch = get_object_or_404(KillSwitch, key=key)
        takes_nothing(request)
        released = services.release_kill_switch(
            switch=switch, actor=actor_of(request), at=datetime.now(UTC), expects=expected_version(request)
        )
        answer = carrying_revision(released.environment)
        return Response(
            {**KillSwitchRead(released).data, **({"ruleset": answer} if answer else {})},
            headers={"ETag": f'"{released.row_version}"'},
        )
