"""The whole chain with real parts: simulator, exporter, Prometheus, Alertmanager, and a receiver that writes down.

The rules and alertmanager.yml are the shipped ones on a faster clock, see scaled.py: a minute is a second. What happens
to the connectors and to a token is told by name, each thing once, and nothing else is told.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import scaled
import yaml
from conftest import CANARY, needs
from processes import LOOPBACK, Program, Upstream, ask, free_port, program, running, upstream, wait_for

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]

RUNBOOK = "https://github.com/wolkvox-exporter/wolkvox-exporter/blob/main/docs/runbook.md"
PATIENCE = 120.0  # seconds; what is waited for comes within 40 on a quiet machine, and within the scaled day at the end
TOKENS = 10.0  # seconds within which a new secret is noticed
SLACK = 5.0  # for a turn, a call, and a busy machine
INTERVAL = 5.0
CONFIG = """
operations:
  - {{name: acme, server: "0010", token_file: secrets/acme, expect: {{whatsapp: 2}}}}
  - {{name: beta, server: "0010", token_file: secrets/beta}}
  - {{name: calm, server: "0010", token_file: secrets/calm}}
poll: {{connectors: 5s, routing_points: 10s, token_info: 1m}}
upstream: {{base_url: '{url}', simulator: true, timeout: 5s}}
"""
PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}}
rule_files: [rules/*.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}
scrape_configs: [{{job_name: wolkvox, static_configs: [{{targets: ['{exporter}']}}]}}]
"""
SALES = {"channel": "whatsapp", "connector_id": "12", "rp_id": "5", "name": "Ventas"}
HELP = {"channel": "whatsapp", "connector_id": "14", "rp_id": "5", "name": "Soporte"}
INBOX = {"channel": "email", "connector_id": "13", "rp_id": "9", "name": "Buzón"}
MISLED = {**HELP, "rp_id": "9"}
POINTS = [
    {"rp_id": "5", "rp_name": "Menú principal", "chat_active": "yes"},
    {"rp_id": "9", "rp_name": "Correo", "chat_active": "no", "interaction_active": "yes"},
]

Labels = frozenset[tuple[str, str]]


class Text(NamedTuple):
    """Who was told, and in which words."""

    receiver: str
    summary: str
    description: str
    runbook_url: str


class Receiver:
    """Alertmanager's webhooks: everything that was told, by status and labels."""

    def __init__(self) -> None:
        self.told: dict[str, dict[Labels, Text]] = {"firing": {}, "resolved": {}}
        self.faults: list[str] = []

    def take(self, path: str, body: Any) -> None:
        """One notification; an alert that is told again must be told in the same words."""
        for alert in body["alerts"]:
            labels, text = frozenset(alert["labels"].items()), Text(path, **alert["annotations"])
            before = self.told[alert["status"]].setdefault(labels, text)
            if before != text:
                self.faults.append(f"{before} became {text}")

    @property
    def firing(self) -> dict[Labels, Text]:
        return dict(self.told["firing"])

    @property
    def resolved(self) -> dict[Labels, Text]:
        return dict(self.told["resolved"])


