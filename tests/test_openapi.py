"""The OpenAPI document: it describes each API route and no other, and the exporter keeps to it over a real socket."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import still
from conftest import CANARY, Exporter, FakeClock, setup_for
from hypothesis import HealthCheck, Phase, settings
from processes import ask
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection
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
OTHERS = {"/", "/operations/{name}", "/metrics"}  # for people, and for docs/metrics.md
EMPTY = re.compile(r"(since|limit)=(&|$)")  # as if absent, and what an object without fields comes down to
NAMES = {"target": ["acme", "beta"], "operation": ["acme", "beta"], "list": list(LISTS)}


def of_this_exporter() -> dict[str, Any]:
    """The document with the names that there are, where one is required: others are refused."""
    document: dict[str, Any] = json.loads(OPENAPI)
    for item in document["paths"].values():
        for parameter in (each for method in item.values() for each in method.get("parameters", ())):
            if parameter.get("required") or parameter.get("name") == "list":
                parameter["schema"]["enum"] = NAMES[parameter["name"]]
    return document


IGNORED = SchemathesisConfig.from_dict({"generation": {"allow-extra-parameters": False}})  # what nobody asked for
SCHEMA = schemathesis.openapi.from_dict(of_this_exporter(), config=IGNORED)
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
        now=lambda: exporter.clock.wall,
        answers=exporter.store.answers,
        is_alive=lambda: True,
        version="1",
        lists=LISTS,
        reload=lambda: "",
        poll=exporter.poller.hurry,
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
        "Answer": api.answer("acme", still.RECORDED),
        "Change": api.change("acme", still.MOVED, LISTS["connectors"], names=True),
    }

    for name, answer in told.items():
        assert list(SCHEMAS[name]["properties"]) == SCHEMAS[name]["required"] == list(answer)


@pytest.mark.slow
@SCHEMA.parametrize()
@EXAMPLES
def test_the_exporter_keeps_to_it(case, address) -> None:
    answer = case.call(base_url=f"http://{address}")

    is_blank = EMPTY.search(answer.request.url)
    case.validate_response(answer, excluded_checks=[negative_data_rejection] if is_blank else [])
