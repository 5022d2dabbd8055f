"""The image that the Dockerfile makes, with everything taken away that it can do without."""

import json
import os
import re
import sys
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from conftest import CANARY, needs
from containers import IMAGE, PACKAGES, Container, Ended, base_image, engine, until

pytestmark = pytest.mark.container

LARGEST = 150  # MB over the base
OFFLINE = "--network=none"
HARDENED = (
    "--read-only",
    "--read-only-tmpfs=false",  # podman would bring a /tmp that other engines do not
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--user=54321:54321",
    "--memory=128m",
    "--pids-limit=64",
)
PAGE = "http://127.0.0.1:10096/metrics"
LISTS = ("connectors", "routing_points", "token_info")
KUBERNETES = Path(__file__).parent.parent / "deploy" / "kubernetes"
NAME = "wolkvox-exporter"
OPERATIONS, CONNECTORS = 50, 100
# Run beside a simulator: opens accounts there, each with so many connectors.
FILL = """
import json, sys, urllib.request as u

def put(path, body):
    place = "http://127.0.0.1:10097/_simulator/accounts/" + path
    u.urlopen(u.Request(place, json.dumps(body).encode(), method="PUT"), timeout=20).close()

for name, token in json.loads(sys.argv[1]).items():
    put(name, {"token": token, "server": "0010", "limit": 1_000_000})
    rows = [
        {"channel": "whatsapp", "connector_id": str(n), "rp_id": "5", "name": f"Line {n} of {name}"}
        for n in range(int(sys.argv[2]))
    ]
    put(name + "/connectors", rows)
    put(name + "/routing_points", [{"rp_id": "5", "rp_name": "Menu", "chat_active": "yes"}])
"""
# The limit and the most that was used, in bytes, as either version of the kernel's control groups tells them.
MEMORY = """
import pathlib
told = pathlib.Path("/sys/fs/cgroup")
two, one = ("memory.max", "memory.peak"), ("memory/memory.limit_in_bytes", "memory/memory.max_usage_in_bytes")
print(*((told / name).read_text() for name in (two if (told / "memory.max").exists() else one)))
"""
UNCOMPILED = """
import pathlib, sys, exporter.__main__, exporter.commands
from importlib.util import cache_from_source
loaded = (getattr(module, "__cached__", None) for module in list(sys.modules.values()))  # None for frozen ones
shipped = (cache_from_source(source) for source in pathlib.Path(sys.prefix).rglob("*.py"))
print([path for path in {*loaded, *shipped} - {None} if not pathlib.Path(path).exists()])
"""


@pytest.fixture(scope="module")
def images():
    if os.geteuid():
        text = "debootstrap and podman are run as root here: sudo .venv/bin/pytest -m container"
        pytest.fail(text) if os.environ.get("REQUIRE_ALL_TOOLS") else pytest.skip(text)
    for program in PACKAGES.split():
        needs(program, PACKAGES)
    with engine() as made:
        yield made


@pytest.fixture
def upstream(images):
    with images.running("upstream", *HARDENED, OFFLINE, IMAGE, "simulate") as running:
        until(lambda: "token" in running.log)
        yield running


def samples(page: str) -> dict[str, str]:
    """Each series with its value."""
    lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {series: value for series, _, value in lines}


def test_the_image_is_small(images, capsys) -> None:
    added = (images.size(IMAGE) - images.size(base_image())) / 1e6

    with capsys.disabled():
        sys.stdout.write(f"[the image adds {added:.1f} MB to its base] ")
    assert added < LARGEST


