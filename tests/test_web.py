"""The site over real sockets: what each path answers, to whom, in which format, and what it never says."""

import gzip
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from conftest import CANARY, START, Exporter, FakeClock, needs, setup_for
from processes import Reply, ask, free_port, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from exporter.encoding import LONGEST, Format
from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.model import Operation
from exporter.page import Page, Renderer
from exporter.server import ListenError, Server, bound
from exporter.simulator import Simulator
from exporter.site import Site
from exporter.state import Memory, OperationState, Snapshot, Standing, State
from exporter.vitals import Vitals
from exporter.web import Application
from exporter.wiring import vitals

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
NOW = START + 60
ODD = [
    "%00",
    "%ff%fe",
    "%0d%0aX-Evil:%201",
    "<script>alert(1)</script>",
    "a" * 20_000,
    "%F0%9F%92%A9",
    "acme%00",
    "../x",
]


class Visitor:
    """Asks one server."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **headers: str) -> Reply:
        return ask(self.address, path, **headers)

    def send(self, path: str, method: str) -> Reply:
        return ask(self.address, path, method)

    def raw(self, request: bytes) -> bytes:
        """The whole answer to bytes as they are."""
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def stall(self, path: str) -> socket.socket:
        """A client that asks and then reads nothing."""
        host, port = self.address.split(":")
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client


@contextmanager
def served(site: Site) -> Iterator[Visitor]:
    """A server of this site on a free port."""
    server = Server(Application(site), bound([("127.0.0.1", 0)]))
    server.start()
    try:
        yield Visitor(server.addresses[0])
    finally:
        server.quit()
        server.join()


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Iterator[State]:
    """One operation whose lists were polled once."""
    clock = FakeClock()
    with Simulator(now=clock.monotonic) as simulator:
        account = simulator.add("acme", token=CANARY, server="0010")
        account.route("5", "Main menu", chat="yes")
        account.connect("whatsapp", "12", rp_id="5", name="Sales")
        account.connect("email", "13", rp_id="5", name="Inbox")
        exporter = Exporter(tmp_path_factory.mktemp("data"), clock, setup_for(simulator, {"acme": CANARY}, clock))
        exporter.turns(30)
        yield exporter.state
        exporter.close()


@pytest.fixture(scope="module")
def page(state) -> Page:
    return Renderer(LISTS, vitals(about_process=True)).page(state)


@pytest.fixture(scope="module")
def site(page, state) -> Site:
    return Site(
        page=lambda: page,
        state=lambda: state,
        changes=lambda _since, _operation, _limit: [],
        is_alive=lambda: True,
        version="1.2.3",
        lists=LISTS,
        now=lambda: NOW,
    )


@pytest.fixture(scope="module")
def visit(site) -> Iterator[Visitor]:
    with served(site) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def big_page() -> Page:
    """A page that no socket's buffers hold."""
    rows = tuple(Connector("email", str(n), "5", "x" * LONGEST) for n in range(40_000))
    standing = Standing(snapshot=Snapshot(rows, 1.0), memory=Memory(first_seen={row.key: 1.0 for row in rows}))
    return page_of(OperationState(Operation("acme", "0010"), {"connectors": 300.0}, {"connectors": standing}))


def page_of(*operations: OperationState) -> Page:
    return Renderer(LISTS, Vitals()).page(State(operations))


def raising(fault: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise fault

    return fail


def test_metrics_are_all_families_of_all_operations(visit) -> None:
    reply = visit.get("/metrics")

    families = {family.name: family for family in text(reply.text)}
    assert reply.status == 200
    assert {"wolkvox_up", "wolkvox_polls", "wolkvox_exporter_build_info", "python_info"} <= families.keys()
    assert [each.labels["name"] for each in families["wolkvox_connector_info"].samples] == ["Sales", "Inbox"]


def test_metrics_without_those_of_the_process(state, site) -> None:
    bare = Renderer(LISTS, vitals(about_process=False)).page(state)

    with served(replace(site, page=lambda: bare)) as visitor:
        told = visitor.get("/metrics").text

    assert "wolkvox_exporter_build_info" in told
    assert "process_" not in told
    assert "python_" not in told


def test_the_telemetry_path_is_the_one_that_is_set(site) -> None:
    with served(replace(site, telemetry_path="/stats/wolkvox")) as visitor:
        assert visitor.get("/stats/wolkvox").status == 200
        assert visitor.get("/metrics").status == 404
        assert 'href="stats/wolkvox"' in visitor.get("/").text


def test_probe_is_one_operation_alone(visit) -> None:
    reply = visit.get("/probe?target=acme")

    names = {family.name for family in text(reply.text)}
    assert reply.status == 200
    assert {"wolkvox_connector_info", "wolkvox_up"} <= names
    assert not {name for name in names if name.startswith(("wolkvox_exporter_", "python_", "process_"))}


def test_probe_without_a_target_says_what_is_missing(visit) -> None:
    reply = visit.get("/probe")

    assert reply.status == 400
    assert reply.text == (
        "the parameter target is missing: it is the name of a configured operation, and /sd lists them, "
        "as in /probe?target=NAME\n"
    )


def test_probe_of_an_unknown_target_names_it(visit) -> None:
    reply = visit.get("/probe?target=acme-xx")

    assert reply.status == 400
    assert reply.text.startswith("unknown target 'acme-xx': it is the name of a configured operation")


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
def test_an_odd_query_is_answered_as_plain_text_in_one_line(visit, odd) -> None:
    head, _, body = visit.raw(f"GET /probe?target={odd} HTTP/1.0\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"text/plain" in head
    assert b"Evil" not in head
    assert body.decode().strip().isprintable()


def test_discovery_lists_a_target_for_each_operation(visit) -> None:
    reply = visit.get("/sd", Host="exporter.example:10096")

    assert reply.headers["content-type"] == "application/json"
    assert reply.json == [
        {
            "targets": ["exporter.example:10096"],
            "labels": {
                "__scheme__": "http",
                "__metrics_path__": "/probe",
                "__param_target": "acme",
                "instance": "acme",
            },
        }
    ]


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7:80", "[::1]:10096", "a-b_c.example:1", "[fe80::1]"])
def test_discovery_hands_a_host_on_that_is_one(visit, host) -> None:
    assert visit.get("/sd", Host=host).json[0]["targets"] == [host]


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "<b>", "a:b", "a:1:2", "]:[", "user@host", 'a"', "[::1", "a:123456"]
)
def test_discovery_refuses_a_host_that_is_none(visit, host) -> None:
    reply = visit.get("/sd", Host=host)

    assert (reply.status, reply.text) == (400, "the Host header is no host; set --web.external-url\n")


