"""The dashboards: the committed JSON is what the code says, and keeps the rules that Grafana's own linter has."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import promql_parser
import pytest
from exposed import plain_web

from dashboards import colours, outcomes
from dashboards.build import DASHBOARDS, text
from exporter.clock import HostClock
from exporter.exposition import families
from exporter.lists import LISTS
from exporter.model import ChangeKind, Outcome
from exporter.wiring import Reloads, vitals

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "dashboards"
# The public schema of the kind Dashboard, generated from grafana/grafana-foundation-sdk (Apache-2.0).
SCHEMA = json.loads((Path(__file__).parent / "data" / "dashboard.jsonschema.json").read_text())
KINDS = {"stat", "timeseries", "table", "state-timeline", "bargauge"}
UNITS = {"short", "none", "string", "s", "bytes", "percentunit", "dateTimeFromNow"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
BUILT_IN = {
    "$__rate_interval": "2m",
    "$__interval_ms": "30000",
    "$__interval": "30s",
    "$__range_s": "3600",
    "$__range": "1h",
}
WIDTH = 24

each = pytest.mark.parametrize("name", DASHBOARDS)


@cache
def read(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return made


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in read(name)["panels"] if panel["type"] != "row"]


def targets(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in panels(name):
        yield from ((panel["title"], target) for target in panel["targets"])


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in read(name)["templating"]["list"]}


def annotations(name: str) -> list[dict[str, Any]]:
    return list(read(name)["annotations"].get("list", []))


def asked(name: str) -> Iterator[tuple[str, str]]:
    """Where each expression stands, and the expression: of panels, annotations and variables."""
    yield from ((title, target["expr"]) for title, target in targets(name))
    yield from ((annotation["name"], annotation["expr"]) for annotation in annotations(name))
    for variable in variables(name).values():
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.+), \w+\)|query_result\((.+)\)", variable["query"])
            assert inner, variable["query"]
            yield variable["name"], inner[1] or inner[2]


def filled(expr: str, name: str) -> str:
    """The expression as Prometheus would get it."""
    for variable, value in BUILT_IN.items():
        expr = expr.replace(variable, value)
    return re.sub(r"\$(\w+)", lambda found: ".+" if found[1] in variables(name) else found[0], expr)


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """The vector selectors in it."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        for child in ("expr", "lhs", "rhs", "param", "vector_selector"):
            visit_if_any(getattr(node, child, None))
        for argument in getattr(node, "args", None) or ():
            visit(argument)

    def visit_if_any(node: object) -> None:
        if node is not None:
            visit(node)

    visit(promql_parser.parse(expr))
    return found


def known_metrics() -> set[str]:
    """What the code exposes, by the names of series; and Prometheus' own `up`."""
    live = vitals(Reloads(HostClock()), plain_web(), about_process=True)
    names = {"up"} | {sample.name for metric in live.collect() for sample in metric.samples}
    for family in families(LISTS):
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        names |= {family.name + suffix for suffix in suffixes}
    return names


@each
def test_the_committed_json_is_what_the_code_builds(name: str) -> None:
    assert (FOLDER / name).read_text() == text(DASHBOARDS[name]()), "python -m dashboards.build writes it anew"


def test_no_other_json_lies_beside_the_code() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(DASHBOARDS)


@each
def test_it_validates_against_the_published_schema(name: str) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(read(name))


@each
def test_grafana_from_10_4_on_imports_it(name: str) -> None:
    assert read(name)["schemaVersion"] == 39


def test_uids_are_stable_and_titles_and_tags_are_there() -> None:
    told = {name: (board["uid"], board["title"], board["tags"]) for name in DASHBOARDS for board in [read(name)]}

    assert told == {
        "connectors.json": ("wolkvox-connectors", "wolkvox / Connectors", ["wolkvox"]),
        "operation.json": ("wolkvox-operation", "wolkvox / Operation", ["wolkvox"]),
        "exporter-health.json": ("wolkvox-exporter-health", "wolkvox / Exporter health", ["wolkvox"]),
    }


