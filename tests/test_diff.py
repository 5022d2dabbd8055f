"""Changes between two believed snapshots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.diff import diff
from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.model import Change, ChangeKind

AT = 1_790_000_000.0
CONNECTORS = LISTS["connectors"]
SALES = Connector("whatsapp", "12", "5", "Sales")
INBOX = Connector("email", "13", "6", "Inbox")
POINTS = {"5": "Main menu", "6": "Night desk"}


def title(listed: str, text: str) -> str:
    return POINTS.get(text, "") if listed == "routing_points" else f"{text} of {listed}"


def changes(before, after) -> tuple[Change, ...]:
    return diff(before, after, CONNECTORS, AT, title)


def test_a_new_connector_is_told_with_where_it_leads() -> None:
    change = Change(AT, "connectors", ("email", "13"), "Inbox", ChangeKind.ADDED, "", "6", "", "Night desk")

    assert changes([SALES], [SALES, INBOX]) == (change,)


def test_a_connector_that_went_is_told_with_where_it_led() -> None:
    change = Change(AT, "connectors", ("whatsapp", "12"), "Sales", ChangeKind.REMOVED, "5", "", "Main menu", "")

    assert changes([SALES, INBOX], [INBOX]) == (change,)


def test_a_rerouted_connector_is_told_with_both_routing_points() -> None:
    rerouted = ChangeKind.REROUTED
    change = Change(AT, "connectors", ("whatsapp", "12"), "Sales", rerouted, "5", "6", "Main menu", "Night desk")

    assert changes([SALES], [SALES._replace(rp_id="6")]) == (change,)


def test_a_renamed_connector_is_told_with_both_names_and_under_the_new_one() -> None:
    change = Change(AT, "connectors", ("whatsapp", "12"), "Shop", ChangeKind.RENAMED, "Sales", "Shop", "", "")

    assert changes([SALES], [SALES._replace(name="Shop")]) == (change,)


def test_a_connector_that_is_renamed_and_rerouted_at_once_is_two_changes() -> None:
    told = changes([SALES], [SALES._replace(name="Shop", rp_id="6")])

    assert [(change.kind, change.name) for change in told] == [
        (ChangeKind.REROUTED, "Shop"),
        (ChangeKind.RENAMED, "Shop"),
    ]


def test_a_connector_that_is_no_longer_routed_has_a_blank_after() -> None:
    (change,) = changes([SALES], [SALES._replace(rp_id="")])

    assert (change.before, change.after, change.before_name, change.after_name) == ("5", "", "Main menu", "")


def test_a_routing_point_without_a_known_name_is_told_by_its_id() -> None:
    (change,) = changes([SALES], [SALES._replace(rp_id="99")])

    assert (change.after, change.after_name) == ("99", "")


def test_a_connector_without_a_name_is_told_without_one() -> None:
    (change,) = changes([], [SALES._replace(name="")])

    assert change.name == ""


def test_one_id_on_two_channels_is_two_connectors() -> None:
    told = changes([SALES], [SALES._replace(channel="telegram")])

    assert [(change.key, change.kind) for change in told] == [
        (("telegram", "12"), ChangeKind.ADDED),
        (("whatsapp", "12"), ChangeKind.REMOVED),
    ]


def test_changes_come_in_the_order_of_their_keys() -> None:
    keys = [("b", "2"), ("a", "2"), ("a", "10"), ("b", "1")]

    told = changes([], [Connector(*key, "5", "") for key in keys])

    assert [change.key for change in told] == [("a", "10"), ("a", "2"), ("b", "1"), ("b", "2")]


def test_rows_that_share_a_key_are_compared_as_sets() -> None:
    one, other = SALES, SALES._replace(rp_id="6", name="Shop")

    assert changes([one, other], [other, one, one]) == ()


def test_rows_that_share_a_key_are_told_together() -> None:
    before = [SALES._replace(rp_id="6", name="Shop"), SALES]
    after = [SALES._replace(rp_id="7"), SALES._replace(name="Shop")]

    change = Change(
        AT,
        "connectors",
        ("whatsapp", "12"),
        "Sales, Shop",
        ChangeKind.REROUTED,
        "5, 6",
        "5, 7",
        "Main menu, Night desk",
        "Main menu",
    )
    assert changes(before, after) == (change,)


def test_a_blank_text_among_several_of_one_key_is_told_as_a_dash() -> None:
    (change,) = changes([SALES, SALES._replace(rp_id="")], [SALES])

    assert (change.before, change.after) == ("-, 5", "5")


def test_a_removal_of_rows_that_share_a_key_is_one_change() -> None:
    told = changes([SALES, SALES._replace(rp_id="6")], [])

    assert [(change.kind, change.name, change.before) for change in told] == [(ChangeKind.REMOVED, "Sales", "5, 6")]


def test_a_list_whose_fields_are_not_watched_has_no_changes() -> None:
    point = RoutingPoint("5", "Main menu", "yes", "yes", "no", "no")

    assert diff([], [point], LISTS["routing_points"], AT, title) == ()


ROWS = st.lists(
    st.builds(
        Connector,
        st.sampled_from(["whatsapp", "email"]),
        st.sampled_from("123"),
        st.sampled_from(["", "5", "6", "7"]),
        st.sampled_from(["", "Sales", "Shop"]),
    ),
    max_size=8,
)


def keys(rows) -> set[tuple[str, ...]]:
    return {row.key for row in rows}


def of_kind(told, kind) -> set[tuple[str, ...]]:
    return {change.key for change in told if change.kind is kind}


@given(ROWS)
def test_nothing_differs_from_itself(rows) -> None:
    assert changes(rows, rows) == ()


@given(st.data())
def test_neither_order_nor_repetition_is_a_change(data) -> None:
    rows = data.draw(ROWS)

    assert changes(rows, data.draw(st.permutations(rows * 2))) == ()


@given(ROWS, ROWS)
def test_applying_what_was_added_and_removed_gives_the_keys_of_after(before, after) -> None:
    told = changes(before, after)
    added, removed = of_kind(told, ChangeKind.ADDED), of_kind(told, ChangeKind.REMOVED)

    assert keys(before) - removed | added == keys(after)
    assert added.isdisjoint(keys(before))
    assert removed <= keys(before)


@given(ROWS, ROWS)
def test_only_what_stays_is_renamed_or_rerouted(before, after) -> None:
    told = changes(before, after)

    stayed = keys(before) & keys(after)
    assert of_kind(told, ChangeKind.RENAMED) | of_kind(told, ChangeKind.REROUTED) <= stayed


@given(ROWS, ROWS)
def test_the_way_back_undoes_every_change(before, after) -> None:
    there, back = changes(before, after), changes(after, before)

    assert [(change.key, change.before, change.after) for change in there] == [
        (change.key, change.after, change.before) for change in back
    ]


@given(ROWS, ROWS)
def test_a_change_is_told_once_in_order_and_with_its_time(before, after) -> None:
    told = changes(before, after)

    marks = [(change.key, change.kind) for change in told]
    assert len(set(marks)) == len(marks)
    assert [key for key, _ in marks] == sorted(key for key, _ in marks)
    assert {(change.at, change.list) for change in told} <= {(AT, "connectors")}


@pytest.mark.parametrize(("before", "after"), [([], []), ([SALES, INBOX], [INBOX, SALES])])
def test_the_same_connectors_are_no_change(before, after) -> None:
    assert changes(before, after) == ()