def test_discovery_works_without_any_host_header_when_the_external_url_is_set(site) -> None:
    with served(replace(site, external_url="https://metrics.example.com:8443/wolkvox/")) as visitor:
        answer = visitor.raw(b"GET /sd HTTP/1.0\r\n\r\n")

    (target,) = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert target["targets"] == ["metrics.example.com:8443"]
    assert target["labels"]["__scheme__"] == "https"
    assert target["labels"]["__metrics_path__"] == "/wolkvox/probe"


def test_healthy_while_turns_begin(site) -> None:
    with served(site) as visitor:
        assert visitor.get("/-/healthy").text == "wolkvox-exporter is healthy.\n"

    with served(replace(site, is_alive=lambda: False)) as visitor:
        reply = visitor.get("/-/healthy")

    assert (reply.status, reply.text) == (503, "no turn of the poller began in the last 60 s; look at the log\n")


def test_ready_with_the_first_page(visit) -> None:
    reply = visit.get("/-/ready")

    assert (reply.status, reply.text) == (200, "wolkvox-exporter is ready.\n")


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=acme", "/sd", "/-/ready"])
def test_before_the_first_page_each_says_so(site, path) -> None:
    with served(replace(site, page=lambda: None)) as visitor:
        reply = visitor.get(path)

        assert (reply.status, reply.text) == (503, "the first page is not rendered yet\n")
        assert visitor.get("/").status == 200
        assert visitor.get("/-/healthy").status == 200


def test_reload_over_http_must_be_allowed(visit) -> None:
    reply = visit.send("/-/reload", "POST")

    assert (reply.status, reply.text) == (403, "start with --web.enable-lifecycle to allow a reload over HTTP\n")


def test_the_status_page_is_the_first_one(visit) -> None:
    reply = visit.get("/")

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f'href="{path}"' in reply.text for path in ("metrics", "sd", "operations/acme", "-/ready"))


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/sd/", "/-/", "//", "/%00", "/metrics%0d%0aX-Evil:1"])
def test_an_unknown_path_is_404_and_leads_nowhere(visit, path) -> None:
    reply = visit.get(path)

    assert (reply.status, reply.text) == (404, "Not Found")
    assert "location" not in reply.headers


@pytest.mark.parametrize(
    ("path", "method"), [("/metrics", "POST"), ("/sd", "PUT"), ("/-/reload", "GET"), ("/", "DELETE")]
)
def test_a_wrong_method_is_405(visit, path, method) -> None:
    reply = visit.send(path, method)

    assert (reply.status, reply.text) == (405, "Method Not Allowed")


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=acme", "/sd", "/", "/-/healthy"])
def test_head_has_the_headers_without_the_body(visit, path) -> None:
    reply = visit.send(path, "HEAD")

    assert reply.status == 200
    assert int(reply.headers["content-length"]) > 0
    assert reply.body == b""


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,*/*;q=0.8", TEXT),
        ("application/json", TEXT),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0,*/*", TEXT),
        ("text/plain;version=1.0.0", TEXT_1),
        ("text/plain;version=0.0.4;q=0.3,text/plain;version=1.0.0;q=0.4", TEXT_1),
        ("application/openmetrics-text", OPENMETRICS),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
    ],
)
def test_the_format_is_the_one_that_is_wanted_most(visit, accept, form) -> None:
    reply = visit.get("/metrics", Accept=accept)

    assert reply.headers["content-type"] == form
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert reply.text.endswith("# EOF\n") == (form == OPENMETRICS)


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=acme"])
def test_openmetrics_is_read_by_its_strict_parser(visit, path) -> None:
    told = visit.get(path, Accept="application/openmetrics-text").text

    families = {family.name for family in openmetrics(told)}
    assert {"wolkvox_connectors", "wolkvox_polls"} <= families


