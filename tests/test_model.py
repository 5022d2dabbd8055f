"""A token shows itself to nobody who does not ask by name, and its absence is a sentence."""

import copy
import pickle

import pytest
from conftest import CANARY
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Secret, SecretError


def test_a_secret_reveals_its_text_when_it_is_asked() -> None:
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, "{!s:>20}".format, lambda it: f"{[it]}"])
def test_no_way_of_printing_shows_a_secret(show) -> None:
    assert CANARY not in show(Secret(CANARY))
    assert "Secret(***)" in show(Secret(CANARY))


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied_out_of_the_process(send) -> None:
    with pytest.raises(TypeError, match=r"^a Secret is not to be copied to another process or file$"):
        send(Secret(CANARY))


def test_a_secret_has_no_dictionary_that_a_debugger_would_print() -> None:
    assert not hasattr(Secret(CANARY), "__dict__")


@given(st.text(), st.text())
def test_secrets_are_equal_by_their_text_alone(one, other) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one


def test_an_absent_secret_is_a_sentence_about_its_operation() -> None:
    error = SecretError("acme-co", "secrets/acme is empty")

    assert str(error) == "operation acme-co: secrets/acme is empty"
    assert (error.operation, error.problem) == ("acme-co", "secrets/acme is empty")
