"""Rows the whole product shares: people, tokens, the audit trail, reactions waiting to run, findings that stand open."""

from controlplane.core.models.access import ApiToken, RoleGrant, User
from controlplane.core.models.audit import AuditEvent, AuditSeal, SealedEvent, SecurityEvent
from controlplane.core.models.findings import OpenFinding
from controlplane.core.models.reactions import Reaction

__all__ = [
    "ApiToken",
    "AuditEvent",
    "AuditSeal",
    "OpenFinding",
    "Reaction",
    "RoleGrant",
    "SealedEvent",
    "SecurityEvent",
    "User",
]
