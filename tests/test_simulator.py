"""The simulator keeps the upstream's rules over real sockets, and its scenarios are what their names say."""

import gzip
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from exporter.simulator import SCENARIOS, Account, Drift, Report, Simulator, demo_accounts, scenario_listing

API = "/api/v2/information.php?api="
NORMAL = "connectors"
TOKEN = "t-acme"


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 1000.1

    def __call__(self) -> float:
        return self.at


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    with Simulator(now=clock, wall=lambda: 0.0) as simulator:
        yield simulator


@pytest.fixture
def acme(sim: Simulator) -> Account:
    account = sim.add("acme", token="t-acme", server="0010")
    account.connect("whatsapp", "12", rp_id="5", name="Sales")
    account.connect("email", "14", rp_id="6", name="Mail")
    account.route("5", "Main menu", chat="yes")
    return account


def port(sim: Simulator) -> int:
    return urlsplit(sim.url).port or 0


def send(sim: Simulator, target: str, *, method: str = "GET", token: str | None = TOKEN, body: Any = None) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", port(sim), timeout=5)) as client:
        headers = {} if token is None else {"wolkvox-token": token}
        client.request(method, target, None if body is None else json.dumps(body), headers)
        answer = client.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def ask(sim: Simulator, api: str = NORMAL, **options: Any) -> Answer:
    return send(sim, API + api, **options)


def played(sim: Simulator, account: Account, scenario: str, api: str = NORMAL, **knobs: Any) -> Answer:
    account.play(scenario, **knobs)
    return ask(sim, api)


