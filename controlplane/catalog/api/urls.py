"""The catalogue's REST routes."""

from rest_framework.routers import SimpleRouter

from controlplane.catalog.api import views

router = SimpleRouter(trailing_slash=False)
router.register("environments", views.EnvironmentViewSet)
router.register("surfaces", views.SurfaceViewSet, basename="surface")
router.register("audiences", views.AudienceViewSet, basename="audience")
router.register("attributes", views.AttributeViewSet)
router.register("items", views.ItemViewSet)

urlpatterns = router.urls
