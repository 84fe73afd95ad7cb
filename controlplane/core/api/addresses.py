"""Addresses that no row can have are refused before anything looks for it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from controlplane.core.api.problems import plain_problem


class WellFormedAddress:
    """Refuses NUL characters in path and query: PostgreSQL has no text that holds one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return plain_problem(
                request,
                status=400,
                code="invalid_input",
                detail="The address contains a NUL character; take it out.",
            )
        return self.get_response(request)