def raw(sim: Simulator) -> socket.socket:
    """A request on a bare socket, of which nothing is read yet."""
    client = socket.create_connection(("127.0.0.1", port(sim)), timeout=5)
    client.sendall(f"GET {API}connectors HTTP/1.1\r\nHost: x\r\nwolkvox-token: t-acme\r\n\r\n".encode())
    return client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def until(condition: Callable[[], object]) -> None:
    """Wait, at most five seconds, for something that another thread is about to do."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def control(sim: Simulator, method: str, path: str, body: Any = None) -> Answer:
    return send(sim, f"/_simulator/{path}", method=method, token=None, body=body)


# --- normal answers -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("acme")
def test_connectors_come_in_the_envelope_of_the_vendors_page(sim: Simulator) -> None:
    answer = ask(sim)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {
        "code": 200,
        "error": None,
        "msg": "2 records were found",
        "data": [
            {"connector_id": "12", "rp_id": "5", "name": "Sales", "channel": "whatsapp"},
            {"connector_id": "14", "rp_id": "6", "name": "Mail", "channel": "email"},
        ],
    }


@pytest.mark.usefixtures("acme")
def test_routing_points_tell_their_flows(sim: Simulator) -> None:
    (row,) = ask(sim, "routing_points").json["data"]

    assert row.pop("last_use")
    assert row == {
        "rp_id": "5",
        "rp_name": "Main menu",
        "ivr_active": "no",
        "chat_active": "yes",
        "interaction_active": "no",
        "crm_active": "no",
    }


def test_token_info_counts_itself_the_other_tokens_and_other_programs(sim: Simulator, acme: Account) -> None:
    acme.add_token("t-second")
    ask(sim, token="t-second")
    acme.spend(3)

    assert ask(sim, "token_info").json["data"] == [
        {
            "description": "acme#0",
            "token_limit": "1000",
            "token_use_today": "1",
            "all_token_today": "5",
            "available_consumption_options": "999",
        }
    ]


def test_no_rows_are_a_404_with_the_envelope(sim: Simulator) -> None:
    sim.add("empty", token="t-empty", server="0010")

    answer = ask(sim, token="t-empty")

    assert (answer.status, answer.json["msg"]) == (404, "Validate dates entered")
    assert answer.json.keys() == {"code", "error", "msg", "data"}


@pytest.mark.usefixtures("acme")
def test_one_connection_serves_many_calls(sim: Simulator) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port(sim), timeout=5)) as client:
        for _ in range(3):
            client.request("GET", API + "connectors", headers={"wolkvox-token": "t-acme"})
            used = client.sock
            assert client.getresponse().read()

        assert client.sock is used


@pytest.mark.usefixtures("acme")
def test_a_client_that_says_close_gets_it(sim: Simulator) -> None:
    with raw(sim) as client:
        client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")

        assert read_all(client).count(b"HTTP/1.1 ") == 2


def test_nonsense_ends_the_connection(sim: Simulator) -> None:
    with socket.create_connection(("127.0.0.1", port(sim)), timeout=5) as client:
        client.sendall(b"nonsense\r\n\r\n")

        assert read_all(client) == b""


# --- edits --------------------------------------------------------------------------------------------------------


def test_edits_are_told_at_once(sim: Simulator, acme: Account) -> None:
    acme.disconnect("email", "14")
    acme.rename("whatsapp", "12", "New")
    acme.reroute("whatsapp", "12", "77")
    acme.unroute("5")

    assert ask(sim).json["data"] == [{"connector_id": "12", "rp_id": "77", "name": "New", "channel": "whatsapp"}]
    assert ask(sim, "routing_points").status == 404


@pytest.mark.parametrize(
    "edit",
    [
        lambda account: account.disconnect("line", "1"),
        lambda account: account.rename("line", "1", "x"),
        lambda account: account.reroute("line", "1", "2"),
        lambda account: account.unroute("404"),
        lambda account: account.revoke("t-never"),
    ],
)
def test_what_is_not_there_cannot_be_edited(acme: Account, edit: Callable[[Account], Any]) -> None:
    with pytest.raises(KeyError) as fault:
        edit(acme)

    assert "t-never" not in str(fault.value)


def test_an_unknown_flow_is_a_mistake_in_the_test(acme: Account) -> None:
    with pytest.raises(TypeError, match="'chats' is no flow; flows are ivr, chat, interaction, crm"):
        acme.route("5", "Main menu", chats="yes")


@pytest.mark.usefixtures("acme")
def test_names_and_tokens_belong_to_one_account(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="acme exists"):
        sim.add("acme", token="t-other", server="0010")
    with pytest.raises(ValueError, match="belongs to another account"):
        sim.add("other", token="t-acme", server="0010")

    assert list(sim.accounts) == ["acme"]


def test_a_revoked_token_is_refused_until_it_is_added_again(sim: Simulator, acme: Account) -> None:
    acme.revoke("t-acme")
    refused = ask(sim)
    acme.add_token("t-acme")

    assert (refused.status, refused.json["msg"]) == (403, "PLEASE VALIDATE TOKEN")
    assert ask(sim).status == 200
    assert [call.token_id for call in sim.calls] == ["acme#0", "acme#0"]
    assert acme.used_today == 1


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "token", "status", "msg"),
    [
        (API + "connectors", None, 401, "PLEASE ENTER THE WOLKVOX-TOKEN"),
        (API + "connectors", "", 401, "PLEASE ENTER THE WOLKVOX-TOKEN"),
        (API + "connectors", "t-wrong", 403, "PLEASE VALIDATE TOKEN"),
        ("/wv0011" + API + "connectors", "t-acme", 403, "PLEASE VALIDATE TOKEN"),
        (API + "connector", "t-acme", 400, "THE API YOU WANT TO CONSULT DOES NOT EXIST"),
        (API, "t-acme", 400, "SOME PARAMETERS ARE REQUIRED"),
        ("/api/v2/information.php", "t-acme", 400, "SOME PARAMETERS ARE REQUIRED"),
    ],
)
@pytest.mark.usefixtures("acme")
def test_a_call_that_breaks_a_rule_is_refused(
    sim: Simulator, target: str, token: str | None, status: int, msg: str
) -> None:
    answer = send(sim, target, token=token)

    assert (answer.status, answer.json["code"], answer.json["msg"]) == (status, status, msg)
    assert sim.report().refused == 1


@pytest.mark.usefixtures("acme")
def test_the_servers_number_may_stand_in_the_path(sim: Simulator) -> None:
    assert send(sim, "/wv0010" + API + "connectors").status == 200


@pytest.mark.parametrize("target", ["/", "/api/v2/other.php", "/wv001/api/v2/information.php?api=connectors"])
@pytest.mark.usefixtures("acme")
def test_other_paths_are_an_html_404(sim: Simulator, target: str) -> None:
    answer = send(sim, target)

    assert (answer.status, answer.body[:9]) == (404, b"<!DOCTYPE")
    assert sim.report() == Report(1, 0, 0, 0)


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
@pytest.mark.usefixtures("acme")
def test_other_methods_are_a_405(sim: Simulator, method: str) -> None:
    answer = ask(sim, method=method)

    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET", b"")


def test_refused_calls_count_against_the_quota_and_a_new_day_forgives(sim: Simulator, acme: Account) -> None:
    acme.limit = 2

    statuses = [ask(sim, "nothing").status, ask(sim).status, ask(sim).status]

    assert statuses == [400, 200, 403]
    assert acme.used_today == 3
    sim.new_day()
    assert ask(sim).status == 200


def test_the_quota_counts_the_accounts_other_tokens_and_programs(sim: Simulator, acme: Account) -> None:
    acme.limit = 2
    acme.add_token("t-second")
    acme.spend(2)

    answer = ask(sim, token="t-second")

    assert (answer.status, answer.json["msg"]) == (403, "TOKEN LIMIT EXCEEDED")


def test_a_third_call_at_the_same_time_is_refused(sim: Simulator, acme: Account) -> None:
    acme.play("hang", times=2)
    with raw(sim), raw(sim):
        until(lambda: len(sim.calls) == 2)

        answer = ask(sim)

        assert (answer.status, answer.json["msg"]) == (403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)")


# --- the judge ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("acme")
def test_a_call_is_early_until_the_interval_after_the_end_of_the_last_one(sim: Simulator, clock: Clock) -> None:
    ask(sim)
    clock.at += 299.9
    ask(sim)
    clock.at += 300
    ask(sim)

    assert [call.early for call in sim.calls] == [False, True, False]
    assert sim.report() == Report(calls=3, early=1, overlapping=0, refused=0)
    assert "1 (sooner" in str(sim.report())
    assert "limits were broken" in str(sim.report())


def test_lists_and_tokens_are_judged_apart(sim: Simulator, acme: Account) -> None:
    acme.add_token("t-second")

    ask(sim)
    ask(sim, "routing_points")
    ask(sim, token="t-second")

    assert sim.report().early == 0
    assert "3 calls, 0 refused: the limits were kept" in str(sim.report())


def test_each_list_may_have_its_own_interval(clock: Clock) -> None:
    with Simulator(interval={"connectors": 1.0}, now=clock) as sim:
        sim.add("acme", token="t-acme", server="0010")
        for api in ("connectors", "token_info"):
            ask(sim, api)
            clock.at += 1
            ask(sim, api)

        assert [call.early for call in sim.calls] == [False, False, False, True]


def test_wrong_tokens_are_judged_and_missing_ones_are_not(sim: Simulator) -> None:
    for token in ("t-wrong", "t-wrong", "t-worse", None, None):
        ask(sim, token=token)

    assert [(call.token_id, call.early) for call in sim.calls] == [
        ("unknown#0", False),
        ("unknown#0", True),
        ("unknown#1", False),
        ("none", False),
        ("none", False),
    ]
    assert {call.account for call in sim.calls} == {None}


def test_a_call_goes_on_when_its_client_has_left(sim: Simulator, acme: Account) -> None:
    acme.play("slow", seconds=0.2, times=1)
    raw(sim).close()
    until(lambda: sim.calls)

    ask(sim)

    assert [(call.early, call.overlapping) for call in sim.calls] == [(False, False), (True, True)]
    assert sim.calls[0].ended is None
    until(lambda: sim.calls[0].ended is not None)


@pytest.mark.usefixtures("acme")
def test_a_call_has_ended_when_its_answer_arrives(sim: Simulator) -> None:
    for _ in range(50):
        ask(sim)

        assert sim.calls[-1].ended is not None

    assert sim.report().overlapping == 0


# --- playing scenarios --------------------------------------------------------------------------------------------


def test_a_scenario_lasts_as_many_answers_as_asked(sim: Simulator, acme: Account) -> None:
    acme.play("html", times=2)

    assert [ask(sim).headers["content-type"][:9] for _ in range(3)] == ["text/html", "text/html", "applicati"]
    assert [call.scenario for call in sim.calls] == ["html", "html", None]


def test_a_scenario_may_concern_one_list(sim: Simulator, acme: Account) -> None:
    acme.play("empty_body", api="connectors")

    assert ask(sim).body == b""
    assert ask(sim, "routing_points").status == 200
    acme.play(None, api="connectors")
    assert ask(sim).status == 200


def test_a_word_for_all_lists_replaces_those_for_single_ones(sim: Simulator, acme: Account) -> None:
    acme.play("empty_body", api="connectors")
    acme.play("maintenance")
    assert ask(sim).status == 403

    acme.play(None)
    assert ask(sim).status == 200


def test_an_unknown_scenario_is_answered_with_the_nearest(acme: Account) -> None:
    with pytest.raises(ValueError, match="unknown scenario 'qota'; did you mean 'quota'"):
        acme.play("qota")
    with pytest.raises(ValueError, match=r"unknown scenario '#'$"):
        acme.play("#")


def test_the_listing_describes_every_scenario() -> None:
    lines = scenario_listing().splitlines()

    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    assert all(len(line.split(maxsplit=1)[1]) > 10 for line in lines)


# --- scenarios: HTTP ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "status", "part"),
    [
        ("no_token_401", 401, b"PLEASE ENTER THE WOLKVOX-TOKEN"),
        ("quota", 403, b"TOKEN LIMIT EXCEEDED"),
        ("simultaneous", 403, b"SIMULTANEOUS"),
        ("validate_token", 403, b"PLEASE VALIDATE TOKEN"),
        ("maintenance", 403, b"<html>"),
        ("firewall_403", 403, b"IP IS NOT AUTHORIZED"),
        ("throttled", 429, b"TOO MANY REQUESTS"),
        ("throttled_date", 429, b"TOO MANY REQUESTS"),
        ("unknown_api", 400, b"DOES NOT EXIST"),
        ("parameters_required", 400, b"SOME PARAMETERS"),
        ("server_error_500", 500, b'"code": 500'),
        ("bad_gateway_502_html", 502, b"<html>"),
        ("unavailable_503", 503, b"<html>"),
        ("not_found_404_html", 404, b"<html>"),
        ("empty_404", 404, b"Validate dates entered"),
        ("empty_200", 200, b'"data": []'),
        ("created_201", 201, b"2 records"),
        ("no_content_204", 204, b""),
        ("redirect_other_host", 302, b""),
        ("redirect_same", 301, b""),
        ("html", 200, b"<html>"),
        ("empty_body", 200, b""),
        ("bom", 200, b'\xef\xbb\xbf{"code"'),
        ("not_utf8", 200, b"Sales\xff\xfe!"),
        ("slow", 200, b"2 records"),
    ],
)
def test_a_scenario_answers_with_its_status_and_text(
    sim: Simulator, acme: Account, scenario: str, status: int, part: bytes
) -> None:
    answer = played(sim, acme, scenario, seconds=0)

    assert answer.status == status
    assert part in answer.body
    assert sim.calls[0].status == status


def test_retry_after_comes_in_both_forms(sim: Simulator, acme: Account) -> None:
    assert played(sim, acme, "throttled").headers["retry-after"] == "600"
    assert played(sim, acme, "throttled", seconds=7).headers["retry-after"] == "7"
    assert played(sim, acme, "throttled_date").headers["retry-after"] == "Thu, 01 Jan 1970 00:10:00 GMT"


def test_redirects_lead_to_another_host_or_to_itself(sim: Simulator, acme: Account) -> None:
    here = API + "connectors"

    assert played(sim, acme, "redirect_same").headers["location"] == here
    assert played(sim, acme, "redirect_other_host").headers["location"] == f"http://localhost:{port(sim)}{here}"
    assert played(sim, acme, "redirect_other_host", location="http://h/").headers["location"] == "http://h/"


def test_a_cookie_is_set(sim: Simulator, acme: Account) -> None:
    assert "PHPSESSID" in played(sim, acme, "set_cookie").headers["set-cookie"]


def test_huge_headers_are_more_than_a_client_takes(sim: Simulator, acme: Account) -> None:
    with pytest.raises(http.client.HTTPException, match="100 headers"):
        played(sim, acme, "huge_headers")


def test_gzipped_bodies_are_whole_broken_or_false(sim: Simulator, acme: Account) -> None:
    good, broken, false = (played(sim, acme, name) for name in ("gzip", "gzip_broken", "gzip_false"))

    assert {answer.headers["content-encoding"] for answer in (good, broken, false)} == {"gzip"}
    assert json.loads(gzip.decompress(good.body))["code"] == 200
    with pytest.raises(EOFError):
        gzip.decompress(broken.body)
    assert false.json["code"] == 200


def test_a_gzip_bomb_is_small_on_the_wire(sim: Simulator, acme: Account) -> None:
    body = played(sim, acme, "gzip_bomb").body

    assert len(body) < 80_000
    assert len(gzip.decompress(body)) > 64 << 20


# --- scenarios: envelope and rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "key", "value"),
    [
        ("error_text", "error", "SOMETHING WRONG"),
        ("error_null_string", "error", "null"),
        ("error_blank", "error", " "),
        ("data_string", "data", "no data"),
        ("data_null", "data", None),
        ("code_200_text", "code", "200"),
        ("code_0", "code", 0),
        ("code_0_text", "code", "0"),
        ("code_blank", "code", ""),
        ("code_201", "code", 201),
        ("code_401", "code", 401),
        ("code_403_quota", "code", "403"),
        ("code_404", "code", "404"),
        ("code_500", "code", 500),
    ],
)
def test_a_scenario_changes_one_key_of_the_envelope(
    sim: Simulator, acme: Account, scenario: str, key: str, value: Any
) -> None:
    answer = played(sim, acme, scenario)

    assert answer.status == 200
    assert answer.json[key] == value


def test_an_envelope_may_lack_a_key_or_be_none_at_all(sim: Simulator, acme: Account) -> None:
    assert played(sim, acme, "data_absent").json.keys() == {"code", "error", "msg"}
    assert played(sim, acme, "code_absent").json.keys() == {"error", "msg", "data"}
    assert played(sim, acme, "data_object").json["data"]["name"] == "Sales"
    assert len(played(sim, acme, "bare_array").json) == 2


def test_half_a_body_is_no_json(sim: Simulator, acme: Account) -> None:
    with pytest.raises(json.JSONDecodeError):
        _ = played(sim, acme, "truncated_json").json


@pytest.mark.parametrize(
    ("scenario", "rows"),
    [
        ("ids_as_numbers", [(12, 5, "Sales", "whatsapp"), (14, 6, "Mail", "email")]),
        ("missing_fields", [("12", "-", "-", "whatsapp"), ("14", "-", "-", "email")]),
        ("all_rejected", [("-", "5", "Sales", "whatsapp"), ("-", "6", "Mail", "email")]),
        ("strange_channel", [("12", "5", "Sales", "line"), ("14", "6", "Mail", "email")]),
        ("rp_zero", [("12", "0", "Sales", "whatsapp"), ("14", "0", "Mail", "email")]),
        ("rp_null", [("12", None, "Sales", "whatsapp"), ("14", None, "Mail", "email")]),
    ],
)
def test_a_scenario_changes_the_rows(sim: Simulator, acme: Account, scenario: str, rows: list[Any]) -> None:
    data = played(sim, acme, scenario).json["data"]

    fields = ("connector_id", "rp_id", "name", "channel")
    assert [tuple(row.get(field, "-") for field in fields) for row in data] == rows


@pytest.mark.parametrize(
    ("scenario", "more"),
    [
        ("rejected_rows", [("-", "Sales"), ("", "Sales")]),
        ("duplicate_rows", [("12", "Sales")]),
        ("conflicting_rows", [("12", "Sales (2)")]),
    ],
)
def test_a_scenario_adds_rows(sim: Simulator, acme: Account, scenario: str, more: list[Any]) -> None:
    data = played(sim, acme, scenario).json["data"]

    assert [(row.get("connector_id", "-"), row["name"]) for row in data[2:]] == more


def test_rows_may_have_fields_that_no_page_documents(sim: Simulator, acme: Account) -> None:
    assert {"created_at", "extra"} < played(sim, acme, "unknown_fields").json["data"][0].keys()


@pytest.mark.parametrize("api", ["connectors", "routing_points", "token_info"])
def test_an_answer_may_be_cut_at_60000_rows(sim: Simulator, acme: Account, api: str) -> None:
    rows = played(sim, acme, "cut_60000", api).json["data"]

    assert len({json.dumps(row) for row in rows}) == len(rows) == 60_000


@pytest.mark.parametrize("api", ["connectors", "strange"])
@pytest.mark.parametrize("scenario", sorted(SCENARIOS.keys() - {"big_body", "big_chunked"}))
def test_every_scenario_answers_an_account_that_has_nothing(sim: Simulator, scenario: str, api: str) -> None:
    sim.add("empty", token="t-empty", server="0010").play(scenario, seconds=0)

    with socket.create_connection(("127.0.0.1", port(sim)), timeout=5) as client:
        client.sendall(f"GET {API}{api} HTTP/1.0\r\nwolkvox-token: t-empty\r\n\r\n".encode())
        try:
            read_all(client)
        except ConnectionResetError:
            assert scenario in {"reset_at_once", "reset_after_headers"}

    assert sim.calls[0].scenario == scenario
    assert sim.calls[0].ended is not None


# --- scenarios: the socket ----------------------------------------------------------------------------------------


def test_a_connection_may_end_without_an_answer(sim: Simulator, acme: Account) -> None:
    acme.play("close_at_once")
    with raw(sim) as client:
        assert read_all(client) == b""

    acme.play("hang", seconds=0.05)
    with raw(sim) as client:
        assert read_all(client) == b""

    assert [call.status for call in sim.calls] == [None, None]


def test_a_connection_may_be_reset_without_an_answer(sim: Simulator, acme: Account) -> None:
    acme.play("reset_at_once")

    with raw(sim) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_connection_may_be_reset_after_the_headers(sim: Simulator, acme: Account) -> None:
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        played(sim, acme, "reset_after_headers")


def test_a_body_may_be_shorter_than_promised(sim: Simulator, acme: Account) -> None:
    with pytest.raises(http.client.IncompleteRead):
        played(sim, acme, "short_body")


def test_an_answer_may_be_no_http(sim: Simulator, acme: Account) -> None:
    with pytest.raises(http.client.BadStatusLine):
        played(sim, acme, "not_http")


@pytest.mark.parametrize(("scenario", "tail"), [("drip_headers", b"\r\nX-Drip: x"), ("drip_body", b"\r\n\r\n ")])
def test_an_answer_may_come_byte_by_byte(sim: Simulator, acme: Account, scenario: str, tail: bytes) -> None:
    acme.play(scenario, seconds=0.1)

    with raw(sim) as client:
        assert read_all(client).endswith(tail)


@pytest.mark.parametrize("scenario", ["drip_headers", "drip_body"])
def test_a_drip_ends_with_its_client(sim: Simulator, acme: Account, scenario: str) -> None:
    acme.play(scenario)
    raw(sim).close()

    until(lambda: sim.calls and sim.calls[0].ended is not None)


@pytest.mark.parametrize("scenario", ["big_body", "big_chunked"])
def test_a_big_body_is_valid_json(sim: Simulator, acme: Account, scenario: str) -> None:
    answer = played(sim, acme, scenario)

    assert len(answer.body) > 100_000_000
    assert answer.json["data"] == []


def test_a_client_may_leave_a_big_body(sim: Simulator, acme: Account) -> None:
    acme.play("big_body")
    with raw(sim) as client:
        client.recv(100)

    until(lambda: sim.calls[0].ended is not None)
    assert sim.report().calls == 1


# --- start and end ------------------------------------------------------------------------------------------------


def test_closing_ends_hanging_answers_and_frees_the_port(acme: Account, sim: Simulator) -> None:
    acme.play("hang")
    with raw(sim) as client:
        until(lambda: sim.calls)
        began = time.monotonic()

        sim.close()

        assert time.monotonic() - began < 1
        assert read_all(client) == b""
        assert sim.calls[0].ended is not None
        with socket.create_server(("127.0.0.1", port(sim))):
            pass


@pytest.mark.usefixtures("acme")
def test_closing_hangs_up_on_idle_connections(sim: Simulator) -> None:
    with raw(sim) as client:
        assert client.recv(10) == b"HTTP/1.1 2"

        sim.close()

        assert read_all(client)


@pytest.mark.usefixtures("acme")
def test_a_simulator_that_starts_again_keeps_its_port_and_its_world(sim: Simulator) -> None:
    before = sim.url
    sim.close()
    sim.close()
    with pytest.raises(ConnectionRefusedError):
        ask(sim)

    sim.start()
    sim.start()

    assert sim.url == before
    assert ask(sim).status == 200


def test_a_connection_that_comes_while_closing_is_hung_up_on(sim: Simulator) -> None:
    server = sim._server  # noqa: SLF001 - the moment between the flag and the end of listening
    assert server
    server.closing.set()

    with socket.create_connection(("127.0.0.1", port(sim)), timeout=5) as client:
        assert read_all(client) == b""


def test_there_is_no_address_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="start it first"):
        _ = Simulator().url


def test_no_thread_outlives_a_simulator() -> None:
    before = threading.active_count()
    with Simulator() as other:
        other.add("other", token="t-other", server="0010")
        with closing(http.client.HTTPConnection("127.0.0.1", port(other), timeout=5)) as client:
            client.request("GET", API + "connectors")
            client.getresponse().read()

    assert threading.active_count() == before


# --- the control surface ------------------------------------------------------------------------------------------


def test_other_processes_can_build_a_world(sim: Simulator) -> None:
    row = {"connector_id": "1", "channel": "telegram"}
    point = {"rp_id": "5", "rp_name": "Main", "chat_active": "yes"}

    statuses = [
        control(sim, "PUT", "accounts/acme", {"token": "t-acme", "server": "0010", "limit": 9}).status,
        control(sim, "PUT", "accounts/acme/connectors", [row]).status,
        control(sim, "PUT", "accounts/acme/routing_points", [point]).status,
        control(sim, "POST", "accounts/acme/spend", {"calls": 4}).status,
    ]

    assert statuses == [200] * 4
    assert ask(sim).json["data"] == [{"rp_id": "", "name": "", **row}]
    assert control(sim, "GET", "accounts").json == {
        "acme": {
            "server": "0010",
            "limit": 9,
            "tokens": 1,
            "used_today": 5,
            "connectors": [{"rp_id": "", "name": "", **row}],
            "routing_points": [point],
        }
    }


def test_other_processes_can_play_and_change_tokens(sim: Simulator, acme: Account) -> None:
    control(sim, "POST", "accounts/acme/play", {"scenario": "quota", "times": 1})
    control(sim, "POST", "accounts/acme/tokens", {"add": "t-new", "revoke": "t-acme"})

    assert [ask(sim, token=token).status for token in ("t-new", "t-new", "t-acme")] == [403, 200, 403]
    assert control(sim, "POST", "new-day").json == {"done": True}
    assert acme.used_today == 0


@pytest.mark.usefixtures("acme")
def test_other_processes_can_read_the_record_without_a_token_in_it(sim: Simulator) -> None:
    ask(sim)
    ask(sim, token="t-wrong")

    report, calls, accounts = (control(sim, "GET", path) for path in ("report", "calls", "accounts"))

    assert {**report.json, "text": ""} == {"calls": 2, "early": 0, "overlapping": 0, "refused": 1, "text": ""}
    assert [call["token_id"] for call in calls.json] == ["acme#0", "unknown#0"]
    assert not any(b"t-" in answer.body for answer in (report, calls, accounts))
    assert control(sim, "GET", "scenarios").json["quota"] == SCENARIOS["quota"].description


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "accounts/nobody/play", {"scenario": "html"}, 404),
        ("POST", "accounts/acme/dance", None, 404),
        ("PUT", "accounts/acme", {"token": "t-x", "server": "0010"}, 400),
        ("PUT", "accounts/new", None, 400),
        ("PUT", "accounts/acme/connectors", [{"channel": "email"}], 400),
        ("POST", "accounts/acme/play", {"scenario": "qota"}, 400),
        ("POST", "accounts/acme/play", None, 400),
        ("POST", "accounts/acme/tokens", {"revoke": "t-never"}, 400),
    ],
)
@pytest.mark.usefixtures("acme")
def test_a_control_that_does_not_fit_is_refused(sim: Simulator, method: str, path: str, body: Any, status: int) -> None:
    answer = control(sim, method, path, body)

    assert answer.status == status
    assert answer.json["error"]
    assert b"t-never" not in answer.body


# --- the demo -----------------------------------------------------------------------------------------------------


def world(sim: Simulator) -> dict[str, Any]:
    return {name: (account.connectors(), account.routing_points()) for name, account in sim.accounts.items()}


def test_the_demo_has_all_channels_two_accounts_on_one_server_and_one_line_misrouted(sim: Simulator) -> None:
    operations = demo_accounts(sim)

    assert len(operations) == 5
    assert len({server for _, server, _ in operations}) == 4
    rows = [(name, row) for name, account in sim.accounts.items() for row in account.connectors()]
    assert len({row["channel"] for _, row in rows}) == 8
    points = {(name, row["rp_id"]) for name, account in sim.accounts.items() for row in account.routing_points()}
    assert len([row for name, row in rows if (name, row["rp_id"]) not in points]) == 1
    assert {ask(sim, token=operation.token).status for operation in operations} == {200}


@pytest.mark.parametrize("seed", range(5))
def test_the_demo_is_the_same_for_the_same_seed(sim: Simulator, seed: int) -> None:
    other = Simulator()
    assert demo_accounts(sim, seed) == demo_accounts(other, seed)

    drifts = Drift(sim, seed=seed), Drift(other, seed=seed)

    assert [drifts[0].step(n) for n in range(60)] == [drifts[1].step(n) for n in range(60)]
    assert world(sim) == world(other)


def test_the_drift_does_every_kind_of_thing_and_puts_it_right(sim: Simulator) -> None:
    demo_accounts(sim)
    drift = Drift(sim, seed=random.randrange(100))

    said = " ".join(drift.step(n) for n in range(60))

    for words in (
        "was removed",
        "is back, as",
        "was routed from",
        "is routed to",
        "(nuevo) now",
        "is called",
        "was switched off",
        "is on again",
        "answers normally again",
    ):
        assert words in said


def test_the_drift_of_one_account_repairs_before_it_goes_on(sim: Simulator, acme: Account) -> None:
    acme.route("6", "Mail", interaction="yes")
    drift = Drift(sim)
    before = world(sim)

    for n in range(2):
        drift.step(n)

    assert world(sim) == before


def test_the_drift_works_by_itself_until_it_is_closed(sim: Simulator) -> None:
    demo_accounts(sim)
    before = world(sim)

    with Drift(sim, seconds=0.01):
        until(lambda: world(sim) != before)
