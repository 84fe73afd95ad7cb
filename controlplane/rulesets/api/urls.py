"""REST routes of rulesets."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from controlplane.rulesets.api import views

router = SimpleRouter(trailing_slash=False)
router.register("revisions", views.RevisionList)
router.register("holds", views.HoldViewSet, basename="hold")

urlpatterns = [
    *router.urls,
    path("revisions/<str:environment>/<int:number>", views.RevisionView.as_view()),
    path(
        "revisions/<str:environment>/<int:before>/difference/<int:after>",
        views.DifferenceView.as_view(),
    ),
    path("rulesets/<str:environment>/publish", views.PublishView.as_view()),
]
