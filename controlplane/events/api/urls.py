"""REST routes of events. Sending them is another process's: see `controlplane.events.ingest`."""

from rest_framework.routers import SimpleRouter

from controlplane.events.api import views

router = SimpleRouter(trailing_slash=False)
router.register("quarantine", views.QuarantineViewSet, basename="quarantine")
router.register("erasures", views.ErasureViewSet)
router.register("event-counts", views.EventCountList)
router.register("retention", views.RetentionViewSet)

urlpatterns = router.urls
