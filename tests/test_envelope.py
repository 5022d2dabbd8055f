"""What the API's answers mean, without a socket."""

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import envelope
from exporter.envelope import Reply
from exporter.model import Answer, Outcome, Secret

CANARY = "c4na4ryc4na4ryc4na4ry"
ROW = {"connector_id": "12", "rp_id": "5", "name": "Sales", "channel": "whatsapp"}
NOW = 1_700_000_000.0


def answer(status=200, body=b"", **headers) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return envelope.answer(Reply(status, raw, named), Secret(CANARY), lambda: NOW)


def success(**changes):
    return {"code": "200", "error": None, "msg": "1 records were found", "data": [ROW]} | changes


def failure(code, msg, error="FORBIDDEN"):
    return {"code": code, "error": error, "msg": msg}


def without(key):
    return {name: value for name, value in success().items() if name != key}


BUSY = "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)"
FINE_CODES: list[Any] = [200, "200", " 200 ", 200.0, "200.0", 0, "0", "", " ", None]
ODD_CODES: list[Any] = [999, "abc", 1, 100, 201, "204", True, [], {}, -200]
MEANINGS: list[tuple[int, Any, Outcome]] = [
    (200, success(), Outcome.OK),
    (200, success(data=[]), Outcome.NO_RECORDS),
    (200, success(data=[ROW] * 3), Outcome.OK),
    *((200, success(code=code), Outcome.OK) for code in FINE_CODES),
    (200, without("code"), Outcome.OK),
    *((200, success(error=error), Outcome.OK) for error in (None, "", " ", "null", " NULL ")),
    (200, without("error"), Outcome.OK),
    (200, without("msg"), Outcome.OK),
    (200, success(error="SOMETHING WRONG"), Outcome.REFUSED),
    (200, success(error="SOMETHING WRONG", data=None), Outcome.REFUSED),
    *((200, success(data=data), Outcome.MALFORMED) for data in ({}, {"a": 1}, "no data", "", None, 1, True)),
    (200, without("data"), Outcome.MALFORMED),
    (200, [ROW], Outcome.MALFORMED),
    (200, [], Outcome.MALFORMED),
    *((200, text, Outcome.MALFORMED) for text in (b"", b" \r\n", b"<html>", b"{", b'"ok"', b"1", b"null", b"true")),
    (200, b'{"data": [' + b"[" * 100_000, Outcome.MALFORMED),
    (200, b'{"data": [' + b"9" * 5000 + b"]}", Outcome.MALFORMED),
    (200, b'{"data": [NaN, Infinity, 1e999]}', Outcome.OK),
    *((200, success(code=code), Outcome.MALFORMED) for code in ODD_CODES),
    (200, success(code=302), Outcome.REDIRECTED),
    (200, success(code=401), Outcome.TOKEN_REJECTED),
    (200, success(code="403"), Outcome.FORBIDDEN),
    (200, success(code="403", msg="TOKEN LIMIT EXCEEDED"), Outcome.QUOTA_EXHAUSTED),
    (200, success(code="404", data=[]), Outcome.NO_RECORDS),
    (200, {"code": 404}, Outcome.NOT_FOUND),
    (200, failure("404", "Validate dates entered", "NOT FOUND"), Outcome.NO_RECORDS),
    (200, success(code=500), Outcome.SERVER_ERROR),
    (200, failure(500, "UNEXPECTED ERROR", "INTERNAL"), Outcome.SERVER_ERROR),
    (200, success(code=429), Outcome.THROTTLED),
    (200, success(code=406), Outcome.REFUSED),
    (401, b"", Outcome.TOKEN_REJECTED),
    (401, b"<html>", Outcome.TOKEN_REJECTED),
    (401, success(), Outcome.TOKEN_REJECTED),
    (401, failure(403, "TOKEN LIMIT EXCEEDED"), Outcome.TOKEN_REJECTED),
    (403, failure(403, "TOKEN LIMIT EXCEEDED"), Outcome.QUOTA_EXHAUSTED),
    (403, failure(403, "token  limit exceeded."), Outcome.QUOTA_EXHAUSTED),
    (403, failure(403, BUSY), Outcome.TOKEN_BUSY),
    (403, failure(403, BUSY + " LIMIT EXCEEDED, VALIDATE TOKEN"), Outcome.TOKEN_BUSY),
    (403, failure(403, "LIMIT EXCEEDED, VALIDATE TOKEN"), Outcome.QUOTA_EXHAUSTED),
    (403, failure(403, "PLEASE VALIDATE TOKEN"), Outcome.TOKEN_REJECTED),
    (403, failure(403, "IP IS NOT AUTHORIZED"), Outcome.FORBIDDEN),
    (403, failure(403, 7), Outcome.FORBIDDEN),
    (403, b"<html>LIMIT EXCEEDED", Outcome.FORBIDDEN),
    (403, failure(401, "x"), Outcome.TOKEN_REJECTED),
    (403, success(), Outcome.FORBIDDEN),
    (400, failure(400, "THE API YOU WANT TO CONSULT DOES NOT EXIST"), Outcome.UNKNOWN_LIST),
    (400, failure(400, "SOME PARAMETERS ARE REQUIRED"), Outcome.REFUSED),
    (400, b"", Outcome.REFUSED),
    (404, failure("404", "Validate dates entered", "NOT FOUND"), Outcome.NO_RECORDS),
    (404, {"data": [ROW]}, Outcome.NO_RECORDS),
    (404, {"code": 404, "error": "NOT FOUND"}, Outcome.NOT_FOUND),
    (404, b"<html>", Outcome.NOT_FOUND),
    (404, b"", Outcome.NOT_FOUND),
    (404, [], Outcome.NOT_FOUND),
    (404, failure(500, "x"), Outcome.SERVER_ERROR),
    (405, b"", Outcome.REFUSED),
    (429, b"", Outcome.THROTTLED),
    (429, failure(403, "PLEASE VALIDATE TOKEN"), Outcome.TOKEN_REJECTED),
    (500, failure(500, "UNEXPECTED ERROR"), Outcome.SERVER_ERROR),
    (502, b"<html>", Outcome.SERVER_ERROR),
    (503, success(code=999), Outcome.SERVER_ERROR),
    (599, b"", Outcome.SERVER_ERROR),
    *((status, b"", Outcome.REDIRECTED) for status in (300, 301, 302, 303, 304, 307, 308)),
    (302, success(code=401), Outcome.TOKEN_REJECTED),
    *((status, success(), Outcome.MALFORMED) for status in (201, 202, 204, 206, 103, 600, 999)),
]


