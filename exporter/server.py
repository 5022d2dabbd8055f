"""The web server in a thread with its own loop: sockets that are bound before anything is promised."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, Final, Protocol

import uvicorn
from starlette.types import ASGIApp

from exporter.protocol import AtOnce, Connection, Patience

GRACE: Final = 1  # seconds that open connections get when the server ends
BACKLOG: Final = 2048
HANDSHAKE: Final = 10.0  # seconds


class ListenError(Exception):
    """An address cannot be listened on; the text says which and why."""


def bound(addresses: Iterable[tuple[str, int]]) -> list[socket.socket]:
    """A listening socket for each (host, port); the host "" is every address, of IPv6 too where there is any."""
    sockets: list[socket.socket] = []
    try:
        for host, port in addresses:
            sockets.append(listening(host, port))
    except (OSError, UnicodeError) as error:  # a host that no name can be is a UnicodeError
        for each in sockets:
            each.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        why = (getattr(error, "strerror", None) or "the host is no name").partition(" (while")[0]  # the place again
        raise ListenError(f"cannot listen on {where}: {why}") from error
    return sockets


def listening(host: str, port: int) -> socket.socket:
    """One listening socket."""
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def connections(patience: Patience, at_once: AtOnce) -> type[asyncio.Protocol]:
    """What makes a connection of ours where uvicorn makes one of its own."""
    return partial(Connection, patience=patience, at_once=at_once)  # type: ignore[return-value]  # it is called alone


class Wrapper(Protocol):
    """What puts TLS around a connection: an ssl.SSLContext, or what stands for the newest one."""

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """As ssl.SSLContext has it."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which a client has no longer for its TLS handshake than for a request."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """As asyncio has it."""
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = HANDSHAKE
        return await super().create_server(*arguments, **options)


class Quiet(uvicorn.Server):
    """uvicorn's server, which wakes up once a second for the date that it sends, and to end; not ten times."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Until `quit`."""
        self._end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), 1.0)

    def quit(self) -> None:
        """Ends it, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._end.set)


class Server:
    """Serves one application on listening sockets until it is stopped."""

    def __init__(
        self,
        application: ASGIApp,
        sockets: list[socket.socket],
        patience: Patience | None = None,
        at_once: AtOnce = lambda _: None,
        tls: Wrapper | None = None,
    ) -> None:
        self._sockets = sockets
        config = uvicorn.Config(
            application,
            http=connections(patience or Patience(), at_once),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        config.ssl = tls  # type: ignore[assignment]  # uvicorn asks for an SSLContext, asyncio for what wraps like one
        self._server = Quiet(config)
        self._thread = Thread(target=self._run, name="web", daemon=True)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as HOST:PORT."""
        return [f"{'[%s]' if ':' in host else '%s'}:%d" % (host, port) for host, port, *_ in self._names()]

    def start(self) -> None:
        """Begins to answer; connections that came since the sockets were bound are answered too."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while its thread runs."""
        return self._thread.is_alive()

    def quit(self) -> None:
        """Takes no more connections; those that are open get `GRACE` seconds."""
        self._server.quit()

    def join(self) -> None:
        """Waits for the end that `quit` began."""
        self._thread.join(GRACE + 0.5)
        for each in self._sockets:
            each.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(self._server.serve(self._sockets))

    def _names(self) -> list[tuple[str, int]]:
        return [each.getsockname()[:2] for each in self._sockets]
