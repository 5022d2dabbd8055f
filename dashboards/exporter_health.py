"""The dashboard Exporter health: is the data fresh, what does the API answer, what is left, is the exporter well."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, VariableModel

from dashboards import board, colours, outcomes, promql
from dashboards.panels import (
    HOURLY,
    MOMENT,
    NONE_IS_GOOD,
    Card,
    Drawn,
    bars,
    columns,
    lines,
    many,
    numbers,
    rows,
    states,
)

LIST: Final = 'list=~"$list"'
AGES: Final = ((0, colours.GREEN), (2, colours.ORANGE), (3, colours.VERMILLION))
WELL: Final = {0: ("no", colours.VERMILLION), 1: ("yes", colours.GREEN)}
HALF_HOURLY: Final = "30m"  # so that a quantile is of some dozens of calls
QUANTILES: Final = {"half": 0.5, "95 of 100": 0.95, "99 of 100": 0.99}
ABOUT: Final = (
    "How fresh the data is, how polls end, what the API answers and how fast, the budget, and the exporter itself."
)


def dashboard() -> Dashboard:
    """The whole dashboard."""
    sections: list[board.Section] = [
        ("At a glance", glance()),
        ("Freshness", [ages(), oldest(), times()]),
        ("Outcomes", [standing(), groups(), last()]),
        ("Answers of the API", [responses(), mean(), latencies(), slowest()]),
        ("Budget", [left(), spent(), resting()]),
        ("Storage and configuration", [*storage(), versions()]),
        ("Process", [processor(), memory(), files(), uptime()]),
    ]
    return board.page("Exporter health", ABOUT, variables(), sections)


def variables() -> list[VariableModel]:
    """Data source, job, instance, operation and list."""
    polls = promql.selector("wolkvox_polls_total")
    lists = board.chosen("list", "List", f"label_values({polls}, list)", everything=".+")
    return [*board.targets(), board.operations(), lists]


def glance() -> list[Drawn]:
    """Six numbers: the first row of the page."""
    own = promql.TARGETS
    up = promql.selector("up", scope=own)
    reserved = promql.grouped("operation", "wolkvox_budget_reserved")
    healthy = promql.selector("wolkvox_exporter_storage_healthy", scope=own)
    reloaded = promql.selector("wolkvox_exporter_config_last_reload_successful", scope=own)
    return [
        numbers(
            Card("Targets down", "Targets that Prometheus cannot scrape.", "short", 4, 4, "none"),
            promql.counted(f"{up} == 0"),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Stale lists", "Lists whose data is older than 3 intervals.", "short", 4, 4, "none"),
            promql.counted(f"{promql.age(LIST)} > 3"),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Failing operations", "Operations whose last poll of connectors failed.", "short", 4, 4, "none"),
            promql.counted(f"{promql.grouped('operation', 'wolkvox_up')} == 0"),
            NONE_IS_GOOD,
        ),
        numbers(
            Card("Resting operations", "Operations with only the reserve of calls left.", "short", 4, 4, "none"),
            promql.counted(f"{reserved} == 1"),
            NONE_IS_GOOD,
        ),
        numbers(
            Card(
                "Storage is healthy", "Whether calls can be written down; else none is made.", "none", 4, 4, "not told"
            ),
            f"min({healthy})",
            words=WELL,
        ),
        numbers(
            Card(
                "Reload succeeded", "Whether the configuration was last read without a fault.", "none", 4, 4, "not told"
            ),
            f"min({reloaded})",
            words=WELL,
        ),
    ]


def ages() -> Drawn:
    """How old the data of each list is."""
    about = (
        "Age of each list's last believed answer in polling intervals, the greatest of all operations. Stale above 3."
    )
    card = Card("Age in intervals", about, "none", 12, 9, "no answer was believed in this range")
    return lines(card, {"{{list}}": f"max by (list) ({promql.age(LIST)})"}, colours.LISTS)


def oldest() -> Drawn:
    """The lists with the oldest data."""
    about = "The 12 lists with the oldest data, in polling intervals. Orange from 2, stale from 3."
    card = Card("Oldest data, in intervals", about, "none", 12, 9, "no answer was believed yet")
    return bars(card, f"topk(12, {promql.age(LIST)})", "{{operation}} {{list}}", AGES).decimals(1)


def times() -> Drawn:
    """When each list was polled."""
    about = "When each list was polled, when an answer was last believed, and when the next poll is planned."
    card = Card("Polls of each list", about, MOMENT, 24, 9, "none")
    shown = {"Last poll": "last", "Last believed": "last_success", "Next poll": "next"}
    exprs = {
        title: f"{promql.grouped('operation, list', f'wolkvox_poll_{which}_timestamp_seconds', LIST)} * 1000"
        for title, which in shown.items()
    }
    return many(card, exprs, {"operation": "Operation", "list": "List"}, sort="Last believed", link=board.TO_OPERATION)


def standing() -> Drawn:
    """How the last poll of each list ended, over time."""
    about = f"How the last poll of each list ended. Groups: {outcomes.LEGEND}."
    card = Card("How polls ended", about, "none", 24, 12, "no poll in this range")
    return states(card, {"{{operation}} {{list}}": outcomes.standing(LIST)}, outcomes.WORDS)


def groups() -> Drawn:
    """How many lists stand where, without those that are well."""
    about = (
        "Lists whose last poll ended with anything but ok, by outcome group: the gauge, so that no first one is lost."
    )
    card = Card("Lists that are not ok", about, "short", 12, 9, "every poll in this range was ok")
    queries = {
        word: f"count({outcomes.of(some, 'operation, list', LIST)})"
        for word, _, some in outcomes.GROUPS
        if word != "ok"
    }
    return columns(card, queries, outcomes.COLOURS).decimals(0)


def last() -> Drawn:
    """The exact outcome of each list's last poll."""
    about = "How and when the last poll of each list ended; what is not ok comes first when sorted by outcome."
    card = Card("Last outcome", about, MOMENT, 12, 9, "no poll yet")
    when = promql.grouped("operation, list", "wolkvox_poll_last_timestamp_seconds", LIST)
    each = promql.grouped("operation, list, outcome", "wolkvox_poll_outcome", LIST)
    titles = {"operation": "Operation", "list": "List", "outcome": "Outcome", "Value": "Ended"}
    return rows(card, f"{each} * on (operation, list) group_left () {when} * 1000", titles, sort="Outcome")


