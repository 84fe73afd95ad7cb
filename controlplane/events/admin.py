"""Admin of quarantine, counts, retention and erasures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from controlplane.catalog.selectors import surface_keys
from controlplane.core.admin import OperationPages, show_refusal
from controlplane.core.errors import DomainError
from controlplane.core.operations import subject_of
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import may_somewhere
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.core.pages.site import actor_of
from controlplane.core.selectors import history_of
from controlplane.events import selectors, services
from controlplane.events.models import Erasure, IngestCount, QuarantinedRecord, RetentionRule
from controlplane.events.schemas import MAX_UNIT_ID, TYPES


def environment_keys() -> list[tuple[str, str]]:
    """Every environment, for a choice field."""
    return [(one.key, one.name) for one in environments.choices()]


class RedriveForm(forms.Form):
    environment = forms.ChoiceField(choices=environment_keys, widget=UnfoldAdminSelectWidget())
    code = forms.CharField(
        max_length=40,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Only records refused with this code; empty for all that wait.",
    )
    accept_late = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Take in records whatever their age; otherwise those too late when they came stay here.",
    )


class ErasureForm(forms.Form):
    environment = forms.ChoiceField(choices=environment_keys, widget=UnfoldAdminSelectWidget())
    user_id = forms.CharField(
        max_length=MAX_UNIT_ID,
        strip=False,
        label="User id",
        widget=UnfoldAdminTextInputWidget(),
        help_text="As events carry it in unit_ids.user. Forgotten once the erasure is done.",
    )
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget())


class RetentionForm(forms.Form):
    event_type = forms.ChoiceField(
        choices=[(name, name) for name in TYPES], label="Type of event", widget=UnfoldAdminSelectWidget()
    )
    days = forms.IntegerField(min_value=1, max_value=36_500, widget=UnfoldAdminIntegerFieldWidget())


class DaysForm(forms.Form):
    days = forms.IntegerField(min_value=1, max_value=36_500, widget=UnfoldAdminIntegerFieldWidget())
    expects = forms.IntegerField(widget=forms.HiddenInput())


@admin.register(QuarantinedRecord)
class QuarantineAdmin(OperationPages):
    view_permission = "events.view"
    list_display = (
        "reason", "code", "field", "environment", "event_type", "times_seen", "last_seen_at", "outcome",
    )  # fmt: skip
    list_filter = ("environment", "code", "event_type", "source")
    search_fields = ("event_id", "field", "reason")
    fields = (
        "reason", "remedy", "code", "field", "environment", "event_id", "event_type", "source", "received_at",
        "last_seen_at", "times_seen", "outcome", "redriven_at", "text",
    )  # fmt: skip
    readonly_fields = ("text",)
    actions_list: ClassVar[list[str]] = ["redrive"]

    @admin.display(description="The record as it came")
    def text(self, record: QuarantinedRecord) -> str:
        return selectors.sample_text(record)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_redrive_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request, "events.redrive")

    @action(description="Re-drive what waits", url_path="redrive", icon="replay", permissions=["redrive"])
    def redrive(self, request: HttpRequest) -> HttpResponse:
        form = RedriveForm(request.POST or None, initial={"environment": environments.current(request)})
        if request.method == "POST" and form.is_valid():
            try:
                report = services.redrive(
                    **form.cleaned_data,
                    surfaces=surface_keys(form.cleaned_data["environment"]),
                    actor=actor_of(request),
                    at=datetime.now(UTC),
                )
            except DomainError as error:
                show_refusal(form, error)
            else:
                done = ", ".join(f"{count} {what}" for what, count in sorted(report.counts.items()))
                messages.success(request, f"{done}." if done else "None waited.")
                return HttpResponseRedirect(reverse("admin:events_quarantinedrecord_changelist"))
        waiting = selectors.quarantined(environment=environments.current(request), waiting=True).count()
        return self.form_page(
            request,
            form,
            title="Re-drive quarantine",
            submit="Re-drive",
            words=f"Waiting in {environments.current(request)}: {waiting:,}. At most 1,000 are judged again at a "
            "time; those that are events now are taken in, the others stay with their new reason.",
        )


@admin.register(Erasure)
class ErasureAdmin(OperationPages):
    view_permission = "events.view"
    create_operation = "events.request_erasure"
    create_form = ErasureForm
    create_title = "Erase a person's events"
    list_display = ("__str__", "environment", "reason", "requested_by", "requested_at", "completed_at")
    list_filter = ("environment", "status")
    fields = (
        "status", "environment", "reason", "requested_by", "requested_at", "completed_at", "subject_hash", "salt",
        "counts", "attempts", "last_error",
    )  # fmt: skip

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        services.request_erasure(**form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC))
        messages.success(
            request, "Asked for. A sweep erases the person from buffer, quarantine and lake within minutes."
        )
        return HttpResponseRedirect(reverse("admin:events_erasure_changelist"))


@admin.register(RetentionRule)
class RetentionAdmin(OperationPages):
    view_permission = "events.view"
    create_operation = "events.set_retention"
    create_form = RetentionForm
    create_title = "How long events of a type stay"
    list_display = ("type", "days")

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        rule = services.set_retention(**form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC))
        return self._kept(request, rule)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        rule = self.get_object(request, object_id)
        if rule is None or not self.has_view_permission(request):
            raise Http404
        form = DaysForm(request.POST or None, initial={"days": rule.days, "expects": rule.row_version})
        if request.method == "POST" and form.is_valid():
            try:
                saved = services.set_retention(
                    event_type=rule.type, **form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC)
                )
            except DomainError as error:
                show_refusal(form, error)
            else:
                return self._kept(request, saved)
        return self.form_page(
            request,
            form,
            title=f"How long {rule.type} events stay",
            submit="Save",
            words="The next nightly sweep drops what is older, for good.",
            history=history_of(subject_of(rule)),
        )

    def _kept(self, request: HttpRequest, rule: RetentionRule) -> HttpResponse:
        messages.success(request, f"{rule.type} events stay {rule.days} days.")
        return HttpResponseRedirect(reverse("admin:events_retentionrule_changelist"))


@admin.register(IngestCount)
class IngestCountAdmin(ReadOnlyAdmin):
    view_permission = "events.view"
    list_display = ("day", "environment", "type", "verdict", "count")
    list_filter = ("environment", "type", "verdict")
    date_hierarchy = "day"
