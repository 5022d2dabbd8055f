"""What the pages tell of changes: counted for ever, named for a day, warned of before they are believed."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

from conftest import CANARY, Exporter, setup_for
from prometheus_client.parser import text_string_to_metric_families as families

from exporter import api
from exporter.encoding import Format
from exporter.lists import LISTS
from exporter.model import DAY
from exporter.page import Renderer
from exporter.wiring import vitals

TOTAL = "wolkvox_connector_changes_total"
CHANGED = "wolkvox_connector_change_timestamp_seconds"
MISSING = "wolkvox_connector_missing_timestamp_seconds"
FIRST_SEEN = "wolkvox_connector_first_seen_timestamp_seconds"
KINDS = ("added", "removed", "renamed", "rerouted")


def page(exporter: Exporter) -> str:
    return Renderer(LISTS, vitals(about_process=False)).page(exporter.state).body(Format.TEXT, compress=False).decode()


def samples(exporter: Exporter, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series of this name on the page."""
    return [
        (each.labels, each.value) for family in families(page(exporter)) for each in family.samples if each.name == name
    ]


def counted(exporter: Exporter) -> dict[tuple[str, str], float]:
    return {(labels["channel"], labels["change"]): value for labels, value in samples(exporter, TOTAL)}


def told(exporter: Exporter) -> set[tuple[str, str]]:
    return {(labels["connector_id"], labels["change"]) for labels, _ in samples(exporter, CHANGED)}


def connectors(exporter: Exporter) -> dict[tuple[str, str], float]:
    return {(each["channel"], each["rp_id"]): value for each, value in samples(exporter, "wolkvox_connectors")}


def poll(exporter: Exporter, name: str = "connectors") -> None:
    """Moves the clock to the list's next call, and makes it."""
    exporter.clock.advance(max(0.0, exporter.operation().next[name].at - exporter.clock.wall))
    exporter.turn()


# Counted.


def test_every_kind_begins_at_zero_for_each_channel_of_the_baseline(exporter) -> None:
    exporter.turn()

    assert counted(exporter) == {(channel, kind): 0 for channel in ("whatsapp", "email") for kind in KINDS}
    assert told(exporter) == set()


def test_a_new_channel_begins_with_its_first_change(exporter, api) -> None:
    exporter.turn()
    api.connect("sms", "77", rp_id="5", name="Alerts")
    poll(exporter)

    assert [counted(exporter)["sms", kind] for kind in KINDS] == [1, 0, 0, 0]


def test_a_rename_and_a_reroute_at_once_are_two_changes(exporter, api) -> None:
    exporter.turn()
    api.connect("whatsapp", "12", rp_id="6", name="Ventas")
    poll(exporter)

    assert [counted(exporter)["whatsapp", kind] for kind in KINDS] == [0, 0, 1, 1]
    assert told(exporter) == {("12", "renamed"), ("12", "rerouted")}


def test_counters_of_a_channel_that_went_stay_over_restart_and_prune(exporter, api, clock) -> None:
    exporter.turn()
    api.disconnect("email", "13")
    poll(exporter)
    before = counted(exporter)
    clock.advance(100 * DAY)
    exporter.turns(700)
    exporter.restart()
    exporter.turn()

    assert before["email", "removed"] == 1
    assert counted(exporter) == before
    assert exporter.store.changes(0.0, None, 10) == []


# Named.


def test_a_reroute_is_told_with_both_routing_points_and_their_names(exporter, api) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    poll(exporter)

    ((labels, at),) = samples(exporter, CHANGED)
    assert labels == {
        "operation": "acme",
        "channel": "whatsapp",
        "connector_id": "12",
        "name": "Sales",
        "change": "rerouted",
        "before": "5",
        "after": "6",
        "before_name": "Main menu",
        "after_name": "Night desk",
    }
    assert at == exporter.standing().ending.finished


def test_a_routing_point_that_is_gone_is_told_by_its_last_known_name(exporter, api) -> None:
    exporter.turn()
    api.unroute("5")
    poll(exporter, "routing_points")
    api.reroute("whatsapp", "12", "6")
    poll(exporter)

    ((labels, _),) = samples(exporter, CHANGED)
    assert (labels["before"], labels["before_name"]) == ("5", "Main menu")


