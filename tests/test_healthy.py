"""`healthy` asks the exporter beside it: what counts as health, and the sentence where there is none."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from processes import LOOPBACK, free_port, run, running

from exporter.flags import parse
from exporter.healthy import Verdict, judged, main, speaks_tls

PLAIN = "basic_auth_users: {}\n# tls_server_config: later\n"
TLS = "tls_server_config:\n  cert_file: server.crt\n"


@contextmanager
def answering(status: int, text: str = "", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of 127.0.0.1 where each request has this answer, over TLS if there is a context."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f"{self.path} {text}".encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority) -> ssl.SSLContext:
    """The server's side of TLS, with a certificate for a name that nobody asks for."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("metrics.example.com").configure_cert(made)
    return made


@pytest.fixture
def web_config(tmp_path) -> str:
    path = tmp_path / "web.yml"
    path.write_text(TLS)
    return f"--web.config.file={path}"


def verdict(port: int, *flags: str) -> Verdict:
    return judged(parse([f"--web.listen-address=127.0.0.1:{port}", *flags, "healthy"], {}))


def test_it_asks_the_exporter_that_has_the_same_flags() -> None:
    with running("demo", LOOPBACK) as demo:
        demo.says("/probe?target=")

        ended = run("healthy", f"--web.listen-address={demo.address}")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{demo.address} answers 200: wolkvox-exporter is healthy.\n"


@pytest.mark.parametrize("listen", [":{}", "0.0.0.0:{}", "127.0.0.1:{},:1"])
def test_all_addresses_are_asked_at_one_of_their_own(listen) -> None:
    with answering(200) as port:
        options = parse(["healthy"], {"WOLKVOX_EXPORTER_WEB_LISTEN_ADDRESS": listen.format(port)})

        assert judged(options) == Verdict(is_healthy=True, sentence=f"127.0.0.1:{port} answers 200: /-/healthy")


def test_all_addresses_of_ipv6_are_asked_there() -> None:
    with running("demo", "--web.listen-address=[::]:0") as demo:
        demo.says("/probe?target=")
        port = demo.out.partition("localhost:")[2].partition("/")[0]

        ended = run("healthy", f"--web.listen-address=[::]:{port}")

    assert ended.stdout == f"[::1]:{port} answers 200: wolkvox-exporter is healthy.\n"


def test_another_answer_is_told_on_one_line(capsys) -> None:
    with answering(503, "no turn\nof the poller") as port:
        code = main(parse([f"--web.listen-address=127.0.0.1:{port}", "healthy"], {}))

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert told.err == f"127.0.0.1:{port} answers 503: /-/healthy no turn\\nof the poller\n"


def test_who_asks_for_a_password_lives() -> None:
    with answering(401) as port:
        assert verdict(port) == Verdict(
            is_healthy=True, sentence=f"127.0.0.1:{port} lives, and asks for a password before it says more"
        )


def test_over_tls_any_certificate_will_do(context, web_config) -> None:
    with answering(200, context=context) as port:
        assert verdict(port, web_config).is_healthy


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_who_asks_for_a_certificate_lives(context, authority, web_config, version) -> None:
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    with answering(200, context=context) as port:
        assert verdict(port, web_config) == Verdict(
            is_healthy=True, sentence=f"127.0.0.1:{port} lives, and asks for a certificate before it says more"
        )


def test_tls_is_not_spoken_by_who_does_not_answer_it(web_config) -> None:
    with answering(503) as port:
        told = verdict(port, web_config)

    assert not told.is_healthy
    assert told.sentence.startswith(f"127.0.0.1:{port} does not answer: [SSL")


def test_nobody_there_is_said() -> None:
    port = free_port()

    ended = run("healthy", f"--web.listen-address=127.0.0.1:{port}")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"127.0.0.1:{port} does not answer: Connection refused\n"


@pytest.mark.slow
def test_it_waits_five_seconds_for_who_says_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]

        assert verdict(port) == Verdict(is_healthy=False, sentence=f"127.0.0.1:{port} does not answer: timed out")


def test_a_host_that_no_name_can_be_is_said() -> None:
    told = judged(parse([f"--web.listen-address={'a' * 70}.example:1", "healthy"], {}))

    assert not told.is_healthy


def test_a_port_that_nobody_can_know_is_said() -> None:
    assert verdict(0) == Verdict(is_healthy=False, sentence="port 0 is any free one and cannot be asked; name the port")


def test_a_web_configuration_that_is_gone_is_said(tmp_path) -> None:
    told = verdict(1, f"--web.config.file={tmp_path}/web.yml")

    assert told == Verdict(is_healthy=False, sentence=f"{tmp_path}/web.yml cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("text", "is_spoken"), [(PLAIN, False), (TLS, True), (PLAIN + TLS, True), ('{"tls_server_config": {}}', False)]
)
def test_tls_is_spoken_where_the_web_configuration_has_it(tmp_path, text, is_spoken) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)

    assert speaks_tls(parse([f"--web.config.file={path}"], {})) is is_spoken
    assert not speaks_tls(parse([], {}))


@pytest.mark.parametrize("is_secured", [True, False])
def test_a_web_configuration_that_looks_otherwise_than_it_is_misleads_nobody(tmp_path, context, is_secured) -> None:
    path = tmp_path / "web.yml"
    path.write_text("{tls_server_config: {}}\n" if is_secured else "tls_server_config:\n  # cert_file: later\n")
    with answering(200, context=context if is_secured else None) as port:
        verdict = judged(parse([f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={path}"], {}))

    assert verdict.is_healthy