@each
def test_it_is_not_editable_in_place_and_has_no_id(name: str) -> None:
    assert not read(name)["editable"]
    assert "id" not in read(name)


@each
def test_it_links_to_the_others_and_keeps_variables_and_time(name: str) -> None:
    (link,) = read(name)["links"]

    assert (link["type"], link["tags"]) == ("dashboards", ["wolkvox"])
    assert link["includeVars"]
    assert link["keepTime"]


@each
def test_links_of_rows_lead_to_the_operation_with_variables_and_time(name: str) -> None:
    links = [link for panel in panels(name) for link in panel["fieldConfig"]["defaults"].get("links", [])]

    assert links
    for link in links:
        path, _, query = link["url"].partition("?")
        assert path == "/d/" + read("operation.json")["uid"]
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= set(variables(name))
        assert "${__url_time_range}" in query


@each
def test_the_data_source_is_a_variable(name: str) -> None:
    variable = variables(name)["datasource"]

    assert (variable["type"], variable["query"], variable["label"]) == ("datasource", "prometheus", "Data source")


@each
@pytest.mark.parametrize("variable", ["job", "instance"])
def test_job_and_instance_are_variables_as_the_linter_wants_them(name: str, variable: str) -> None:
    told = variables(name)[variable]

    assert told["type"] == "query"
    assert told["label"] == variable.title()
    assert told["datasource"] == SOURCE
    assert (told["multi"], told["includeAll"], told["allValue"]) == (True, True, ".+")


@each
def test_variables_are_asked_again_when_the_time_range_changes(name: str) -> None:
    queried = [variable for variable in variables(name).values() if variable["type"] == "query"]

    assert {variable["refresh"] for variable in queried} == {2}


def test_connectors_can_be_narrowed_by_operation_channel_routing_point_and_text() -> None:
    told = variables("connectors.json")

    assert list(told) == ["datasource", "job", "instance", "operation", "channel", "routing_point", "search"]
    assert all(told[name]["multi"] and told[name]["includeAll"] for name in ("operation", "channel", "routing_point"))


def test_all_routing_points_take_connectors_that_are_not_routed_along() -> None:
    assert variables("connectors.json")["routing_point"]["allValue"] == ".*"


def test_the_names_of_routing_points_are_read_from_an_answer_of_prometheus() -> None:
    pattern = variables("connectors.json")["routing_point"]["regex"].strip("/").replace("(?<", "(?P<")
    line = '{rp_id="48",rp_name="Menú principal"} 1 1790000000000'  # as Grafana writes a result of query_result

    found = re.search(pattern, line)

    assert found
    assert found.groupdict() == {"value": "48", "text": "Menú principal"}


@each
def test_nothing_names_a_data_source_of_its_own(name: str) -> None:
    used = [panel["datasource"] for panel in panels(name)]
    used += [target["datasource"] for _, target in targets(name)]
    used += [annotation["datasource"] for annotation in annotations(name)]

    assert all(source == SOURCE for source in used)


@each
def test_panels_have_a_kind_that_can_be_drawn_and_queries(name: str) -> None:
    assert {panel["type"] for panel in panels(name)} <= KINDS
    assert all(panel["targets"] for panel in panels(name))


@each
def test_panels_have_titles_descriptions_units_and_a_text_for_no_data(name: str) -> None:
    for panel in panels(name):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert defaults["unit"] in UNITS, panel["title"]
        assert defaults["noValue"], panel["title"]


@each
def test_tables_have_no_unit_that_would_rewrite_ids_and_texts(name: str) -> None:
    for panel in panels(name):
        if panel["type"] == "table":
            assert panel["fieldConfig"]["defaults"]["unit"] == "string", panel["title"]


@each
def test_milliseconds_in_tables_are_made_times(name: str) -> None:
    for panel in panels(name):
        if panel["type"] == "table":
            moments = ["* 1000" in target["expr"] for target in panel["targets"]]
            steps = {step["id"]: step["options"] for step in panel["transformations"]}
            made = steps.get("convertFieldType", {"conversions": []})["conversions"]
            assert [each["destinationType"] for each in made] == ["time"] * sum(moments), panel["title"]


