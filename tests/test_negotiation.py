"""Which format and which coding a request wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.negotiation import LONGEST, Offer, accepts_gzip, preferred, ranges

TEXT = Offer("text/plain", "0.0.4")
TEXT_1 = Offer("text/plain", "1.0.0")
OPENMETRICS = Offer("application/openmetrics-text", "1.0.0")
OFFERS = (TEXT, TEXT_1, OPENMETRICS)
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF, TEXT_1),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
        (FIREFOX, TEXT),
        (CHROME, TEXT),
        ("*/*", TEXT),
    ],
)
def test_prometheus_and_browsers_get_what_they_ask_for(header, offer) -> None:
    assert preferred(header, OFFERS) == offer


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=0.9,text/plain;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.500,text/plain;q=0.501", TEXT),
        ("application/openmetrics-text;q=0,text/plain;q=0.001", TEXT),
        ("*/*;q=0.9,text/plain;q=0.1", OPENMETRICS),
        ("*/*;q=0.9,text/*;q=0", OPENMETRICS),
        ("text/*;q=0.9,text/plain;version=0.0.4;q=0.1", TEXT_1),
        ("text/plain;q=0.5,text/plain;version=1.0.0;q=0.6", TEXT_1),
        ("text/plain;q=0.6,text/plain;version=1.0.0;q=0.5", TEXT),
    ],
)
def test_the_higher_quality_wins(header, offer) -> None:
    assert preferred(header, OFFERS) == offer


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        ("*/*,application/openmetrics-text", OPENMETRICS),
        ("text/*,application/openmetrics-text", OPENMETRICS),
        ("*/*,text/*", TEXT),
        ("*/*,application/*", OPENMETRICS),
        ("text/plain,text/plain;version=1.0.0", TEXT_1),
        ("application/openmetrics-text,text/plain", OPENMETRICS),
        ("text/plain,application/openmetrics-text", TEXT),
        ("text/plain;version=1.0.0,text/plain;version=0.0.4", TEXT_1),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("*", TEXT),
    ],
)
def test_of_equal_qualities_the_more_exact_then_the_first_named_then_the_first_offer_wins(header, offer) -> None:
    assert preferred(header, OFFERS) == offer


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        ("text/plain; version=1.0.0", TEXT_1),
        ('text/plain; version="1.0.0"', TEXT_1),
        ("text/plain; VERSION = 1.0.0", TEXT_1),
        ("Text/Plain;Version=0.0.4;Q=0.5", TEXT),
        (" text/plain ; version=1.0.0 ; q=0.5 , ", TEXT_1),
        ("text/plain;charset=utf-8", TEXT),
        ("application/openmetrics-text;version=0.0.1,*/*;q=0.1", TEXT),
    ],
)
def test_a_version_is_a_parameter_like_any_other(header, offer) -> None:
    assert preferred(header, OFFERS) == offer


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        ",",
        ",,;,",
        "text/html",
        "text",
        "plain",
        "/",
        "application/json, image/*",
        "text/plain;q=0",
        "*/*;q=0",
        "*/*;q=0.0",
        "*/*;version=1.0.0",
        "text/plain;version=2.0.0",
        "application/openmetrics-text;version=0.0.1",
    ],
)
def test_a_header_that_wants_none_of_the_offers_gets_none(header) -> None:
    assert preferred(header, OFFERS) is None


@pytest.mark.parametrize("quality", ["", "high", "-1", "1.1", "2", "1e-1", "nan", "inf", ".", "0.5.5", "٣", "0,5", "²"])
def test_a_quality_that_is_no_number_from_0_to_1_is_0(quality) -> None:
    assert preferred(f'text/plain;q="{quality}"', OFFERS) is None


@pytest.mark.parametrize(
    ("text", "quality"),
    [("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("1.", 1.0), (".5", 0.5), ("0.333", 0.333), ("1.001", 0.0)],
)
def test_a_quality_is_read_as_written(text, quality) -> None:
    assert ranges(f"text/plain;q={text}")[0].quality == quality


def test_elements_come_in_their_order_with_their_parameters() -> None:
    first, second = ranges('a/b;x=1;q=0.5;y="2, 3", c')

    assert first == ("a/b", {"x": "1", "y": "2, 3"}, 0.5)
    assert second == ("c", {}, 1.0)


def test_what_stands_behind_a_thousand_characters_is_not_read() -> None:
    assert preferred("x," * 490 + "text/plain,", OFFERS) == TEXT
    assert preferred("x," * 500 + "text/plain,", OFFERS) is None
    assert len(ranges("x," * 30_000)) == LONGEST // 2
    assert not accepts_gzip("x," * 500 + "gzip")


def test_without_offers_none_is_preferred() -> None:
    assert preferred("*/*", ()) is None


@pytest.mark.parametrize(
    "header",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "gzip;q=0.1",
        "gzip, deflate, br, zstd",
        "deflate, gzip;q=1.0, *;q=0.5",
        "*",
        "*;q=0.5",
        "identity;q=0.5, gzip",
        "identity;q=0.5, gzip;q=0.5",
        "identity;q=0, gzip;q=0.001",
        "*;q=0, gzip",
    ],
)
def test_gzip_is_given_where_it_is_allowed(header) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "identity",
        "deflate, br",
        "gzip;q=0",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "gzip;q=0, x-gzip",
        "x-gzip;q=0, *",
        "*;q=0",
        "identity, gzip;q=0.5",
        "identity;q=0.6, gzip;q=0.5",
        "identity;q=0.6, *;q=0.5",
        "gzip;q=much",
        "gzipped",
    ],
)
def test_gzip_is_not_given_where_it_is_not_wanted(header) -> None:
    assert not accepts_gzip(header)


HEADERS = st.text() | st.lists(
    st.sampled_from(["text/plain", "*/*", "gzip", ";", ",", "q=", "q=0.5", "version=1.0.0", '"', "\\", "=", " ", "1"])
).map("".join)


@given(HEADERS)
def test_no_header_makes_the_negotiation_fail(header) -> None:
    assert preferred(header, OFFERS) in (None, *OFFERS)
    assert accepts_gzip(header) in (True, False)


@given(HEADERS)
def test_every_quality_lies_between_0_and_1(header) -> None:
    assert all(0.0 <= each.quality <= 1.0 for each in ranges(header))


@given(st.permutations(OFFERS))
def test_the_order_of_the_offers_does_not_matter_to_who_names_one(offers) -> None:
    assert preferred(PROMETHEUS_2_42, offers) == preferred(PROMETHEUS_3, offers) == OPENMETRICS
