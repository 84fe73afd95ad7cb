"""REST routes of evidence."""

from rest_framework.routers import SimpleRouter

from controlplane.evidence.api.views import AnalysisViewSet, MetricViewSet

router = SimpleRouter(trailing_slash=False)
router.register("metrics", MetricViewSet, basename="metric")
router.register("analyses", AnalysisViewSet)

urlpatterns = router.urls
