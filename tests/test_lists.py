"""The upstream lists: what each reads of a record and what it says of its rows."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.encoding import Format
from exporter.exposition import families
from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.lists.token_info import TokenInfo
from exporter.model import Answer, Family, Operation, Outcome, Sample, Secret
from exporter.page import Renderer
from exporter.poll import Trust
from exporter.poller import Poller
from exporter.records import text
from exporter.setup import Setup, Target
from exporter.spec import Samples, UpstreamList, restorer
from exporter.state import Memory, OperationState, Snapshot, Standing, State
from exporter.store import Store
from exporter.vitals import Vitals

THEN = 1_790_000_000.0
CONNECTORS, POINTS, METER = LISTS.values()
RECORD: dict[Any, Any] = {"connector_id": "12", "rp_id": "5", "name": "Sales", "channel": "whatsapp"}
SALES = Connector("whatsapp", "12", "5", "Sales")


def told(spec: UpstreamList, rows: Iterable[Any] | None, memory: Memory | None = None, **changes) -> dict[str, Any]:
    """What the list says of these rows: labels but the operation's, with their values, by family."""
    snapshot = None if rows is None else Snapshot(tuple(rows), THEN)
    standing = Standing(snapshot=snapshot, memory=memory or Memory())
    values: dict[str, Any] = {"operation": Operation("acme", "0010"), "intervals": {spec.name: spec.interval}}
    state = OperationState(standings={spec.name: standing}, **values | changes)
    said = {family.name: list(samples) for family, samples in spec.samples(state)}
    assert {sample.labels[0] for samples in said.values() for sample in samples} <= {"acme"}
    return {name: {sample.labels[1:]: sample.value for sample in samples} for name, samples in said.items() if samples}


def test_the_lists_are_asked_in_this_order_and_at_these_intervals() -> None:
    intervals = {name: spec.interval for name, spec in LISTS.items()}

    assert list(intervals.items()) == [("connectors", 300.0), ("routing_points", 600.0), ("token_info", 3600.0)]


def test_connectors_alone_tell_whether_an_operation_is_up() -> None:
    assert [name for name, spec in LISTS.items() if spec.essential] == ["connectors"]


def test_what_a_list_refers_to_is_a_list() -> None:
    watches = [watch for spec in LISTS.values() for watch in spec.watches]

    assert {watch.refers_to for watch in watches if watch.refers_to} <= LISTS.keys()


@pytest.mark.parametrize("spec", LISTS.values(), ids=str)
def test_a_list_is_found_under_its_own_name(spec) -> None:
    assert LISTS[spec.name] is spec


@pytest.mark.parametrize(
    ("spec", "row"),
    [
        (CONNECTORS, SALES),
        (POINTS, RoutingPoint("5", "Main", "yes", "no", "", "x")),
        (METER, TokenInfo("1", "2", "3", "4")),
    ],
)
def test_a_row_is_restored_from_its_texts(spec, row) -> None:
    (restored,) = spec.restore([[text] for text in row])

    assert restored == row
    assert type(restored) is type(row)


@pytest.mark.parametrize("columns", [[["whatsapp"]], [["whatsapp"], ["12"], ["5"], ["Sales", "Night"]], [["x"]] * 5])
def test_what_is_no_table_of_its_rows_is_not_restored(columns) -> None:
    with pytest.raises(ValueError, match=r"columns|zip"):
        list(CONNECTORS.restore(columns))


# --- connectors ---


@pytest.mark.parametrize("number", ["12", 12, 12.0, " 12 "])
def test_an_id_is_text_or_a_number(number) -> None:
    assert CONNECTORS.parse(RECORD | {"connector_id": number, "rp_id": number}) == SALES._replace(rp_id="12")


@pytest.mark.parametrize("rp_id", ["", " ", "0", " 0 ", 0, 0.0, None])
def test_a_connector_without_a_routing_point_is_not_routed(rp_id) -> None:
    assert CONNECTORS.parse(RECORD | {"rp_id": rp_id}) == SALES._replace(rp_id="")


@pytest.mark.parametrize("rp_id", ["00", "05", "-1", "none"])
def test_any_other_routing_point_is_one(rp_id) -> None:
    assert CONNECTORS.parse(RECORD | {"rp_id": rp_id}) == SALES._replace(rp_id=rp_id)


@pytest.mark.parametrize("field", ["channel", "connector_id"])
@pytest.mark.parametrize("value", ["", " ", None, True, [], {}])
def test_a_connector_without_its_key_is_none(field, value) -> None:
    assert CONNECTORS.parse(RECORD | {field: value}) is None


