"""`healthy`: asks the exporter that runs beside it, with the same flags, whether it is healthy.

A health check of a container runs it twice a minute within the exporter's own memory limit: it imports little, and
nothing that polls, renders or serves.
"""

import re
import ssl
import sys
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Final, NamedTuple

from exporter.flags import Options
from exporter.log import escaped

NAME: Final = "healthy"
PATH: Final = "/-/healthy"
PATIENCE: Final = 5.0  # seconds to connect, and for each part of the answer
MOST: Final = 200  # characters of an answer that are shown
# Where all addresses are listened on, this host has one that is its own.
OWN: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, never listened on
TLS: Final = re.compile(r"^\s*[\"']?tls_server_config[\"']?\s*:", re.MULTILINE)


class Verdict(NamedTuple):
    """Whether the exporter is healthy, a sentence about what it said, and whether it may speak in the other way."""

    is_healthy: bool
    sentence: str
    is_foreign: bool = False


def main(options: Options) -> int:
    """Prints the verdict, on standard error when it is bad; exit code 0 or 1."""
    verdict = judged(options)
    print(verdict.sentence, file=sys.stdout if verdict.is_healthy else sys.stderr)
    return 0 if verdict.is_healthy else 1


def judged(options: Options) -> Verdict:
    """What the exporter with these options says of itself at its first address."""
    host, port = options.web_listen_address[0]
    if not port:
        return Verdict(is_healthy=False, sentence="port 0 is any free one and cannot be asked; name the port")
    try:
        tls = speaks_tls(options)
    except OSError as error:
        return Verdict(is_healthy=False, sentence=f"{options.web_config_file} cannot be read: {error.strerror}")
    own = OWN.get(host, host)
    verdict = asked(own, port, tls=tls)
    other = asked(own, port, tls=not tls) if verdict.is_foreign else verdict  # the file was only glanced at
    return other if other.is_healthy else verdict._replace(is_foreign=False)


def speaks_tls(options: Options) -> bool:
    """True when the web configuration has a `tls_server_config`; OSError when there should be one to read."""
    place = options.web_config_file
    return bool(place) and bool(TLS.search(Path(place).read_text(encoding="utf-8", errors="replace")))


def asked(host: str, port: int, *, tls: bool) -> Verdict:
    """The verdict of whoever listens there."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    line = connection(host, port, tls=tls)
    try:
        line.connect()
        with suppress(OSError):  # who has closed already, as for want of a certificate, left the reason to be read
            line.request("GET", PATH)
        return understood(where, line.getresponse())
    except (OSError, HTTPException, UnicodeError) as error:
        return failed(where, error)
    finally:
        line.close()


def connection(host: str, port: int, *, tls: bool) -> HTTPConnection:
    """A connection that is not open yet."""
    if tls:
        return HTTPSConnection(host, port, timeout=PATIENCE, context=trusting())
    return HTTPConnection(host, port, timeout=PATIENCE)


def trusting() -> ssl.SSLContext:
    """A context that believes any certificate: whoever talks to himself need not ask for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def understood(where: str, answer: HTTPResponse) -> Verdict:
    """An answer: 200 is health; 401 says that it lives and is closed to who has no password."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Verdict(is_healthy=True, sentence=f"{where} lives, and asks for a password before it says more")
    said = answer.read(MOST).decode("utf-8", "replace").strip()
    return Verdict(answer.status == HTTPStatus.OK, f"{where} answers {answer.status}: {escaped(said)}")


def failed(where: str, error: Exception) -> Verdict:
    """No answer: only a TLS alert is one, of an exporter that lives and is closed to who has no certificate."""
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return Verdict(is_healthy=True, sentence=f"{where} lives, and asks for a certificate before it says more")
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    is_foreign = isinstance(error, ssl.SSLError | BadStatusLine | ConnectionError)
    return Verdict(is_healthy=False, sentence=f"{where} does not answer: {why}", is_foreign=is_foreign)
