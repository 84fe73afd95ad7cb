"""One place where a refusal becomes an HTTP answer: RFC 9457 problem+json. Status codes of errors appear nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from controlplane.core.errors import (
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Stale,
    Unavailable,
)
from controlplane.core.policies import ApprovalRequired
from controlplane.core.requests import request_id

log = structlog.get_logger(__name__)
STATUS: Mapping[type[DomainError], int] = {
    ApprovalRequired: 403,
    InvalidInput: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Stale: 412,
    Unavailable: 503,
}
MEDIA_TYPE = "application/problem+json"
# REST framework's word for it -> the catalogue's, docs/errors.md.
OUR_WORDS = {
    "permission_denied": "forbidden",
    "authentication_failed": "not_authenticated",
    "parse_error": "invalid_input",
}
# REST framework's code of a complaint about a field -> what to do about it.
REMEDIES = {
    "required": "Send this field.",
    "null": "Send a value, or leave the field out.",
    "blank": "Write some text.",
    "empty": "Name one at least.",
    "max_length": "Shorten it.",
    "min_value": "Choose a larger number.",
    "max_value": "Choose a smaller number.",
    "max_string_length": "Write fewer digits.",
    "overflow": "Choose a time between the years 1 and 9999.",
    "make_aware": "Add an offset, such as +01:00 or Z.",
    "invalid": "Write it in the form /api/v1/openapi.json gives for this field.",
}


class PreconditionRequired(exceptions.APIException):
    status_code = 428
    default_code = "precondition_required"
    default_detail = 'This write needs If-Match: "<row_version>", the version you read.'


class BodyTooLarge(exceptions.APIException):
    status_code = 413
    default_code = "body_too_large"
    default_detail = "The body is too large."


def status_of(error: DomainError) -> int:
    """The HTTP status of an error: that of its nearest ancestor in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 400)


def body(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    identifier: str = "",
    **extra: Any,
) -> dict[str, Any]:
    """A problem document."""
    document: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        document["errors"] = [error.to_json() for error in errors]
    return {**document, **extra, "request_id": identifier}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. Anything unexpected is logged and answered without its inner life."""
    identifier = request_id(context["request"]._request) if context.get("request") is not None else ""
    headers: dict[str, str] = {}
    if isinstance(error, DomainError):
        status = status_of(error)
        document = body(
            status=status, code=error.code, title=error.title, detail=error.detail, errors=error.errors,
            identifier=identifier, **error.extra,
        )  # fmt: skip
        if status == 503:
            headers["Retry-After"] = "5"
    elif isinstance(error, exceptions.ValidationError):
        errors = list(flatten(error.detail))
        document = body(
            status=400, code="invalid_input", title=InvalidInput.title, errors=errors, identifier=identifier,
            detail=complaint(errors),
        )  # fmt: skip
    elif isinstance(error, DjangoValidationError):
        errors = [
            FieldError(field, message) for field, messages in _messages(error).items() for message in messages
        ]
        document = body(
            status=400, code="invalid_input", title=InvalidInput.title, errors=errors, identifier=identifier,
            detail="; ".join(each.message for each in errors[:5]),
        )  # fmt: skip
    elif isinstance(error, Http404):
        document = body(
            status=404,
            code="not_found",
            title=NotFound.title,
            detail=str(error) or "Not found.",
            identifier=identifier,
        )
    elif isinstance(error, exceptions.APIException):
        named = str(error.get_codes()) if isinstance(error.get_codes(), str) else error.default_code
        code = OUR_WORDS.get(named, named)
        document = body(
            status=error.status_code,
            code=code,
            title=_title(code),
            detail=str(error.detail),
            identifier=identifier,
        )
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]  # set by DRF on 401
        if getattr(error, "wait", None):
            headers["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]  # set by DRF on 429
    elif isinstance(error, OperationalError):
        log.error("database_unavailable", exc_info=error)
        document = body(
            status=503, code="unavailable", title=Unavailable.title, detail="The database is not answering; try again.",
            identifier=identifier,
        )  # fmt: skip
        headers["Retry-After"] = "5"
    else:
        return None
    response = Response(document, status=document["status"], headers=headers)
    response.content_type = MEDIA_TYPE
    return response


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _messages(error: DjangoValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"": list(error.messages)}


def complaint(errors: Sequence[FieldError]) -> str:
    """The first five of the errors in one line."""
    return "; ".join(f"{each.field}: {each.message}" if each.field else each.message for each in errors[:5])


def flatten(detail: Any, path: str = "") -> list[FieldError]:
    """DRF's nested error detail as field errors with dotted paths."""
    if isinstance(detail, Mapping):
        return [
            found
            for key, inner in detail.items()
            for found in flatten(inner, path if key == "__all__" else f"{path}.{key}" if path else str(key))
        ]
    if isinstance(detail, list | tuple):
        return [
            found
            for index, inner in enumerate(detail)
            for found in flatten(inner, f"{path}.{index}" if isinstance(inner, Mapping) else path)
        ]
    return [FieldError(path, str(detail), REMEDIES.get(str(getattr(detail, "code", "")), ""))]


def plain_problem(
    request: HttpRequest, *, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()
) -> JsonResponse:
    """A problem for views outside REST framework, such as the handlers of unknown addresses and server errors."""
    document = body(
        status=status,
        code=code,
        title=_title(code),
        detail=detail,
        errors=errors,
        identifier=request_id(request),
    )
    return JsonResponse(document, status=status, content_type=MEDIA_TYPE)
