"""Calls over real sockets: the simulator, and small servers for what it does not do."""

import gc
import http.client
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.body import KEPT, PIECE, ROOMY
from exporter.client import Client, Upstream
from exporter.envelope import DETAIL_LENGTH
from exporter.model import Outcome, Secret
from exporter.simulator import Simulator
from exporter.transport import CutError, Line, diagnosis

CANARY = "c4na4ryc4na4ryc4na4ry"
TOKEN = Secret(CANARY)
SHORT = 0.25
ROW = {"connector_id": "12", "rp_id": "5", "name": "Sales", "channel": "whatsapp"}
FINE = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"data": [1]}'
ALLOWLIST = "allowlist looks like this"


@pytest.fixture
def simulator():
    with Simulator(interval=0.0) as running:
        running.add("acme", token=CANARY, server="0010").connect("whatsapp", "12", rp_id="5", name="Sales")
        yield running


@pytest.fixture
def acme(simulator):
    return simulator.accounts["acme"]


@contextmanager
def client(base_url, **changes):
    """A client; `timeout` and other fields of Upstream, `resolve` and `wall` of Client by name."""
    own: dict[str, Any] = {"monotonic": time.monotonic, "wall": time.time}
    own |= {name: changes.pop(name) for name in ("resolve", "wall", "monotonic") if name in changes}
    made = Client(
        Upstream(**{"base_url": base_url, "timeout": 5.0} | changes),
        "wolkvox-exporter/1.0",
        **own,
    )
    try:
        yield made
    finally:
        made.close()


def call(base_url, token=TOKEN, **changes):
    with client(base_url, **changes) as made:
        return made.call("0010", "connectors", token)


def request(connection):
    """What a client sends, up to the blank line."""
    read = b""
    with suppress(OSError):
        while b"\r\n\r\n" not in read and (piece := connection.recv(65536)):
            read += piece
    return read


@contextmanager
def serving(answer, listener=None):
    """An address; `answer` gets each connection, in a thread of its own. Leaving waits for them all."""
    threads: list[threading.Thread] = []

    def serve(connection) -> None:
        with connection, suppress(OSError):
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=serve, args=(listening.accept()[0],))
                thread.start()
                threads.append(thread)

    with listener or socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def says(*pieces, seen=None):
    """Reads the request, sends the pieces, closes. `seen` collects the requests."""

    def answer(connection) -> None:
        asked = request(connection)
        if seen is not None:
            seen.append(asked)
        for piece in pieces:
            connection.sendall(piece)

    return answer


# What the upstream says

WHOLE = {
    None: Outcome.OK,
    "no_token_401": Outcome.TOKEN_REJECTED,
    "quota": Outcome.QUOTA_EXHAUSTED,
    "simultaneous": Outcome.TOKEN_BUSY,
    "validate_token": Outcome.TOKEN_REJECTED,
    "maintenance": Outcome.FORBIDDEN,
    "firewall_403": Outcome.FORBIDDEN,
    "throttled": Outcome.THROTTLED,
    "throttled_date": Outcome.THROTTLED,
    "unknown_api": Outcome.UNKNOWN_LIST,
    "parameters_required": Outcome.REFUSED,
    "server_error_500": Outcome.SERVER_ERROR,
    "bad_gateway_502_html": Outcome.SERVER_ERROR,
    "unavailable_503": Outcome.SERVER_ERROR,
    "not_found_404_html": Outcome.NOT_FOUND,
    "empty_404": Outcome.NO_RECORDS,
    "empty_200": Outcome.NO_RECORDS,
    "error_text": Outcome.REFUSED,
    "error_null_string": Outcome.OK,
    "error_blank": Outcome.OK,
    "data_object": Outcome.MALFORMED,
    "data_string": Outcome.MALFORMED,
    "data_null": Outcome.MALFORMED,
    "data_absent": Outcome.MALFORMED,
    "bare_array": Outcome.MALFORMED,
    "truncated_json": Outcome.MALFORMED,
    "html": Outcome.MALFORMED,
    "empty_body": Outcome.MALFORMED,
    "not_utf8": Outcome.OK,
    "bom": Outcome.OK,
    "code_200_text": Outcome.OK,
    "code_0": Outcome.OK,
    "code_0_text": Outcome.OK,
    "code_blank": Outcome.OK,
    "code_absent": Outcome.OK,
    "code_201": Outcome.MALFORMED,
    "code_401": Outcome.TOKEN_REJECTED,
    "code_403_quota": Outcome.QUOTA_EXHAUSTED,
    "code_404": Outcome.NO_RECORDS,
    "code_500": Outcome.SERVER_ERROR,
    "ids_as_numbers": Outcome.OK,
    "rejected_rows": Outcome.OK,
    "created_201": Outcome.MALFORMED,
    "no_content_204": Outcome.MALFORMED,
    "gzip": Outcome.OK,
    "gzip_broken": Outcome.MALFORMED,
    "gzip_false": Outcome.MALFORMED,
    "redirect_other_host": Outcome.REDIRECTED,
    "redirect_same": Outcome.REDIRECTED,
    "set_cookie": Outcome.OK,
    "slow": Outcome.OK,
}
PARTLY_READ = {
    "gzip_bomb": Outcome.TOO_LARGE,
    "big_body": Outcome.TOO_LARGE,
    "big_chunked": Outcome.TOO_LARGE,
    "drip_headers": Outcome.TIMEOUT,
    "drip_body": Outcome.TIMEOUT,
    "hang": Outcome.TIMEOUT,
    "slow": Outcome.TIMEOUT,
    "reset_after_headers": Outcome.UNREACHABLE,
    "reset_at_once": Outcome.UNREACHABLE,
    "close_at_once": Outcome.UNREACHABLE,
    "short_body": Outcome.UNREACHABLE,
    "not_http": Outcome.UNREACHABLE,
    "huge_headers": Outcome.UNREACHABLE,
}


