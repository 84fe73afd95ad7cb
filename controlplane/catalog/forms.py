"""Forms of the catalogue's pages: fields people fill in, and the content they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from controlplane.catalog.models import Attribute, Environment
from controlplane.catalog.models.environments import valid_colour
from controlplane.catalog.rules.contents import DEFAULT_LOG_RATE, MAX_SLOTS, SURFACE_KINDS
from controlplane.core.pages.records import RecordForm
from controlplane.core.records import valid_key
from controlplane.core.strict_json import parse_json


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class SurfaceForm(RecordForm):
    kind = forms.ChoiceField(
        choices=[(kind, kind.replace("-", " ").capitalize()) for kind in SURFACE_KINDS],
        widget=UnfoldAdminSelectWidget(),
    )
    slots = forms.IntegerField(
        min_value=1,
        max_value=MAX_SLOTS,
        initial=10,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="How many items a slate has when the request does not say.",
    )
    fallback = forms.CharField(
        required=False,
        label="Fallback items",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        help_text="Item ids, one a line, in order: what fills a slate when candidates run out.",
    )
    fallback_chain = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Keys of surfaces whose fallback items follow, divided by commas.",
    )
    sensitive = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Health, money, politics: stricter guardrails.",
    )
    minors = forms.BooleanField(
        required=False, label="Reaches minors", widget=UnfoldBooleanWidget(), help_text="Under-18s see it."
    )
    log_rate = forms.DecimalField(
        label="Fully logged decisions, %",
        min_value=Decimal(0),
        max_value=Decimal(100),
        decimal_places=2,
        initial=Decimal(DEFAULT_LOG_RATE) / 100,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="These can be replayed exactly; each takes some kilobytes.",
    )

    def content(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "kind": given["kind"],
            "slots": given["slots"],
            "fallback": _lines(given["fallback"]),
            "fallback_chain": [key.strip() for key in given["fallback_chain"].split(",") if key.strip()],
            "sensitive": given["sensitive"],
            "minors": given["minors"],
            "log_rate": int(given["log_rate"] * 100),
        }

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **content,
            "fallback": "\n".join(content["fallback"]),
            "fallback_chain": ", ".join(content["fallback_chain"]),
            "log_rate": Decimal(content["log_rate"]) / 100,
        }


class AudienceForm(RecordForm):
    condition = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false"}),
        help_text='A condition on the request, such as {"country": {"$in": ["DE", "FR"]}}.',
    )

    def clean_condition(self) -> Any:
        try:
            return parse_json(self.cleaned_data["condition"].encode())
        except ValueError as error:
            raise ValidationError(f"{error}.") from error

    def content(self) -> dict[str, Any]:
        return {"condition": self.cleaned_data["condition"]}

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"condition": json.dumps(content["condition"], indent=2, ensure_ascii=False)}


class EnvironmentForm(forms.Form):
    name = forms.CharField(max_length=120, widget=UnfoldAdminTextInputWidget())
    kind = forms.ChoiceField(choices=Environment.Kind.choices, widget=UnfoldAdminSelectWidget())
    colour = forms.CharField(
        max_length=7,
        initial="#4b5563",
        validators=[valid_colour],
        widget=UnfoldAdminTextInputWidget(attrs={"type": "color"}),
        help_text="Shown on every page, so that nobody mistakes it for another.",
    )
    protected = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Changes here may be made subject to approval.",
    )


class NewEnvironmentForm(EnvironmentForm):
    key = forms.CharField(
        max_length=64,
        validators=[valid_key],
        widget=UnfoldAdminTextInputWidget(),
        help_text="Never changes afterwards.",
    )
    field_order = ["key", "name", "kind", "colour", "protected"]


class AttributeForm(forms.Form):
    type = forms.ChoiceField(choices=Attribute.Type.choices, widget=UnfoldAdminSelectWidget())
    description = forms.CharField(
        max_length=500, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )
    private = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Values are neither kept here nor logged in clear; those seen so far are forgotten.",
    )


class NewAttributeForm(AttributeForm):
    subject = forms.ChoiceField(choices=Attribute.Subject.choices, widget=UnfoldAdminSelectWidget())
    name = forms.CharField(
        max_length=160,
        widget=UnfoldAdminTextInputWidget(),
        help_text="As conditions write it; dots are steps: device.os.",
    )
    field_order = ["subject", "name", "type", "description", "private"]
