"""Answers that are made for one request alone: few at a time, and handed over piece by piece.

All readers of metrics share a page. Each of these answers is memory of its own until its reader has taken it, and one
who does not read would keep as many megabytes as there are connectors, on each of thousands of connections.
"""

from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST: Final = 16  # answers at a time
PIECE: Final = 262_144  # bytes
REFUSAL: Final = PlainTextResponse(
    f"{MOST} answers are being read, which is the limit; try again later\n", 503, {"Retry-After": "5"}
)


class Few:
    """An application that gives few answers at a time; a reader counts until all but the last piece is handed over."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if self._under_way >= MOST:
            await REFUSAL(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._application(scope, receive, in_pieces(send))
        finally:
            self._under_way -= 1


def in_pieces(send: Send) -> Send:
    """A way to send that waits between the pieces of a large body until most of the one before was taken."""

    async def sent(message: Message) -> None:
        body = message.get("body", b"")
        for start in range(0, len(body) - PIECE, PIECE):
            await send({**message, "body": body[start : start + PIECE], "more_body": True})
        rest = (len(body) - 1) // PIECE * PIECE if body else 0
        await send({**message, "body": body[rest:]} if rest else message)

    return sent