@pytest.mark.parametrize(("scenario", "outcome"), WHOLE.items())
def test_an_answer_that_is_read_to_its_end(simulator, acme, scenario, outcome) -> None:
    acme.play(scenario, seconds=0.1 if scenario == "slow" else None)
    before = len(simulator.calls)

    answer = call(simulator.url)

    assert answer.outcome is outcome
    assert answer.whole
    assert len(simulator.calls) == before + 1


@pytest.mark.parametrize(("scenario", "outcome"), PARTLY_READ.items())
def test_an_answer_that_is_not_read_to_its_end_leaves_the_token_busy(simulator, acme, scenario, outcome) -> None:
    acme.play(scenario, seconds=2.0 if scenario in ("hang", "slow") else None)
    began = time.monotonic()

    answer = call(
        simulator.url, max_body=2 * ROOMY, timeout=SHORT if outcome is Outcome.TIMEOUT else 5.0, connect_timeout=0.2
    )

    assert answer.outcome is outcome
    assert not answer.whole
    assert answer.detail
    assert time.monotonic() - began < SHORT + 2
    acme.play(None)


def test_the_records_and_the_code_come_as_they_are(simulator) -> None:
    answer = call(simulator.url)

    assert answer.records == (ROW,)
    assert (answer.status, answer.code) == (200, "200")


def test_a_failed_request_is_refused_by_name_and_rank(simulator) -> None:
    answer = call(simulator.url, Secret("unknown-token"))

    assert answer.outcome is Outcome.TOKEN_REJECTED


@pytest.mark.parametrize("scenario", ["throttled", "throttled_date"])
def test_a_throttled_answer_says_when_to_come_back(simulator, acme, scenario) -> None:
    acme.play(scenario, seconds=90)

    assert call(simulator.url, wall=time.time).retry_after == pytest.approx(90, abs=2)


def test_the_duration_is_told_in_seconds(simulator) -> None:
    ticks = iter([100.0, 107.5])

    assert call(simulator.url, monotonic=lambda: next(ticks)).duration == 7.5


# What is sent


def test_the_request_is_one_get_with_the_token_in_its_header() -> None:
    seen: list[bytes] = []

    with serving(says(FINE, seen=seen)) as url:
        answer = call(url + "/{server}/")

    (asked,) = seen
    line, *headers = asked.decode().rstrip().split("\r\n")
    assert answer.outcome is Outcome.OK
    assert line == "GET /0010/api/v2/information.php?api=connectors HTTP/1.1"
    assert sorted(header for header in headers if not header.startswith("Host: ")) == [
        "Accept-Encoding: gzip",
        "Accept: application/json",
        "Connection: close",
        "User-Agent: wolkvox-exporter/1.0",
        f"wolkvox-token: {CANARY}",
    ]


