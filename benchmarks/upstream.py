"""The simulator of the API in a process of its own, with the accounts of a load."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import programs, wire
from benchmarks.loads import Load
from benchmarks.stored import SERVER, token


class Upstream(NamedTuple):
    """A simulator that answers on a port."""

    port: int

    @property
    def url(self) -> str:
        """Where the exporter is to call."""
        return f"http://127.0.0.1:{self.port}"

    def say(self, method: str, path: str, sent: bytes | None = None) -> Any:
        """One word to its control surface."""
        status, body = wire.ask(self.port, f"/_simulator/{path}", method, sent)
        if status != 200:  # noqa: PLR2004 - HTTP
            raise programs.FailedError(f"the simulator answers {status} to {method} {path}: {body[:200]!r}")
        return json.loads(body)

    def ended(self) -> list[float]:
        """When the answers with connectors were complete, by the monotonic clock that all processes share."""
        return [call["ended"] for call in self.say("GET", "calls") if call["api"] == "connectors" and call["ended"]]

    def early(self) -> int:
        """Calls that came sooner than the interval allows."""
        return int(self.say("GET", "report")["early"])

    @property
    def calls(self) -> int:
        """Calls so far."""
        return int(self.say("GET", "report")["calls"])


@contextmanager
def simulated(load: Load, interval: float, place: Path) -> Iterator[Upstream]:
    """A simulator with an account for each operation; it finds calls early that come sooner than the interval."""
    port = programs.free_port()
    command = [*programs.EXPORTER, "simulate", f"--port={port}", f"--interval={interval}"]
    with programs.running(command, port, place, "/_simulator/report"):
        upstream = Upstream(port)
        for name in load.names:
            account = {"token": token(name), "server": SERVER, "limit": 1_000_000}
            upstream.say("PUT", f"accounts/{name}", json.dumps(account).encode())
            for api in ("connectors", "routing_points"):
                upstream.say("PUT", f"accounts/{name}/{api}", json.dumps(load.records(name)[api]).encode())
        yield upstream
