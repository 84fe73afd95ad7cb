"""What the engine says when something given to it cannot be used: where, what is wrong, and what to do."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong with a document. `path` is dotted, with list indexes in brackets."""

    path: str
    message: str
    remedy: str = ""


class EngineError(ValueError):
    """Something given to the engine cannot be used. Never raised while assigning or deciding."""

    def __init__(self, path: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["EngineError"], tuple[str, str, str]]:
        return type(self), (self.path, self.message, self.remedy)


class ConditionError(EngineError):
    """A condition would not do what its author means."""


class RulesetError(EngineError):
    """A ruleset document cannot be trusted or read."""


class RequestError(EngineError):
    """A request in JSON cannot be read; `field` is the offending path."""

    @property
    def field(self) -> str:
        return self.path