@pytest.mark.parametrize("field", ["channel", "connector_id"])
def test_a_connector_whose_key_is_absent_is_none(field) -> None:
    assert CONNECTORS.parse({name: value for name, value in RECORD.items() if name != field}) is None


def test_a_connector_may_have_the_id_0() -> None:
    assert CONNECTORS.parse(RECORD | {"connector_id": 0}) == SALES._replace(connector_id="0")


def test_a_connector_needs_no_more_than_its_key() -> None:
    assert CONNECTORS.parse({"channel": "email", "connector_id": "1"}) == Connector("email", "1", "", "")


def test_unknown_fields_are_ignored() -> None:
    assert CONNECTORS.parse(RECORD | {"status": "blocked", "rp": {"id": 7}}) == SALES


@pytest.mark.parametrize("channel", ["line", "WhatsApp", "chat-web", "correo electrónico"])
def test_an_unknown_channel_passes_unchanged(channel) -> None:
    assert CONNECTORS.parse(RECORD | {"channel": f" {channel} "}) == SALES._replace(channel=channel)


def test_a_connector_is_known_by_channel_and_id_and_called_by_its_name() -> None:
    assert (SALES.key, SALES.title) == (("whatsapp", "12"), "Sales")


def test_connectors_are_counted_by_channel_and_routing_point() -> None:
    rows = [SALES, SALES._replace(connector_id="13"), Connector("email", "1", "5", ""), Connector("email", "2", "", "")]

    said = told(CONNECTORS, rows, Memory(first_seen={row.key: THEN for row in rows}))

    assert said["wolkvox_connectors"] == {("whatsapp", "5"): 2, ("email", "5"): 1, ("email", ""): 1}


def test_a_group_that_lost_its_last_connector_stays_at_0() -> None:
    memory = Memory(first_seen={SALES.key: THEN}, emptied={("email", "6"): THEN, ("whatsapp", "5"): THEN})

    said = told(CONNECTORS, [SALES], memory)

    assert said["wolkvox_connectors"] == {("email", "6"): 0, ("whatsapp", "5"): 1}


def test_each_connector_has_one_series_and_the_time_it_was_first_seen() -> None:
    said = told(CONNECTORS, [SALES, SALES], Memory(first_seen={SALES.key: 5.0}))

    assert said["wolkvox_connector_info"] == {("whatsapp", "12", "5", "Sales"): 1}
    assert said["wolkvox_connector_first_seen_timestamp_seconds"] == {("whatsapp", "12"): 5.0}


def test_rows_with_one_key_have_a_series_each_and_one_first_seen() -> None:
    said = told(CONNECTORS, [SALES, SALES._replace(rp_id="6")], Memory(first_seen={SALES.key: 5.0}))

    assert said["wolkvox_connector_info"].keys() == {("whatsapp", "12", rp_id, "Sales") for rp_id in "56"}
    assert said["wolkvox_connector_first_seen_timestamp_seconds"] == {("whatsapp", "12"): 5.0}


def test_names_stay_inside_where_they_are_not_to_be_shown() -> None:
    said = told(CONNECTORS, [SALES], Memory(first_seen={SALES.key: 5.0}), names=False)

    assert said["wolkvox_connector_info"] == {("whatsapp", "12", "5", ""): 1}


def test_what_is_expected_is_told_even_before_the_first_snapshot() -> None:
    said = told(CONNECTORS, None, operation=Operation("acme", "0010", expect={"whatsapp": 2, "email": 0}))

    assert said == {"wolkvox_connectors_expected": {("whatsapp",): 2, ("email",): 0}}


def test_without_connectors_nothing_is_said_of_them() -> None:
    assert told(CONNECTORS, []) == told(CONNECTORS, None) == {}


# --- routing points ---

POINT: dict[Any, Any] = {
    "rp_id": "5",
    "rp_name": "Main menu",
    "ivr_active": "yes",
    "chat_active": "no",
    "crm_active": "maybe",
}


def test_a_routing_point_is_read_with_its_flows_as_written() -> None:
    assert POINTS.parse(POINT) == RoutingPoint("5", "Main menu", "yes", "no", "", "maybe")


@pytest.mark.parametrize("rp_id", ["", " ", None, True])
def test_a_routing_point_without_its_id_is_none(rp_id) -> None:
    assert POINTS.parse(POINT | {"rp_id": rp_id}) is None


def test_a_routing_point_is_known_by_its_id_and_called_by_its_name() -> None:
    point = POINTS.parse(POINT | {"rp_id": 5})

    assert point is not None
    assert (point.key, point.title) == (("5",), "Main menu")


