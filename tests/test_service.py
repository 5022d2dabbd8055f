"""The service as a process against a simulator process: start, reload, restart, two at once, the end."""

import itertools
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import CANARY, setup_for
from processes import LOOPBACK, Place, Program, Upstream, ask, run, running, upstream, wait_for

from exporter import flags
from exporter.clock import HostClock
from exporter.lists import LISTS
from exporter.log import Redactor
from exporter.model import Outcome, Secret
from exporter.poller import LONGEST, TOKENS
from exporter.wiring import Assembly, Service, configured, passwords, serving

CONNECTOR = r'wolkvox_connector_info\{{.*connector_id="12".*operation="{}".*\}} 1\.0'
GOOD_RELOAD = r"wolkvox_exporter_config_last_reload_successful 1\.0"
BAD_RELOAD = r"wolkvox_exporter_config_last_reload_successful 0\.0"
NUMBERS = itertools.count()
BAD = 'operations:\n  - {name: acme, server: "00", token_file: secrets/acme}\npoll: {connector: 1s}\n'


@pytest.fixture(scope="module")
def world() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture
def place(tmp_path, world) -> Place:
    """One operation of its own, with its account in the simulator."""
    made = Place(tmp_path, world.url, f"op{next(NUMBERS)}")
    made.secret(made.name, made.token)
    made.write(made.name)
    world.open(made.name, made.token)
    return made


def shows_connector(program: Program, place: Place) -> str:
    return program.shows(CONNECTOR.format(place.name))


def ends_within(program: Program, seconds: float) -> int:
    began = time.monotonic()
    code = program.stop()
    assert time.monotonic() - began < seconds
    return code


def test_metrics_are_there_in_seconds(place, world) -> None:
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)
        exporter.shows(rf'wolkvox_up\{{operation="{place.name}"\}} 1\.0')

        assert exporter.get("/-/ready").status == 200
        assert exporter.get(f"/probe?target={place.name}").status == 200
        assert exporter.get("/sd").json[0]["labels"]["__param_target"] == place.name
        assert exporter.stop() == 0
    assert "event=ended" in exporter.log
    assert not any(call["early"] or call["overlapping"] for call in world.calls(place.name))


def test_sigterm_ends_it_within_two_seconds(place) -> None:
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)

        assert ends_within(exporter, 2) == 0


def test_sigterm_ends_it_within_two_seconds_with_a_call_hanging(place, world) -> None:
    world.play(place.name, "hang")
    with running(*place.flags) as exporter:
        wait_for(lambda: world.calls(place.name))

        assert ends_within(exporter, 2) == 0
    assert 'event="ended with calls under way; they count as spent"' in exporter.log


@pytest.mark.slow
def test_sigterm_ends_it_within_two_seconds_with_a_reader_stalled(place, world) -> None:
    rows = [{"channel": "email", "connector_id": str(n), "rp_id": "5", "name": "x" * 190} for n in range(20_000)]
    world.say("PUT", f"accounts/{place.name}/connectors", rows)
    place.config.write_text(place.config.read_text().replace(": 1s", ": 1h"))
    with running(*place.flags) as exporter:
        wait_for(lambda: sum(call["ended"] is not None for call in world.calls(place.name)) == len(LISTS))
        exporter.shows(rf'wolkvox_token_calls_limit\{{operation="{place.name}"\}} .*')
        host, _, port = exporter.address.partition(":")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1)

            assert ends_within(exporter, 2) == 0
    assert "Traceback" not in re.sub(r"(?m)^ts=.*$", "", exporter.log)


def test_sighup_takes_a_new_operation_in_and_an_old_one_out(place, world) -> None:
    other = f"{place.name}-b"
    world.open(other, f"{CANARY}-{other}")
    place.secret(other, f"{CANARY}-{other}")
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)
        place.write(other)

        exporter.hup()

        exporter.shows(CONNECTOR.format(other))
        assert f'"{place.name}"' not in exporter.get("/metrics").text
        exporter.says('event="configuration reloaded" operations=1')
        assert [each["labels"]["instance"] for each in exporter.get("/sd").json] == [other]


