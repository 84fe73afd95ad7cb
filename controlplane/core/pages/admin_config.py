"""Makes the control plane's own site the default one of `django.contrib.admin`."""

from django.contrib.admin.apps import AdminConfig


class ControlPlaneAdminConfig(AdminConfig):
    default_site = "controlplane.core.pages.site.ControlPlaneSite"
