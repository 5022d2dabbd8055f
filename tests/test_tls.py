"""TLS over real sockets, with openssl, curl and Python's ssl: what the toolkit's section says is what clients meet."""

import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
import trustme
from conftest import needs
from exposed import Exposed, certify, exposed
from starlette.types import Receive, Scope, Send

from exporter.protocol import Ready
from exporter.webfile import WebFile

PAIR = "cert_file: server.pem, key_file: server-key.pem"
CHECKED = f"{PAIR}, client_ca_file: ca.pem, client_auth_type"
NAMED = "prometheus.example.com"


class Echo:
    """A site that says whose certificate it was asked with, on its quick way and on the long one."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        body = names(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def at_once(self, scope: Scope) -> Ready | None:
        if scope["path"] != "/quick":
            return None
        body = names(scope)
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(body)
        return Ready(head, iter([[body]]), lambda: None)


def names(scope: Scope) -> bytes:
    return " ".join(sorted(scope["state"]["sans"])).encode() or b"nobody"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA, stranger: trustme.CA) -> Path:
    certify(tmp_path, authority, "server", "localhost", "127.0.0.1")
    certify(tmp_path, authority, "client", NAMED)
    certify(tmp_path, authority, "other", "grafana.example.com")
    certify(tmp_path, stranger, "stranger", NAMED)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "stranger-ca.pem"))
    return tmp_path


@pytest.fixture
def secured(folder) -> Callable[[str], object]:
    """A server with this section of TLS."""
    return lambda section: exposed(Echo(), folder / "web.yml", f"tls_server_config: {{{section}}}\n")


def trusting(folder: Path, client: str = "", authority: str = "ca") -> ssl.SSLContext:
    """A client's context that trusts the authority, with a certificate of its own where one is named."""
    context = ssl.create_default_context(cafile=str(folder / f"{authority}.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}-key.pem")
    return context


def asked(place: Exposed, context: ssl.SSLContext, path: str = "/") -> str:
    """The answer; ssl.SSLError or ConnectionError where the server does not want us."""
    with closing(http.client.HTTPSConnection("localhost", place.port, context=context, timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def is_served(place: Exposed, context: ssl.SSLContext) -> bool:
    with suppress(OSError, http.client.RemoteDisconnected):  # an SSLError is an OSError
        return asked(place, context) != ""
    return False


@pytest.mark.parametrize("path", ["/", "/quick"])
def test_a_client_that_trusts_the_certificate_is_served(secured, folder, path) -> None:
    with secured(PAIR) as place:
        assert asked(place, trusting(folder), path) == "nobody"


def test_a_client_without_tls_is_not(secured) -> None:
    with secured(PAIR) as place, closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=10)) as connection:
        connection.request("GET", "/")

        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()


# Who shows which certificate: the toolkit's table, and what it makes of it.


@pytest.mark.parametrize(
    ("section", "client", "served"),
    [
        ("", "", True),
        ("", "client", True),
        ("VerifyClientCertIfGiven", "", True),
        ("VerifyClientCertIfGiven", "client", True),
        ("VerifyClientCertIfGiven", "stranger", False),
        ("RequireAndVerifyClientCert", "", False),
        ("RequireAndVerifyClientCert", "client", True),
        ("RequireAndVerifyClientCert", "stranger", False),
        (f"RequireAndVerifyClientCert, client_allowed_sans: [{NAMED}]", "client", True),
        (f"RequireAndVerifyClientCert, client_allowed_sans: [{NAMED}]", "other", False),
        (f"VerifyClientCertIfGiven, client_allowed_sans: [{NAMED}]", "other", False),
        (f"VerifyClientCertIfGiven, client_allowed_sans: [{NAMED}]", "", True),
    ],
)
def test_client_certificates(secured, folder, section, client, served) -> None:
    with secured(f"{CHECKED}: {section}" if section else PAIR) as place:
        assert is_served(place, trusting(folder, client)) is served


@pytest.mark.parametrize("path", ["/", "/quick"])
def test_the_names_of_the_certificate_come_with_the_request(secured, folder, path) -> None:
    with secured(f"{CHECKED}: VerifyClientCertIfGiven") as place:
        assert asked(place, trusting(folder, "client"), path) == NAMED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refused_certificate_is_refused_in_each_version(secured, folder, version) -> None:
    context = trusting(folder, "other")
    context.maximum_version = version
    with secured(f"{CHECKED}: RequireAndVerifyClientCert, client_allowed_sans: [{NAMED}]") as place:
        assert not is_served(place, context)


def test_an_address_in_a_certificate_is_known_however_it_is_written(secured, folder, authority) -> None:
    certify(folder, authority, "address", "2001:db8::1")
    with secured(f"{CHECKED}: RequireAndVerifyClientCert, client_allowed_sans: ['2001:0DB8::1']") as place:
        assert asked(place, trusting(folder, "address")) == "2001:db8::1"


# Versions, ciphers and curves, as openssl meets them.


def handshake(place: Exposed, *options: str) -> str:
    """What `openssl s_client` says of a handshake with these options."""
    needs("openssl", "openssl")
    command = ["openssl", "s_client", "-connect", place.address, *options]
    return subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=20).stdout


