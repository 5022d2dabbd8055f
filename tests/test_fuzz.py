"""No bytes break a promise: the answer parser, the configuration, Accept headers and query strings take anything.

The corpus first, then inputs that hypothesis makes, the same ones each time; `make fuzz` looks for new ones.
"""

import gzip
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import fuzz
import pytest
import still
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import CORPUS, TARGETS, Target, corpus

from exporter.encoding import Format
from exporter.server import Server, bound
from exporter.web import Application

MOST_MEGABYTES = 200
BOMBS = {
    "a gzip bomb": "gzip.compress(bytes(512 << 20), 1), 'gzip'",
    "brackets": "b'[' * MOST, ''",
    "empty lists": "b'{\"data\":[' + b'[],' * (MOST // 3 - 5) + b'[]]}', ''",
    "empty objects": "b'{\"data\":[' + b'{},' * (MOST // 3 - 5) + b'{}]}', ''",
    "as many lists as may be": "b'{\"data\":[' + b'[],' * 499_000 + b'[]]}', ''",
    "escapes": "b'{\"msg\":\"\\\\ud800' + b'\\\\n' * (MOST // 2 - 20) + b'\"}', ''",
    "digits": "b'{\"code\":' + b'9' * (MOST - 20) + b'}', ''",
    "wide letters": "'{\"msg\":\"\\U0001f4a9'.encode() + b'x' * (MOST - 30) + b'\"}', ''",
}
BOMB = """
import gzip, json
from exporter import envelope
from exporter.body import EncodingError, TooLargeError, capped, collected, unpacked
from exporter.model import Outcome, Secret
from peak import peak
MOST = 16 << 20
body, encoding = {}
before = peak()
try:
    whole = collected(capped(unpacked(capped([body], MOST), encoding), MOST), lambda: None)
    told = [envelope.answer(envelope.Reply(status, whole), Secret("x"), float).outcome for status in (200, 403)]
except TooLargeError:
    told = [Outcome.TOO_LARGE]
print(json.dumps([told, (peak() - before) >> 20]))
"""


@pytest.mark.parametrize("path", corpus(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_worth_a_try_once_still_breaks_nothing(path) -> None:
    TARGETS[path.parent.name].check(path.read_bytes())


def test_every_target_has_a_corpus_of_small_files_and_no_other_has_one() -> None:
    assert {path.parent.name for path in corpus()} == set(TARGETS)
    assert max(path.stat().st_size for path in corpus()) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_break_a_promise_of(name) -> None:
    fuzz.hunt(TARGETS[name], CORPUS / name, TARGETS[name].examples, derandomize=True)


def test_an_input_that_breaks_a_promise_is_made_small_and_kept(tmp_path) -> None:
    def check(data: bytes) -> None:
        assert b"q=" not in data

    pieces = st.lists(st.sampled_from([b"x", b"q="])).map(b"".join)
    with pytest.raises(AssertionError):
        fuzz.hunt(Target(check, lambda: pieces, 100), tmp_path, 100, derandomize=True)

    (found,) = tmp_path.iterdir()
    assert found.read_bytes() == b"q="


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_answer_of_16_mib_is_no_bomb(bomb) -> None:
    code = BOMB.format(BOMBS[bomb])
    ended = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60, cwd=Path(__file__).parent
    )

    outcomes, megabytes = json.loads(ended.stdout)
    assert outcomes in (["too_large"], ["malformed", "forbidden"], ["ok", "forbidden"])
    assert megabytes < MOST_MEGABYTES


# Over a socket.


@pytest.fixture(scope="module")
def connection() -> Iterator[http.client.HTTPConnection]:
    """One connection to a server of the still site."""
    application = Application(still.site())
    server = Server(application, bound([("127.0.0.1", 0)]), at_once=application.at_once)
    server.start()
    asking = http.client.HTTPConnection(server.addresses[0], timeout=10)
    yield asking
    asking.close()
    server.quit()
    server.join()


HEADERS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=200)


@settings(max_examples=300, derandomize=True)
@given(path=st.sampled_from(["/metrics", "/probe?target=acme"]), accept=HEADERS, codings=HEADERS)
def test_whatever_is_accepted_the_answer_is_one_of_three_formats(connection, path, accept, codings) -> None:
    connection.request("GET", path, headers={"Accept": accept.strip(), "Accept-Encoding": codings.strip()})
    answer = connection.getresponse()
    body = answer.read()

    assert answer.status == 200
    assert answer.headers["content-type"] in {form.value for form in Format}
    plain = gzip.decompress(body) if answer.headers["content-encoding"] else body
    assert plain.startswith(b"# HELP wolkvox_operation_info ")


@pytest.mark.parametrize("header", ["Accept", "Accept-Encoding"])
@pytest.mark.parametrize("text", ["a," * 30_000, '"' * 60_000, ";q=" * 20_000, "1" * 60_000])
def test_a_header_of_60_kilobytes_costs_as_little_as_a_short_one(connection, header, text) -> None:
    began = time.process_time()
    for _ in range(20):
        connection.request("GET", "/probe?target=acme", headers={header: text})
        assert len(connection.getresponse().read()) > 500

    assert time.process_time() - began < 0.5


@settings(max_examples=300, derandomize=True)
@given(
    path=st.sampled_from(["/probe", "/sd", "/api/v1/changes", "/api/v1/operations", "/api/v1/connectors"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(["target", "operation", "since", "limit", "x", ""]),
            st.text(max_size=20) | st.sampled_from(["acme", "1", "nan"]),
        ),
        max_size=4,
    ).map(urlencode),
)
def test_whatever_is_asked_the_answer_is_a_page_or_a_sentence(connection, path, query) -> None:
    connection.request("GET", f"{path}?{query}")
    answer = connection.getresponse()
    body = answer.read().decode()

    assert answer.status in {200, 400}
    if answer.status == 400:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert body.endswith("\n")
        assert body[:-1].isprintable()
