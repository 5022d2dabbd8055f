"""One HTTP request on one connection of its own, which another thread can cut at any moment.

Knows sockets, TLS and the proxy. Knows no token, no vendor and no outcome but those of a connection.
"""

import http.client
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from exporter.model import Outcome

# urllib3 logs headers that it cannot parse with their text, in which a server may echo the token.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

Resolve = Callable[..., Sequence[tuple[Any, ...]]]

_ALLOWLIST: Final = "(an address that is not on the operation's allowlist looks like this)"


class CutError(Exception):
    """The line was cut: nothing may be sent or read on it any more."""


NETWORK_ERRORS: Final = (OSError, HTTPError, http.client.HTTPException, UnicodeError, CutError)


class Line:
    """One call's hold on its connection. `cut` is final: what was not sent by then never will be.

    `stage` says what the call is at, `sent` whether any of the request may have reached the server, `status` is the
    HTTP status once it came.
    """

    __slots__ = ("_handle", "_is_cut", "_lock", "_resolve", "sent", "stage", "status")

    def __init__(self, resolve: Resolve = socket.getaddrinfo) -> None:
        self.stage = "name look-up"
        self.sent = False
        self.status: int | None = None
        self._resolve = resolve
        self._lock = threading.Lock()
        self._is_cut = False
        self._handle: socket.socket | None = None

    @property
    def timed_out(self) -> str:
        """What to say when time runs out now."""
        hint = f" {_ALLOWLIST}" if self.stage == "connect" else ""
        return f"{self.stage}: timed out{hint}"

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """A connected socket to the first address of `host` that takes it; `timeout` seconds for each address."""
        failure = OSError("the name has no address")
        for family, kind, protocol, _, address in self._resolve(host, port, 0, socket.SOCK_STREAM):
            self.check()
            self.stage = "connect"
            try:
                return self._connected(socket.socket(family, kind, protocol), address, timeout)
            except OSError as error:
                failure = error
        raise failure

    def check(self) -> None:
        """`CutError` once the line is cut."""
        with self._lock:
            self._stand()

    def spend(self) -> None:
        """To be called before bytes of the request leave: from here on the call is spent."""
        with self._lock:
            self._stand()
            self.sent = True
            self.stage = "answer"

    def cut(self) -> None:
        """Ends the connection from any thread; one that waits in a read on it wakes up."""
        with self._lock:
            self._is_cut = True
            if self._handle:
                with suppress(OSError):  # not connected yet, or gone already
                    self._handle.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Gives back what the line held; for the thread that used it."""
        with self._lock:
            self._drop()

    def _connected(self, sock: socket.socket, address: Any, timeout: float | None) -> socket.socket:
        try:
            with self._lock:
                self._stand()
                self._drop()
                # A duplicate, since TLS takes the socket's descriptor away and hands out another object.
                self._handle = sock.dup()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _stand(self) -> None:
        if self._is_cut:
            raise CutError

    def _drop(self) -> None:
        if self._handle:
            self._handle.close()
            self._handle = None


class _Answer(http.client.HTTPResponse):
    def _safe_read(self, amt: int) -> bytes:
        # A chunk of "-1" bytes would be read to the end of the stream, past every cap.
        if amt < 0:
            raise http.client.HTTPException("negative chunk")
        return super()._safe_read(amt)  # type: ignore[misc, no-any-return]


class _Connection(HTTPConnection):
    response_class = _Answer

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line
        self._is_ready = False

    def connect(self) -> None:
        super().connect()
        self._is_ready = True

    def _new_conn(self) -> socket.socket:
        sock = self._line.connect(self._dns_host.strip("[]"), self.port, self.timeout)
        self._line.stage = "handshake"
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        # What is sent before the connection is ready is the CONNECT to a proxy: no call yet.
        if self._is_ready:
            self._line.spend()
        super().send(data)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    """An adapter for one request, instead of a session.

    A session reads the environment and ~/.netrc, keeps cookies, and reads a redirect's body whole even where it does
    not follow it. Connections are not kept either: the next call comes minutes later, when the server has long closed
    its side, and a request that meets such an end is lost, though spent. Retries are off in an adapter by itself.
    """

    def __init__(self, line: Line, trust: ssl.SSLContext) -> None:
        self._line = line
        self._trust = trust
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._trust)
        self._bind(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        trust = {"ssl_context": self._trust, "proxy_ssl_context": self._trust}
        return self._bind(super().proxy_manager_for(proxy, **kwargs, **trust))

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing: the shared context checks, and has its certificates loaded (15 ms of CPU) once."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """A bare one; requests' own would parse cookies."""
        response = requests.Response()
        response.request = req
        response.raw = resp
        return response

    def _bind(self, manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            "http": partial(_Pool, line=self._line),
            "https": partial(_TLSPool, line=self._line),
        }
        return manager