def test_sighup_with_a_bad_file_keeps_the_running_configuration_and_says_so(place) -> None:
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)
        place.config.write_text(BAD)

        exporter.hup()

        exporter.shows(BAD_RELOAD)
        shows_connector(exporter, place)
        exporter.says('event="configuration not reloaded, the running one stays"')
        assert 'config.yaml:3: unknown key \\"connector\\"' in exporter.log
        assert exporter.log.count("not reloaded") == 1


def test_post_reload_must_be_allowed(place) -> None:
    with running(*place.flags) as exporter:
        assert exporter.get("/-/reload", "POST").status == 403
        assert exporter.get("/-/reload").status == 405


def test_post_reload_tells_the_faults_and_a_good_file_heals(place) -> None:
    with running(*place.flags, "--web.enable-lifecycle") as exporter:
        before = float(exporter.shows(r"wolkvox_exporter_config_last_reload_success_timestamp_seconds .*").split()[1])
        good = place.config.read_text()
        place.config.write_text(BAD)

        refused = exporter.get("/-/reload", "POST")

        first, *faults = refused.text.splitlines()
        assert (refused.status, first) == (500, "the running configuration stays:")
        assert [line.removeprefix(str(place.config)).partition(" ")[0] for line in faults] == [":2:", ":2:", ":3:"]
        exporter.shows(BAD_RELOAD)
        shows_connector(exporter, place)
        place.config.write_text(good)
        accepted = exporter.get("/-/reload", "POST")
        assert (accepted.status, accepted.text) == (200, "the configuration was reloaded\n")
        exporter.shows(GOOD_RELOAD)
        after = float(exporter.shows(r"wolkvox_exporter_config_last_reload_success_timestamp_seconds .*").split()[1])
        assert after > before


def test_a_reload_does_not_call_early(place, world) -> None:
    with running(*place.flags, "--web.enable-lifecycle") as exporter:
        shows_connector(exporter, place)
        for _ in range(30):
            assert exporter.get("/-/reload", "POST").status == 200
        wait_for(lambda: len(world.calls(place.name)) >= 6)

    assert not any(call["early"] or call["overlapping"] for call in world.calls(place.name))


def test_polls_that_are_asked_for_over_http_come_soon_and_not_early_and_their_answers_are_there(place, world) -> None:
    slow = place.config.read_text().replace("routing_points: 1s, token_info: 1s", "routing_points: 1h, token_info: 1h")
    place.config.write_text(slow)
    path = f"/-/poll?operation={place.name}&list=routing_points"

    def asked() -> int:
        return [call["api"] for call in world.calls(place.name)].count("routing_points")

    with running(*place.flags, "--web.enable-lifecycle") as exporter:
        shows_connector(exporter, place)
        wait_for(lambda: asked() == 1)
        replies = [exporter.get(path, "POST") for _ in range(50)]
        wait_for(lambda: asked() == 2)
        answers = wait_for(
            lambda: [
                each
                for each in exporter.get(f"/api/v1/answers?operation={place.name}").json["answers"]
                if each["list"] == "routing_points"
            ][1:]
        )
        refused = exporter.get(path, "POST", Origin="http://evil.example")

    assert {reply.status for reply in replies} == {202}
    assert {reply.headers["retry-after"] for reply in replies} <= {"0", "1"}
    assert refused.status == 403
    assert '"rp_name"' in answers[0]["body"]
    assert not any(call["early"] or call["overlapping"] for call in world.calls(place.name))


def test_a_restart_on_the_same_storage_shows_the_page_before_any_call(place, world) -> None:
    with running(*place.flags) as exporter:
        for name in LISTS:  # one that was never polled would be polled at once
            exporter.shows(
                rf'wolkvox_poll_last_success_timestamp_seconds\{{list="{name}",operation="{place.name}"\}} .*'
            )
    place.config.write_text(place.config.read_text().replace("1s", "1h"))
    calls = len(world.calls(place.name))

    with running(*place.flags) as exporter:
        page = exporter.get("/metrics").text

        assert re.search(CONNECTOR.format(place.name), page)
        assert len(world.calls(place.name)) == calls