@pytest.mark.parametrize(
    ("word", "active"),
    [("yes", 1), ("YES", 1), (" Yes ", 1), ("no", 0), ("No", 0)]
    + [(odd, None) for odd in ("", "si", "true", "1", 1, 0, None, True, False, "yes!")],
)
@pytest.mark.parametrize("flow", ["ivr", "chat", "interaction", "crm"])
def test_a_flow_is_on_off_or_has_no_series(flow, word, active) -> None:
    said = told(POINTS, [POINTS.parse({"rp_id": "5", f"{flow}_active": word})])

    flows = {} if active is None else {"wolkvox_routing_point_flow_active": {("5", flow): active}}
    assert said == {"wolkvox_routing_point_info": {("5", ""): 1}} | flows


def test_of_rows_with_one_id_the_first_that_knows_a_flow_speaks() -> None:
    rows = [RoutingPoint("5", "Main", "", "yes", "", ""), RoutingPoint("5", "Main", "no", "no", "", "")]

    assert told(POINTS, rows) == {
        "wolkvox_routing_point_info": {("5", "Main"): 1},
        "wolkvox_routing_point_flow_active": {("5", "chat"): 1, ("5", "ivr"): 0},
    }


def test_a_routing_point_with_two_names_has_two_series() -> None:
    rows = [RoutingPoint("5", name, "", "", "", "") for name in ("Main", "Night")]

    assert told(POINTS, rows)["wolkvox_routing_point_info"] == {("5", "Main"): 1, ("5", "Night"): 1}


def test_without_routing_points_nothing_is_said_of_them() -> None:
    assert told(POINTS, []) == told(POINTS, None) == {}


# --- token_info ---

FIGURES: dict[Any, Any] = {
    "token_limit": "1000",
    "token_use_today": "300",
    "all_token_today": "388",
    "available_consumption_options": "700",
}


@pytest.mark.parametrize("spelling", ["available_consumption_options", "available_consumition_options"])
def test_what_remains_is_read_in_both_spellings(spelling) -> None:
    assert METER.parse({spelling: "700"}) == TokenInfo("", "", "", "700")


def test_the_right_spelling_goes_first_unless_it_is_blank() -> None:
    both: dict[Any, Any] = {"available_consumption_options": "700", "available_consumition_options": "5"}

    assert METER.parse(both) == TokenInfo("", "", "", "700")
    assert METER.parse(both | {"available_consumption_options": " "}) == TokenInfo("", "", "", "5")


def test_every_record_tells_of_the_token_even_an_empty_one() -> None:
    row = METER.parse({})

    assert row == TokenInfo("", "", "", "")
    assert (row.key, row.title) == ((), "")


@pytest.mark.parametrize("write", [str, int, float, " {} ".format])
def test_figures_are_read_in_every_way_they_are_written(write) -> None:
    record = {field: write(int(figure)) for field, figure in FIGURES.items()}

    assert told(METER, [METER.parse(record)]) == {
        "wolkvox_token_calls_limit": {(): 1000.0},
        "wolkvox_token_calls_today": {(): 300.0},
        "wolkvox_operation_calls_today": {(): 388.0},
        "wolkvox_token_calls_remaining": {(): 612.0},
    }


@pytest.mark.parametrize(
    ("limit", "by_all", "remaining", "left"),
    [
        ("1000", "300", "700", 700.0),
        ("1000", "388", "700", 612.0),
        ("1000", "299", "700", 700.0),
        ("1000", "1200", "700", 0.0),
        ("1000", "1000", "700", 0.0),
        ("1000", "999", "700", 1.0),
        ("1000", "", "700", 700.0),
        ("", "300", "700", 700.0),
        ("1000", "300", "", 700.0),
        ("1000", "", "", None),
        ("", "300", "", None),
        ("", "", "", None),
        ("1000", "300", "-5", 700.0),
        ("1000", "300", "0", 0.0),
        ("0", "0", "", 0.0),
    ],
)
def test_what_remains_is_the_smaller_of_the_readings(limit, by_all, remaining, left) -> None:
    assert METER.left is not None
    assert METER.left(TokenInfo(limit, "1", by_all, remaining)) == left


@pytest.mark.parametrize(("spent", "remaining"), [(0, 612.0), (12, 600.0), (611, 1.0), (612, 0.0), (613, 0.0)])
def test_our_own_calls_since_are_taken_from_what_remains(spent, remaining) -> None:
    said = told(METER, [METER.parse(FIGURES)], spent=spent)

    assert said["wolkvox_token_calls_remaining"] == {(): remaining}