def answered() -> str:
    """Answers an hour by HTTP status and code in the body."""
    return f"sum by (status, code) ({promql.rate('wolkvox_upstream_responses_total', LIST)}) * 3600"


NOT_FIRST: Final = "The first answer of its kind is not in it: growth shows from the second sample on."


def responses() -> Drawn:
    """Answers by status and code over time."""
    about = f"Answers an hour by HTTP status and code in the body. {NOT_FIRST}"
    card = Card("Answers an hour", about, "short", 16, 9, "no answers in this range")
    ok = {"200 / 200": colours.GREEN, "200 / 0": colours.SKY, "404 / 404": colours.ORANGE, "none / none": colours.BLUE}
    return columns(card, {"{{status}} / {{code}}": answered()}, ok, other=colours.VERMILLION).interval(HOURLY)


def mean() -> Drawn:
    """Answers by status and code, now."""
    about = f"Answers an hour by HTTP status and code in the body, at the end of the range. {NOT_FIRST}"
    card = Card("Latest answers an hour", about, "short", 8, 9, "no answers yet")
    return bars(card, f"sort_desc({answered()} > 0)", "{{status}} / {{code}}").decimals(0).interval(HOURLY)


def latencies() -> Drawn:
    """How long calls take."""
    about = "Within how many seconds half, 95 and 99 of 100 calls of the API ended."
    card = Card("How long calls take", about, "s", 12, 8, "no call in this range")
    bucket = promql.selector("wolkvox_upstream_request_duration_seconds_bucket", LIST, scope=promql.TARGETS)
    summed = f"sum by (le) (rate({bucket}[$__rate_interval]))"
    queries = {name: f"histogram_quantile({share}, {summed})" for name, share in QUANTILES.items()}
    shades = dict(zip(queries, (colours.GREEN, colours.ORANGE, colours.VERMILLION), strict=True))
    return lines(card, queries, shades).interval(HALF_HOURLY)


