"""What `check` prints of a configuration: each operation, and what a day of polling costs."""

import pytest
import trustme
from conftest import CANARY
from exposed import PLAIN, certify, hashed

from exporter import durations, timetable
from exporter.config import load_web
from exporter.wiring import configured


@pytest.fixture
def report(tmp_path):
    """The lines for a config.yaml with this text behind one operation."""

    def made(more: str = "", entry: str = "") -> list[str]:
        path = tmp_path / "config.yaml"
        path.write_text(f'operations:\n  - {{name: acme-co, server: "0010", token_env: TOKEN{entry}}}\n{more}')
        return list(timetable.lines(configured(str(path), {"TOKEN": CANARY})))

    return made


def test_the_default_costs_288_and_144_and_24_calls(report) -> None:
    lines = report()

    assert "  connectors        288 calls, one every 5m (decides wolkvox_up)" in lines
    assert "  routing_points    144 calls, one every 10m" in lines
    assert "  token_info         24 calls, one every 1h" in lines
    assert "  together          456 calls, when nothing fails; the smallest operation may make 1000" in lines


def test_the_first_line_counts_what_was_understood(report) -> None:
    assert report()[0].endswith("config.yaml: 1 operation, 3 lists, no fault")
    assert report("poll: {routing_points: off, token_info: off}\n")[0].endswith(": 1 operation, 1 list, no fault")


def test_an_operation_tells_where_its_token_comes_from_and_never_the_token(report) -> None:
    lines = report(entry=", labels: {country: co, tier: gold}, expect: {whatsapp: 2, email: 1}")

    assert (
        "  acme-co                  server 0010, token from variable TOKEN, expects 2 whatsapp, expects 1 email, "
        "labels country=co tier=gold" in lines
    )
    assert CANARY not in "\n".join(lines)


def test_a_list_that_is_off_costs_nothing(report) -> None:
    lines = report("poll: {routing_points: off}\n")

    assert "  routing_points    off" in lines
    assert "  together          312 calls, when nothing fails; the smallest operation may make 1000" in lines


def test_calls_out_of_turn_are_told_where_there_are_any(report) -> None:
    sentence = "routing_points is asked once more"

    assert sentence in "\n".join(report())
    assert sentence not in "\n".join(report("poll: {routing_points: off}\n"))


def test_the_reserve_is_told_with_its_condition(report) -> None:
    assert report("budget: {reserve: 70}\n")[-1] == (
        "Polling rests when 70 calls or fewer are left of the day, as soon as token_info says so;\n"
        "without a readable limit there, no reserve is kept."
    )


def test_no_reserve_is_told_too(report) -> None:
    assert report("budget: {reserve: 0}\n")[-1] == "No reserve is kept (budget.reserve is 0)."


def test_a_reserve_that_nobody_can_keep_is_told(report) -> None:
    assert report("poll: {token_info: off}\n")[-1] == (
        "No reserve can be kept: token_info is off, so nobody reads what is left of the day's calls."
    )


def test_warnings_stand_on_top(report) -> None:
    assert report("operations_files: [conf.d/*.yaml]\n")[1].startswith("warning: ")
    assert report("operations_files: [conf.d/*.yaml]\n")[1].endswith("conf.d/*.yaml matches no file")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (90, "1m30s"), (300, "5m"), (3661, "1h1m1s"), (86400, "1d"), (0.5, "0.5s"), (1.5, "1.5s")],
)
def test_a_duration_is_written_as_prometheus_does(seconds, text) -> None:
    assert durations.written(seconds) == text


def test_calls_are_those_of_a_whole_day() -> None:
    assert [timetable.calls(seconds) for seconds in (300, 600, 3600, 86400, 7000)] == [288, 144, 24, 1, 12]


def test_a_web_configuration_tells_who_may_look(tmp_path) -> None:
    certify(tmp_path, trustme.CA(), "server", "localhost")
    path = tmp_path / "web.yml"
    path.write_text(
        "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n"
        f"basic_auth_users: {{boss: {hashed('right')}, team: {hashed('theirs')}}}\n"
        "http_server_config: {headers: {X-Frame-Options: deny}}\n"
        "wolkvox_exporter: {users: {team: [acme-co]}}\n"
    )

    lines = list(timetable.web(str(path), load_web(str(path))))

    assert lines == [
        "",
        f"{path}: TLS, clients show no certificate; 2 users, 1 of users and certificates bound to operations; 1 header",
    ]


def test_passwords_without_tls_are_warned_about(tmp_path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{boss: {hashed('right')}}}\n")

    *_, last = timetable.web(str(path), load_web(str(path)))

    assert last == "warning: passwords go over the wire as they are; add tls_server_config, or a proxy that speaks TLS"


def test_a_web_configuration_without_users_says_so() -> None:
    assert list(timetable.web("web.yml", load_web(str(PLAIN))))[1].startswith("web.yml: no TLS; no login, 0 of")
