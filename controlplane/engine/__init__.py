"""The law of serving. Standard library only; the server and the Python client run the same code.

ruleset = Ruleset.from_document(document)
decision = decide(ruleset, Request(surface="home-feed", at="2026-11-23T10:00:00Z", unit_ids={"user": "u1"}, ...))
"""

from controlplane.engine.decisions import (
    Assignment,
    Decision,
    Removed,
    SlateItem,
    TraceStep,
)
from controlplane.engine.law import assign, decide
from controlplane.engine.problems import (
    ConditionError,
    EngineError,
    Problem,
    RequestError,
    RulesetError,
)
from controlplane.engine.requests import Candidate, Request
from controlplane.engine.rulesets import Ruleset
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION

__all__ = [
    "LAW_VERSION",
    "SCHEMA_VERSION",
    "Assignment",
    "Candidate",
    "ConditionError",
    "Decision",
    "EngineError",
    "Problem",
    "Removed",
    "Request",
    "RequestError",
    "Ruleset",
    "RulesetError",
    "SlateItem",
    "TraceStep",
    "assign",
    "decide",
]
