"""A token is told to nobody: not by a log, a page, an error, a file of the storage or a list of processes."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import CANARY
from processes import Place, Program, Upstream, program, run, running, upstream, wait_for

from exporter.simulator import SCENARIOS

FILE, INLINE, ENV, WRONG, NEXT = (f"{CANARY}-{word}" for word in ("file", "inline", "env", "wrong", "next"))
OPERATIONS = """\
operations:
  - {name: file, server: "0010", token_file: secrets/file}
"""
MORE = f"""\
  - {{name: inline, server: "0010", token: {INLINE}}}
  - {{name: env, server: "0010", token_env: CANARY_TOKEN}}
"""
HEAVY = {"big_body", "big_chunked", "gzip_bomb", "cut_60000"}
PATHS = (
    "/metrics",
    "/sd",
    "/",
    "/probe?target=file",
    "/probe?target=other",
    "/nothing",
    "/-/ready",
    "/operations/file",
)
TRAPS = [
    # A token where another thing belongs is what people paste by mistake.
    f'operations: [{{name: acme, server: "0010", token_file: {CANARY}}}]',
    f'operations: [{{name: acme, server: "0010", token_env: {CANARY}}}]',
    f'operations: [{{name: acme, server: "0010", token: [{CANARY}]}}]',
    f'operations: [{{name: acme, server: "0010", token: "{CANARY} twice"}}]',
    f'operations: [{{name: acme, server: "0010", token: {CANARY}}}, {{name: b, server: "0010", token: {CANARY}}}]',
    f'operations: [{{name: acme, server: "0010", token: {CANARY}, token_env: X}}]',
    f'operations: [{{name: acme, server: "0010", token: "{CANARY}]',
    f"operations: {CANARY}",
    f"operations: [{CANARY}]",
    f"operations: !{CANARY} []",
    f"operations: *{CANARY}",
    f'operations: [{{name: acme, server: "0010", token: {CANARY}}}]\nupstream: {{proxy: "http://u:{CANARY}@/"}}',
    f'operations: [{{name: acme, server: "0010", token: {CANARY}}}]\nupstream: {{base_url: "https://{CANARY}@x/"}}',
]


@pytest.fixture(scope="module")
def world() -> Iterator[Upstream]:
    with upstream(0.2) as started:
        for name, token in (("file", FILE), ("inline", INLINE), ("env", ENV)):
            started.open(name, token)
        yield started


@pytest.fixture
def place(tmp_path, world) -> Place:
    made = Place(tmp_path, world.url, "file")
    made.secret("file", FILE)
    made.config.write_text(OPERATIONS + MORE + settings(world))
    made.config.chmod(0o600)
    for name in ("file", "inline", "env"):
        world.play(name, None)
    return made


def settings(world: Upstream) -> str:
    lists = "connectors: 200ms, routing_points: 200ms, token_info: 200ms"
    return f"poll: {{{lists}}}\nupstream: {{base_url: '{world.url}', simulator: true, timeout: 1s}}\n"


def exporting(place: Place, form: str = "logfmt"):
    flags = ("--web.enable-lifecycle", "--log.level=debug", f"--log.format={form}")
    return running(*place.flags, *flags, CANARY_TOKEN=ENV)


def polled(started: Program, *names: str) -> None:
    for name in names:
        started.shows(rf'wolkvox_connector_info\{{.*connector_id="12".*operation="{name}".*\}} 1\.0')


def pages(started: Program) -> str:
    """What every page says, and the flight recorder of every operation."""
    names = [each["operation"] for each in started.get("/api/v1/operations").json["operations"]]

    def kept() -> list[Any]:
        found = [started.get(f"/api/v1/answers?operation={name}") for name in names]
        return found if any(answer.json["answers"] for answer in found) else []

    answers = wait_for(kept)
    return "".join(map(str, (*answers, *(started.get(path) for path in PATHS))))


def stored(place: Place) -> bytes:
    """Every byte of every file of the storage, and the names of the files."""
    files = [path for path in place.storage.rglob("*") if path.is_file()]
    assert files
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


def arguments(started: Program) -> bytes:
    return Path(f"/proc/{started.process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_tokens_of_every_source_are_told_nowhere(place, form) -> None:
    with exporting(place, form) as exporter:
        polled(exporter, "file", "inline", "env")
        seen = pages(exporter)
        if sys.platform == "linux":
            assert CANARY.encode() not in arguments(exporter)

        assert CANARY.encode() not in stored(place)
        exporter.stop()
    assert CANARY not in seen
    assert CANARY not in exporter.log + exporter.out
    assert CANARY.encode() not in stored(place)


@pytest.mark.slow
def test_no_scenario_of_the_api_brings_a_token_out(place, world) -> None:
    light = SCENARIOS.keys() - HEAVY
    names = [scenario.replace("_", "-") for scenario in light]
    for name, scenario in zip(names, light, strict=True):
        place.secret(name, f"{CANARY}-{name}")
        world.open(name, f"{CANARY}-{name}")
        world.play(name, scenario, seconds=0.1, location=f"http://127.0.0.1:1/{CANARY}-{name}")
    place.write(*names)
    with exporting(place) as exporter:
        wait_for(lambda: {call["scenario"] for call in world.say("GET", "calls")} >= light)
        wait_for(lambda: set(re.findall(r"level=warning event=.*operation=(\S+) ", exporter.log)) > {"quota", "html"})

        seen = pages(exporter)

    assert CANARY not in seen + exporter.log
    assert CANARY.encode() not in stored(place)


def test_an_api_that_sends_the_token_back_does_not_bring_it_out(place) -> None:
    statuses = tuple(f"s-{status}" for status in (200, 302, 400, 401, 403, 404, 429, 500))
    for status in statuses:
        place.secret(status, f"{CANARY}-{status}")
    with echo() as place.url:
        place.write(*statuses)
        with exporting(place) as exporter:
            for status in statuses:
                exporter.shows(rf'wolkvox_polls_total\{{list="connectors",operation="{status}"\}} [1-9].*')
            seen = pages(exporter)

    assert CANARY not in seen + exporter.log
    assert CANARY.encode() not in stored(place)


@contextmanager
def echo() -> Iterator[str]:
    """An API that sends the token back wherever it can stand, with the status that the token ends in."""

    class Parrot(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers["wolkvox-token"]
            status = int(token[-3:])
            body = json.dumps({"code": token[-3:], "error": f"bad {token}", "msg": token, "data": token}).encode()
            self.send_response(status, f"see {token}")
            self.send_header("Location", f"http://127.0.0.1:1/{token}")
            self.send_header("Retry-After", token)
            self.send_header("Set-Cookie", f"token={token}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_wrong_token_and_its_successor_are_told_nowhere(place, world) -> None:
    place.secret("file", WRONG)
    with exporting(place) as exporter:
        exporter.shows(r'wolkvox_poll_outcome\{.*operation="file",outcome="token_rejected"\} 1\.0')
        place.secret("file", NEXT)
        world.say("POST", "accounts/file/tokens", {"add": NEXT})
        assert exporter.get("/-/reload", "POST").status == 200
        polled(exporter, "file")
        seen = pages(exporter)

    assert CANARY not in seen + exporter.log
    assert CANARY.encode() not in stored(place)


def test_no_fault_of_a_configuration_shows_a_token(place) -> None:
    with exporting(place) as exporter:
        polled(exporter, "file")
        answers = []
        for trap in TRAPS:
            place.config.write_text(trap)
            answers.append(exporter.get("/-/reload", "POST"))
        ended = run(*place.flags)

    assert {answer.status for answer in answers} == {500}
    assert [answer.text for answer in answers if CANARY in answer.text] == []
    assert CANARY not in exporter.log + ended.stderr + ended.stdout


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_bug_in_a_call_that_has_the_token_in_its_text_does_not_bring_it_out(place, form) -> None:
    bug = (
        "import sys\n"
        "from exporter import client, __main__\n"
        "def call(self, server, name, token): raise RuntimeError('no ' + token.reveal())\n"
        "client.Client.call = call\n"
        "sys.exit(__main__.main())\n"
    )
    command = [sys.executable, "-c", bug, *place.flags, f"--log.format={form}"]
    with program(*command, CANARY_TOKEN=ENV) as exporter:
        exporter.says("RuntimeError: no ***")
        seen = pages(exporter)

    assert "Traceback" in exporter.log
    assert all(line.startswith(("ts=", "{")) for line in exporter.log.splitlines())
    assert CANARY not in seen + exporter.log
    assert CANARY.encode() not in stored(place)
