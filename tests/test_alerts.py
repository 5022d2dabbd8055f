"""The alert rules, their own tests and the files that bring them to Prometheus, judged by the real programs."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml
from conftest import needs
from processes import ask, free_port, program, wait_for

from exporter.exposition import families
from exporter.lists import LISTS

ROOT = Path(__file__).parent.parent
RULES = sorted((ROOT / "alerts").glob("*.yml"))
TESTS = sorted((ROOT / "alerts" / "tests").glob("*.yml"))
DEPLOY = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
BASE = "https://github.com/wolkvox-exporter/wolkvox-exporter/blob/main/docs/runbook.md"
NAME = re.compile(r"\b(?:[a-z_]+:wolkvox_\w+:\w+|(?:wolkvox|process|python)_\w+)")
HEAD = """\
# For the Prometheus operator: the rules of alerts/, written by `make golden`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: wolkvox-exporter
  labels:
    app.kubernetes.io/name: wolkvox-exporter
spec:
  groups:
"""


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules_of(path: Path) -> list[dict[str, Any]]:
    return [rule for group in loaded(path)["groups"] for rule in group["rules"]]


def cases() -> Iterator[dict[str, Any]]:
    """What the tests in alerts/tests say of one alert at one time."""
    for path in TESTS:
        for test in loaded(path)["tests"]:
            yield from test["alert_rule_test"]


ALL = [rule for path in RULES for rule in rules_of(path)]
ALERTS = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDED = {rule["record"] for rule in ALL if "record" in rule}


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the real programs ---


@pytest.mark.prometheus
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_promtool_accepts_the_rules(path: Path) -> None:
    needs("promtool", "prometheus")

    passes("promtool", "check", "rules", "--lint-fatal", path)


@pytest.mark.prometheus
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_rules_pass_their_own_tests(path: Path) -> None:
    needs("promtool", "prometheus")

    passes("promtool", "test", "rules", path)


@pytest.mark.prometheus
@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-http-sd.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    needs("promtool", "prometheus")

    passes("promtool", "check", "config", DEPLOY / name)


@pytest.mark.prometheus
def test_amtool_accepts_the_configuration() -> None:
    needs("amtool", "prometheus-alertmanager")

    passes("amtool", "check-config", DEPLOY / "alertmanager.yml")


# --- each alert is whole ---


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_severity_texts_and_a_section_of_the_runbook(name: str) -> None:
    texts = ALERTS[name]["annotations"]

    assert ALERTS[name]["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert texts["runbook_url"] == f"{BASE}#{name.lower()}"
    assert re.search(f"^### {name}$", RUNBOOK, re.MULTILINE)


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    assert sorted(re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_firing_and_a_silent_test(name: str) -> None:
    firing = [bool(case.get("exp_alerts")) for case in cases() if case["alertname"] == name]

    assert set(firing) == {True, False}


def test_the_tests_know_no_alert_that_is_gone() -> None:
    assert {case["alertname"] for case in cases()} == set(ALERTS)


def test_every_expected_alert_has_its_texts() -> None:
    expected = [alert for case in cases() for alert in case.get("exp_alerts", [])]

    assert all(set(alert["exp_annotations"]) == {"summary", "description", "runbook_url"} for alert in expected)


def test_links_within_the_runbook_lead_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)}

    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= headings


# --- names ---


def known() -> set[str]:
    """Every metric that the exporter has, by its code and by its documentation."""
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {*documented, *(family.name for family in families(LISTS)), *RECORDED}


@pytest.mark.parametrize("path", [*RULES, *TESTS, ROOT / "docs" / "runbook.md"], ids=lambda path: path.name)
def test_only_metrics_that_exist_are_named(path: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert set(NAME.findall(text)) <= known()


def test_the_runbook_lists_every_recording_rule() -> None:
    assert set(re.findall(r"`(\w+:\w+:\w+)`", RUNBOOK)) == RECORDED


def test_the_job_is_needed_for_up_alone() -> None:
    expressions = [re.sub(r'up\{job="wolkvox"\}', "", rule["expr"]) for rule in ALL]

    assert not any("job=" in expression for expression in expressions)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_a_rule_needs_no_other_file(path: Path) -> None:
    own = {rule["record"] for rule in rules_of(path) if "record" in rule}

    assert {name for rule in rules_of(path) for name in NAME.findall(rule["expr"]) if ":" in name} <= own


# --- what brings the rules to Prometheus ---


@pytest.mark.golden
def test_the_prometheusrule_is_made_of_the_rules() -> None:
    groups = "".join(path.read_text(encoding="utf-8").partition("groups:\n")[2] for path in RULES)
    text, path = HEAD + indent(groups, "  "), DEPLOY / "prometheusrule.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == text, "if that is what it should say now: make golden"
    assert loaded(path)["spec"]["groups"] == [group for each in RULES for group in loaded(each)["groups"]]


def test_every_way_of_scraping_gives_the_job_its_name() -> None:
    plain, by_sd = loaded(DEPLOY / "prometheus.yml"), loaded(DEPLOY / "prometheus-http-sd.yml")
    monitor = loaded(DEPLOY / "servicemonitor.yaml")["spec"]["endpoints"]
    configs = [each["spec"] for each in yaml.safe_load_all((DEPLOY / "scrapeconfig.yaml").read_text())]
    renamed = {"targetLabel": "job", "replacement": "wolkvox"}

    assert [job["job_name"] for job in plain["scrape_configs"]] == ["wolkvox"]
    assert by_sd["scrape_configs"][0]["job_name"] == "wolkvox"
    assert by_sd["scrape_configs"][1]["relabel_configs"] == [{"target_label": "job", "replacement": "wolkvox"}]
    assert all(each["relabelings"] == [renamed] for each in (*monitor, *configs))


def test_discovery_brings_no_operation_twice() -> None:
    (keep,) = loaded(DEPLOY / "prometheus-http-sd.yml")["scrape_configs"][1]["metric_relabel_configs"]
    (operator,) = list(yaml.safe_load_all((DEPLOY / "scrapeconfig.yaml").read_text()))[1]["spec"]["metricRelabelings"]
    kept = {name for name in known() if re.fullmatch(keep["regex"], name)}

    assert keep["action"] == operator["action"] == "keep"
    assert keep["regex"] == operator["regex"]
    assert not {family.name for family in families(LISTS) if "operation" in family.labels} & kept
    assert {name for name in known() if name.startswith("wolkvox_exporter_")} <= kept


# --- Alertmanager ---


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory) -> Iterator[str]:
    """The address of a real Alertmanager with the configuration that is shipped."""
    needs("prometheus-alertmanager", "prometheus-alertmanager")
    address, folder = f"127.0.0.1:{free_port()}", tmp_path_factory.mktemp("alertmanager")
    with program(
        "prometheus-alertmanager",
        f"--config.file={DEPLOY / 'alertmanager.yml'}",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ):
        wait_for(lambda: is_ready(address))
        yield address


def is_ready(address: str) -> bool:
    try:
        return ask(address, "/-/ready").status == 200
    except ConnectionRefusedError:
        return False


def heard(address: str, operation: str, *alerts: str, **labels: str) -> dict[str, dict[str, Any]]:
    """Sends these alerts of one operation; how each then stands."""
    sent = [
        {"labels": {"alertname": name, "severity": ALERTS[name]["labels"]["severity"], "operation": operation} | labels}
        for name in alerts
    ]
    assert ask(address, "/api/v2/alerts", "POST", sent, Content_Type="application/json").status == 200

    def shown() -> dict[str, dict[str, Any]]:
        listed = ask(address, f"/api/v2/alerts?filter=operation%3D{operation}").json
        return {alert["labels"]["alertname"]: alert for alert in listed}

    wait_for(lambda: set(alerts) <= set(shown()))
    return shown()


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("cause", "effects"),
    [
        ("WolkvoxTokenRejected", ["WolkvoxOperationUnreachable", "WolkvoxDataStale"]),
        ("WolkvoxQuotaReached", ["WolkvoxOperationUnreachable", "WolkvoxDataStale", "WolkvoxQuotaNearlyUsed"]),
        ("WolkvoxTokenBusy", ["WolkvoxDataStale"]),
        ("WolkvoxOperationUnreachable", ["WolkvoxDataStale"]),
        ("WolkvoxChannelEmpty", ["WolkvoxConnectorsBelowExpected"]),
    ],
)
def test_a_cause_silences_what_it_causes_in_its_own_operation(alertmanager, cause: str, effects: list[str]) -> None:
    others = heard(alertmanager, f"other-{cause}", *effects, channel="email")
    own = heard(alertmanager, f"own-{cause}", cause, *effects, channel="email")

    assert {name for name, alert in own.items() if alert["status"]["state"] == "suppressed"} == set(effects)
    assert others[effects[0]]["status"]["state"] == "active"


@pytest.mark.prometheus
def test_a_removed_connector_is_told_beside_the_lost_channel(alertmanager) -> None:
    told = heard(alertmanager, "beside", "WolkvoxConnectorRemoved", "WolkvoxChannelEmpty", channel="email")

    assert [alert["status"]["state"] for alert in told.values()] == ["active", "active"]


@pytest.mark.prometheus
def test_severities_reach_their_receivers(alertmanager) -> None:
    told = heard(alertmanager, "routes", "WolkvoxConnectorRemoved", "WolkvoxConnectorRerouted", "WolkvoxConnectorAdded")

    assert {name: [each["name"] for each in alert["receivers"]] for name, alert in told.items()} == {
        "WolkvoxConnectorRemoved": ["on-call"],
        "WolkvoxConnectorRerouted": ["team"],
        "WolkvoxConnectorAdded": ["news"],
    }
