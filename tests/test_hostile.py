"""Every answer that the simulator can give, all at once, each to another operation: none disturbs another.

The exporters run in processes of their own, so that their memory can be measured; the simulator runs here.
"""

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import Exporter, FakeClock
from peak import peak

from exporter.client import Client, Upstream
from exporter.encoding import Format
from exporter.lists import LISTS
from exporter.model import Operation, Outcome, Secret
from exporter.page import Renderer
from exporter.poll import Trust
from exporter.setup import Limits, Setup, Target
from exporter.simulator import SCENARIOS, Simulator
from exporter.vitals import Vitals

HEALTHY = 8
HANG = 3.0  # longer than the client waits, and over before the next round
LEAST_MEGABYTES, MOST_MEGABYTES = 20, 200
ROWS = {"whatsapp 1", "email 2"}

OUTCOMES = {
    "no_token_401": Outcome.TOKEN_REJECTED,
    "validate_token": Outcome.TOKEN_REJECTED,
    "code_401": Outcome.TOKEN_REJECTED,
    "quota": Outcome.QUOTA_EXHAUSTED,
    "code_403_quota": Outcome.QUOTA_EXHAUSTED,
    "throttled": Outcome.THROTTLED,
    "throttled_date": Outcome.THROTTLED,
    "simultaneous": Outcome.TOKEN_BUSY,
    "maintenance": Outcome.FORBIDDEN,
    "firewall_403": Outcome.FORBIDDEN,
    "unknown_api": Outcome.UNKNOWN_LIST,
    "parameters_required": Outcome.REFUSED,
    "error_text": Outcome.REFUSED,
    "server_error_500": Outcome.SERVER_ERROR,
    "bad_gateway_502_html": Outcome.SERVER_ERROR,
    "unavailable_503": Outcome.SERVER_ERROR,
    "code_500": Outcome.SERVER_ERROR,
    "not_found_404_html": Outcome.NOT_FOUND,
    "empty_404": Outcome.NO_RECORDS,
    "empty_200": Outcome.NO_RECORDS,
    "code_404": Outcome.NO_RECORDS,
    "redirect_other_host": Outcome.REDIRECTED,
    "redirect_same": Outcome.REDIRECTED,
    "slow": Outcome.TIMEOUT,
    "hang": Outcome.TIMEOUT,
    "drip_headers": Outcome.TIMEOUT,
    "drip_body": Outcome.TIMEOUT,
    "big_body": Outcome.TOO_LARGE,
    "big_chunked": Outcome.TOO_LARGE,
    "gzip_bomb": Outcome.TOO_LARGE,
    "short_body": Outcome.UNREACHABLE,
    "reset_after_headers": Outcome.UNREACHABLE,
    "reset_at_once": Outcome.UNREACHABLE,
    "close_at_once": Outcome.UNREACHABLE,
    "not_http": Outcome.UNREACHABLE,
    "huge_headers": Outcome.UNREACHABLE,
    **dict.fromkeys(
        [
            "created_201",
            "no_content_204",
            "html",
            "empty_body",
            "data_object",
            "data_string",
            "data_null",
            "data_absent",
            "bare_array",
            "truncated_json",
            "code_201",
            "gzip_broken",
            "gzip_false",
            "all_rejected",
        ],
        Outcome.MALFORMED,
    ),
    **dict.fromkeys(
        [
            "error_null_string",
            "error_blank",
            "bom",
            "code_200_text",
            "code_0",
            "code_0_text",
            "code_blank",
            "code_absent",
            "gzip",
            "set_cookie",
            "ids_as_numbers",
            "unknown_fields",
            "missing_fields",
            "rejected_rows",
            "duplicate_rows",
            "conflicting_rows",
            "strange_channel",
            "rp_zero",
            "rp_null",
            "not_utf8",
            "cut_60000",
        ],
        Outcome.OK,
    ),
}


def names() -> list[str]:
    return [*SCENARIOS, *(f"healthy-{number}" for number in range(HEALTHY))]


def setup(url: str, clock: FakeClock) -> Setup:
    line = Upstream(base_url=url, timeout=2.5, connect_timeout=2.0)
    client = Client(line, "test", time.monotonic, wall=lambda: clock.now().wall)
    targets = (
        Target(Operation(name, f"{number % 4:04}"), partial(Secret, f"canary-{name}"))
        for number, name in enumerate(names())
    )
    return Setup(tuple(targets), LISTS, {"connectors": 300.0}, client.call, Trust(0.5, 86400.0), Limits(64))


