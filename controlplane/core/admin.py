"""Admin of people, tokens and the trails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from controlplane.core import services
from controlplane.core.errors import DomainError
from controlplane.core.models import ApiToken, AuditEvent, RoleGrant, SecurityEvent, User
from controlplane.core.operations import subject_of
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import may_somewhere
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.core.pages.site import actor_of
from controlplane.core.records import valid_key
from controlplane.core.selectors import history_of

admin.site.unregister(Group)  # roles stand in one table, not in groups


def roles() -> list[tuple[str, str]]:
    """Every role, for a choice field."""
    return [(role, role.capitalize()) for role in settings.ROLES]


class PersonForm(forms.Form):
    username = forms.CharField(max_length=150, widget=UnfoldAdminTextInputWidget())
    password = forms.CharField(
        widget=UnfoldAdminPasswordWidget(), help_text="At least 12 characters; they change it later."
    )


class GrantForm(forms.Form):
    role = forms.ChoiceField(choices=roles, widget=UnfoldAdminSelectWidget())
    surface = forms.CharField(
        max_length=64,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Leave empty for every surface.",
    )


class TokenForm(forms.Form):
    key = forms.CharField(max_length=64, validators=[valid_key], widget=UnfoldAdminTextInputWidget())
    name = forms.CharField(max_length=120, widget=UnfoldAdminTextInputWidget())
    kind = forms.ChoiceField(choices=ApiToken.Kind.choices, widget=UnfoldAdminSelectWidget())
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in services.SCOPES], widget=UnfoldAdminSelectMultipleWidget()
    )
    roles = forms.MultipleChoiceField(
        choices=roles,
        required=False,
        widget=UnfoldAdminSelectMultipleWidget(),
        help_text="Only with the scope rest.",
    )
    environment = forms.ChoiceField(
        choices=lambda: [("", "—"), *((one.key, one.name) for one in environments.choices())],
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )
    surfaces = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Keys divided by commas; empty for every surface.",
    )

    def clean_surfaces(self) -> list[str]:
        return [key.strip() for key in self.cleaned_data["surfaces"].split(",") if key.strip()]


class OperationPages(ReadOnlyAdmin):
    """Rows changed by small forms, each of which is one operation."""

    create_operation: ClassVar[str]
    create_form: ClassVar[type[forms.Form]]
    create_title: ClassVar[str]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request, self.create_operation)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = self.create_form(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                return self.created(request, form)
            except DomainError as error:
                show_refusal(form, error)
        return self.form_page(request, form, title=self.create_title, submit="Create")

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        """Carry out the create operation and answer."""
        raise NotImplementedError

    def form_page(
        self, request: HttpRequest, form: forms.Form, *, title: str, submit: str, **extra: Any
    ) -> HttpResponse:
        """A page with one form."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": None,
            "form": form,
            "submit": submit,
            "list_address": reverse(
                f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist"
            ),
            "list_title": self.model._meta.verbose_name_plural,
            **extra,
        }
        return TemplateResponse(request, "core/form.html", context)


def show_refusal(form: forms.Form, error: DomainError) -> None:
    """Put each field's problem at its field."""
    for problem in error.errors:
        field = problem.field if problem.field in form.fields else None
        form.add_error(field, f"{problem.message} {problem.remedy}".strip())
    if not error.errors:
        form.add_error(None, error.detail)


