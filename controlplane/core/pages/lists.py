"""What a list may be narrowed by: the filters it shows, and no other column."""

from __future__ import annotations

from django.core.exceptions import FieldDoesNotExist
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ShownFiltersOnly(ModelAdmin):
    """Refuses lookups on columns that have no filter on the page.

    Django lets the address name any column, `?secret_hash__startswith=a` among them, and a list that grows and shrinks
    with the answer tells the column letter by letter.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        column = lookup.partition("__")[0]
        shown = {one[0] if isinstance(one, tuple) else one for one in self.list_filter}
        try:
            self.model._meta.get_field(column)
        except FieldDoesNotExist:
            return True  # the parameter of a filter, or a column that Django refuses itself
        return column in shown
