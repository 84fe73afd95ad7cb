"""The page of a record: its form, its verbs with their confirmations, its versions and its history from the audit trail.

Every write goes through an operation, so that the admin and REST do the same thing under the same permission.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from controlplane.core.actors import Actor
from controlplane.core.api.records import carrying_revision
from controlplane.core.errors import DomainError, Stale
from controlplane.core.pages import environment as environments
from controlplane.core.pages.lists import ShownFiltersOnly
from controlplane.core.pages.site import actor_of
from controlplane.core.records import Record, valid_key
from controlplane.core.selectors import history_of


class RecordForm(forms.Form):
    """Key, title and owner; subclasses add the content's fields and turn them into content and back."""

    key = forms.CharField(
        max_length=64,
        validators=[valid_key],
        widget=UnfoldAdminTextInputWidget(),
        help_text="Never changes afterwards.",
    )
    title = forms.CharField(max_length=160, widget=UnfoldAdminTextInputWidget())
    owner = forms.CharField(max_length=160, widget=UnfoldAdminTextInputWidget())
    note = forms.CharField(
        max_length=500, required=False, label="Note on this version", widget=UnfoldAdminTextInputWidget()
    )
    expects = forms.IntegerField(required=False, widget=forms.HiddenInput())

    first_fields: ClassVar[tuple[str, ...]] = ("key", "title", "owner")

    def content(self) -> dict[str, Any]:
        """The version's content the fields stand for. Called on a valid form."""
        raise NotImplementedError

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' initial values for existing content."""
        raise NotImplementedError

    def field_of(self, path: str) -> str | None:
        """The form field that shows the content path an operation complains about, such as `content.arms.0.weight`."""
        head = path.removeprefix("content.").split(".", 1)[0]
        return head if head in self.fields else None


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing a person can do to a record besides editing it."""

    operation: str
    label: str
    run: Callable[..., Any]
    """Called with (record, actor=, at=, expects=, environment=, **form values); returns the record."""
    shown: Callable[[Any, str], bool] = lambda _record, _environment: True
    """Whether it makes sense for the record in the environment in view."""
    consequence: Callable[[Any, str], str] = lambda _record, _environment: ""
    """What it will do, in numbers, for the confirmation."""
    form: type[forms.Form] | None = None
    style: Literal["primary", "secondary", "danger"] = "secondary"

    @property
    def name(self) -> str:
        return self.operation.split(".", 1)[1]


@dataclass(frozen=True, slots=True)
class PagePart:
    """A part of a record's page beyond its form: a template with its context, above or below."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)