def test_a_removal_tells_where_it_led_and_a_rename_both_names(exporter, api) -> None:
    exporter.turn()
    api.disconnect("email", "13")
    api.rename("whatsapp", "12", "Ventas")
    poll(exporter)

    by_kind = {labels["change"]: labels for labels, _ in samples(exporter, CHANGED)}
    assert (by_kind["removed"]["name"], by_kind["removed"]["before"], by_kind["removed"]["after"]) == ("Inbox", "6", "")
    assert by_kind["removed"]["before_name"] == "Night desk"
    assert (by_kind["renamed"]["before"], by_kind["renamed"]["after"]) == ("Sales", "Ventas")


def test_a_removal_ends_when_the_connector_returns_and_it_was_first_seen_when_it_was(exporter, api) -> None:
    exporter.turn()
    seen = samples(exporter, FIRST_SEEN)
    api.disconnect("email", "13")
    poll(exporter)
    gone = told(exporter), samples(exporter, FIRST_SEEN)
    api.connect("email", "13", rp_id="6", name="Inbox")
    poll(exporter)

    assert gone == ({("13", "removed")}, seen[:1])
    assert told(exporter) == {("13", "added")}
    assert samples(exporter, FIRST_SEEN) == seen


def test_a_change_ends_after_a_day_though_every_poll_fails(exporter, api, clock) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    poll(exporter)
    at = samples(exporter, CHANGED)[0][1]
    api.play("server_error_500")
    clock.advance(at + DAY - 1 - clock.wall)
    exporter.turn()
    before = told(exporter)
    clock.advance(1)
    exporter.turn()

    assert before == {("12", "rerouted")}
    assert told(exporter) == set()
    assert exporter.standing().ending.outcome.is_failure


