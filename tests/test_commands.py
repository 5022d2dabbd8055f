"""The commands as people type them: what they print, and the exit code that they end with."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CANARY
from processes import LOOPBACK, Place, ask, run, running
from prometheus_client.parser import text_string_to_metric_families as families

from exporter.simulator import SCENARIOS

FAULTY = """\
operations:
  - name: acme-co
    server: 0010
    tokens_file: secrets/acme
  - name: acme pe
    server: "0010"
    token_env: ACME_PE_TOKEN
  - name: acme-co
    server: "12"
    token_file: secrets/empty
poll:
  connectors: 60s
budget:
  reserve: -1
"""


@pytest.fixture
def place(tmp_path) -> Place:
    made = Place(tmp_path, "http://127.0.0.1:9", "acme")
    made.secret("acme", CANARY)
    return made


def check(place: Place, **variables: str) -> subprocess.CompletedProcess[str]:
    return run("check", cwd=place.folder, **variables)


def test_check_prints_what_it_understood_and_the_timetable(place) -> None:
    place.config.write_text('operations:\n  - {name: acme-co, server: "0010", token_file: secrets/acme}\n')

    ended = check(place)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("config.yaml: 1 operation, 3 lists, no fault\n")
    assert re.search(r"  acme-co +server 0010, token from secrets/acme\n", ended.stdout)
    assert re.findall(r"(\d+) calls, one", ended.stdout) == ["288", "144", "24"]


def test_check_reads_a_token_of_the_environment_and_prints_none(place) -> None:
    place.config.write_text(
        "operations:\n"
        '  - {name: one, server: "0010", token_env: ONE}\n'
        f'  - {{name: two, server: "0010", token: {CANARY}-2}}\n'
    )

    ended = check(place, ONE=CANARY)

    assert ended.returncode == 0
    assert "token from variable ONE" in ended.stdout
    assert "warning: " in ended.stdout
    assert CANARY not in ended.stdout + ended.stderr


def test_check_makes_no_storage_and_no_call(place) -> None:
    place.write("acme")

    ended = check(place, WOLKVOX_EXPORTER_STORAGE_PATH=str(place.storage))

    assert ended.returncode == 0
    assert not place.storage.exists()


def test_check_names_every_fault_with_its_line_in_one_go(place) -> None:
    place.secret("empty", "")
    place.config.write_text(FAULTY)

    ended = check(place)

    lines = [line.removeprefix("config.yaml:") for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert [line.partition(":")[0] for line in lines] == ["3", "4", "5", "7", "8", "9", "10", "12", "14"]
    assert lines[1] == '4: unknown key "tokens_file"; did you mean "token_file"?'
    assert lines[7] == "12: poll.connectors: 60s is shorter than 5m, which the API asks for at least"


def test_check_reads_the_web_configuration_too_and_names_the_faults_of_both(place) -> None:
    place.write("acme")
    (place.folder / "web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    good = check(place, WOLKVOX_EXPORTER_WEB_CONFIG_FILE="web.yml")
    (place.folder / "web.yml").write_text("basic_auth_users: {boss: secret}\n")
    place.config.write_text("operations: []\n")
    bad = check(place, WOLKVOX_EXPORTER_WEB_CONFIG_FILE="web.yml")

    assert good.stdout.endswith(
        "\nweb.yml: no TLS; no login, 0 of users and certificates bound to operations; 1 header\n"
    )
    assert [line.partition(":")[0] for line in bad.stderr.splitlines()] == ["config.yaml", "web.yml"]
    assert "secret" not in bad.stderr


def test_a_bad_web_configuration_at_the_start_ends_it_with_2(place) -> None:
    place.write("acme")
    (place.folder / "web.yml").write_text("basic_auth_users: {boss: secret}\n")

    ended = run("--web.config.file=web.yml", LOOPBACK, cwd=place.folder)

    assert ended.returncode == 2
    assert ended.stderr.startswith("web.yml:1: basic_auth_users.boss: text is no bcrypt hash; ")


@pytest.mark.parametrize("command", [["check"], []], ids=["check", "serve"])
def test_a_missing_configuration_is_one_sentence(tmp_path, command) -> None:
    ended = run(*command, f"--config.file={tmp_path}/none.yaml", f"--storage.path={tmp_path}/data", LOOPBACK)

    assert ended.returncode == 2
    assert ended.stderr == (
        f"{tmp_path}/none.yaml: does not exist; name it with --config.file, or start from the config.yaml that is "
        "shipped\n"
    )


def test_the_shipped_configuration_lacks_nothing_but_its_secret(tmp_path) -> None:
    shipped = Path(__file__).parent.parent / "config.yaml"
    (tmp_path / "config.yaml").write_bytes(shipped.read_bytes())

    before = run("check", cwd=tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "acme").write_text(CANARY)
    after = run("check", cwd=tmp_path)

    assert "secrets/acme does not exist" in before.stderr
    assert (before.returncode, after.returncode) == (2, 0)


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_one_sentence_and_exit_code_1(place, command) -> None:
    place.write("acme")
    arguments = [command] if command == "demo" else []
    with running("simulate", "--port=0") as other:
        taken = f"--web.listen-address={other.address}"

        ended = run(*arguments, f"--config.file={place.config}", f"--storage.path={place.storage}", taken)

    assert ended.returncode == 1
    assert ended.stderr == f"wolkvox-exporter: cannot listen on {other.address}: Address already in use\n"


def test_a_simulator_says_that_its_port_is_in_use() -> None:
    with running("simulate", "--port=0") as other:
        port = other.address.rpartition(":")[2]

        ended = run("simulate", f"--port={port}")

    assert ended.returncode == 1
    assert ended.stderr == f"wolkvox-exporter: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_demo_shows_living_connectors_in_seconds_and_ends_when_asked(number, tmp_path) -> None:
    with running("demo", LOOPBACK, "--seconds=1", TMPDIR=str(tmp_path)) as demo:
        demo.says("/probe?target=andina-co")
        demo.shows(r'wolkvox_connectors\{channel="whatsapp",operation="andina-co",rp_id="\d+"\} \d.*')
        demo.shows(r'wolkvox_connector_info\{.*operation="altiplano-bo".*\} 1\.0')

        assert f"http://{demo.address}/metrics" in demo.out
        assert demo.get("/-/healthy").status == 200
        assert demo.stop(number) == 0
    assert "Traceback" not in demo.log
    assert list(tmp_path.glob("wolkvox-exporter-demo-*")) == []


@pytest.mark.slow
def test_the_demo_lives_and_begins_a_new_day_before_its_calls_are_used_up() -> None:
    with running("demo", LOOPBACK, "--seconds=0.02") as demo:
        demo.says("event=changed")
        demo.shows(r"wolkvox_token_calls_reset_timestamp_seconds\{.*")

        page = {family.name: family for family in families(demo.get("/metrics").text)}

    assert {sample.value for sample in page["wolkvox_budget_reserved"].samples} == {0}


def test_the_demo_on_all_addresses_names_one_that_a_browser_knows() -> None:
    with running("demo", "--web.listen-address=:0", "--seconds=1") as demo:
        demo.says("/probe?target=andina-co")
        address = re.findall(r"http://(localhost:\d+)/metrics ", demo.out)[0]

        assert ask(address, "/-/healthy").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_simulate_names_its_address_and_judges_at_the_end(number) -> None:
    with running("simulate", "--port=0") as simulator:
        simulator.says("altiplano-bo on server 0057, token ")
        token = re.findall(r"andina-co on server 0010, token (\w+)", simulator.out)[0]
        path = "/api/v2/information.php?api=connectors"
        for _ in range(2):
            assert ask(simulator.address, path, wolkvox_token=token).status in (200, 403)

        assert simulator.stop(number) == 0
    assert simulator.out.startswith(f"simulating wolkvox at http://{simulator.address}, control at http://")
    assert "\n2 calls, 0 refused: the limits were broken\n  early        1 " in simulator.out


def test_simulate_lists_its_scenarios_and_ends() -> None:
    ended = run("simulate", "--scenarios")

    assert ended.returncode == 0
    assert [line.split()[0] for line in ended.stdout.splitlines()] == list(SCENARIOS)


def test_it_can_be_run_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "exporter", "--version"], check=True, capture_output=True, text=True, timeout=20
    )

    assert ended.stdout.startswith("wolkvox-exporter ")


def test_windows_is_refused_with_a_sentence() -> None:
    code = "import sys; sys.platform = 'win32'; import runpy; runpy.run_module('exporter', run_name='__main__')"

    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=20)

    assert ended.returncode == 1
    assert ended.stderr == "wolkvox-exporter runs on Linux and macOS; on Windows use WSL 2 or a container\n"


def test_a_storage_that_cannot_be_used_is_said_in_the_log_and_on_the_page(place) -> None:
    place.write("acme")
    place.storage.write_text("a file")

    with running(*place.flags) as served:
        served.says('event="storage failed, no call is made"')
        served.shows(r"wolkvox_exporter_storage_healthy 0\.0")

        assert served.get("/-/ready").status == 200


def test_no_process_is_left_behind(place) -> None:
    with running("simulate", "--port=0") as simulator:
        number = simulator.process.pid

    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_help_of_a_helper_is_loud_when_a_program_ends_early() -> None:
    with running("--no-such-flag") as ended, pytest.raises(AssertionError, match="unrecognized arguments"):
        ended.says("never")
