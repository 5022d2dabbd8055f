"""What /api/v1 and the commands give out as JSON: plain mappings from a state and from the journal. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.model import Change, Row
from exporter.spec import UpstreamList
from exporter.state import OperationState, Recorded, State


def change(operation: str, told: Change, spec: UpstreamList, *, names: bool) -> dict[str, Any]:
    """One change: when, whose, what, before and after. Names of entities are "" where they are not to be shown."""
    told = told.shown(names=names)
    return {
        "at": told.at,
        "operation": operation,
        **dict(zip(spec.key, told.key, strict=True)),
        "name": told.name,
        "change": str(told.kind),
        "before": told.before,
        "after": told.after,
        "before_name": told.before_name,
        "after_name": told.after_name,
    }


def answer(operation: str, told: Recorded) -> dict[str, Any]:
    """One answer of the flight recorder; its body is text, cut where it was long."""
    return {"operation": operation, **told._asdict(), "outcome": str(told.outcome), "rejected": list(told.rejected)}


def unknown(state: State, operation: str) -> str:
    """Why nothing can be said about the operation, without an end mark; "" where it is one of the state's."""
    if any(each.operation.name == operation for each in state.operations):
        return ""
    what = f"unknown operation {operation!r}" if operation else "the parameter operation is missing"
    return f"{what}: it is the name of a configured operation, and /api/v1/operations lists them"


def operations(state: State) -> list[dict[str, Any]]:
    """Each operation and how each of its lists stands."""
    return [
        {
            "operation": each.operation.name,
            "server": each.operation.server,
            "labels": dict(each.operation.labels),
            "reserved": each.reserved,
            "lists": {name: of_list(each, name) for name in each.intervals},
        }
        for each in state.operations
    ]


def of_list(state: OperationState, name: str) -> dict[str, Any]:
    """How one list stands; null for what never was."""
    told, following = state.standing(name), state.next.get(name)
    ending = told.ending
    return {
        "outcome": None if ending is None else str(ending.outcome),
        "last": None if ending is None else ending.finished,
        "last_success": None if told.snapshot is None else told.snapshot.at,
        "next": None if following is None else following.at,
        "rule": None if following is None else str(following.rule),
        "interval": state.intervals[name],
        "records": None if ending is None else ending.records,
        "rejected": None if ending is None else ending.rejected,
        "duplicates": None if ending is None else ending.duplicates,
        "held_since": None if told.held is None else told.held.at,
        "missing": [] if told.held is None else [list(row.key) for row in told.held.missing],
    }


def rows(state: State, spec: UpstreamList, operation: str | None) -> Iterator[dict[str, Any]]:
    """The believed rows of one list, of all operations or of one."""
    for each in state.operations:
        standing = each.standing(spec.name)
        if operation in (None, each.operation.name) and standing.snapshot is not None:
            yield from (row(each, spec, told, standing.memory.first_seen) for told in standing.snapshot.rows)


def row(
    state: OperationState, spec: UpstreamList, told: Row, first_seen: Mapping[tuple[str, ...], float]
) -> dict[str, Any]:
    """One row by its fields' names."""
    hidden = {} if state.names else dict.fromkeys(spec.private, "")
    return {"operation": state.operation.name, **told._asdict(), **hidden, "first_seen": first_seen.get(told.key)}
