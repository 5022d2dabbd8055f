"""Programs on loopback ports: started, waited for, looked at through /proc, and always ended by their own pid."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import wire

EXPORTER: Final = (sys.executable, "-m", "exporter")
PATIENCE: Final = 120.0  # seconds until a program must answer
TICKS: Final = os.sysconf("SC_CLK_TCK")
MEBI: Final = 2**20


class FailedError(Exception):
    """A program did not start or did not answer; the text has the end of what it said."""


class Program(NamedTuple):
    """A program that runs: its pid, its port, and the seconds from its start to its first answer."""

    pid: int
    port: int
    started: float

    @property
    def cpu(self) -> float:
        """CPU seconds of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def rss(self) -> float:
        """MB of resident memory now."""
        return self._memory("VmRSS:")

    @property
    def peak(self) -> float:
        """MB of resident memory at its highest."""
        return self._memory("VmHWM:")

    @property
    def descriptors(self) -> int:
        """Files and connections that it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _memory(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 / MEBI for line in lines if line.startswith(name))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, folder: Path, path: str = "/metrics") -> Iterator[Program]:
    """The program once it answers 200 at the path; what it says goes to a file of the folder. FailedError."""
    log = folder / f"{port}.log"
    with log.open("wb") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder, env=environment())
    try:
        wait(process, port, path, log)
        yield Program(process.pid, port, time.perf_counter() - began)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    """Waits for the first answer; FailedError when the program ends before, or takes too long."""
    end = time.monotonic() + PATIENCE
    while not wire.answers(port, path):
        if process.poll() is not None or time.monotonic() > end:
            words = log.read_text(encoding="utf-8", errors="replace")[-1000:]
            raise FailedError(f"{process.args!r} does not answer: {words}")
        time.sleep(0.005)


def environment() -> dict[str, str]:
    """Ours, without what would steer the exporter; the checkout is where its package is found."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("WOLKVOX_EXPORTER_")}
    own.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled; so is ours from its second start on
    return {**own, "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
