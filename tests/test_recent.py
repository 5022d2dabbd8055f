"""Which changes are still told: laws over any journal, and the cases that alerts live on."""

import pytest
from conftest import START
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import DAY, Change, ChangeKind
from exporter.recent import MOST, expiry, told

KINDS = st.sampled_from(list(ChangeKind))
KEYS = st.sampled_from(["1", "2", "3", "4"])


def change(kind: ChangeKind, ago: float = 0.0, key: str = "12") -> Change:
    return Change(START - ago, "connectors", ("whatsapp", key), "Sales", kind, "5", "6")


def journals(most: int = 30):
    """Changes of a few connectors within two days, newest first, no two at once."""
    ages = st.integers(0, 2 * int(DAY))
    steps = st.lists(st.tuples(ages, KINDS, KEYS), max_size=most, unique_by=lambda step: step[0])
    return steps.map(lambda some: [change(kind, age, key) for age, kind, key in sorted(some)])


def crowds():
    """Changes of very many connectors."""
    return st.lists(st.tuples(st.integers(0, int(DAY) - 1), KINDS), min_size=90, max_size=300).map(
        lambda some: [change(kind, age, str(n)) for n, (age, kind) in enumerate(sorted(some))]
    )


@given(journals())
def test_of_each_connector_the_newest_of_a_kind_is_told(journal) -> None:
    for each in told(journal, START):
        assert each == next(one for one in journal if (one.key, one.kind) == (each.key, each.kind))


@given(journals() | crowds())
def test_what_is_told_is_at_most_a_hundred_of_a_day_newest_first(journal) -> None:
    some = told(journal, START)

    assert len(some) <= MOST
    assert all(START - each.at < DAY for each in some)
    assert [each.at for each in some] == sorted((each.at for each in some), reverse=True)
    assert len({(each.key, each.kind) for each in some}) == len(some)


@given(journals())
def test_nobody_is_told_to_have_come_and_gone(journal) -> None:
    some = {(each.key, each.kind) for each in told(journal, START)}

    assert not {key for key, kind in some if kind == "added"} & {key for key, kind in some if kind == "removed"}


@given(journals() | crowds())
def test_telling_what_is_told_tells_the_same(journal) -> None:
    some = told(journal, START)

    assert told(some, START) == some


@given(journals(), st.integers(0, int(DAY)))
def test_time_alone_only_takes_away(journal, seconds) -> None:
    assert set(told(journal, START + seconds)) <= set(told(journal, START))


@given(journals())
def test_at_its_expiry_something_ends_and_not_before(journal) -> None:
    end = expiry(journal, START)

    if end is None:
        assert told(journal, START) == ()
    else:
        assert told(journal, end - 1) == told(journal, START)
        assert told(journal, end) != told(journal, START)


@given(crowds())
def test_of_too_many_the_renames_go_first_and_then_the_oldest(journal) -> None:
    some = told(journal, START)
    gone = set(journal) - set(some)

    if any(each.kind is not ChangeKind.RENAMED for each in gone):
        assert not any(each.kind is ChangeKind.RENAMED for each in some)
    for renamed in (True, False):
        left = [each.at for each in some if (each.kind is ChangeKind.RENAMED) == renamed]
        lost = [each.at for each in gone if (each.kind is ChangeKind.RENAMED) == renamed]
        assert not left or not lost or min(left) >= max(lost)
    assert len(some) == min(MOST, len(journal))


@pytest.mark.parametrize(("first", "then"), [("removed", "added"), ("added", "removed")])
def test_a_removal_ends_when_the_key_returns_and_an_addition_when_it_goes(first, then) -> None:
    journal = [change(ChangeKind(then)), change(ChangeKind(first), 60)]

    assert told(journal, START) == (journal[0],)


def test_the_return_of_another_connector_ends_nothing() -> None:
    journal = [change(ChangeKind.ADDED, key="13"), change(ChangeKind.REMOVED, 60, key="12")]

    assert told(journal, START) == tuple(journal)


def test_a_removal_ends_although_what_undid_it_went_again() -> None:
    journal = [
        change(ChangeKind.REMOVED),
        change(ChangeKind.ADDED, 60),
        change(ChangeKind.REMOVED, 120),
    ]

    assert told(journal, START) == (journal[0],)


def test_a_reroute_ends_when_the_next_one_comes() -> None:
    journal = [change(ChangeKind.REROUTED), change(ChangeKind.REROUTED, 60)]

    assert told(journal, START) == (journal[0],)


def test_a_rename_and_a_reroute_at_once_are_two() -> None:
    journal = [change(ChangeKind.RENAMED), change(ChangeKind.REROUTED)]

    assert set(told(journal, START)) == set(journal)


def test_a_change_is_told_for_a_day_to_the_second() -> None:
    journal = [change(ChangeKind.REMOVED)]

    assert told(journal, START + DAY - 1) == tuple(journal)
    assert told(journal, START + DAY) == ()
    assert (expiry(journal, START), expiry(journal, START + DAY), expiry([], START)) == (START + DAY, None, None)
