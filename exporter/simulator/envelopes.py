"""Scenarios of HTTP 200 whose envelope differs from the vendor's page: code, error, data, encoding."""

import gzip
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from exporter.simulator import replies
from exporter.simulator.replies import JSON, Ask, Reply, encode, envelope
from exporter.simulator.wire import Scenario, replied

BOMB_BYTES: Final = 65 << 20
GZIP: Final = (JSON, ("Content-Encoding", "gzip"))


def _changed(description: str, **changes: Any) -> Scenario:
    return replied(description, lambda ask: Reply(200, encode(envelope(ask.rows, **changes))))


def _without(description: str, key: str) -> Scenario:
    def reply(ask: Ask) -> Reply:
        return Reply(200, encode({name: value for name, value in envelope(ask.rows).items() if name != key}))

    return replied(description, reply)


def _relayed(description: str, refusal: Reply) -> Scenario:
    """A refusal whose HTTP status says 200 all the same: the worse of the two is the true one."""
    return replied(description, lambda _: refusal._replace(status=200))


def _gzipped(ask: Ask) -> Reply:
    return ask.normal._replace(body=gzip.compress(ask.normal.body), headers=GZIP)


def _broken_gzip(ask: Ask) -> Reply:
    packed = gzip.compress(ask.normal.body)
    return ask.normal._replace(body=packed[: len(packed) // 2], headers=GZIP)


@cache
def _bomb() -> Reply:
    # Deflate packs 1 : 1032 at best, so 65 MiB of blanks still take 64 KiB.
    start, end = encode(envelope(())).split(b"]")
    return Reply(200, gzip.compress(start + b" " * BOMB_BYTES + b"]" + end), GZIP)


ENVELOPES: Final[Mapping[str, Scenario]] = {
    "error_text": _changed("200 with rows and a text in error", error="SOMETHING WRONG"),
    "error_null_string": _changed('error is the string "null", which is no error', error="null"),
    "error_blank": _changed("error is a blank, which is no error", error=" "),
    "data_object": replied(
        "data is an object: the first row alone",
        lambda ask: Reply(200, encode(envelope(ask.rows, data=dict(next(iter(ask.rows), {}))))),
    ),
    "data_string": _changed("data is a text", data="no data"),
    "data_null": _changed("data is null", data=None),
    "data_absent": _without("the envelope has no data", "data"),
    "bare_array": replied("the rows without an envelope", lambda ask: Reply(200, encode(list(ask.rows)))),
    "truncated_json": replied(
        "the first half of the normal body, with a fitting Content-Length",
        lambda ask: ask.normal._replace(body=ask.normal.body[: len(ask.normal.body) // 2]),
    ),
    "bom": replied(
        "a UTF-8 byte order mark before the normal body",
        lambda ask: ask.normal._replace(body=b"\xef\xbb\xbf" + ask.normal.body),
    ),
    "code_200_text": _changed('code is the string "200"', code="200"),
    "code_0": _changed("code is 0, which is a success", code=0),
    "code_0_text": _changed('code is the string "0", which is a success', code="0"),
    "code_blank": _changed("code is blank, which is a success", code=""),
    "code_absent": _without("the envelope has no code, which is a success", "code"),
    "code_201": _changed("code is 201 under HTTP 200", code=201),
    "code_401": _relayed("code is 401 under HTTP 200", replies.NO_TOKEN),
    "code_403_quota": _relayed(
        'code is "403" under HTTP 200, the quota is used up',
        Reply(200, replies.QUOTA.body.replace(b'"code": 403', b'"code": "403"')),
    ),
    "code_404": _changed(
        'code is "404" under HTTP 200, without rows', code="404", data=[], msg="Validate dates entered"
    ),
    "code_500": _changed("code is 500 under HTTP 200, with rows", code=500),
    "gzip": replied("the normal body, gzipped", _gzipped),
    "gzip_bomb": replied("64 KiB that inflate to 65 MiB of valid JSON", lambda _: _bomb()),
    "gzip_broken": replied("the first half of a gzipped body, with a fitting Content-Length", _broken_gzip),
    "gzip_false": replied("a plain body that calls itself gzipped", lambda ask: ask.normal._replace(headers=GZIP)),
    "set_cookie": replied(
        "the normal answer and a session cookie",
        lambda ask: ask.normal._replace(headers=(JSON, ("Set-Cookie", "PHPSESSID=simulated; Path=/"))),
    ),
    "huge_headers": replied(
        "the normal answer after 1 MiB of headers",
        lambda ask: ask.normal._replace(headers=(JSON, *((f"X-Filler-{n}", "x" * 8192) for n in range(128)))),
    ),
}
