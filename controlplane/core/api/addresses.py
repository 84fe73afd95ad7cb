"""Addresses that no row can have are refused before anything looks for it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse

from controlplane.core.api.problems import plain_problem
from controlplane.core.errors import FieldError


class WellFormedAddress:
    """Refuses NUL characters in path and query: PostgreSQL has no text that holds one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        asked = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)
        errors = [
            FieldError(name.replace("\x00", ""), "contains a NUL character", "Take it out.")
            for name, value in asked
            if "\x00" in name + value
        ]
        if errors or "\x00" in request.path:
            return plain_problem(
                request,
                status=400,
                code="invalid_input",
                detail="The address contains a NUL character; take it out.",
                errors=errors,
            )
        return self.get_response(request)
