"""The units: systemd finds no fault in them, they leave little open, and the exporter needs no more than that."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import needs
from processes import COMMAND, LOOPBACK, program, wait_for

from exporter.flags import FLAGS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "systemd"
SERVICE, SOCKET = FOLDER / "wolkvox-exporter.service", FOLDER / "wolkvox-exporter.socket"
LARGEST = 25  # tenths of what systemd calls exposure, of 100
CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)


def values(path: Path, key: str) -> list[str]:
    """Every value of a key, in order."""
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    needs("systemd-analyze", "systemd")
    return subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def installed(tmp_path) -> list[str]:
    """The units with a command that is there: systemd looks for it."""
    for unit in (SERVICE, SOCKET):
        (tmp_path / unit.name).write_text(
            re.sub(r"^ExecStart=\S+", f"ExecStart={COMMAND}", unit.read_text(), flags=re.MULTILINE)
        )
    return [str(tmp_path / unit.name) for unit in (SERVICE, SOCKET)]


def test_systemd_finds_no_fault_in_the_units(installed) -> None:
    ended = analyze("verify", "--man=no", *installed)

    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_a_fault_in_a_unit_would_be_found(installed) -> None:
    service = Path(installed[0])
    service.write_text(service.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))

    assert "Failed to parse protect home value" in analyze("verify", "--man=no", str(service)).stderr


def test_the_service_leaves_little_open() -> None:
    ended = analyze("security", "--offline=true", f"--threshold={LARGEST}", "--no-pager", str(SERVICE))

    assert ended.returncode == 0, ended.stdout
    assert re.search(r"Overall exposure level for wolkvox-exporter.service: [01]\.\d OK", ended.stdout)


def test_the_variables_of_the_service_are_flags() -> None:
    named = {line.partition("=")[0] for line in values(SERVICE, "Environment")}

    assert named
    assert named <= {flag.variable for flag in FLAGS}


def test_service_and_socket_listen_in_the_same_place() -> None:
    (listen,) = [line.partition("=")[2] for line in values(SERVICE, "Environment") if "LISTEN" in line]

    assert values(SOCKET, "ListenStream") == [listen]
    assert SOCKET.stem == SERVICE.stem, "systemd joins them by their names"


def test_the_documents_name_credentials_as_systemd_does() -> None:
    """systemd names what it loads of a folder by the word before the colon, `_`, and the file."""
    (word,) = [line.partition(":")[0] for line in values(SERVICE, "LoadCredential")]
    written = "".join(path.read_text() for path in (FOLDER / "README.md", ROOT / "docs" / "install.md"))

    named = re.findall(rf"/run/credentials/{SERVICE.name}/(\w+)", written + SERVICE.read_text())

    assert named
    assert all(name.startswith(f"{word}_") for name in named)


# What the exporter asks of the kernel is what the service is allowed.


def allowed() -> set[str]:
    """The system calls that the service's filters leave."""
    left: set[str] = set()
    for line in values(SERVICE, "SystemCallFilter"):
        named = set().union(*(members(each) for each in line.lstrip("~").split()))
        left = left - named if line.startswith("~") else left | named
    return left


def members(group: str) -> set[str]:
    """The system calls of a group, and of the groups in it."""
    found: set[str] = set()
    for word in analyze("syscall-filter", "--no-pager", group).stdout.split("\n")[1:]:
        name = word.strip()
        if name.startswith("@"):
            found |= members(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


@pytest.mark.slow
def test_the_exporter_makes_no_system_call_that_the_service_forbids(tmp_path) -> None:
    needs("strace", "strace")
    trace = tmp_path / "trace"
    # -D: the command is the child that the signal reaches, and strace stands beside it.
    with program("strace", "-D", "-f", "-q", "-o", str(trace), COMMAND, "demo", LOOPBACK, TMPDIR=str(tmp_path)) as demo:
        demo.shows(r"wolkvox_connector_info\{.*")
        assert demo.stop() == 0
        wait_for(lambda: f"{demo.process.pid} +++ exited with 0" in " ".join(trace.read_text().split()))

    made = set(CALL.findall(trace.read_text()))
    assert {"execve", "sendto"} <= made
    if not os.geteuid():
        made.discard("fchown")  # SQLite makes it for root alone, and asks for no success
    assert made - allowed() == set()
