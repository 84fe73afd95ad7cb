"""The form of an override: one sentence of fields, and back. Times are local to a named zone; content is UTC."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from controlplane.catalog import selectors as catalog
from controlplane.core import strict_json
from controlplane.core.pages.records import RecordForm
from overrides import windows

TYPES = (("pin", "pin"), ("boost", "boost"), ("bury", "bury"), ("hide", "hide"), ("require", "show only"))
FIELD_OF = {
    "when.audience": "audience",
    "when.condition": "when_condition",
    "when": "when_condition",
    "windows": "ends_at",
}


def surface_choices() -> list[tuple[str, str]]:
    """Every surface by key, with its title."""
    return list(catalog.surfaces().values_list("key", "title"))


def audience_choices() -> list[tuple[str, str]]:
    """Everybody, then every audience."""
    return [("", "everybody"), *catalog.audiences().values_list("key", "title")]


def zone_choices() -> list[tuple[str, str]]:
    """UTC, then every time zone by name."""
    return [(name, name) for name in windows.zone_names()]


class LocalTime(forms.DateTimeInput):
    input_type = "datetime-local"


def text_widget(**attributes: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs=attributes)


class JsonCondition(forms.CharField):
    """A condition typed as JSON. A slip is said with its line and column."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False,
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false", "class": "ov-code"}),
            **kwargs,
        )

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return None
        try:
            return strict_json.parse_json(text.encode())
        except ValueError as error:
            raise forms.ValidationError(
                f"This is not JSON: {error}. Write an object such as " + '{"category": "coats"}.'
            ) from None


