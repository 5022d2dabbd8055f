"""A server to be abused, in a process of its own: the still site, short patience, the log as the command sets it up.

`python abused.py FORMAT` prints two addresses, of a server that answers scrapes where they are read and of one that
leaves them to the application, and ends with its standard input.
"""

import sys

import still

from exporter.log import Redactor, configure
from exporter.protocol import Patience
from exporter.server import Server, bound
from exporter.web import Application

REQUEST, ANSWER = 1.0, 2.0  # seconds


def main() -> None:
    """Serves until nobody holds its standard input."""
    configure("debug", sys.argv[1], Redactor())
    first, second = Application(still.site()), Application(still.site())  # each lives in the loop of its server
    servers = [
        Server(application, bound([("127.0.0.1", 0)]), Patience(REQUEST, ANSWER), at_once)
        for application, at_once in ((first, first.at_once), (second, lambda _: None))
    ]
    for server in servers:
        server.start()
    print(*[server.addresses[0] for server in servers], flush=True)  # noqa: T201 - for who started it
    sys.stdin.read()
    for server in servers:
        server.quit()
    for server in servers:
        server.join()


if __name__ == "__main__":
    main()
