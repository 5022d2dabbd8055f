"""POSTs: a poll that is asked for comes at its next legal second, however often it is asked for; a reload; who may.

The simulator judges each call by the shortest interval that the API allows, for every list.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf

import pytest
from conftest import CANARY, START, Exporter, setup_for
from processes import Reply, ask
from starlette.requests import Request
from starlette.types import ASGIApp

from exporter.access import Access
from exporter.lists import LISTS
from exporter.model import HOUR, Operation
from exporter.schedule import pace
from exporter.server import Server, bound
from exporter.simulator import Simulator
from exporter.site import Site
from exporter.state import Asked, OperationState, Rule, State
from exporter.steering import is_foreign
from exporter.web import Application

LISTED = ("connectors", "routing_points", "token_info")
SLOW = dict.fromkeys(LISTED, 6 * HOUR)
PACE = pace("acme", 1.0, None)
STATE = State(tuple(OperationState(Operation(name, "0010"), {"connectors": 300.0}, {}) for name in ("acme", "beta")))


@pytest.fixture
def simulator(clock) -> Iterator[Simulator]:
    with Simulator(interval=300.0, now=lambda: clock.true, wall=lambda: clock.wall) as running:
        yield running


@pytest.fixture
def slow(api, simulator, clock, tmp_path) -> Iterator[Exporter]:
    """An exporter that polls each list every six hours, and did so just now."""
    exporter = Exporter(tmp_path / "slow", clock, setup_for(simulator, {"acme": CANARY}, clock, intervals=SLOW))
    exporter.turn()
    yield exporter
    exporter.close()


def apis(simulator: Simulator, since: int = 3) -> list[str]:
    return [call.api for call in simulator.calls[since:]]


def kept(simulator: Simulator) -> bool:
    report = simulator.report()
    return (report.early, report.overlapping) == (0, 0)


def wish(exporter: Exporter, name: str = "connectors") -> Asked:
    return exporter.poller.hurry("acme", name)


def storm(exporter: Exporter, seconds: float, wishes: int = 1000) -> set[Rule]:
    """So many wishes for every list within the seconds, a turn after each: the rules that were told."""
    told = set[Rule]()
    for _ in range(wishes):
        told |= {wish(exporter, name).rule for name in LISTED}
        exporter.turn()
        exporter.clock.advance(seconds / wishes)
    return told


# When the poll comes.


def test_it_comes_at_the_next_legal_second(slow, simulator, clock) -> None:
    clock.advance(100)
    asked = wish(slow)
    slow.turns(199.9)
    early = apis(simulator)
    slow.turns(0.2)

    assert [asked.seconds, asked.at - START] == pytest.approx([200, 300])
    assert asked.rule is Rule.INTERVAL
    assert (early, apis(simulator)) == ([], ["connectors"])
    assert kept(simulator)


def test_it_comes_at_once_where_that_is_legal(slow, simulator, clock) -> None:
    clock.advance(1000)
    asked = wish(slow, "token_info")
    slow.turn()

    assert (asked.seconds, asked.rule) == (0, Rule.INTERVAL)
    assert apis(simulator) == ["token_info"]


def test_the_loop_is_woken_and_pages_tell_the_new_time(slow, clock) -> None:
    clock.advance(100)
    slow.rung.clear()
    wish(slow)
    wait = slow.turn()

    assert slow.rung == [True]
    assert wait == pytest.approx(200)
    assert slow.operation().next["connectors"].at - START == pytest.approx(300)


def test_it_is_made_once_and_then_the_list_is_planned_as_after_a_first_poll(slow, simulator, clock) -> None:
    clock.advance(1000)
    wish(slow)
    slow.turns(HOUR)

    assert apis(simulator) == ["connectors"]
    assert slow.operation().next["connectors"].at - START == pytest.approx(1000 + 6 * HOUR * PACE)


def test_a_wish_is_told_in_the_log_once(slow, clock, quiet_log) -> None:
    clock.advance(100)
    for _ in range(10):
        wish(slow)

    assert [event for event in quiet_log if event["event"] == "poll asked for"] == [
        {
            "event": "poll asked for",
            "log_level": "info",
            "operation": "acme",
            "list": "connectors",
            "next": START + 300,
            "rule": "interval",
        }
    ]


def test_a_restart_forgets_the_wish(slow, simulator, clock) -> None:
    clock.advance(100)
    wish(slow)
    slow.restart()
    slow.turns(HOUR)

    assert apis(simulator) == []


def test_a_reload_keeps_the_wish(slow, simulator, clock) -> None:
    clock.advance(100)
    wish(slow)
    slow.poller.configure(slow.setup)
    slow.turns(HOUR)

    assert apis(simulator) == ["connectors"]


# What it can not do.


def test_a_thousand_wishes_make_no_call_early(slow, simulator) -> None:
    told = storm(slow, 3000)

    assert told <= {Rule.INTERVAL, Rule.BUSY}
    assert kept(simulator)
    assert 10 * len(LISTED) >= len(apis(simulator)) >= 9 * len(LISTED)


@pytest.mark.parametrize(
    ("scenario", "knobs"),
    [("validate_token", {}), ("quota", {}), ("throttled", {"seconds": 1800})],
)
def test_a_thousand_wishes_make_no_call_during_a_rest(slow, api, simulator, clock, scenario, knobs) -> None:
    api.play(scenario, times=2, **knobs)
    for _ in range(2):
        clock.advance(3601)
        wish(slow)
        slow.turn()
    before, rest = len(simulator.calls), wish(slow)
    told = storm(slow, rest.seconds - 1)

    assert rest.rule is Rule.REST
    assert rest.at - clock.wall == pytest.approx(1, abs=0.01)
    assert (told, apis(simulator, before)) == ({Rule.REST}, [])
    slow.turns(100)
    slow.turn()  # the landing of a trial rings for it
    assert sorted(apis(simulator, before)) == sorted(LISTED)
    assert kept(simulator)


def test_a_thousand_wishes_make_no_call_out_of_the_reserve(slow, api, simulator, clock) -> None:
    api.limit = 100
    clock.advance(301)
    wish(slow, "token_info")
    slow.turn()
    told = storm(slow, 3000)

    assert wish(slow) == Asked(inf, inf, Rule.RESERVE)
    assert (told, apis(simulator)) == ({Rule.RESERVE}, ["token_info"])


def test_a_wish_from_before_the_reserve_waits_until_it_ends(slow, api, simulator, clock) -> None:
    api.limit = 105
    clock.advance(301)
    wish(slow, "token_info")
    slow.turn()
    wish(slow, "connectors")
    wish(slow, "routing_points")
    slow.turns(5 * HOUR)
    reserved = apis(simulator)
    simulator.new_day()
    slow.turns(10 * HOUR)

    assert reserved == ["token_info", "connectors"]
    assert "routing_points" in apis(simulator)[2:]
    assert kept(simulator)


def test_a_thousand_wishes_make_no_call_while_the_token_is_busy(slow, simulator, clock) -> None:
    works: list[Callable[[], None]] = []
    slow.run = works.append
    slow.restart()
    slow.turn()
    clock.advance(400)
    wish(slow)
    slow.turn()
    told = storm(slow, 50)
    under_way, claimed = wish(slow), len(works)
    for _ in LISTED:
        works.pop()()
        slow.turn()

    assert (told, claimed) == ({Rule.BUSY}, 1)
    assert under_way == Asked(0.0, clock.wall, Rule.BUSY)
    assert apis(simulator) == list(LISTED)
    assert kept(simulator)


def test_wishes_to_two_processes_on_one_storage_make_one_call(slow, simulator, clock) -> None:
    other = Exporter(slow.folder, clock, slow.setup)
    other.turn()
    for _ in range(1000):
        for exporter in (slow, other):
            wish(exporter)
            exporter.turn()
        clock.advance(1)
    other.close()

    assert kept(simulator)
    assert apis(simulator).count("connectors") == 3


def test_a_storage_that_cannot_be_written_takes_no_wish(slow, simulator, clock) -> None:
    clock.advance(1000)
    slow.folder.rename(slow.folder.with_name("away"))
    slow.folder.write_text("a file")
    first, second = wish(slow), wish(slow)
    slow.folder.unlink()
    slow.folder.with_name("away").rename(slow.folder)
    slow.turns(HOUR)

    assert first == second == Asked(inf, inf, Rule.STORAGE)
    assert apis(simulator) == []


@pytest.mark.parametrize(("operation", "name"), [("nobody", "connectors"), ("acme", "services")])
def test_what_is_not_polled_takes_no_wish(slow, operation, name) -> None:
    assert slow.poller.hurry(operation, name).rule is Rule.STORAGE


def test_before_the_first_turn_there_is_no_wish(api, simulator, clock, tmp_path) -> None:
    exporter = Exporter(tmp_path / "fresh", clock, setup_for(simulator, {"acme": CANARY}, clock))

    assert wish(exporter).rule is Rule.STORAGE
    exporter.close()


# Over HTTP.


class Told:
    """Takes wishes and reloads, and answers as it is told to."""

    def __init__(self) -> None:
        self.asked = Asked(0.0, START, Rule.INTERVAL)
        self.wishes: list[tuple[str, str]] = []
        self.reloads = 0

    def poll(self, operation: str, name: str) -> Asked:
        self.wishes.append((operation, name))
        return self.asked

    def reload(self) -> str:
        self.reloads += 1
        return ""


def site_of(told: Told, **changes) -> Site:
    site = Site(
        page=lambda: None,
        state=lambda: STATE,
        changes=lambda _since, _operation, _limit: [],
        is_alive=lambda: True,
        version="1",
        lists=LISTS,
        now=lambda: 1_790_000_000.0,
        reload=told.reload,
        poll=told.poll,
    )
    return replace(site, **changes)


@pytest.fixture
def told() -> Told:
    return Told()


@contextmanager
def served(application: ASGIApp) -> Iterator[Callable[..., Reply]]:
    server = Server(application, bound([("127.0.0.1", 0)]))
    server.start()
    try:
        yield lambda path, method="POST", **headers: ask(server.addresses[0], path, method, **headers)
    finally:
        server.quit()
        server.join()


@pytest.fixture
def post(told) -> Iterator[Callable[..., Reply]]:
    with served(Application(site_of(told))) as asked:
        yield asked


@pytest.mark.parametrize(
    ("asked", "text", "after"),
    [
        (Asked(0.0, START, Rule.INTERVAL), "polled at once", "0"),
        (Asked(0.0, START, Rule.BUSY), "being polled already", "0"),
        (
            Asked(213.2, START, Rule.INTERVAL),
            "polled in 214 s, Mon, 21 Sep 2026 14:13:20 GMT; until then binds the rule interval",
            "214",
        ),
        (
            Asked(0.001, START, Rule.REST),
            "polled in 1 s, Mon, 21 Sep 2026 14:13:20 GMT; until then binds the rule rest",
            "1",
        ),
    ],
)
def test_a_poll_that_is_asked_for_is_202_with_when_and_why(post, told, asked, text, after) -> None:
    told.asked = asked
    reply = post("/-/poll?operation=acme")

    assert (reply.status, reply.text) == (202, f"connectors of acme: {text}\n")
    assert reply.headers["retry-after"] == after
    assert told.wishes == [("acme", "connectors")]


@pytest.mark.parametrize(
    ("rule", "status", "text", "after"),
    [
        (
            Rule.RESERVE,
            409,
            "only the reserve of the day's calls is left (budget.reserve); polling goes on by itself",
            None,
        ),
        (
            Rule.STORAGE,
            503,
            "the storage is not ready, or cannot be written at the moment; try again later",
            "5",
        ),
    ],
)
def test_a_poll_that_is_not_asked_for_says_why(post, told, rule, status, text, after) -> None:
    told.asked = Asked(inf, inf, rule)
    reply = post("/-/poll?operation=acme&list=connectors")

    assert (reply.status, reply.text) == (status, f"no poll of connectors of acme was asked for: {text}\n")
    assert reply.headers.get("retry-after") == after


KNOWN = "it is the name of a configured operation, and /api/v1/operations lists them\n"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", f"the parameter operation is missing: {KNOWN}"),
        ("?operation=", f"the parameter operation is missing: {KNOWN}"),
        ("?operation=nobody", f"unknown operation 'nobody': {KNOWN}"),
        ("?operation=%0d%0a", f"unknown operation '\\r\\n': {KNOWN}"),
        ("?operation=acme&list=services", "unknown list 'services': polled are connectors\n"),
        ("?operation=acme&list=", "unknown list '': polled are connectors\n"),
    ],
)
def test_what_is_not_known_is_400_with_a_sentence(post, told, query, text) -> None:
    reply = post(f"/-/poll{query}")

    assert (reply.status, reply.text, told.wishes) == (400, text, [])


def test_both_must_be_allowed_by_a_flag(told) -> None:
    with served(Application(site_of(told, reload=None, poll=None))) as post:
        replies = [post("/-/reload"), post("/-/poll?operation=acme")]

    assert [(reply.status, reply.text) for reply in replies] == [
        (403, "start with --web.enable-lifecycle to allow a reload over HTTP\n"),
        (403, "start with --web.enable-lifecycle to allow a poll over HTTP\n"),
    ]


def test_before_the_first_page_nothing_can_be_asked_for(told) -> None:
    with served(Application(site_of(told, state=lambda: None))) as post:
        reply = post("/-/poll?operation=acme")

    assert (reply.status, reply.text) == (503, "the first page is not rendered yet\n")


def test_looking_does_not_steer(post, told) -> None:
    assert {post(path, method="GET").status for path in ("/-/poll?operation=acme", "/-/reload")} == {405}
    assert (told.wishes, told.reloads) == ([], 0)


# Who may.


@pytest.mark.parametrize("path", ["/-/reload", "/-/poll?operation=acme"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "Cross-Site", "Origin": "https://metrics.example.com"},
    ],
)
def test_a_page_of_another_site_is_refused(told, path, headers) -> None:
    with served(Application(site_of(told, external_url="https://metrics.example.com/wolkvox"))) as post:
        reply = post(path, **headers)

    assert (reply.status, reply.text) == (403, "the request comes from a page of another site\n")
    assert (told.wishes, told.reloads) == ([], 0)


@pytest.mark.parametrize("path", ["/-/reload", "/-/poll?operation=acme"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://metrics.example.com"}, {"Sec_Fetch_Site": "same-origin"}])
def test_its_own_pages_and_programs_are_not_refused(told, path, headers) -> None:
    with served(Application(site_of(told, external_url="https://metrics.example.com:443/wolkvox"))) as post:
        assert post(path, **headers).status in (200, 202)


HERE = "http://exporter:10096"


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        (HERE, "exporter:10096", False),
        (HERE, "EXPORTER:10096", False),
        ("http://exporter", "exporter", False),
        ("http://exporter", "exporter:80", False),
        ("https://exporter", "exporter:443", False),
        ("https://exporter", "exporter", False),
        ("http://[::1]:10096", "[::1]:10096", False),
        (HERE, "exporter:10097", True),
        (HERE, "exporter", True),
        ("http://exporter.evil.example:10096", "exporter:10096", True),
        ("http://exporter", "exporter:443", True),
        ("http://[::1", "exporter", True),
        ("http://exporter:x", "exporter:x", True),
        ("null", "", True),
        ("", "", True),
        ("file://", "exporter", True),
    ],
)
def test_an_origin_is_home_where_host_and_port_are_those_of_the_request(origin, host, foreign) -> None:
    headers = [(b"origin", origin.encode()), (b"host", host.encode())]

    assert is_foreign(Request({"type": "http", "headers": headers}), "") is foreign


def test_of_two_origins_none_may_be_foreign() -> None:
    headers = [(b"host", b"exporter:10096"), (b"origin", HERE.encode()), (b"origin", b"http://evil.example")]

    assert is_foreign(Request({"type": "http", "headers": headers}), "")


@pytest.fixture
def bound_post(told) -> Iterator[Callable[..., Reply]]:
    """The way in for a visitor who sees `acme` alone."""
    application = Application(site_of(told))

    async def admitted(scope, receive, send) -> None:
        await application({**scope, "state": {"access": Access(frozenset({"acme"}))}}, receive, send)

    with served(admitted) as asked:
        yield asked


def test_a_bound_visitor_may_poll_what_it_sees(bound_post, told) -> None:
    assert bound_post("/-/poll?operation=acme").status == 202
    assert told.wishes == [("acme", "connectors")]


def test_what_a_bound_visitor_does_not_see_is_as_unknown_as_what_is_not_there(bound_post, told) -> None:
    hidden, absent = bound_post("/-/poll?operation=beta"), bound_post("/-/poll?operation=nobody")

    assert (hidden.status, hidden.text.replace("beta", "nobody")) == (400, absent.text)
    assert told.wishes == []


def test_a_bound_visitor_may_not_reload(bound_post, told) -> None:
    reply = bound_post("/-/reload")

    assert (reply.status, reply.text) == (403, "a reload is for those who see all operations\n")
    assert told.reloads == 0