@pytest.mark.parametrize("figure", ["", "-1", "many", "1.5"])
def test_a_figure_that_cannot_be_read_has_no_series(figure) -> None:
    assert told(METER, [TokenInfo(*[figure] * 4)]) == {}


def test_a_figure_of_0_has_a_series() -> None:
    said = told(METER, [TokenInfo("0", "0", "0", "0")], Memory(fell_at=0.0))

    assert set(said) == {family.name for family in METER.families}
    assert all(series == {(): 0.0} for series in said.values())


def test_the_last_fall_of_the_count_is_told() -> None:
    said = told(METER, [TokenInfo("", "", "", "")], Memory(fell_at=THEN))

    assert said == {"wolkvox_token_calls_reset_timestamp_seconds": {(): THEN}}


def test_without_a_row_nothing_is_said_of_the_token() -> None:
    assert told(METER, None, Memory(fell_at=THEN)) == told(METER, [], Memory(fell_at=THEN)) == {}


# --- all alike ---

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
FIELDS = sorted({*RECORD, *POINT, *FIGURES, "interaction_active", "other"})


@pytest.mark.parametrize("spec", LISTS.values(), ids=LISTS)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_record_makes_a_list_fail_and_every_row_comes_back(spec, record) -> None:
    row = spec.parse(record)

    if row is not None:
        assert [*spec.restore([[text] for text in row])] == [row]
        assert all(field == field.strip() for field in row)
        assert told(spec, [row], Memory(first_seen={row.key: 1.0})) is not None


@pytest.mark.parametrize("spec", LISTS.values(), ids=LISTS)
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES), max_size=6))
def test_a_list_fills_only_its_own_families_with_their_labels(spec, records) -> None:
    rows = [row for row in map(spec.parse, records) if row is not None]
    memory = Memory(first_seen={row.key: 1.0 for row in rows}, fell_at=1.0)
    standing = Standing(snapshot=Snapshot(tuple(rows), THEN), memory=memory)
    state = OperationState(Operation("acme", "0010", expect={"email": 1}), {}, {spec.name: standing})

    for family, samples in spec.samples(state):
        series = [sample.labels for sample in samples]

        assert family in spec.families
        assert {len(labels) for labels in series} <= {len(family.labels)}
        assert len(set(series)) == len(series)


# --- one more ---


class Service(NamedTuple):
    """One service that an operation has."""

    name: str
    state: str

    @property
    def key(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def title(self) -> str:
        return self.name


def parse(record: Mapping[object, object]) -> Service | None:
    return Service(text(record, "service"), text(record, "state")) if text(record, "service") else None


ENABLED = Family("wolkvox_service_enabled", "gauge", "Whether a service is on.", ("operation", "service"))


def enabled(state: OperationState) -> Samples:
    snapshot = state.standing("services").snapshot
    rows = snapshot.rows if snapshot else ()
    yield ENABLED, (Sample((state.operation.name, *row.key), "yes" in row) for row in rows)


SERVICES = UpstreamList("services", 3600.0, parse, restorer(Service), (ENABLED,), enabled)


def polled(folder, clock, lists: Mapping[str, UpstreamList], records: tuple[Any, ...]) -> State:
    """The state after the first turn over these lists, each of which is answered with these records."""
    target = Target(Operation("acme", "0010"), lambda: Secret("canary"))
    answer = Answer(Outcome.OK, 200, "200", records)
    intervals = {name: spec.interval for name, spec in lists.items()}
    setup = Setup((target,), lists, intervals, lambda server, name, token: answer, Trust(0.5, 1000.0))
    store = Store(folder, clock.now, {name: spec.restore for name, spec in lists.items()})
    states: list[State] = []
    Poller(setup, store, clock, start=lambda work: work(), publish=states.append).turn()
    store.close()
    return states[-1]


def test_a_new_list_is_polled_and_shown_by_its_file_and_its_line_in_the_table(tmp_path, clock) -> None:
    lists = {**LISTS, SERVICES.name: SERVICES}
    state = polled(tmp_path / "data", clock, lists, ({"service": "crm", "state": "yes"}, {"service": "bi"}))

    page = Renderer(lists, Vitals()).page(state).body(Format.TEXT, compress=False).decode()

    assert 'wolkvox_service_enabled{operation="acme",service="bi"} 0.0' in page.splitlines()
    assert 'wolkvox_service_enabled{operation="acme",service="crm"} 1.0' in page.splitlines()
    assert 'wolkvox_poll_records{list="services",operation="acme"} 2.0' in page.splitlines()
    assert ENABLED in families(lists)
