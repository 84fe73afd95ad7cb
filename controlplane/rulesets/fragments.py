"""What sources hand to the linker. The types stand in core, so that the catalogue below can be a source too."""

from controlplane.core.fragments import (
    EVERY_SURFACE,
    KINDS,
    REFERENCES,
    SHARED,
    SURFACE_PREFIX,
    Entry,
    Fragment,
    Kind,
    Reference,
    surface_section,
)

__all__ = [
    "EVERY_SURFACE",
    "KINDS",
    "REFERENCES",
    "SHARED",
    "SURFACE_PREFIX",
    "Entry",
    "Fragment",
    "Kind",
    "Reference",
    "surface_section",
]
