"""One call of the API: its records, or one of the outcomes.

Knows the address, the headers and the time that a call may take. Knows no schedule, no storage and no list by name.
"""

import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPResponse

from exporter import envelope
from exporter.body import PIECE, EncodingError, Heard, TooLargeError, capped, collected, unpacked
from exporter.model import Answer, Outcome, Secret
from exporter.transport import NETWORK_ERRORS, Line, Resolve, diagnosis, opened

# Printable Latin-1 without blanks at its ends. Libraries quote a header that they refuse in their error's text.
_SENDABLE: Final = re.compile(r"[!-~\xa1-\xff]([ -~\xa0-\xff]*[!-~\xa1-\xff])?")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the API is and how long and large an answer may be: seconds, bytes.

    `timeout` is for the whole call: name look-up, connect, TLS, request, headers and body. Environment proxies and
    ~/.netrc are never read.
    """

    base_url: str = "https://wv{server}.wolkvox.com"
    timeout: float = 55.0
    connect_timeout: float = 10.0
    max_body: int = 16 * 1024 * 1024
    proxy: str | None = None
    ca_file: str | None = None


class _Call:
    """A call on its line, and the one place where its end is told: by its thread, or by who cannot wait longer."""

    __slots__ = ("api", "end", "heard", "line", "server", "token")

    def __init__(self, server: str, api: str, token: Secret, resolve: Resolve) -> None:
        self.server = server
        self.api = api
        self.token = token
        self.line = Line(resolve)
        self.heard = Heard()
        self.end: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

    def give_up(self, outcome: Outcome, detail: str) -> Answer:
        """Cuts the line; nothing is sent from here on."""
        self.line.cut()
        return envelope.broken(self.line.status, outcome, detail, whole=not self.line.sent)


class Client:
    """Calls of one upstream, from any number of threads. A call is at most one request on the wire.

    Each call runs in a daemon thread of its own, because a name look-up cannot be interrupted: at the deadline the
    caller cuts the call's connection and leaves, and the thread can send nothing any more, whenever it wakes up.
    """

    def __init__(
        self,
        upstream: Upstream,
        user_agent: str,
        monotonic: Callable[[], float],
        *,
        wall: Callable[[], float],
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._upstream = upstream
        self._headers = (
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
            ("Connection", "close"),
            ("User-Agent", user_agent),
        )
        self._monotonic = monotonic
        self._wall = wall
        self._resolve = resolve
        self._trust = ssl.create_default_context(cafile=upstream.ca_file or DEFAULT_CA_BUNDLE_PATH)
        self._room = threading.Lock()  # for the one body over 1 MiB that is in memory
        self._lock = threading.Lock()
        self._running: set[_Call] | None = set()  # None once closed

    def call(self, server: str, api: str, token: Secret) -> Answer:
        """The answer to `api` on `server`, within the upstream's timeout. The network and the server raise nothing.

        `whole` is false where the server may still be at work: the request was sent, or began to be, and its answer
        was not read to the end (timeout, reset, too large, cut short). Where nothing reached the server (name not
        found, connection refused, certificate not trusted, proxy in the way) there is nothing to wait for: true.
        `body` and `size` tell what came of a body, also of one that could not be read.
        """
        began = self._monotonic()
        return replace(self._call(server, api, token), duration=self._monotonic() - began)

    def close(self) -> None:
        """Ends running calls at once, as `interrupted`; later ones end before they begin."""
        with self._lock:
            running, self._running = self._running or (), None
        for call in running:
            call.end.put(call.give_up(Outcome.INTERRUPTED, "the client was closed"))

    def _call(self, server: str, api: str, token: Secret) -> Answer:
        if not _SENDABLE.fullmatch(token.reveal()):
            return Answer(Outcome.REFUSED, detail="the token has characters that a header cannot carry")
        call = _Call(server, api, token, self._resolve)
        with self._lock:
            if self._running is None:
                return Answer(Outcome.INTERRUPTED, detail="the client was closed")
            self._running.add(call)
        try:
            threading.Thread(target=self._run, args=(call,), name=f"call {api} {server}", daemon=True).start()
            end = call.end.get(timeout=self._upstream.timeout)
        except queue.Empty:
            end = call.give_up(Outcome.TIMEOUT, f"{call.line.timed_out}, after {self._upstream.timeout:g} seconds")
        finally:
            with self._lock:
                if self._running:
                    self._running.discard(call)
        if isinstance(end, Exception):
            raise end
        return replace(end, body=bytes(call.heard.start), size=call.heard.size)

    def _request(self, call: _Call) -> requests.PreparedRequest:
        url = self._upstream.base_url.replace("{server}", call.server).rstrip("/") + "/api/v2/information.php"
        request = _prepared(url, call.api, self._headers).copy()
        request.headers["wolkvox-token"] = call.token.reveal()
        return request

    def _run(self, call: _Call) -> None:
        end: Answer | Exception
        try:
            end = self._answer(call)
        except Exception as bug:  # noqa: BLE001 - it is raised again in the thread that called
            end = bug
        finally:
            call.line.release()
        call.end.put(end)

    def _answer(self, call: _Call) -> Answer:
        line, upstream = call.line, self._upstream
        with ExitStack() as held:

            def make_room() -> None:
                if not self._room.acquire(timeout=upstream.timeout):
                    raise TimeoutError
                held.callback(self._room.release)

            times = (upstream.connect_timeout, upstream.timeout)
            try:
                with opened(self._request(call), line, self._trust, upstream.proxy, times) as response:
                    body = _body(response, upstream.max_body, make_room, call.heard)
            except TooLargeError:
                return envelope.broken(
                    line.status, Outcome.TOO_LARGE, f"body is larger than {upstream.max_body} bytes", whole=False
                )
            except EncodingError as error:
                return envelope.broken(line.status, Outcome.MALFORMED, str(error), whole=True)
            except NETWORK_ERRORS as error:
                return envelope.broken(line.status, *diagnosis(error, line), whole=not line.sent)
            return envelope.answer(envelope.Reply(response.status, body, response.headers), call.token, self._wall)


@lru_cache(maxsize=512)
def _prepared(url: str, api: str, headers: tuple[tuple[str, str], ...]) -> requests.PreparedRequest:
    """The request for a list but for its token; to be copied, since all calls of the list share it."""
    return requests.Request("GET", url, params={"api": api}, headers=dict(headers)).prepare()


def _body(response: HTTPResponse, most: int, on_roomy: Callable[[], None], heard: Heard) -> bytearray:
    """The unpacked body, read to its end; of a body that is larger than `most`, packed or not, only so much is read.

    `heard` learns what comes of it, whatever the end.
    """
    if (response.length_remaining or 0) > most:
        raise TooLargeError
    # Out of urllib3's sight, which may know more encodings than were asked for.
    encoding = response.headers.pop("content-encoding", "")
    packed = capped(response.stream(PIECE, decode_content=False), most)
    try:
        return collected(capped(heard.passed(unpacked(packed, encoding)), most), on_roomy)
    except EncodingError:
        for _ in packed:  # to the end, so that the server is surely done
            pass
        raise
