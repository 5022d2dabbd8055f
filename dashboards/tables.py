"""The tables about connectors, which two dashboards show alike: changes, faults, what is missing, the inventory."""

from typing import Final

from dashboards import promql
from dashboards.board import TO_OPERATION
from dashboards.panels import MOMENT, Card, Drawn, rows

WHERE: Final = {"operation": "Operation", "channel": "Channel", "connector_id": "Connector", "name": "Name"}
POINT: Final = {"rp_name": "Routing point", "rp_id": "Its id"}


def changed(*matchers: str) -> Drawn:
    """What changed, newest first."""
    about = (
        "Each change that was believed within the dashboard's time range. Before and After are names of the routing "
        "points of a reroute, or their ids where no name is known; the old and the new name of a renamed connector."
    )
    card = Card("What changed", about, MOMENT, 24, 8, "no connector changed in this range")
    titles = {"Value": "When", "operation": "Operation", "change": "Change", "channel": "Channel"}
    titles |= {"connector_id": "Connector", "name": "Name", "was": "Before", "is": "After"}
    expr = f"{promql.dashed(promql.before_and_after(promql.changes(*matchers)), 'name')} * 1000"
    return rows(card, expr, titles, sort="-When", link=TO_OPERATION)


def misrouted(*matchers: str) -> Drawn:
    """The connectors whose messages reach nobody, and why."""
    about = (
        "Connectors whose messages reach nobody: not routed, routed to a point that is not listed, or to one whose "
        "needed flow is off (chat for messengers, interaction for mail and twitter, either for facebook and instagram)."
    )
    card = Card("Misrouted connectors", about, "short", 24, 6, "every connector leads somewhere")
    titles = {"operation": "Operation", "fault": "Fault", **WHERE, **POINT}
    faults = promql.dashed(promql.named(f"({promql.faults(*matchers)})"), "name", "rp_id")
    return rows(card, faults, titles, sort="Operation", link=TO_OPERATION)


def missing(*matchers: str) -> Drawn:
    """The connectors that a held answer lacks."""
    about = (
        "Connectors that the last answer lacks while that answer is held back, because it lacks much at once: they "
        "count as removed when the next answer agrees."
    )
    card = Card("Missing in a held answer", about, "short", 14, 5, "no answer is held back")
    titles = {"Value": "Minutes", **WHERE}
    since = promql.series("wolkvox_connector_missing_timestamp_seconds", *matchers)
    minutes = f"floor((time() - {since}) / 60)"
    return rows(card, promql.dashed(minutes, "name"), titles, sort="-Minutes", link=TO_OPERATION)


def fewer(*matchers: str) -> Drawn:
    """The channels that have fewer connectors than the configuration expects."""
    about = "Channels with fewer connectors than `expect` says in the configuration, and how many there are too few."
    card = Card("Fewer than expected", about, "short", 10, 5, "as many as expected, or nothing is expected")
    labels = "operation, channel"
    expected = promql.grouped(labels, "wolkvox_connectors_expected", *matchers)
    there = f"sum by ({labels}) ({promql.series('wolkvox_connectors', *matchers)})"
    # Where an operation was read once, a channel without any connector has no series: it has 0 of them.
    read = promql.selector("wolkvox_poll_last_success_timestamp_seconds", 'list="connectors"')
    expr = f"{expected} - ({there} or {expected} * 0 and on (operation) {read}) > 0"
    titles = {"operation": "Operation", "channel": "Channel", "Value": "Too few by"}
    return rows(card, expr, titles, sort="-Too few by", link=TO_OPERATION)


def inventory(*matchers: str) -> Drawn:
    """Every connector with where it leads."""
    about = (
        "Every connector of the last believed snapshot, and how many whole days this exporter has known it. "
        "The variable Search takes a regular expression of names; each column has a filter of its own."
    )
    card = Card("Inventory", about, "short", 24, 12, "no connector of that kind")
    key = "operation, channel, connector_id"
    every = promql.named(promql.series("wolkvox_connector_info", 'name=~"(?i).*$search.*"', *matchers))
    seen = promql.grouped(key, "wolkvox_connector_first_seen_timestamp_seconds")
    days = f"floor((time() - {seen}) / 86400)"
    expr = promql.dashed(f"({every}) * on ({key}) group_left () {days}", "name", "rp_id")
    return rows(card, expr, {**WHERE, **POINT, "Value": "Days known"}, sort="Operation", link=TO_OPERATION)
