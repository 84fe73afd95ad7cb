"""Admin of rows that are looked at and never edited: the trails, revisions, learned things."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest

from controlplane.core.pages.lists import ShownFiltersOnly
from controlplane.core.pages.records import may_somewhere


class ReadOnlyAdmin(ShownFiltersOnly):
    """Lists and shows; changes nothing."""

    view_permission: ClassVar[str]
    actions = None
    show_full_result_count = False
    list_per_page = 50

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_somewhere(request, self.view_permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
