"""A day of the demo's operations for the pictures: mostly quiet, with a few things that go wrong.

Made of the same parts as the history that the tests query, which has everything that can happen in little time.
"""

# ruff: noqa: INP001 - the parts of a tool are no package

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from conftest import INTERVALS, Exporter, FakeClock, setup_for
from history import Act, History, Process, Stage, delayed, plays, scraped, targets

from exporter.encoding import Format
from exporter.lists import LISTS
from exporter.model import Operation
from exporter.page import Renderer
from exporter.simulator import Drift, Simulator, demo_accounts
from exporter.wiring import Reloads, vitals

HOUR: Final = 60.0  # minutes, as all times here
LENGTH: Final = 24 * HOUR
WARM_UP: Final = 30.0  # so that the first picture is not of a first start
MIDNIGHT: Final = 15 * HOUR + 20  # before the end
STEP: Final = 60  # seconds between two scrapes
END: Final = 1_790_108_400.0  # a Tuesday afternoon, 15:20 in Bogotá; always the same, so that pictures can be compared
INSTANCE: Final = "wolkvox-exporter:10096"
EXPECT: Final = {"austral-cl": {"instagram": 1}}
SPENT: Final = {"andina-co": 4, "altiplano-bo": 11, "caribe-do": 1}  # calls of other programs in ten minutes


class Edit(NamedTuple):
    """What happens so many minutes before the end."""

    ago: float
    act: Act


def does(account: str, method: str, /, *args: str | int, **kwargs: str) -> Act:
    """A method of an account, as an act."""
    return lambda on: getattr(on.account(account), method)(*args, **kwargs)


def story(tokens: Mapping[str, str]) -> list[Edit]:
    """All that happens, first things first; `tokens` by operation."""
    edits = [
        Edit(LENGTH + WARM_UP, does("andina-co", "reroute", "whatsapp", "1793", "23")),
        Edit(21 * HOUR, does("pacifico-pe", "rename", "email", "817", "Quejas y reclamos")),
        Edit(17 * HOUR, does("altiplano-bo", "connect", "whatsapp", "1870", rp_id="25", name="WhatsApp Citas")),
        Edit(MIDNIGHT, lambda on: on.simulator.new_day()),
        Edit(11 * HOUR, plays("austral-cl", "close_at_once", times=9)),
        Edit(9 * HOUR, plays("caribe-do", "simultaneous", times=6)),
        Edit(7 * HOUR, does("austral-cl", "disconnect", "instagram", "1093")),
        Edit(7 * HOUR, does("austral-cl", "disconnect", "instagram", "1802")),
        Edit(6 * HOUR, does("andina-co", "revoke", tokens["andina-co"])),
        Edit(4 * HOUR, does("andina-co", "add_token", tokens["andina-co"])),
        Edit(3 * HOUR, does("andina-co", "disconnect", "sms_bidirect", "1299")),
        Edit(2.5 * HOUR, does("austral-cl", "reroute", "whatsapp", "572", "16")),
        Edit(2 * HOUR, does("andina-co", "reroute", "whatsapp", "1793", "60")),
        Edit(1.5 * HOUR, does("caribe-do", "unroute", "13")),
        Edit(0.75 * HOUR, plays("pacifico-pe", "maintenance")),
    ]
    at_work = range(5 * 60, 15 * 60, 10)
    edits += [Edit(MIDNIGHT - at, does(name, "spend", calls)) for at in at_work for name, calls in SPENT.items()]
    return sorted(edits, key=lambda edit: -edit.ago)


def record(folder: Path) -> History:
    """Writes the day to folder/om.txt."""
    history = History(folder / "om.txt", END - LENGTH * 60, END, STEP)
    with opened(folder) as (stage, edits):
        write(stage, edits, history)
    return history


@contextmanager
def lived(folder: Path) -> Iterator[Stage]:
    """The end of the day, with all that the exporter knows then."""
    with opened(folder) as (stage, edits):
        for edit in edits:
            stage.pass_time(END - edit.ago * 60)
            edit.act(stage)
        stage.pass_time(END)
        stage.exporter.turn()
        yield stage


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Stage, list[Edit]]]:
    """The operations half an hour before the day begins, and all that is to happen."""
    clock = FakeClock()
    clock.wall = END - (LENGTH + WARM_UP) * 60
    with Simulator(interval=INTERVALS | {"routing_points": 300.0}, now=lambda: clock.true) as simulator:
        operations = demo_accounts(simulator)
        tokens = {each.name: each.token for each in operations}
        known = {each.name: Operation(each.name, each.server, {}, EXPECT.get(each.name, {})) for each in operations}
        setup = delayed(setup_for(simulator, tokens, clock, targets=targets(known, tokens)))
        exporter = Exporter(folder / "state", clock, setup)
        yield Stage(clock, simulator, Drift(simulator), exporter, Process(clock)), story(tokens)
        exporter.close()


def write(stage: Stage, edits: list[Edit], history: History) -> None:
    """Lets the day pass, and writes each minute's page."""
    reloads = Reloads(stage.clock)
    reloads.succeeded()
    renderer = Renderer(LISTS, vitals(stage.process, reloads, about_process=False))
    with history.path.open("w", encoding="utf-8") as file:
        for at in range(int(stage.clock.wall), int(history.end) + 1, history.step):
            while edits and history.end - edits[0].ago * 60 <= at:
                edits.pop(0).act(stage)
            stage.pass_time(at)
            stage.exporter.turn()
            del stage.exporter.states[:-1]
            if at >= history.start:
                page = renderer.page(stage.exporter.state).body(Format.OPENMETRICS, compress=False)
                file.writelines(scraped(page.decode(), INSTANCE, at))
        file.write("# EOF\n")