def agreed(told: str) -> str:
    """The version that both agreed on; "" for none."""
    line = next((line for line in told.splitlines() if line.startswith("New, ")), "New, (NONE)")
    return "" if "(NONE)" in line else line.split(", ")[1].removeprefix("TLSv1/SSLv3")


OLD = ("-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.parametrize(
    ("section", "options", "works"),
    [
        ("", ("-tls1_3",), True),
        ("", ("-tls1_2",), True),
        ("", ("-tls1_1", *OLD), False),
        ("min_version: TLS13", ("-tls1_2",), False),
        ("min_version: TLS13", ("-tls1_3",), True),
        ("max_version: TLS12", ("-tls1_3",), False),
        ("max_version: TLS12", ("-tls1_2",), True),
        ("min_version: TLS11", ("-tls1_1", *OLD), True),
        ("min_version: TLS11", ("-tls1", *OLD), False),
        ("min_version: TLS10", ("-tls1", *OLD), True),
        (
            "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            True,
        ),
        (
            "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            False,
        ),
        ("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", ("-tls1_3",), True),
        ("curve_preferences: [CurveP384]", ("-curves", "P-384"), True),
        ("curve_preferences: [CurveP384]", ("-curves", "X25519"), False),
        ("curve_preferences: [X25519]", ("-curves", "X25519"), True),
    ],
)
def test_versions_ciphers_and_curves(secured, section, options, works) -> None:
    with secured(f"{PAIR}, {section}" if section else PAIR) as place:
        told = handshake(place, *options)

    assert ("Cipher is (NONE)" not in told and "New, " in told) is works, told


