"""The status pages: what they say of a state, and how they are served over a real socket."""

import gzip
import hashlib
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from filled import HOSTILE, LINES, NOW, POINTS, altered, answers, change, crowd, ended, operation, standing, troubled
from hypothesis import given
from hypothesis import strategies as st
from processes import Reply, ask

from exporter import pages
from exporter.access import Access
from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import FLOWS, RoutingPoint
from exporter.lists.token_info import TokenInfo
from exporter.model import ChangeKind, Operation, Outcome
from exporter.pages.frame import lines, shown
from exporter.pages.lines import MOST
from exporter.pages.notes import Problem, notes
from exporter.pages.routes import NEEDED, Fault, Reason, misrouted, routes
from exporter.pages.times import relative, span, when
from exporter.pages.words import OUTCOMES, REASONS, RULES
from exporter.server import Server, bound
from exporter.site import Site
from exporter.state import Held, Next, OperationState, Rule, Snapshot, State
from exporter.store import StoreError
from exporter.web import Application

ROOT = Path(__file__).parent.parent
FRAME = pages.Frame(NOW, "1.2.3")
RECORDS = pages.Records((change(ChangeKind.RENAMED, before="Old", after="Sales"),), tuple(answers()))


class Text(HTMLParser):
    """What a reader sees of a page, its spaces made one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def seen(html: str) -> str:
    return " ".join(" ".join(Text(html.partition("</style>")[2]).parts).split()).replace(" ,", ",")


def overview(*states: OperationState, query: str = "", show: str = "", **changes) -> str:
    return seen(pages.overview(State(states, **changes), FRAME, query, show))


def page(state: OperationState, query: str = "", records: pages.Records = RECORDS) -> str:
    return seen(pages.operation(state, records, FRAME, LISTS, query))


def told(state: OperationState) -> list[tuple[str, str]]:
    known = routes(state, NOW)
    return [(note.problem, note.what) for note in notes(state, known, misrouted(state, known, NOW).values(), NOW)]


# Times.


@given(st.integers(0, 253_402_300_799))
def test_a_time_is_written_as_the_calendar_has_it(at) -> None:
    assert when(at, NOW).iso == datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def test_a_time_is_told_to_the_second_and_as_seen_from_now() -> None:
    assert when(NOW - 180.4, NOW) == ("2026-11-24T09:51:57Z", "2026-11-24 09:51:57 UTC", "3 min ago")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4800, "1 h 20 min"),
        (86_400, "1 d"),
        (190_800, "2 d 5 h"),
    ],
)
def test_a_duration_has_two_words_at_most(seconds, words) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(("at", "words"), [(0.4, "now"), (-0.4, "now"), (120, "in 2 min"), (-120, "2 min ago")])
def test_a_time_is_before_or_after_now(at, words) -> None:
    assert relative(NOW + at, NOW) == words


# Words.


@pytest.mark.parametrize(("table", "kind"), [(OUTCOMES, Outcome), (RULES, Rule), (REASONS, Reason)])
def test_everything_that_can_be_told_has_words(table, kind) -> None:
    assert set(table) == set(kind)


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_says_in_sentences_what_happened_and_what_to_do(outcome) -> None:
    assert all(text.endswith(".") for text in OUTCOMES[outcome])


def test_a_text_is_one_line_without_signs_that_steer() -> None:
    text = shown(HOSTILE * 8)

    assert text.isprintable()
    assert len(text) == 200
    assert text.startswith('<script>alert("x")</script>')


def test_a_body_keeps_its_lines_alone() -> None:
    assert lines('{\n\t"a": 1}') == '{\n\t"a": 1}'
    assert lines("a\x00b\r\n\u202ec\ud800") == "a\ufffdb\ufffd\n\ufffdc\ufffd"
    assert lines("plain") == "plain"


# Misrouted: the verdict of the alerts.


def test_each_channel_needs_the_flows_that_the_alerts_ask_for() -> None:
    rules = yaml.safe_load((ROOT / "alerts" / "connectors.yml").read_text())["groups"][0]["rules"]
    asked: dict[str, str] = {}
    for rule in rules:
        if rule.get("labels", {}).get("reason") == Reason.FLOW_OFF:
            (channels,) = re.findall(r'channel=~"([^"]+)"', rule["expr"])
            asked |= dict.fromkeys(channels.split("|"), rule["labels"]["flow"])

    assert {channel: " and ".join(flows) for channel, flows in NEEDED.items()} == asked


def verdict(line: Connector, *points: RoutingPoint, ago: float = 60.0, **changes) -> Fault | None:
    state = operation(
        standings={"connectors": standing((line,), **changes), "routing_points": standing(points or POINTS, ago)}
    )
    return misrouted(state, routes(state, NOW), NOW).get(line)


@pytest.mark.parametrize(
    ("channel", "rp_id", "fault"),
    [
        ("whatsapp", "5", None),
        ("whatsapp", "", Fault(Reason.NOT_ROUTED)),
        ("whatsapp", "77", Fault(Reason.UNKNOWN)),
        ("whatsapp", "6", Fault(Reason.FLOW_OFF, "chat")),
        ("email", "6", None),
        ("email", "5", Fault(Reason.FLOW_OFF, "interaction")),
        ("facebook", "5", None),
        ("facebook", "6", None),
        ("pigeon", "6", None),
        ("pigeon", "77", Fault(Reason.UNKNOWN)),
    ],
)
def test_a_connector_is_misrouted_as_the_alerts_say(channel, rp_id, fault) -> None:
    assert verdict(Connector(channel, "1", rp_id, "One")) == fault


def test_a_channel_with_two_flows_needs_one_of_them() -> None:
    both_off = RoutingPoint("5", "Off", "yes", "no", "no", "no")

    assert verdict(Connector("instagram", "1", "5", ""), both_off) == Fault(Reason.FLOW_OFF, "chat and interaction")


def test_a_flow_in_an_unknown_word_is_not_off() -> None:
    assert verdict(Connector("whatsapp", "1", "5", ""), RoutingPoint("5", "Odd", "", "perhaps", "", "")) is None


def test_of_two_rows_with_one_id_the_first_that_knows_speaks() -> None:
    rows = [RoutingPoint("5", "A", "", word, "", "") for word in ("", "no", "yes")]

    assert verdict(Connector("whatsapp", "1", "5", ""), *rows) == Fault(Reason.FLOW_OFF, "chat")


def test_nothing_is_judged_by_stale_routing_points_but_what_has_none() -> None:
    assert verdict(Connector("whatsapp", "1", "77", ""), ago=1801) is None
    assert verdict(Connector("whatsapp", "1", "", ""), ago=1801) == Fault(Reason.NOT_ROUTED)


@pytest.mark.parametrize("kind", [ChangeKind.ADDED, ChangeKind.REROUTED])
def test_a_route_that_is_younger_than_the_routing_points_is_not_judged_yet(kind) -> None:
    line = Connector("whatsapp", "1", "77", "")

    assert verdict(line, recent=(change(kind, line, ago=60),)) is None
    assert verdict(line, recent=(change(kind, line, ago=61),)) == Fault(Reason.UNKNOWN)
    assert verdict(line, recent=(change(ChangeKind.RENAMED, line, ago=1),)) == Fault(Reason.UNKNOWN)


def test_without_a_poll_of_routing_points_nothing_is_judged() -> None:
    state = operation(standings={"connectors": standing((Connector("whatsapp", "1", "77", ""),))})

    assert misrouted(state, routes(state, NOW), NOW) == {}


# What is wrong.


def test_an_operation_that_is_well_has_no_note() -> None:
    assert told(operation()) == []


def test_before_its_first_poll_nothing_is_wrong() -> None:
    assert told(operation(standings={}, next={})) == []


def test_a_poll_that_failed_is_told_with_its_outcome() -> None:
    assert told(altered(operation(), ending=ended(Outcome.TIMEOUT))) == [
        (Problem.FAILING, "connectors: No answer came in time. (timeout)")
    ]


def test_lists_that_failed_alike_are_told_together() -> None:
    state = altered(altered(operation(), ending=ended(Outcome.TIMEOUT)), "token_info", ending=ended(Outcome.TIMEOUT))
    state = altered(state, "routing_points", ending=ended(Outcome.FORBIDDEN))

    assert [what for _, what in told(state)] == [
        "connectors, token_info: No answer came in time. (timeout)",
        "routing_points: wolkvox let nobody in: maintenance, a backup, or its firewall. (forbidden)",
    ]


def test_data_is_stale_after_three_intervals() -> None:
    rows = (LINES[0], LINES[2])

    assert told(altered(operation(), snapshot=Snapshot(rows, NOW - 900))) == []
    assert told(altered(operation(), snapshot=Snapshot(rows, NOW - 901))) == [
        (Problem.STALE, "No answer could be believed of connectors for 15 min.")
    ]


def test_data_is_stale_when_three_polls_brought_none() -> None:
    state = operation(standings={"connectors": standing((), snapshot=None, ending=ended(Outcome.MALFORMED))})

    assert told(state)[1] == (Problem.STALE, "No answer could be believed of connectors yet.")


def test_a_rest_names_its_lists() -> None:
    state = operation(next={"connectors": Next(NOW, Rule.REST), "token_info": Next(NOW, Rule.REST)})

    assert told(state) == [(Problem.RESTING, "An answer imposed a pause on connectors, token_info.")]


def test_the_reserve_is_told() -> None:
    assert told(operation(reserved=True)) == [
        (Problem.RESTING, "Only the reserve is left of the day's calls: polling rests.")
    ]


def test_an_answer_that_is_held_back_says_how_much_it_lacks() -> None:
    lacking = altered(operation(), held=Held(NOW - 60, LINES[:1]))
    empty = altered(operation(), held=Held(NOW - 60, ()))

    assert told(lacking)[0][1].startswith("connectors: the answer of 1 min ago lacks 1 known record. It is held back")
    assert told(empty)[0][1].startswith("connectors: the answer of 1 min ago is empty.")


def test_misrouted_connectors_are_counted_by_reason() -> None:
    assert [what for problem, what in told(troubled()) if problem is Problem.MISROUTED] == [
        "1 connector on a routing point where the flow that the channel needs is off.",
        "1 connector on a routing point that wolkvox does not list.",
        "1 connector without a routing point.",
    ]


def test_without_any_routing_point_it_is_said_once() -> None:
    (note,) = told(altered(operation(), "routing_points", snapshot=Snapshot((), NOW)))

    assert note == (
        Problem.MISROUTED,
        "wolkvox lists no routing point at all: whether connectors lead anywhere cannot be said.",
    )


def test_without_any_routing_point_connectors_that_are_not_routed_need_none() -> None:
    state = altered(operation(), "routing_points", snapshot=Snapshot((), NOW))

    assert told(altered(state, snapshot=Snapshot((), NOW))) == []


def test_a_channel_that_lost_its_last_connector_is_lacking_unless_that_was_meant() -> None:
    gone = (change(ChangeKind.REMOVED, Connector("sms", "1", "5", "One")), change(ChangeKind.REMOVED))
    state = altered(operation(), recent=gone)

    assert told(state) == [(Problem.LACKING, "sms: the last connector was removed.")]
    assert told(replace(state, operation=Operation("acme", "0010", expect={"sms": 0}))) == []


def test_a_channel_with_fewer_connectors_than_expected_is_lacking() -> None:
    state = operation(operation=Operation("acme", "0010", expect={"whatsapp": 2, "email": 1}))

    assert told(state) == [(Problem.LACKING, "whatsapp: 1 connector, 2 expected.")]


# All operations.


def test_an_operation_that_is_well_is_told_in_one_line() -> None:
    assert (
        "acme server 0010, country: co well last 1 min ago next in 4 min data of 1 min ago 610 of 1,000 reserve 100"
        " email 1, whatsapp 1 none"
    ) in overview(operation())


def test_an_operation_that_was_never_polled_says_so() -> None:
    state = operation(standings={}, next={}, operation=Operation("new", "0010"), reserve=0)

    assert "new server 0010 not polled yet never none is planned no data not known none none" in overview(state)


def test_a_problem_is_told_with_what_to_do() -> None:
    text = overview(altered(operation(), ending=ended(Outcome.TOKEN_BUSY)))

    assert (
        "failing connectors: Another program used the token at the same moment. (token_busy)"
        " Nothing, once. If it comes again, make a token for the exporter alone."
    ) in text


def test_what_was_expected_stands_beside_what_is_there() -> None:
    state = operation(operation=Operation("acme", "0010", expect={"whatsapp": 2, "sms": 1}))

    assert "email 1, sms 0 of 1, whatsapp 1 of 2" in overview(state)


def test_the_budget_is_what_is_known_of_it() -> None:
    blank = altered(operation(reserve=0), "token_info", snapshot=Snapshot((TokenInfo("", "", "", "7"),), NOW))
    unread = altered(operation(), "token_info", snapshot=Snapshot((TokenInfo("", "", "", ""),), NOW))
    empty = altered(operation(), "token_info", snapshot=Snapshot((), NOW))

    assert "data of 1 min ago 5 email" in overview(blank)
    assert "data of 1 min ago not known email" in overview(unread)
    assert "data of 1 min ago not known email" in overview(empty)


def test_changes_of_a_day_are_counted_by_kind() -> None:
    recent = [change(ChangeKind.REMOVED), change(ChangeKind.ADDED), change(ChangeKind.REMOVED)]
    state = altered(operation(), recent=(*recent, change(ChangeKind.RENAMED, ago=86_400)))

    assert "2 removed, 1 added" in overview(state)
    assert "renamed" not in overview(state)


def test_the_summary_counts_operations_by_problem() -> None:
    text = overview(operation(), troubled(), altered(operation("beta"), ending=ended(Outcome.TIMEOUT)))

    assert "3 operations 2 failing 1 stale 1 resting 1 held 1 misrouted 1 lacking 1 changed within a day" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["acme", "beta"]),
        ("ACM", ["acme"]),
        ("telegram", ["beta"]),
        ("77", ["beta"]),
        (" night LINE ", ["beta"]),
        ("nothing", []),
    ],
)
def test_a_query_finds_operations_channels_and_connectors(query, names) -> None:
    beta = operation("beta", standings={"connectors": standing((Connector("telegram", "77", "5", "Night line"),))})

    text = pages.overview(State((operation(), beta)), FRAME, query)

    assert re.findall(r'href="operations/(\w+)', text) == names


def test_a_connector_that_was_found_stays_found_on_the_page_of_its_operation() -> None:
    assert 'href="operations/acme?q=SALES+%26#connectors"' not in pages.overview(
        State((operation(),)), FRAME, "SALES &"
    )
    assert 'href="operations/acme?q=SALES#connectors"' in pages.overview(State((operation(),)), FRAME, "SALES")


def test_names_that_are_not_shown_are_not_searched() -> None:
    assert "None of 1 operations is found." in overview(operation(names=False), query="sales")


@pytest.mark.parametrize("show", [*Problem, "problems", "changed"])
def test_what_is_asked_for_is_shown_alone(show) -> None:
    text = overview(operation(), troubled(), show=show)

    assert "1 of 2 operations" in text
    assert "trouble server 0010" in text
    assert "acme" not in text


def test_what_nobody_knows_shows_all() -> None:
    assert "2 of 2 operations" in overview(operation(), operation("beta"), show="wonders")


def test_tiles_keep_the_query() -> None:
    text = pages.overview(State((operation(),)), FRAME, "a&b")

    assert 'href="?q=a%26b&amp;show=failing"' in text
    assert 'value="a&amp;b"' in text


def test_a_storage_that_cannot_be_written_is_said_first() -> None:
    assert "Calls cannot be written down, so none is made." in overview(operation(), storage_healthy=False)
    assert "Calls cannot be written down" not in overview(operation())


def test_without_operations_there_is_a_sentence() -> None:
    assert "No operation is configured." in overview()


# One operation.


def test_each_list_is_told_with_outcome_times_and_the_rule_that_binds() -> None:
    text = page(operation())

    assert (
        "connectors every 5 min ok wolkvox answered. 2026-11-24 09:53:58 UTC (1 min ago)"
        " 2026-11-24 09:53:58 UTC (1 min ago) 2026-11-24 09:58:58 UTC (in 4 min)"
        " one interval after the last answer 3 / 0 / 0"
    ) in text


def test_a_list_that_was_never_polled_says_so() -> None:
    text = page(operation(standings={}, next={}))

    assert "connectors every 5 min not polled yet never never none is planned none" in text
    assert "No connector is known." in text
    assert "No routing point is known." in text
    assert "What to look at" not in text


def test_connectors_that_need_a_look_come_first() -> None:
    text = pages.operation(troubled(), RECORDS, FRAME, LISTS)

    ids = re.findall(r'<td role="cell">(\d+)</td>\n<td role="cell">\w', text)
    assert ids == ["12", "14", "666", "15", "16", "13"]


def test_a_misrouted_connector_is_marked_with_what_to_do() -> None:
    assert (
        "Bookings whatsapp 14 6 Night desk misrouted on a routing point where the flow that the channel needs is off"
        " (chat). Switch the flow on in Studio, or give the connector another routing point in Manager."
    ) in page(troubled())


def test_a_missing_connector_is_marked() -> None:
    assert "Sales whatsapp 12 5 Main menu missing in the answer of 1 min ago, which is not believed yet." in page(
        troubled()
    )


@pytest.mark.parametrize(
    ("query", "number"), [("", 2), ("SALES", 1), ("email", 1), ("13", 1), ("main menu", 1), ("zz", 0)]
)
def test_connectors_are_searched_by_all_that_is_shown_of_them(query, number) -> None:
    text = page(operation(), query)

    assert (f"{number} of 2 connectors" if number else "None of 2 connectors is found.") in text


def test_of_very_many_connectors_the_first_are_shown() -> None:
    rows = tuple(Connector("email", str(n), "6", "x") for n in range(MOST + 1))

    text = page(operation(standings={"connectors": standing(rows)}))

    assert f"{MOST + 1} of {MOST + 1} connectors, the first {MOST} are shown" in text


def test_routing_points_are_told_with_flows_and_what_leads_there() -> None:
    text = page(operation())

    assert (
        f"Routing point Id {' '.join(FLOWS)} Connectors Main menu 5 on on off off 1 Night desk 6 on off on off 1"
        in text
    )


def test_the_journal_is_told_with_before_and_after() -> None:
    news = change(ChangeKind.REROUTED, before="5", after="6", before_name="Main menu", after_name="Night desk")

    text = page(operation(), records=pages.Records((news,)))

    assert "2026-11-24 08:54:58 UTC (1 h ago) Sales whatsapp 12 rerouted 5 (Main menu) 6 (Night desk)" in text


def test_an_answer_is_told_with_all_that_came() -> None:
    text = page(operation())

    assert (
        "ok connectors, 2026-11-24 09:53:58 UTC (1 min ago) HTTP 200 · code 200 · 0.31 s · 12,345 bytes Rejected:"
        " record 3 has no connector_id Body of the answer of 2026-11-24 09:53:58 UTC"
        ' {"code":"200","data":[{"channel":"whatsapp","connector_id":"12","name":"Sales"}]}'
    ) in text
    assert "no HTTP status · 5.00 s · 0 bytes connection refused No body." in text


def test_without_journal_and_answers_there_are_sentences() -> None:
    text = page(operation(), records=pages.Records())

    assert "Changes None is known." in text
    assert "Answers of the API None is kept." in text


def test_a_fault_of_the_storage_is_a_sentence() -> None:
    text = page(operation(), records=pages.Records(fault="store data/state.db: disk I/O error"))

    assert "The storage could not be read: store data/state.db: disk I/O error" in text
    assert "None is known while the storage cannot be read." in text


def test_names_that_may_not_be_shown_are_nowhere() -> None:
    text = page(operation(names=False))

    assert "Sales" not in text
    assert "Inbox" not in text
    assert "The body is not shown, since names of connectors are not (connector_names: false)." in text
    assert "Body of the answer of 2026-11-24 09:38:58 UTC" in text, "token_info holds no names"


def test_an_answer_of_an_unknown_list_may_hold_names() -> None:
    odd = answers()[0]._replace(list="services")

    assert "Sales" not in page(operation(names=False), records=pages.Records((), (odd,)))


# Over a real socket.


class Bound:
    """The application as a visitor meets it who is bound to these operations."""

    def __init__(self, application: Application, *names: str) -> None:
        self.application, self.names = application, names

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["access"] = Access(frozenset(self.names))
        await self.application(scope, receive, send)


@contextmanager
def served(site: Site, *names: str) -> Iterator[str]:
    application = Application(site)
    server = Server(Bound(application, *names) if names else application, bound([("127.0.0.1", 0)]))
    server.start()
    try:
        yield server.addresses[0]
    finally:
        server.quit()
        server.join()


@pytest.fixture(scope="module")
def site() -> Site:
    state = State((operation(), troubled()))
    return Site(
        page=lambda: None,
        state=lambda: state,
        changes=lambda _since, name, _limit: [(str(name), change(ChangeKind.REMOVED, before=HOSTILE))],
        is_alive=lambda: True,
        version="1.2.3",
        lists=LISTS,
        now=lambda: NOW,
        answers=lambda _: answers(),
    )


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    with served(site) as found:
        yield found


PATHS = ["/", "/operations/acme", "/operations/trouble", "/operations/nobody"]


def failing(*_: object) -> list[Any]:
    raise StoreError("store data/state.db: disk I/O error")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_kept_by_nobody_and_runs_nothing(address, path) -> None:
    reply = ask(address, path)

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "same-origin"
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert reply.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_script_and_nothing_from_outside(address, path) -> None:
    html = ask(address, path).text

    assert not re.search(r"<script|<iframe|<img|<link|\ssrc=|\son\w+=|\sstyle=|@import|url\(", html)
    links = re.findall(r'(?:href|action)="([^"]*)"', html)
    assert links
    assert not [link for link in links if link.startswith("/") or ":" in link]


@pytest.mark.parametrize("path", PATHS)
def test_hostile_texts_stay_texts(address, path) -> None:
    html = ask(address, path).text

    assert "<script" not in html
    assert not [sign for sign in html if not sign.isprintable() and sign not in "\n\t"]


def test_hostile_queries_stay_texts(address) -> None:
    for path in ("/", "/operations/acme"):
        html = ask(address, path + '?q="><script>%00%E2%80%AE%ff' + "x" * 5000).text

        assert 'value="&#34;&gt;&lt;script&gt;' in html
        assert "<script" not in html


def test_an_unknown_operation_is_404_in_a_sentence(address) -> None:
    reply = ask(address, "/operations/nobody")

    assert reply.status == 404
    assert "No operation of this name is configured." in reply.text
    assert "nobody" not in reply.text


@pytest.mark.parametrize("path", ["/operations", "/operations/", "/operations/acme/", "/operations/a/b"])
def test_what_is_no_page_is_404(address, path) -> None:
    assert (ask(address, path).status, ask(address, path).text) == (404, "Not Found")


@pytest.mark.parametrize("path", ["/", "/operations/acme"])
def test_before_the_first_state_a_page_is_503(site, path) -> None:
    with served(replace(site, state=lambda: None)) as address:
        reply = ask(address, path)

    assert (reply.status, reply.text) == (503, "the first page is not rendered yet\n")


@pytest.mark.parametrize("source", ["changes", "answers"])
def test_a_storage_that_fails_is_a_sentence_on_the_page(site, source) -> None:
    with served(replace(site, **{source: failing})) as address:
        reply = ask(address, "/operations/acme")

    assert reply.status == 200
    assert "The storage could not be read: store data/state.db: disk I/O error" in seen(reply.text)


def test_the_page_is_compressed_for_those_who_want_it(address) -> None:
    plain, packed = ask(address, "/"), ask(address, "/", Accept_Encoding="gzip")

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_the_page_links_the_metrics_where_they_are(site) -> None:
    with served(replace(site, telemetry_path="/stats/wolkvox")) as address:
        assert 'href="stats/wolkvox"' in ask(address, "/").text
        assert 'href="../stats/wolkvox"' in ask(address, "/operations/acme").text


def test_a_poll_may_be_asked_for_where_the_life_cycle_is_steered(site) -> None:
    with served(replace(site, reload=lambda: "")) as address:
        html = ask(address, "/operations/acme").text

    assert '<form method="post" action="../-/poll?operation=acme">' in html


def test_else_there_is_no_such_form(address) -> None:
    assert "<form method" not in ask(address, "/operations/acme").text


def test_many_pages_at_once_are_drawn_one_after_the_other(site) -> None:
    state = crowd(50, 20)
    with served(replace(site, state=lambda: state)) as address:
        code = f"import urllib.request as u; print(u.urlopen('http://{address}/').status)"
        askers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]

        assert [asker.communicate(timeout=20)[0] for asker in askers] == [b"200\n"] * 4


def bound_to(site: Site, path: str) -> Reply:
    with served(site, "acme") as address:
        return ask(address, path)


def test_a_bound_visitor_sees_a_part(site) -> None:
    reply = bound_to(replace(site, state=lambda: State((operation(), troubled()), storage_healthy=False)), "/")

    assert "1 of 1 operation" in seen(reply.text)
    assert "trouble" not in reply.text
    assert "1.2.3" not in reply.text
    assert "Calls cannot be written down" not in reply.text


def test_what_a_visitor_may_not_see_looks_as_if_it_were_not_there(site) -> None:
    hidden, unknown = bound_to(site, "/operations/trouble"), bound_to(site, "/operations/nobody")

    assert hidden.status == unknown.status == 404
    assert hidden.text == unknown.text
    assert bound_to(site, "/operations/acme").status == 200


def test_an_exporter_that_is_only_scraped_loads_no_templates() -> None:
    code = "import sys, exporter.wiring; print('jinja2' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout == "False\n"


# Golden.


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("overview", lambda: pages.overview(State((operation(), troubled())), FRAME)),
        ("operation", lambda: pages.operation(troubled(), RECORDS, FRAME, LISTS)),
    ],
)
def test_the_page_is_the_golden_one(name, html) -> None:
    path = ROOT / "tests" / "golden" / f"{name}.html"
    (main,) = re.findall(r"<main.*</main>\n", html(), re.DOTALL)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(main, encoding="utf-8")

    assert main == path.read_text(encoding="utf-8")
