"""What /metrics says of a state: families and their samples, as values. Encodes nothing, serves nothing.

The families of the lists stand in the lists' own files; here are those that every list and every operation has.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from exporter.model import Family, Sample
from exporter.spec import Samples, UpstreamList
from exporter.state import BOUNDS, Histogram, OperationState, Standing, State

IN_BACKGROUND: Final = "The exporter polls in the background; a scrape makes no call."
LIST: Final = ("operation", "list")


def gauge(name: str, help_text: str, *labels: str) -> Family:
    """A gauge family."""
    return Family(name, "gauge", help_text, labels)


def counter(name: str, help_text: str, *labels: str) -> Family:
    """A counter family; its name ends in _total."""
    return Family(name, "counter", f"{help_text} Kept over restarts.", labels)


OPERATION_INFO: Final = gauge(
    "wolkvox_operation_info",
    "One series per configured operation, always 1, with the labels that the configuration gives it.",
    "operation",
    "server",
)
UP: Final = gauge(
    "wolkvox_up", f"Whether the last poll of the operation's connectors was no failure. {IN_BACKGROUND}", "operation"
)
RESERVED: Final = gauge(
    "wolkvox_budget_reserved",
    "Whether only the reserve of the token's calls is left today, by token_info: polling rests.",
    "operation",
)
POLLS: Final = counter("wolkvox_polls_total", f"Calls of the wolkvox API that ended. {IN_BACKGROUND}", *LIST)
FAILURES: Final = counter("wolkvox_poll_failures_total", f"Polls that gave no answer. {IN_BACKGROUND}", *LIST)
OUTCOMES: Final = counter("wolkvox_poll_outcomes_total", "Polls by how they ended.", *LIST, "outcome")
OUTCOME: Final = gauge("wolkvox_poll_outcome", "How the last poll ended: one series, always 1.", *LIST, "outcome")
LAST: Final = gauge("wolkvox_poll_last_timestamp_seconds", "When the last poll ended.", *LIST)
LAST_SUCCESS: Final = gauge(
    "wolkvox_poll_last_success_timestamp_seconds",
    "When an answer was last believed; the data is stale when that is more than 3 intervals ago.",
    *LIST,
)
NEXT: Final = gauge("wolkvox_poll_next_timestamp_seconds", "When the next poll is planned.", *LIST)
INTERVAL: Final = gauge("wolkvox_poll_interval_seconds", "The configured interval between two polls.", *LIST)
DURATION: Final = gauge("wolkvox_poll_duration_seconds", "How long the last poll took.", *LIST)
RECORDS: Final = gauge("wolkvox_poll_records", "Records in the last answer.", *LIST)
REJECTED: Final = gauge("wolkvox_poll_rejected_records", "Records of the last answer that had no key.", *LIST)
DUPLICATES: Final = gauge(
    "wolkvox_poll_duplicate_records", "Records of the last answer whose key came before in it.", *LIST
)
SUSPECT: Final = gauge(
    "wolkvox_snapshot_suspect",
    "Whether an answer is held back, because it lacks much, until a later one agrees.",
    *LIST,
)
RESPONSES: Final = counter(
    "wolkvox_upstream_responses_total",
    "Responses of the wolkvox API by HTTP status and by the code in the body.",
    *LIST,
    "status",
    "code",
)
REQUEST_DURATION: Final = Family(
    "wolkvox_upstream_request_duration_seconds", "histogram", "How long calls of the wolkvox API took.", ("list",)
)
STORAGE_HEALTHY: Final = gauge(
    "wolkvox_exporter_storage_healthy", "Whether calls can be written down; while they cannot, none is made."
)
STORAGE_CREATED: Final = gauge(
    "wolkvox_exporter_storage_created_timestamp_seconds",
    "When the storage was made; twice within a day means that its directory is not kept.",
)

OF_OPERATION: Final = (OPERATION_INFO, UP, RESERVED)
OF_LIST: Final = (
    POLLS,
    FAILURES,
    OUTCOMES,
    OUTCOME,
    LAST,
    LAST_SUCCESS,
    NEXT,
    INTERVAL,
    DURATION,
    RECORDS,
    REJECTED,
    DUPLICATES,
    SUSPECT,
    RESPONSES,
)
OF_EXPORTER: Final = (REQUEST_DURATION, STORAGE_HEALTHY, STORAGE_CREATED)


def families(lists: Mapping[str, UpstreamList]) -> tuple[Family, ...]:
    """Every family that a state may fill, in the order of the page."""
    of_lists = (family for spec in lists.values() for family in spec.families)
    return (*OF_OPERATION, *of_lists, *OF_LIST, *OF_EXPORTER)


def of_operation(state: OperationState, lists: Mapping[str, UpstreamList]) -> Samples:
    """Everything that is told of one operation."""
    name = state.operation.name
    extra = tuple(state.operation.labels.items())
    yield OPERATION_INFO, (Sample((name, state.operation.server), 1, extra),)
    yield RESERVED, (Sample((name,), state.reserved),)
    for spec in lists.values():
        if spec.name in state.intervals:
            yield from spec.samples(state)
            yield from of_list(state, spec)


def of_list(state: OperationState, spec: UpstreamList) -> Samples:
    """What is told of every list alike."""
    standing, labels = state.standing(spec.name), (state.operation.name, spec.name)
    yield POLLS, (Sample(labels, standing.tally.polls),)
    yield FAILURES, (Sample(labels, standing.tally.failures),)
    yield OUTCOMES, (Sample((*labels, outcome), n) for outcome, n in standing.tally.outcomes.items())
    yield RESPONSES, (Sample((*labels, *response), n) for response, n in standing.tally.responses.items())
    yield INTERVAL, (Sample(labels, state.intervals[spec.name]),)
    yield SUSPECT, (Sample(labels, standing.held is not None),)
    if spec.name in state.next:
        yield NEXT, (Sample(labels, state.next[spec.name].at),)
    if standing.snapshot is not None:
        yield LAST_SUCCESS, (Sample(labels, standing.snapshot.at),)
    yield from of_ending(standing, labels)
    if spec.essential and standing.ending is not None:
        yield UP, (Sample(labels[:1], not standing.ending.outcome.is_failure),)


def of_ending(standing: Standing, labels: tuple[str, str]) -> Samples:
    """What is told of the last poll; nothing before the first."""
    ending = standing.ending
    if ending is None:
        return
    yield OUTCOME, (Sample((*labels, ending.outcome), 1),)
    figures = {
        LAST: ending.finished,
        DURATION: ending.duration,
        RECORDS: ending.records,
        REJECTED: ending.rejected,
        DUPLICATES: ending.duplicates,
    }
    for family, figure in figures.items():
        yield family, (Sample(labels, figure),)


def of_exporter(state: State) -> Samples:
    """What is told of the exporter itself."""
    yield REQUEST_DURATION, (bucket for name, each in state.durations.items() for bucket in buckets(name, each))
    yield STORAGE_HEALTHY, (Sample((), state.storage_healthy),)
    if state.created is not None:
        yield STORAGE_CREATED, (Sample((), state.created),)


def buckets(name: str, histogram: Histogram) -> Iterator[Sample]:
    """The samples of one list's histogram; `suffix` tells them apart."""
    total = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        total += count
        yield Sample((name,), total, (("le", bound),), suffix="_bucket")
    yield Sample((name,), total, suffix="_count")
    yield Sample((name,), histogram.total, suffix="_sum")


def merged(samples: Samples) -> Mapping[Family, Iterable[Sample]]:
    """The samples of each family together, since one is yielded once per list; those yielded once as they are."""
    together: dict[Family, Iterable[Sample]] = {}
    for family, some in samples:
        together[family] = (*together[family], *some) if family in together else some
    return together