def test_a_change_ends_after_a_day_though_nothing_can_be_polled_or_read(exporter, api, clock) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    poll(exporter)
    calls = exporter.standing().tally.polls
    with closing(sqlite3.connect(exporter.folder / "state.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        clock.advance(DAY)
        exporter.turn()
        holder.execute("ROLLBACK")

    assert told(exporter) == set()
    assert exporter.standing().tally.polls == calls


def test_after_a_restart_the_changes_of_the_day_are_told_again(exporter, api) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    poll(exporter)
    before = samples(exporter, CHANGED)
    exporter.restart()
    exporter.turn()

    assert samples(exporter, CHANGED) == before


def test_a_mass_change_is_counted_whole_and_named_a_hundred_times(exporter, api) -> None:
    rows = [{"channel": "sms", "connector_id": str(n), "rp_id": "5", "name": f"n{n}"} for n in range(130)]
    api.replace_connectors(rows)
    exporter.turn()
    api.replace_connectors([{**row, "rp_id": "6", "name": "all"} for row in rows])
    poll(exporter)

    assert counted(exporter)["sms", "rerouted"] == counted(exporter)["sms", "renamed"] == 130
    assert len(told(exporter)) == 100
    assert {kind for _, kind in told(exporter)} == {"rerouted"}


def test_each_change_is_one_line_of_the_log(exporter, api, quiet_log) -> None:
    exporter.turn()
    api.connect("whatsapp", "12", rp_id="6", name="Ventas")
    api.disconnect("email", "13")
    poll(exporter)
    exporter.restart()
    exporter.turn()

    lines = [(event["key"], event["change"]) for event in quiet_log if event["event"] == "changed"]
    assert sorted(lines) == [
        ("email 13", "removed"),
        ("whatsapp 12", "renamed"),
        ("whatsapp 12", "rerouted"),
    ]


# Warned of, and believed.


def test_the_last_connector_is_warned_of_by_name_after_one_answer_and_believed_after_two(exporter, api) -> None:
    api.disconnect("email", "13")
    exporter.turn()
    api.disconnect("whatsapp", "12")
    poll(exporter)
    ((labels, since),) = samples(exporter, MISSING)
    removed, warned = counted(exporter)["whatsapp", "removed"], connectors(exporter)
    poll(exporter)
    believed = samples(exporter, CHANGED)[0][1]

    assert (labels["connector_id"], labels["rp_id"], labels["name"]) == ("12", "5", "Sales")
    assert since == believed - 300
    assert removed == 0
    assert warned == {("whatsapp", "5"): 1}
    assert samples(exporter, MISSING) == []
    assert told(exporter) == {("12", "removed")}
    assert connectors(exporter) == {("whatsapp", "5"): 0}


def test_connectors_that_are_back_were_never_gone(exporter, api) -> None:
    exporter.turn()
    api.play("empty_404", api="connectors", times=1)
    poll(exporter)
    missing = {labels["connector_id"] for labels, _ in samples(exporter, MISSING)}
    poll(exporter)

    assert missing == {"12", "13"}
    assert samples(exporter, MISSING) == []
    assert set(counted(exporter).values()) == {0}


def test_what_is_missing_is_still_told_after_a_restart(exporter, api) -> None:
    exporter.turn()
    api.play("empty_404", api="connectors", times=1)
    poll(exporter)
    before = samples(exporter, MISSING)
    exporter.restart()
    exporter.turn()

    assert samples(exporter, MISSING) == before


def test_an_emptied_pair_stays_at_zero_until_the_retention_ends(exporter, api, clock) -> None:
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    poll(exporter)
    emptied = connectors(exporter)
    clock.advance(90 * DAY)
    exporter.turns(700)

    assert emptied == {("whatsapp", "5"): 0, ("whatsapp", "6"): 1, ("email", "6"): 1}
    assert connectors(exporter) == {("whatsapp", "6"): 1, ("email", "6"): 1}


def test_a_pair_that_fills_again_counts_again(exporter, api) -> None:
    exporter.turn()
    for rp_id in ("6", "5"):
        api.reroute("whatsapp", "12", rp_id)
        poll(exporter)

    assert connectors(exporter) == {("whatsapp", "5"): 1, ("whatsapp", "6"): 0, ("email", "6"): 1}


# Hidden.


def test_without_names_no_page_and_no_answer_holds_one(exporter, api, simulator, clock) -> None:
    exporter.turn()
    exporter.poller.configure(replace(exporter.setup, names=False))
    api.connect("whatsapp", "12", rp_id="6", name="Ventas")
    api.disconnect("email", "13")
    poll(exporter)
    api.play("empty_404", api="connectors", times=1)
    poll(exporter)

    everything = page(exporter) + json.dumps(answers(exporter))
    assert told(exporter) == {("12", "renamed"), ("12", "rerouted"), ("13", "removed")}
    assert len(samples(exporter, MISSING)) == 1
    assert not {"Sales", "Ventas", "Inbox"} & set(everything.replace('"', " ").split())
    assert "Night desk" in everything


def answers(exporter: Exporter) -> list[object]:
    """What /api/v1 gives out."""
    spec, names = LISTS["connectors"], exporter.setup.names and exporter.operation().names
    journal = exporter.store.changes(0.0, None, 100)
    assert len(journal) == 3
    return [
        api.operations(exporter.state),
        list(api.rows(exporter.state, spec, None)),
        [api.change(name, each, spec, names=names) for name, each in journal],
    ]


def test_the_setup_of_two_operations_tells_each_by_its_name(simulator, api, clock, tmp_path) -> None:
    simulator.add("beta", token=f"{CANARY}-b", server="0010", limit=1000).connect("sms", "1", rp_id="5", name="One")
    exporter = Exporter(tmp_path / "two", clock, setup_for(simulator, {"acme": CANARY, "beta": f"{CANARY}-b"}, clock))
    exporter.turn()
    api.disconnect("email", "13")
    exporter.turns(700)

    assert {(each["operation"], each["change"]) for each, _ in samples(exporter, CHANGED)} == {("acme", "removed")}
    assert {each["operation"] for each, _ in samples(exporter, TOTAL)} == {"acme", "beta"}
    exporter.close()
