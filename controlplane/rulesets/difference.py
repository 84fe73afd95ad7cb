"""What changed between two rulesets, in sentences a person reads and in the structure a program does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.core.canonical import canonical_json
from controlplane.rulesets.fragments import SHARED, SURFACE_PREFIX

Sections = Mapping[str, Mapping[str, Any]]

WORDS: Final = {
    "experiments": "experiment",
    "overrides": "override",
    "guardrails": "guardrail",
    "kill_switches": "kill switch",
    "audiences": "audience",
    "surface": "surface",
    "facts": "facts",
}
ORDER: Final = tuple(WORDS)
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One record that differs: `added`, `removed` or `changed`, where, and field by field what was and is."""

    what: str
    kind: str
    key: str
    surfaces: tuple[str, ...]
    fields: Mapping[str, tuple[Any, Any]]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "kind": self.kind,
            "key": self.key,
            "surfaces": list(self.surfaces),
            "fields": {
                name: {"before": before, "after": after} for name, (before, after) in self.fields.items()
            },
            "sentence": self.sentence,
        }


@dataclass(slots=True)
class _Pair:
    """The same change on the surfaces where it happened."""

    before: Any
    after: Any
    surfaces: list[str] = field(default_factory=list)


def difference(before: Sections, after: Sections) -> list[Change]:
    """Every change from one artefact to another. The same change on several surfaces is told once."""
    pairs: dict[tuple[str, str, bytes], _Pair] = {}
    for section in sorted({*before, *after}):
        old, new = _records(before.get(section, {})), _records(after.get(section, {}))
        for kind, key in sorted({*old, *new}):
            was, now = old.get((kind, key)), new.get((kind, key))
            if was != now:
                pair = pairs.setdefault((kind, key, canonical_json([was, now])), _Pair(was, now))
                pair.surfaces += [] if section == SHARED else [section.removeprefix(SURFACE_PREFIX)]
    changes = [_change(kind, key, pair) for (kind, key, _), pair in pairs.items()]
    changes += _facts(before, after)
    return sorted(changes, key=lambda one: (ORDER.index(one.kind), one.key, one.surfaces))


def _records(section: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for kind in ("experiments", "overrides", "guardrails", "kill_switches"):
        found |= {(kind, str(body["key"])): body for body in section.get(kind, ())}
    found |= {("audiences", key): body for key, body in section.get("audiences", {}).items()}
    if "surface" in section:
        found["surface", str(section["surface"]["key"])] = section["surface"]
    return found


def _change(kind: str, key: str, pair: _Pair) -> Change:
    was, now = pair.before, pair.after
    what = "added" if was is None else "removed" if now is None else "changed"
    surfaces = () if kind == "surface" else tuple(sorted(pair.surfaces))
    fields = {
        name: ((was or {}).get(name), (now or {}).get(name))
        for name in sorted({*(was or {}), *(now or {})})
        if (was or {}).get(name) != (now or {}).get(name) and name != "key"
    }
    name = f"{_noun(kind, now or was)} {key}"
    where = f" on {', '.join(surfaces)}" if surfaces else ""
    if what == "changed":
        said = "; ".join(
            _field(field_name, *values) for field_name, values in fields.items() if field_name not in _SILENT
        )
        sentence = f"{name} {said or 'saved again, unchanged in effect'}{where}"
    else:
        sentence = f"{name} {what}{where}{_summary(kind, now or was) if what == 'added' else ''}"
    return Change(what, kind, key, surfaces, fields, sentence)


_SILENT: Final = frozenset({"version", "updated_at"})
_PLAIN: Final = frozenset({"factor"})


def _noun(kind: str, body: Mapping[str, Any]) -> str:
    return str(body.get("type", "override")) if kind == "overrides" else WORDS[kind]


def _summary(kind: str, body: Mapping[str, Any]) -> str:
    """A few words about a new record."""
    if kind == "overrides":
        items, factor = body.get("items") or [], body.get("factor")
        parts = [f"factor {_value(factor)}"] if factor is not None else []
        parts += [f"items {_few(items)}"] if items else []
    elif kind == "experiments":
        parts = [f"{arm['key']} {_share(arm['weight'])}" for arm in body.get("arms", ())]
        parts.append(f"coverage {_share(body.get('coverage', 0))}")
    elif kind == "guardrails":
        signal = body.get("signal")
        bound = f" {signal} {body.get('op', '>=')} {_value(body.get('threshold'))}" if signal else ""
        parts = [f"{body.get('action')}{bound}"]
    elif kind == "kill_switches":
        items = body.get("items") or []
        parts = [
            str(body.get("kind", "")).replace("_", " "),
            _few(items) if items else str(body.get("rule") or ""),
        ]
    else:
        return ""
    return f" ({', '.join(part for part in parts if part)})"


def _field(name: str, was: Any, now: Any) -> str:
    if name in _PLAIN:
        return f"{_value(was)} → {_value(now)}"
    if name in {"coverage", "log_rate", "max_share"}:
        return f"{name.replace('_', ' ')} {_share(was)} → {_share(now)}"
    if name == "arms":
        return f"arms {_arms(was)} → {_arms(now)}"
    if name in {"items", "fallback", "regions", "surfaces"}:
        return f"{name} {_listed(was or [], now or [])}"
    if isinstance(was, dict | list) or isinstance(now, dict | list):
        return f"{name} {_presence(was, now)}"
    return f"{name.replace('_', ' ')} {_value(was)} → {_value(now)}"


def _presence(was: Any, now: Any) -> str:
    return "set" if not was else "removed" if not now else "changed"


def _listed(was: list[Any], now: list[Any]) -> str:
    added, gone = [each for each in now if each not in was], [each for each in was if each not in now]
    parts = [f"gain {_few(added)}"] if added else []
    parts += [f"lose {_few(gone)}"] if gone else []
    return " and ".join(parts) or "reordered"


def _arms(arms: Any) -> str:
    return "/".join(f"{arm.get('key')} {_share(arm.get('weight'))}" for arm in arms or ())


def _share(weight: Any) -> str:
    """A share in 1/10,000 as a percentage."""
    return f"{weight / 100:g} %" if isinstance(weight, int | float) else _value(weight)


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _few(names: list[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _facts(before: Sections, after: Sections) -> Iterator[Change]:
    """Item facts by surface: how many came, went or changed, and which became available or not."""
    by_change: dict[bytes, tuple[dict[str, tuple[Any, Any]], list[str]]] = {}
    for section in sorted({*before, *after} - {SHARED}):
        if section not in before or section not in after:
            continue  # the surface itself came or went; its facts with it
        old, new = before[section].get("facts", {}), after[section].get("facts", {})
        changed = {
            item: (old.get(item), new.get(item))
            for item in sorted({*old, *new})
            if old.get(item) != new.get(item)
        }
        if changed:
            _, surfaces = by_change.setdefault(canonical_json(changed), (changed, []))
            surfaces.append(section.removeprefix(SURFACE_PREFIX))
    for changed, surfaces in by_change.values():
        said = "; ".join(f"{word} {_few(items)}" for word, items in _sorted_facts(changed).items())
        sentence = f"facts of {len(changed)} items on {', '.join(surfaces)}: {said}"
        yield Change("changed", "facts", "", tuple(surfaces), changed, sentence)


def _sorted_facts(changed: Mapping[str, tuple[Any, Any]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for item, (was, now) in changed.items():
        if was is None or now is None:
            groups["added" if was is None else "removed"].append(item)
        elif was.get("available") != now.get("available"):
            groups["now available" if now.get("available") else "no longer available"].append(item)
        else:
            groups["changed"].append(item)
    return dict(groups)