@pytest.mark.parametrize(
    ("wanted", "compressed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("*", True),
        ("x-gzip;q=0.5", True),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("identity, gzip;q=0.5", False),
        ("br", False),
    ],
)
def test_the_page_is_compressed_for_those_who_want_it(visit, wanted, compressed) -> None:
    reply = visit.get("/probe?target=acme", Accept_Encoding=wanted)

    assert (reply.headers.get("content-encoding") == "gzip") == compressed
    plain = gzip.decompress(reply.body) if compressed else reply.body
    assert plain.startswith(b"# HELP wolkvox_operation_info ")


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_curl_reads_the_compressed_page(visit, accept) -> None:
    needs("curl", "curl")
    command = ["curl", "-sS", "--noproxy", "*", "--compressed", "-H", f"Accept: {accept}"]

    page = subprocess.run([*command, f"http://{visit.address}/metrics"], check=True, capture_output=True, timeout=20)

    assert page.stdout.startswith(b"# HELP wolkvox_operation_info ")
    assert b"wolkvox_exporter_build_info{" in page.stdout


def test_one_scrape_too_many_is_refused_until_a_reader_has_gone(site, big_page) -> None:
    with served(replace(site, page=lambda: big_page, max_requests=2)) as visitor, ExitStack() as clients:
        stalled = [clients.enter_context(visitor.stall(path)) for path in ("/metrics", "/probe?target=acme")]
        wait_for(lambda: visitor.get("/metrics").status == 503)
        reply = visitor.get("/probe?target=acme")

        assert reply.text == ("2 scrapes are under way, which is the limit (--web.max-requests); try again later\n")
        assert reply.headers["retry-after"] == "5"
        assert visitor.get("/-/healthy").status == 200
        stalled[0].close()
        wait_for(lambda: visitor.get("/metrics").status == 200)
        whole = visitor.get("/metrics").body

    assert whole == big_page.body(Format.TEXT, compress=False)


def test_without_a_limit_nobody_is_refused(site, big_page) -> None:
    with served(replace(site, page=lambda: big_page, max_requests=0)) as visitor, ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(visitor.stall("/metrics"))

        assert visitor.get("/metrics").status == 200


def test_requests_on_one_connection_are_answered_one_after_the_other(visit) -> None:
    first = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = visit.raw(first + last)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"wolkvox-exporter is ready.\n")


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=acme", "/sd", "/-/ready", "/"])
def test_a_page_that_fails_is_500_without_details_and_others_go_on(site, path, caplog) -> None:
    fails = raising(RuntimeError("boom-4711"))
    with served(replace(site, page=fails, state=fails, max_requests=1)) as visitor:
        replies = [visitor.get(path) for _ in range(3)]

        assert {(reply.status, reply.text) for reply in replies} == {(500, "Internal Server Error")}
        assert visitor.get("/-/healthy").status == 200
    assert "boom-4711" in caplog.text


def test_bytes_that_are_no_http_are_refused_and_others_go_on(visit, caplog) -> None:
    answer = visit.raw(b"\x16\x03\x01garbage\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert visit.get("/-/healthy").status == 200


def test_it_listens_on_several_addresses_of_both_families(site) -> None:
    server = Server(Application(site), bound([("127.0.0.1", 0), ("::1", 0), ("localhost", 0)]))
    server.start()

    v4, v6, named = server.addresses

    try:
        assert v4.startswith("127.0.0.1:")
        assert v6.startswith("[::1]:")
        assert {ask(each, "/-/ready").status for each in (v4, v6, named)} == {200}
    finally:
        server.quit()
        server.join()


def test_without_a_host_it_listens_on_all_addresses(site) -> None:
    server = Server(Application(site), bound([("", 0)]))
    server.start()
    port = server.addresses[0].rpartition(":")[2]

    try:
        assert {ask(f"{host}:{port}", "/-/ready").status for host in ("127.0.0.1", "[::1]")} == {200}
    finally:
        server.quit()
        server.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_said_and_the_other_sockets_are_closed(host) -> None:
    with closing(bound([(host, 0)])[0]) as holder:
        port = holder.getsockname()[1]
        other = free_port()

        with pytest.raises(ListenError) as refused:
            bound([("127.0.0.1", other), (host, port)])

    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert str(refused.value) == f"cannot listen on {place}: Address already in use"
    bound([("127.0.0.1", other)])[0].close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "a..b"])
def test_a_host_that_is_none_is_said(host) -> None:
    with pytest.raises(ListenError, match=f"^cannot listen on {host}:80: [A-Za-z]"):
        bound([(host, 80)])
