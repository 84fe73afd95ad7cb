"""The sidebar: by job, not by model. Entries a person may not see are left out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from controlplane.core.models import User
from controlplane.core.pages.site import actor_of

# Job -> (label, icon, admin model, right to see it)
JOBS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "Experiments",
        (
            ("Experiments", "science", "experiments.experiment", "experiments.view"),
            ("Metrics", "monitoring", "evidence.metric", "evidence.view"),
        ),
    ),
    (
        "Merchandising",
        (
            ("Overrides", "push_pin", "overrides.override", "overrides.view"),
            ("Items", "inventory_2", "catalog.item", "catalog.view"),
            ("Audiences", "group", "catalog.audience", "catalog.view"),
        ),
    ),
    (
        "Guardrails",
        (
            ("Guardrails", "shield", "guardrails.guardrail", "guardrails.view"),
            ("Kill switches", "power_settings_new", "guardrails.killswitch", "guardrails.view"),
        ),
    ),
    (
        "Governance",
        (
            ("Audit trail", "history", "core.auditevent", "core.view"),
            ("Security log", "lock", "core.securityevent", "core.view_security"),
            ("People", "badge", "core.user", "core.grant_role"),
        ),
    ),
    (
        "Serving",
        (
            ("Revisions", "layers", "rulesets.revision", "rulesets.view"),
            ("Holds", "pan_tool", "rulesets.hold", "rulesets.view"),
            ("Surfaces", "view_carousel", "catalog.surface", "catalog.view"),
            ("Environments", "dns", "catalog.environment", "catalog.view"),
            ("Tokens", "key", "core.apitoken", "core.view"),
        ),
    ),
    (
        "Data",
        (
            ("Quarantine", "report", "events.quarantinedrecord", "events.view"),
            ("Event counts", "bar_chart", "events.ingestcount", "events.view"),
            ("Retention", "auto_delete", "events.retentionrule", "events.view"),
            ("Erasures", "person_remove", "events.erasure", "events.view"),
            ("Attributes", "data_object", "catalog.attribute", "catalog.view"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's sidebar groups for this person."""
    groups: list[dict[str, Any]] = [
        {"items": [{"title": "Home", "icon": "home", "link": reverse("admin:index")}]}
    ]
    if not isinstance(request.user, User):
        return groups
    actor = actor_of(request)
    surfaces = [surface for _, surface in actor.grants if surface]
    for job, entries in JOBS:
        items = [
            {"title": label, "icon": icon, "link": link}
            for label, icon, model, right in entries
            if (actor.may(right) or any(actor.may(right, surfaces=[one]) for one in surfaces))
            and (link := _address(model))
        ]
        if items:
            groups.append({"title": job, "separator": True, "items": items})
    return groups


def _address(model: str) -> str:
    app, name = model.split(".")
    try:
        return reverse(f"admin:{app}_{name}_changelist")
    except NoReverseMatch:
        return ""
