"""The dashboard Operation: one account in depth. Its timeline, routing points and flows, connectors, token budget."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import Dashboard, VariableModel

from dashboards import board, colours, outcomes, promql, tables
from dashboards.panels import HOURLY, NONE_IS_GOOD, Card, Drawn, bars, columns, lines, many, numbers, states, worded

CHANNEL: Final = 'channel=~"$channel"'
FLOWS: Final = ("ivr", "chat", "interaction", "crm")
# Not 0 and 1: what words stand for is looked up in every column of a table, and an id may be 0 or 1, but never -1.
ON_OFF: Final = {-2: ("off", colours.GREY), -1: ("on", colours.GREEN)}
UP: Final = {0: ("failing", colours.VERMILLION), 1: ("up", colours.GREEN)}
ROUTED: Final = {0: ("misrouted", colours.VERMILLION), 1: ("routed", colours.BLUE)}
ABOUT: Final = (
    "One operation in depth: how its polls ended, where its connectors lead, what changed, what its token may spend."
)


def dashboard() -> Dashboard:
    """The whole dashboard."""
    sections: list[board.Section] = [
        ("At a glance", glance()),
        ("What is wrong", [tables.misrouted(CHANNEL), tables.missing(CHANNEL), tables.fewer(CHANNEL)]),
        ("Timeline", [polls(), presence(), tables.changed(CHANNEL)]),
        ("Routing points", [points(), receiving(), flows()]),
        ("Connectors", [tables.inventory(CHANNEL)]),
        ("Token budget", [*budget(), calls(), polled()]),
    ]
    return board.marked(board.page("Operation", ABOUT, variables(), sections))


def variables() -> list[VariableModel]:
    """Data source, job and instance, one operation, its channels, and a text to search names for."""
    info = promql.selector("wolkvox_operation_info", scope=promql.TARGETS)
    counts = promql.selector("wolkvox_connectors")
    return [
        *board.targets(),
        board.listed("operation", "Operation", f"label_values({info}, operation)").build(),
        board.chosen("channel", "Channel", f"label_values({counts}, channel)", everything=".+"),
        build.TextBoxVariable("search")
        .label("Search")
        .description("A part of the name, or a regular expression")
        .build(),
    ]


def glance() -> list[Drawn]:
    """Six numbers: the first row of the page."""
    believed = promql.grouped("operation", "wolkvox_poll_last_success_timestamp_seconds", 'list="connectors"')
    interval = promql.grouped("operation", "wolkvox_poll_interval_seconds", 'list="connectors"')
    return [
        numbers(
            Card("Connection", "Whether the last poll of connectors was no failure.", "short", 4, 4, "not polled yet"),
            promql.grouped("operation", "wolkvox_up"),
            words=UP,
        ),
        numbers(
            Card(
                "Age in intervals",
                "How old the connectors' last believed snapshot is, in polling intervals. Above 3 it is stale.",
                "none",
                4,
                4,
                "never read",
            ),
            f"(time() - {believed}) / {interval}",
            ((0, colours.GREEN), (2, colours.ORANGE), (3, colours.VERMILLION)),
        ).decimals(1),
        numbers(
            Card("Connectors", "Connectors of the last believed snapshot.", "short", 4, 4, "not read yet"),
            f"sum({promql.series('wolkvox_connectors', CHANNEL)})",
        ),
        numbers(
            Card("Misrouted", "Connectors whose messages reach nobody.", "short", 4, 4, "none"),
            promql.counted(promql.faults(CHANNEL)),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Changes", "Changes that were believed within the time range.", "short", 4, 4, "none"),
            promql.counted(promql.changes(CHANNEL)),
        ),
        numbers(
            Card("Calls left today", "What the token may still spend, by the safe reading.", "none", 4, 4, "not told"),
            promql.grouped("operation", "wolkvox_token_calls_remaining"),
        ),
    ]


def polls() -> Drawn:
    """How the polls of each list ended."""
    about = f"How the last poll of each list ended. Groups: {outcomes.LEGEND}."
    card = Card("How polls ended", about, "none", 24, 6, "no poll in this range")
    return states(card, {"{{list}}": outcomes.standing()}, outcomes.WORDS)


def presence() -> Drawn:
    """Where each connector led, over time."""
    about = (
        "A row for each connector and the routing point that it leads to; misrouted: its messages reach nobody. A row "
        "that ends is a connector that was removed, renamed or rerouted then; a row that begins is one that came. "
        "Choose channels to see fewer."
    )
    card = Card("Connectors and where they lead", about, "none", 24, 14, "no connectors were read in this range")
    every = promql.named(promql.series("wolkvox_connector_info", CHANNEL))
    key = "operation, channel, connector_id"
    expr = f"(({every}) and on ({key}) ({promql.faults(CHANNEL)})) * 0 or on ({key}, rp_id) ({every})"
    return states(card, {"{{channel}} {{name}} ({{connector_id}}) → {{rp_name}}": expr}, ROUTED)


def points() -> Drawn:
    """The routing points with their flows."""
    about = "The routing points and which of their flows are on. Not told: the API said neither yes nor no."
    card = Card("Routing points and flows", about, "none", 16, 9, "not told")
    exprs = {flow: flow_of(flow) for flow in FLOWS}
    return many(card, exprs, {"rp_name": "Routing point", "rp_id": "Id"}, sort="Routing point").mappings(
        [worded(ON_OFF)]
    )


def flow_of(flow: str) -> str:
    """One flow of every routing point, with its name."""
    active = "wolkvox_routing_point_flow_active"
    named = promql.named(promql.grouped("operation, rp_id", active, f'flow="{flow}"'))
    return f"({named}) - 2"


def receiving() -> Drawn:
    """How many connectors each routing point receives."""
    about = "Connectors by the routing point that receives them."
    card = Card("Connectors by routing point", about, "short", 8, 9, "no connectors were read")
    summed = f"sum by (operation, rp_id) ({promql.series('wolkvox_connectors', CHANNEL)})"
    return bars(card, f"sort_desc(({promql.named(summed)}) > 0)", "{{rp_name}} {{rp_id}}")


def flows() -> Drawn:
    """Flows over time."""
    about = "When chat and interaction were on and off at each routing point that receives connectors."
    card = Card("Flows in use over time", about, "none", 24, 10, "no connectors were read in this range")
    labels = "operation, rp_id, flow"
    active = promql.grouped(labels, "wolkvox_routing_point_flow_active", 'flow=~"chat|interaction"')
    used = f"({promql.series('wolkvox_connectors', CHANNEL)} > 0)"
    expr = f"({promql.named(active)}) and on (operation, rp_id) {used}"
    return states(card, {"{{rp_name}}: {{flow}}": f"({expr}) - 2"}, ON_OFF)


def budget() -> list[Drawn]:
    """Four numbers about the day's calls."""
    return [
        numbers(
            Card("Limit a day", "Calls that the token may make a day.", "none", 6, 4, "not told"),
            promql.grouped("operation", "wolkvox_token_calls_limit"),
        ),
        numbers(
            Card("By this token", "Calls made today with the token, by all programs.", "none", 6, 4, "not told"),
            promql.grouped("operation", "wolkvox_token_calls_today"),
        ),
        numbers(
            Card(
                "Resting for the reserve",
                "Yes while only the reserve of calls is left, which belongs to other programs.",
                "none",
                6,
                4,
                "not told",
            ),
            promql.grouped("operation", "wolkvox_budget_reserved"),
            words={0: ("no", colours.GREEN), 1: ("yes", colours.VERMILLION)},
        ),
        numbers(
            Card(
                "Count last fell", "When today's count was last seen to fall.", "dateTimeFromNow", 6, 4, "not seen yet"
            ),
            f"{promql.grouped('operation', 'wolkvox_token_calls_reset_timestamp_seconds')} * 1000",
        ),
    ]


def calls() -> Drawn:
    """The day's calls over time."""
    about = "What the API counts of today's calls, and what may still be spent."
    card = Card("Calls of the day", about, "short", 12, 8, "token_info told no figure in this range")
    figures = {
        "limit": "wolkvox_token_calls_limit",
        "left": "wolkvox_token_calls_remaining",
        "by this token": "wolkvox_token_calls_today",
        "by all tokens": "wolkvox_operation_calls_today",
    }
    shades = dict(zip(figures, (colours.VERMILLION, colours.GREEN, colours.SKY, colours.ORANGE), strict=True))
    return lines(card, {name: promql.grouped("operation", metric) for name, metric in figures.items()}, shades)


def polled() -> Drawn:
    """What the exporter itself spends."""
    about = "Calls an hour that the exporter makes, by list."
    card = Card("Calls of this exporter", about, "short", 12, 8, "no poll in this range")
    expr = f"sum by (list) ({promql.rate('wolkvox_polls_total')}) * 3600"
    return columns(card, {"{{list}}": expr}, colours.LISTS).interval(HOURLY)
