"""The demo: the simulator with a few lively operations, and the exporter's setup that polls it. No token, no file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from exporter.client import Client, Upstream
from exporter.clock import Clock
from exporter.lists import LISTS
from exporter.model import DAY, Operation, Secret
from exporter.poll import Trust
from exporter.setup import Limits, Setup, Target
from exporter.simulator import Drift, Simulator, demo_accounts

BUSY = 10.0  # seconds that the simulator may work on a call
EDITS = 2  # polls between two edits of a connector or a routing point
POLLS = 288  # polls of the connectors in a day, in the demo's short one too: else its calls would be used up within it


@contextmanager
def simulated(seconds: float, clock: Clock, user_agent: str) -> Iterator[Setup]:
    """A setup that polls a running simulator, connectors every `seconds`; people there change things all the time."""
    with Simulator(interval=seconds, now=clock.monotonic) as simulator:
        accounts = demo_accounts(simulator)
        line = Upstream(base_url=simulator.url, timeout=BUSY, connect_timeout=BUSY)
        client = Client(line, user_agent, clock.monotonic, wall=lambda: clock.now().wall)
        drift = Drift(simulator, seconds=EDITS * seconds)
        drift.start()
        ended = Event()
        Thread(target=new_days, args=(simulator, POLLS * seconds, ended), name="days", daemon=True).start()
        try:
            yield Setup(
                targets=tuple(
                    Target(Operation(each.name, each.server, labels={"region": each.name[-2:]}), fixed(each.token))
                    for each in accounts
                ),
                lists=LISTS,
                intervals={name: seconds * spec.interval / 300 for name, spec in LISTS.items()},
                call=client.call,
                trust=Trust(mass_removal=0.5, retention=DAY),
                limits=Limits(busy=BUSY, least=seconds),
            )
        finally:
            ended.set()
            drift.close()
            client.close()


def new_days(simulator: Simulator, length: float, ended: Event) -> None:
    """Begins a day of the simulator every so many seconds, until the end."""
    while not ended.wait(length):
        simulator.new_day()


def fixed(token: str) -> Callable[[], Secret]:
    """A source that always has the same token."""
    return lambda: Secret(token)


def greeting(address: str) -> str:
    """What the demo prints first: where to look, and at what."""
    address = address.replace("[::]", "localhost")
    return f"""
wolkvox-exporter demo: five simulated operations, whose people change connectors all the time.

  http://{address}/          the status page: how each operation stands, and why
  http://{address}/metrics   the metrics: look at wolkvox_connectors and wolkvox_connector_info,
                                  and watch wolkvox_connector_changes_total grow
  http://{address}/probe?target=andina-co   one operation alone

Each change of a connector is a line below, and so is each call that fails, as some do on purpose.
Stop it with Ctrl-C.
"""
