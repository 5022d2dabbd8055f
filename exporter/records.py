"""From a vendor's record to trimmed text. Knows no list's fields."""

from collections.abc import Mapping, Sequence
from typing import Final

KINDS: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def text(record: Mapping[object, object], field: str) -> str:
    """The field as trimmed text; "" where it is absent, null, or neither text nor number.

    The vendor's pages say String for ids and its collection says Int for the same ones: both are read alike.
    """
    value = record.get(field)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def fault(record: object, key: Sequence[str]) -> str:
    """Why the record gives no row, as the end of a sentence that tells no value; `key` names the fields of a key."""
    if not isinstance(record, Mapping):
        return f"is {KINDS[type(record)]}, not an object"
    lacking = [field for field in key if not text(record, field)]
    if not lacking:
        return "cannot be read"
    blank = all(record.get(field) is None or isinstance(record[field], str) for field in lacking)
    verb = "is" if len(lacking) == 1 else "are"
    return f"{' and '.join(lacking)} {verb} {'missing or blank' if blank else 'neither text nor number'}"


def number(written: str) -> float | None:
    """A count as the API writes it ("8000", " 8000 "); None where it is blank, negative or no whole number."""
    digits = written.strip()
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else None


MOST_DIGITS = 15  # beyond it a float no longer holds every whole number