@pytest.mark.parametrize(("status", "body", "outcome"), MEANINGS)
def test_status_and_body_give_the_outcome(status, body, outcome) -> None:
    assert answer(status, body).outcome is outcome


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'"x",', b"\\n"])
def test_more_values_than_any_list_has_are_not_made_objects_of(piece) -> None:
    found = answer(200, b'{"data":["' + piece * (envelope.MOST_VALUES + 1))

    assert found.outcome is Outcome.MALFORMED
    assert "body holds more than 1000000 values and escapes" in found.detail


@given(st.integers(100, 999), st.binary(), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()))
def test_no_bytes_make_it_raise(status, body, headers) -> None:
    envelope.answer(Reply(status, body, headers), Secret(CANARY), lambda: NOW)


@given(
    st.sampled_from([200, 400, 401, 403, 404, 429, 500]),
    st.dictionaries(
        st.sampled_from(["code", "error", "msg", "data", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda some: st.lists(some) | st.dictionaries(st.text(), some),
            max_leaves=4,
        ),
    ),
)
def test_no_envelope_makes_it_raise_or_writes_two_lines(status, fields) -> None:
    found = answer(status, json.dumps(fields).encode("utf-8", "surrogatepass"))

    assert found.detail.isprintable()
    assert len(found.detail) <= envelope.DETAIL_LENGTH
    assert bool(found.records) == (found.outcome is Outcome.OK)


NUMBERS = st.sampled_from([400, 401, 403, 404, 405, 429, 500, 503])
MESSAGES = st.sampled_from(["", "TOKEN LIMIT EXCEEDED", BUSY, "PLEASE VALIDATE TOKEN", "IT DOES NOT EXIST"])


@given(NUMBERS, NUMBERS, MESSAGES)
def test_of_status_and_code_the_worse_one_wins(status, code, msg) -> None:
    ranks = list(Outcome)
    by_status = answer(status, success(code=None, msg=msg)).outcome
    by_code = answer(200, success(code=code, msg=msg)).outcome

    both = answer(status, success(code=code, msg=msg)).outcome

    assert both is min(by_status, by_code, key=ranks.index)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (success(code=200), "200"),
        (success(code=" 0 "), "0"),
        (success(code=""), ""),
        (success(code=None), None),
        (without("code"), None),
        (success(code=200.0), "200.0"),
        (success(code=True), "bool"),
        (success(code=[1]), "list"),
        (success(code="a\nb"), "a\\nb"),
        (success(code=f"no {CANARY}"), "no ***"),
        (b"<html>", None),
    ],
)
def test_the_code_is_told_as_trimmed_text(body, code) -> None:
    assert answer(200, body).code == code


