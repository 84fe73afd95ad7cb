"""Every setting, read from the environment and from nowhere else. docs/contract.md section 1 lists the variables."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.templatetags.static import static

from controlplane import roles

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str, default: str = "0") -> bool:
    return os.environ.get(name, default).lower() in {"1", "true", "yes", "on"}


def _database(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a `postgresql://user:password@host:port/name?host=/socket/dir` URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(f"DATABASE_URL must be a postgresql:// URL, not {parts.scheme!r}://")
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", unquote(parts.hostname or "")),
        "PORT": query.pop("port", str(parts.port or "")),
        "OPTIONS": {**query, **({"pool": {"min_size": 1, "max_size": 8, "timeout": 10}} if POOLED else {})},
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 0 if POOLED else 60,
        "ATOMIC_REQUESTS": False,
    }


# Pools belong to long-lived threaded servers; forked workers and one-shot commands keep a plain connection.
POOLED = _flag("DATABASE_POOL")

VAR_DIR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var"))
KEYS_DIR = Path(os.environ.get("KEYS_DIR", VAR_DIR / "keys"))
STATE_DIR = Path(os.environ.get("STATE_DIR", VAR_DIR / "state"))
AUDIT_ANCHOR_FILE = Path(os.environ.get("AUDIT_ANCHOR_FILE", VAR_DIR / "anchors" / "audit.jsonl"))
LAKE_URL = os.environ.get("LAKE_URL", f"file://{VAR_DIR / 'lake'}")

DEBUG = _flag("DEBUG")
SECURE = _flag("SECURE")
SECRET_KEY = os.environ.get("SECRET_KEY", "")

HOST = os.environ.get("HOST", "127.0.0.1")
WEB_PORT = int(os.environ.get("WEB_PORT", "8000"))
SERVE_PORT = int(os.environ.get("SERVE_PORT", "8001"))
PUBLIC_URL = os.environ.get("PUBLIC_URL", f"http://{HOST}:{WEB_PORT}")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", f"{HOST},localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql:///controlplane")
DATABASE_OWNER_URL = os.environ.get("DATABASE_OWNER_URL", DATABASE_URL)
DATABASE_DIRECT_URL = os.environ.get("DATABASE_DIRECT_URL", DATABASE_URL)
BROKER_URL = os.environ.get("BROKER_URL", "redis://localhost:6379/0")
# Migrations, backup and restore run with DATABASE_ROLE=owner; everything else runs as the web role.
DATABASES = {
    "default": _database(DATABASE_OWNER_URL if os.environ.get("DATABASE_ROLE") == "owner" else DATABASE_URL)
}

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "controlplane.core.pages.admin_config.ControlPlaneAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "controlplane.core",
    "controlplane.catalog",
    "controlplane.events",
    "controlplane.rulesets",
    "controlplane.evidence",
    "controlplane.embedded",
    "controlplane.demo",
    "experiments",
    "overrides",
    "governance.guardrails",
]
INSTALLED_APPS = [
    app for app in INSTALLED_APPS if app.endswith("Config") or getattr(find_spec(app), "origin", None)
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "controlplane.core.requests.RequestMiddleware",
    "controlplane.core.api.addresses.WellFormedAddress",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
ASGI_APPLICATION = "controlplane.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "controlplane" / "core" / "templates"],  # before unfold's own
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- who may come in -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_ENABLE_ADMIN = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("BEHIND_PROXY") else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # unfold's Alpine build compiles its attribute expressions, which needs unsafe-eval; inline scripts stay refused.
        "script-src": [SELF, NONCE, "'unsafe-eval'"],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "https:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

# The first administrator's password; without it `bootstrap` makes one up and shows it once.
ADMIN_PASSWORD = os.environ.get("ADMIN_PASSWORD", "")

# Role -> rights, and named parts of the system -> rights.
ROLES = roles.ROLES
SYSTEM_ACTORS = roles.SYSTEM_ACTORS

# --- REST ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "controlplane.core.api.authentication.TokenAuthentication",
        "controlplane.core.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["controlplane.core.api.permissions.MayRead"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["controlplane.core.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "controlplane.core.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["controlplane.core.api.throttles.ActorThrottle"],
    "DEFAULT_THROTTLE_RATES": {"actor": os.environ.get("REST_RATE", "6000/min")},
    "EXCEPTION_HANDLER": "controlplane.core.api.problems.handle",
    "NON_FIELD_ERRORS_KEY": "__all__",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Recommender Control Plane",
    "DESCRIPTION": "Experiments, merchandising rules, guardrails and the rulesets they compile to.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "EnvironmentKind": "controlplane.catalog.models.environments.Environment.Kind",
        "TokenKind": "controlplane.core.models.access.ApiToken.Kind",
        "KillSwitchKind": "governance.guardrails.models.KillSwitch.Kind",
        "AttributeType": "controlplane.catalog.models.attributes.Attribute.Type",
    },
}

# --- tasks -----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
# A lost task is the next sweep's; one not yet acknowledged when the broker goes away would take the worker with it
# (kombu's Redis transport then asks a connection that is gone).
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 1_800
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "core.deliver_reactions": {"task": "core.deliver_reactions", "schedule": 2.0, "options": {"expires": 10}},
    "core.seal_audit": {"task": "core.seal_audit", "schedule": 10.0, "options": {"expires": 30}},
    "core.diagnose": {"task": "core.diagnose", "schedule": 60.0, "options": {"expires": 120}},
    "core.prune": {"task": "core.prune", "schedule": crontab(minute="17", hour="3")},
    "rulesets.sweep": {"task": "rulesets.sweep", "schedule": 15.0, "options": {"expires": 30}},
    "events.move": {"task": "events.move", "schedule": 3.0, "options": {"expires": 10}},
    "events.compact": {"task": "events.compact", "schedule": crontab(minute="7")},
    "events.retain": {"task": "events.retain", "schedule": crontab(minute="27", hour="3")},
    "events.learn": {"task": "events.learn", "schedule": 300.0, "options": {"expires": 600}},
    "events.erase": {"task": "events.erase", "schedule": 60.0, "options": {"expires": 120}},
    "experiments.sweep": {"task": "experiments.sweep", "schedule": 30.0, "options": {"expires": 60}},
}

# --- how the parts find each other: dotted paths, resolved by a system check at boot ---------------------------------
# What compiles into a ruleset, in this order: `fragment(environment, at) -> Fragment`.
RULESET_SOURCES = [
    "controlplane.catalog.ruleset.fragment",
    "experiments.ruleset.fragment",
    "overrides.ruleset.fragment",
    "governance.guardrails.ruleset.fragment",
    "governance.guardrails.ruleset.kill_switch_fragment",
]
# Facts of the items a ruleset names: `facts(environment, item_ids, conditions) -> dict[item_id, fact]`.
RULESET_FACTS = "controlplane.catalog.ruleset.facts"
# Judges of the linked artefact: `check(document) -> Iterable[Finding]`; an error severity keeps the source's last good fragment.
RULESET_CHECKS = ["controlplane.rulesets.checks.schema", "controlplane.rulesets.checks.dangling"]
# Sources a hold leaves alone unless it names them; and those whose holding back loosens protection and takes two people.
RULESET_SAFEGUARDS = [
    "governance.guardrails.ruleset.fragment",
    "governance.guardrails.ruleset.kill_switch_fragment",
]
RULESET_STAYS_CURRENT = ["controlplane.catalog.ruleset.fragment", *RULESET_SAFEGUARDS]
# May refuse an operation or ask for an approval: `policy(context) -> None | NeedsApproval`, raising DomainError to refuse.
POLICIES: list[str] = ["governance.guardrails.policies.loosening_takes_two"]
# Reaction key -> handler(reaction). Rows are written with the operation whose name the pattern matches.
REACTIONS: dict[str, str] = {"rulesets.publish": "controlplane.rulesets.services.publish_reaction"}
# Diagnoses run by a sweep: `diagnose(at) -> Iterable[Finding]`.
DIAGNOSTICS: list[str] = [
    "controlplane.core.diagnostics.reactions_given_up",
    "controlplane.core.diagnostics.trail_not_sealed",
]
# Panels of the home page: `panels(actor, environment, at) -> Iterable[Panel]`.
HOME_PANELS: list[str] = [
    "experiments.home.panels",
    "overrides.home.panels",
    "governance.guardrails.home.panels",
    "controlplane.events.home.panels",
    "controlplane.rulesets.home.panels",
]
# The environments a person can look at: `() -> [{"key", "name", "kind"}]`.
ENVIRONMENTS = "controlplane.catalog.selectors.environment_choices"
# Called by every door after a write: `carry(environment) -> dict | None` (which revision carries the write).
WRITE_ANSWER = "controlplane.rulesets.services.carry"

LOGGING_CONFIG = "controlplane.core.logs.configure"
LOGGING: dict[str, Any] = {
    "level": os.environ.get("LOG_LEVEL", "INFO"),
    "format": os.environ.get("LOG_FORMAT", "json"),
}
SILENCED_SYSTEM_CHECKS: list[str] = []
TEST_RUNNER = "django.test.runner.DiscoverRunner"

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Control plane",
    "SITE_HEADER": "Control plane",
    "SITE_SUBHEADER": "for recommender systems",
    "SITE_SYMBOL": "tune",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("core/icon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: static("core/pages.css")],
    "SCRIPTS": [lambda _request: static("core/pages.js")],
    "SIDEBAR": {"show_search": False, "navigation": "controlplane.core.pages.navigation.navigation"},
}