def test_the_image_says_what_it_is_and_needs(images) -> None:
    config = json.loads(images.podman("image", "inspect", "--format={{json .Config}}", IMAGE).stdout)

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"])
    assert list(config["ExposedPorts"]) == ["10096/tcp"]
    assert list(config["Volumes"]) == ["/var/lib/wolkvox-exporter"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert (labels["title"], labels["licenses"]) == ("wolkvox-exporter", "Apache-2.0")
    assert labels["base.name"] == base_image()
    assert {"description", "version", "revision"} <= labels.keys()


def test_a_start_compiles_nothing(images) -> None:
    printed = images.podman("run", "--rm", OFFLINE, "--entrypoint=python3", IMAGE, "-c", UNCOMPILED).stdout

    assert printed == "[]\n"


def test_the_image_brings_no_tool_that_installs(images) -> None:
    listed = images.podman("run", "--rm", OFFLINE, "--entrypoint=ls", IMAGE, "/opt/wolkvox-exporter/bin").stdout

    assert "wolkvox-exporter" in listed
    assert "pip" not in listed


def test_without_a_configuration_it_ends_and_says_which_file_it_wants(images) -> None:
    ended = images.podman("run", "--rm", *HARDENED, OFFLINE, IMAGE, check=False)

    assert ended.returncode == 2
    assert "/etc/wolkvox-exporter/config.yaml" in ended.stderr


def test_the_demo_needs_no_network_no_file_and_no_right(images) -> None:
    with images.running("demo", *HARDENED, OFFLINE, IMAGE, "demo") as demo:
        until(lambda: "wolkvox_connector_info{" in demo.get(PAGE))

        assert demo.is_healthy()
        assert_ended_well(demo.stop())


@pytest.mark.parametrize("listen", ["127.0.0.1:9100", "[::1]:9100", "0.0.0.0:9100,127.0.0.2:9101", ":9100"])
def test_health_is_asked_where_the_exporter_was_told_to_listen(images, listen) -> None:
    told = f"--env=WOLKVOX_EXPORTER_WEB_LISTEN_ADDRESS={listen}"
    with images.running("elsewhere", *HARDENED, OFFLINE, told, IMAGE, "demo") as elsewhere:
        until(lambda: "demo:" in elsewhere.log)

        until(elsewhere.is_healthy)


def test_health_fails_where_nobody_answers(upstream) -> None:
    assert not upstream.is_healthy()


def test_a_new_container_on_the_same_volume_calls_nobody_early(images, upstream, tmp_path) -> None:
    arguments = (*HARDENED, "--network=container:upstream", *configured(tmp_path, upstream.log), IMAGE)
    polls = dict.fromkeys(LISTS, "1.0")
    with images.running("first", *arguments) as first:
        until(lambda: polled(first) == polls)
        assert first.is_healthy()
        known = connectors(first)
        assert_ended_well(first.stop())

    with images.running("second", *arguments) as second:
        until(second.is_healthy)
        assert connectors(second) == known != []
        assert polled(second) == polls
        assert_ended_well(second.stop())

    assert_ended_well(upstream.stop())
    assert "3 calls, 0 refused: the limits were kept" in upstream.log


def test_fifty_operations_of_a_hundred_connectors_stay_within_the_memory(images, tmp_path, capsys) -> None:
    tokens = {f"op{n}": f"{CANARY}-{n}" for n in range(OPERATIONS)}
    many(tmp_path, tokens)
    mounts = f"--volume={tmp_path}:/etc/wolkvox-exporter:ro", "--volume=many:/var/lib/wolkvox-exporter"
    with images.running("crowd", *HARDENED, OFFLINE, IMAGE, "simulate", "--interval=1") as crowd:
        until(lambda: "token" in crowd.log)
        crowd.python(FILL, json.dumps(tokens), str(CONNECTORS))
        with images.running("large", *HARDENED, "--network=container:crowd", *mounts, IMAGE) as large:
            until(lambda: answered(large, "connectors") >= 3 * OPERATIONS, 120)

            assert len(connectors(large)) == OPERATIONS * CONNECTORS
            assert large.is_healthy()
            most, peak = map(int, large.python(MEMORY).split())
            with capsys.disabled():
                sys.stdout.write(f"[{peak / 2**20:.0f} MiB at the most] ")
            assert most == 128 * 2**20
            assert_ended_well(large.stop())


def many(folder, tokens: dict[str, str]) -> None:
    """A configuration of these operations, polled every two seconds."""
    operations = [{"name": name, "server": "0010", "token_file": name} for name in tokens]
    for name, token in tokens.items():
        (folder / name).write_text(token)
    upstream = {"base_url": "http://127.0.0.1:10097", "simulator": True}
    poll = dict.fromkeys(LISTS, "2s")
    text = yaml.safe_dump({"operations": operations, "poll": poll, "upstream": upstream})
    (folder / "config.yaml").write_text(text)
    folder.chmod(0o755)


def answered(container, listed: str) -> float:
    """How many polls of a list were answered well, of all operations."""
    return sum(
        float(value)
        for series, value in samples(container.get(PAGE)).items()
        if series.startswith("wolkvox_poll_outcomes_total")
        and f'list="{listed}"' in series
        and 'outcome="ok"' in series
    )


def test_the_pod_of_the_kubernetes_files_polls_and_keeps_its_storage(images, tmp_path) -> None:
    """As far as podman goes: it reads no StatefulSet and no stringData, gives no fsGroup, makes curl of probes."""
    made = "wolkvox_exporter_storage_created_timestamp_seconds"
    with played(images, tmp_path) as pod:
        simulator = Container(images, f"{NAME}-simulator")
        until(lambda: "token" in simulator.log)
        # What podman made of the Secret: version 4.3 leaves it encoded.
        token = pod.python("print(open('/run/secrets/wolkvox-exporter/acme-co').read())").strip()
        simulator.python(FILL, json.dumps({"acme-co": token}), "2")
        until(lambda: len(connectors(pod)) == 2)
        created = samples(pod.get(PAGE))[made]
        assert_ended_well(pod.stop())

    with played(images, tmp_path) as again:
        until(lambda: len(connectors(again)) == 2)  # of the storage: this simulator has no such account
        assert samples(again.get(PAGE))[made] == created


@contextmanager
def played(images, folder):
    """The exporter in the pod of the StatefulSet, beside a simulator."""
    file = folder / "pod.yaml"
    file.write_text(yaml.safe_dump_all(documents()))
    images.podman("kube", "play", "--network=none", str(file))
    try:
        yield Container(images, f"{NAME}-exporter")
    finally:
        images.podman("pod", "rm", "--force", "--time=0", NAME)
        images.podman("secret", "rm", f"{NAME}-tokens")
        images.podman("volume", "rm", NAME, f"{NAME}-tokens")  # copies of ConfigMap and Secret; the claim's stays


def documents():
    """The Kubernetes files as podman reads them; the configuration polls the simulator."""
    config, secret, stateful = (
        yaml.safe_load((KUBERNETES / f"{kind}.yaml").read_text()) for kind in ("configmap", "secret", "statefulset")
    )
    upstream = {"base_url": "http://127.0.0.1:10097", "simulator": True}
    # One list, so that the first poll, which may come before the account is there, does not make the token rest.
    poll = dict.fromkeys(LISTS, "off") | {"connectors": "4s"}
    config["data"]["config.yaml"] += yaml.safe_dump({"upstream": upstream, "poll": poll})
    secret["data"] = {key: b64encode(CANARY.encode()).decode() for key in secret.pop("stringData")}
    template = stateful["spec"]["template"]
    template["metadata"]["name"] = NAME
    return [
        config,
        secret,
        {"apiVersion": "v1", "kind": "Pod"} | template | {"spec": beside_simulator(template["spec"])},
    ]


def beside_simulator(pod):
    """The pod with a second container, the simulator, under the same restrictions."""
    (exporter,) = pod["containers"]
    exporter |= {"image": IMAGE, "imagePullPolicy": "Never"}
    for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
        del exporter[key]
    simulator = exporter | {"name": "simulator", "args": ["simulate", "--interval=1"], "volumeMounts": []}
    tokens = next(volume["secret"] for volume in pod["volumes"] if "secret" in volume)
    tokens["optional"] = False  # podman 4.3 dies where nothing is said
    claim = {"name": "storage", "persistentVolumeClaim": {"claimName": "storage"}}
    return pod | {"containers": [exporter, simulator], "volumes": [*pod["volumes"], claim]}


def configured(folder, log: str) -> tuple[str, ...]:
    """The mounts of a configuration for the first account that the simulator prints, and of a volume."""
    name, server, token = re.findall(r"(\S+) on server (\d{4}), token (\S+)", log)[0]
    (folder / "token").write_text(token)
    (folder / "config.yaml").write_text(f"""
operations:
  - {{name: {name}, server: "{server}", token_file: token}}
upstream: {{base_url: "http://127.0.0.1:10097", simulator: true}}
""")
    folder.chmod(0o755)
    return f"--volume={folder}:/etc/wolkvox-exporter:ro", "--volume=state:/var/lib/wolkvox-exporter"


def polled(container) -> dict[str, str]:
    """How often each list was polled."""
    found = samples(container.get(PAGE))
    return {
        listed: value
        for listed in LISTS
        for series, value in found.items()
        if series.startswith("wolkvox_polls_total") and f'list="{listed}"' in series
    }


def connectors(container) -> list[str]:
    return [series for series in samples(container.get(PAGE)) if series.startswith("wolkvox_connector_info")]


def assert_ended_well(ended: Ended) -> None:
    assert ended.code == 0
    assert ended.seconds < 2
