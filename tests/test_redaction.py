"""What is kept of a server's text: never the token, and no private field where names are hidden."""

import html
import json
from urllib.parse import quote

import pytest
from conftest import CANARY
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Answer, Outcome, Secret
from exporter.redaction import ROUNDS, STRUCK, blanked, is_meant, redacted, without

ODD = 'a/b+c"d&e<f=%g\\h'
NAME = ("name",)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


def kept(body: bytes, *private: str, token: str = CANARY) -> str:
    answer = Answer(Outcome.MALFORMED, body=body, size=len(body))
    return redacted(answer, Secret(token), private).body.decode()


# The token.


@pytest.mark.parametrize("token", [CANARY, ODD])
@pytest.mark.parametrize(
    "write",
    [
        str,
        str.upper,
        lambda token: quote(token, safe=""),
        lambda token: quote(token, safe="").lower(),
        lambda token: json.dumps(token)[1:-1],
        lambda token: json.dumps(token)[1:-1].replace("/", "\\/"),
        html.escape,
    ],
)
def test_the_token_is_struck_out_however_it_is_written(token, write) -> None:
    assert without(f"bad {write(token)}, {write(token)}!", token) == f"bad {STRUCK}, {STRUCK}!"


@pytest.mark.parametrize(
    "write",
    [
        lambda token: "".join(f"\\u{ord(char):04x}" for char in token),
        lambda token: "".join(f"%{ord(char):02X}" for char in token),
        lambda token: "".join(f"&#{ord(char)};" for char in token),
        lambda token: "".join(f"&#x{ord(char):x};" for char in token),
        lambda token: token.replace("-", "\\u002d"),
        lambda token: token.replace("-", "\\\\u002D"),
        lambda token: token.replace("-", "%252d"),
        lambda token: token.replace("-", "\\-"),
        "\0".join,
        "\u200b".join,
    ],
)
def test_of_a_text_with_the_token_in_a_strange_way_nothing_is_kept(write) -> None:
    assert without(f"bad {write(CANARY)}!", CANARY) == ""


@given(TOKENS, st.text(max_size=20), st.sampled_from([str, quote, html.escape, lambda text: json.dumps(text)[1:-1]]))
def test_no_token_is_left_in_any_text(token, text, write) -> None:
    left = without(f"{text}{write(token)}{text}", token)

    assert token.lower() not in left.lower().replace(STRUCK, "")


@pytest.mark.parametrize("write", [str, str.upper])
@pytest.mark.parametrize("length", range(4, len(CANARY)))
def test_a_text_that_ends_within_the_token_loses_that_end(length, write) -> None:
    assert without(f'{{"msg": "{write(CANARY)[:length]}', CANARY) == '{"msg": "'


@pytest.mark.parametrize("text", ["", "{}", "c", "can", "x" * 50, '{"data": [], "msg": "caf\\u00e9 C:\\\\temp 100%"}'])
def test_a_text_without_the_token_is_kept_as_it_is(text) -> None:
    assert without(text, CANARY) == text


def test_a_text_that_is_escaped_for_ever_is_not_kept() -> None:
    assert without(f"%{'25' * ROUNDS}", CANARY) == ""
    assert not is_meant(f"%{'25' * (ROUNDS - 1)}", CANARY)


# Private fields.


def test_private_fields_of_json_are_blank_at_any_depth() -> None:
    rows = [{"name": "Sales", "rp_name": "Menu", " Name ": 5730, "channel": "é"}, {"name": {"first": "Ana"}}]

    assert json.loads(blanked(json.dumps({"data": rows, "name": ["x"]}), NAME)) == {
        "data": [{"name": "", "rp_name": "Menu", " Name ": "", "channel": "é"}, {"name": ""}],
        "name": "",
    }


def test_json_is_kept_readable() -> None:
    assert blanked('{"n\\u0061me":"A","msg":"caf\\u00e9"}', NAME) == '{"name": "", "msg": "café"}'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # Cut where it was too long: what is sure before the end stays.
        ('[{"name": "Ana", "id": "1"}, {"name": "Be', '[{"name": "", "id": "1"}, {"'),
        ('[{"name": "Ana", "id": "1"}, {"id": "2", "na', '[{"name": "", "id": "1"}, {"id": "2", "na'),
        ('[{"id": "1", "name" : "Ana"}', '[{"id": "1", "name" : ""}'),
        (
            '[{"name": null, "id": "1"}, {"name": 57300.5, "id": "2"},',
            '[{"name": "", "id": "1"}, {"name": "", "id": "2"},',
        ),
        ('[{"NAME": "A\\"na", "id": "1"}', '[{"NAME": "", "id": "1"}'),
        ('[{"rp_name": "Menu", "names": 1,', '[{"rp_name": "Menu", "names": 1,'),
        # A quote that nobody escaped, values that are no text, other notations: what follows is not sure.
        ('[{"name": "A"na, 57", "id": "1"}', '[{"'),
        ('[{"name": ["Ana"], "id": 1,', '[{"'),
        ('[{"name": {"first": "Ana"}, "id": 1,', '[{"'),
        ("[{'name': 'Ana'}]", "[{'"),
        ("[{name: 'Ana'}]", "[{"),
        ("<row><id>1</id><name>Ana</name></row>", "<row><id>1</id><"),
        ("id=1&name=Ana", "id=1&"),
        ('[{"n\\u0061me": "Ana", "id": 1,', '[{"n'),
        ('"{\\"name\\": \\"Ana\\"}"', '"{\\"'),
        ("<html><title>Down</title>", "<html><title>Down</title>"),
        ("[" * 100_000 + '"name": "Ana"', "[" * 100_000 + '"'),
    ],
)
def test_of_a_text_that_is_no_json_only_what_is_sure_is_kept(text, left) -> None:
    assert blanked(text, NAME) == left


def test_a_text_of_many_open_quotes_is_read_in_time() -> None:
    assert blanked('"name": "\\' * 30_000, NAME) == '"'


@given(
    st.lists(st.fixed_dictionaries({"id": st.text(max_size=3), "name": st.just("Ana-57300")}), max_size=5), st.data()
)
def test_no_cut_of_an_answer_tells_a_name(rows, data) -> None:
    text = json.dumps({"data": rows})
    cut = data.draw(st.integers(0, len(text)))

    assert "Ana" not in blanked(text[:cut], NAME)


# Both.


def test_what_is_no_utf_8_is_kept_as_far_as_it_is() -> None:
    assert kept(b'\xef\xbb\xbf{"msg": "caf\xe9"}') == '{"msg": "caf\ufffd"}'
    assert kept(b'{"msg": "\\ud800"}', "name") == '{"msg": "?"}'


def test_a_token_that_shows_once_the_names_are_blank_is_struck_out_too() -> None:
    token = CANARY.replace("-", "\\u002d").encode()

    assert kept(b'{"msg": "' + token + b'", "name": "Ana"}', "name") == f'{{"msg": "{STRUCK}", "name": ""}}'


def test_the_rest_of_the_answer_stays() -> None:
    answer = Answer(Outcome.OK, 200, "200", (1,), 0.5, body=b"{}", size=7)

    assert redacted(answer, Secret(CANARY), ()) == answer