def test_each_call_carries_its_own_token_to_its_own_server_and_list() -> None:
    seen: list[bytes] = []

    with serving(says(FINE, seen=seen)) as url, client(url + "/{server}") as made:
        for server, api, token in (("1", "a", "one"), ("1", "a", "two"), ("2", "a", "one"), ("1", "b", "one")):
            made.call(server, api, Secret(token))

    told = [(each.split(b" ")[1], each.partition(b"wolkvox-token: ")[2].split(b"\r\n")[0]) for each in seen]
    assert told == [
        (b"/1/api/v2/information.php?api=a", b"one"),
        (b"/1/api/v2/information.php?api=a", b"two"),
        (b"/2/api/v2/information.php?api=a", b"one"),
        (b"/1/api/v2/information.php?api=b", b"one"),
    ]


def test_a_client_that_nobody_holds_is_gone_at_once() -> None:
    with serving(says(FINE)) as url:
        made = Client(Upstream(base_url=url), "test", time.monotonic, wall=time.time)
        made.call("0010", "connectors", TOKEN)
        known = weakref.ref(made)
        gc.disable()
        try:
            del made
            assert known() is None
        finally:
            gc.enable()


def test_the_name_of_a_list_cannot_leave_its_parameter() -> None:
    seen: list[bytes] = []

    with serving(says(FINE, seen=seen)) as url, client(url) as made:
        made.call("0010", "a&b=c d", TOKEN)

    assert seen[0].startswith(b"GET /api/v2/information.php?api=a%26b%3Dc+d HTTP")


def test_cookies_are_not_kept() -> None:
    seen: list[bytes] = []
    cookie = FINE.replace(b"OK\r\n", b"OK\r\nSet-Cookie: a=b; Path=/\r\n")

    with serving(says(cookie, seen=seen)) as url, client(url) as made:
        made.call("0010", "connectors", TOKEN)
        made.call("0010", "connectors", TOKEN)

    assert len(seen) == 2
    assert b"ookie" not in seen[1]


