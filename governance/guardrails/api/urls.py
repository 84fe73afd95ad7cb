"""REST routes of guardrails and kill switches."""

from rest_framework.routers import SimpleRouter

from governance.guardrails.api import views

router = SimpleRouter(trailing_slash=False)
router.register("guardrails", views.GuardrailViewSet)
router.register("kill-switches", views.KillSwitchViewSet)

urlpatterns = router.urls