def test_kill_9_is_survived_and_nothing_is_called_early(place, world) -> None:
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)
        world.play(place.name, "slow", seconds=0.5)
        calls = len(world.calls(place.name))
        wait_for(lambda: len(world.calls(place.name)) > calls)
        exporter.process.kill()
        exporter.process.wait()
    world.play(place.name, None)

    with running(*place.flags) as exporter:
        assert re.search(CONNECTOR.format(place.name), exporter.get("/metrics").text)
        exporter.shows(rf'wolkvox_poll_outcomes_total\{{.*operation="{place.name}",outcome="interrupted"\}} 1\.0')

    assert not any(call["early"] or call["overlapping"] for call in world.calls(place.name))


@pytest.mark.slow
def test_two_processes_on_one_storage_keep_one_budget(place, world) -> None:
    with running(*place.flags) as one, running(*place.flags) as two:
        shows_connector(one, place)
        shows_connector(two, place)
        wait_for(lambda: len(world.calls(place.name)) >= 12)
        figures = [each.get("/metrics").text for each in (one, two)]

    assert not any(call["early"] or call["overlapping"] for call in world.calls(place.name))
    assert all(f'operation="{place.name}"' in page for page in figures)


@pytest.mark.slow
def test_a_secret_file_that_changes_is_noticed_without_a_reload(place, world) -> None:
    with running(*place.flags) as exporter:
        shows_connector(exporter, place)
        fresh = f"{place.token}-fresh"
        world.say("POST", f"accounts/{place.name}/tokens", {"add": fresh, "revoke": place.token})
        exporter.shows(rf'wolkvox_up\{{operation="{place.name}"\}} 0\.0')

        place.secret(place.name, fresh)

        exporter.shows(rf'wolkvox_up\{{operation="{place.name}"\}} 1\.0')
    assert place.token not in exporter.log


def test_a_secret_that_becomes_empty_keeps_the_old_token_at_a_bad_reload(place) -> None:
    with running(*place.flags, "--web.enable-lifecycle") as exporter:
        shows_connector(exporter, place)
        place.secret(place.name, "")

        refused = exporter.get("/-/reload", "POST")

        assert refused.status == 500
        assert " is empty; paste the token from Manager > Settings > Integrations > Tokens\n" in refused.text
        shows_connector(exporter, place)


def test_warnings_of_the_configuration_are_logged(place) -> None:
    (place.folder / "secrets" / place.name).chmod(0o644)

    with running(*place.flags) as exporter:
        exporter.says("level=warning event=configuration warning=")
        exporter.says("can be read by every user; chmod 600 it")


def test_a_bad_configuration_at_the_start_is_exit_code_2_without_a_traceback(place) -> None:
    place.config.write_text(BAD)

    ended = run(*place.flags)

    assert ended.returncode == 2
    assert 'config.yaml:3: unknown key "connector"; did you mean "connectors"?\n' in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_the_log_has_the_format_and_level_that_is_set(place, form) -> None:
    with running(*place.flags, f"--log.format={form}", WOLKVOX_EXPORTER_LOG_LEVEL="debug") as exporter:
        exporter.says('"event": "poll"' if form == "json" else "level=debug event=poll ")

    assert all(line.startswith("{" if form == "json" else "ts=") for line in exporter.log.splitlines())


def test_it_listens_where_it_is_told_to(place) -> None:
    with running(*place.flags, "--web.listen-address=[::1]:0", "--web.telemetry-path=/stats") as exporter:
        v4, v6 = wait_for(lambda: re.findall(r'addresses="(\S+) (\S+)"', exporter.log))[0]

        assert {ask(address, "/stats").status for address in (v4, v6)} == {200}
        assert {ask(address, "/metrics").status for address in (v4, v6)} == {404}


def test_flags_of_the_web_reach_the_pages(place) -> None:
    more = ("--web.disable-exporter-metrics", "--web.external-url=https://metrics.example.com/w")

    with running(*place.flags, *more) as exporter:
        page = wait_for(lambda: exporter.get("/metrics").text)
        (target,) = exporter.get("/sd").json

    assert "process_" not in page
    assert target["targets"] == ["metrics.example.com"]
    assert target["labels"]["__metrics_path__"] == "/w/probe"


