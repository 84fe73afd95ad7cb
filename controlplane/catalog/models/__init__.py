"""The nouns every other app speaks of: where things are served, what is shown, to whom, and in which words."""

from controlplane.catalog.models.attributes import Attribute
from controlplane.catalog.models.environments import Environment
from controlplane.catalog.models.items import Item
from controlplane.catalog.models.records import (
    Audience,
    AudiencePointer,
    AudienceVersion,
    Surface,
    SurfacePointer,
    SurfaceVersion,
)

__all__ = [
    "Attribute",
    "Audience",
    "AudiencePointer",
    "AudienceVersion",
    "Environment",
    "Item",
    "Surface",
    "SurfacePointer",
    "SurfaceVersion",
]
