"""Pages of revisions and holds: what changed, from what it was linked, going back and letting go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from controlplane.core.admin import OperationPages, show_refusal
from controlplane.core.api.records import carrying_revision
from controlplane.core.errors import DomainError
from controlplane.core.operations import subject_of
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import may_somewhere
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.core.pages.site import actor_of
from controlplane.core.selectors import history_of
from controlplane.rulesets import selectors, services
from controlplane.rulesets.difference import difference
from controlplane.rulesets.models import Head, Hold, Revision, RevisionSection

HOURS = ((4, "4 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week"))


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """What was published, newest first; each revision with its difference in sentences."""

    view_permission = "rulesets.view"
    list_display = ("number", "cause", "changed", "author", "at")
    search_fields = ("cause", "author")
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        """Of the environment in view on the list; of any on a revision's own page."""
        rows: QuerySet[Revision] = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "rulesets_revision_changelist":
            before = Revision.objects.filter(
                environment=OuterRef("environment"), number=OuterRef("previous")
            ).values("manifest__sections")[:1]
            rows = rows.filter(environment=environments.current(request)).annotate(
                sections_before=Subquery(before), sections_now=F("manifest__sections")
            )
        return rows

    @admin.display(description="Touches")
    def changed(self, revision: Any) -> str:
        """Which sections differ from the revision before."""
        before, now = revision.sections_before or {}, revision.sections_now
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        words = [name.removeprefix("surface:") if name != "shared" else "every surface" for name in names]
        return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        revision = self.get_object(request, object_id)
        if revision is None or not self.has_view_permission(request):
            raise Http404
        return TemplateResponse(request, "rulesets/revision.html", self._context(request, revision))

    def _context(self, request: HttpRequest, revision: Revision) -> dict[str, Any]:
        earlier = selectors.revisions(revision.environment).filter(number__lt=revision.number)
        against = (
            _chosen(request.GET.get("against", ""), earlier)
            or earlier.filter(number=revision.previous).first()
        )
        changes = difference(selectors.sections(against), selectors.sections(revision))
        head = Head.objects.filter(environment=revision.environment).select_related("revision").first()
        parts = RevisionSection.objects.filter(revision=revision).select_related("section").order_by("name")
        return {
            **self.admin_site.each_context(request),
            "title": f"Revision {revision.number} of {revision.environment}",
            "opts": None,
            "revision": revision,
            "head": head.revision if head else None,
            "against": against,
            "choices": list(earlier.order_by("-number")[:50]),
            "changes": changes,
            "raw": [change.to_json() for change in changes],
            "fragments": list(revision.fragments.order_by("source")),
            "sections": [(part.name, len(part.section.body.encode()), part.section_id) for part in parts],
            "may_hold": may_somewhere(request, "rulesets.set_hold"),
            "list_address": reverse("admin:rulesets_revision_changelist"),
        }


def _chosen(number: str, earlier: QuerySet[Revision]) -> Revision | None:
    return earlier.filter(number=int(number)).first() if number.isdigit() and len(number) < 12 else None


class HoldForm(forms.Form):
    from_revision = forms.IntegerField(
        min_value=1,
        label="As in revision",
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="The last revision that was good.",
    )
    sources = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminSelectMultipleWidget(),
        help_text="Leave empty for all but the catalogue, guardrails and kill switches, which stay current.",
    )
    hours = forms.TypedChoiceField(
        choices=HOURS, coerce=int, label="For at most", initial=24, widget=UnfoldAdminSelectWidget()
    )
    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextInputWidget(), help_text="For those who will wonder."
    )

    def offer(self, environment: str) -> HoldForm:
        """Offer the sources of the environment's head."""
        names = sorted(selectors.contributions(selectors.head(environment)))
        field = self.fields["sources"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, name.replace("_", " ")) for name in names]
        return self


@admin.register(Hold)
class HoldAdmin(OperationPages):
    """Rolling back, and letting go again."""

    view_permission = "rulesets.view"
    create_operation = "rulesets.set_hold"
    create_form = HoldForm
    create_title = "Hold sources at an earlier revision"
    list_display = ("__str__", "reason", "owner", "created_at", "expires_at", "standing")
    list_select_related = ("from_revision",)
    list_filter: ClassVar = ("environment",)

    @admin.display(description="Standing", boolean=True)
    def standing(self, hold: Hold) -> bool:
        return hold.released_at is None

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise Http404
        where = environments.current(request)
        given = request.GET.get("from_revision", "")
        form = HoldForm(request.POST or None, initial={"from_revision": given if given.isdigit() else None})
        form.offer(where)
        if request.method == "POST" and form.is_valid():
            try:
                return self.created(request, form)
            except DomainError as error:
                show_refusal(form, error)
        words = (
            f"In {where}: the chosen sources are served as they were, at once and in a new revision. Edits to them are"
            " saved and not served until the hold is released or runs out."
        )
        return self.form_page(request, form, title=self.create_title, submit="Hold", words=words)

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        now, given = datetime.now(UTC), form.cleaned_data
        hold, published = services.set_hold(
            environment=environments.current(request),
            from_revision=given["from_revision"],
            sources=given["sources"] or None,
            reason=given["reason"],
            expires_at=now + timedelta(hours=given["hours"]),
            actor=actor_of(request),
            at=now,
        )
        messages.success(
            request, f"{', '.join(hold.sources)} held; revision {published.revision} carries it."
        )
        return HttpResponseRedirect(reverse("admin:rulesets_hold_change", args=[hold.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        hold = self.get_object(request, object_id)
        if hold is None or not self.has_view_permission(request):
            raise Http404
        problem: DomainError | None = None
        if request.method == "POST":
            try:
                return self._release(request, hold)
            except DomainError as error:
                problem = error
        return TemplateResponse(request, "rulesets/hold.html", self._context(request, hold, problem))

    def _release(self, request: HttpRequest, hold: Hold) -> HttpResponse:
        seen = request.POST.get("expects", "")
        services.release_hold(
            hold=hold,
            actor=actor_of(request),
            at=datetime.now(UTC),
            expects=int(seen) if seen.isdigit() and len(seen) < 10 else None,
        )
        answer = carrying_revision(hold.environment) or {}
        news = f" Revision {answer['revision']} carries it." if answer.get("status") == "published" else ""
        messages.success(request, f"Released.{news}")
        return HttpResponseRedirect(reverse("admin:rulesets_hold_change", args=[hold.pk]))

    def _context(self, request: HttpRequest, hold: Hold, problem: DomainError | None) -> dict[str, Any]:
        standing = hold.released_at is None
        changes = difference(*services.preview_release(hold, at=datetime.now(UTC))) if standing else []
        return {
            **self.admin_site.each_context(request),
            "title": f"Hold: {', '.join(hold.sources)} as in revision {hold.from_revision.number}",
            "opts": None,
            "hold": hold,
            "standing": standing,
            "changes": changes,
            "problem": problem,
            "may_release": standing and may_somewhere(request, "rulesets.release_hold"),
            "history": history_of(subject_of(hold)),
            "list_address": reverse("admin:rulesets_hold_changelist"),
        }