def slowest() -> Drawn:
    """The lists whose last poll took longest."""
    about = "The 10 lists whose last poll took longest."
    card = Card("Slowest last polls", about, "s", 12, 8, "no poll yet")
    duration = promql.grouped("operation, list", "wolkvox_poll_duration_seconds", LIST)
    return bars(card, f"topk(10, {duration})", "{{operation}} {{list}}")


def left() -> Drawn:
    """The operations with the least calls left."""
    about = "The 12 operations with the smallest share of today's calls left, by the safe reading."
    card = Card("Calls left, least first", about, "percentunit", 12, 9, "token_info told no figure")
    share = f"{promql.grouped('operation', 'wolkvox_token_calls_remaining')} / {promql.grouped('operation', LIMIT)}"
    steps = ((0, colours.VERMILLION), (0.1, colours.ORANGE), (0.3, colours.GREEN))
    return bars(card, f"bottomk(12, {share})", "{{operation}}", steps).max(1).decimals(0)


LIMIT: Final = "wolkvox_token_calls_limit"


def spent() -> Drawn:
    """What polling costs."""
    about = "Calls an hour that this exporter makes, by list."
    card = Card("Calls of this exporter", about, "short", 12, 9, "no poll in this range")
    expr = f"sum by (list) ({promql.rate('wolkvox_polls_total', LIST)}) * 3600"
    return columns(card, {"{{list}}": expr}, colours.LISTS).interval(HOURLY)


def resting() -> Drawn:
    """Which operations rest for the reserve, over time."""
    about = "When only the reserve of calls was left, so that polling rested for the operation's other programs."
    card = Card("Reserve reached", about, "none", 24, 7, "no operation in this range")
    words = {0: ("polling", colours.GREEN), 1: ("resting", colours.VERMILLION)}
    return states(card, {"{{operation}}": promql.grouped("operation", "wolkvox_budget_reserved")}, words)


def storage() -> list[Drawn]:
    """When the storage was made, and when the configuration was read."""
    made = promql.selector("wolkvox_exporter_storage_created_timestamp_seconds", scope=promql.TARGETS)
    read = promql.selector("wolkvox_exporter_config_last_reload_success_timestamp_seconds", scope=promql.TARGETS)
    twice = "Twice within a day means that its directory is not kept, and calls are forgotten."
    return [
        numbers(
            Card("Storage made", f"When the storage was made. {twice}", "dateTimeFromNow", 6, 6, "not told"),
            f"max({made}) * 1000",
        ),
        numbers(
            Card("Configuration read", "When it was last read without a fault.", "dateTimeFromNow", 6, 6, "not told"),
            f"max({read}) * 1000",
        ),
    ]


def versions() -> Drawn:
    """Which version runs where."""
    card = Card("Versions", "The version of each exporter.", "short", 12, 6, "no exporter was scraped")
    info = promql.selector("wolkvox_exporter_build_info", scope=promql.TARGETS)
    return rows(card, info, {"job": "Job", "instance": "Instance", "version": "Version"}, sort="Instance")


def own(title: str, about: str, unit: str) -> Card:
    """The card of a panel about the process."""
    return Card(title, about, unit, 6, 8, "process metrics are switched off")


def process(metric: str) -> str:
    """A metric of the exporters' processes."""
    return promql.selector(metric, scope=promql.TARGETS)


def processor() -> Drawn:
    """CPU of each exporter."""
    expr = f"rate({process('process_cpu_seconds_total')}[$__rate_interval])"
    return lines(own("CPU", "Share of one core, by instance.", "percentunit"), {"{{instance}}": expr}, {}, colours.BLUE)


def memory() -> Drawn:
    """Memory of each exporter."""
    card = own("Memory", "Resident memory, by instance.", "bytes")
    return lines(card, {"{{instance}}": process("process_resident_memory_bytes")}, {}, colours.BLUE)


def files() -> Drawn:
    """Open files of each exporter, as a share."""
    expr = f"{process('process_open_fds')} / {process('process_max_fds')}"
    card = own("Open files", "Open file descriptors as a share of their limit, by instance.", "percentunit")
    return lines(card, {"{{instance}}": expr}, {}, colours.BLUE)


def uptime() -> Drawn:
    """How long each exporter has been running."""
    card = own("Uptime", "How long the process has been running, by instance: it falls to 0 with a restart.", "s")
    return lines(card, {"{{instance}}": f"time() - {process('process_start_time_seconds')}"}, {}, colours.BLUE)