def test_records_are_the_raw_items_of_data() -> None:
    assert answer(200, success(data=[ROW, 7, None])).records == (ROW, 7, None)


@pytest.mark.parametrize(("status", "body"), [(404, {"data": [ROW]}), (200, success(code=500)), (403, success())])
def test_rows_of_an_answer_that_is_not_ok_are_not_told(status, body) -> None:
    assert answer(status, body).records == ()


def test_a_byte_order_mark_is_accepted() -> None:
    assert answer(200, b"\xef\xbb\xbf" + json.dumps(success()).encode()).outcome is Outcome.OK


def test_invalid_utf8_becomes_the_replacement_character() -> None:
    assert answer(200, b'{"data": [{"name": "Caf\xe9"}]}').records == ({"name": "Caf\ufffd"},)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\uD83D\uDE00", "\U0001f600"),
        (rb"a\ud800b", "a\ufffdb"),
        (rb"\udc00\ud800", "\ufffd\ufffd"),
        (rb"\ud800\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\ud800\n", "\\\ufffd\n"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_a_lone_surrogate_becomes_the_replacement_character(escaped, text) -> None:
    (record,) = answer(200, b'{"data": ["' + escaped + b'"]}').records

    assert record == text
    record.encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-5", 0.0),
        ("0000000000000000000007", 7.0),
        ("86401", 86400.0),
        ("9" * 10_000, 86400.0),
        (formatdate(NOW + 600, usegmt=True), 600.0),
        (formatdate(NOW + 600), 600.0),
        (formatdate(NOW - 600, usegmt=True), 0.0),
        (formatdate(NOW + 10**6, usegmt=True), 86400.0),
        ("Tue, 14 Nov 2023 22:23:20 -0000", 600.0),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("10, 20", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Mon, 99 Foo 2023 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_from_now(value, seconds) -> None:
    assert answer(429, retry_after=value).retry_after == seconds


def test_a_retry_date_is_measured_against_the_answers_own_date() -> None:
    wrong = NOW + 5000

    found = answer(429, retry_after=formatdate(wrong + 60, usegmt=True), date=formatdate(wrong, usegmt=True))

    assert found.retry_after == 60.0


def test_a_junk_date_is_as_good_as_none() -> None:
    assert answer(429, retry_after=formatdate(NOW + 60, usegmt=True), date="yesterday").retry_after == 60.0


@pytest.mark.parametrize("status", [200, 403, 503])
def test_only_a_throttled_answer_tells_when_to_retry(status) -> None:
    assert answer(status, retry_after="120").retry_after is None


@pytest.mark.parametrize(
    ("status", "body", "headers", "detail"),
    [
        (200, success(), {}, 'HTTP 200 "1 records were found"'),
        (200, success(code="", msg=None), {}, "HTTP 200"),
        (403, failure(403, "TOKEN LIMIT EXCEEDED"), {}, 'HTTP 403 "TOKEN LIMIT EXCEEDED"'),
        (200, failure("403", "TOKEN LIMIT EXCEEDED"), {}, 'HTTP 200, code 403 "TOKEN LIMIT EXCEEDED"'),
        (400, failure(400, "SOME PARAMETERS", "BAD REQUEST"), {}, 'HTTP 400 "BAD REQUEST: SOME PARAMETERS"'),
        (200, success(error="WRONG", msg=""), {}, 'HTTP 200 "WRONG"'),
        (200, success(data="x", msg=""), {}, "HTTP 200, data is a text"),
        (200, success(data=None, msg="found"), {}, 'HTTP 200, data is null "found"'),
        (200, {"code": 200}, {}, "HTTP 200, data is absent"),
        (200, success(code=999, msg=""), {}, "HTTP 200, code 999"),
        (200, [ROW, ROW], {}, "HTTP 200, body is an array, 156 bytes"),
        (200, b"  <html></html>", {}, "HTTP 200, body is HTML, 15 bytes"),
        (200, b"{", {}, "HTTP 200, body is not JSON, 1 bytes"),
        (502, b"", {}, "HTTP 502, body is empty"),
        (302, b"", {"location": "https://login.example/"}, 'HTTP 302, to "https://login.example/", body is empty'),
        (302, b"", {}, 'HTTP 302, to "", body is empty'),
    ],
)
def test_the_detail_says_what_came(status, body, headers, detail) -> None:
    assert answer(status, body, **headers).detail == detail


def test_a_detail_is_one_short_line() -> None:
    found = answer(403, failure(403, "line\r\nnext\x1b[31m " + "long " * 100)).detail

    assert found.startswith(r'HTTP 403 "line\r\nnext\x1b[31m long')
    assert len(found) == 200
    assert found.endswith("…")
    assert found.isprintable()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (403, failure(403, f"TOKEN {CANARY} IS NOT KNOWN"), {}),
        (403, failure(403, f"TOKEN {CANARY.upper()} IS NOT KNOWN"), {}),
        (403, failure(403, "x" * 170 + CANARY), {}),
        (200, success(error=CANARY), {}),
        (200, success(code=CANARY), {}),
        (302, b"", {"location": f"https://login.example/?token={CANARY}"}),
    ],
)
def test_a_token_that_a_server_echoes_is_not_told(status, body, headers) -> None:
    found = answer(status, body, **headers)

    assert CANARY[:8] not in f"{found.detail} {found.code}".lower()
    assert "***" in found.detail


