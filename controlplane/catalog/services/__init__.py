"""Everything that changes the catalogue."""

from controlplane.catalog.services.attributes import create_attribute, learn, save_attribute
from controlplane.catalog.services.conditions import check_condition, check_signal
from controlplane.catalog.services.environments import create_environment, save_environment
from controlplane.catalog.services.items import LineReport, UploadReport, upsert_items
from controlplane.catalog.services.records import (
    create_audience,
    create_surface,
    publish_audience,
    publish_surface,
    save_audience,
    save_surface,
    withdraw_audience,
    withdraw_surface,
)

__all__ = [
    "LineReport",
    "UploadReport",
    "check_condition",
    "check_signal",
    "create_attribute",
    "create_audience",
    "create_environment",
    "create_surface",
    "learn",
    "publish_audience",
    "publish_surface",
    "save_attribute",
    "save_audience",
    "save_environment",
    "save_surface",
    "upsert_items",
    "withdraw_audience",
    "withdraw_surface",
]