class RecordAdmin(ShownFiltersOnly):
    """Admin of one kind of record. Subclasses name forms, operations and verbs; lists are Django's own."""

    record_form: ClassVar[type[RecordForm]]
    create_operation: ClassVar[str]
    save_operation: ClassVar[str]
    view_permission: ClassVar[str]
    verbs: ClassVar[Sequence[Verb]] = ()
    page_template: ClassVar[str] = "core/record.html"
    list_per_page = 50
    show_full_result_count = False
    actions = None

    # --- what subclasses fill in -------------------------------------------------------------------------------------
    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Any:
        """Carry out the create operation."""
        raise NotImplementedError

    def save(self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None) -> Any:
        """Carry out the save operation."""
        raise NotImplementedError

    def parts_above(self, request: HttpRequest, record: Any) -> Sequence[PagePart]:
        """What the page answers before its form."""
        return ()

    def parts_below(self, request: HttpRequest, record: Any) -> Sequence[PagePart]:
        """What the page adds after its form."""
        return ()

    def parts_beside(self, request: HttpRequest, record: Any | None) -> Sequence[PagePart]:
        """What stands to the right of the form on wide screens, such as a preview."""
        return ()

    def state(self, record: Any, environment: str) -> tuple[str, str]:
        """The record's state as a word, and its tone (good, warning, bad, neutral)."""
        live = record.live(environment)
        return (f"Live, version {live.number}", "good") if live else ("Not live here", "neutral")

    # --- permissions: the same table as REST -------------------------------------------------------------------------
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_somewhere(request, self.view_permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request, self.create_operation)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_somewhere(request, self.save_operation)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- pages -------------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        info = self.model._meta.app_label, self.model._meta.model_name
        own = [
            path(
                "<path:object_id>/do/<slug:verb>/",
                self.admin_site.admin_view(self.verb_view),
                name="{}_{}_verb".format(*info),
            )
        ]
        return [*own, *super().get_urls()]

    def address(self, record: Record) -> str:
        """The address of the record's page."""
        info = self.model._meta.app_label, self.model._meta.model_name
        return reverse("{}:{}_{}_change".format(self.admin_site.name, *info), args=[record.pk])

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        actor = actor_of(request)
        initial = {"owner": actor.name, **{name: request.GET[name] for name in request.GET}}
        form = self.record_form(request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            made = self._attempt(request, form, lambda: self.create(form, actor=actor, at=datetime.now(UTC)))
            if made is not None:
                messages.success(request, f"{made.title} is created.")
                return HttpResponseRedirect(self.address(made))
        return self._page(request, form, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        record = self._record(request, object_id)
        actor = actor_of(request)
        newest = record.newest()
        identity = {
            "key": record.key,
            "title": record.title,
            "owner": record.owner,
            "expects": record.row_version,
        }
        initial = {**(self.record_form.initial_from(newest.content) if newest else {}), **identity}
        posted = {**request.POST.dict(), "key": record.key} if request.method == "POST" else None
        form = self.record_form(_merged(request, posted) if posted else None, initial=initial)
        if request.method == "POST":
            if not self.has_change_permission(request, record):
                raise PermissionDenied
            if form.is_valid():
                saved = self._attempt(
                    request,
                    form,
                    lambda: self.save(
                        record, form, actor=actor, at=datetime.now(UTC), expects=form.cleaned_data["expects"]
                    ),
                )
                if saved is not None:
                    messages.success(request, f"Saved as version {saved.newest().number}.{_carried(saved)}")
                    return HttpResponseRedirect(self.address(saved))
        return self._page(request, form, record)

    def verb_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Ask before, saying what will happen; then do it."""
        record = self._record(request, object_id)
        chosen = next((one for one in self.verbs if one.name == verb), None)
        if chosen is None:
            raise Http404(f"there is nothing called {verb} to do here")
        where = environments.current(request)
        form = chosen.form(request.POST or None) if chosen.form else None
        problem: DomainError | None = None
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                expects = int(request.POST["expects"]) if request.POST.get("expects", "").isdigit() else None
                done = chosen.run(
                    record,
                    actor=actor_of(request),
                    at=datetime.now(UTC),
                    expects=expects,
                    environment=where,
                    **(form.cleaned_data if form else {}),
                )
            except DomainError as error:
                problem = error
            else:
                carried = _revision_words(carrying_revision(where))
                messages.success(request, f"{chosen.label}: done.{carried}")
                return HttpResponseRedirect(self.address(done))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{chosen.label}: {record.title}",
            "opts": None,
            "record": record,
            "verb": chosen,
            "form": form,
            "problem": problem,
            "consequence": chosen.consequence(record, where),
            "back": self.address(record),
        }
        return TemplateResponse(request, "core/verb.html", context, status=200 if problem is None else 409)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The record's audit events are on its own page."""
        return HttpResponseRedirect(f"{self.address(self._record(request, object_id))}#history")

    def _record(self, request: HttpRequest, object_id: str) -> Any:
        record = self.get_object(request, object_id)
        if record is None:
            record = self.model._default_manager.filter(key=object_id).first()
        if record is None:
            raise Http404(f"there is no {self.model._meta.verbose_name} {object_id}")
        if not self.has_view_permission(request, record):
            raise PermissionDenied
        return record

    def _attempt(self, request: HttpRequest, form: RecordForm, act: Callable[[], Any]) -> Any | None:
        """Run the operation; put a refusal where the person sees it, and keep what they typed."""
        try:
            return act()
        except Stale as stale:
            form.add_error(
                None,
                f"Somebody saved this while you were editing ({stale.detail}). Both edits are shown below.",
            )
            form.conflict = True  # type: ignore[attr-defined]  # tells the template to show both edits
        except DomainError as error:
            for problem in error.errors:
                form.add_error(form.field_of(problem.field), problem.sentence)
            if not error.errors:
                form.add_error(None, error.detail)
        return None

    def _page(self, request: HttpRequest, form: RecordForm, record: Any | None) -> HttpResponse:
        where = environments.current(request)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": record.title if record else f"New {self.model._meta.verbose_name}",
            "opts": None,
            "kind": self.model._meta,
            "form": form,
            "record": record,
            "first_fields": [form[name] for name in form.first_fields],
            "content_fields": [
                one for one in form.visible_fields() if one.name not in (*form.first_fields, "note")
            ],
            "parts_beside": self.parts_beside(request, record),
            "may_save": self.has_change_permission(request, record) if record else True,
            "list_address": reverse(
                f"{self.admin_site.name}:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist"
            ),
        }
        if record is not None:
            state, tone = self.state(record, where)
            actor = actor_of(request)
            context |= {
                "state": state,
                "tone": tone,
                "verbs": [
                    one
                    for one in self.verbs
                    if actor_may_here(actor, one.operation, record) and one.shown(record, where)
                ],
                "versions": list(record.versions.order_by("-number")[:20]),
                "pointers": list(record.pointers.select_related("version").order_by("environment")),
                "history": history_of(record.subject),
                "parts_above": self.parts_above(request, record),
                "parts_below": self.parts_below(request, record),
                "newest": record.newest(),
            }
        return TemplateResponse(request, self.page_template, context)


def actor_may_here(actor: Actor, operation: str, record: Any) -> bool:
    """Whether the actor may do this to this record, for showing or hiding a button; the operation judges again."""
    surfaces = tuple(getattr(record, "touched_surfaces", lambda: ())())
    return actor.may(operation, surfaces=surfaces)


def may_somewhere(request: HttpRequest, permission: str) -> bool:
    """Whether the signed-in person holds the permission on any surface, for showing a page; operations judge exactly."""
    if not request.user.is_authenticated:
        return False
    actor = actor_of(request)
    return actor.may(permission) or any(
        actor.may(permission, surfaces=[surface]) for _, surface in actor.grants if surface
    )


def _merged(request: HttpRequest, values: Mapping[str, Any]) -> Any:
    """The posted data with the key filled in: the page shows it but does not let it change."""
    data = request.POST.copy()
    data["key"] = values["key"]
    return data


def _carried(record: Any) -> str:
    for pointer in record.pointers.all():
        return _revision_words(carrying_revision(pointer.environment))
    return ""


def _revision_words(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return ""
    if answer.get("status") == "published":
        return f" Ruleset revision {answer['revision']} carries it."
    if answer.get("status") == "held":
        return f" It is saved and not served: a hold keeps {', '.join(answer['held'])} as they were."
    return " The ruleset follows shortly."
