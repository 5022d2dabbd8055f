"""What the log says of an ended call: one event each, with what is needed to act on it."""

import pytest

from exporter import report
from exporter.lists.connectors import Connector
from exporter.model import Answer, Change, ChangeKind, Outcome
from exporter.report import MOST_NAMED
from exporter.state import Ending, Held, Next, Rule

KEY = ("whatsapp", "12")
FAILED = Ending(Outcome.FORBIDDEN, 1.0, 2.0, 0.5)
ANSWERED = Ending(Outcome.OK, 1.0, 2.0, 0.5, records=7)
REROUTED = Change(1.0, "connectors", KEY, "Sales", ChangeKind.REROUTED, "5", "6", "Main menu", "Night desk")
RENAMED = Change(1.0, "connectors", KEY, "Ventas", ChangeKind.RENAMED, "Sales", "Ventas")


def test_a_failure_is_a_warning_with_what_came_and_when_it_goes_on(quiet_log) -> None:
    answer = Answer(Outcome.FORBIDDEN, status=403, detail="maintenance")

    report.ended("acme", "connectors", FAILED, answer, Next(600.4, Rule.INTERVAL))

    assert quiet_log == [
        {
            "event": "poll failed",
            "log_level": "warning",
            "operation": "acme",
            "list": "connectors",
            "outcome": "forbidden",
            "status": 403,
            "detail": "maintenance",
            "records": 0,
            "next": 600,
        }
    ]


def test_an_answer_is_for_those_who_debug(quiet_log) -> None:
    report.ended("acme", "connectors", ANSWERED, Answer(Outcome.OK, status=200), None)

    (event,) = quiet_log
    assert (event["event"], event["log_level"], event["records"], event["next"]) == ("poll", "debug", 7, None)
    assert event["detail"] is None


def test_rejected_rows_are_counted(quiet_log) -> None:
    report.rejected("acme", "connectors", ANSWERED._replace(rejected=2))

    assert [(event["log_level"], event["rejected"]) for event in quiet_log] == [("warning", 2)]


@pytest.mark.parametrize(("names", "first"), [(True, "whatsapp 12 Sales, x 1"), (False, "whatsapp 12, x 1")])
def test_a_held_answer_names_what_it_lacks(quiet_log, names, first) -> None:
    lacking = (Connector("whatsapp", "12", "5", "Sales"), Connector("x", "1", "", ""))

    report.held("acme", "connectors", Held(1.0, lacking), names=names)

    (event,) = quiet_log
    assert (event["missing"], event["first"]) == (2, first)


def test_a_held_answer_that_lacks_very_much_names_the_first(quiet_log) -> None:
    held = Held(1.0, tuple(Connector("sms", str(n), "", "") for n in range(5000)))
    report.held("acme", "connectors", held, names=True)

    (event,) = quiet_log
    assert event["missing"] == 5000
    assert event["first"].count(",") == MOST_NAMED - 1


def test_a_change_is_one_line_with_before_and_after(quiet_log) -> None:
    report.changed("acme", REROUTED, names=True)

    assert quiet_log == [
        {
            "event": "changed",
            "log_level": "info",
            "operation": "acme",
            "list": "connectors",
            "change": "rerouted",
            "key": "whatsapp 12",
            "name": "Sales",
            "before": "5",
            "after": "6",
            "before_name": "Main menu",
            "after_name": "Night desk",
        }
    ]


def test_without_names_a_reroute_keeps_its_routing_points(quiet_log) -> None:
    report.changed("acme", REROUTED, names=False)

    (event,) = quiet_log
    assert (event["name"], event["before"], event["after_name"]) == (None, "5", "Night desk")


def test_without_names_a_rename_says_that_there_was_one(quiet_log) -> None:
    report.changed("acme", RENAMED, names=False)

    (event,) = quiet_log
    assert event["change"] == "renamed"
    assert (event["name"], event["before"], event["after"]) == (None, None, None)
    assert "Sales" not in str(event)
