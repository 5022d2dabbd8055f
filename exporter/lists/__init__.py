"""The upstream lists that are polled: to add one, write its file and name it here.

The order is the order of the first polls and of the page.
"""

from collections.abc import Mapping
from typing import Final

from exporter.lists import connectors, routing_points, token_info
from exporter.spec import UpstreamList

LISTS: Final[Mapping[str, UpstreamList]] = {
    each.name: each
    for each in (
        connectors.LIST,
        routing_points.LIST,
        token_info.LIST,
    )
}
