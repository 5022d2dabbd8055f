"""/api/v1 over real sockets: shapes, choices, refusals in a sentence; and what it gives for what was never polled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from conftest import CANARY, START, Exporter, setup_for
from processes import Reply, ask

from exporter import api as answers
from exporter.access import Access
from exporter.lists import LISTS
from exporter.model import DAY, Change, ChangeKind, Operation
from exporter.rest import MOST
from exporter.server import Server, bound
from exporter.site import Site
from exporter.state import OperationState, State
from exporter.store import StoreError
from exporter.web import Application

REROUTED = Change(START, "connectors", ("whatsapp", "12"), "Sales", ChangeKind.REROUTED, "5", "6", "Menu", "Night")
RENAMED = Change(START, "connectors", ("whatsapp", "12"), "New", ChangeKind.RENAMED, "Old", "New")
Get = Callable[[str], Reply]


@contextmanager
def served(site: Site) -> Iterator[Get]:
    server = Server(Application(site), bound([("127.0.0.1", 0)]))
    server.start()
    try:
        yield lambda path: ask(server.addresses[0], f"/api/v1/{path}")
    finally:
        server.quit()
        server.join()


def site_of(exporter: Exporter) -> Site:
    return Site(
        page=lambda: None,
        state=lambda: exporter.states[-1] if exporter.states else None,
        changes=exporter.store.changes,
        answers=exporter.store.answers,
        is_alive=lambda: True,
        version="1",
        lists=LISTS,
        now=lambda: exporter.clock.now().wall,
    )


@pytest.fixture
def two(api, simulator, clock, tmp_path) -> Iterator[Exporter]:
    """Two operations; in `acme` a connector was rerouted, and then one was removed."""
    other = simulator.add("beta", token=f"{CANARY}-b", server="0010", limit=1000)
    other.connect("sms", "1", rp_id="5", name="One")
    exporter = Exporter(tmp_path / "two", clock, setup_for(simulator, {"acme": CANARY, "beta": f"{CANARY}-b"}, clock))
    exporter.turn()
    api.reroute("whatsapp", "12", "6")
    exporter.turns(460)
    api.disconnect("email", "13")
    other.rename("sms", "1", "Uno")
    exporter.turns(310)
    yield exporter
    exporter.close()


@pytest.fixture
def get(two) -> Iterator[Get]:
    with served(site_of(two)) as asked:
        yield asked


# Changes.


def test_changes_come_newest_first_with_before_and_after(get) -> None:
    reply = get("changes?operation=acme")

    removed, rerouted = reply.json["changes"]
    assert reply.headers["content-type"] == "application/json"
    assert removed["at"] > rerouted["at"] > START
    assert rerouted == {
        "at": rerouted["at"],
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
    assert (removed["change"], removed["name"], removed["before"]) == ("removed", "Inbox", "6")


def test_changes_of_every_operation_or_of_one(get) -> None:
    assert {each["operation"] for each in get("changes").json["changes"]} == {"acme", "beta"}
    assert {each["operation"] for each in get("changes?operation=").json["changes"]} == {"acme", "beta"}
    assert {each["operation"] for each in get("changes?operation=beta").json["changes"]} == {"beta"}
    assert get("changes?operation=nobody").json == {"changes": []}


def test_changes_since_are_the_later_ones(get) -> None:
    newest, *_, oldest = get("changes").json["changes"]

    assert oldest not in get(f"changes?since={oldest['at']}").json["changes"]
    assert newest in get(f"changes?since={newest['at'] - 1}").json["changes"]
    assert get(f"changes?since={newest['at']}").json == {"changes": []}
    assert len(get("changes?since=-1e9").json["changes"]) == len(get("changes?since=").json["changes"]) == 3


def test_changes_are_at_most_as_many_as_asked_for(get) -> None:
    assert [each["change"] for each in get("changes?limit=1&operation=acme").json["changes"]] == ["removed"]
    assert len(get(f"changes?limit={MOST}").json["changes"]) == 3


@pytest.mark.parametrize("text", ["yesterday", "nan", "inf", "-inf", "1e999", "%00", "1,5", "0x10"])
def test_a_time_that_is_none_is_refused_with_a_sentence(get, text) -> None:
    reply = get(f"changes?since={text}")

    assert reply.status == 400
    assert reply.text.startswith("since: ")
    assert reply.text.endswith(" is no time in Unix seconds, such as 1790000000\n")
    assert reply.text.strip().isprintable()


@pytest.mark.parametrize(
    "text", ["0", "-1", "10001", "1.5", "many", "%C2%B2", "%D9%A3", "9" * 5000, "0000000001", "+1"]
)
def test_a_number_that_is_none_is_refused_with_a_sentence(get, text) -> None:
    reply = get(f"changes?limit={text}")

    assert reply.status == 400
    assert reply.text.startswith("limit: ")
    assert reply.text.endswith(" is no whole number from 1 to 10000\n")


@pytest.mark.parametrize("name", ["since", "limit"])
def test_a_parameter_that_stands_twice_is_refused_with_a_sentence(get, name) -> None:
    reply = get(f"changes?{name}=1&{name}=2")

    assert (reply.status, reply.text) == (400, f"{name}: stands in the query 2 times; once is allowed\n")


def test_without_a_limit_there_are_a_hundred(two) -> None:
    asked: list[tuple[float, str | None, int]] = []

    def changes(*words):
        asked.append(words)
        return []

    site = replace(site_of(two), changes=changes)
    with served(site) as get:
        get("changes")
        get("changes?since=1.5&operation=acme&limit=7")

    assert asked == [(0.0, None, 100), (1.5, "acme", 7)]


def test_while_the_storage_is_down_changes_are_503_and_the_rest_is_told(two) -> None:
    def down(*_):
        raise StoreError("store data/state.db: disk I/O error: the disk reports an error")

    with served(replace(site_of(two), changes=down)) as get:
        reply = get("changes")

        assert (reply.status, reply.text) == (
            503,
            "store data/state.db: disk I/O error: the disk reports an error\n",
        )
        assert get("operations").status == get("connectors").status == 200


# Operations.


def test_an_operation_tells_how_each_of_its_lists_stands(get, two) -> None:
    acme, beta = get("operations").json["operations"]

    assert (acme["operation"], acme["server"], acme["labels"], acme["reserved"]) == ("acme", "0010", {}, False)
    assert beta["operation"] == "beta"
    assert list(acme["lists"]) == list(LISTS)
    connectors = acme["lists"]["connectors"]
    assert connectors == {
        "outcome": "ok",
        "last": two.standing().ending.finished,
        "last_success": two.standing().snapshot.at,
        "next": two.operation().next["connectors"].at,
        "rule": "interval",
        "interval": 300.0,
        "records": 1,
        "rejected": 0,
        "duplicates": 0,
        "held_since": None,
        "missing": [],
    }


def test_what_is_held_back_is_told_by_its_keys(two, api) -> None:
    api.play("empty_404", api="connectors")
    two.turns(310)

    with served(site_of(two)) as get:
        connectors = get("operations").json["operations"][0]["lists"]["connectors"]

    assert connectors["outcome"] == "no_records"
    assert connectors["held_since"] == two.standing().held.at
    assert connectors["missing"] == [["whatsapp", "12"]]


def test_of_an_operation_that_was_never_polled_nothing_is_made_up() -> None:
    never = OperationState(Operation("acme", "0010", labels={"country": "co"}), {"connectors": 300.0}, {})

    (told,) = answers.operations(State((never,)))

    assert told["labels"] == {"country": "co"}
    values = told["lists"]["connectors"]
    assert values.pop("interval") == 300.0
    assert values.pop("missing") == []
    assert set(values.values()) == {None}
    assert list(answers.rows(State((never,)), LISTS["connectors"], None)) == []


# Connectors.


def test_connectors_are_the_believed_ones_of_all_or_of_one(get, two) -> None:
    acme, beta = get("connectors").json["connectors"]

    assert acme == {
        "operation": "acme",
        "channel": "whatsapp",
        "connector_id": "12",
        "rp_id": "6",
        "name": "Sales",
        "first_seen": two.standing().memory.first_seen["whatsapp", "12"],
    }
    assert get("connectors?operation=beta").json == {"connectors": [beta]}
    assert get("connectors?operation=").json == {"connectors": [acme, beta]}
    assert get("connectors?operation=nobody").json == {"connectors": []}


# Names.


def test_names_that_are_not_to_be_shown_are_in_no_answer(two) -> None:
    two.poller.configure(replace(two.setup, names=False))
    two.turn()

    with served(site_of(two)) as get:
        changes, connectors = get("changes").json["changes"], get("connectors").json["connectors"]

    assert [each["name"] for each in (*changes, *connectors)] == [""] * 5
    renamed = next(each for each in changes if each["change"] == "renamed")
    assert (renamed["before"], renamed["after"]) == ("", "")
    rerouted = next(each for each in changes if each["change"] == "rerouted")
    assert (rerouted["before"], rerouted["after_name"]) == ("5", "Night desk")


def test_while_no_operation_says_that_names_may_be_shown_none_is(two) -> None:
    with served(replace(site_of(two), state=State)) as get:
        assert {each["name"] for each in get("changes").json["changes"]} == {""}


@pytest.mark.parametrize("names", [True, False])
def test_a_rename_is_as_private_as_the_name(names) -> None:
    told = answers.change("acme", RENAMED, LISTS["connectors"], names=names)

    assert (told["name"], told["before"], told["after"]) == (("New", "Old", "New") if names else ("", "", ""))


def test_a_reroute_has_its_routing_points_with_and_without_names() -> None:
    shown, hidden = (answers.change("acme", REROUTED, LISTS["connectors"], names=names) for names in (True, False))

    assert hidden == {**shown, "name": ""}


# Before the first page.


def test_before_the_first_state_only_the_journal_answers(exporter) -> None:
    with served(site_of(exporter)) as get:
        replies = {path: get(path) for path in ("operations", "connectors", "changes")}

    assert [replies[path].status for path in ("operations", "connectors")] == [503, 503]
    assert replies["operations"].text == "the first page is not rendered yet\n"
    assert replies["changes"].json == {"changes": []}


def test_a_journal_from_before_the_last_day_is_told_too(two) -> None:
    two.clock.advance(2 * DAY)

    with served(site_of(two)) as get:
        assert len(get("changes").json["changes"]) == 3


# Answers of the flight recorder.


def test_answers_of_an_operation_come_newest_first(get) -> None:
    reply = get("answers?operation=acme")

    newest, *_, oldest = reply.json["answers"]
    assert reply.headers["content-type"] == "application/json"
    assert newest["at"] > oldest["at"] == START
    assert oldest == {
        "operation": "acme",
        "list": "connectors",
        "at": START,
        "duration": oldest["duration"],
        "outcome": "ok",
        "status": 200,
        "code": "200",
        "size": len(oldest["body"]),
        "body": oldest["body"],
        "rejected": [],
        "detail": oldest["detail"],
    }
    assert "Sales" in oldest["body"]
    assert {each["operation"] for each in get("answers?operation=beta").json["answers"]} == {"beta"}


@pytest.mark.parametrize("query", ["", "?operation=", "?operation=nobody", "?operation=%00"])
def test_answers_of_nobody_are_refused_with_a_sentence(get, query) -> None:
    reply = get(f"answers{query}")

    assert reply.status == 400
    assert reply.text.endswith("it is the name of a configured operation, and /api/v1/operations lists them\n")
    assert reply.text.strip().isprintable()


def test_what_a_visitor_does_not_see_is_answered_like_an_unknown_operation(two) -> None:
    application = Application(site_of(two))

    async def admitted(scope, receive, send) -> None:
        await application({**scope, "state": {"access": Access(frozenset({"acme"}))}}, receive, send)

    server = Server(admitted, bound([("127.0.0.1", 0)]))
    server.start()
    seen, hidden, absent = (
        ask(server.addresses[0], f"/api/v1/answers?operation={name}") for name in ("acme", "beta", "nobody")
    )
    server.quit()
    server.join()

    assert (seen.status, hidden.status, absent.status) == (200, 400, 400)
    assert hidden.text.replace("beta", "nobody") == absent.text


def test_answers_that_cannot_be_read_are_503(two) -> None:
    def broken(_operation):
        raise StoreError("store state.db: disk I/O error")

    with served(replace(site_of(two), answers=broken)) as get:
        reply = get("answers?operation=acme")

    assert (reply.status, reply.text) == (503, "store state.db: disk I/O error\n")


def test_a_site_without_a_recorder_has_no_answers(two) -> None:
    site = site_of(two)
    bare = Site(site.page, site.state, site.changes, site.is_alive, site.version, site.lists, site.now)

    with served(bare) as get:
        assert get("answers?operation=acme").json == {"answers": []}


def test_before_the_first_turn_there_are_no_answers_yet(two) -> None:
    with served(replace(site_of(two), state=lambda: None)) as get:
        assert get("answers?operation=acme").status == 503