@contextmanager
def opened(
    request: requests.PreparedRequest, line: Line, trust: ssl.SSLContext, proxy: str | None, times: tuple[float, float]
) -> Iterator[HTTPResponse]:
    """The answer to `request` with its body unread; `times` are seconds to connect, and for each read."""
    proxies = {"http": proxy, "https": proxy} if proxy else {}
    with closing(_Adapter(line, trust)) as adapter:
        response = adapter.send(request, stream=True, timeout=times, proxies=proxies)
        with closing(response.raw) as raw:
            line.status = raw.status
            yield raw


def diagnosis(error: BaseException, line: Line) -> tuple[Outcome, str]:
    """The outcome for one of `NETWORK_ERRORS`, and a line about it in which no request shows."""
    causes = _causes(error)
    for kind, outcome, words in _FAULTS:
        for cause in causes:
            if isinstance(cause, kind) and not isinstance(cause, requests.RequestException):
                # Whatever goes wrong with TLS after the handshake is a connection that broke.
                late = outcome is Outcome.TLS_ERROR and line.sent
                return (Outcome.UNREACHABLE if late else outcome), words(cause, line)
    return Outcome.UNREACHABLE, f"{line.stage}: {type(error).__name__}"


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and all that it came from; requests and urllib3 keep some in arguments alone."""
    found: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        cause = todo.pop()
        if isinstance(cause, BaseException) and not any(cause is known for known in found):
            found.append(cause)
            todo += [cause.__context__, cause.__cause__, *cause.args]
    return found


def _reason(error: Any, line: Line) -> str:
    return f"{line.stage}: {error.strerror or error}"


# The first kind that is found among an error's causes decides.
_FAULTS: Final[tuple[tuple[type[BaseException], Outcome, Callable[[Any, Line], str]], ...]] = (
    (socket.gaierror, Outcome.UNREACHABLE, _reason),
    (ssl.SSLCertVerificationError, Outcome.TLS_ERROR, lambda error, _: f"certificate: {error.verify_message}"),
    (ssl.SSLError, Outcome.TLS_ERROR, _reason),
    (TimeoutError, Outcome.TIMEOUT, lambda _, line: line.timed_out),
    (ConnectionRefusedError, Outcome.UNREACHABLE, lambda _, __: f"connection refused {_ALLOWLIST}"),
    (http.client.RemoteDisconnected, Outcome.UNREACHABLE, lambda _, __: "the server closed without an answer"),
    (http.client.BadStatusLine, Outcome.UNREACHABLE, lambda _, __: "what came is not HTTP"),
    (http.client.IncompleteRead, Outcome.UNREACHABLE, lambda _, __: "the answer ended early"),
    (http.client.HTTPException, Outcome.UNREACHABLE, lambda _, __: "headers or chunks are not HTTP"),
    (UnicodeError, Outcome.UNREACHABLE, lambda _, line: f"{line.stage}: not a host name"),
    (OSError, Outcome.UNREACHABLE, _reason),
)
