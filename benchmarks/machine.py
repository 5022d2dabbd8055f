"""The machine that was measured on, as the results describe it."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Final

PEERS: Final = {
    "nginx": ("nginx", "-v"),
    "node_exporter": ("prometheus-node-exporter", "--version"),
    "Prometheus": ("prometheus", "--version"),
}
NUMBER: Final = re.compile(r"\d+\.\d+(\.\d+)?")


def described() -> dict[str, str]:
    """What is worth knowing of it, and of the programs that were measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(os.cpu_count()),
        "CPU": cpu_model(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": "those of the exporter" if find_spec("pytest") is None else "those of its development too",
        "uvicorn, prometheus_client": f"{version('uvicorn')}, {version('prometheus-client')}",
        "others": ", ".join(f"{name} {number}" for name, command in PEERS.items() if (number := told(*command))),
        "load when it began": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def cpu_model() -> str:
    """As the kernel names it; the architecture where it does not."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def told(program: str, flag: str) -> str:
    """The version that a program tells; "" where it is not there."""
    if which(program) is None:
        return ""
    said = subprocess.run([program, flag], check=False, capture_output=True, text=True, timeout=20)
    found = NUMBER.search(said.stdout + said.stderr)
    return found[0] if found else "of an unknown version"
