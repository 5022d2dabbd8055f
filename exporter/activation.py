"""What systemd hands to a service that it starts: sockets that listen already, and an address for its news.

Knows the protocol of systemd and no library of its: sockets from descriptor 3 on for the process that `LISTEN_PID`
names, `LISTEN_FDS` of them, and datagrams to `NOTIFY_SOCKET`.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from exporter.server import ListenError

FIRST: Final = 3  # the descriptor of the first socket
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
NONE: Final = (
    "--web.systemd-socket: systemd passed no socket to this process; start the .socket unit, or unset the flag"
)


def passed(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The listening sockets that systemd passed to process `pid`, in its order; ListenError when there is none."""
    count = environ.get("LISTEN_FDS", "")
    # A parent of ours may have left the variables of its own sockets behind; they say so by its process's number.
    if environ.get("LISTEN_PID") != str(pid) or not count.isdigit() or not int(count):
        raise ListenError(NONE)
    return [adopted(number) for number in range(FIRST, FIRST + int(count))]


def adopted(number: int) -> socket.socket:
    """The socket behind a descriptor, kept from programs that this one may start; ListenError where it is no good."""
    try:
        made = socket.socket(fileno=number)
        is_listening = made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ListenError(f"descriptor {number}, which systemd passed, is no socket: {error.strerror}") from error
    if made.family not in FAMILIES or not is_listening:
        made.close()
        raise ListenError(f"descriptor {number}, which systemd passed, takes no TCP connections; see its ListenStream=")
    made.set_inheritable(False)
    return made


def tell(news: str, environ: Mapping[str, str] = os.environ) -> None:
    """Sends the news to systemd, where it listens for any; it is lost where systemd cannot be reached."""
    place = environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(news.encode(), address)