@contextmanager
def listening(receiver: Receiver) -> Iterator[str]:
    """The receiver on a port of loopback: its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Chain:
    """All parts, from the accounts upstream to what a person is told."""

    def __init__(self, folder: Path, started: ExitStack) -> None:
        needs("prometheus", "prometheus")
        needs("prometheus-alertmanager", "prometheus-alertmanager")
        self.folder = folder
        self.receiver = Receiver()
        self.upstream: Upstream = started.enter_context(upstream(INTERVAL))
        self.exporter = started.enter_context(self._exporter())
        for name in ("acme", "beta", "calm"):
            self.exporter.shows(rf'wolkvox_routing_point_flow_active\{{.*operation="{name}".*')
        self.alertmanager = self._alertmanager(started.enter_context(listening(self.receiver)), started)
        self.prometheus = self._prometheus(started)

    def _exporter(self) -> Any:
        for name in ("acme", "beta", "calm"):
            self.upstream.say("PUT", f"accounts/{name}", {"token": token(name), "server": "0010", "limit": 1_000_000})
            self.connect(name, SALES, HELP, INBOX)
            self.upstream.say("PUT", f"accounts/{name}/routing_points", POINTS)
            self.secret(name, token(name))
        config = self.folder / "config.yaml"
        config.write_text(CONFIG.format(url=self.upstream.url))
        return running(f"--config.file={config}", f"--storage.path={self.folder / 'data'}", LOOPBACK)

    def _alertmanager(self, url: str, started: ExitStack) -> str:
        address = f"127.0.0.1:{free_port()}"
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(scaled.alertmanager(url)))
        command = (
            "prometheus-alertmanager",
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        )
        self._ready(started.enter_context(program(*command)), address)
        return address

    def _prometheus(self, started: ExitStack) -> str:
        address = f"127.0.0.1:{free_port()}"
        (self.folder / "rules").mkdir()
        for path in (scaled.ROOT / "alerts").glob("*.yml"):
            (self.folder / "rules" / path.name).write_text(yaml.safe_dump(scaled.rules(path), sort_keys=False))
        targets = {"alertmanager": self.alertmanager, "exporter": self.exporter.address}
        (self.folder / "prometheus.yml").write_text(PROMETHEUS.format(**targets))
        command = (
            "prometheus",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            f"--web.listen-address={address}",
        )
        self._ready(started.enter_context(program(*command)), address)
        return address

    @staticmethod
    def _ready(started: Program, address: str) -> None:
        def answers() -> bool:
            assert started.process.poll() is None, started.log
            try:
                return ask(address, "/-/ready").status == 200
            except ConnectionRefusedError:
                return False

        wait_for(answers)

    def secret(self, name: str, text: str) -> None:
        path = self.folder / "secrets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def connect(self, name: str, *rows: Mapping[str, str]) -> None:
        """These are the account's connectors from now on."""
        self.upstream.say("PUT", f"accounts/{name}/connectors", rows)

    def tokens(self, name: str, **words: str) -> None:
        self.upstream.say("POST", f"accounts/{name}/tokens", words)

    def changed(self, kind: str, after: str) -> str:
        """When that change was believed, as an alert tells it."""

        def found() -> list[float]:
            told = self.exporter.get("/api/v1/changes").json["changes"]
            return [each["at"] for each in told if (each["change"], each["after"]) == (kind, after)]

        moment = datetime.fromtimestamp(int(wait_for(found, PATIENCE)[0]), UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC"

    def suppressed(self, operation: str) -> set[str]:
        """The alerts of the operation that burn and are not told, because another one says why."""
        listed = ask(self.alertmanager, f"/api/v2/alerts?filter=operation%3D{operation}").json
        return {alert["labels"]["alertname"] for alert in listed if alert["status"]["state"] == "suppressed"}

    def burning(self) -> list[Any]:
        """Everything that Prometheus or Alertmanager still has."""
        told = ask(self.prometheus, "/api/v1/alerts").json["data"]["alerts"]
        return [*told, *ask(self.alertmanager, "/api/v2/alerts").json]

    def ill_rules(self) -> list[Any]:
        """The rules that Prometheus could not evaluate."""
        groups = ask(self.prometheus, "/api/v1/rules").json["data"]["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    def news(self, before: Mapping[Labels, Text], expected: Mapping[Labels, Text]) -> dict[Labels, Text]:
        """What was told since then, as soon as everything that is expected is among it; what there is, if it is not."""

        def fresh() -> dict[Labels, Text]:
            return {labels: text for labels, text in self.receiver.firing.items() if labels not in before}

        with suppress(AssertionError):
            wait_for(lambda: fresh().keys() >= expected.keys(), PATIENCE)
        return fresh()


def token(name: str) -> str:
    return f"{CANARY}-{name}"


# --- what happens, step by step, and what is told of it ---

Told = dict[Labels, Text]
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "news"}


def told(name: str, severity: str, summary: str, description: str, labels: Mapping[str, str]) -> Told:
    """One alert as it reaches its receiver."""
    text = Text(f"/{RECEIVERS[severity]}", summary, description, f"{RUNBOOK}#{name.lower()}")
    return {frozenset({"alertname": name, "severity": severity, **labels}.items()): text}


def labels(row: Mapping[str, str], *names: str, **more: str) -> dict[str, str]:
    """The labels of a connector of acme: these fields of its row, and others."""
    return {"operation": "acme"} | {name: row[name] for name in ("channel", "connector_id", "name", *names)} | more


def a_connector_is_deleted(chain: Chain) -> Told:
    chain.connect("acme", HELP, INBOX)

    when = chain.changed("removed", "")
    return told(
        "WolkvoxConnectorRemoved",
        "critical",
        "acme: whatsapp connector 12 (Ventas) was removed",
        f"Since {when} wolkvox no longer lists connector 12 (Ventas), channel whatsapp. It led to routing point 5 (Menú"
        " principal). What customers write there reaches nobody.",
        labels(SALES, change="removed", before="5", before_name="Menú principal"),
    ) | told(
        "WolkvoxConnectorsBelowExpected",
        "critical",
        "acme: channel whatsapp has fewer connectors than expected",
        "Channel whatsapp of operation acme has 1 connectors, the configuration expects 2.",
        {"operation": "acme", "channel": "whatsapp"},
    )


def another_is_led_where_chat_is_off(chain: Chain) -> Told:
    chain.connect("acme", MISLED, INBOX)

    when = chain.changed("rerouted", "9")
    return told(
        "WolkvoxConnectorRerouted",
        "warning",
        "acme: whatsapp connector 14 (Soporte) was rerouted",
        f"Since {when} connector 14 (Soporte), channel whatsapp, leads to routing point 9 (Correo); before, it led to"
        " routing point 5 (Menú principal).",
        labels(HELP, change="rerouted", before="5", before_name="Menú principal", after="9", after_name="Correo"),
    ) | told(
        "WolkvoxFlowOff",
        "critical",
        "acme: whatsapp connector 14 (Soporte) leads to a routing point whose flow is off",
        "Connector 14 (Soporte), channel whatsapp, leads to routing point 9 (Correo), where the flow that the channel"
        " needs is off: chat. What customers write there has nowhere to go.",
        labels(MISLED, "rp_id", reason="flow_off", flow="chat"),
    )


def a_token_is_revoked(chain: Chain) -> Told:
    chain.tokens("beta", revoke=token("beta"))

    return told(
        "WolkvoxTokenRejected",
        "critical",
        "beta: wolkvox rejects the token",
        "The token of operation beta was rejected, and no poll has succeeded since. Changes of its connectors are not"
        " seen until a new token is in place.",
        {"operation": "beta"},
    )


def the_connector_comes_back(chain: Chain) -> Told:
    chain.connect("acme", SALES, MISLED, INBOX)

    when = chain.changed("added", "5")
    return told(
        "WolkvoxConnectorAdded",
        "info",
        "acme: whatsapp connector 12 (Ventas) was added",
        f"Since {when} wolkvox lists connector 12 (Ventas), channel whatsapp. It leads to routing point 5 (Menú"
        " principal).",
        labels(SALES, change="added", after="5", after_name="Menú principal"),
    )


def the_other_is_led_back(chain: Chain) -> Told:
    chain.connect("acme", SALES, HELP, INBOX)

    when = chain.changed("rerouted", "5")
    return told(
        "WolkvoxConnectorRerouted",
        "warning",
        "acme: whatsapp connector 14 (Soporte) was rerouted",
        f"Since {when} connector 14 (Soporte), channel whatsapp, leads to routing point 5 (Menú principal); before, it"
        " led to routing point 9 (Correo).",
        labels(HELP, change="rerouted", before="9", before_name="Correo", after="5", after_name="Menú principal"),
    )


def a_new_secret_stands_in_the_file(chain: Chain) -> Told:
    """The one step that nothing is told of; by then the rejected token has silenced what it causes."""
    silenced = {"WolkvoxOperationUnreachable", "WolkvoxDataStale"}
    wait_for(lambda: chain.suppressed("beta") == silenced, PATIENCE)
    chain.tokens("beta", add=token("beta-2"))
    chain.secret("beta", token("beta-2"))

    def answered() -> list[int]:
        return [
            call["status"] for call in chain.upstream.calls("beta") if call["token_id"] == "beta#1" and call["ended"]
        ]

    assert wait_for(answered, TOKENS + SLACK)[0] == 200
    return {}


STEPS = (
    a_connector_is_deleted,
    another_is_led_where_chat_is_off,
    a_token_is_revoked,
    the_connector_comes_back,
    the_other_is_led_back,
    a_new_secret_stands_in_the_file,
)


@pytest.fixture
def chain(tmp_path) -> Iterator[Chain]:
    with ExitStack() as started:
        yield Chain(tmp_path, started)


def test_each_step_is_told_exactly_and_in_the_end_all_is_well(chain) -> None:
    everything: Told = {}
    for step in STEPS:
        expected = step(chain)
        fresh = chain.news(everything, expected)
        everything |= expected
        assert fresh == expected, step.__name__

    wait_for(lambda: not chain.burning(), PATIENCE)
    lasting = {labels: text for labels, text in everything.items() if text.receiver != "/news"}
    wait_for(lambda: chain.receiver.resolved.keys() >= lasting.keys())
    assert chain.receiver.firing == everything
    assert chain.receiver.resolved == lasting
    assert chain.receiver.faults == []
    assert chain.ill_rules() == []
    assert chain.upstream.say("GET", "report")["early"] == 0