class OverrideForm(RecordForm):
    type = forms.ChoiceField(choices=TYPES, label="do what", widget=UnfoldAdminSelectWidget())
    surfaces = forms.MultipleChoiceField(
        choices=surface_choices,
        required=False,
        label="On",
        widget=forms.CheckboxSelectMultiple(),
        help_text="Choose none for every surface.",
    )
    audience = forms.ChoiceField(
        choices=audience_choices, required=False, label="for", widget=UnfoldAdminSelectWidget()
    )
    items = forms.CharField(
        required=False,
        label="items",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "class": "ov-code", "data-item-picker": ""}),
        help_text="One id a line, in the order they shall stand; a pasted column works.",
    )
    position = forms.IntegerField(
        required=False,
        label="at position",
        widget=text_widget(inputmode="numeric"),
        help_text="The first item stands here, the others follow.",
    )
    factor = forms.FloatField(
        required=False,
        label="by factor",
        widget=text_widget(inputmode="decimal"),
        help_text="Multiplies the score: 1.5 raises by half, 0.5 halves.",
    )
    starts_at = forms.CharField(required=False, label="from", widget=LocalTime(), help_text="Empty: at once.")
    ends_at = forms.CharField(
        required=False, label="until", widget=LocalTime(), help_text="Empty: without end; a pin needs one."
    )
    time_zone = forms.ChoiceField(choices=zone_choices, label="in", widget=UnfoldAdminSelectWidget())
    reason = forms.CharField(
        max_length=500, label="because", widget=text_widget(placeholder="launch of the autumn range")
    )
    condition = JsonCondition(
        label="Items that match",
        help_text='Instead of ids, or besides them: {"category": "coats", "price": {"$lt": 50}}.',
    )
    when_condition = JsonCondition(
        label="Only for requests that match", help_text='Such as {"country": "DE", "device.os": "ios"}.'
    )
    more_windows = forms.CharField(
        required=False,
        label="Further windows",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "class": "ov-code"}),
        help_text="One a line, in the same time zone: 2026-12-04 08:00 to 2026-12-07 08:00",
    )
    priority = forms.IntegerField(
        required=False,
        initial=0,
        widget=text_widget(inputmode="numeric"),
        help_text="The higher wins where two pins want one position.",
    )
    must_match_filters = forms.BooleanField(
        required=False,
        initial=True,
        label="Obey required filters",
        help_text="Off: the pin also shows items that a “show only” rule keeps out. Guardrails always apply.",
    )

    sentence_fields: ClassVar[tuple[str, ...]] = (
        "surfaces", "audience", "type", "items", "position", "factor", "starts_at", "ends_at", "time_zone", "reason",
    )  # fmt: skip
    further_fields: ClassVar[tuple[str, ...]] = (
        "condition", "when_condition", "more_windows", "priority", "must_match_filters",
    )  # fmt: skip

    class Media:
        css: ClassVar = {"all": ["overrides/overrides.css"]}
        js: ClassVar = [forms.Script("overrides/overrides.js", defer=True)]

    def clean_items(self) -> list[str]:
        """Ids divided by line ends, commas, semicolons or tabs, as spreadsheets hand them over."""
        text = self.cleaned_data["items"]
        return [part.strip().strip('"') for part in re.split(r"[\r\n,;\t]+", text) if part.strip().strip('"')]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        zone = cleaned.get("time_zone", "")
        if not zone:
            return cleaned
        found: dict[str, str | None] = {}
        for name in ("starts_at", "ends_at"):
            try:
                found[name] = windows.to_utc(cleaned.get(name, ""), zone, ends=name == "ends_at")
            except windows.WindowError as error:
                self.add_error(name, str(error))
        further: list[windows.Window] = []
        try:
            further = [window for _, window in windows.read_lines(cleaned.get("more_windows", ""), zone)]
        except windows.WindowError as error:
            self.add_error("more_windows", str(error))
        first = [found.get("starts_at"), found.get("ends_at")]
        cleaned["windows"] = ([first] if any(first) else []) + further
        return cleaned

    def content(self) -> dict[str, Any]:
        given = self.cleaned_data
        content = {
            "type": given["type"],
            "surfaces": given["surfaces"],
            "items": given["items"],
            "condition": given["condition"],
            "when": {"condition": given["when_condition"], "audience": given["audience"] or None},
            "windows": given["windows"],
            "priority": given["priority"] or 0,
            "reason": given["reason"],
            "must_match_filters": given["must_match_filters"],
            "time_zone": given["time_zone"],
        }
        # A field that does not apply is only sent when somebody filled it in, so that the rules can say so.
        return content | {name: given[name] for name in ("position", "factor") if given[name] is not None}

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        zone = content.get("time_zone", "UTC")
        first, further = (content["windows"] or [[None, None]])[0], content["windows"][1:]
        return {
            **{
                name: content[name]
                for name in ("type", "surfaces", "position", "factor", "priority", "reason")
            },
            "must_match_filters": content["must_match_filters"],
            "items": "\n".join(content["items"]),
            "audience": content["when"]["audience"] or "",
            "condition": _json(content["condition"]),
            "when_condition": _json(content["when"]["condition"]),
            "starts_at": windows.to_local(first[0], zone),
            "ends_at": windows.to_local(first[1], zone),
            "more_windows": windows.write_lines(further, zone),
            "time_zone": zone,
        }

    def field_of(self, path: str) -> str | None:
        rest = path.removeprefix("content.")
        for start, name in FIELD_OF.items():
            if rest == start or rest.startswith(f"{start}."):
                further = start == "windows" and rest.split(".")[1:2] not in ([], ["0"])
                return "more_windows" if further else name
        return super().field_of(path)


class PreviewForm(forms.Form):
    """What to preview against. Its fields stand beside the rule's own form and are sent with it."""

    preview_key = forms.CharField(required=False, max_length=64)
    preview_surface = forms.CharField(required=False, max_length=64)
    preview_at = forms.CharField(required=False)
    preview_audience = forms.CharField(required=False, max_length=64)
    preview_context = JsonCondition()
    preview_candidates = forms.CharField(required=False)

    def clean_preview_context(self) -> dict[str, Any]:
        value = self.cleaned_data["preview_context"]
        if value is not None and not isinstance(value, dict):
            raise forms.ValidationError('Write an object such as {"country": "DE"}.')
        return value or {}

    def clean_preview_candidates(self) -> list[str]:
        return [part for part in re.split(r"[\s,;]+", self.cleaned_data["preview_candidates"]) if part][:500]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=None) if value else ""