def test_no_token_hides_nothing() -> None:
    found = envelope.answer(Reply(403, b'{"msg": "CLOSED"}'), Secret(""), lambda: NOW)

    assert found.detail == 'HTTP 403 "CLOSED"'


@pytest.mark.parametrize(
    ("status", "fault", "outcome"),
    [
        (None, Outcome.UNREACHABLE, Outcome.UNREACHABLE),
        (200, Outcome.TOO_LARGE, Outcome.TOO_LARGE),
        (401, Outcome.UNREACHABLE, Outcome.TOKEN_REJECTED),
        (403, Outcome.TIMEOUT, Outcome.FORBIDDEN),
        (404, Outcome.UNREACHABLE, Outcome.NOT_FOUND),
        (429, Outcome.TOO_LARGE, Outcome.THROTTLED),
        (500, Outcome.TIMEOUT, Outcome.SERVER_ERROR),
        (302, Outcome.TIMEOUT, Outcome.TIMEOUT),
        (201, Outcome.TOO_LARGE, Outcome.TOO_LARGE),
    ],
)
def test_the_status_of_an_answer_that_broke_is_a_fact_all_the_same(status, fault, outcome) -> None:
    found = envelope.broken(status, fault, "connection reset", whole=False)

    assert found.outcome is outcome
    assert found.status == status
    assert not found.whole
    assert found.detail.endswith("connection reset")
