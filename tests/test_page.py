"""The bytes of /metrics: what parsers read from them, and what the library's own encoders make of the same samples."""

import gzip
import os
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import needs
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter.encoding import LONGEST, Format, Once, rendered
from exporter.exposition import POLLS, families, of_exporter, of_operation
from exporter.lists import LISTS
from exporter.lists.connectors import INFO, Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.lists.token_info import TokenInfo
from exporter.model import Change, ChangeKind, Family, Operation, Outcome, Sample, Values
from exporter.page import BLOCK, Page, Renderer
from exporter.pieces import Packed
from exporter.spec import Derived
from exporter.state import (
    EMPTY,
    Ending,
    Held,
    Memory,
    Next,
    OperationState,
    Rule,
    Snapshot,
    Standing,
    State,
    Tally,
)
from exporter.vitals import Source, Vitals

AT = 1_790_000_000.0
GOLDEN = Path(__file__).parent / "golden"
ANY_TEXT = st.text(max_size=12) | st.text(alphabet='"\\\n\r\t ,{}=#\ud800\udfff\u2028é\U0001f4de', max_size=12)
VERY_LONG = st.builds(lambda text, times: (text or "x") * times, st.text(max_size=5), st.integers(100, 400))
TEXTS = ANY_TEXT | VERY_LONG
KEY_TEXTS = TEXTS.filter(bool)
FEW = st.sampled_from(["a", "b"])  # so that columns come that have the same text everywhere
NUMBERS = st.sampled_from([1, True, 1.5, 7])


# --- states to show ---


def connectors(rows: Iterable[Connector], **changes) -> Standing:
    held = tuple(rows)
    memory = Memory(first_seen={row.key: AT - 5 for row in held})
    return Standing(snapshot=Snapshot(held, AT), memory=memory, **changes)


def operation(name: str, rows: Iterable[Connector] = (), **changes) -> OperationState:
    values: dict[str, Any] = {"intervals": {"connectors": 300.0}, "standings": {"connectors": connectors(rows)}}
    return OperationState(Operation(name, "0010"), **values | changes)


def page(*operations: OperationState, alive: Source | None = None, **changes) -> Page:
    return Renderer(LISTS, Vitals([alive] if alive else [])).page(State(operations, **changes))


def body(made: Page, form: Format = Format.TEXT, *names: str) -> str:
    return made.body(form, compress=False, names=frozenset(names) or None).decode()


ROWS = st.lists(st.builds(Connector, KEY_TEXTS, KEY_TEXTS, TEXTS, TEXTS), max_size=4)
STANDINGS = st.builds(connectors, ROWS)
OPERATIONS = st.dictionaries(st.sampled_from(["acme", "acme-co", "b.c"]), STANDINGS, max_size=3).map(
    lambda named: tuple(operation(name, standings={"connectors": each}) for name, each in named.items())
)


# --- the library's word ---


def cut(text: str) -> str:
    return "".join("?" if "\ud800" <= sign <= "\udfff" else sign for sign in text[:200])


def reference(state: State) -> Collector:
    """Every sample of the state as the library's own metrics, one family after the other."""
    told: dict[str, dict[Any, float]] = {}
    for each in (*(of_operation(one, LISTS) for one in state.operations), of_exporter(state)):
        for family, samples in each:
            for sample in samples:
                labels = (*zip(family.labels, map(cut, sample.labels), strict=True), *sample.extra)
                told.setdefault(family.name, {})[sample.suffix, labels] = float(sample.value)
    return Once([library(family, told[family.name]) for family in families(LISTS) if told.get(family.name)])


def library(family: Family, samples: Mapping[Any, float]) -> Metric:
    metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
    for (suffix, labels), value in samples.items():
        metric.add_sample(family.name + suffix, dict(labels), value)
    return metric


ENCODERS: dict[Format, Any] = {
    Format.TEXT: generate_latest,
    Format.TEXT_1: generate_latest,
    Format.OPENMETRICS: generate_openmetrics,
}
PARSERS: dict[Format, Any] = {
    Format.TEXT: parse_text,
    Format.TEXT_1: parse_text,
    Format.OPENMETRICS: parse_openmetrics,
}


