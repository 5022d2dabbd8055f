"""What is no request, or a nasty one, over real sockets: refused or answered or put out, and nobody else notices.

Each shape is tried both ways: where scrapes are answered as they are read, and where the application answers all.
"""

import asyncio
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import pytest
from abused import ANSWER, REQUEST
from processes import ask, content
from test_log import fields

from exporter import protocol
from exporter.log import FORMATS

HEAD = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [A-Za-z ]+\r\n((?:[a-z-]+: [\x20-\x7e]*\r\n)*)\r\n")
LENGTH = re.compile(rb"content-length: ([0-9]+)\r\n")
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
READY = b"wolkvox-exporter is ready.\n"
SLOW = 5.0  # seconds that a client of ours waits for an end
MOST_MEGABYTES = 60  # that abuse may add to the server's memory
REQUESTS = 10_000


class Abused:
    """A server's process: its two addresses, what it said, and what it takes."""

    def __init__(self, process: subprocess.Popen[str], form: str) -> None:
        assert process.stdout is not None
        self.process = process
        self.form = form
        self.addresses = process.stdout.readline().split()

    @property
    def memory(self) -> int:
        """Megabytes that are resident now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmRSS:"))

    def labels(self) -> set[str]:
        """Each series of the page."""
        return {line.rpartition(" ")[0] for line in ask(self.addresses[0], "/metrics").text.splitlines()}


@contextmanager
def abused(form: str) -> Iterator[tuple[Abused, list[str]]]:
    """A server, and the lines of its log once it has ended; the log is a file, for a full pipe would hold it up."""
    said: list[str] = []
    command = [sys.executable, str(Path(__file__).with_name("abused.py")), form]
    with (
        TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield Abused(process, form), said
        finally:
            process.communicate(timeout=20)
            said += content(log).removesuffix("\n").split("\n") if content(log) else []


@pytest.fixture(scope="module")
def server() -> Iterator[Abused]:
    with abused("logfmt") as (running, said):
        yield running
    assert said == []  # nothing that came deserved a line


@pytest.fixture(params=["at once", "by the application"])
def address(server, request) -> Iterator[str]:
    """One of its addresses; whatever was done to it, the next scrape is answered."""
    place = server.addresses[request.param != "at once"]
    yield place
    assert b"wolkvox_connector_info{" in ask(place, "/metrics").body


def connected(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=SLOW)


def told(address: str, *pieces: bytes) -> bytes:
    """All that comes back for the bytes until the server ends it; a TimeoutError where it does not."""
    came = b""
    with connected(address) as connection, suppress(ConnectionError):
        for piece in pieces:
            connection.sendall(piece)
        while part := connection.recv(65536):
            came += part
    return came


class Response(NamedTuple):
    status: int
    headers: bytes
    body: bytes


def answers(came: bytes, *, heads: bool = False) -> list[Response]:
    """The bytes as answers, one behind the other and nothing else; `heads`: a request may have been HEAD."""
    found = []
    while came:
        head = HEAD.match(came)
        assert head, came[:200]
        came = came[head.end() :]
        length = LENGTH.search(head[2])
        size = int(length[1]) if length and int(head[1]) >= 200 else 0
        if heads and (not came or came.startswith(b"HTTP/1.1 ")):
            size = 0
        assert len(came) >= size, "an answer that ends early"
        found.append(Response(int(head[1]), head[2], came[:size]))
        came = came[size:]
    return found


def statuses(address: str, *pieces: bytes) -> list[int]:
    return [each.status for each in answers(told(address, *pieces))]


# Requests that are none: one 400, and the end of the connection.

NONE = {
    "nothing but line ends and a word": b"\r\n\r\nx\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x41" * 100,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/0.9": b"GET /metrics\r\n\r\n",
    "HTTP/0.9 by its number": b"GET /metrics HTTP/0.9\r\nHost: x\r\n\r\n",
    "HTTP/2.0 by its number": b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/1.10": b"GET /metrics HTTP/1.10\r\nHost: x\r\n\r\n",
    "HTTP/9.9": b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "another protocol": b"GET /metrics ICAP/1.0\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method of 60 kB": b"G" * 60_000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in small letters": b"get /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the method": b"G\0T /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the path": b"GET /met\0rics HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes beyond ASCII in the path": b"GET /m\xc3\xa9trics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a blank in the path": b"GET /metrics /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "an escape sequence in the path": b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path without a slash": b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a host and port in its place": b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of 20 kB": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of 70 kB": GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "a header's name of 70 kB": GET + b"X" * 70_000 + b": a\r\n\r\n",
    "300 headers": GET + b"X: a\r\n" * 300 + b"\r\n",
    "20,000 headers": GET + b"a:\r\n" * 20_000 + b"\r\n",
    "no Host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two equal Hosts": b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET /metrics HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
    "a NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "a NUL in a header's name": GET + b"X\0: a\r\n\r\n",
    "a bare CR in a header": GET + b"X: a\rY: b\r\n\r\n",
    "a bare LF behind the request line": b"GET /metrics HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF behind a header": b"GET /metrics HTTP/1.1\r\nHost: x\n\r\n",
    "bare LFs": b"GET /metrics HTTP/1.1\nHost: x\n\n",
    "a bare LF at the end": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\n",
    "a folded header": GET + b"X: a\r\n b\r\n\r\n",
    "a folded Transfer-Encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a header before the first": b"GET /metrics HTTP/1.1\r\n Host: x\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a header without a colon": GET + b"X\r\n\r\n",
    "a header without a name": GET + b": a\r\n\r\n",
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length and chunks of a GET": GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two lengths in one": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nabcde",
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nabcde",
    "a length with a blank": POST + b"Content-Length: 1 0\r\n\r\n0123456789",
    "a length of 30 digits": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551616\r\n\r\n",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "another encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "another encoding of a GET": GET + b"Transfer-Encoding: identity\r\n\r\n",
    "nearly chunks": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks and then another": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunks behind a control character": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a chunk that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a chunk of a GET that is none": GET + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk beyond 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "a chunk in 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk that is longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "chunks with bare LFs": POST + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "a chunk's extension of 70 kB": POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 70_000,
    "trailers of 70 kB": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 12_000 + b"\r\n",
    "a body of 70 kB": POST + b"Content-Length: 70000\r\n\r\n" + b"a" * 70_000,
    "gigabytes, announced and begun": POST + b"Content-Length: 9000000000\r\n\r\n" + b"a" * 100_000,
}


@pytest.mark.parametrize("shape", NONE)
def test_what_is_no_request_gets_one_400_and_the_end(address, shape) -> None:
    (answer,) = answers(told(address, NONE[shape]))

    assert answer.status == 400
    assert b"connection: close\r\n" in answer.headers
    assert answer.body.isascii()


@pytest.mark.parametrize("shape", NONE)
def test_behind_what_is_no_request_nothing_is_a_request(address, shape) -> None:
    assert READY not in told(address, NONE[shape] + LAST)


@pytest.mark.parametrize("shape", [name for name, bytes_ in NONE.items() if len(bytes_) < 60_000])
def test_a_request_before_what_is_none_keeps_its_answer(address, shape) -> None:
    first, *rest = answers(told(address, GET + b"\r\n" + NONE[shape]))

    assert first.status == 200
    assert b"wolkvox_up" in first.body
    assert [each.status for each in rest] in ([400], [])


# Requests that look odd and are some.

SOME = {
    "line ends before it": (b"\r\n\r\n" + GET + b"\r\n", 200),
    "HTTP/1.0 without a Host": (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
    "an empty Host": (b"GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", 200),
    "a Host that is none": (b"GET /metrics HTTP/1.1\r\nHost: <b>/\xff\r\n\r\n", 200),
    "a Host that is none where it matters": (b"GET /sd HTTP/1.1\r\nHost: <b>/\xff\r\n\r\n", 400),
    "a whole URL": (b"GET http://other.example/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "a whole URL with a user": (b"GET http://a:b@other.example/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "the asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "TRACE": (b"TRACE /metrics HTTP/1.1\r\nHost: x\r\nX: secret\r\n\r\n", 405),
    "OPTIONS": (b"OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "a method of WebDAV": (b"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "the path upwards": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "the path upwards, quoted": (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "the path upwards, quoted twice": (b"GET /..%252f..%252fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "the path upwards from a page": (b"GET /api/v1/../../metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "backslashes": (b"GET /..\\..\\etc\\passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a quoted NUL": (b"GET /metrics%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a quoted line end": (b"GET /metrics%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "two slashes": (b"GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a slash too many": (b"GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "199 headers": (GET + b"X: a\r\n" * 199 + b"\r\n", 200),
    "a header of 60 kB": (GET + b"X: " + b"a" * 60_000 + b"\r\n\r\n", 200),
    "a target of 8 kB": (b"GET /metrics?" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "bytes beyond ASCII in the query": (b"GET /probe?target=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a body of a GET": (GET + b"Content-Length: 5\r\n\r\nabcde", 200),
    "chunks of a GET": (GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200),
    "a POST to a page": (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
    "a POST that is not allowed": (POST + b"Content-Length: 3\r\n\r\nabc", 403),
    "the same in chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", 403),
    "an expectation": (GET + b"Expect: 200-ok\r\n\r\n", 200),
    "an upgrade": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 200),
    "a websocket": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", 200),
}


@pytest.mark.parametrize("shape", SOME)
def test_an_odd_request_has_its_answer_and_the_next_one_too(address, shape) -> None:
    request, status = SOME[shape]

    first, *rest = answers(told(address, request, LAST))

    assert first.status == status
    assert b"secret" not in first.body
    if b"Upgrade" in request or b"HTTP/1.0" in request:  # the connection ends with it
        assert rest == []
    else:
        assert [each.body for each in rest] == [READY]


def test_an_upgrade_does_not_cut_the_next_request_in_two(address) -> None:
    upgrade = GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    (answer,) = answers(told(address, upgrade + b"GET /nowhere HTTP/1.1\r\nX: ", LAST))

    assert answer.status == 200
    assert b"connection: close\r\n" in answer.headers


@pytest.mark.parametrize("path", [b"/metrics", b"/sd"])
@pytest.mark.parametrize("last", [b"HTTP/1.1\r\nConnection: close", b"HTTP/1.0\r\nConnection: keep-alive"])
def test_behind_the_last_request_none_is_answered(address, path, last) -> None:
    (answer,) = answers(told(address, b"GET %s %s\r\nHost: x\r\n\r\n" % (path, last) + POST + b"\r\n" + LAST))

    assert (answer.status, b"acme" in answer.body) == (200, True)
    assert b"connection: close\r\n" in answer.headers


def test_trailers_are_no_headers(address) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    first = b"GET /sd HTTP/1.1\r\nHost: right.example\r\n" + chunks + b"Host: wrong.example\r\nHost: x\r\n\r\n"

    told_first, told_last = answers(told(address, first + LAST))

    assert b"right.example" in told_first.body
    assert told_last.body == READY


def test_a_request_is_answered_when_it_is_whole_and_not_before(address) -> None:
    with connected(address) as connection:
        connection.sendall(POST + b"Content-Length: 3\r\n\r\nab")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1000)
        connection.sendall(b"c")

        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_who_asks_whether_to_go_on_is_told_so(address) -> None:
    with connected(address) as connection:
        connection.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")

        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")


# Slow ones and many.

BEGUN = {
    "nothing": b"",
    "a line end": b"\r\n",
    "half a request line": b"GET /met",
    "half a header": GET + b"X: ",
    "all but the last line end": GET,
    "a body that does not come": POST + b"Content-Length: 5\r\n\r\n",
    "half a body": POST + b"Content-Length: 5\r\n\r\nab",
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "gigabytes that are announced": POST + b"Content-Length: 9000000000\r\n\r\n",
    "a body of a scrape that does not come": GET + b"Content-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("begun", BEGUN)
def test_what_does_not_come_to_its_end_is_put_out_in_time(address, begun) -> None:
    began = time.monotonic()

    assert told(address, BEGUN[begun]) == b""
    assert REQUEST / 2 < time.monotonic() - began < REQUEST + 2


@pytest.mark.parametrize("begun", ["half a body", "half a header"])
def test_a_drip_buys_no_time(address, begun) -> None:
    began = time.monotonic()
    with connected(address) as connection, suppress(ConnectionError):
        connection.sendall(BEGUN[begun].replace(b"Content-Length: 5", b"Content-Length: 5000"))
        while time.monotonic() - began < SLOW:
            connection.sendall(b"a")
            time.sleep(0.05)

    assert time.monotonic() - began < REQUEST + 2


def test_requests_in_one_piece_are_answered_up_to_a_limit(address) -> None:
    came = answers(told(address, GET + b"\r\n" + (b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)[:60_000]))

    assert {each.status for each in came[:-1]} == {200}
    assert came[-1].status == 400
    assert len(came) <= protocol.MOST_WAITING + 3


def test_a_flood_of_requests_in_few_pieces_takes_little_memory(server, address) -> None:
    before = server.memory
    with ExitStack() as clients:
        for _ in range(100):
            client = clients.enter_context(connected(address))
            client.setblocking(False)  # noqa: FBT003 - as the library has it
            with suppress(OSError):
                for _ in range(10):
                    client.send(b"GET /sd HTTP/1.1\r\nHost:x\r\n\r\n" * 2000)
        for _ in range(20):
            time.sleep(0.02)
            assert server.memory - before < MOST_MEGABYTES


def test_headers_behind_an_answer_that_nobody_reads_take_little_memory(server, address) -> None:
    before = server.memory
    with connected(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall((GET + b"\r\n") * 200 + GET)
        connection.setblocking(False)  # noqa: FBT003 - as the library has it
        end = time.monotonic() + 1
        with suppress(ConnectionError):
            while time.monotonic() < end:
                with suppress(BlockingIOError):
                    connection.send(b"a:\r\n" * 10_000)

    assert server.memory - before < MOST_MEGABYTES


@pytest.mark.slow
def test_hundreds_that_begin_and_wait_are_put_out_while_scrapes_go_on(server, address) -> None:
    before = server.memory
    with ExitStack() as clients:
        waiting = [clients.enter_context(connected(address)) for _ in range(400)]
        for client, begun in zip(waiting, cycle(BEGUN.values()), strict=False):
            client.sendall(begun)
        began = time.monotonic()
        assert ask(address, "/metrics").status == 200
        assert time.monotonic() - began < 1
        for client in waiting:
            with suppress(ConnectionError):
                assert client.recv(100) == b""

    assert server.memory - before < MOST_MEGABYTES


# Ten thousand, at random.

SEEDS = [
    *(GET + b"\r\n", LAST, POST + b"Content-Length: 3\r\n\r\nabc"),
    GET + b"Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /probe?target=acme HTTP/1.1\r\nHost: x\r\nUser-Agent: Prometheus/3.0\r\n\r\n",
    b"GET /sd HTTP/1.1\r\nHost: exporter.example:10096\r\n\r\n",
    b"GET /api/v1/changes?since=1&operation=acme&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/connectors?operation=acme HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /api/v1/operations HTTP/1.0\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"/", b"%", b"%00", b"..", b"?", b"&", b"=", b"#", b"\x1b[31m"),
    *(b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"level=error event=forged", b'"', b"\\", b"{", b"HTTP/1.1", b"HTTP/2.0"),
    *(b"Host: y\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Accept: ", b"a" * 9000, b"9" * 30, b"%0d%0a"),
]


def bent(chance: random.Random) -> bytes:
    """A request, or two, with some pieces cut out, doubled, put in, or turned round."""
    request = chance.choice(SEEDS) + chance.choice([b"", b"", chance.choice(SEEDS)])
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        at, to = sorted(chance.choices(range(len(request) + 1), k=2))
        to = min(to, at + 20)
        put = chance.choice([chance.choice(PIECES), chance.randbytes(chance.randint(1, 8)), request[at:to] * 2, b""])
        request = request[:at] + put + request[chance.choice([at, to]) :]
    return request


async def throw(address: str, request: bytes) -> bytes:
    """What comes for the bytes until the server ends it."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    came = b""
    try:
        writer.write(request)
        async with asyncio.timeout(REQUEST + ANSWER + SLOW):
            while part := await reader.read(65536):
                came += part
                if reader.at_eof():
                    break
    except ConnectionError:
        pass
    finally:
        writer.close()
    return came


