"""What an answer is believed to say."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.believe import MOST_REASONS, Reading, Verdict, believe, is_mass, merged, missing, read
from exporter.state import Held

THEN, NOW = 1000.0, 2000.0
HALF = 0.5


class Thing(NamedTuple):
    """A row of no list in particular."""

    id: str
    color: str = "red"

    @property
    def key(self) -> tuple[str, ...]:
        return (self.id,)

    @property
    def title(self) -> str:
        return f"Thing {self.id}"


def things(*ids: object) -> tuple[Thing, ...]:
    return tuple(Thing(str(each)) for each in ids)


def answer(*rows: Thing, **changes) -> Reading:
    """A complete answer with these rows, each as one record."""
    return Reading(rows, len(rows), 0, 0)._replace(**changes)


def parse(record) -> Thing | None:
    return Thing(record["id"], record.get("color", "red")) if "id" in record else None


def test_every_record_becomes_a_row_in_its_order() -> None:
    reading = read([{"id": "2"}, {"id": "1"}], parse)

    assert reading == Reading(things(2, 1), records=2, rejected=0, duplicates=0)


def test_a_record_without_its_key_is_rejected_and_counted() -> None:
    reading = read([{"id": "1"}, {"color": "blue"}, {}, {"id": "2"}], parse, ("id",))

    assert reading._replace(reasons=()) == Reading(things(1, 2), records=4, rejected=2, duplicates=0)
    assert reading.reasons == ("record 2: id is missing or blank", "record 3: id is missing or blank")


def test_of_many_rejected_records_the_first_are_told() -> None:
    reading = read([{"id": "1"}, *[{}] * 1000], parse, ("id",))

    assert (reading.rejected, len(reading.reasons)) == (1000, MOST_REASONS)
    assert reading.reasons[-1] == f"record {MOST_REASONS + 1}: id is missing or blank"


@pytest.mark.parametrize("record", [None, "id", 1, [], ["id"], True])
def test_a_record_that_is_no_object_is_rejected_and_counted(record) -> None:
    reading = read([record, {"id": "1"}], parse)

    assert reading._replace(reasons=()) == Reading(things(1), records=2, rejected=1, duplicates=0)
    assert reading.reasons[0].startswith("record 1: is ")


def test_an_exact_duplicate_stands_once_and_is_counted() -> None:
    reading = read([{"id": "1"}, {"id": "2"}, {"id": "1"}, {"id": "1"}], parse)

    assert reading == Reading(things(1, 2), records=4, rejected=0, duplicates=2)


def test_rows_with_one_key_and_different_contents_are_all_kept_and_counted() -> None:
    reading = read([{"id": "1", "color": "red"}, {"id": "1", "color": "blue"}], parse)

    assert reading == Reading((Thing("1", "red"), Thing("1", "blue")), records=2, rejected=0, duplicates=1)


def test_an_answer_without_records_is_readable() -> None:
    assert read([], parse) == Reading((), 0, 0, 0)


@pytest.mark.parametrize(
    ("rejected", "records", "partial"),
    [(0, 1, False), (1, 1, True), (2, 5, True), (0, 59_999, False), (0, 60_000, True), (0, 60_001, True)],
)
def test_an_answer_with_rejected_rows_or_of_60000_proves_no_absence(rejected, records, partial) -> None:
    assert Reading(things(1), records, rejected, 0).is_partial is partial


def test_what_is_missing_is_told_with_all_its_rows() -> None:
    known = (Thing("1", "red"), Thing("1", "blue"), Thing("2"), Thing("3"))

    assert missing(known, things(3)) == (Thing("1", "red"), Thing("1", "blue"), Thing("2"))


def test_a_row_with_other_contents_is_not_missing() -> None:
    assert missing(things(1), [Thing("1", "blue")]) == ()


@pytest.mark.parametrize(
    ("known", "gone", "share", "mass"),
    [
        (2, 2, HALF, False),
        (3, 2, HALF, False),
        (3, 3, HALF, True),
        (4, 3, HALF, True),
        (5, 3, HALF, True),
        (6, 3, HALF, False),
        (6, 4, HALF, True),
        (7, 3, HALF, False),
        (7, 4, HALF, True),
        (100, 50, HALF, False),
        (100, 51, HALF, True),
        (100, 2, 0.0, False),
        (100, 3, 0.0, True),
        (10, 10, 1.0, False),
    ],
)
def test_a_mass_removal_is_more_than_the_share_and_three_at_the_least(known, gone, share, mass) -> None:
    rows = things(*range(known))

    assert is_mass(rows, rows[:gone], share) is mass


def test_entities_are_counted_not_their_rows() -> None:
    twice = (Thing("1", "red"), Thing("1", "blue"), Thing("2", "red"), Thing("2", "blue"))

    assert not is_mass(twice, twice, HALF)
    assert is_mass((*twice, *things(3, 4, 5)), things(3, 4, 5), HALF)
    assert not is_mass((*twice, *things(3, 4, 5, 6)), things(3, 4, 5), HALF)


def test_shown_rows_stand_before_the_known_ones_that_are_not_shown() -> None:
    assert merged(things(1, 2, 3), (Thing("2", "blue"),)) == (Thing("2", "blue"), Thing("1"), Thing("3"))


def test_a_first_answer_is_believed() -> None:
    assert believe(None, None, answer(*things(1)), HALF, NOW) == Verdict(things(1), None)


def test_a_first_answer_that_is_empty_is_held() -> None:
    assert believe(None, None, answer(), HALF, NOW) == Verdict(None, Held(NOW, ()))


def test_a_first_empty_answer_is_believed_when_a_second_one_agrees() -> None:
    assert believe(None, Held(THEN, ()), answer(), HALF, NOW) == Verdict((), None)


def test_rows_after_a_first_empty_answer_are_believed() -> None:
    assert believe(None, Held(THEN, ()), answer(*things(1)), HALF, NOW) == Verdict(things(1), None)


def test_where_nothing_is_known_an_empty_answer_is_believed() -> None:
    assert believe((), None, answer(), HALF, NOW) == Verdict((), None)


def test_an_empty_answer_is_held_even_where_a_single_entity_is_known() -> None:
    assert believe(things(1), None, answer(), HALF, NOW) == Verdict(None, Held(NOW, things(1)))


def test_a_mass_removal_is_held_with_what_it_lacks() -> None:
    verdict = believe(things(1, 2, 3, 4, 5), None, answer(*things(4, 5)), HALF, NOW)

    assert verdict == Verdict(None, Held(NOW, things(1, 2, 3)))


def test_half_of_the_known_may_go_at_once() -> None:
    verdict = believe(things(1, 2, 3, 4, 5, 6), None, answer(*things(4, 5, 6)), HALF, NOW)

    assert verdict == Verdict(things(4, 5, 6), None)


def test_two_may_go_at_once_while_another_stays() -> None:
    assert believe(things(1, 2, 3), None, answer(*things(3)), HALF, NOW) == Verdict(things(3), None)


def test_a_held_answer_is_believed_when_the_next_one_agrees_and_the_newer_is_taken() -> None:
    held = Held(THEN, things(1, 2, 3))

    assert believe(things(1, 2, 3, 4, 5), held, answer(*things(5)), HALF, NOW) == Verdict(things(5), None)


def test_a_held_answer_is_forgotten_when_the_next_one_is_as_usual() -> None:
    held = Held(THEN, things(1, 2, 3))

    verdict = believe(things(1, 2, 3, 4), held, answer(*things(1, 2, 3, 4)), HALF, NOW)

    assert verdict == Verdict(things(1, 2, 3, 4), None)


def test_an_answer_with_rejected_rows_adds_and_changes_but_removes_nothing() -> None:
    shown = answer(Thing("1", "blue"), Thing("9"), rejected=1)

    assert believe(things(1, 2), None, shown, HALF, NOW) == Verdict((Thing("1", "blue"), Thing("9"), Thing("2")), None)


def test_a_partial_answer_may_be_the_first() -> None:
    assert believe(None, None, answer(*things(1), rejected=1), HALF, NOW) == Verdict(things(1), None)


def test_a_partial_answer_leaves_what_is_held_but_for_what_it_shows() -> None:
    held = Held(THEN, things(1, 2, 3))

    verdict = believe(things(1, 2, 3), held, answer(*things(2), records=60_000), HALF, NOW)

    assert verdict == Verdict((*things(2), *things(1, 3)), Held(THEN, things(1, 3)))


def test_a_partial_answer_that_shows_all_that_was_missing_ends_the_holding() -> None:
    held = Held(THEN, things(1, 2))

    assert believe(things(1, 2), held, answer(*things(1, 2), rejected=1), HALF, NOW).held is None


ROWS = st.lists(st.builds(Thing, st.sampled_from("abcdefgh"), st.sampled_from(["red", "blue"])), max_size=12).map(
    lambda rows: tuple(dict.fromkeys(rows))
)
KNOWN = st.none() | ROWS
HELD = st.none() | st.builds(Held, st.just(THEN), ROWS)
SHARES = st.floats(0, 1)


@given(KNOWN, HELD, ROWS, SHARES)
def test_a_partial_answer_never_removes_a_key(known, held, rows, share) -> None:
    verdict = believe(known, held, answer(*rows, rejected=1), share, NOW)

    assert verdict.rows is not None
    assert {row.key for row in verdict.rows} == {row.key for row in (*rows, *(known or ()))}
    assert verdict.rows[: len(rows)] == rows


@given(KNOWN, HELD, ROWS, SHARES)
def test_a_complete_answer_is_believed_as_it_is_or_held_with_what_it_lacks(known, held, rows, share) -> None:
    verdict = believe(known, held, answer(*rows), share, NOW)

    assert verdict in (Verdict(rows, None), Verdict(None, Held(NOW, missing(known or (), rows))))


@given(KNOWN, HELD, ROWS, SHARES)
def test_no_two_answers_in_a_row_are_held(known, held, rows, share) -> None:
    first = believe(known, held, answer(*rows), share, NOW)

    second = believe(known if first.rows is None else first.rows, first.held, answer(*rows), share, NOW + 300)

    assert second == Verdict(rows, None)


@given(ROWS.filter(bool), HELD, SHARES)
def test_the_same_answer_again_is_believed(rows, held, share) -> None:
    assert believe(rows, held, answer(*rows), share, NOW) == Verdict(rows, None)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "color"]), st.sampled_from("abc")) | st.none()))
def test_every_record_is_a_row_a_duplicate_or_rejected(records) -> None:
    reading = read(records, parse)

    keys = {row.key for row in reading.rows}
    assert reading.records == len(records) == len(keys) + reading.duplicates + reading.rejected
    assert len(reading.rows) == len(set(reading.rows))
