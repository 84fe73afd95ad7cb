"""Forms of guardrails and kill switches."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
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
from controlplane.core.records import valid_key
from governance.guardrails import selectors
from governance.guardrails.models import KillSwitch

ACTIONS = (
    ("block", "block"),
    ("demote", "demote"),
    ("age_gate", "show only from an age"),
    ("region_block", "block in regions"),
    ("label", "label"),
)
OPERATORS = (
    (">=", "at least"),
    (">", "above"),
    ("<=", "at most"),
    ("<", "below"),
    ("==", "exactly"),
    ("!=", "not"),
)
MISSING = (
    ("skip", "let them through"),
    ("fail_open", "let them through, and count them"),
    ("fail_closed", "treat them as tripping it"),
)
STATUSES = (("shadow", "shadow: watch and trace, stop nothing"), ("live", "live: stop"))


def surface_choices() -> list[tuple[str, str]]:
    """Every surface by key, with its title."""
    return list(catalog.surfaces().values_list("key", "title"))


def signal_choices() -> list[tuple[str, str]]:
    """No signal, then those items have."""
    return [("", "no signal, only the condition"), *((name, name) for name in selectors.signals())]


def words(text: str) -> list[str]:
    """Entries divided by line ends, commas, semicolons or spaces."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def text_widget(**attributes: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs=attributes)


class UtcTime(forms.DateTimeInput):
    input_type = "datetime-local"


class GuardrailForm(RecordForm):
    action = forms.ChoiceField(choices=ACTIONS, label="Do what", widget=UnfoldAdminSelectWidget())
    surfaces = forms.MultipleChoiceField(
        choices=surface_choices,
        required=False,
        label="On",
        widget=forms.CheckboxSelectMultiple(),
        help_text="Choose none for every surface.",
    )
    signal = forms.CharField(
        required=False,
        label="items whose",
        widget=UnfoldAdminSelectWidget(),
        help_text="A number a classifier or a person gave each item.",
    )
    op = forms.ChoiceField(choices=OPERATORS, label="is", widget=UnfoldAdminSelectWidget())
    threshold = forms.FloatField(required=False, label="Threshold", widget=text_widget(inputmode="decimal"))
    missing = forms.ChoiceField(
        choices=MISSING, label="Items without the signal", widget=UnfoldAdminSelectWidget()
    )
    factor = forms.FloatField(
        required=False,
        label="Multiply the score by",
        widget=text_widget(inputmode="decimal"),
        help_text="Between 0 and 1; 0.5 halves it.",
    )
    min_age = forms.IntegerField(
        required=False,
        label="Age",
        widget=text_widget(inputmode="numeric"),
        help_text="Requests that do not say an age do not see the items.",
    )
    regions = forms.CharField(
        required=False,
        widget=text_widget(placeholder="DE, US-CA"),
        help_text="Requests that do not say a region do not see the items.",
    )
    condition = forms.CharField(
        required=False,
        label="and that match",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false", "class": "gr-code"}),
        help_text='JSON, such as {"category": "games"}; optional beside a signal.',
    )
    status = forms.ChoiceField(choices=STATUSES, label="Stage", widget=UnfoldAdminSelectWidget())
    reason = forms.CharField(
        max_length=500, label="because", widget=text_widget(placeholder="policy 4.2, minors")
    )
    starts_at = forms.DateTimeField(
        required=False, label="From (UTC)", widget=UtcTime(format="%Y-%m-%dT%H:%M")
    )
    ends_at = forms.DateTimeField(
        required=False, label="Until (UTC)", widget=UtcTime(format="%Y-%m-%dT%H:%M")
    )

    class Media:
        css: ClassVar = {"all": ["guardrails/guardrails.css"]}
        js: ClassVar = [forms.Script("guardrails/guardrails.js", defer=True)]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget = self.fields["signal"].widget
        assert isinstance(widget, forms.Select)
        known = signal_choices()
        present = str(self.initial.get("signal") or self.data.get("signal", ""))
        widget.choices = known if present in dict(known) else [*known, (present, present)]

    def clean_condition(self) -> Any:
        text = self.cleaned_data["condition"]
        if not text.strip():
            return None
        try:
            return strict_json.parse_json(text.encode())
        except ValueError as error:
            raise forms.ValidationError(
                f"This is not JSON: {error}. Write an object such as " + '{"category": "games"}.'
            ) from None

    def content(self) -> dict[str, Any]:
        given = self.cleaned_data
        window = [_utc(given["starts_at"]), _utc(given["ends_at"])]
        content = {
            **{
                name: given[name]
                for name in ("action", "surfaces", "op", "missing", "condition", "status", "reason")
            },
            "signal": given["signal"] or None,
            "windows": ([window] if any(window) else []) + list(self.initial.get("more_windows", ())),
        }
        # What does not apply is only sent when somebody filled it in, so that the rules can say so.
        content |= {
            name: given[name] for name in ("threshold", "factor", "min_age") if given[name] is not None
        }
        regions = words(given["regions"].upper())
        return content | ({"regions": regions} if regions else {})

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        first, further = (content["windows"] or [[None, None]])[0], content["windows"][1:]
        kept = ("action", "surfaces", "op", "threshold", "missing", "factor", "min_age", "status", "reason")
        return {
            **{name: content[name] for name in kept},
            "signal": content["signal"] or "",
            "regions": ", ".join(content["regions"]),
            "condition": json.dumps(content["condition"], ensure_ascii=False) if content["condition"] else "",
            "starts_at": datetime.fromisoformat(first[0]) if first[0] else None,
            "ends_at": datetime.fromisoformat(first[1]) if first[1] else None,
            "more_windows": further,
        }

    def field_of(self, path: str) -> str | None:
        return "ends_at" if path.startswith("content.windows") else super().field_of(path)


class ThrowForm(forms.Form):
    """What a kill switch shall stop. The key is made up; people may change it."""

    kind = forms.ChoiceField(
        choices=KillSwitch.Kind.choices, label="Stop what", widget=UnfoldAdminSelectWidget()
    )
    items = forms.CharField(
        required=False,
        label="Items",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "class": "gr-code"}),
        help_text="One id a line; ids the catalogue does not know are blocked too.",
    )
    rule = forms.CharField(
        required=False,
        label="Rule",
        widget=text_widget(list="live-rules", placeholder="override:autumn-coats"),
    )
    surfaces = forms.MultipleChoiceField(
        choices=surface_choices,
        required=False,
        label="Where",
        widget=forms.CheckboxSelectMultiple(),
        help_text="Choose none for every surface.",
    )
    reason = forms.CharField(
        max_length=500, label="Because", widget=text_widget(placeholder="recall of batch 17")
    )
    key = forms.CharField(
        max_length=64, validators=[valid_key], label="Name of the switch", widget=text_widget()
    )

    class Media(GuardrailForm.Media):
        pass

    def values(self) -> dict[str, Any]:
        """What the operation takes. Called on a valid form."""
        given = self.cleaned_data
        return {**given, "items": words(given["items"])}


def suggested_key(at: datetime) -> str:
    """A name for a switch thrown now."""
    return f"switch-{at:%Y%m%d-%H%M%S}"


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
