"""What /metrics says of a state, as values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import families, merged, of_exporter, of_operation
from exporter.lists import LISTS
from exporter.model import Family, Operation, Outcome, Sample
from exporter.state import (
    BOUNDS,
    EMPTY,
    Ending,
    Held,
    Next,
    OperationState,
    Rule,
    Snapshot,
    Standing,
    State,
    Tally,
    nothing,
)

AT = 1_790_000_000.0
OF_LIST = {"operation": "acme", "list": "connectors"}
ENDING = Ending(Outcome.OK, AT, AT + 2, 1.5, records=7, rejected=2, duplicates=1)


def operation(standing: Standing | None = None, **changes) -> OperationState:
    """The operation acme that polls connectors only."""
    values: dict[str, Any] = {
        "operation": Operation("acme", "0010"),
        "intervals": {"connectors": 300.0},
        "standings": {"connectors": standing} if standing else {},
    }
    return OperationState(**values | changes)


def told(samples) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Labels and values by family; families without samples are left out."""
    every = {family: list(some) for family, some in merged(samples).items()}
    return {
        family.name: [
            (dict(zip(family.labels, each.labels, strict=True)) | dict(each.extra), each.value) for each in some
        ]
        for family, some in every.items()
        if some
    }


def said(standing: Standing | None = None, **changes) -> dict[str, list[tuple[dict[str, str], float]]]:
    return told(of_operation(operation(standing, **changes), LISTS))


def test_before_the_first_poll_only_what_is_configured_and_zeros_are_told() -> None:
    assert said() == {
        "wolkvox_operation_info": [({"operation": "acme", "server": "0010"}, 1)],
        "wolkvox_budget_reserved": [({"operation": "acme"}, False)],
        "wolkvox_polls_total": [(OF_LIST, 0)],
        "wolkvox_poll_failures_total": [(OF_LIST, 0)],
        "wolkvox_poll_interval_seconds": [(OF_LIST, 300.0)],
        "wolkvox_snapshot_suspect": [(OF_LIST, False)],
    }


def test_configured_labels_stand_on_the_operation() -> None:
    info = said(operation=Operation("acme", "0010", {"country": "co"}))["wolkvox_operation_info"]

    assert info == [({"operation": "acme", "server": "0010", "country": "co"}, 1)]


def test_a_budget_that_only_has_its_reserve_left_is_told() -> None:
    assert said(reserved=True)["wolkvox_budget_reserved"] == [({"operation": "acme"}, True)]


@pytest.mark.parametrize("outcome", Outcome)
def test_an_operation_is_up_unless_its_last_connectors_poll_failed(outcome) -> None:
    up = said(Standing(ending=ENDING._replace(outcome=outcome)))["wolkvox_up"]

    assert up == [({"operation": "acme"}, outcome in (Outcome.OK, Outcome.NO_RECORDS))]


def test_another_list_says_nothing_of_whether_the_operation_is_up() -> None:
    lists = {"connectors": 300.0, "routing_points": 600.0}

    assert "wolkvox_up" not in said(intervals=lists, standings={"routing_points": Standing(ending=ENDING)})


def test_the_last_poll_is_told_in_figures() -> None:
    figures = said(Standing(ending=ENDING))

    assert figures["wolkvox_poll_outcome"] == [(OF_LIST | {"outcome": "ok"}, 1)]
    assert figures["wolkvox_poll_last_timestamp_seconds"] == [(OF_LIST, AT + 2)]
    assert figures["wolkvox_poll_duration_seconds"] == [(OF_LIST, 1.5)]
    assert figures["wolkvox_poll_records"] == [(OF_LIST, 7)]
    assert figures["wolkvox_poll_rejected_records"] == [(OF_LIST, 2)]
    assert figures["wolkvox_poll_duplicate_records"] == [(OF_LIST, 1)]


def test_counters_are_told_as_they_stand() -> None:
    outcomes, responses = {"ok": 8, "timeout": 2}, {("200", "200"): 8, ("none", "none"): 2}

    counted = said(Standing(tally=Tally(10, 2, outcomes, responses)))

    assert counted["wolkvox_polls_total"] == [(OF_LIST, 10)]
    assert counted["wolkvox_poll_failures_total"] == [(OF_LIST, 2)]
    assert counted["wolkvox_poll_outcomes_total"] == [
        (OF_LIST | {"outcome": "ok"}, 8),
        (OF_LIST | {"outcome": "timeout"}, 2),
    ]
    assert counted["wolkvox_upstream_responses_total"] == [
        (OF_LIST | {"status": "200", "code": "200"}, 8),
        (OF_LIST | {"status": "none", "code": "none"}, 2),
    ]


