"""The real command in processes of its own: started on free ports of loopback, waited for, and always ended."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, TypeVar

from conftest import CANARY

COMMAND = str(Path(sys.executable).with_name("wolkvox-exporter"))
LOOPBACK = "--web.listen-address=127.0.0.1:0"
ADDRESS = re.compile(r"(127\.0\.0\.1|\[::1\]):(\d+)")
PATIENCE = 20.0

Found = TypeVar("Found")


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def wait_for(claim: Callable[[], Found | None], seconds: float = PATIENCE) -> Found:
    """The first answer of `claim` that is true; an AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.03)
    return found


def ask(address: str, path: str, method: str = "GET", body: object = None, **headers: str) -> Reply:
    """One request to HOST:PORT; an underscore in a header's name stands for a dash."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would steer the exporter, and with these."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("WOLKVOX_EXPORTER_")}
    return {**own, "NO_COLOR": "1", **variables}


def run(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command until its own end."""
    return subprocess.run(
        [COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=cwd,
        env=environment(**variables),
    )


def content(file: IO[bytes]) -> str:
    """All of a file, whatever place its writer has reached."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode("utf-8", "replace")


class Program:
    """A program that runs until it is stopped; what it says goes to files, so that it never waits for a reader."""

    def __init__(self, command: list[str], hand: tuple[int, ...] = (), **variables: str) -> None:
        self._out, self._err = TemporaryFile(), TemporaryFile()  # noqa: SIM115 - `close` closes them
        self._ended: tuple[str, str] | None = None
        self.process = subprocess.Popen(
            command, stdout=self._out, stderr=self._err, env=environment(**variables), pass_fds=hand
        )

    @property
    def out(self) -> str:
        return self._ended[0] if self._ended else content(self._out)

    @property
    def log(self) -> str:
        return self._ended[1] if self._ended else content(self._err)

    @cached_property
    def address(self) -> str:
        """HOST:PORT, once it says where it listens."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log
            return ADDRESS.search(self.out + self.log)

        return wait_for(found)[0]

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return ask(self.address, path, method, **headers)

    def says(self, text: str, seconds: float = PATIENCE) -> None:
        """Waits until the log or the output has the text."""

        def heard() -> bool:
            has_ended = self.process.poll() is not None
            is_said = text in self.log + self.out
            assert is_said or not has_ended, self.log
            return is_said

        wait_for(heard, seconds)

    def shows(self, pattern: str, path: str = "/metrics") -> str:
        """Waits until a line of the page matches, and is that line."""
        address = self.address

        def found() -> re.Match[str] | None:
            return re.search(f"^{pattern}$", ask(address, path).text, re.MULTILINE)

        return wait_for(found)[0]

    def hup(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it by the signal; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Ends it in any case; what it said stays readable."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._ended = self.out, self.log
        self._out.close()
        self._err.close()


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[Program]:
    """The command with these arguments, ended afterwards however the test went."""
    with program(COMMAND, *arguments, hand=(), **variables) as started:
        yield started


@contextmanager
def program(*command: str, hand: tuple[int, ...] = (), **variables: str) -> Iterator[Program]:
    """Any program, ended afterwards; it inherits the descriptors of `hand`."""
    started = Program(list(command), hand, **variables)
    try:
        yield started
        started.stop()
    finally:
        started.close()


class Upstream:
    """A simulator in a process of its own, steered through its control surface."""

    def __init__(self, started: Program) -> None:
        self.program = started
        self.address = started.address
        self.url = f"http://{self.address}"

    def say(self, method: str, path: str, body: object = None) -> Any:
        reply = ask(self.address, f"/_simulator/{path}", method, body)
        assert reply.status == http.client.OK, reply.text
        return reply.json

    def open(self, name: str, token: str) -> None:
        """An account with two connectors on one routing point."""
        self.say("PUT", f"accounts/{name}", {"token": token, "server": "0010", "limit": 1_000_000})
        lines = [("whatsapp", "12", "Sales"), ("email", "13", "Inbox")]
        rows = [{"channel": kind, "connector_id": key, "rp_id": "5", "name": title} for kind, key, title in lines]
        self.say("PUT", f"accounts/{name}/connectors", rows)
        self.say("PUT", f"accounts/{name}/routing_points", [{"rp_id": "5", "rp_name": "Menu", "chat_active": "yes"}])

    def play(self, name: str, scenario: str | None, **knobs: object) -> None:
        self.say("POST", f"accounts/{name}/play", {"scenario": scenario, **knobs})

    def calls(self, name: str) -> list[dict[str, Any]]:
        return [call for call in self.say("GET", "calls") if call["account"] == name]


@contextmanager
def upstream(seconds: float = 1.0) -> Iterator[Upstream]:
    """A simulator process that finds calls early which come sooner than that."""
    with running("simulate", "--port=0", f"--interval={seconds}") as started:
        yield Upstream(started)


class Place:
    """A folder with config.yaml, its secrets and its storage, for processes that poll a simulator every second."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.folder = folder
        self.url = url
        self.name = name
        self.token = f"{CANARY}-{name}"
        self.config = folder / "config.yaml"
        self.storage = folder / "data"
        (folder / "secrets").mkdir()

    def secret(self, name: str, token: str) -> None:
        path = self.folder / "secrets" / name
        path.write_text(token + "\n")
        path.chmod(0o600)

    def write(self, *names: str, more: str = "") -> None:
        """The configuration of these operations, each with its token in secrets/NAME."""
        entry = '  - {{name: {0}, server: "0010", token_file: secrets/{0}}}\n'
        self.config.write_text(
            "operations:\n" + "".join(entry.format(name) for name in names) + more + "poll: {connectors: 1s,"
            " routing_points: 1s, token_info: 1s}\n"
            f"upstream: {{base_url: '{self.url}', simulator: true, timeout: 5s}}\n"
        )

    @property
    def flags(self) -> tuple[str, str, str]:
        return f"--config.file={self.config}", f"--storage.path={self.storage}", LOOPBACK
