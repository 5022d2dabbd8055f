"""What one answer means where a list stood so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.lists.token_info import TokenInfo
from exporter.model import Answer, Change, ChangeKind, Outcome
from exporter.poll import Meaning, Trust, code_label, response, stands, titles, understand, unknown
from exporter.state import Ending, Held, Memory, Snapshot, Standing, Tally

CONNECTORS, POINTS = LISTS["connectors"], LISTS["routing_points"]
TRUST = Trust(mass_removal=0.5, retention=1000.0)
THEN, NOW = 1_790_000_000.0, 1_790_000_300.0
SALES = Connector("whatsapp", "12", "5", "Sales")
INBOX = Connector("email", "13", "6", "Inbox")
STANDING = Standing(
    snapshot=Snapshot((SALES, INBOX), THEN), memory=Memory(first_seen={SALES.key: THEN, INBOX.key: THEN})
)
NOBODY = Standing()


def answer(*rows: Connector | object, outcome: Outcome = Outcome.OK) -> Answer:
    """An answer with these rows as records; what is no row stands as it is."""
    records = (row._asdict() if isinstance(row, Connector) else row for row in rows)
    return Answer(outcome, 200, "200", tuple(records))


def title(listed: str, text: str) -> str:
    return f"{listed} {text}" if text else ""


def meaning(of: Answer, standing: Standing = STANDING) -> Meaning:
    return understand(of, CONNECTORS, standing, TRUST, NOW, title)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.is_failure])
def test_a_failure_leaves_everything_as_it_stood(outcome) -> None:
    standing = Standing(snapshot=STANDING.snapshot, held=Held(THEN, (SALES,)), memory=STANDING.memory)

    told = meaning(answer(outcome=outcome), standing)

    assert told == Meaning(outcome, None, standing.snapshot, standing.held, standing.memory)
    assert (told.changes, told.believed) == ((), False)


def test_a_first_answer_is_a_baseline_without_changes() -> None:
    told = meaning(answer(SALES, INBOX), NOBODY)

    assert (told.outcome, told.believed, told.changes) == (Outcome.OK, True, ())
    assert told.snapshot == Snapshot((SALES, INBOX), NOW)
    assert told.memory.first_seen == {SALES.key: NOW, INBOX.key: NOW}


def test_the_same_answer_again_only_moves_the_time() -> None:
    told = meaning(answer(SALES, INBOX))

    assert told.snapshot == Snapshot((SALES, INBOX), NOW)
    assert (told.changes, told.memory, told.held) == ((), STANDING.memory, None)


def test_what_differs_is_told_with_the_names_of_what_it_refers_to() -> None:
    told = meaning(answer(SALES, INBOX._replace(rp_id="5")))

    assert told.changes == (
        Change(
            NOW,
            "connectors",
            ("email", "13"),
            "Inbox",
            ChangeKind.REROUTED,
            "6",
            "5",
            "routing_points 6",
            "routing_points 5",
        ),
    )


def test_what_went_is_told_and_remembered() -> None:
    told = meaning(answer(SALES))

    assert [(change.key, change.kind) for change in told.changes] == [(INBOX.key, ChangeKind.REMOVED)]
    assert (told.memory.gone, told.memory.titles) == ({INBOX.key: NOW}, {INBOX.key: "Inbox"})


def test_what_went_is_remembered_for_the_retention() -> None:
    memory = Memory({SALES.key: THEN, INBOX.key: THEN}, {INBOX.key: NOW - 1000.0}, {INBOX.key: "Inbox"})

    told = meaning(answer(SALES), Standing(snapshot=Snapshot((SALES,), THEN), memory=memory))

    assert told.memory.first_seen == {SALES.key: THEN}


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.NO_RECORDS])
def test_an_empty_answer_is_held_and_no_failure(outcome) -> None:
    told = meaning(answer(outcome=outcome))

    assert (told.outcome, told.believed, told.changes) == (outcome, False, ())
    assert (told.snapshot, told.memory) == (STANDING.snapshot, STANDING.memory)
    assert told.held == Held(NOW, (SALES, INBOX))
    assert told.reading is not None
    assert told.reading.records == 0


def test_a_second_empty_answer_is_believed() -> None:
    standing = Standing(snapshot=STANDING.snapshot, held=Held(THEN, (SALES, INBOX)), memory=STANDING.memory)

    told = meaning(answer(outcome=Outcome.NO_RECORDS), standing)

    assert (told.snapshot, told.held, told.believed) == (Snapshot((), NOW), None, True)
    assert [change.kind for change in told.changes] == [ChangeKind.REMOVED, ChangeKind.REMOVED]


def test_a_first_empty_answer_is_no_baseline_until_a_second_one_agrees() -> None:
    first = meaning(answer(), NOBODY)
    second = meaning(answer(), Standing(held=first.held))

    assert (first.snapshot, first.held) == (None, Held(NOW, ()))
    assert (second.snapshot, second.held, second.changes) == (Snapshot((), NOW), None, ())


def test_what_comes_after_an_empty_baseline_is_told() -> None:
    told = meaning(answer(SALES), Standing(snapshot=Snapshot((), THEN)))

    assert [change.kind for change in told.changes] == [ChangeKind.ADDED]


def test_an_answer_of_which_no_row_can_be_read_is_malformed() -> None:
    told = meaning(answer({"name": "Sales"}, None))

    assert (told.outcome, told.believed, told.snapshot) == (Outcome.MALFORMED, False, STANDING.snapshot)
    assert told.reading is not None
    assert (told.reading.records, told.reading.rejected) == (2, 2)


def test_an_unreadable_answer_neither_confirms_nor_resets_what_is_held() -> None:
    held = Held(THEN, (SALES, INBOX))

    assert meaning(answer(None), Standing(snapshot=STANDING.snapshot, held=held)).held == held


def test_an_answer_with_a_rejected_row_removes_nothing() -> None:
    told = meaning(answer(SALES._replace(name="Shop"), {"name": "no key"}))

    assert told.snapshot == Snapshot((SALES._replace(name="Shop"), INBOX), NOW)
    assert [change.kind for change in told.changes] == [ChangeKind.RENAMED]


def test_the_share_of_a_mass_removal_is_the_configured_one() -> None:
    rows = tuple(SALES._replace(connector_id=str(number)) for number in range(4))
    standing = Standing(snapshot=Snapshot(rows, THEN), memory=Memory({row.key: THEN for row in rows}))

    held, taken = (
        understand(answer(rows[0]), CONNECTORS, standing, Trust(share, 1000.0), NOW, title) for share in (0.74, 0.75)
    )

    assert (held.held, taken.held) == (Held(NOW, rows[1:]), None)


RECORDS = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "channel": st.sampled_from(["whatsapp", "email", ""]),
            "connector_id": st.integers(0, 4) | st.none(),
            "rp_id": st.sampled_from([0, "0", "5", 6, None]),
            "name": st.text(max_size=3),
        },
    ),
    max_size=8,
)


@given(st.lists(st.builds(lambda records: answer(*records), RECORDS), max_size=6))
def test_whatever_is_answered_what_is_believed_and_told_agree(answers) -> None:
    standing = NOBODY
    for each in answers:
        told = meaning(each, standing)

        assert told.believed or (told.snapshot is standing.snapshot and not told.changes)
        assert standing.snapshot is None or told.snapshot is not None
        assert not told.outcome.is_failure or told.held == standing.held
        standing = Standing(snapshot=told.snapshot, held=told.held, memory=told.memory)


def change(at: float, name: str) -> Change:
    return Change(at, "connectors", ("email", "13"), name, ChangeKind.RENAMED, "", name)


def test_afterwards_the_list_stands_as_the_answer_means() -> None:
    told = meaning(answer(SALES))
    ending, tally = Ending(Outcome.OK, THEN, NOW, 0.5, 1), Tally(polls=3)

    assert stands(STANDING, told, ending, tally) == Standing(
        ending, told.snapshot, told.held, told.memory, tally, told.changes
    )


def test_the_changes_of_the_last_day_are_kept_newest_first() -> None:
    old = tuple(change(NOW - ago, str(ago)) for ago in (1.0, 86399.0, 86400.0, 86401.0))
    new = (change(NOW, "first"), change(NOW, "second"))
    told = meaning(answer(SALES, INBOX))._replace(changes=new)

    standing = stands(Standing(recent=old), told, Ending(Outcome.OK, THEN, NOW, 0.5), Tally())

    assert [each.name for each in standing.recent] == ["second", "first", "1.0", "86399.0"]


@pytest.mark.parametrize(
    ("status", "code", "labels"),
    [
        (200, "200", ("200", "200")),
        (404, None, ("404", "none")),
        (None, None, ("none", "none")),
        (403, "other thing", ("403", "other")),
    ],
)
def test_a_response_is_counted_by_status_and_code(status, code, labels) -> None:
    assert response(Answer(Outcome.OK, status, code)) == labels


CODES: list[Any] = [
    ("0", "0"),
    ("20", "20"),
    ("999", "999"),
    ("1000", "other"),
    ("-1", "other"),
    ("2.0", "other"),
    ("٣", "other"),
    ("²", "other"),
    ("OK", "other"),
    ("", "none"),
    (None, "none"),
]


@pytest.mark.parametrize(("code", "label"), CODES)
def test_a_code_is_a_label_of_few_different_texts(code, label) -> None:
    assert code_label(code) == label


@given(st.text())
def test_no_code_makes_more_than_the_labels_of_three_digits(code) -> None:
    assert code_label(code) in {"none", "other"} or int(code_label(code)) < 1000


def test_an_id_is_called_as_it_is_now_or_else_as_it_last_was() -> None:
    points = (RoutingPoint("5", "Main menu", "", "", "", ""), RoutingPoint("6", "Night desk", "", "", "", ""))
    memory = Memory(titles={("6",): "Old desk", ("7",): "Closed"})

    called = titles(points, memory)

    assert [called(text) for text in ("5", "6", "7", "8", "")] == ["Main menu", "Night desk", "Closed", "", ""]


def test_a_list_whose_entities_have_no_id_calls_nothing() -> None:
    called = titles((TokenInfo("1", "1", "1", "1"),), Memory(titles={(): "token"}))

    assert called("") == ""


def points(*ids: str) -> Standing:
    return Standing(snapshot=Snapshot(tuple(RoutingPoint(each, "", "", "", "", "") for each in ids), THEN))


@pytest.mark.parametrize(
    ("known", "missed"), [(("5", "6"), set()), (("5",), {"6"}), ((), {"5", "6"}), (("6", "7"), {"5"})]
)
def test_the_ids_that_believed_rows_refer_to_and_nobody_knows(known, missed) -> None:
    assert unknown(CONNECTORS, STANDING, points(*known)) == missed


def test_a_connector_that_is_not_routed_refers_to_nothing() -> None:
    standing = Standing(snapshot=Snapshot((SALES._replace(rp_id=""),), THEN))

    assert unknown(CONNECTORS, standing, points()) == frozenset()


@pytest.mark.parametrize(("mine", "other"), [(NOBODY, points("5")), (STANDING, NOBODY), (NOBODY, NOBODY)])
def test_before_both_lists_are_known_nothing_is_missed(mine, other) -> None:
    assert unknown(CONNECTORS, mine, other) == frozenset()


def test_a_list_that_refers_to_none_misses_nothing() -> None:
    assert unknown(POINTS, points("5"), STANDING) == frozenset()
