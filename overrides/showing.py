"""Overrides and previews in words and pictures for pages."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.catalog import selectors as catalog
from overrides import windows
from overrides.preview import Place, Preview

TINTS = 6


@dataclass(frozen=True, slots=True)
class Badge:
    """A rule that touched an item. `kind` is override, guardrail, kill or fallback; `key` leads to its page."""

    kind: str
    key: str
    version: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One position of a slate as people see it."""

    place: Place
    title: str
    image: str
    initials: str
    tint: int
    stock: str
    badges: tuple[Badge, ...]
    movement: str
    tone: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Both slates as tiles, titles of what leaves, and the time the preview stands for in the rule's own zone."""

    before: tuple[Tile, ...]
    after: tuple[Tile, ...]
    titles: Mapping[str, str]
    local_at: str
    zone: str


def shown(preview: Preview, *, zone: str) -> Shown:
    """The preview with titles, pictures and stock from the catalogue."""
    ids = {place.item for place in (*preview.before, *preview.after)}
    ids |= {one.item for one in preview.leaving} | {one.item for one in preview.lost_pins}
    about = catalog.item_summaries(ids)
    return Shown(
        before=tuple(_tile(place, about.get(place.item), after=False) for place in preview.before),
        after=tuple(_tile(place, about.get(place.item), after=True) for place in preview.after),
        titles={item: (about[item]["title"] if item in about else "") or item for item in ids},
        local_at=windows.to_local(preview.at, zone).replace("T", " "),
        zone=zone,
    )


def _tile(place: Place, about: Mapping[str, Any] | None, *, after: bool) -> Tile:
    title = (about["title"] if about else "") or place.item
    movement, tone = _movement(place, after=after)
    return Tile(
        place=place,
        title=title,
        image=about["image_url"] if about else "",
        initials="".join(word[0] for word in title.split()[:2]).upper(),
        tint=zlib.crc32(place.item.encode()) % TINTS,
        stock=_stock(about),
        badges=tuple(_badge(code) for code in place.codes),
        movement=movement,
        tone=tone,
    )


def _stock(about: Mapping[str, Any] | None) -> str:
    if about is None:
        return "not in the catalogue"
    return "in stock" if about["available"] and about["deleted_at"] is None else "out of stock"


def _movement(place: Place, *, after: bool) -> tuple[str, str]:
    if place.moved is None:
        return ("new", "good") if after else ("leaves", "bad")
    if place.moved == 0 or not after:
        return "", "neutral"
    return (f"▲ {place.moved}", "good") if place.moved > 0 else (f"▼ {-place.moved}", "neutral")


def _badge(code: str) -> Badge:
    rule, _, version = code.partition("@")
    kind, _, key = rule.partition(":")
    return Badge(kind, key, version)


def window_words(content: Mapping[str, Any]) -> str:
    """When the rule stands, in the zone it was written in: "1 Dec 2026 08:00 to 5 Dec 2026 20:00 Europe/Berlin"."""
    spans, zone = content["windows"], content.get("time_zone", "UTC")
    if not spans:
        return "always"
    first = " ".join(
        f"{word} {_moment(side, zone)}"
        for word, side in zip(("from", "until"), spans[0], strict=True)
        if side
    )
    more = f" and {len(spans) - 1} more" if len(spans) > 1 else ""
    return f"{first} {zone}{more}" if first else "always"


def _moment(text: str, zone: str) -> str:
    moment = datetime.fromisoformat(text).astimezone(windows.zone(zone))
    return f"{moment.day} {moment:%b %Y %H:%M}"
