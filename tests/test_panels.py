"""Every query of the dashboards is asked of a real Prometheus that has an hour full of trouble, and has data."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from conftest import needs
from history import HELD, INSTANCES, History, record, served
from processes import ask
from test_dashboards import annotations, panels, variables

from dashboards.build import DASHBOARDS

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]

RANGE = 3600
SCRAPES = 30  # seconds between two
MARKS = 60  # seconds of the steps that annotations are asked in
LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
RESULT = re.compile(r"query_result\((?P<expr>.+)\)")
OR_ZERO = " or vector(0)"
EVERYTHING = {"routing_point": ".*", "search": ""}

# What has no data, and why that is well. Whatever has some must not stand here.
EMPTY = {
    ("exporter-health.json", "Targets down A"): "the only target answers at the end; it was down for 2 minutes before",
}


class Query(NamedTuple):
    """One query of a dashboard: where it stands, what it asks, and every how many seconds (0: at the end alone)."""

    board: str
    place: str
    expr: str
    step: int


def queries() -> Iterator[Query]:
    """Those of panels and annotations."""
    for board in DASHBOARDS:
        for panel in panels(board):
            step = max(SCRAPES, int(re.sub("m$", "", panel.get("interval") or "0")) * 60)
            for target in panel["targets"]:
                place = f"{panel['title']} {target['refId']} {target.get('legendFormat', '')}".strip()
                yield Query(board, place, target["expr"], 0 if target.get("instant") else step)
        for mark in annotations(board):
            yield Query(board, mark["name"], mark["expr"], MARKS)


QUERIES = list(queries())
QUERIED = [
    (board, variable["name"])
    for board in DASHBOARDS
    for variable in variables(board).values()
    if variable["type"] == "query"
]


class Data(NamedTuple):
    """The Prometheus that is asked, the hour it is asked about, and the operations in it."""

    address: str
    history: History
    operations: list[str]

    @property
    def start(self) -> float:
        return self.history.end - RANGE

    def get(self, path: str, **parameters: object) -> Any:
        reply = ask(self.address, f"/api/v1/{path}?{urlencode(parameters)}").json
        assert reply["status"] == "success", f"{reply} {parameters}"
        return reply["data"]

    def answer(self, expr: str, step: int = 0) -> list[Any]:
        """The series of the answer: at the end of the hour, or all along it."""
        if not step:
            return list(self.get("query", query=expr, time=self.history.end)["result"])
        return list(self.get("query_range", query=expr, start=self.start, end=self.history.end, step=step)["result"])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Iterator[Data]:
    needs("prometheus", "prometheus")
    history = record(tmp_path_factory.mktemp("history"), copies=len(INSTANCES))
    with served(history) as address:
        found = Data(address, history, [])
        series = found.answer("wolkvox_operation_info")
        yield found._replace(operations=sorted(each["metric"]["operation"] for each in series))


def filled(query: Query, operation: str, instance: str = ".+") -> str:
    """The expression as Grafana sends it, longest names first; all is chosen, this operation where one must be."""
    every = query.step or SCRAPES
    values = {
        "__rate_interval": f"{max(every + SCRAPES, 4 * SCRAPES)}s",
        "__interval_ms": str(every * 1000),
        "__interval": f"{every}s",
        "__range_s": str(RANGE),
        "__range": f"{RANGE}s",
        **{name: variable.get("allValue") or "" for name, variable in variables(query.board).items()},
    }
    values |= {"operation": values["operation"] or operation, "instance": instance}
    expr = query.expr
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(f"${name}", values[name])
    assert "$" not in expr.replace('"$1"', ""), expr
    return expr


def answered(data: Data, query: Query) -> bool:
    """Whether the query has data for an operation; the zero that stands for nothing is none."""
    tried = dict.fromkeys(filled(query, operation).removesuffix(OR_ZERO) for operation in data.operations)
    return any(data.answer(expr, query.step) for expr in tried)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board}: {query.place}")
def test_a_query_has_data_or_a_reason_to_have_none(data, query: Query) -> None:
    assert answered(data, query) == ((query.board, query.place) not in EMPTY)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board}: {query.place}")
def test_two_copies_of_the_exporter_say_what_one_says(data, query: Query) -> None:
    one, both = (values(data.answer(filled(query, HELD, instance), query.step)) for instance in (INSTANCES[0], ".+"))

    assert one.keys() <= both.keys()
    assert {labels for labels in both.keys() - one.keys() if "instance" not in dict(labels)} == set()
    assert all(both[labels] == pytest.approx(found) for labels, found in one.items())


def values(series: list[Any]) -> dict[tuple[tuple[str, str], ...], list[float]]:
    """The values of each series, at each time, by its labels."""
    return {
        tuple(each["metric"].items()): [float(value) for _, value in each.get("values") or [each["value"]]]
        for each in series
    }


def test_no_reason_is_given_for_what_is_gone() -> None:
    assert EMPTY.keys() <= {(query.board, query.place) for query in QUERIES}


@pytest.mark.parametrize(("board", "name"), QUERIED)
def test_a_variable_has_values(data, board: str, name: str) -> None:
    variable = variables(board)[name]
    expr = filled(Query(board, name, variable["query"], 0), ".+")
    if asked := LABEL_VALUES.fullmatch(expr):
        limits = {"match[]": asked["series"], "start": data.start, "end": data.history.end}
        values = data.get(f"label/{asked['label']}/values", **limits)
    else:
        asked = RESULT.fullmatch(expr)
        assert asked, expr
        values = chosen(variable["regex"], data.answer(asked["expr"]))

    assert values
    assert all(values)


def chosen(regex: str, series: list[Any]) -> list[str]:
    """What Grafana offers of a result: the text that the variable's regex takes out of each line."""
    lines = (",".join(f'{name}="{text}"' for name, text in each["metric"].items()) for each in series)
    pattern = regex.strip("/").replace("(?<", "(?P<")
    return [found["text"] for line in lines if (found := re.search(pattern, f"{{{line}}} 1 1"))]
