"""Every address the web process answers, found by walking the URL configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

SAFE = frozenset({"get", "head", "options", "trace"})


@dataclass(frozen=True, order=True)
class Route:
    """One method on one address. `path` has named parameters in braces, as in OpenAPI."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def unsafe(self) -> bool:
        return self.method.lower() not in SAFE


def template(pattern: str) -> str:
    """A URL pattern as people write it.

    >>> template(r"^api/v1/items/(?P<key>[^/]+)/archive/?$"), template("api/v1/items/<str:key>")
    ('/api/v1/items/{key}/archive', '/api/v1/items/{key}')
    """
    named = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern)
    converted = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", named)
    plain = re.sub(r"\\(.)", r"\1", converted.replace("/?$", "").replace("\\Z", ""))
    return "/" + plain.replace("^", "").replace("$", "").strip("/")


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        else:
            yield path, pattern


def _methods(callback: Any) -> list[str]:
    """HTTP methods a REST view answers; none for a view that is not REST."""
    actions = getattr(callback, "actions", None)
    if actions:
        return [method.upper() for method in actions if method != "head"]
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is None or not issubclass(view, APIView):
        return []
    return [
        method.upper() for method in view.http_method_names if hasattr(view, method) and method != "options"
    ]


def api_routes(patterns: list[Any] | None = None) -> list[Route]:
    """Routes below /api/, sorted; format suffixes are the same route."""
    walked = _walk(get_resolver().url_patterns if patterns is None else patterns, "")
    return sorted(
        {
            Route(method, template(path))
            for path, pattern in walked
            if template(path).startswith("/api/") and "{format}" not in template(path)
            for method in _methods(pattern.callback)
        }
    )