@pytest.mark.parametrize(
    ("prefers", "cipher"), [("true", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("false", "ECDHE-ECDSA-AES128-GCM-SHA256")]
)
def test_whose_order_of_ciphers_counts(secured, prefers, cipher) -> None:
    section = (
        f"{PAIR}, max_version: TLS12, prefer_server_cipher_suites: {prefers}, cipher_suites: "
        "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
    )
    with secured(section) as place:
        told = handshake(place, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")

    assert f"Cipher is {cipher}" in told


def test_curl_is_served_with_its_certificate(secured, folder) -> None:
    needs("curl", "curl")
    with secured(f"{CHECKED}: RequireAndVerifyClientCert") as place:
        command = [
            "curl",
            "-sS",
            "--cacert",
            folder / "ca.pem",
            "--cert",
            folder / "client.pem",
            "--key",
            folder / "client-key.pem",
        ]
        told = subprocess.run(
            [*command, f"https://localhost:{place.port}/"], capture_output=True, text=True, check=False, timeout=20
        )

    assert (told.stdout, told.stderr) == (NAMED, "")


# Silent and slow clients.


def test_silent_clients_hold_up_nobody_and_are_put_out(secured, folder, monkeypatch) -> None:
    monkeypatch.setattr("exporter.server.HANDSHAKE", 0.5)
    with secured(PAIR) as place:
        silent = [socket.create_connection(("127.0.0.1", place.port), 5) for _ in range(50)]
        began = time.monotonic()
        assert asked(place, trusting(folder)) == "nobody"
        assert time.monotonic() - began < 2
        for each in silent:
            with suppress(ConnectionError):
                assert each.recv(100) == b""
            each.close()


# What changes while it runs.


def peer(place: Exposed, folder: Path, authority: str = "ca") -> str:
    """The serial number of the certificate that is shown."""
    context = trusting(folder, authority=authority)
    plain = socket.create_connection(("127.0.0.1", place.port), 5)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        return str((connection.getpeercert() or {})["serialNumber"])


def test_a_new_certificate_is_shown_within_a_second(secured, folder, authority) -> None:
    with secured(PAIR) as place:
        before = peer(place, folder)
        renew(place, folder, authority)

        assert peer(place, folder) != before


def renew(place: Exposed, folder: Path, authority: trustme.CA) -> None:
    """A new pair in the place of the server's, as a renewal writes it: one file after the other."""
    made = authority.issue_cert("localhost", "127.0.0.1")
    place.rewrite(folder / "server-key.pem", made.private_key_pem.bytes())
    place.rewrite(folder / "server.pem", made.cert_chain_pems[0].bytes())


def test_other_files_may_be_named_and_are_watched_from_then_on(secured, folder, authority) -> None:
    certify(folder, authority, "second", "localhost")
    with secured(PAIR) as place:
        first = peer(place, folder)
        place.rewrite(folder / "web.yml", "tls_server_config: {cert_file: second.pem, key_file: second-key.pem}\n")
        second = peer(place, folder)
        certify(folder, authority, "second", "localhost")
        place.settle()

        assert len({first, second, peer(place, folder)}) == 3


def test_half_of_a_renewal_keeps_the_old_pair_until_the_other_half_is_there(secured, folder, authority) -> None:
    with secured(PAIR) as place:
        before = peer(place, folder)
        made = authority.issue_cert("localhost")
        place.rewrite(folder / "server-key.pem", made.private_key_pem.bytes())
        assert peer(place, folder) == before
        assert place.web.numbers()[WebFile.SUCCESSFUL] == 0
        place.rewrite(folder / "server.pem", made.cert_chain_pems[0].bytes())

        assert peer(place, folder) != before
        assert place.web.numbers()[WebFile.SUCCESSFUL] == 1


def test_another_client_authority_takes_the_place_of_the_first(secured, folder) -> None:
    with secured(f"{CHECKED}: RequireAndVerifyClientCert") as place:
        assert is_served(place, trusting(folder, "client"))
        place.rewrite(folder / "ca.pem", (folder / "stranger-ca.pem").read_bytes())
        (folder / "old-ca.pem").write_bytes(b"")

        assert not is_served(place, trusted_by(folder, "client"))
        assert is_served(place, trusted_by(folder, "stranger"))


def trusted_by(folder: Path, client: str) -> ssl.SSLContext:
    """A client's context that does not look at the server, whose authority is not on the disk any more."""
    context = trusting(folder, client)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_renewal_under_200_scrapes_a_second_loses_none(secured, folder, authority) -> None:
    lost: list[Exception] = []
    stop = threading.Event()
    with secured(PAIR) as place:
        scrapers = [threading.Thread(target=scrape, args=(place, folder, stop, lost)) for _ in range(4)]
        for each in scrapers:
            each.start()
        for _ in range(5):
            time.sleep(0.4)
            renew(place, folder, authority)
        stop.set()
        for each in scrapers:
            each.join()

    assert lost == []


def scrape(place: Exposed, folder: Path, stop: threading.Event, lost: list[Exception]) -> None:
    """Fifty scrapes a second, each tenth on a connection of its own."""
    context = trusting(folder)
    ask = partial(http.client.HTTPSConnection, "localhost", place.port, context=context, timeout=10)
    connection, number = ask(), 0
    while not stop.wait(0.02):
        number += 1
        if number % 10 == 0:
            connection.close()
            connection = ask()
        try:
            connection.request("GET", "/quick")
            assert connection.getresponse().read() == b"nobody"
        except Exception as error:  # noqa: BLE001 - each kind is a lost scrape
            lost.append(error)
    connection.close()


def test_a_certificate_that_is_gone_leaves_the_last_one_in_force(secured, folder) -> None:
    with secured(PAIR) as place:
        before = peer(place, folder)
        (folder / "server.pem").unlink()
        place.settle()

        assert peer(place, folder) == before
