"""The compose files: what they mount is there, and the parts find each other by the files that they share."""

import json
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from dashboards.build import DASHBOARDS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
REAL = yaml.safe_load((FOLDER / "docker-compose.real.yml").read_text())
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
ALERTMANAGER = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alertmanager.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LISTENING = {10096: "exporter", 9090: "prometheus", 9093: "alertmanager", 3000: "grafana", 8080: "receiver"}


def mounts(service: str) -> dict[PurePosixPath, Path]:
    """Files and folders of this repository by where the service sees them."""
    parts = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return {PurePosixPath(there): FOLDER / here for here, there, *_ in parts if here.startswith(".")}


def seen(service: str, path: str) -> Path:
    """The file of this repository that the service sees under that path."""
    asked = PurePosixPath(path)
    for there, here in mounts(service).items():
        if asked.is_relative_to(there):
            return here / asked.relative_to(there)
    pytest.fail(f"{service} sees nothing of this repository under {path}")


def flag(service: str, name: str) -> str:
    """The value of a flag on the service's command line."""
    value: str
    (value,) = [text.partition("=")[2] for text in SERVICES[service]["command"] if text.startswith(f"--{name}=")]
    return value


def provisioned(name: str) -> Any:
    return yaml.safe_load((FOLDER / "grafana" / name).read_text())


@pytest.mark.parametrize("service", SERVICES)
def test_everything_that_is_mounted_is_there(service: str) -> None:
    assert all(here.exists() for here in mounts(service).values())


@pytest.mark.parametrize("service", SERVICES)
def test_named_volumes_are_declared(service: str) -> None:
    named = {volume.split(":")[0] for volume in SERVICES[service].get("volumes", []) if not volume.startswith(".")}

    assert named <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", SERVICES)
def test_images_have_a_version(service: str) -> None:
    image, _, tag = SERVICES[service]["image"].partition(":")

    assert image == "wolkvox-exporter" or tag.lstrip("v").replace(".", "").isdigit()


def test_all_share_one_network_since_the_shared_files_say_localhost() -> None:
    modes = {name: service.get("network_mode") for name, service in SERVICES.items()}

    assert modes.pop("receiver") is None
    assert set(modes.values()) == {"service:receiver"}


def test_ports_are_open_on_this_host_alone() -> None:
    assert [port.split(":")[0] for port in SERVICES["receiver"]["ports"]] == ["127.0.0.1"] * 4


def test_the_exporter_plays_the_demo_unless_it_is_given_a_configuration() -> None:
    assert SERVICES["exporter"]["command"] == ["demo"]
    assert "demo" not in REAL["services"]["exporter"]["command"]


def test_the_real_configuration_keeps_the_storage() -> None:
    volumes = [volume.split(":") for volume in REAL["services"]["exporter"]["volumes"]]

    assert [parts[-1] for parts in volumes if parts[0] in REAL["volumes"]] == ["/var/lib/wolkvox-exporter"]


def test_prometheus_reads_the_shared_configuration_and_rules() -> None:
    configuration = seen("prometheus", flag("prometheus", "config.file"))
    folder = PurePosixPath(flag("prometheus", "config.file")).parent

    assert yaml.safe_load(configuration.read_text()) == PROMETHEUS
    for pattern in PROMETHEUS["rule_files"]:
        depth = pattern.count("../")
        inside = PurePosixPath(*folder.parts[: len(folder.parts) - depth], pattern.replace("../", ""))
        rules = seen("prometheus", str(inside))
        assert list(rules.parent.glob(rules.name)), pattern


def test_prometheus_finds_exporter_and_alertmanager() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    static = [*job["static_configs"], *PROMETHEUS["alerting"]["alertmanagers"][0]["static_configs"]]

    assert job["job_name"] == "wolkvox"
    assert [LISTENING[int(target.rpartition(":")[2])] for each in static for target in each["targets"]] == [
        "exporter",
        "alertmanager",
    ]


def test_alertmanager_reads_the_shared_configuration_and_finds_the_receiver() -> None:
    urls = [hook["url"] for receiver in ALERTMANAGER["receivers"] for hook in receiver["webhook_configs"]]

    assert yaml.safe_load(seen("alertmanager", flag("alertmanager", "config.file")).read_text()) == ALERTMANAGER
    assert all(url.startswith("http://localhost:8080/") for url in urls)


def test_the_data_source_is_the_default_one_of_the_kind_that_the_dashboards_choose() -> None:
    (source,) = provisioned("datasources.yml")["datasources"]

    assert source["isDefault"]
    assert LISTENING[int(source["url"].rpartition(":")[2])] == "prometheus"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    for name in DASHBOARDS:
        variable = json.loads((ROOT / "dashboards" / name).read_text())["templating"]["list"][0]
        assert (variable["name"], variable["query"]) == ("datasource", source["type"])
        assert "regex" not in variable


def test_grafana_finds_every_dashboard_and_begins_with_connectors() -> None:
    (provider,) = provisioned("dashboards.yml")["providers"]
    folder = seen("grafana", provider["options"]["path"])
    home = seen("grafana", SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert {path.name for path in folder.glob("*.json")} == set(DASHBOARDS)
    assert home.resolve() == ROOT / "dashboards" / "connectors.json"


def test_provisioning_files_are_where_grafana_looks() -> None:
    for kind in ("datasources", "dashboards"):
        assert seen("grafana", f"/etc/grafana/provisioning/{kind}/wolkvox.yml").name == f"{kind}.yml"


@pytest.fixture
def receiver(capsys: pytest.CaptureFixture[str]):
    """The address of the example receiver."""
    space: dict[str, Any] = {"__name__": "receiver"}
    source = FOLDER / "receiver.py"
    exec(compile(source.read_text(), source, "exec"), space)  # noqa: S102 - a script, not a module
    server = ThreadingHTTPServer(("127.0.0.1", 0), space["Receiver"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def send(address: str, body: bytes):
    with urlopen(Request(f"{address}/team", data=body), timeout=5) as answer:  # noqa: S310 - a loopback port
        return answer.status


def test_the_receiver_prints_a_line_for_each_alert(receiver, capsys) -> None:
    labels = {"alertname": "WolkvoxConnectorRemoved", "severity": "critical"}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": "acme-co lost whatsapp 12 Sales"}}

    assert send(receiver, json.dumps({"alerts": [alert]}).encode()) == 204
    assert capsys.readouterr().out == (
        "/team firing critical WolkvoxConnectorRemoved: acme-co lost whatsapp 12 Sales\n"
    )


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"alerts": [1]}', b"{}"])
def test_the_receiver_refuses_what_is_no_notification(receiver, body: bytes) -> None:
    with pytest.raises(HTTPError) as refused:
        send(receiver, body)

    assert refused.value.code == 400
    refused.value.close()