def test_the_last_success_is_when_an_answer_was_last_believed() -> None:
    success = said(Standing(snapshot=Snapshot((), AT)))["wolkvox_poll_last_success_timestamp_seconds"]

    assert success == [(OF_LIST, AT)]


def test_an_answer_that_is_held_back_is_suspect() -> None:
    assert said(Standing(held=Held(AT, ())))["wolkvox_snapshot_suspect"] == [(OF_LIST, True)]


def test_the_next_poll_is_told_where_it_is_planned() -> None:
    planned = said(next={"connectors": Next(AT, Rule.INTERVAL)})

    assert planned["wolkvox_poll_next_timestamp_seconds"] == [(OF_LIST, AT)]


def test_a_list_that_is_switched_off_is_not_told_of() -> None:
    off = said(Standing(ending=ENDING), intervals={"token_info": 3600.0})

    assert {labels["list"] for series in off.values() for labels, _ in series if "list" in labels} == {"token_info"}


def test_the_exporter_tells_of_its_storage() -> None:
    assert told(of_exporter(State())) == {"wolkvox_exporter_storage_healthy": [({}, True)]}
    assert told(of_exporter(State(storage_healthy=False, created=AT))) == {
        "wolkvox_exporter_storage_healthy": [({}, False)],
        "wolkvox_exporter_storage_created_timestamp_seconds": [({}, AT)],
    }


def test_durations_are_told_as_cumulative_buckets() -> None:
    observed = EMPTY.observed(0.1).observed(0.2).observed(59.0).observed(61.0)

    (_, some), *_ = of_exporter(State(durations={"connectors": observed}))
    samples = list(some)

    buckets = {dict(each.extra)["le"]: each.value for each in samples if each.suffix == "_bucket"}
    assert list(buckets) == ["0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "20.0", "30.0", "45.0", "60.0", "+Inf"]
    assert list(buckets.values()) == [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4]
    assert [(each.suffix, each.value) for each in samples[12:]] == [("_count", 4), ("_sum", pytest.approx(120.3))]
    assert {each.labels for each in samples} == {("connectors",)}


@pytest.mark.parametrize("seconds", BOUNDS)
def test_a_bucket_holds_its_bound(seconds) -> None:
    place = BOUNDS.index(seconds)

    assert EMPTY.observed(seconds).counts[place] == 1
    assert EMPTY.observed(seconds + 0.001).counts[place + 1] == 1


@given(st.lists(st.floats(0, 1000)))
def test_every_observation_is_counted_once(observations) -> None:
    histogram = EMPTY
    for seconds in observations:
        histogram = histogram.observed(seconds)

    assert sum(histogram.counts) == len(observations)
    assert histogram.total == pytest.approx(sum(observations))


def test_a_family_that_is_yielded_twice_is_one_with_all_its_samples() -> None:
    one, other = Family("a", "gauge", "A.", ("x",)), Family("b", "gauge", "B.")
    first, second = Sample(("1",), 1), Sample(("2",), 2)

    assert merged([(one, [first]), (other, []), (one, iter([second]))]) == {one: (first, second), other: []}


def test_every_family_has_a_name_of_its_own_a_type_and_a_sentence() -> None:
    every = families(LISTS)

    assert len({family.name for family in every}) == len(every)
    assert all(family.name.startswith("wolkvox_") for family in every)
    assert all(family.help.endswith(".") for family in every)
    assert {family.kind for family in every} == {"gauge", "counter", "histogram"}


def test_counters_and_only_counters_end_in_total() -> None:
    assert all((family.kind == "counter") == family.name.endswith("_total") for family in families(LISTS))


def test_a_times_unit_stands_in_its_name() -> None:
    times = [family.name for family in families(LISTS) if "timestamp" in family.name or "duration" in family.name]

    assert times
    assert all(name.endswith("_seconds") for name in times)


def test_a_state_fills_only_families_that_are_listed() -> None:
    full = operation(Standing(ENDING, Snapshot((), AT), Held(AT, ())), next={"connectors": Next(AT, Rule.REST)})
    state = State((full,), {"connectors": EMPTY}, created=AT)

    filled = {**merged(of_operation(full, LISTS)), **merged(of_exporter(state))}

    assert filled.keys() <= set(families(LISTS))


def test_what_is_nothing_cannot_be_filled() -> None:
    empty: Any = nothing()

    with pytest.raises(TypeError):
        empty["a"] = 1
