"""Connections with deadlines, over real sockets, with deadlines short enough to wait for."""

import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any

import pytest

from exporter.protocol import AtOnce, Patience, Ready
from exporter.server import Server, bound

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL, LARGE = 5, 40_000_000


async def answer(scope, _receive, send) -> None:
    """As many bytes as the path says; at /last they are all handed over at once."""
    size = SMALL if scope["path"] == "/" else LARGE
    head = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    if scope["path"] == "/last":
        await send({"type": "http.response.body", "body": b"x" * size})
        return
    await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def at_once(scope) -> Ready:
    """The same, without waiting; /last in one batch."""
    size = SMALL if scope["path"] == "/" else LARGE
    batches = [[b"x" * size]] if scope["path"] in {"/", "/last"} else [[b"x" * (size // 40)]] * 40
    return Ready(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % size, iter(batches), lambda: None)


@pytest.fixture(params=["by the application", "at once"])
def serving(request) -> Callable[..., AbstractContextManager[tuple[partial[socket.socket], Patience]]]:
    """A server that answers in one way or the other."""
    return partial(served, at_once if request.param == "at once" else lambda _: None)


@contextmanager
def served(ready: AtOnce, **patience) -> Iterator[tuple[partial[socket.socket], Patience]]:
    """A server, a way to connect to it, and its patience."""
    own = Patience(**{"request": 0.3, "answer": 0.6} | patience)
    sockets = bound([("127.0.0.1", 0)])
    server = Server(answer, sockets, own, ready)
    server.start()
    try:
        yield partial(socket.create_connection, sockets[0].getsockname(), 5), own
    finally:
        server.quit()
        server.join()


def took(connection: socket.socket, size: int) -> bool:
    """Reads one answer with a body of so many bytes."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += some(connection, 1000)
    left = size - len(text.partition(b"\r\n\r\n")[2])
    while left > 0:
        left -= len(some(connection, min(left, 1 << 20)))
    return text.startswith(b"HTTP/1.1 200 OK")


def some(connection: socket.socket, most: int) -> bytes:
    """What comes next."""
    text = connection.recv(most)
    assert text, "the other side ended it"
    return text


def took_exactly(connection: socket.socket, size: int) -> bool:
    """The same, where another answer may stand behind it."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += some(connection, 1)
    left = size
    while left > 0:
        left -= len(some(connection, min(left, 1 << 20)))
    return text.startswith(b"HTTP/1.1 200 OK")


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side ends it, politely or not."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"GET / HT", REQUEST[:-2]])
def test_a_request_that_does_not_come_whole_in_time_is_put_out(serving, begun) -> None:
    with serving() as (connect, _), connect() as connection:
        connection.sendall(begun)
        began = time.monotonic()

        assert all_of(connection) == b""
        assert time.monotonic() - began < 3


def test_a_drip_of_header_bytes_does_not_buy_time(serving) -> None:
    with serving() as (connect, _), connect() as connection:
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 3:
                connection.sendall(b"G")
                time.sleep(0.05)

        assert time.monotonic() - began < 3


def test_the_second_request_of_a_connection_has_its_own_time(serving) -> None:
    with serving() as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        assert took(connection, SMALL)
        time.sleep(0.5)
        connection.sendall(REQUEST)
        assert took(connection, SMALL)
        connection.sendall(REQUEST[:-2])

        assert all_of(connection) == b""


@pytest.mark.parametrize("path", [b"/large ", b"/last "])
def test_a_reader_that_stalls_is_put_out_and_its_answer_forgotten(serving, path) -> None:
    with serving() as (connect, patience), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", path))
        time.sleep(1.5)

        assert len(all_of(connection)) < LARGE
        assert patience.count == 0


@pytest.mark.parametrize("path", [b"/large ", b"/last "])
def test_a_reader_that_takes_all_in_time_may_stay(serving, path) -> None:
    with serving() as (connect, _), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", path))
        assert took(connection, LARGE)
        time.sleep(0.8)
        connection.sendall(REQUEST)

        assert took(connection, SMALL)


def test_requests_behind_a_large_answer_wait_for_it(serving) -> None:
    with serving(request=5.0, answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(0.1)
        connection.sendall(REQUEST)

        assert took(connection, LARGE)
        assert took(connection, SMALL)


def test_a_request_that_is_too_large_is_refused(serving) -> None:
    with serving(request=5.0) as (connect, _), connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000)

        assert all_of(connection).startswith(b"HTTP/1.1 400")


def test_a_request_behind_a_large_answer_may_not_be_large_either(serving) -> None:
    with serving(request=5.0, answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(0.1)
        for _ in range(10):
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 4000)

        assert took(connection, LARGE)
        assert all_of(connection).startswith(b"HTTP/1.1 400 ")


def test_the_body_of_a_request_behind_a_large_answer_has_its_own_time(serving) -> None:
    with serving(answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(0.1)
        connection.sendall(REQUEST[:-2] + b"Content-Length: 5\r\n\r\nab")

        assert took(connection, LARGE)
        assert all_of(connection) == b""


def test_who_leaves_with_requests_behind_a_large_answer_leaves_nothing_behind(serving, caplog) -> None:
    with serving(request=5.0, answer=5.0) as (connect, patience):
        with connect() as connection:
            connection.sendall(REQUEST.replace(b"/ ", b"/large "))
            time.sleep(0.1)
            connection.sendall(REQUEST * 10)
            time.sleep(0.1)
        time.sleep(0.3)

        assert patience.count == 0
    assert caplog.text == ""


def test_the_one_that_waits_longest_makes_room_for_a_scrape(serving) -> None:
    with serving(request=30.0, most=20) as (connect, _):
        waiting = [connect() for _ in range(30)]
        with connect() as scraper:
            scraper.sendall(REQUEST)

            assert took(scraper, SMALL)
        assert all_of(waiting[0]) == b""
        for each in waiting:
            each.close()


def test_many_requests_in_one_piece_are_answered_one_after_the_other(serving) -> None:
    with serving(request=5.0, answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST * 200 + REQUEST.replace(b"Host", b"Connection: close\r\nHost"))

        assert all_of(connection).count(b"HTTP/1.1 200 OK\r\n") == 201


def test_who_does_not_keep_the_connection_is_told_so(serving) -> None:
    with serving() as (connect, _), connect() as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")

        assert b"\r\nconnection: close\r\n" in all_of(connection)


def test_a_bug_on_the_short_way_is_met_on_the_long_one() -> None:
    def broken(_: object) -> Ready | None:
        raise LookupError("a bug")

    with served(broken) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)

        assert took(connection, SMALL)


@pytest.mark.parametrize("is_read", [True, False])
def test_an_answer_is_done_when_it_is_written_or_lost(is_read) -> None:
    done: list[bool] = []

    def ready(_: object) -> Ready:
        large = at_once({"path": "/large"})
        return Ready(large.head, large.batches, lambda: done.append(True))

    with served(ready) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        if is_read:
            assert took(connection, LARGE)
        time.sleep(1.5)

    assert done == [True]


def test_a_reader_that_stalls_is_given_no_more_than_it_makes_room_for() -> None:
    given: list[int] = []

    def batches() -> Iterator[list[bytes]]:
        for number in range(LARGE // 100_000):
            given.append(number)
            yield [b"x" * 50_000, b"x" * 50_000]

    def ready(_: object) -> Ready:
        return Ready(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % LARGE, batches(), lambda: None)

    with served(ready, answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        time.sleep(0.3)

        assert len(given) < LARGE // 100_000 // 2
        assert took(connection, LARGE)
    assert len(given) == LARGE // 100_000


def test_others_have_their_turn_while_a_large_answer_is_made_and_taken() -> None:
    given: list[int] = []

    def batches() -> Iterator[list[bytes]]:
        for number in range(40):
            time.sleep(0.02)
            given.append(number)
            yield [b"x" * (LARGE // 40)]

    def ready(scope) -> Ready:
        return at_once(scope) if scope["path"] == "/" else at_once(scope)._replace(batches=batches())

    with served(ready, request=5.0, answer=5.0) as (connect, _), connect() as large, connect() as small:
        reader = Thread(target=took, args=(large, LARGE))
        reader.start()
        large.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(0.1)
        small.sendall(REQUEST)
        assert took(small, SMALL)
        before = len(given)
        reader.join()

    assert before < len(given) == 40


def test_who_does_not_read_the_answer_to_its_second_request_is_put_out_too(serving) -> None:
    with serving(request=5.0) as (connect, patience), connect() as connection:
        connection.sendall(REQUEST + REQUEST.replace(b"/ ", b"/large "))
        time.sleep(2)

        assert len(all_of(connection)) < LARGE
        assert patience.count == 0


def test_an_answer_to_who_has_gone_ends_with_the_first_piece_that_fails() -> None:
    gone: list[socket.socket] = []
    given: list[int] = []
    done: list[bool] = []

    def batches() -> Iterator[list[bytes]]:
        yield [b"x"]
        for client in gone:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        time.sleep(0.2)
        for number in range(20):
            given.append(number)
            yield [b"x" * 1000]

    def ready(_: object) -> Ready:
        return Ready(b"HTTP/1.1 200 OK\r\ncontent-length: 20001\r\n", batches(), lambda: done.append(True))

    with served(ready) as (connect, _):
        gone.append(connect())
        gone[0].sendall(REQUEST)
        time.sleep(1)

    assert len(given) < 20
    assert done == [True]


# The same request again.


@contextmanager
def repeated(answered: AtOnce, **patience) -> Iterator[socket.socket]:
    """One connection to a server with such answers."""
    with served(answered, **patience) as (connect, _), connect() as connection:
        yield connection


def test_the_same_request_is_answered_anew_each_time() -> None:
    asked: list[dict[str, Any]] = []

    def counted(scope) -> Ready:
        asked.append({**scope, "state": {**scope["state"]}})
        scope["state"]["access"] = "noted"
        return at_once(scope)

    with repeated(counted) as connection:
        for _ in range(5):
            connection.sendall(REQUEST)
            assert took(connection, SMALL)

    assert len(asked) == 5
    assert all(each == asked[0] and each["state"] == {"sans": frozenset()} for each in asked)


def test_the_same_request_goes_to_the_application_where_it_has_no_answer_at_once_any_more() -> None:
    left = [1, 1]

    with repeated(lambda scope: at_once(scope) if left and left.pop() else None) as connection:
        for _ in range(5):
            connection.sendall(REQUEST)
            assert took(connection, SMALL)


def test_bytes_that_were_a_request_are_none_within_another_one(serving) -> None:
    with serving(request=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        assert took(connection, SMALL)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * len(REQUEST)))
        for _ in range(2):
            time.sleep(0.1)
            connection.sendall(REQUEST)
        assert took(connection, SMALL)
        connection.sendall(REQUEST.replace(b"Host", b"Connection: close\r\nHost"))
        last = all_of(connection)

        assert last.count(b"HTTP/1.1 ") == 1
        assert b"\r\nconnection: close\r\n" in last


def sent(connection: socket.socket, pieces: Sequence[bytes]) -> bytes:
    """What is answered to these pieces of data, one after the other."""
    with suppress(OSError):  # it may end with an answer to one of them
        for each in pieces:
            connection.sendall(each)
            time.sleep(0.1)
        connection.shutdown(socket.SHUT_WR)
    return all_of(connection)


@pytest.mark.parametrize(
    "pieces",
    [
        (REQUEST + b"GET / HT",) * 3,
        (REQUEST * 3,) * 3,
        (REQUEST[:-2] + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",) * 3,
        (REQUEST[:-2] + b"X: %s\r\n\r\n" % (b"x" * 5000),) * 3,
        (b"\r\n" + REQUEST,) * 3,
        (REQUEST + b"\r\n",) * 3,
        (REQUEST, b"\r\n", b"\r\n", b"\r\n"),
        (REQUEST[:10], REQUEST[10:], REQUEST[10:]),
    ],
)
def test_the_same_bytes_mean_the_same_as_before(pieces) -> None:
    with repeated(at_once, request=5.0) as connection, repeated(lambda _: None, request=5.0) as slow:
        answers = [sent(each, pieces) for each in (connection, slow)]

    counts = [[text.count(status) for status in (b" 200 OK", b" 400 ", b" 100 ")] for text in answers]
    assert counts[0] == counts[1]


def test_a_reader_that_stalls_at_the_same_request_is_put_out_too() -> None:
    with repeated(at_once, request=5.0) as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        assert took(connection, LARGE)
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(1.5)

        assert len(all_of(connection)) < LARGE


def test_the_same_request_behind_a_large_answer_waits_for_it() -> None:
    large = REQUEST.replace(b"/ ", b"/large ")

    with repeated(at_once, request=5.0, answer=5.0) as connection:
        for _ in range(3):
            time.sleep(0.1)
            connection.sendall(large)

        assert [took_exactly(connection, LARGE) for _ in range(3)] == [True] * 3


def test_who_says_nothing_more_is_put_out_after_a_while(serving) -> None:
    with serving(idle=0.5) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        assert took(connection, SMALL)
        began = time.monotonic()

        assert all_of(connection) == b""
        assert 0.4 < time.monotonic() - began < 3


def test_who_asks_again_and_again_may_stay(serving) -> None:
    with serving(idle=0.5) as (connect, _), connect() as connection:
        for _ in range(10):
            time.sleep(0.15)
            connection.sendall(REQUEST)
            assert took(connection, SMALL)
        began = time.monotonic()

        assert all_of(connection) == b""
        assert time.monotonic() - began > 0.3


def test_who_reads_a_large_answer_is_not_idle(serving) -> None:
    with serving(idle=0.2, answer=5.0) as (connect, _), connect() as connection:
        connection.sendall(REQUEST)
        assert took(connection, SMALL)
        connection.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(0.6)

        assert took(connection, LARGE)
        assert all_of(connection) == b""