def test_a_client_that_talks_no_http_is_told_so_and_leaves_no_line(place) -> None:
    with running(*place.flags) as exporter:
        host, _, port = exporter.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
            told = client.recv(4096)

    assert told.startswith(b"HTTP/1.1 400 Bad Request")
    assert "Invalid" not in exporter.log
    assert all(line.startswith("ts=") for line in exporter.log.splitlines())


# What follows joins the parts in this process: faults that no configuration can bring about.


@pytest.fixture
def options(tmp_path):
    return flags.parse([f"--storage.path={tmp_path / 'data'}", LOOPBACK], {})


def test_a_bug_in_a_turn_is_logged_and_the_loop_goes_on(options, simulator, clock, quiet_log) -> None:
    def broken():
        raise RuntimeError("a bug")

    setup = setup_for(simulator, {"acme": CANARY}, clock)
    targets = tuple(target._replace(read=broken) for target in setup.targets)
    service = Service(options, lambda: setup_for(simulator, {}, clock, targets=targets), clock)

    waits = []
    for _ in range(2):
        waits.append(service.step())
        clock.advance(TOKENS)

    assert waits == [LONGEST, LONGEST]
    assert [event["event"] for event in quiet_log] == ["turn failed unexpectedly"] * 2


def test_it_ends_with_a_failure_when_its_web_server_does(options, api, simulator, clock) -> None:
    service = Service(options, lambda: setup_for(simulator, {"acme": CANARY}, clock), clock)
    server = serving(service, options)
    given: list[bool] = []
    thread = threading.Thread(target=lambda: given.append(service.run(server)))
    thread.start()
    wait_for(lambda: server.is_alive)

    server.quit()
    thread.join(10)

    assert given == [False]


def test_it_is_healthy_while_turns_begin(options, simulator, clock) -> None:
    service = Service(options, lambda: setup_for(simulator, {}, clock), clock)
    service.step()

    clock.advance(59)
    assert service.site().is_alive()

    clock.advance(2)
    assert not service.site().is_alive()


def test_a_reload_keeps_the_client_while_the_upstream_stays_the_same(tmp_path) -> None:
    place = Place(tmp_path, "http://127.0.0.1:9", "acme")
    place.secret("acme", CANARY)
    assembly = Assembly(HostClock(), Redactor())

    def call():
        return assembly.setup(configured(str(place.config), {})).call

    place.write("acme")
    first, second = call(), call()
    place.url = "http://127.0.0.1:10"
    place.write("acme")

    assert first == second
    assert call() != first


def test_certificates_that_are_gone_keep_a_reload_off_but_no_start(tmp_path) -> None:
    place = Place(tmp_path, "http://127.0.0.1:9", "acme")
    place.secret("acme", CANARY)
    place.write("acme")
    config, gone = configured(str(place.config), {}), str(tmp_path / "gone.pem")
    first, second = (
        replace(config, upstream=config.upstream.model_copy(update=each))
        for each in ({"ca_file": gone}, {"ca_file": gone, "timeout": 7.0})
    )
    assembly = Assembly(HostClock(), Redactor())
    running = assembly.setup(first)

    with pytest.raises(FileNotFoundError):
        assembly.setup(second)
    with pytest.raises(FileNotFoundError):
        assembly.setup(first)
    answer = running.call("0010", "connectors", Secret(CANARY))
    assert (answer.outcome, answer.whole) == (Outcome.TLS_ERROR, True)
    assert answer.detail == "the certificates of upstream.ca_file cannot be read: No such file or directory"


def test_the_password_of_a_proxy_is_struck_out_as_written_and_as_meant(tmp_path) -> None:
    redactor = Redactor()
    path = tmp_path / "config.yaml"
    path.write_text(
        'operations: [{name: acme, server: "0010", token_env: TOKEN}]\n'
        'upstream: {proxy: "http://user:s%C3%A9cret@127.0.0.1:3128"}\n'
    )

    Assembly(HostClock(), redactor).setup(configured(str(path), {"TOKEN": CANARY}))

    event = redactor(None, "info", {"event": "s%C3%A9cret sécret", "other": "user"})
    assert event == {"event": "*** ***", "other": "user"}
    assert passwords(None) == ()