async def thrown(addresses: list[str], requests: list[bytes]) -> list[bytes]:
    """What comes for each of the requests, many at a time, at each address in turn."""
    room = asyncio.Semaphore(200)

    async def one(place: int, request: bytes) -> bytes:
        async with room:
            return await throw(addresses[place % len(addresses)], request)

    return await asyncio.gather(*[one(place, request) for place, request in enumerate(requests)])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_of_ten_thousand_random_requests_none_does_harm(form) -> None:
    chance = random.Random(f"abuse {form}")
    requests = [bent(chance) + b"\r\n\r\n" + LAST for _ in range(REQUESTS)]
    with abused(form) as (server, said):
        before, labels = server.memory, server.labels()
        came = asyncio.run(thrown(server.addresses, requests))

        assert server.memory - before < MOST_MEGABYTES
        assert server.labels() == labels
        assert ask(server.addresses[1], "/-/healthy").status == 200
    for request, each in zip(requests, came, strict=True):
        found = answers(each, heads=b"HEAD" in request)
        assert all(answer.status in {100, 200, 400, 403, 404, 405, 503} for answer in found), request
        assert not any(b"forged" in answer.headers for answer in found), request
    assert sum(READY in each for each in came) > REQUESTS // 20  # else what was thrown was no more than noise
    assert said == []


# The log.


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_stranger_sends_is_one_line_wherever_it_is_logged(form) -> None:
    nasty = "\r\nlevel=error event=forged \x1b[31m\x00\x85\u2028\"'\\ {}"
    code = (
        "import logging, sys; from exporter.log import Redactor, configure\n"
        f"configure('debug', {form!r}, Redactor())\n"
        f"for name in ('uvicorn.error', 'asyncio', 'other'): logging.getLogger(name).error('Bad %s', {nasty!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=20)

    lines = ended.stderr.decode().removesuffix("\n").split("\n")
    assert len(lines) == 3
    for line in lines:
        assert line.isprintable()
        assert (json.loads(line) if form == "json" else fields(line))["level"] == "error"
