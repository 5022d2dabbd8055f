"""Scenarios whose rows differ: types, fields, keys, number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from exporter.simulator.replies import Ask, Reply, encode, envelope
from exporter.simulator.wire import Scenario, replied

Rows = Sequence[Mapping[str, Any]]

CUT: Final = 60_000
KEYS: Final = {"connectors": ("channel", "connector_id"), "routing_points": ("rp_id",), "token_info": ("token_limit",)}
NAMES: Final = {"connectors": "name", "routing_points": "rp_name", "token_info": "description"}


def _edited(description: str, edit: Callable[[str, Rows], Sequence[Any]]) -> Scenario:
    """A scenario that passes `edit` the list's name and its rows, and answers what it returns."""

    def reply(ask: Ask) -> Reply:
        return Reply(200, encode(envelope(edit(ask.api, ask.rows))))

    return replied(description, reply)


def _id(api: str) -> str:
    return KEYS.get(api, ("id",))[-1]


def _name(api: str) -> str:
    return NAMES.get(api, "name")


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() and str(int(value)) == value else value


def _without_id(api: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in row.items() if field != _id(api)}


def _keys_only(api: str, rows: Rows) -> Sequence[Any]:
    return [{field: row[field] for field in KEYS.get(api, ()) if field in row} for row in rows]


def _some_rejected(api: str, rows: Rows) -> Sequence[Any]:
    bad = _without_id(api, next(iter(rows), {}))
    return [*rows, bad, {**bad, _id(api): ""}]


def _all_rejected(api: str, rows: Rows) -> Sequence[Any]:
    return [_without_id(api, row) for row in rows] or [{}]


def _conflicting(api: str, rows: Rows) -> Sequence[Any]:
    return [*rows, *({**row, _name(api): f"{row.get(_name(api), '')} (2)"} for row in rows[:1])]


def _of_connectors(**fields: Any) -> Callable[[str, Rows], Sequence[Any]]:
    """Set fields of every connector; other lists stay as they are."""
    return lambda api, rows: [{**row, **fields} if api == "connectors" else row for row in rows]


def _strange(api: str, rows: Rows) -> Sequence[Any]:
    return [*_of_connectors(channel="line")(api, rows[:1]), *rows[1:]]


def _not_utf8(api: str, rows: Rows) -> Sequence[Any]:
    return [*({**row, _name(api): f"{row.get(_name(api), '')}\udcff\udcfe!"} for row in rows[:1]), *rows[1:]]


def _cut(api: str, rows: Rows) -> Sequence[Any]:
    pattern = {"channel": "whatsapp", **next(iter(rows), {})}
    filler = ({**pattern, _id(api): str(1_000_000 + n)} for n in range(CUT - len(rows[:CUT])))
    return [*rows[:CUT], *filler]


ROWS: Final[Mapping[str, Scenario]] = {
    "ids_as_numbers": _edited(
        "every whole number is a JSON number",
        lambda _, rows: [{field: _number(value) for field, value in row.items()} for row in rows],
    ),
    "unknown_fields": _edited(
        "rows have fields that no page documents",
        lambda _, rows: [{"created_at": "2026-01-01", **row, "extra": {"nested": [1, None]}} for row in rows],
    ),
    "missing_fields": _edited("rows have their key and nothing else", _keys_only),
    "rejected_rows": _edited("the normal rows, then one without its id and one with a blank id", _some_rejected),
    "all_rejected": _edited("no row has its id", _all_rejected),
    "duplicate_rows": _edited("the first row comes twice, exactly", lambda _, rows: [*rows, *rows[:1]]),
    "conflicting_rows": _edited("the first row comes again with the same key and another name", _conflicting),
    "strange_channel": _edited('the first connector has the channel "line", which no page lists', _strange),
    "rp_zero": _edited('every connector has the rp_id "0"', _of_connectors(rp_id="0")),
    "rp_null": _edited("every connector has a null rp_id", _of_connectors(rp_id=None)),
    "not_utf8": _edited("bytes that are no UTF-8 in the first row's name", _not_utf8),
    "cut_60000": _edited("exactly 60,000 rows: the answer may be cut", _cut),
}
