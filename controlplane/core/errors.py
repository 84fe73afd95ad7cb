"""What can go wrong, said in the domain's words. Doors map these to HTTP or forms; nothing below a door knows a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field, and what to do about it. `field` is a dotted path, '' for the whole."""

    field: str
    message: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """Message and remedy as people read them: "Is too long. Shorten it." """
        message = f"{self.message[:1].upper()}{self.message[1:]}"
        return f"{message.rstrip('.')}. {self.remedy}".strip()

    def to_json(self) -> dict[str, str]:
        return {"field": self.field, "message": self.message, "remedy": self.remedy}


class DomainError(Exception):
    """Base of every refusal. `code` is stable and documented in docs/errors.md; `detail` is for people."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "The request could not be carried out"

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.security_line: Mapping[str, Any] = {}
        """What an operation wrote of this refusal into the security log, for a transaction around it to write again."""


class InvalidInput(DomainError):
    """The caller sent something that can never be accepted as it is."""

    code = "invalid_input"
    title = "The input is not valid"

    @classmethod
    def on(cls, field: str, message: str, remedy: str = "") -> InvalidInput:
        """The common case: one field is wrong."""
        return cls(f"{field}: {message}", errors=[FieldError(field, message, remedy)])


class Forbidden(DomainError):
    """The actor may not do this."""

    code = "forbidden"
    title = "Not allowed"


class NotFound(DomainError):
    """There is no such thing, or none the actor may see."""

    code = "not_found"
    title = "Not found"


class Conflict(DomainError):
    """The request makes sense, but not in the present state."""

    code = "conflict"
    title = "Conflicts with the present state"


class Stale(DomainError):
    """The caller saw an older version than the one it would overwrite."""

    code = "stale"
    title = "Changed since you read it"


class Unavailable(DomainError):
    """A part this needs is not answering now; the same request may succeed later."""

    code = "unavailable"
    title = "Not available now"