@each
def test_words_in_tables_stand_for_nothing_that_an_id_can_be(name: str) -> None:
    for panel in panels(name):
        if panel["type"] == "table":
            mappings = panel["fieldConfig"]["defaults"].get("mappings", [])
            assert all(int(value) < 0 for mapping in mappings for value in mapping["options"]), panel["title"]


@each
def test_titles_fit_their_panels(name: str) -> None:
    for panel in panels(name):
        assert len(panel["title"]) <= 6 * panel["gridPos"]["w"] - 3, panel["title"]


@each
def test_ids_and_titles_are_unique(name: str) -> None:
    ids = [panel["id"] for panel in read(name)["panels"]]
    titles = [panel["title"] for panel in panels(name)]

    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@each
def test_panels_fill_their_rows_and_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(name)["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells

    height = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(WIDTH) for y in range(height)}


@each
def test_every_expression_parses(name: str) -> None:
    for title, expr in asked(name):
        assert "$__" not in filled(expr, name), title
        promql_parser.parse(filled(expr, name))


@each
def test_every_metric_is_one_that_is_exposed(name: str) -> None:
    used = {selector.name for _, expr in asked(name) for selector in selectors(filled(expr, name))}

    assert used <= known_metrics()


@each
def test_every_selector_is_narrowed_by_job_and_instance(name: str) -> None:
    places = [(title, target["expr"]) for title, target in targets(name)]
    places += [(annotation["name"], annotation["expr"]) for annotation in annotations(name)]
    for title, expr in places:
        for selector in selectors(filled(expr, name)):
            assert {matcher.name for matcher in selector.matchers.matchers} >= {"job", "instance"}, title
        assert expr.count('job=~"$job"') == expr.count('instance=~"$instance"') == len(selectors(filled(expr, name)))


@each
def test_rates_use_the_interval_that_fits_the_scrapes(name: str) -> None:
    for title, expr in asked(name):
        windows = re.findall(r"\b(?:rate|increase|irate)\([^\[]*\[([^\]]*)\]", expr)
        assert set(windows) <= {"$__rate_interval"}, title


@each
def test_counters_are_read_as_rates_alone(name: str) -> None:
    for title, target in targets(name):
        counters = re.findall(r"(\w+\()?\w+_(?:total|bucket)\{", target["expr"])
        assert set(counters) <= {"rate("}, title


@each
def test_what_copies_tell_twice_is_aggregated_before_it_is_summed_or_joined(name: str) -> None:
    for title, expr in asked(name):
        for summed in re.findall(r"(?:sum|count)(?: by \([^)]*\))? \((\w+)\{", expr):
            pytest.fail(f"{title}: {summed} is summed as it is scraped")
        assert not re.search(r"group_left \([^)]*\) \w+\{", expr), title


@each
def test_colours_are_of_the_colour_blind_safe_palette(name: str) -> None:
    used = set(re.findall(r'"(#[0-9A-Fa-f]{6})"', (FOLDER / name).read_text()))

    assert used <= set(colours.PALETTE)
    assert '"palette-classic' not in (FOLDER / name).read_text()


@pytest.mark.parametrize("name", ["connectors.json", "operation.json"])
def test_every_kind_of_change_is_marked_in_its_colour(name: str) -> None:
    marks = {annotation["name"]: annotation["iconColor"] for annotation in annotations(name)}

    assert marks == {f"connector {kind}": colours.CHANGES[kind] for kind in ChangeKind}
    assert all("wolkvox_connector_change_timestamp_seconds" in annotation["expr"] for annotation in annotations(name))


def test_a_quiet_range_is_a_good_answer() -> None:
    (table,) = [panel for panel in panels("connectors.json") if panel["title"] == "What changed"]

    assert table["fieldConfig"]["defaults"]["noValue"] == "no connector changed in this range"


def test_every_outcome_belongs_to_one_group() -> None:
    grouped = [outcome for _, _, some in outcomes.GROUPS for outcome in some]

    assert sorted(grouped) == sorted(Outcome)