@admin.register(User)
class UserAdmin(OperationPages):
    view_permission = "core.grant_role"
    create_operation = "core.create_user"
    create_form = PersonForm
    create_title = "New person"
    list_display = ("username", "roles", "is_active", "last_login")
    search_fields = ("username",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("role_grants")

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(str(grant) for grant in user.role_grants.all()) or "none"

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        user = services.create_user(**form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC))
        messages.success(request, f"{user.username} can sign in. Give them a role next.")
        return HttpResponseRedirect(reverse("admin:core_user_change", args=[user.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        if user is None or not self.has_view_permission(request):
            raise Http404
        form = GrantForm(request.POST or None)
        if request.method == "POST":
            done = self._change(request, user, form)
            if done is not None:
                return done
        return self.form_page(
            request,
            form,
            title=user.username,
            submit="Give the role",
            person=user,
            grants=RoleGrant.objects.filter(user=user).order_by("role", "surface"),
            history=history_of(subject_of(user)),
        )

    def _change(self, request: HttpRequest, user: User, form: GrantForm) -> HttpResponse | None:
        actor, now = actor_of(request), datetime.now(UTC)
        try:
            if request.POST.get("active") in {"0", "1"}:
                services.set_person_active(
                    user=user, active=request.POST["active"] == "1", actor=actor, at=now
                )
            elif request.POST.get("revoke", "").isdigit():
                grant = RoleGrant.objects.filter(user=user, pk=int(request.POST["revoke"])).first()
                if grant is None:
                    raise Http404
                services.revoke_role(user=user, role=grant.role, surface=grant.surface, actor=actor, at=now)
            elif form.is_valid():
                services.grant_role(user=user, **form.cleaned_data, actor=actor, at=now)
            else:
                return None
        except DomainError as error:
            show_refusal(form, error)
            return None
        return HttpResponseRedirect(reverse("admin:core_user_change", args=[user.pk]))


@admin.register(ApiToken)
class TokenAdmin(OperationPages):
    view_permission = "core.view"
    create_operation = "core.create_token"
    create_form = TokenForm
    create_title = "New token"
    list_display = ("name", "prefix", "kind", "environment", "scopes", "state", "last_used_at", "expires_at")
    search_fields = ("name", "key", "prefix")

    @admin.display(description="State")
    def state(self, token: ApiToken) -> str:
        return "revoked" if token.revoked_at else "active"

    def get_urls(self) -> list[URLPattern]:
        verbs = [
            path(
                f"<path:object_id>/{verb}/",
                self.admin_site.admin_view(self.verb_view),
                {"verb": verb},
                name=f"core_apitoken_{verb}",
            )
            for verb in ("rotate", "revoke")
        ]
        return [*verbs, *super().get_urls()]

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        token, text = services.create_token(
            **form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC)
        )
        return self._show(request, token, text)

    def verb_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Rotate or revoke, after asking."""
        token = self.get_object(request, object_id)
        if token is None or not self.has_view_permission(request):
            raise Http404
        form = forms.Form(request.POST if request.method == "POST" else None)
        if request.method == "POST":
            actor, now = actor_of(request), datetime.now(UTC)
            try:
                if verb == "rotate":
                    return self._show(request, *services.rotate_token(token=token, actor=actor, at=now))
                services.revoke_token(token=token, actor=actor, at=now)
            except DomainError as error:
                form.is_valid()
                show_refusal(form, error)
            else:
                messages.success(request, f"{token.name} opens nothing any more.")
                return HttpResponseRedirect(reverse("admin:core_apitoken_changelist"))
        words = {
            "rotate": "A new secret is made under the same prefix; the old one works for another 24 hours.",
            "revoke": "Every program that uses this token is refused from its next call on.",
        }
        return self.form_page(
            request,
            form,
            title=f"{verb.capitalize()} {token.name}",
            submit=verb.capitalize(),
            words=words[verb],
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        token = self.get_object(request, object_id)
        if token is None or not self.has_view_permission(request):
            raise Http404
        return self._show(request, token, "")

    def _show(self, request: HttpRequest, token: ApiToken, text: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": token.name,
            "opts": None,
            "token": token,
            "text": text,
            "may_rotate": actor_of(request).may("core.rotate_token"),
            "may_revoke": actor_of(request).may("core.revoke_token"),
            "history": history_of(subject_of(token)),
        }
        response = TemplateResponse(request, "core/token.html", context)
        response["Cache-Control"] = "no-store"
        return response


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    view_permission = "core.view"
    list_display = ("at", "operation", "subject", "actor_kind", "actor_id", "environment", "row_version")
    list_filter = ("environment", "actor_kind")
    search_fields = ("subject", "operation", "actor_id", "request_id")


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    view_permission = "core.view_security"
    list_display = ("at", "kind", "operation", "subject", "actor_id", "address", "detail")
    list_filter = ("kind",)
    search_fields = ("operation", "actor_id", "address")
