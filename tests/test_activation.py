"""Sockets that a parent hands over as systemd does, to the real command; and what it tells systemd of itself."""

import os
import re
import socket
import sys
import threading
from contextlib import closing

import pytest
from conftest import CANARY
from processes import COMMAND, PATIENCE, Place, ask, program, run

from exporter.activation import NONE, READY, adopted, passed, tell
from exporter.server import ListenError

FLAG = "--web.systemd-socket"
# What systemd does between fork and exec: the sockets from descriptor 3 on, their number, and whom they are for.
HAND_OVER = """
import os, sys
handles = [int(each) for each in sys.argv[1].split(",")]
copies = [os.dup(each) for each in handles]  # none of them is overwritten before it is copied
for number, copy in enumerate(copies, 3):
    os.dup2(copy, number)
    os.set_inheritable(number, True)  # a copy may have had the right number already
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(handles))}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def place(tmp_path) -> Place:
    """An operation whose upstream is not there: what is served here is the page alone."""
    made = Place(tmp_path, "http://127.0.0.1:9", "acme")
    made.secret("acme", CANARY)
    made.write("acme")
    return made


@pytest.fixture
def held():
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening


def activated(place: Place, *sockets: socket.socket, **variables: str):
    """The command, started with these sockets as systemd starts it."""
    handles = tuple(each.fileno() for each in sockets)
    hand_over = (sys.executable, "-c", HAND_OVER, ",".join(map(str, handles)))
    return program(*hand_over, COMMAND, *place.flags, FLAG, hand=handles, **variables)


def at(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{host}:{port}"


def test_it_listens_on_the_socket_that_it_was_handed_and_on_no_address(place, held) -> None:
    with activated(place, held) as exporter:
        exporter.says("event=listening")

        assert ask(at(held), "/-/healthy").status == 200
        assert re.findall(r"addresses=(\S+)", exporter.log) == [at(held)]
        assert exporter.stop() == 0


def test_it_listens_on_every_socket_that_it_was_handed(place, held) -> None:
    with (
        closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as other,
        activated(place, held, other) as exporter,
    ):
        exporter.says("event=listening")
        where = f"[::1]:{other.getsockname()[1]}"

        assert {ask(each, "/-/healthy").status for each in (at(held), where)} == {200}


def test_a_scrape_that_comes_during_a_restart_is_answered_after_it(place, held) -> None:
    with activated(place, held) as exporter:
        exporter.says("event=listening")
        exporter.stop()
    told: list[int] = []
    scrape = threading.Thread(target=lambda: told.append(ask(at(held), "/metrics").status))
    scrape.start()

    with activated(place, held):
        scrape.join(PATIENCE)

    assert told == [200]


@pytest.mark.parametrize(
    "variables",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}],
    ids=["nothing", "nobody", "somebody else"],
)
def test_where_no_socket_was_passed_it_says_so(place, variables) -> None:
    ended = run(*place.flags, FLAG, **variables)

    assert ended.returncode == 1
    assert ended.stderr.endswith(f"wolkvox-exporter: {NONE}\n")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("count", ["0", "", "-1", "many"])
def test_a_number_of_sockets_that_is_none_is_none_passed(count) -> None:
    with pytest.raises(ListenError, match="systemd passed no socket to this process"):
        passed({"LISTEN_PID": "7", "LISTEN_FDS": count}, 7)


def test_what_is_no_socket_is_refused() -> None:
    ends = os.pipe()
    try:
        with pytest.raises(ListenError, match=rf"^descriptor {ends[0]}, which systemd passed, is no socket: "):
            adopted(ends[0])
    finally:
        for end in ends:
            os.close(end)


@pytest.mark.parametrize(
    ("family", "kind"),
    [(socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_STREAM)],
    ids=["UDP", "Unix", "TCP that does not listen"],
)
def test_a_socket_that_takes_no_tcp_connections_is_refused(family, kind) -> None:
    handle = socket.socket(family, kind).detach()

    with pytest.raises(ListenError, match=r"takes no TCP connections; see its ListenStream=$"):
        adopted(handle)


# What it tells systemd.


@pytest.fixture
def systemd(tmp_path):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
        line.settimeout(PATIENCE)
        line.bind(str(tmp_path / "notify"))
        yield line


def test_systemd_hears_when_the_page_is_there_and_that_the_loop_goes_on(place, systemd, held) -> None:
    with activated(place, held, NOTIFY_SOCKET=systemd.getsockname()) as exporter:
        first = systemd.recv(100)
        is_there = ask(at(held), "/-/ready").status == 200
        second = systemd.recv(100)

        assert (first, is_there, second) == (b"READY=1", True, b"WATCHDOG=1")
        assert exporter.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names without a file are there on Linux alone")
def test_the_address_of_systemd_may_be_a_name_without_a_file() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
        line.bind(f"\0wolkvox-{os.getpid()}")
        line.settimeout(PATIENCE)

        tell(READY, {"NOTIFY_SOCKET": f"@wolkvox-{os.getpid()}"})

        assert line.recv(100) == b"READY=1"


def test_a_systemd_that_is_gone_is_no_fault(tmp_path) -> None:
    tell(READY, {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    tell(READY, {})
