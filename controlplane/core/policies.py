"""Policies judge an operation after its permission and before its body: let it pass, refuse it, or ask for an approval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy may look at: the operation about to happen."""

    operation: str
    subject: str
    actor: Actor
    row: Any
    environment: str
    surfaces: tuple[str, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """A policy's answer: somebody holding `role` must agree first. `rule` names the policy's rule, in words."""

    rule: str
    role: str


class ApprovalRequired(DomainError):
    """The operation was not refused, but it waits for another person."""

    code: ClassVar[str] = "approval_required"
    title: ClassVar[str] = "This needs an approval"

    def __init__(self, needs: Iterable[NeedsApproval]) -> None:
        self.needs = tuple(needs)
        super().__init__(
            "; ".join(f"{need.rule} (approver: {need.role})" for need in self.needs),
            extra={"needs": [{"rule": need.rule, "role": need.role} for need in self.needs]},
        )


class Policy(Protocol):
    def __call__(self, judged: Judged) -> NeedsApproval | None: ...


def judge(judged: Judged) -> None:
    """Ask every policy of `settings.POLICIES`. Raises what a policy raises, or ApprovalRequired naming all that is needed."""
    needs: list[NeedsApproval] = []
    for path in settings.POLICIES:
        policy: Policy = import_string(path)
        answer = policy(judged)
        if answer is not None:
            needs.append(answer)
    if needs:
        raise ApprovalRequired(needs)
