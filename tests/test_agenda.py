"""The agenda against looking through all times."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from exporter.agenda import Agenda

TIMES = st.sampled_from((*map(float, range(12)), inf))
NAMES = st.sampled_from("abcde")
SETS = st.lists(st.tuples(NAMES, TIMES))


@given(st.dictionaries(NAMES, TIMES), st.lists(SETS))
def test_it_tells_what_looking_through_all_would(times, rounds) -> None:
    agenda = Agenda(times)
    for now, changes in enumerate(rounds):
        for name, at in changes:
            agenda.put(name, at)
            if name in times:
                times[name] = at

        assert set(agenda.due(now)) == {name for name, at in times.items() if at <= now}
        assert agenda.next() == min((at for at in times.values() if at > now), default=inf)


def test_what_is_due_stays_so_until_it_is_put_off() -> None:
    agenda = Agenda({"acme": 1.0, "other": 2.0})

    assert list(agenda.due(1.5)) == ["acme"]
    assert list(agenda.due(1.5)) == ["acme"]
    agenda.put("acme", 5.0)
    assert list(agenda.due(1.5)) == []
    assert agenda.next() == 2.0


def test_what_is_put_off_before_its_time_does_not_come_by_the_old_one() -> None:
    agenda = Agenda({"acme": 1.0, "other": 2.0})
    agenda.put("acme", 5.0)
    agenda.put("acme", 5.0)
    agenda.put("nobody", 0.0)

    assert agenda.next() == 2.0
    agenda.put("acme", inf)
    assert list(agenda.due(10.0)) == ["other"]
    assert agenda.next() == inf
