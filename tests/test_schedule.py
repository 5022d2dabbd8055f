"""How long a token or a list rests after an outcome, and how polls spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import DAY, Moment, Outcome
from exporter.schedule import Facts, Rest, day, exhausted, list_rest, pace, phase, rejected, throttled, token_rest

THEN = Moment(1_790_000_000.0, "boot-1", 1000.0)
NOW = Moment(1_790_000_600.0, "boot-1", 1600.0)
OF_TOKENS = (Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED, Outcome.THROTTLED)
OTHER_FAILURES = [outcome for outcome in Outcome if outcome.is_failure and outcome not in OF_TOKENS]


def after(*outcomes, interval=300.0, asked=None) -> Rest | None:
    """The token's rest after these outcomes, the last of which came at NOW."""
    rest = None
    for outcome in outcomes:
        rest = token_rest(rest, outcome, interval, asked, NOW)
    return rest


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in OF_TOKENS])
def test_an_outcome_that_says_nothing_of_the_token_gives_it_no_rest(outcome) -> None:
    assert after(outcome) is None


def test_a_first_refusal_waits_for_the_next_interval_only() -> None:
    assert after(Outcome.TOKEN_REJECTED) == Rest(Outcome.TOKEN_REJECTED, 1, NOW, 0.0, is_locked=False)


@pytest.mark.parametrize("times", [2, 3, 10])
def test_from_the_second_refusal_in_a_row_one_trial_an_hour_is_made(times) -> None:
    rest = after(*[Outcome.TOKEN_REJECTED] * times)

    assert rest == Rest(Outcome.TOKEN_REJECTED, times, NOW, 3600.0, is_locked=True)


def test_an_interval_above_an_hour_is_kept_by_a_refused_token() -> None:
    assert rejected(Facts(7200.0, 2, 0.0)) == 7200.0


@pytest.mark.parametrize(
    ("strikes", "seconds"), [(1, 300.0), (2, 600.0), (3, 1200.0), (4, 2400.0), (5, 3600.0), (6, 3600.0), (5000, 3600.0)]
)
def test_an_exhausted_quota_doubles_the_interval_up_to_an_hour(strikes, seconds) -> None:
    assert exhausted(Facts(300.0, strikes, 0.0)) == seconds


@pytest.mark.parametrize(("strikes", "seconds"), [(16, 0.01 * 2**15), (17, 0.01 * 2**16), (18, 0.01 * 2**16)])
def test_the_doubling_ends_before_a_number_overflows(strikes, seconds) -> None:
    assert exhausted(Facts(0.01, strikes, 0.0)) == seconds


def test_an_interval_above_an_hour_is_kept_by_an_exhausted_quota() -> None:
    assert exhausted(Facts(7200.0, 3, 0.0)) == 7200.0


def test_each_exhausted_answer_in_a_row_is_a_strike() -> None:
    rest = after(Outcome.QUOTA_EXHAUSTED, Outcome.QUOTA_EXHAUSTED)

    assert rest == Rest(Outcome.QUOTA_EXHAUSTED, 2, NOW, 600.0, is_locked=False)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(0.0, 600.0), (599.0, 600.0), (600.0, 600.0), (601.0, 601.0), (86400.0, 86400.0), (86401.0, 86400.0)],
)
def test_a_throttled_token_rests_as_asked_within_two_intervals_and_a_day(asked, seconds) -> None:
    assert throttled(Facts(300.0, 1, asked)) == seconds


def test_a_throttled_answer_that_asks_for_nothing_adds_nothing() -> None:
    assert after(Outcome.THROTTLED, interval=0.25) == Rest(Outcome.THROTTLED, 1, NOW, 0.5, is_locked=False)


def test_two_intervals_hold_even_beyond_a_day() -> None:
    assert throttled(Facts(50_000.0, 1, 0.0)) == 100_000.0


@pytest.mark.parametrize(("asked", "seconds"), [(None, 600.0), (900.0, 900.0)])
def test_a_throttled_answer_may_ask_for_a_time_of_its_own(asked, seconds) -> None:
    assert after(Outcome.THROTTLED, asked=asked) == Rest(Outcome.THROTTLED, 1, NOW, seconds, is_locked=False)


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.NO_RECORDS])
@pytest.mark.parametrize("reason", OF_TOKENS)
def test_a_success_ends_any_rest(outcome, reason) -> None:
    assert token_rest(Rest(reason, 3, THEN, 3600.0), outcome, 300.0, None, NOW) is None


