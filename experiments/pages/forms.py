"""An experiment as sentences with gaps, its arms as rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms

from controlplane.core.contents import utc
from controlplane.core.pages.records import RecordForm
from experiments import selectors
from experiments.rules import EXPOSURES, MAX_ARMS, WHOLE

UNITS = (
    ("user", "users"),
    ("anonymous", "anonymous visitors"),
    ("session", "sessions"),
    ("request", "requests"),
)
EXPOSURE_WORDS = {"exposure": "an exposure event", "decision": "a decision", "impression": "an impression"}
SPARE_ROWS = 2
NEW_ARMS = (
    {"key": "control", "title": "Control", "weight": WHOLE // 2},
    {"key": "treatment", "title": "Treatment", "weight": WHOLE // 2},
)
ARM_PARTS = ("key", "title", "weight", "parameters")
ARM_ROW = re.compile(r"arm_(\d{1,2})_key")


class JsonField(forms.CharField):
    """A JSON object, or nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(
                'This is not JSON. Write an object such as {"country": "DE"}, or leave it empty.'
            ) from error
        if not isinstance(found, dict):
            raise forms.ValidationError("Write a JSON object in braces, or leave it empty.")
        return found


class ExperimentForm(RecordForm):
    """Identity, whom it enrols, what the arms are, and how it will be read."""

    hypothesis = forms.CharField(
        required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 2}), label="We expect"
    )
    coverage = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=2, initial=100, label="Share of the traffic in percent",
        widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
    )  # fmt: skip
    hash_attribute = forms.ChoiceField(choices=UNITS, initial="user", label="Unit")
    surfaces = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple())
    audience = forms.ChoiceField(required=False)
    primary_metric = forms.ChoiceField(label="Primary metric")
    guardrail_metrics = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple())
    metrics = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple())
    planned_end = forms.DateTimeField(
        required=False, label="Planned end in UTC",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )  # fmt: skip
    planned_units = forms.IntegerField(
        min_value=2, max_value=10_000_000_000, initial=WHOLE, label="Planned number of units"
    )
    condition = JsonField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), label="Only requests that match",
        help_text='A condition as JSON, such as {"country": {"$in": ["DE", "AT"]}}. Empty: every request.',
    )  # fmt: skip
    exposure_types = forms.MultipleChoiceField(
        choices=[(kind, EXPOSURE_WORDS[kind]) for kind in EXPOSURES], initial=["exposure"],
        widget=forms.CheckboxSelectMultiple(), label="A unit takes part from the first of",
    )  # fmt: skip
    stratify_by = forms.ChoiceField(
        required=False, choices=[("", "not at all"), ("surface", "by surface of the first exposure")],
        label="Compare inside strata",
    )  # fmt: skip

    plain: ClassVar[tuple[str, ...]] = (
        "hypothesis", "hash_attribute", "surfaces", "audience", "primary_metric", "metrics", "guardrail_metrics",
        "planned_units", "condition", "exposure_types", "stratify_by",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        metrics = selectors.metric_choices()
        self._choices("surfaces", selectors.surface_choices())
        self._choices("audience", [("", "everyone"), *selectors.audience_choices()])
        for name in ("guardrail_metrics", "metrics"):
            self._choices(name, metrics)
        self._choices("primary_metric", [("", "choose a metric"), *metrics])
        if "arm_0_key" not in self.initial:
            self.initial = {**_arm_values(NEW_ARMS), **self.initial}
        self.rows = self._row_count()
        for row in range(self.rows):
            self._add_arm(row)

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _row_count(self) -> int:
        if self.is_bound:
            posted = [int(found[1]) for name in self.data if (found := ARM_ROW.fullmatch(name))]
            return min(max(posted, default=1) + 1, MAX_ARMS + SPARE_ROWS)
        filled = sum(1 for name in self.initial if ARM_ROW.fullmatch(name))
        return min(filled + SPARE_ROWS, MAX_ARMS)

    def _add_arm(self, row: int) -> None:
        name = "Control" if row == 0 else f"Arm {row + 1}"
        quiet = {"spellcheck": "false", "autocomplete": "off"}
        self.fields[f"arm_{row}_key"] = forms.CharField(
            required=False, max_length=64, label=f"{name}: key", widget=forms.TextInput(attrs=quiet)
        )
        self.fields[f"arm_{row}_title"] = forms.CharField(
            required=False, max_length=160, label=f"{name}: title"
        )
        self.fields[f"arm_{row}_weight"] = forms.DecimalField(
            required=False, min_value=0, max_value=100, decimal_places=2, label=f"{name}: share in percent",
            widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
        )  # fmt: skip
        self.fields[f"arm_{row}_parameters"] = JsonField(
            label=f"{name}: parameters",
            widget=forms.Textarea(attrs={**quiet, "rows": 1, "placeholder": "{ }"}),
        )

    def arm_rows(self) -> list[dict[str, Any]]:
        """Bound fields of each row, for the template."""
        return [
            {
                "name": "Control" if row == 0 else f"Arm {row + 1}",
                "fields": [self[f"arm_{row}_{part}"] for part in ARM_PARTS],
                "errors": [
                    error
                    for part in ARM_PARTS
                    for error in self.errors.get(f"arm_{row}_{part}", [])
                    if self.is_bound
                ],
            }
            for row in range(self.rows)
        ]

    def _filled_rows(self) -> list[int]:
        return [
            row
            for row in range(self.rows)
            if any(self.cleaned_data.get(f"arm_{row}_{part}") not in (None, "") for part in ARM_PARTS)
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        weights = [
            weight for row in self._filled_rows() if (weight := cleaned.get(f"arm_{row}_weight")) is not None
        ]
        if len(weights) == len(self._filled_rows()) and sum(weights) != 100:
            raise forms.ValidationError(
                f"The arms' shares sum to {sum(weights):f} %; make them sum to 100 %."
            )
        return cleaned

    def content(self) -> dict[str, Any]:
        values = self.cleaned_data
        planned_end: datetime | None = values["planned_end"]
        return {
            **{name: values[name] for name in self.plain},
            "audience": values["audience"] or None,
            "stratify_by": values["stratify_by"] or None,
            "coverage": int(values["coverage"] * WHOLE / 100),
            "planned_end": utc(planned_end) if planned_end else None,
            "arms": [self._arm(row) for row in self._filled_rows()],
        }

    def _arm(self, row: int) -> dict[str, Any]:
        key, title, weight, parameters = (self.cleaned_data[f"arm_{row}_{part}"] for part in ARM_PARTS)
        return {
            "key": key,
            "title": title or key,
            "weight": None if weight is None else int(weight * WHOLE / 100),
            "parameters": parameters or {},
        }

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        end = content["planned_end"]
        condition = content["condition"]
        return {
            **{name: content[name] for name in cls.plain},
            "coverage": _percent(content["coverage"]),
            "condition": json.dumps(condition, ensure_ascii=False) if condition else "",
            "planned_end": datetime.fromisoformat(end).astimezone(UTC) if end else None,
            **_arm_values(content["arms"]),
        }

    def field_of(self, path: str) -> str | None:
        if path == "content.arms":
            return "arm_0_key"
        found = re.fullmatch(r"content\.arms\.(\d+)\.(\w+)", path)
        if found is None:
            return super().field_of(path)
        rows = self._filled_rows()
        name = f"arm_{rows[int(found[1])]}_{found[2]}" if int(found[1]) < len(rows) else ""
        return name if name in self.fields else None


class RampForm(forms.Form):
    """How much of the traffic to enrol from now on."""

    coverage = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=2, label="Share of the traffic in percent",
        widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
        help_text="Growing keeps everybody in their arm; shrinking lets go of those beyond the new share.",
    )  # fmt: skip

    def clean_coverage(self) -> int:
        return int(self.cleaned_data["coverage"] * WHOLE / 100)


def _arm_values(arms: Any) -> dict[str, Any]:
    return {
        f"arm_{row}_{part}": value
        for row, arm in enumerate(arms)
        for part, value in (
            ("key", arm["key"]),
            ("title", arm["title"]),
            ("weight", _percent(arm["weight"])),
            (
                "parameters",
                json.dumps(arm["parameters"], ensure_ascii=False) if arm.get("parameters") else "",
            ),
        )
    }


def _percent(parts: int) -> str:
    return f"{100 * parts / WHOLE:g}"
