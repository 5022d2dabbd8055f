"""The OpenAPI document: it describes each API route and no other, and the exporter keeps to it over a real socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import still
from conftest import CANARY, Exporter, FakeClock, setup_for
from hypothesis import HealthCheck, Phase, settings
from processes import ask
from schemathesis.config import SchemathesisConfig
from starlette.routing import Route

from exporter import api
from exporter.lists import LISTS
from exporter.model import ChangeKind, Outcome
from exporter.page import Renderer
from exporter.rest import MOST, OPENAPI
from exporter.server import Server, bound
from exporter.simulator import Simulator
from exporter.site import Site
from exporter.state import Rule
from exporter.vitals import Vitals
from exporter.web import Application

DOCUMENT = json.loads(OPENAPI)
SCHEMAS = DOCUMENT["components"]["schemas"]
OTHERS = {"/", "/metrics"}  # for people, and for docs/metrics.md
# What is not asked for is ignored; a target may be well formed and nobody's.
ALLOWED = {
    "generation": {"allow-extra-parameters": False},
    "operations": [
        {"include-path": "/probe", "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}}}
    ],
}
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(ALLOWED))
EXAMPLES = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server over a real poller and storage; of its two operations one changed, and one was refused."""
    clock = FakeClock()
    with Simulator(now=clock.monotonic) as simulator:
        account = simulator.add("acme", token=CANARY, server="0010", limit=100_000)
        account.route("5", "Main menu", chat="yes")
        account.connect("whatsapp", "12", rp_id="5", name="Sales")
        account.connect("email", "13", rp_id="5", name="Inbox")
        simulator.add("beta", token=f"{CANARY}-b", server="0010").play("validate_token")
        tokens = {"acme": CANARY, "beta": f"{CANARY}-b"}
        exporter = Exporter(tmp_path_factory.mktemp("data"), clock, setup_for(simulator, tokens, clock))
        exporter.turns(310)
        account.reroute("whatsapp", "12", "6")
        account.disconnect("email", "13")
        exporter.turns(620)
        application = Application(of(exporter))
        server = Server(application, bound([("127.0.0.1", 0)]), at_once=application.at_once)
        server.start()
        yield server.addresses[0]
        server.quit()
        server.join()
        exporter.close()


def of(exporter: Exporter) -> Site:
    page = Renderer(LISTS, Vitals()).page(exporter.state)
    return Site(
        page=lambda: page,
        state=lambda: exporter.state,
        changes=exporter.store.changes,
        is_alive=lambda: True,
        version="1",
        lists=LISTS,
        now=lambda: exporter.clock.wall,
        answers=exporter.store.answers,
    )


def described() -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item}


def test_each_route_is_described_and_no_other() -> None:
    routes = [route for route in Application(still.site()).routes if isinstance(route, Route)]

    served = {(route.path, method) for route in routes for method in route.methods or () if method != "HEAD"}

    assert described() == {(path, method) for path, method in served if path not in OTHERS}


def test_it_is_a_valid_document() -> None:
    SCHEMA.validate()

    assert DOCUMENT["openapi"] == "3.1.0"


def test_it_is_served_as_it_is_shipped(address) -> None:
    reply = ask(address, "/api/v1/openapi.json")

    assert (reply.headers["content-type"], reply.json) == ("application/json", DOCUMENT)


def test_its_words_are_those_of_the_code() -> None:
    listed = SCHEMAS["List"]["properties"]

    assert listed["outcome"]["enum"] == [*map(str, Outcome), None]
    assert listed["rule"]["enum"] == [*map(str, Rule), None]
    assert SCHEMAS["Change"]["properties"]["change"]["enum"] == [*map(str, ChangeKind)]
    limit = DOCUMENT["paths"]["/api/v1/changes"]["get"]["parameters"][-1]
    assert limit["schema"]["anyOf"][0]["maximum"] == MOST


def test_its_fields_are_those_of_the_code() -> None:
    state = still.state()
    (operation, _), (connector, *_) = api.operations(state), api.rows(state, LISTS["connectors"], None)
    told: dict[str, dict[str, Any]] = {
        "Operation": operation,
        "List": operation["lists"]["connectors"],
        "Connector": connector,
        "Change": api.change("acme", still.MOVED, LISTS["connectors"], names=True),
    }

    for name, answer in told.items():
        assert list(SCHEMAS[name]["properties"]) == SCHEMAS[name]["required"] == list(answer)


@pytest.mark.slow
@SCHEMA.parametrize()
@EXAMPLES
def test_the_exporter_keeps_to_it(case, address) -> None:
    case.call_and_validate(base_url=f"http://{address}")
