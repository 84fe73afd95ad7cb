"""The environment a person looks at: kept in their session, visible on every page, switched without leaving the page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string

SESSION_KEY = "environment"
DEFAULT = "production"


@dataclass(frozen=True, slots=True)
class EnvironmentChoice:
    """One environment as the switch shows it; `kind` is `production` or `staging`."""

    key: str
    name: str
    kind: str


def choices() -> list[EnvironmentChoice]:
    """The environments there are, by the hook the settings name; production alone before there are any."""
    found = (
        [EnvironmentChoice(**row) for row in import_string(settings.ENVIRONMENTS)()]
        if settings.ENVIRONMENTS
        else []
    )
    return found or [EnvironmentChoice(key=DEFAULT, name="Production", kind="production")]


def current(request: HttpRequest) -> str:
    """The key of the environment this person looks at."""
    return str(request.session.get(SESSION_KEY, DEFAULT))


def context(request: HttpRequest) -> dict[str, object]:
    """Template context of every page: the environments and the one in view."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    every = choices()
    key = current(request)
    return {
        "environment_choices": every,
        "environment_now": next((one for one in every if one.key == key), every[0]),
    }


def switch(request: HttpRequest) -> HttpResponse:
    """Look at another environment, then go back to the page one came from."""
    key = request.POST.get("environment", "")
    if request.method == "POST" and key in {one.key for one in choices()}:
        request.session[SESSION_KEY] = key
    back = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(back if safe and urlsplit(back).path else "/")
