"""Questions about guardrails and kill switches: what they stop now, counted in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import FloatField, JSONField, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.module_loading import import_string

from controlplane.catalog import selectors as catalog
from controlplane.catalog.models import Item
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets.linker import restriction
from governance.guardrails.models import Guardrail, GuardrailPointer, GuardrailVersion, KillSwitch

BINS = 20
SURFACE = "surface:"


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose signal lies in [low, high), the last bin's high included."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How many present items a guardrail trips now, how many lack its signal, how many there are, and the signal's spread."""

    tripped: int
    unknown: int
    total: int
    bins: tuple[Bin, ...] = ()

    @property
    def share(self) -> float:
        """Share of the catalogue, 0 to 1."""
        return self.tripped / self.total if self.total else 0.0


def listed(environment: str) -> QuerySet[Guardrail]:
    """Guardrails with `newest_content`, `newest_number`, and `live_content`, `live_number` in the environment."""
    newest = GuardrailVersion.objects.filter(record=OuterRef("pk")).order_by("-number")
    live = GuardrailPointer.objects.filter(record=OuterRef("pk"), environment=environment)
    return Guardrail.objects.annotate(
        newest_content=Subquery(newest.values("content")[:1], output_field=JSONField()),
        newest_number=Subquery(newest.values("number")[:1]),
        live_content=Subquery(live.values("version__content")[:1], output_field=JSONField()),
        live_number=Subquery(live.values("version__number")[:1]),
    ).order_by("key")


def live(environment: str) -> list[GuardrailPointer]:
    """Pointers of every guardrail live in the environment, shadows included, by key."""
    return list(GuardrailPointer.live_in(environment))


def thrown(environment: str) -> QuerySet[KillSwitch]:
    """Switches that stand thrown in the environment, newest first."""
    return KillSwitch.objects.filter(environment=environment, released_at__isnull=True).order_by("-thrown_at")


def tripped_items(content: Mapping[str, Any]) -> frozenset[str]:
    """Ids of the present items the guardrail concerns now, judged by the engine's own conditions."""
    condition = restriction(content)
    if condition is None:
        return frozenset()
    found = import_string(settings.RULESET_FACTS)("", (), [condition])
    ids = set(found)
    signal = content["signal"]
    if signal is None:
        return frozenset(ids)
    # A condition reads a missing signal as zero; a guardrail acts on it only when it fails closed.
    ids = {item for item in ids if signal in found[item]["signals"]}
    if content["missing"] == "fail_closed":
        ids |= _without_signal(signal, content["condition"])
    return frozenset(ids)


def _without_signal(signal: str, condition: Mapping[str, Any] | None) -> set[str]:
    lacking = set(
        Item.objects.filter(deleted_at__isnull=True)
        .exclude(signals__has_key=signal)
        .values_list("item_id", flat=True)
    )
    if condition is None:
        return lacking
    return lacking & set(import_string(settings.RULESET_FACTS)("", (), [condition]))


def reach(content: Mapping[str, Any]) -> Reach:
    """What the guardrail would concern in the catalogue as it is now."""
    present = Item.objects.filter(deleted_at__isnull=True)
    total, signal = present.count(), content["signal"]
    unknown = present.exclude(signals__has_key=signal).count() if signal else 0
    return Reach(
        tripped=len(tripped_items(content)),
        unknown=unknown,
        total=total,
        bins=histogram(signal) if signal else (),
    )


def histogram(signal: str) -> tuple[Bin, ...]:
    """The signal's values over the present items, in twenty bins; from 0 to 1 where they lie there, else from least to most."""
    rows = (
        Item.objects.filter(deleted_at__isnull=True, signals__has_key=signal)
        .annotate(value=Cast(KeyTextTransform(signal, "signals"), FloatField()))
        .values_list("value", flat=True)
    )
    values = list(rows)
    if not values:
        return ()
    low, high = (0.0, 1.0) if min(values) >= 0 and max(values) <= 1 else (min(values), max(values))
    width = (high - low) / BINS or 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / width))] += 1
    return tuple(Bin(low + n * width, low + (n + 1) * width, count) for n, count in enumerate(counts))


def signals() -> list[str]:
    """Names of the signals items have, sorted."""
    names = catalog.attribute_names("item")
    return sorted(name.removeprefix("signals.") for name in names if name.startswith("signals."))


@dataclass(frozen=True, slots=True)
class SwitchReach:
    """What a kill switch would touch: items known and unknown, surfaces, programs, and what stands there now."""

    known: int
    unknown: tuple[str, ...]
    surfaces: tuple[str, ...]
    readers: int
    revision: int
    rule_is_live: bool
    fallbacks: tuple[tuple[str, int], ...]
    """Surface and the length of its fallback list, which is all that safe mode shows."""


def switch_reach(
    environment: str, *, items: Sequence[str], rule: str, surfaces: Sequence[str]
) -> SwitchReach:
    """What the switch would touch in the environment as it is served now."""
    head = rulesets.head(environment)
    sections = rulesets.sections(head)
    served = {name.removeprefix(SURFACE): body for name, body in sections.items() if name.startswith(SURFACE)}
    touched = sorted(key for key in served if not surfaces or key in surfaces)
    unknown = catalog.missing_items(items)
    return SwitchReach(
        known=len(set(items)) - len(unknown),
        unknown=unknown,
        surfaces=tuple(touched),
        readers=rulesets.readers(environment),
        revision=(head.number if head else 0) + 1,
        rule_is_live=rule in _rules(sections.values()),
        fallbacks=tuple((key, len(served[key]["surface"]["fallback"])) for key in touched),
    )


def live_rules(environment: str) -> list[str]:
    """Names of the rules a switch can disable in the environment: `override:<key>`, `experiment:<key>`."""
    return sorted(_rules(rulesets.sections(rulesets.head(environment)).values()))


def _rules(sections: Iterable[Mapping[str, Any]]) -> set[str]:
    return {
        f"{kind}:{body['key']}"
        for section in sections
        for kind in ("override", "experiment")
        for body in section.get(f"{kind}s", ())
    }


def surfaces_served(environment: str) -> list[str]:
    """Surfaces of the environment's head; none before the first revision."""
    names = rulesets.sections(rulesets.head(environment))
    return sorted(name.removeprefix(SURFACE) for name in names if name.startswith(SURFACE))