def series(text: str, form: Format = Format.TEXT) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series of the page, as a parser reads it."""
    return [
        (sample.name, frozenset(sample.labels.items())) for metric in PARSERS[form](text) for sample in metric.samples
    ]


@pytest.mark.parametrize("form", Format)
@given(OPERATIONS)
def test_a_page_is_what_the_library_says_of_the_same_samples(form, operations) -> None:
    state = State(operations, {"connectors": EMPTY.observed(0.2)}, created=AT)

    made = Renderer(LISTS, Vitals()).page(state).body(form, compress=False)

    assert made == ENCODERS[form](reference(state))


@pytest.mark.parametrize("form", Format)
@given(OPERATIONS)
def test_a_page_is_read_by_the_parser_with_every_label_and_no_series_twice(form, operations) -> None:
    read = series(body(page(*operations), form), form)

    shown = {
        (each.operation.name, *map(cut, (row.channel, row.connector_id, row.rp_id, row.name)))
        for each in operations
        for row in each.standings["connectors"].snapshot.rows
    }
    names = ("operation", "channel", "connector_id", "rp_id", "name")
    infos = {labels for name, labels in read if name == "wolkvox_connector_info"}
    assert infos == {frozenset(zip(names, texts, strict=True)) for texts in shown}
    assert len(set(read)) == len(read)


@pytest.mark.parametrize("form", Format)
@given(OPERATIONS)
def test_families_never_interleave(form, operations) -> None:
    lines = [line for line in body(page(*operations), form).split("\n") if line.startswith("# TYPE ")]

    assert len(lines) == len(set(lines))
    assert [metric.name for metric in PARSERS[form](body(page(*operations), form))] == [
        line.split(" ")[2].removesuffix("_total") for line in lines
    ]


def unpacked(packed: bytes) -> bytes:
    """What one gzip member holds; nothing may follow it."""
    member = zlib.decompressobj(31)
    plain = member.decompress(packed) + member.flush()
    assert (member.eof, member.unused_data) == (True, b"")
    return plain


@pytest.mark.parametrize("form", Format)
@given(OPERATIONS)
def test_a_compressed_page_is_one_member_of_the_plain_one(form, operations) -> None:
    made = page(*operations, alive=Things(5))

    packed, plain = made.body(form, compress=True), made.body(form, compress=False)

    assert gzip.decompress(packed) == unpacked(packed) == plain


def test_a_compressed_page_is_smaller() -> None:
    rows = [Connector("whatsapp", str(number), "5", "Sales") for number in range(1000)]

    made = page(operation("acme", rows))

    assert len(made.body(Format.TEXT, compress=True)) * 5 < len(body(made))


# --- what is live ---


class Things:
    def __init__(self, number: float) -> None:
        self.number = number

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("process_things", "Things of this process, in %.", self.number)

    def numbers(self) -> Mapping[str, float]:
        return {"process_things": self.number}


@pytest.mark.parametrize("form", Format)
def test_what_is_live_stands_at_the_end_and_is_read_at_each_scrape(form) -> None:
    things = Things(0)
    made = page(operation("acme"), alive=things)

    pages = []
    for value in (1, 2):
        things.number = value
        pages.append(body(made, form).removesuffix("# EOF\n"))

    assert [text.splitlines()[-1] for text in pages] == ["process_things 1.0", "process_things 2.0"]


def test_only_openmetrics_has_an_end_mark_and_has_it_once() -> None:
    made = page(operation("acme"), alive=Things(5))

    ends = {form: [line for line in body(made, form).splitlines() if line == "# EOF"] for form in Format}

    assert ends == {Format.TEXT: [], Format.TEXT_1: [], Format.OPENMETRICS: ["# EOF"]}
    assert body(made, Format.OPENMETRICS).endswith("\n# EOF\n")


def test_both_text_versions_are_the_same_bytes() -> None:
    made = page(operation("acme", [Connector("whatsapp", "12", "5", "Sales")]))

    assert body(made, Format.TEXT) == body(made, Format.TEXT_1)


def test_a_page_of_nothing_still_tells_of_the_storage() -> None:
    assert [name for name, _ in series(body(page()))] == ["wolkvox_exporter_storage_healthy"]


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (Format.TEXT, "text/plain; version=0.0.4; charset=utf-8"),
        (Format.TEXT_1, "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
        (
            Format.OPENMETRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_a_format_is_known_by_its_content_type(form, content_type) -> None:
    assert form.value == content_type


# --- one operation ---


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("compress", [True, False])
def test_a_probe_holds_one_operation_only(form, compress) -> None:
    rows = [Connector("whatsapp", "12", "5", "Sales")]
    made = page(operation("acme", rows), operation("other", rows), alive=Things(5), created=AT)

    raw = made.body(form, compress=compress, names=frozenset({"other"}))
    read = series((unpacked(raw) if compress else raw).decode(), form)

    assert {dict(labels)["operation"] for _, labels in read} == {"other"}
    assert "wolkvox_connector_info" in {name for name, _ in read}
    assert not {name for name, _ in read if name.startswith(("process_", "wolkvox_exporter_", "wolkvox_upstream_r"))}


def test_the_probes_of_all_operations_are_the_page_but_for_the_exporter_itself() -> None:
    made = page(operation("acme"), operation("other"))

    probes = [each for name in made.operations for each in series(body(made, Format.TEXT, name))]

    assert sorted(map(str, probes)) == sorted(map(str, set(series(body(made))) - set(series(body(page())))))


@pytest.mark.parametrize("form", Format)
def test_some_operations_together_are_what_each_says_by_itself(form) -> None:
    rows = [Connector("whatsapp", "12", "5", "Sales")]
    made = page(*(operation(name, rows) for name in ("acme", "beta", "other")), created=AT)

    together = series(body(made, form, "other", "acme"), form)

    assert sorted(together) == sorted(
        (*series(body(made, form, "acme"), form), *series(body(made, form, "other"), form))
    )


def test_an_operation_that_is_not_there_says_nothing() -> None:
    assert body(page(operation("acme")), Format.TEXT, "ACME") == ""


def test_a_page_knows_its_operations_in_their_order() -> None:
    assert page(operation("b"), operation("a")).operations == ("b", "a")


def test_connectors_names_stay_inside_where_they_are_not_to_be_shown() -> None:
    made = page(operation("acme", [Connector("whatsapp", "12", "5", "+57 300 123")], names=False))

    assert "300 123" not in body(made)
    assert 'connector_id="12",name="",operation="acme"' in body(made)


# --- texts ---


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 200), (100_000, 200)])
def test_a_label_is_cut_at_200_characters(length, shown) -> None:
    text = body(page(operation("acme", [Connector("whatsapp", "12", "5", "é" * length)])))

    assert f'name="{"é" * shown}"' in text
    assert LONGEST == 200


def test_labels_that_are_one_once_they_are_cut_are_one_series() -> None:
    same = "x" * 200
    rows = [Connector("whatsapp", same + end, "5", "Sales") for end in "ab"]

    text = body(page(operation("acme", rows)))

    assert text.count("wolkvox_connector_info{") == 1


def test_of_samples_with_the_same_labels_the_last_one_stays() -> None:
    family = Family("a", "gauge", "A.", ("x",))

    pieces = rendered({family: [Sample(("1",), 1), Sample(("2",), 5), Sample(("1",), 2)]})

    assert pieces == {family: b'a{x="1"} 2.0\na{x="2"} 5.0\n'}


@pytest.mark.parametrize("samples", [[Sample(("1", "2"), 1)], {("1", "2"): 1}, {(): 1}, {("1",): 1, ("1", "2"): 1}])
def test_a_sample_has_exactly_the_labels_of_its_family(samples) -> None:
    with pytest.raises(ValueError, match="zip"):
        rendered({Family("a", "gauge", "A.", ("x",)): samples})


@given(st.dictionaries(st.tuples(FEW | TEXTS, FEW | TEXTS, TEXTS), NUMBERS | st.floats(), max_size=9))
def test_many_samples_at_once_are_what_each_is_by_itself(values) -> None:
    family = Family("a", "gauge", "A.", ("z", "x", "y"))

    one_by_one = [Sample(labels, value) for labels, value in values.items()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.encoding.SLICE", 4)
        assert rendered({family: values}) == rendered({family: one_by_one})


def test_samples_without_labels_may_come_at_once_too() -> None:
    family = Family("a", "gauge", "A.")
    only: Values = {(): 5}

    assert rendered({family: only}) == {family: b"a 5.0\n"}


def test_what_utf_8_cannot_carry_is_a_question_mark() -> None:
    text = body(page(operation("acme", [Connector("whatsapp", "12", "5", "a\ud800b")])))

    assert 'name="a?b"' in text


# --- what is rendered again ---


def lines(made: Page, family: Family, place: int = 0) -> Any:
    """The lines of the operation at this place, as they are kept."""
    return made._sections[family][place // BLOCK].rows[0][place % BLOCK]  # noqa: SLF001 - work not done is seen here alone


def test_what_did_not_change_is_not_rendered_again(monkeypatch) -> None:
    acme, other = operation("acme"), operation("other")
    renderer = Renderer(LISTS, Vitals())
    renderer.page(State((acme, other)))
    asked: list[str] = []

    def told(each: OperationState, _: object) -> tuple[()]:
        asked.append(each.operation.name)
        return ()

    monkeypatch.setattr("exporter.page.of_operation", told)

    renderer.page(State((operation("acme"), other)))

    assert asked == ["acme"]


def test_a_state_that_is_equal_but_another_gives_the_same_page() -> None:
    renderer = Renderer(LISTS, Vitals())
    first, second = (renderer.page(State((operation("acme"),))) for _ in range(2))

    assert body(second) == body(first)


def test_samples_that_follow_from_the_same_values_are_not_made_again() -> None:
    made: list[str] = []

    def one(name: str) -> Values:
        made.append(name)
        return {(name,): 1}

    family = Family("wolkvox_x", "gauge", "X.", ("operation",))
    spec = replace(
        LISTS["connectors"],
        families=(family,),
        samples=lambda state: [(family, Derived(one, (state.operation.labels["x"],)))],
    )
    renderer = Renderer({"connectors": spec}, Vitals())

    def of(text: str) -> OperationState:
        return OperationState(Operation("acme", "0010", labels={"x": text}), {"connectors": 1.0}, {})

    bodies = [body(renderer.page(State((of(text),)))) for text in ("a", "a", "b", "a")]

    assert made == ["a", "b", "a"]
    assert [f'wolkvox_x{{operation="{x}"}} 1.0' in text for text, x in zip(bodies, "aaba", strict=True)] == [True] * 4


def test_an_operation_that_trips_a_bug_keeps_its_lines_and_harms_no_other(quiet_log) -> None:
    def states(number: str, ending: Ending | None) -> State:
        rows = [Connector("whatsapp", number, "5", "")]
        acme = operation("acme", standings={"connectors": connectors(rows, ending=ending)})
        return State((acme, operation("other", rows)))

    broken: Any = object()
    renderer = Renderer(LISTS, Vitals())
    renderer.page(states("1", None))

    shown = body(renderer.page(states("2", Ending(Outcome.OK, AT, AT, broken))))
    mended = body(renderer.page(states("2", None)))

    assert [f'connector_id="{number}",name="",operation="acme"' in shown for number in "12"] == [True, False]
    assert [f'connector_id="{number}",name="",operation="other"' in shown for number in "12"] == [False, True]
    assert [event["event"] for event in quiet_log] == ["operation not rendered, its last lines stay"]
    assert 'connector_id="2",name="",operation="acme"' in mended
    assert 'connector_id="1"' not in mended


def test_an_operation_that_goes_is_gone_and_forgotten() -> None:
    acme, other = operation("acme"), operation("other")
    renderer = Renderer(LISTS, Vitals())

    first, second, third = (renderer.page(State(each)) for each in ((acme, other), (acme,), (acme, other)))

    assert (second.operations, third.operations) == (("acme",), ("acme", "other"))
    assert 'operation="other"' not in body(second)
    assert body(third) == body(first)


def test_a_page_stays_as_it_was_when_another_is_made() -> None:
    renderer = Renderer(LISTS, Vitals())
    first = renderer.page(State((operation("acme"),)))
    before = body(first)

    renderer.page(State((operation("acme", [Connector("whatsapp", "12", "5", "")]),)))

    assert body(first) == before


def test_a_page_is_joined_and_compressed_once_for_each_format() -> None:
    made = page(operation("acme"))

    bodies = [
        made.body(form, compress=True, names=names) for form in Format for names in (None, frozenset({"acme"}))
    ] * 2

    assert bodies[:6] == bodies[6:]
    assert len(made._wholes) == 4  # noqa: SLF001 - two formats of two pages; the text versions share theirs


def test_a_change_compresses_its_own_block_alone() -> None:
    states = [operation(f"op-{number}", [Connector("whatsapp", "1", "5", "")]) for number in range(BLOCK * 3)]
    renderer = Renderer(LISTS, Vitals())
    first = renderer.page(State(tuple(states)))

    states[BLOCK] = operation(f"op-{BLOCK}", [Connector("whatsapp", "2", "5", "")])
    second = renderer.page(State(tuple(states)))

    before, after = (made._sections[INFO] for made in (first, second))  # noqa: SLF001 - the work not done is seen here
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True, True]
    assert gzip.decompress(second.body(Format.TEXT, compress=True)) == second.body(Format.TEXT, compress=False)


def test_lines_that_stay_the_same_are_kept_once_though_their_operation_changed() -> None:
    renderer = Renderer(LISTS, Vitals())
    first = renderer.page(State((operation("acme", [Connector("whatsapp", "1", "5", "")]),)))
    second = renderer.page(State((operation("acme", [Connector("whatsapp", "1", "5", "")]),)))

    assert lines(second, INFO) is lines(first, INFO)


def test_what_is_beyond_the_room_is_packed_and_reads_the_same(monkeypatch) -> None:
    rows = [Connector("whatsapp", str(number), "5", "") for number in range(100)]
    many = [operation(f"op-{number}", rows) for number in range(3)]
    plain = page(*many)
    monkeypatch.setattr("exporter.page.ROOMY", 2 * len(lines(plain, INFO)))
    renderer = Renderer(LISTS, Vitals())
    made = renderer.page(State(tuple(many)))

    assert [isinstance(lines(made, INFO, place), Packed) for place in range(3)] == [False, True, True]
    assert not isinstance(lines(made, POLLS, 2), Packed)
    for names in ((), ("op-2",)):
        assert body(made, Format.TEXT, *names) == body(plain, Format.TEXT, *names)
    again = renderer.page(State((*many[:2], operation("op-2", rows))))
    assert lines(again, INFO, 2) is lines(made, INFO, 2)


# --- the golden pages ---

SALES = Connector("whatsapp", "12", "5", "Sales")
ODD = Connector("whatsapp", "702", "", 'Line "two"\\\nwith a break')
INBOX = Connector("email", "13", "6", "Inbox")
GONE = Connector("telegram", "9", "6", "Old bot")


def change(ago: float, connector: Connector, kind: ChangeKind, *texts: str) -> Change:
    return Change(AT - ago, "connectors", connector.key, connector.title, kind, *texts)


def everything() -> State:
    """A state that fills every family: one operation in full, one that fails, one that was never polled."""
    known = Memory(
        first_seen={SALES.key: AT - 86400, ODD.key: AT - 3600, INBOX.key: AT - 600, GONE.key: AT - 90000},
        gone={GONE.key: AT - 1200},
        titles={GONE.key: "Old bot"},
        emptied={("telegram", "6"): AT - 1200},
    )
    told = Standing(
        Ending(Outcome.OK, AT - 2, AT, 1.25, records=5, rejected=1, duplicates=1),
        Snapshot((SALES, ODD, INBOX), AT),
        Held(AT - 300, (INBOX,)),
        known,
        Tally(
            120,
            3,
            {"ok": 117, "timeout": 2, "forbidden": 1},
            {("200", "200"): 117, ("none", "none"): 2, ("403", "403"): 1},
            {
                ("whatsapp", "added"): 2,
                ("whatsapp", "removed"): 0,
                ("whatsapp", "renamed"): 1,
                ("whatsapp", "rerouted"): 1,
                ("telegram", "removed"): 1,
            },
        ),
        (
            change(600, INBOX, ChangeKind.ADDED, "", "6", "", "Night desk"),
            change(900, SALES, ChangeKind.REROUTED, "6", "5", "Night desk", "Main menu"),
            change(901, SALES, ChangeKind.RENAMED, "Shop", "Sales"),
            change(1200, GONE, ChangeKind.REMOVED, "6", "", "Night desk", ""),
        ),
    )
    points = Snapshot(
        (
            RoutingPoint("5", "Main menu", "yes", "yes", "no", "maybe"),
            RoutingPoint("6", "Night desk", "no", "no", "", "yes"),
        ),
        AT - 60,
    )
    figures = Snapshot((TokenInfo("1000", "300", "388", "700"),), AT - 1800)
    acme = OperationState(
        Operation("acme-co", "0010", {"country": "co", "team": 'the "night" shift'}, {"whatsapp": 2, "email": 1}),
        {"connectors": 300.0, "routing_points": 600.0, "token_info": 3600.0},
        {
            "connectors": told,
            "routing_points": Standing(
                Ending(Outcome.OK, AT - 61, AT - 60, 0.5, 2), points, tally=Tally(60, 0, {"ok": 60})
            ),
            "token_info": Standing(
                Ending(Outcome.OK, AT - 1801, AT - 1800, 0.25, 1),
                figures,
                memory=Memory(first_seen={(): AT - 86400}, fell_at=AT - 40000),
                tally=Tally(12, 0, {"ok": 12}, {("200", "0"): 12}),
            ),
        },
        {
            "connectors": Next(AT + 300, Rule.INTERVAL),
            "routing_points": Next(AT + 540, Rule.INTERVAL),
            "token_info": Next(AT + 1800, Rule.INTERVAL),
        },
        spent=12,
    )
    failing = OperationState(
        Operation("acme-pe", "0011"),
        {"connectors": 600.0},
        {
            "connectors": Standing(
                Ending(Outcome.TOKEN_REJECTED, AT - 11, AT - 10, 0.125),
                tally=Tally(2, 2, {"token_rejected": 2}, {("403", "other"): 2}),
            )
        },
        {"connectors": Next(AT + 3590, Rule.REST)},
        reserved=True,
        names=False,
    )
    fresh = OperationState(Operation("new", "0012"), {"connectors": 300.0}, {})
    durations = {
        "connectors": EMPTY.observed(0.125).observed(1.25).observed(75.0),
        "token_info": EMPTY.observed(0.25),
    }
    return State((acme, failing, fresh), durations, storage_healthy=True, created=AT - 86400)


def golden(form: Format) -> bytes:
    return Renderer(LISTS, Vitals()).page(everything()).body(form, compress=False)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("form", "name"), [(Format.TEXT, "metrics.txt"), (Format.OPENMETRICS, "openmetrics.txt")], ids=str
)
def test_the_page_is_the_golden_one(form, name) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_bytes(golden(form))

    assert golden(form) == (GOLDEN / name).read_bytes(), "if that is what it should say now: make golden"


def test_the_golden_page_fills_every_family() -> None:
    filled = {line.split(" ")[2] for line in golden(Format.TEXT).decode().splitlines() if line.startswith("# TYPE ")}

    assert filled == {family.name for family in families(LISTS)}


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_say_of_the_golden_page() -> None:
    needs("promtool", "prometheus")

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=golden(Format.TEXT), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
