"""Reading rights. Writing rights are judged inside the operations, the same way for every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from controlplane.core.actors import Actor

if TYPE_CHECKING:  # REST framework's views import this module while they are being made
    from rest_framework.views import APIView


class MayRead(BasePermission):
    """The caller is known and holds the view's `view_permission`, such as `experiments.view`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        actor = Actor.behind(request.user)
        if actor is None:
            return False
        if request.method not in SAFE_METHODS:
            return True  # the operation judges, and its refusal reaches the security log
        wanted = getattr(view, "view_permission", "core.view")
        # A token limited to surfaces may read what concerns any of them; selectors narrow the answer.
        surfaces = [surface for _, surface in actor.grants if surface]
        return actor.may(wanted) or any(actor.may(wanted, surfaces=[surface]) for surface in surfaces)
