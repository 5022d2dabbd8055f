"""A vendor's record becomes trimmed text, whatever type its values have."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records import fault, number, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("12", "12"),
        (" 12\t\n", "12"),
        ("Two  words", "Two  words"),
        ("", ""),
        (" ", ""),
        ("0010", "0010"),
        (12, "12"),
        (0, "0"),
        (-3, "-3"),
        (12.0, "12"),
        (-0.0, "0"),
        (12.5, "12.5"),
        (nan, "nan"),
        (inf, "inf"),
        (None, ""),
        (True, ""),
        (False, ""),
        ([], ""),
        (["12"], ""),
        ({"id": "12"}, ""),
    ],
)
def test_a_value_is_read_as_trimmed_text(value, read) -> None:
    assert text({"id": value}, "id") == read


def test_a_field_that_is_absent_is_blank() -> None:
    assert text({"other": "12"}, "id") == ""


@given(JSON)
def test_whatever_json_holds_becomes_trimmed_text(value) -> None:
    read = text({"id": value}, "id")

    assert read == read.strip()


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({}, "channel and id are missing or blank"),
        ({"channel": "sms"}, "id is missing or blank"),
        ({"channel": "sms", "id": None}, "id is missing or blank"),
        ({"channel": " ", "id": "12"}, "channel is missing or blank"),
        ({"channel": "sms", "id": True}, "id is neither text nor number"),
        ({"channel": ["sms"], "id": {}}, "channel and id are neither text nor number"),
        ({"channel": "sms", "id": 12}, "cannot be read"),
        (None, "is null, not an object"),
        ("sms", "is a text, not an object"),
        (12, "is a number, not an object"),
        (1.5, "is a number, not an object"),
        (True, "is a boolean, not an object"),
        (["sms", "12"], "is an array, not an object"),
    ],
)
def test_why_a_record_gives_no_row_is_said_without_a_value_of_it(record, why) -> None:
    assert fault(record, ("channel", "id")) == why


@given(st.integers(-(10**15), 10**15))
def test_a_number_and_its_text_are_read_alike(value) -> None:
    assert text({"id": value}, "id") == text({"id": float(value)}, "id") == text({"id": f" {value} "}, "id")


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("8000", 8000.0),
        (" 8000 ", 8000.0),
        ("0", 0.0),
        ("007", 7.0),
        ("9" * 15, 999_999_999_999_999.0),
        ("9" * 16, None),
        ("0" * 16, None),
        ("", None),
        (" ", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        ("1,000", None),
        ("1 000", None),
        ("1_000", None),
        ("٣", None),
        ("²", None),
        ("nan", None),
        ("many", None),
    ],
)
def test_a_count_is_a_whole_number_or_none(written, count) -> None:
    assert number(written) == count


@given(st.integers(0, 10**15 - 1))
def test_a_count_is_exact(count) -> None:
    assert number(str(count)) == count


@given(st.text())
def test_no_text_makes_a_count_fail(written) -> None:
    count = number(written)

    assert count is None or count == int(written.strip())
