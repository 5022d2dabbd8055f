"""What is remembered of entities that came and went."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.token_info import TokenInfo
from exporter.memory import remember
from exporter.spec import UpstreamList
from exporter.state import Memory

RETENTION = 1000.0
CONNECTORS, METER = LISTS["connectors"], LISTS["token_info"]
SALES = Connector("whatsapp", "12", "5", "Sales")
SHOP = SALES._replace(name="Shop")
INBOX = Connector("email", "13", "6", "Inbox")


class Step(NamedTuple):
    """What was believed at one time."""

    at: float
    rows: tuple[Connector, ...]


def after(*steps: Step) -> Memory:
    """The memory after these snapshots, the first being the baseline."""
    memory = Memory()
    for last, step in zip((Step(0, ()), *steps), steps, strict=False):
        memory = remember(memory, last.rows, step.rows, CONNECTORS, step.at, RETENTION)
    return memory


def test_before_anything_was_seen_nothing_is_remembered() -> None:
    assert after(Step(0, ())) == Memory({}, {}, {}, {}, None)


def test_a_key_is_first_seen_when_it_is_first_believed() -> None:
    memory = after(Step(10, (SALES,)), Step(20, (SALES, INBOX)), Step(30, (SALES, INBOX)))

    assert memory.first_seen == {SALES.key: 10, INBOX.key: 20}


def test_a_key_that_went_is_gone_since_then_under_its_last_name() -> None:
    memory = after(Step(10, (SALES,)), Step(20, (SHOP,)), Step(30, ()), Step(40, ()))

    assert memory == Memory({SALES.key: 10}, {SALES.key: 30}, {SALES.key: "Shop"}, {("whatsapp", "5"): 30}, None)


def test_a_key_that_returns_was_first_seen_when_it_first_came() -> None:
    memory = after(Step(10, (SALES,)), Step(20, ()), Step(30, (SHOP,)))

    assert memory == Memory({SALES.key: 10}, {}, {}, {}, None)


def test_a_key_that_goes_again_is_gone_since_the_second_time() -> None:
    memory = after(Step(10, (SALES,)), Step(20, ()), Step(30, (SHOP,)), Step(40, ()))

    assert (memory.first_seen, memory.gone) == ({SALES.key: 10}, {SALES.key: 40})
    assert memory.titles == {SALES.key: "Shop"}


@pytest.mark.parametrize(("later", "remembered"), [(999.5, True), (1000.0, False), (1000.5, False)])
def test_what_is_gone_is_forgotten_after_the_retention(later, remembered) -> None:
    memory = after(Step(10, (SALES, INBOX)), Step(20, (INBOX,)), Step(20 + later, (INBOX,)))

    assert (SALES.key in memory.first_seen) is remembered
    assert (SALES.key in memory.gone) is remembered
    assert (SALES.key in memory.titles) is remembered
    assert (("whatsapp", "5") in memory.emptied) is remembered
    assert memory.first_seen[INBOX.key] == 10


def test_what_returns_after_it_was_forgotten_is_new() -> None:
    memory = after(Step(10, (SALES,)), Step(20, ()), Step(2000, ()), Step(3000, (SALES,)))

    assert memory.first_seen == {SALES.key: 3000}


def test_without_a_retention_nothing_that_went_is_remembered() -> None:
    assert remember(Memory({SALES.key: 10}), [SALES], [], CONNECTORS, 20, 0.0) == Memory({}, {}, {}, {}, None)


def test_a_group_is_emptied_when_its_last_entity_goes_elsewhere() -> None:
    memory = after(Step(10, (SALES,)), Step(20, (SALES._replace(rp_id="6"),)))

    assert (memory.gone, memory.emptied) == ({}, {("whatsapp", "5"): 20})


def test_a_group_that_has_another_entity_is_not_emptied() -> None:
    other = SALES._replace(connector_id="14")

    memory = after(Step(10, (SALES, other)), Step(20, (other,)))

    assert (memory.gone, memory.emptied) == ({SALES.key: 20}, {})


def test_a_group_that_fills_again_is_not_emptied() -> None:
    assert after(Step(10, (SALES,)), Step(20, ()), Step(30, (SALES,))).emptied == {}


def test_a_list_that_counts_nothing_together_has_no_emptied_groups() -> None:
    memory = remember(Memory({(): 10}), used("1"), [], METER, 20, RETENTION)

    assert memory == Memory({(): 10}, {(): 20}, {(): ""}, {}, None)


def used(*texts: str) -> list[TokenInfo]:
    return [TokenInfo("1000", text, "", "") for text in texts]


def fall(before, after, spec: UpstreamList = METER) -> float | None:
    memory = Memory(first_seen={row.key: 1.0 for row in before}, fell_at=5.0)
    return remember(memory, before, after, spec, 20.0, RETENTION).fell_at


@pytest.mark.parametrize(("before", "after"), [("100", "99"), ("100", "0"), ("1", "0"), (" 10", "9 ")])
def test_a_counter_that_is_lower_than_it_was_fell_now(before, after) -> None:
    assert fall(used(before), used(after)) == 20.0


@pytest.mark.parametrize(
    ("before", "after"),
    [("100", "100"), ("100", "101"), ("9", "10"), ("", "1"), ("100", ""), ("", ""), ("many", "1"), ("2", "few")],
)
def test_a_counter_that_grows_or_cannot_be_read_did_not_fall(before, after) -> None:
    assert fall(used(before), used(after)) == 5.0


@pytest.mark.parametrize(("before", "after"), [((), ("1",)), (("1",), ()), ((), ())])
def test_a_counter_that_is_on_one_side_only_did_not_fall(before, after) -> None:
    assert fall(used(*before), used(*after)) == 5.0


def test_the_first_row_tells_of_a_fall() -> None:
    assert fall(used("10", "1"), used("9", "5")) == 20.0
    assert fall(used("1", "10"), used("5", "9")) == 5.0


def test_a_list_without_a_counter_never_falls() -> None:
    assert fall([SALES], [SALES], CONNECTORS) == 5.0


STEPS = st.lists(
    st.tuples(
        st.floats(1, 700),
        st.lists(st.sampled_from([SALES, SHOP, INBOX, INBOX._replace(channel="twitter")]), max_size=4, unique=True),
    ),
    min_size=1,
    max_size=12,
).map(lambda pairs: [Step(sum(gap for gap, _ in pairs[: n + 1]), tuple(rows)) for n, (_, rows) in enumerate(pairs)])


@given(STEPS)
def test_what_is_present_or_gone_has_a_first_seen_and_nothing_is_both(steps) -> None:
    memory = after(*steps)

    present = {row.key for row in steps[-1].rows}
    assert present.isdisjoint(memory.gone)
    assert memory.first_seen.keys() == present | memory.gone.keys()
    assert memory.titles.keys() == memory.gone.keys()


@given(STEPS)
def test_what_is_gone_went_within_the_retention_and_after_it_came(steps) -> None:
    memory = after(*steps)

    assert all(steps[-1].at - RETENTION < at for at in memory.gone.values())
    assert all(memory.first_seen[key] < at for key, at in memory.gone.items())


@given(STEPS)
def test_first_seen_never_moves_while_a_key_is_remembered(steps) -> None:
    before, now = after(*steps[:-1]), after(*steps)

    assert all(now.first_seen[key] == at for key, at in before.first_seen.items() if key in now.first_seen)


@given(STEPS)
def test_believing_the_same_again_changes_no_memory(steps) -> None:
    rows, at = steps[-1].rows, steps[-1].at

    assert after(*steps, Step(at, rows)) == after(*steps)


@given(STEPS, st.sets(st.sampled_from([SALES.key, INBOX.key])), st.floats(0, 3000))
def test_rows_that_stay_are_remembered_like_equal_ones(steps, lost, later) -> None:
    rows, memory = steps[-1].rows, after(*steps)
    damaged = replace(memory, first_seen={key: at for key, at in memory.first_seen.items() if key not in lost})
    at = steps[-1].at + later

    same = remember(damaged, rows, rows, CONNECTORS, at, RETENTION)

    assert same == remember(damaged, rows, (*rows,), CONNECTORS, at, RETENTION)
    assert same.first_seen.keys() >= {row.key for row in rows}