@pytest.mark.parametrize("outcome", OTHER_FAILURES)
@pytest.mark.parametrize("reason", [Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED])
def test_another_failure_neither_confirms_nor_ends_a_lasting_rest(outcome, reason) -> None:
    rest = Rest(reason, 3, THEN, 2400.0, is_locked=True)

    assert token_rest(rest, outcome, 300.0, None, NOW) == Rest(reason, 3, NOW, 2400.0, is_locked=True)


@pytest.mark.parametrize("outcome", OTHER_FAILURES)
def test_another_failure_ends_the_memory_of_a_throttled_answer(outcome) -> None:
    assert token_rest(Rest(Outcome.THROTTLED, 1, THEN, 600.0), outcome, 300.0, None, NOW) is None


def test_another_failure_between_two_refusals_does_not_forgive_the_first() -> None:
    rest = after(Outcome.TOKEN_REJECTED, Outcome.TIMEOUT, Outcome.TOKEN_REJECTED)

    assert rest == Rest(Outcome.TOKEN_REJECTED, 2, NOW, 3600.0, is_locked=True)


@pytest.mark.parametrize("asked", [0.0, 900.0, 90_000.0])
@pytest.mark.parametrize("reason", [Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED])
def test_a_throttled_answer_makes_a_lasting_rest_longer_and_never_shorter(reason, asked) -> None:
    rest = token_rest(Rest(reason, 4, THEN, 3600.0), Outcome.THROTTLED, 300.0, asked, NOW)

    assert rest == Rest(reason, 4, NOW, max(3600.0, min(asked, DAY)))


@pytest.mark.parametrize("outcome", [Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED])
@pytest.mark.parametrize("reason", OF_TOKENS)
def test_strikes_are_counted_for_one_reason_at_a_time(outcome, reason) -> None:
    rest = token_rest(Rest(reason, 4, THEN, 0.0), outcome, 300.0, None, NOW)

    assert rest is not None
    assert (rest.reason, rest.strikes) == (outcome, 5 if reason is outcome else 1)


@given(st.lists(st.sampled_from(Outcome), max_size=8), st.floats(300, 86400), st.none() | st.floats(0, 1e6))
def test_a_rest_is_never_negative_and_never_beyond_a_day_or_two_intervals(outcomes, interval, asked) -> None:
    rest = after(*outcomes, interval=interval, asked=asked)

    assert rest is None or 0.0 <= rest.seconds <= max(86400.0, 2 * interval)


def test_an_optional_list_that_the_api_does_not_know_rests_for_a_day() -> None:
    rest = list_rest(Outcome.UNKNOWN_LIST, 300.0, NOW, essential=False)

    assert rest == Rest(Outcome.UNKNOWN_LIST, 1, NOW, 86400.0, is_locked=False)


def test_the_essential_list_keeps_its_interval_even_when_unknown() -> None:
    assert list_rest(Outcome.UNKNOWN_LIST, 300.0, NOW, essential=True) is None


@pytest.mark.parametrize("essential", [True, False])
@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN_LIST])
def test_no_other_outcome_makes_a_list_rest(outcome, essential) -> None:
    assert list_rest(outcome, 300.0, NOW, essential=essential) is None


def test_a_day_is_a_day_whatever_the_interval() -> None:
    assert day(Facts(1e6, 9, 1e6)) == 86400.0


@pytest.mark.parametrize("late", [-10.0, 0.0, 149.0, 150.0])
def test_a_poll_in_time_keeps_its_interval(late) -> None:
    assert pace("acme", 300.0, late) == 1.0


@pytest.mark.parametrize("late", [None, 150.1, 1e9])
def test_a_first_or_an_overdue_poll_is_followed_by_a_longer_interval(late) -> None:
    assert pace("acme", 300.0, late) == 1.0 + phase("acme")


@pytest.mark.parametrize(
    ("name", "drawn"), [("acme", 0.2542358540231362), ("acme-pe", 0.09654614445753396), ("", 0.44470799737609923)]
)
def test_the_same_name_draws_the_same_phase_in_every_version(name, drawn) -> None:
    assert phase(name) == drawn


@given(st.text())
def test_a_phase_is_less_than_half_an_interval(name) -> None:
    assert 0.0 <= phase(name.encode("utf-8", "replace").decode()) < 0.5


def test_many_names_spread_evenly() -> None:
    phases = sorted(phase(f"operation-{number}") for number in range(1000))

    assert phases[99] < 0.075
    assert 0.2 < phases[499] < 0.3
    assert phases[899] > 0.425
