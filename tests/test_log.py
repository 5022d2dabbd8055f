"""One event is one line that a machine can read, and no line holds a secret."""

import json
import re
import subprocess
import sys

import pytest
from conftest import CANARY

from exporter.log import FORMATS, LEVELS, Redactor, escaped

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')
NASTY = 'two words\nand "quotes" = \\ back\tslash\r\x1b[31m\x00\u2028\x85é'


def said(code: str, level: str = "info", form: str = "logfmt") -> list[str]:
    """The lines on standard error of a process that logs by this code."""
    before = (
        "import logging, structlog; from exporter.log import Redactor, configure; redactor = Redactor(); "
        f"configure({level!r}, {form!r}, redactor); log = structlog.get_logger()\n"
    )
    ended = subprocess.run([sys.executable, "-c", before + code], check=True, capture_output=True, timeout=20)
    return ended.stderr.decode().splitlines()


def fields(line: str) -> dict[str, str]:
    """The pairs of a logfmt line; an AssertionError where it is none."""
    assert "".join(match[0] for match in PAIR.finditer(line)) == line
    return {name: re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text for name, text in PAIR.findall(line)}


def test_a_logfmt_line_holds_time_level_event_and_fields_in_this_order() -> None:
    (line,) = said("log.info('poll failed', operation='acme-co', status=403, done=True, next=None)")

    assert list(fields(line)) == ["ts", "level", "event", "operation", "status", "done"]
    assert re.match(r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z level=info ", line)
    assert fields(line)["event"] == "poll failed"
    assert line.endswith("operation=acme-co status=403 done=true")


def test_a_json_line_keeps_numbers_and_letters() -> None:
    (line,) = said("log.info('poll', operation='peñón', status=403, next=None)", form="json")

    assert json.loads(line) | {"ts": ""} == {
        "ts": "",
        "level": "info",
        "event": "poll",
        "operation": "peñón",
        "status": 403,
    }
    assert "peñón" in line


@pytest.mark.parametrize("form", FORMATS)
def test_a_nasty_text_stays_in_its_line_and_field(form) -> None:
    (line,) = said(f"log.info('x', text={NASTY!r}, last=1)", form=form)

    read = json.loads(line) if form == "json" else fields(line)
    assert read["text"] == escaped(NASTY)
    assert str(read["last"]) == "1"


def test_escaped_text_is_printable_and_plain_text_is_not_touched() -> None:
    assert escaped(NASTY) == 'two words\\nand "quotes" = \\ back\\tslash\\r\\x1b[31m\\x00\\u2028\\x85é'
    assert escaped("peñón (ok)") == "peñón (ok)"
    assert escaped("\udc80") == "\\udc80"


@pytest.mark.parametrize("level", LEVELS)
def test_only_what_is_severe_enough_is_logged(level) -> None:
    lines = said("for each in ('debug', 'info', 'warning', 'error'): getattr(log, each)('x')", level)

    assert [fields(line)["level"] for line in lines] == list(LEVELS[LEVELS.index(level) :])


@pytest.mark.parametrize("form", FORMATS)
def test_an_exception_is_one_line_without_the_secret(form) -> None:
    code = (
        f"redactor.learn([{CANARY!r}])\ntry: raise ValueError('bad: {CANARY}')\nexcept ValueError: log.exception('x')"
    )
    (line,) = said(code, form=form)

    read = json.loads(line) if form == "json" else fields(line)
    assert "Traceback" in read["exception"]
    assert "ValueError: bad: ***" in read["exception"]
    assert CANARY not in line


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_library_logs_is_one_line_of_this_log(form) -> None:
    code = (
        f"redactor.learn([{CANARY!r}])\n"
        f"try: raise ValueError('bad: {CANARY}')\n"
        "except ValueError: logging.getLogger('uvicorn.error').error('Exception in %s\\n', 'ASGI', exc_info=True)"
    )
    (line,) = said(code, form=form)

    read = json.loads(line) if form == "json" else fields(line)
    assert (read["level"], read["event"], read["logger"]) == ("error", "Exception in ASGI", "uvicorn.error")
    assert "ValueError: bad: ***" in read["exception"]
    assert CANARY not in line


def test_a_library_is_heard_from_warnings_on() -> None:
    lines = said("logging.getLogger('asyncio').info('a'); logging.getLogger('asyncio').warning('b')", "debug")

    assert [fields(line)["event"] for line in lines] == ["b"]


def test_requests_that_are_none_leave_no_line_and_bugs_do() -> None:
    code = "told = logging.getLogger('uvicorn.error'); told.warning('Invalid HTTP request received.'); told.error('b')"

    assert [fields(line)["event"] for line in said(code, "debug")] == ["b"]


def test_a_secret_is_struck_out_of_every_value_and_an_old_one_too() -> None:
    redactor = Redactor()
    redactor.learn(["old-token"])
    redactor.learn(["new-token", ""])

    event = redactor(None, "info", {"a": "old-token", "b": ValueError("x new-token y"), "c": 5, "d": True, "e": None})

    assert event == {"a": "***", "b": "x *** y", "c": 5, "d": True, "e": None}


def test_a_secret_that_begins_with_another_one_is_struck_out_whole() -> None:
    redactor = Redactor()
    redactor.learn(["token", "token-long", "token-longer"])

    assert redactor(None, "info", {"a": "token-longer token-long token"}) == {"a": "*** *** ***"}
