"""Lists come in pages that stay put while rows are added: by cursor where order is by time, by number where people browse."""

from __future__ import annotations

from rest_framework.pagination import PageNumberPagination


class Pages(PageNumberPagination):
    """`?page=2&page_size=50`, at most 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
