"""Answers of /api: few at a time, each in pieces, so that who does not read them fills no memory."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import still
from hypothesis import given
from hypothesis import strategies as st
from processes import wait_for
from test_web import served

from exporter.few import MOST, PIECE, in_pieces
from exporter.lists.connectors import Connector
from exporter.model import Operation
from exporter.state import OperationState, Snapshot, Standing, State

ROWS = tuple(Connector("email", str(number), "5", "x" * 150) for number in range(40_000))
CONNECTORS = {"connectors": Standing(snapshot=Snapshot(ROWS, 1.0))}
LARGE = State((OperationState(Operation("acme", "0010"), {"connectors": 300.0}, CONNECTORS),))


def test_one_reader_too_many_is_refused_until_another_has_gone() -> None:
    with served(replace(still.site(), state=lambda: LARGE)) as visitor, ExitStack() as clients:
        stalled = [clients.enter_context(visitor.stall("/api/v1/connectors")) for _ in range(MOST)]
        wait_for(lambda: visitor.get("/api/v1/changes").status == 503)
        reply = visitor.get("/api/v1/operations")

        assert reply.text == "16 answers are being read, which is the limit; try again later\n"
        assert reply.headers["retry-after"] == "5"
        assert visitor.get("/metrics").status == 200
        stalled[0].close()
        wait_for(lambda: visitor.get("/api/v1/changes").status == 200)


def test_a_large_answer_comes_whole() -> None:
    with served(replace(still.site(), state=lambda: LARGE)) as visitor:
        assert len(visitor.get("/api/v1/connectors").json["connectors"]) == len(ROWS)
        assert visitor.send("/api/v1/connectors", "HEAD").body == b""


@given(st.integers(0, 5 * PIECE) | st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 2 * PIECE]))
def test_an_answer_in_pieces_is_the_answer(size) -> None:
    body, sent = bytes(size), []

    async def send(message) -> None:
        sent.append(message)

    async def answer() -> None:
        await in_pieces(send)({"type": "http.response.body", "body": body})

    asyncio.run(answer())

    assert b"".join(each["body"] for each in sent) == body
    assert [each.get("more_body", False) for each in sent] == [True] * (len(sent) - 1) + [False]
    assert all(len(each["body"]) <= PIECE for each in sent)
    assert all(each["body"] for each in sent[1:])
