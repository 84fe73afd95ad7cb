"""REST routes of overrides."""

from rest_framework.routers import SimpleRouter

from overrides.api.views import OverrideViewSet

router = SimpleRouter(trailing_slash=False)
router.register("overrides", OverrideViewSet)

urlpatterns = router.urls
