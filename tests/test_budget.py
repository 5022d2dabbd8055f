"""When one more call is legal: numbers in, seconds out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.budget import (
    BUSY,
    LEAST,
    Call,
    Past,
    Wait,
    busy,
    elapsed,
    glimpse,
    interrupted,
    is_reserved,
    later,
    resting,
    wait,
)
from exporter.model import Moment, Outcome
from exporter.schedule import Rest
from exporter.state import Rule

NOW = Moment(1_790_000_000.0, "boot-2", 1000.0)
SECONDS = st.integers(0, 10**7).map(float)
CLOCK_STEPS = st.integers(-(10**9), 10**9).map(float)


def ago(seconds: float) -> Moment:
    return later(NOW, -seconds)


def before_the_reboot(seconds: float) -> Moment:
    return Moment(NOW.wall - seconds, "boot-1", 5_000_000.0)


def call(claimed: float, finished: float | None = None, **changes) -> Call:
    """A call by how many seconds ago it was claimed and finished."""
    values: dict[str, Any] = {"whole": finished is not None, "busy": 60.0}
    return Call(ago(claimed), None if finished is None else ago(finished), **values | changes)


def rest(seconds: float, since: float = 0.0, *, locked: bool = False) -> Rest:
    return Rest(Outcome.TOKEN_REJECTED, 2, ago(since), seconds, is_locked=locked)


def test_the_law_is_the_one_that_the_api_states() -> None:
    assert (LEAST, BUSY) == (300.0, 60.0)


def test_within_a_boot_the_time_since_boot_decides() -> None:
    assert elapsed(Moment(NOW.wall + 9999.0, "boot-2", 400.0), NOW) == 600.0


def test_across_a_reboot_wall_time_decides() -> None:
    assert elapsed(before_the_reboot(250.0), NOW) == 250.0


@pytest.mark.parametrize("then", [Moment(NOW.wall - 10, "boot-2", 1000.1), before_the_reboot(-0.1)])
def test_a_time_in_the_future_counts_as_now(then) -> None:
    assert elapsed(then, NOW) == 0.0


@given(SECONDS, CLOCK_STEPS)
def test_no_clock_step_within_a_boot_changes_what_has_elapsed(real, step) -> None:
    now = Moment(NOW.wall + real + step, NOW.boot, NOW.uptime + real)

    assert elapsed(NOW, now) == real


@given(SECONDS, st.integers(0, 10**9))
def test_a_clock_that_was_set_back_across_a_reboot_never_makes_time_pass_faster(real, back) -> None:
    now = Moment(NOW.wall + real - back, "boot-3", 5.0)

    assert 0.0 <= elapsed(NOW, now) <= real


def test_a_later_moment_is_later_on_both_clocks_of_one_boot() -> None:
    assert later(NOW, 90.0) == Moment(1_790_000_090.0, "boot-2", 1090.0)


@given(SECONDS)
def test_what_elapses_until_a_later_moment_is_what_was_added(seconds) -> None:
    assert elapsed(NOW, later(NOW, seconds)) == seconds


def test_with_nothing_against_it_a_call_is_legal_now() -> None:
    assert wait(Past(), 300.0, NOW) == Wait(0.0, Rule.INTERVAL)


@pytest.mark.parametrize(("finished", "seconds"), [(0, 300), (1, 299), (299, 1), (300, 0), (301, 0), (9999, 0)])
def test_a_list_is_asked_again_an_interval_after_its_last_answer(finished, seconds) -> None:
    past = Past(same=(call(finished + 2, finished),))

    assert wait(past, 300.0, NOW) == Wait(seconds, Rule.INTERVAL)


@pytest.mark.parametrize(
    ("claimed", "finished", "seconds"), [(0, 0, 360), (30, 0, 330), (20, 10, 340), (70, 65, 290), (100, 30, 270)]
)
def test_an_answer_that_was_not_read_whole_has_ended_once_its_server_can_be_at_work_no_more(
    claimed, finished, seconds
) -> None:
    past = Past(same=(call(claimed, finished, whole=False),))

    assert wait(past, 300.0, NOW) == Wait(seconds, Rule.INTERVAL)


def test_of_several_calls_the_latest_binds() -> None:
    past = Past(same=(call(902, 900), call(102, 100), call(502, 500)))

    assert wait(past, 300.0, NOW) == Wait(200.0, Rule.INTERVAL)


def test_a_call_of_the_list_that_has_no_end_does_not_start_an_interval() -> None:
    assert wait(Past(same=(call(10),)), 300.0, NOW) == Wait(0.0, Rule.INTERVAL)


@pytest.mark.parametrize(("claimed", "seconds"), [(0, 60.0), (59, 1.0), (59.5, 0.5)])
def test_a_token_is_busy_until_an_unread_answer_is_surely_over(claimed, seconds) -> None:
    past = Past(open=(call(claimed, claimed, whole=False),))

    assert wait(past, 300.0, NOW) == Wait(seconds, Rule.BUSY)


@pytest.mark.parametrize("claimed", [60, 61, 9999])
def test_a_token_is_free_once_an_unread_answer_is_surely_over(claimed) -> None:
    assert busy(call(claimed, claimed, whole=False), NOW) == 0.0


def test_a_call_is_not_under_way_unless_its_owner_is_known_to_live() -> None:
    assert busy(Call(ago(61), None, whole=False, busy=60.0), NOW) == 0.0


def test_a_token_is_free_once_an_answer_was_read_whole() -> None:
    assert busy(call(1, 0, whole=True), NOW) == 0.0


@pytest.mark.parametrize(("claimed", "seconds"), [(0, 60.0), (58, 2.0), (59, 1.0), (59.5, 1.0), (60, 1.0), (9999, 1.0)])
def test_a_call_that_is_under_way_is_looked_at_again_after_a_second(claimed, seconds) -> None:
    assert busy(call(claimed, live=True), NOW) == seconds


@pytest.mark.parametrize(("finished", "live"), [(None, False), (59.5, True), (59.5, False)])
def test_a_call_that_nobody_works_on_is_busy_for_its_time_only(finished, live) -> None:
    assert busy(call(59.5, finished, whole=False, live=live), NOW) == 0.5


@pytest.mark.parametrize(("since", "seconds"), [(0, 600.0), (599, 1.0), (600, 0.0), (601, 0.0)])
@pytest.mark.parametrize("essential", [True, False])
def test_a_rest_holds_for_its_seconds(since, seconds, essential) -> None:
    assert resting(rest(600.0, since), NOW, essential=essential) == seconds


@pytest.mark.parametrize(("since", "seconds"), [(0, 600.0), (599, 1.0), (600, 0.0), (9999, 0.0)])
def test_the_essential_list_makes_the_trial_after_a_locked_rest(since, seconds) -> None:
    assert resting(rest(600.0, since, locked=True), NOW, essential=True) == seconds


@pytest.mark.parametrize(("since", "seconds"), [(0, 660.0), (599, 61.0), (600, 60.0), (9999, 60.0)])
def test_another_list_waits_until_the_trial_was_made(since, seconds) -> None:
    assert resting(rest(600.0, since, locked=True), NOW, essential=False) == seconds


def test_a_rest_makes_every_call_wait() -> None:
    assert wait(Past(rests=(rest(100.0), rest(600.0))), 300.0, NOW) == Wait(600.0, Rule.REST)


def test_a_call_may_end_a_rest_unless_it_is_told_otherwise() -> None:
    past = Past(rests=(rest(600.0, 600, locked=True),))

    assert wait(past, 300.0, NOW) == Wait(0.0, Rule.INTERVAL)
    assert wait(past, 300.0, NOW, essential=False) == Wait(60.0, Rule.REST)


@pytest.mark.parametrize(
    ("past", "bound"),
    [
        (Past((call(250, 250),), (call(20),), (rest(30.0),)), Wait(50.0, Rule.INTERVAL)),
        (Past((call(290, 290),), (call(20),), (rest(30.0),)), Wait(40.0, Rule.BUSY)),
        (Past((call(290, 290),), (call(20),), (rest(50.0),)), Wait(50.0, Rule.REST)),
        (Past((call(260, 260),), (call(20),), (rest(40.0),)), Wait(40.0, Rule.INTERVAL)),
        (Past((call(290, 290),), (call(20),), (rest(40.0),)), Wait(40.0, Rule.BUSY)),
    ],
)
def test_the_longest_wait_binds_and_of_equal_ones_the_interval_then_the_token(past, bound) -> None:
    assert wait(past, 300.0, NOW) == bound


@st.composite
def pasts(draw) -> Past:
    finished = st.none() | SECONDS.map(ago) | SECONDS.map(before_the_reboot)
    claimed = SECONDS.map(ago) | SECONDS.map(before_the_reboot)
    calls = st.builds(Call, claimed, finished, st.booleans(), SECONDS, st.booleans())
    rests = st.builds(Rest, st.sampled_from(Outcome), st.just(2), claimed, SECONDS, st.booleans())
    return Past(*(tuple(draw(st.lists(each, max_size=3))) for each in (calls, calls, rests)))


@given(pasts(), SECONDS, st.booleans())
def test_a_wait_is_never_negative(past, interval, essential) -> None:
    assert wait(past, interval, NOW, essential=essential).seconds >= 0.0


@given(pasts(), pasts(), SECONDS, st.booleans())
def test_more_calls_and_rests_never_shorten_a_wait(past, more, interval, essential) -> None:
    both = Past(*(mine + other for mine, other in zip(past, more, strict=True)))

    longer = wait(both, interval, NOW, essential=essential)

    assert longer.seconds >= wait(past, interval, NOW, essential=essential).seconds


@given(pasts(), SECONDS, SECONDS)
def test_a_longer_interval_never_shortens_a_wait(past, interval, more) -> None:
    assert wait(past, interval + more, NOW).seconds >= wait(past, interval, NOW).seconds


@given(pasts(), SECONDS, SECONDS, st.booleans())
def test_a_wait_shrinks_by_the_time_that_passes_and_never_faster(past, interval, passed, essential) -> None:
    now, then = (wait(past, interval, moment, essential=essential).seconds for moment in (NOW, later(NOW, passed)))

    assert now - passed <= then <= now


@given(st.lists(SECONDS.map(lambda seconds: call(seconds, seconds)), max_size=5), SECONDS)
def test_who_waits_as_told_keeps_the_interval(calls, interval) -> None:
    past = Past(same=tuple(calls))

    then = later(NOW, wait(past, interval, NOW).seconds)

    assert all(elapsed(each.finished, then) >= interval for each in calls)


@pytest.mark.parametrize(("claimed", "ended"), [(0, 0), (20, 0), (59, 0), (60, 0), (61, 1), (9999, 9939)])
def test_a_call_whose_owner_died_ends_as_late_as_its_server_may_have_worked(claimed, ended) -> None:
    assert interrupted(call(claimed), NOW) == ago(ended)


def test_a_call_from_before_a_reboot_ends_in_its_own_boot() -> None:
    lost = Call(before_the_reboot(100.0), None, whole=False, busy=60.0)

    assert interrupted(lost, NOW) == Moment(NOW.wall - 40.0, "boot-1", 5_000_060.0)


@pytest.mark.parametrize(
    ("left", "spent", "reserve", "reserved"),
    [
        (101.0, 0, 100, False),
        (100.0, 0, 100, True),
        (99.0, 0, 100, True),
        (0.0, 0, 100, True),
        (150.0, 49, 100, False),
        (150.0, 50, 100, True),
        (2.0, 0, 1, False),
        (1.0, 0, 1, True),
        (0.0, 5, 0, False),
        (None, 0, 100, False),
    ],
)
def test_only_the_reserve_is_left_when_no_more_than_it_remains(left, spent, reserve, reserved) -> None:
    assert is_reserved(left, spent, reserve) is reserved


@pytest.mark.parametrize(("interval", "seconds"), [(300.0, 3600.0), (3600.0, 3600.0), (3601.0, 3601.0)])
def test_in_the_reserve_the_figures_are_looked_at_once_an_hour_at_most(interval, seconds) -> None:
    assert glimpse(interval) == seconds
