"""A site behind a web configuration, on a free port: certificates, passwords, and a server to try them on."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import trustme

from exporter.config import load_web
from exporter.front import Front
from exporter.front import Site as Inner
from exporter.server import Server, bound
from exporter.webfile import WebFile

PLAIN = Path(__file__).parent / "plain-web.yml"


def hashed(password: str, cost: int = 4) -> str:
    """A bcrypt hash that takes a millisecond."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Ticks:
    """A clock that is set by hand: the web configuration looks at its files at most once a second."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Exposed:
    """The server's address, its web configuration and that one's clock."""

    address: str
    web: WebFile
    clock: Ticks

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def rewrite(self, path: Path, text: str | bytes) -> None:
        """Puts another file in the place of this one, and a second goes by."""
        fresh = path.with_suffix(".new")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        fresh.replace(path)
        self.settle()

    def settle(self) -> None:
        """Lets it see a change, and see that it stays."""
        for _ in range(2):
            self.clock.now += 2
            self.web.look()


@contextmanager
def exposed(site: Inner, path: Path, text: str) -> Iterator[Exposed]:
    """The site behind the web configuration of this text, which is written to the path."""
    path.write_text(text, encoding="utf-8")
    clock = Ticks()
    web = WebFile(str(path), load_web, clock, lambda: 1_790_000_000.0 + clock.now)
    front = Front(site, lambda: web.doorman, clock)
    server = Server(front, bound([("127.0.0.1", 0)]), at_once=front.at_once, tls=web if web.is_secured else None)
    server.start()
    try:
        yield Exposed(server.addresses[0], web, clock)
    finally:
        server.quit()
        server.join()


def plain_web() -> WebFile:
    """A web configuration that asks nobody for anything."""
    return WebFile(str(PLAIN), load_web, Ticks(), lambda: 1_790_000_000.0)


def certify(folder: Path, authority: trustme.CA, name: str, *hosts: str) -> None:
    """Writes NAME.pem and NAME-key.pem for these hosts."""
    made = authority.issue_cert(*hosts)
    made.private_key_pem.write_to_path(str(folder / f"{name}-key.pem"))
    (folder / f"{name}.pem").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
