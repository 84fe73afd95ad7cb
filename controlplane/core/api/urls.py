"""Core's REST routes."""

from rest_framework.routers import SimpleRouter

from controlplane.core.api import (
    openapi,  # noqa: F401  registers how signing in is described
    views,
)

router = SimpleRouter(trailing_slash=False)
router.register("tokens", views.TokenViewSet)
router.register("findings", views.FindingViewSet)
router.register("audit-events", views.AuditEventViewSet)
router.register("security-events", views.SecurityEventViewSet)

urlpatterns = router.urls
