"""The dashboard Connectors: all operations at a glance, what is wrong, what changed, and a searchable inventory."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import Dashboard, VariableModel

from dashboards import board, colours, promql, tables
from dashboards.panels import NONE_IS_GOOD, Card, Drawn, bars, columns, lines, numbers, rows

CONNECTORS: Final = 'list="connectors"'
CHANNEL: Final = 'channel=~"$channel"'
POINT: Final = 'rp_id=~"$routing_point"'
ABOUT: Final = (
    "The connectors of all operations: which messages reach nobody, what changed, how many there are, and each by name."
)


def dashboard() -> Dashboard:
    """The whole dashboard."""
    sections: list[board.Section] = [
        ("At a glance", glance()),
        ("What is wrong", [tables.misrouted(CHANNEL, POINT), tables.missing(CHANNEL, POINT), tables.fewer(CHANNEL)]),
        ("What changed", [tables.changed(CHANNEL), changes()]),
        ("How many", [by_channel(), by_point(), over_time(), groups()]),
        ("Which", [tables.inventory(CHANNEL, POINT)]),
    ]
    return board.marked(board.page("Connectors", ABOUT, variables(), sections))


def variables() -> list[VariableModel]:
    """Data source, job, instance, operation, channel, routing point, and a text to search names for."""
    counts = promql.selector("wolkvox_connectors")
    points = promql.grouped("rp_id, rp_name", "wolkvox_routing_point_info")
    return [
        *board.targets(),
        board.operations(),
        board.chosen("channel", "Channel", f"label_values({counts}, channel)", everything=".+"),
        # By name where people choose, by id in the queries; .* also takes what is not routed or has no name.
        board.chosen(
            "routing_point",
            "Routing point",
            f"query_result({points})",
            everything=".*",
            regex='/rp_id="(?<value>[^"]*)",rp_name="(?<text>[^"]*)"/',
        ),
        build.TextBoxVariable("search")
        .label("Search")
        .description("A part of the name, or a regular expression")
        .build(),
    ]


def glance() -> list[Drawn]:
    """Six numbers: the first row of the page."""
    up = promql.grouped("operation", "wolkvox_up")
    connectors = promql.series("wolkvox_connectors", CHANNEL, POINT)
    lacking = promql.series("wolkvox_connector_missing_timestamp_seconds", CHANNEL, POINT)
    stale = f"max by (operation) ({promql.age(CONNECTORS)} > 3)"
    return [
        numbers(
            Card("Operations", "Operations that are configured.", "short", 4, 4, "none"),
            promql.counted(promql.grouped("operation", "wolkvox_operation_info")),
        ),
        numbers(
            Card("Connectors", "Connectors of the last believed snapshots.", "short", 4, 4, "not read yet"),
            f"sum({connectors})",
        ),
        numbers(
            Card(
                "Misrouted", "Connectors whose messages reach nobody; the table below says why.", "short", 4, 4, "none"
            ),
            promql.counted(promql.faults(CHANNEL, POINT)),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Missing", "Connectors that an answer lacks which is held back.", "short", 4, 4, "none"),
            promql.counted(lacking),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Changes", "Changes that were believed within the time range.", "short", 4, 4, "none"),
            promql.counted(promql.changes(CHANNEL)),
        ),
        numbers(
            Card(
                "Failing or stale",
                "Operations whose last poll of connectors failed, or whose data is older than 3 intervals.",
                "short",
                4,
                4,
                "none",
            ),
            promql.counted(f"{up} == 0 or {stale}"),
            NONE_IS_GOOD,
        ),
    ]


def changes() -> Drawn:
    """Changes over time, by kind."""
    about = "Changes by kind, each in the step in which it was believed."
    card = Card("Changes over time", about, "short", 24, 6, "no connector changed in this range")
    exprs = {"{{change}}": f"count by (change) ({promql.fresh_changes(CHANNEL)})"}
    return columns(card, exprs, colours.CHANGES).decimals(0)


def by_channel() -> Drawn:
    """How many connectors each channel has."""
    about = "Connectors by channel; a channel that lost its last one stays at 0 for as long as changes are kept."
    card = Card("By channel", about, "short", 8, 9, "no connectors were read")
    expr = f"sort_desc(sum by (channel) ({promql.series('wolkvox_connectors', CHANNEL, POINT)}))"
    return bars(card, expr, "{{channel}}", colours=colours.CHANNELS)


def by_point() -> Drawn:
    """The routing points that take most connectors."""
    about = "The 12 routing points that receive most connectors, and those connectors that lead nowhere."
    card = Card("By routing point", about, "short", 16, 9, "no connectors were read")
    summed = f"sum by (operation, rp_id) ({promql.series('wolkvox_connectors', CHANNEL, POINT)})"
    return bars(card, f"topk(12, ({promql.named(summed)}) > 0)", "{{rp_name}} {{rp_id}} ({{operation}})")


def over_time() -> Drawn:
    """Connectors of each channel over time."""
    about = "Connectors by channel over time, with marks where some changed."
    card = Card("By channel over time", about, "short", 24, 8, "no connectors were read in this range")
    expr = f"sum by (channel) ({promql.series('wolkvox_connectors', CHANNEL, POINT)})"
    return lines(card, {"{{channel}}": expr}, colours.CHANNELS).decimals(0)


def groups() -> Drawn:
    """Counts by operation, channel and routing point."""
    about = "How many connectors of a channel lead to a routing point. 0 where there were some before."
    card = Card("By operation, channel and routing point", about, "short", 24, 9, "no connectors were read")
    summed = f"sum by (operation, channel, rp_id) ({promql.series('wolkvox_connectors', CHANNEL, POINT)})"
    titles = {"operation": "Operation", "channel": "Channel", **tables.POINT, "Value": "Connectors"}
    return rows(card, promql.dashed(promql.named(summed), "rp_id"), titles, sort="-Connectors", link=board.TO_OPERATION)
