"""The Kubernetes files: valid, matched to each other and to the scrape configuration, and as strict as can be."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import run

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
NAME = "wolkvox-exporter"
LABELS = {"app.kubernetes.io/name": NAME}


def manifest(kind: str) -> Any:
    return yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())


SET = manifest("statefulset")
POD = SET["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
MOUNTS = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}


def validate(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("kubernetes-validate")), "--strict", *map(str, paths)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def test_kubernetes_takes_every_file() -> None:
    ended = validate(*FILES)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_key_that_kubernetes_does_not_know_would_be_found(tmp_path) -> None:
    faulty = tmp_path / "service.yaml"
    faulty.write_text((FOLDER / "service.yaml").read_text().replace("clusterIP:", "clusterIp:"))

    assert validate(faulty).returncode != 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_have_one_name_and_one_label(path) -> None:
    metadata = yaml.safe_load(path.read_text())["metadata"]

    assert metadata["name"].removesuffix("-tokens") == NAME
    assert metadata["labels"] == LABELS


def test_the_volumes_are_of_what_is_there() -> None:
    sources = {volume["name"]: volume for volume in POD["volumes"]}

    assert sources["config"]["configMap"]["name"] == manifest("configmap")["metadata"]["name"]
    assert sources["tokens"]["secret"]["secretName"] == manifest("secret")["metadata"]["name"]
    assert MOUNTS.keys() == sources.keys() | {"storage"}


def test_everything_finds_the_pod_by_its_label() -> None:
    template = SET["spec"]["template"]

    assert template["metadata"]["labels"] == LABELS
    assert SET["spec"]["selector"]["matchLabels"] == LABELS
    assert manifest("service")["spec"]["selector"] == LABELS
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"] == LABELS


def test_the_operator_s_scrape_finds_the_service() -> None:
    monitor = yaml.safe_load((ROOT / "deploy" / "prometheus" / "servicemonitor.yaml").read_text())
    service = manifest("service")

    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == [
        port["name"] for port in service["spec"]["ports"]
    ]


def test_the_ports_meet() -> None:
    (port,) = CONTAINER["ports"]
    (served,) = manifest("service")["spec"]["ports"]
    probed = {CONTAINER[probe]["httpGet"]["port"] for probe in CONTAINER if probe.endswith("Probe")}

    assert port["containerPort"] == served["port"] == 10096
    assert {port["name"], served["targetPort"], *probed} == {"metrics"}


def test_one_replica_keeps_one_volume_where_the_image_has_its_storage() -> None:
    (claim,) = SET["spec"]["volumeClaimTemplates"]
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert SET["spec"]["replicas"] == 1
    assert f"VOLUME {MOUNTS[claim['metadata']['name']]}\n" in dockerfile
    assert f"CONFIG_FILE={MOUNTS['config']}/config.yaml" in dockerfile


def test_the_pod_is_restricted() -> None:
    """What the Pod Security Standards call restricted, and a root that cannot be written."""
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    user = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert pod["runAsNonRoot"]
    assert [(str(pod["runAsUser"]), str(pod["runAsGroup"]))] == user
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not POD["automountServiceAccountToken"]


def test_the_configuration_names_the_tokens_of_the_secret(tmp_path) -> None:
    text, secret = manifest("configmap")["data"]["config.yaml"], manifest("secret")["stringData"]
    named = re.findall(r"token_file: (\S+)", text)
    (tmp_path / "config.yaml").write_text(text.replace(MOUNTS["tokens"], str(tmp_path)))
    for key in secret:
        (tmp_path / key).write_text("canary")

    checked = run("check", cwd=tmp_path)

    assert named == [f"{MOUNTS['tokens']}/{key}" for key in secret]
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_secret_that_nobody_filled_in_is_refused_with_a_sentence(tmp_path) -> None:
    (tmp_path / "acme-co").write_text(manifest("secret")["stringData"]["acme-co"])
    (tmp_path / "config.yaml").write_text(
        manifest("configmap")["data"]["config.yaml"].replace(MOUNTS["tokens"], str(tmp_path))
    )

    checked = run("check", cwd=tmp_path)

    assert checked.returncode == 2
    assert "holds more than one word of visible ASCII characters; paste the token alone" in checked.stderr