def test_a_redirect_is_told_and_not_followed() -> None:
    seen: list[bytes] = []

    with serving(says(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", seen=seen)) as url:
        answer = call(url)

    assert answer.outcome is Outcome.REDIRECTED
    assert '"/login"' in answer.detail
    assert len(seen) == 1


def test_a_redirect_with_an_endless_body_ends_at_the_deadline() -> None:
    def drip(connection) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 99999\r\n\r\n")
        while connection.recv(1):
            pass

    with serving(drip) as url:
        answer = call(url, timeout=0.2)

    assert answer.outcome is Outcome.TIMEOUT
    assert answer.status == 302


def test_a_connection_that_breaks_is_not_tried_again() -> None:
    seen: list[bytes] = []

    with serving(says(seen=seen)) as url:
        answer = call(url)

    assert (answer.outcome, answer.whole) == (Outcome.UNREACHABLE, False)
    assert len(seen) == 1


def test_a_busy_answer_with_retry_after_is_not_tried_again() -> None:
    seen: list[bytes] = []

    with serving(says(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", seen=seen)) as url:
        answer = call(url)

    assert (answer.outcome, len(seen)) == (Outcome.SERVER_ERROR, 1)


# Tokens


@pytest.mark.parametrize("text", ["", " a", "a ", "a\nb", "a\r\nX-Evil: 1", "t\u20acken", "a\x00", "a\x7f", "\ud800"])
def test_a_token_that_a_header_cannot_carry_is_refused_before_a_call(simulator, text) -> None:
    before = len(simulator.calls)

    answer = call(simulator.url, Secret(text))

    assert (answer.outcome, answer.whole) == (Outcome.REFUSED, True)
    assert answer.detail == "the token has characters that a header cannot carry"
    assert len(simulator.calls) == before


def test_a_token_that_the_server_echoes_is_in_no_detail() -> None:
    body = f'{{"code": 403, "msg": "TOKEN {CANARY} IS CLOSED"}}'.encode()

    with serving(says(b"HTTP/1.1 403 F\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as url:
        answer = call(url)

    assert answer.detail == 'HTTP 403 "TOKEN *** IS CLOSED"'


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 " + CANARY.encode() + b"\r\n\r\n",
        CANARY.encode() * 100,
        b"HTTP/1.1 200 OK\r\n" + CANARY.encode() + b"\r\nContent-Length: 13\r\n\r\n" + b'{"data": [1]}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY.encode() + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + CANARY.encode() + b", 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: " + CANARY.encode() + b"\r\nContent-Length: 1\r\n\r\n1",
    ],
)
def test_a_token_in_what_is_no_http_is_in_no_detail_and_no_log(caplog, reply) -> None:
    caplog.set_level(1)

    with serving(says(reply)) as url:
        answer = call(url)

    assert CANARY[:8] not in repr(answer) + caplog.text


def test_a_bug_crashes_in_the_thread_that_called() -> None:
    def broken(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call("http://wolkvox.test", resolve=broken)


# Where nothing reached the server


def test_a_refused_connection_reminds_of_the_allowlist() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    answer = call(url)

    assert (answer.outcome, answer.whole, answer.status) == (Outcome.UNREACHABLE, True, None)
    assert "connection refused" in answer.detail
    assert ALLOWLIST in answer.detail


@pytest.fixture
def deaf():
    """An address that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filler in (first, second):
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_connection_that_is_not_taken_reminds_of_the_allowlist(deaf) -> None:
    answer = call(deaf, connect_timeout=0.2)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, True)
    assert answer.detail.startswith("connect: timed out")
    assert ALLOWLIST in answer.detail


def test_the_deadline_ends_a_connect_too(deaf) -> None:
    answer = call(deaf, timeout=0.2, connect_timeout=0.5)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, True)
    assert ALLOWLIST in answer.detail
    assert "after 0.2 seconds" in answer.detail


def test_an_unknown_name_is_unreachable() -> None:
    def resolve(*_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = call("https://wv{server}.wolkvox.test", resolve=resolve)

    assert (answer.outcome, answer.whole) == (Outcome.UNREACHABLE, True)
    assert answer.detail == "name look-up: Name or service not known"


def test_a_name_without_an_address_is_unreachable() -> None:
    answer = call("http://wolkvox.test", resolve=lambda *_: [])

    assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "name look-up: the name has no address")


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "wv..test", "[::1"])
def test_a_name_that_is_none_is_unreachable(host) -> None:
    answer = call(f"http://{host}")

    assert (answer.outcome, answer.whole) == (Outcome.UNREACHABLE, True)


def test_the_next_address_is_tried_where_one_refuses(simulator) -> None:
    port = int(simulator.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")

    answer = call(
        f"http://wolkvox.test:{port}", resolve=lambda *_: [(*stream, refusing), (*stream, ("127.0.0.1", port))]
    )

    assert answer.outcome is Outcome.OK


def test_a_look_up_that_hangs_ends_at_the_deadline_and_sends_nothing_later() -> None:
    reached: list[bytes] = []
    awake, done = threading.Event(), threading.Event()

    with serving(says(FINE, seen=reached)) as url:

        def resolve(*_):
            awake.wait(5)
            threading.Timer(0.1, done.set).start()
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(url.rpartition(":")[2])))]

        answer = call(url, timeout=0.2, resolve=resolve)
        awake.set()
        done.wait(5)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, True)
    assert answer.detail.startswith("name look-up: timed out, after 0.2 seconds")
    assert reached == []


# What a line allows


def test_a_line_that_was_cut_opens_no_connection() -> None:
    line = Line(lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))])
    line.cut()

    with pytest.raises(CutError):
        line.connect("wolkvox.test", 80, 1.0)


def test_a_line_that_is_cut_before_the_request_leaves_sends_nothing() -> None:
    line = Line()
    line.cut()

    with pytest.raises(CutError):
        line.spend()

    assert not line.sent


def test_an_error_of_no_known_kind_is_told_by_its_name() -> None:
    assert diagnosis(CutError(), Line()) == (Outcome.UNREACHABLE, "name look-up: CutError")


def test_an_unreachable_network_is_told_by_the_systems_words() -> None:
    assert diagnosis(OSError(101, "Network is unreachable"), Line())[1] == "name look-up: Network is unreachable"


def test_a_host_name_that_cannot_be_written_is_told() -> None:
    outcome, detail = diagnosis(UnicodeError("label too long"), Line())

    assert (outcome, detail) == (Outcome.UNREACHABLE, "name look-up: not a host name")


# Ending


def test_closing_ends_running_calls_at_once(simulator, acme) -> None:
    acme.play("hang", seconds=2)
    began = time.monotonic()

    with client(simulator.url) as made, ThreadPoolExecutor() as pool:
        running = [pool.submit(made.call, "0010", "connectors", TOKEN) for _ in range(3)]
        time.sleep(0.2)
        made.close()
        answers = [one.result() for one in running]

    assert {(answer.outcome, answer.whole) for answer in answers} == {(Outcome.INTERRUPTED, False)}
    assert time.monotonic() - began < 1


def test_a_closed_client_calls_nobody(simulator) -> None:
    before = len(simulator.calls)

    with client(simulator.url) as made:
        made.close()
        answer = made.call("0010", "connectors", TOKEN)

    assert (answer.outcome, answer.whole) == (Outcome.INTERRUPTED, True)
    assert len(simulator.calls) == before


def test_an_answer_that_was_given_up_frees_its_thread_and_socket(simulator, acme) -> None:
    acme.play("drip_body")

    call(simulator.url, timeout=0.2)

    for _ in range(50):
        if not any(thread.name.startswith("call ") for thread in threading.enumerate()):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the thread of the call is still there")
    gc.collect()


def test_many_threads_may_call_at_once(simulator) -> None:
    with client(simulator.url) as made, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: made.call("0010", "connectors", TOKEN), range(64)))

    assert {answer.outcome for answer in answers} <= {Outcome.OK, Outcome.TOKEN_BUSY}
    assert Outcome.OK in {answer.outcome for answer in answers}


# Bodies


def test_a_body_may_come_without_its_length() -> None:
    with serving(says(b'HTTP/1.1 200 OK\r\n\r\n{"data": [1]}')) as url:
        answer = call(url)

    assert (answer.outcome, answer.whole) == (Outcome.OK, True)


def test_a_body_may_come_in_chunks() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    with serving(says(head, b'7\r\n{"data"\r\n', b"6\r\n: [1]}\r\n", b"0\r\n\r\n")) as url:
        assert call(url).records == (1,)


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"-5\r\n", b"zz\r\n", b"5\r\nab", b""])
def test_a_broken_chunk_is_unreachable(chunk) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    with serving(says(head, chunk, b"x" * 100)) as url:
        answer = call(url, max_body=10)

    assert (answer.outcome, answer.whole) == (Outcome.UNREACHABLE, False)


def test_an_encoding_that_was_not_asked_for_is_malformed() -> None:
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: br, br, br, br, br, br\r\n\r\nxyz")) as url:
        answer = call(url)

    assert (answer.outcome, answer.whole) == (Outcome.MALFORMED, True)
    assert answer.detail == "HTTP 200, body has an encoding that was not asked for"


def test_a_broken_encoding_that_is_too_long_to_read_to_its_end_is_too_large() -> None:
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n", b"x" * 5000)) as url:
        answer = call(url, max_body=1000)

    assert (answer.outcome, answer.whole) == (Outcome.TOO_LARGE, False)


def test_the_status_decides_where_the_body_breaks() -> None:
    with serving(says(b"HTTP/1.1 401 No\r\nContent-Length: 5000\r\n\r\n{")) as url:
        answer = call(url)

    assert (answer.outcome, answer.status, answer.whole) == (Outcome.TOKEN_REJECTED, 401, False)


def test_a_declared_length_over_the_cap_ends_at_once() -> None:
    def wait(connection) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n")
        connection.recv(1)

    with serving(wait) as url:
        answer = call(url, max_body=16)

    assert (answer.outcome, answer.whole) == (Outcome.TOO_LARGE, False)
    assert answer.detail == "HTTP 200, body is larger than 16 bytes"


def large_answer(length):
    body = b'{"data": [1]' + b" " * length + b"}"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body


def test_large_bodies_are_read_one_at_a_time() -> None:
    """The first fills the room and stays; the second waits until its own deadline; a small one passes by."""
    filled = threading.Event()

    def fill(connection) -> None:
        asked = request(connection)
        head, body = large_answer(100 if b"api=small" in asked else 2 * ROOMY)
        connection.sendall(head)
        if b"api=first" in asked:
            connection.sendall(body[: ROOMY + 5 * PIECE])
            time.sleep(0.1)
            filled.set()
            connection.recv(1)
        connection.sendall(body)

    with serving(fill) as url, client(url, timeout=0.5) as made, ThreadPoolExecutor() as pool:
        first = pool.submit(made.call, "0010", "first", TOKEN)
        filled.wait(5)
        second = pool.submit(made.call, "0010", "second", TOKEN)
        small = made.call("0010", "small", TOKEN)
        outcomes = [first.result().outcome, second.result().outcome]
        third = made.call("0010", "third", TOKEN)

    assert small.outcome is Outcome.OK
    assert outcomes[0] is Outcome.TIMEOUT
    # The first one's end makes room, which the second may or may not have had time to use.
    assert outcomes[1] in (Outcome.OK, Outcome.TIMEOUT)
    assert third.outcome is Outcome.OK


def test_a_body_waits_for_room_no_longer_than_its_deadline() -> None:
    with serving(says(*large_answer(2 * ROOMY))) as url, client(url, timeout=0.2) as made:
        made._room.acquire()  # noqa: SLF001 - as a body would hold it that never ends
        answer = made.call("0010", "connectors", TOKEN)
        time.sleep(0.1)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, False)


MEMORY = """
import sys, time
sys.path.insert(0, "tests")
from peak import peak
from exporter.client import Client, Upstream
from exporter.model import Secret

client = Client(Upstream(sys.argv[1]), "test", time.monotonic, wall=time.time)
client.call("0010", "token_info", Secret(sys.argv[2]))
before = peak()
answer = client.call("0010", "connectors", Secret(sys.argv[2]))
print(answer.outcome, peak() - before)
"""


@pytest.mark.parametrize("scenario", ["big_body", "big_chunked", "gzip_bomb"])
def test_memory_stays_flat_whatever_comes(simulator, acme, scenario) -> None:
    acme.play(scenario, api="connectors")

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, simulator.url, CANARY],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )

    outcome, grown = done.stdout.split()
    assert outcome == Outcome.TOO_LARGE
    assert int(grown) < 2 * 16 * 1024 * 1024


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    made = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"]
    named = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    written = ["-keyout", file, "-out", file.with_suffix(".crt")]
    subprocess.run([*made, *named, *written], check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def encrypted(answer, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def shake(connection) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            answer(secure)

    return shake


def test_a_certificate_of_an_unknown_authority_ends_before_the_request(certificate) -> None:
    seen: list[bytes] = []

    with serving(encrypted(says(FINE, seen=seen), certificate)) as url:
        answer = call(url.replace("http:", "https:"))

    assert (answer.outcome, answer.whole) == (Outcome.TLS_ERROR, True)
    assert answer.detail.startswith("certificate: self")
    assert seen == []


def test_a_certificate_file_is_trusted(certificate) -> None:
    with serving(encrypted(says(FINE), certificate)) as url:
        answer = call(url.replace("http:", "https:"), ca_file=str(certificate))

    assert answer.outcome is Outcome.OK


def test_a_certificate_for_another_name_is_not_trusted(certificate) -> None:
    with serving(encrypted(says(FINE), certificate)) as url:
        answer = call(url.replace("http://127.0.0.1", "https://localhost"), ca_file=str(certificate))

    assert answer.outcome is Outcome.TLS_ERROR


def test_a_server_that_speaks_no_tls_is_a_tls_error() -> None:
    def plain(connection) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(plain) as url:
        answer = call(url.replace("http:", "https:"))

    assert (answer.outcome, answer.whole) == (Outcome.TLS_ERROR, True)


def test_a_handshake_that_hangs_ends_and_has_sent_nothing() -> None:
    with serving(lambda connection: connection.recv(2048) and connection.recv(2048)) as url:
        answer = call(url.replace("http:", "https:"), connect_timeout=0.2)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, True)
    assert answer.detail == "handshake: timed out"


def test_the_deadline_ends_a_drip_inside_tls(certificate) -> None:
    def drip(connection) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    with serving(encrypted(drip, certificate)) as url:
        answer = call(url.replace("http:", "https:"), ca_file=str(certificate), timeout=0.3)

    assert (answer.outcome, answer.whole) == (Outcome.TIMEOUT, False)


def test_tls_that_breaks_after_the_request_is_a_broken_connection() -> None:
    line = Line()
    line.spend()

    assert diagnosis(ssl.SSLError(1, "bad record mac"), line) == (Outcome.UNREACHABLE, "answer: bad record mac")


# Proxies


def test_a_proxy_is_used_where_one_is_configured() -> None:
    seen: list[bytes] = []

    with serving(says(FINE, seen=seen)) as proxy:
        answer = call("http://wv{server}.wolkvox.test", proxy=proxy)

    assert answer.outcome is Outcome.OK
    assert seen[0].startswith(b"GET http://wv0010.wolkvox.test/api/v2/information.php?api=connectors ")


def test_a_proxy_makes_a_tunnel_for_tls_and_sees_no_token(certificate) -> None:
    seen: list[bytes] = []

    def tunnel(connection) -> None:
        seen.append(request(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        encrypted(says(FINE), certificate)(connection)

    with serving(tunnel) as proxy:
        answer = call("https://127.0.0.1:4430", proxy=proxy, ca_file=str(certificate))

    assert answer.outcome is Outcome.OK
    assert seen[0].startswith(b"CONNECT 127.0.0.1:4430 ")
    assert CANARY.encode() not in seen[0]


def test_a_proxy_that_refuses_is_unreachable_and_nothing_was_sent() -> None:
    with serving(says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        answer = call("https://wv{server}.wolkvox.test", proxy=proxy.replace("//", "//user:secret-word@"))

    assert (answer.outcome, answer.whole) == (Outcome.UNREACHABLE, True)
    assert "407" in answer.detail
    assert "secret-word" not in answer.detail


def test_the_environment_and_netrc_are_not_read(monkeypatch, tmp_path) -> None:
    seen: list[bytes] = []
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret-word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/nowhere")

    with serving(says(FINE, seen=seen)) as url:
        answer = call(url)

    assert answer.outcome is Outcome.OK
    assert b"uthorization" not in seen[0]


# The body as it came.


@pytest.mark.parametrize(
    ("head", "body", "outcome"),
    [
        (b"200 OK", b'{"data": [1]}', Outcome.OK),
        (b"200 OK", b"<html>Down</html>", Outcome.MALFORMED),
        (b"200 OK", b"", Outcome.MALFORMED),
        (b"403 Forbidden", b'{"msg": "PLEASE VALIDATE TOKEN"}', Outcome.TOKEN_REJECTED),
        (b"302 Found\r\nLocation: /", b"moved", Outcome.REDIRECTED),
        (b"502 Bad Gateway", b"\xff\0", Outcome.SERVER_ERROR),
    ],
)
def test_the_body_is_handed_on_as_it_came_whatever_the_outcome(head, body, outcome) -> None:
    with serving(says(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))) as url:
        answer = call(url)

    assert (answer.outcome, answer.body, answer.size) == (outcome, body, len(body))
    assert "body=" not in repr(answer)


def test_of_a_long_body_the_start_is_handed_on_with_the_whole_size() -> None:
    body = b'{"data": ["%b"]}' % (b"x" * 2 * KEPT)
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as url:
        answer = call(url)

    assert (answer.outcome, answer.body, answer.size) == (Outcome.OK, body[:KEPT], len(body))


def test_of_a_body_that_ends_early_is_handed_on_what_came() -> None:
    with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b'{"data": ')) as url:
        answer = call(url)

    assert (answer.outcome, answer.body, answer.size) == (Outcome.UNREACHABLE, b'{"data": ', 9)


def test_of_a_body_that_is_too_large_is_handed_on_what_was_read() -> None:
    with serving(says(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 3 * PIECE)) as url:
        answer = call(url, max_body=2 * PIECE)

    assert (answer.outcome, answer.body, answer.size) == (Outcome.TOO_LARGE, b"x" * 2 * PIECE, 2 * PIECE)


def test_a_body_is_handed_on_unpacked(simulator, acme) -> None:
    acme.play("gzip")
    answer = call(simulator.url)

    assert b'"connector_id"' in answer.body
    assert answer.size == len(answer.body)


def test_where_nothing_came_there_is_no_body() -> None:
    with serving(says(b"")) as url:
        answer = call(url)

    assert (answer.outcome, answer.body, answer.size) == (Outcome.UNREACHABLE, b"", 0)


def test_every_detail_is_one_short_line(simulator, acme) -> None:
    for scenario in ("maintenance", "html", "redirect_other_host", "not_http", "short_body"):
        acme.play(scenario)
        detail = call(simulator.url).detail
        assert detail.isprintable()
        assert len(detail) <= DETAIL_LENGTH
        assert not re.search(r"0x[0-9a-f]+|Error\(", detail)


def test_the_parser_for_answers_is_the_one_that_was_hardened() -> None:
    """urllib3 reads chunks through this private method; its going would silently open the caps."""
    assert hasattr(http.client.HTTPResponse, "_safe_read")
