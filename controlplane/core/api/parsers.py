"""Request bodies: strict JSON of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from controlplane.core.api.problems import BodyTooLarge
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.core.strict_json import MAX_DEPTH, parse_json

__all__ = ["MAX_DEPTH", "StrictJSONParser", "parse_json"]


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise BodyTooLarge(f"The body is larger than {most // 2**20} MiB.")
        try:
            return parse_json(body)
        except ValueError as error:
            raise InvalidInput(
                f"The body cannot be read: {error}.",
                errors=[
                    FieldError("", str(error), "Send one JSON document in UTF-8, every name once, no NaN.")
                ],
            ) from error