def poll_all(folder: str, url: str, later: str) -> None:
    """One round of polls in this process; what came of it as JSON on standard output."""
    clock, threads = FakeClock(), []
    clock.advance(float(later))

    def run(work) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    exporter = Exporter(Path(folder), clock, setup(url, clock), run)
    for _ in range(4):
        exporter.turn()
        while threads:
            threads.pop().join()
    exporter.turn()
    most = peak() / 2**20  # the page of 60,000 connectors, which one of the answers brings, is no matter of polling
    page = Renderer(LISTS, Vitals()).page(exporter.state).body(Format.TEXT, compress=False).decode()
    print(json.dumps({"megabytes": most, "page": page, "operations": told(exporter)}))  # noqa: T201 - to its parent


def told(exporter: Exporter) -> dict[str, dict[str, object]]:
    standings = {each.operation.name: each.standing("connectors") for each in exporter.state.operations}
    return {
        name: {
            "outcome": str(standing.ending.outcome),
            "polls": standing.tally.polls,
            "at": standing.snapshot.at,
            "rows": sorted({" ".join(row.key) for row in standing.snapshot.rows[:9]}),
        }
        for name, standing in standings.items()
        if standing.ending and standing.snapshot
    }


def child(folder, url: str, later: float):
    script = "import sys; sys.path[:0] = ['.', 'tests']; import test_hostile; test_hostile.poll_all(*sys.argv[1:])"
    # A tracer in the child would be measured along with it.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), url, str(later)],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Three rounds: all is well, everyone has another trouble, all is well again."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    with Simulator(interval=0.0) as simulator:
        for name in names():
            account = simulator.add(name, token=f"canary-{name}", server="0010")
            account.connect("whatsapp", "1", rp_id="5", name="Sales")
            account.connect("email", "2", rp_id="6", name="Inbox")
        good = child(folder, simulator.url, 0)
        for name in SCENARIOS:
            simulator.accounts[name].play(name, seconds=HANG if name == "hang" else None)
        bad = child(folder, simulator.url, 500)
        for name in SCENARIOS:
            simulator.accounts[name].play(None)
        yield good, bad, child(folder, simulator.url, 90000)
        assert simulator.report().overlapping == 0


def test_every_scenario_has_its_outcome_here() -> None:
    assert set(OUTCOMES) == set(SCENARIOS)
    assert set(OUTCOMES.values()) >= set(Outcome) - {Outcome.TLS_ERROR, Outcome.INTERRUPTED}


def test_all_is_well_at_first(rounds) -> None:
    good, _, _ = rounds

    assert {each["outcome"] for each in good["operations"].values()} == {"ok"}
    assert all(set(each["rows"]) == ROWS for each in good["operations"].values())


def test_each_operation_ends_in_its_own_outcome(rounds) -> None:
    _, bad, _ = rounds

    ended = {name: bad["operations"][name]["outcome"] for name in OUTCOMES}
    assert ended == {name: str(outcome) for name, outcome in OUTCOMES.items()}


def test_nobody_else_is_disturbed(rounds) -> None:
    _, bad, _ = rounds

    healthy = [each for name, each in bad["operations"].items() if name not in OUTCOMES]
    assert {(each["outcome"], each["polls"]) for each in healthy} == {("ok", 2)}
    assert len(healthy) == HEALTHY


def test_up_says_for_each_whether_its_poll_failed(rounds) -> None:
    _, bad, _ = rounds

    wrong = [
        name
        for name, outcome in OUTCOMES.items()
        if f'wolkvox_up{{operation="{name}"}} {0.0 if outcome.is_failure else 1.0}' not in bad["page"]
    ]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if outcome is not Outcome.OK])
def test_a_poll_without_an_answer_leaves_the_last_snapshot_with_its_age(rounds, name) -> None:
    good, bad, _ = rounds

    before, after = good["operations"][name], bad["operations"][name]
    assert (after["rows"], after["at"], after["polls"]) == (before["rows"], before["at"], 2)


def test_all_is_well_again_a_day_later(rounds) -> None:
    _, _, again = rounds

    lasting = {each["outcome"] for name, each in again["operations"].items() if name != "cut_60000"}
    assert lasting == {"ok"}


def test_memory_stays_small_through_all_of_it(rounds) -> None:
    good, bad, _ = rounds
    figures = [each["megabytes"] for each in (good, bad)]

    assert all(LEAST_MEGABYTES < figure < MOST_MEGABYTES for figure in figures), figures


def test_no_token_is_on_the_page(rounds) -> None:
    assert not any("canary-" in each["page"] for each in rounds)
