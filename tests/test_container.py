"""The image that the Dockerfile makes, with everything taken away that it can do without."""

import json
import os
import re
import sys

import pytest
from conftest import needs
from containers import IMAGE, PACKAGES, Ended, base_image, engine, until

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
UNCOMPILED = """
import pathlib, sys, exporter.__main__
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
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


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
