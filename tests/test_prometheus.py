"""The real Prometheus scrapes the demo: all of /metrics, and one target for each operation by way of /sd."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from conftest import needs
from exposed import certify, hashed
from processes import LOOPBACK, Program, ask, free_port, program, running, wait_for

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]

OPERATIONS = ["altiplano-bo", "andina-co", "austral-cl", "caribe-do", "pacifico-pe"]
COMPLAINT = re.compile("level=(warn|error)(?!.*SIGTERM)|[Dd]uplicate|append failed")
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: wolkvox
    static_configs: [{{targets: ['{0}']}}]
  - job_name: wolkvox-operations
    http_sd_configs: [{{url: 'http://{0}/sd', refresh_interval: 1s}}]
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Program]:
    needs("prometheus", "prometheus")
    with running("demo", LOOPBACK, "--seconds=1") as started:
        for name in OPERATIONS:
            started.shows(rf'wolkvox_routing_point_flow_active\{{.*operation="{name}".*')
            started.shows(rf'wolkvox_token_calls_limit\{{operation="{name}"\}} .*')
        yield started


@pytest.fixture(scope="module")
def server(demo, tmp_path_factory) -> Iterator[str]:
    """Prometheus, which scrapes the demo every second: its address."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(demo.address))
    address = f"127.0.0.1:{free_port()}"
    with program(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        "--log.level=debug",
    ) as started:
        started.says("Server is ready to receive web requests")
        wait_for(lambda: len(query(address, "sum_over_time(up[1m]) >= 4")) == 1 + len(OPERATIONS))
        yield address
        assert not [line for line in started.log.splitlines() if COMPLAINT.search(line)]


def query(server: str, expression: str) -> list[dict[str, Any]]:
    return list(ask(server, f"/api/v1/query?query={quote(expression)}").json["data"]["result"])


def test_every_target_is_up_and_discovery_brings_one_for_each_operation(server) -> None:
    found = {(each["metric"]["job"], each["metric"]["instance"]): each["value"][1] for each in query(server, "up")}

    operations = {instance for job, instance in found if job == "wolkvox-operations"}
    assert operations == set(OPERATIONS)
    assert set(found.values()) == {"1"}


def test_a_target_of_discovery_has_its_own_operation_alone(server) -> None:
    found = query(server, 'count by (instance, operation) ({job="wolkvox-operations", operation!=""})')

    assert {(each["metric"]["instance"], each["metric"]["operation"]) for each in found} == {
        (name, name) for name in OPERATIONS
    }


def test_all_operations_are_on_the_one_page_too(server) -> None:
    found = query(server, 'count by (operation) (wolkvox_connector_info{job="wolkvox"})')

    assert sorted(each["metric"]["operation"] for each in found) == OPERATIONS


def test_no_sample_is_told_twice(server) -> None:
    scraped, kept = (
        query(server, f'max_over_time(scrape_samples_{word}{{job="wolkvox"}}[1m:1s])')[0]["value"][1]
        for word in ("scraped", "post_metric_relabeling")
    )
    targets = ask(server, "/api/v1/targets").json["data"]["activeTargets"]

    assert scraped == kept
    assert {(each["health"], each["lastError"]) for each in targets} == {("up", "")}


def test_promtool_finds_nothing_to_say(demo) -> None:
    page = demo.get("/metrics").body

    checked = subprocess.run(["promtool", "check", "metrics"], check=False, input=page, capture_output=True, timeout=20)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


GUARDED = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: wolkvox
    scheme: https
    basic_auth: {{username: {user}, password: {password}}}
    tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client-key.pem, server_name: localhost}}
    static_configs: [{{targets: ['{target}']}}]
"""


def test_prometheus_scrapes_behind_tls_a_client_certificate_and_a_password(tmp_path) -> None:
    needs("prometheus", "prometheus")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certify(tmp_path, authority, "server", "localhost")
    certify(tmp_path, authority, "client", "prometheus")
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: server.pem, key_file: server-key.pem, client_ca_file: ca.pem, "
        "client_auth_type: RequireAndVerifyClientCert}\n"
        f"basic_auth_users: {{prometheus: {hashed('right')}, team: {hashed('theirs')}}}\n"
        f"wolkvox_exporter: {{users: {{team: [{OPERATIONS[0]}]}}}}\n"
    )
    with running("demo", LOOPBACK, "--seconds=1", f"--web.config.file={tmp_path}/web.yml") as demo:
        seen = {
            user: seen_by(user, password, demo, tmp_path)
            for user, password in (("prometheus", "right"), ("team", "theirs"))
        }

    assert seen == {"prometheus": OPERATIONS, "team": OPERATIONS[:1]}


def seen_by(user: str, password: str, demo: Program, certificates: Path) -> list[str]:
    """The operations that a Prometheus with this login sees."""
    folder, address = certificates / user, f"127.0.0.1:{free_port()}"
    folder.mkdir()
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        (folder / name).write_bytes((certificates / name).read_bytes())
    (folder / "prometheus.yml").write_text(GUARDED.format(user=user, password=password, target=demo.address))
    with program(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ) as started:
        started.says("Server is ready to receive web requests")
        wait_for(lambda: query(address, "sum_over_time(up[1m]) >= 2"))
        found = query(address, "count by (operation) (wolkvox_operation_info)")
    return sorted(each["metric"]["operation"] for each in found)
