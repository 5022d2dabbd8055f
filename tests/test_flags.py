"""Every flag can stand on the command line or in the environment; what is wrong is one sentence and exit code 2."""

import re

import pytest
from processes import run

from exporter import __version__
from exporter.flags import FLAGS, Flag, parse

GIVEN = {
    "config.file": ("other.yaml", "other.yaml"),
    "storage.path": ("/var/lib/wolkvox", "/var/lib/wolkvox"),
    "web.listen-address": ("127.0.0.1:9000", (("127.0.0.1", 9000),)),
    "web.systemd-socket": ("true", True),
    "web.config.file": ("web.yml", "web.yml"),
    "web.telemetry-path": ("/stats", "/stats"),
    "web.max-requests": ("3", 3),
    "web.enable-lifecycle": ("true", True),
    "web.external-url": ("https://example.com/wolkvox/", "https://example.com/wolkvox/"),
    "web.disable-exporter-metrics": ("true", True),
    "log.level": ("debug", "debug"),
    "log.format": ("json", "json"),
}
WRONG = [
    ("--web.listen-address=10096", "--web.listen-address: '10096' is no HOST:PORT or :PORT with a port up to 65535"),
    ("--web.listen-address=:65536", "':65536' is no HOST:PORT"),
    ("--web.listen-address=localhost:", "'localhost:' is no HOST:PORT"),
    ("--web.listen-address=:٣", "':٣' is no HOST:PORT"),
    ("--web.listen-address=::1:9000", "--web.listen-address: write an IPv6 address in brackets, as in [::1]:10096"),
    ("--web.telemetry-path=metrics", "'metrics' is no free path; it starts with /"),
    ("--web.telemetry-path=/sd/", "'/sd/' is no free path"),
    ("--web.telemetry-path=/", "'/' is no free path"),
    ("--web.telemetry-path=/operations", "'/operations' is no free path"),
    ("--web.telemetry-path=/operations/acme", "'/operations/acme' is no free path"),
    ("--web.telemetry-path=/{x}", "'/{x}' is no free path"),
    ("--web.max-requests=-1", "--web.max-requests: '-1' is no whole number from 0"),
    ("--web.max-requests=many", "'many' is no whole number from 0"),
    ("--web.external-url=example.com", "'example.com' is no URL such as https://metrics.example.com/wolkvox"),
    ("--web.external-url=ftp://example.com", "is no URL"),
    ("--web.external-url=http://example.com/?a=b", "is no URL"),
    ("--web.external-url=http://user:word@example.com/", "is no URL"),
    ("--web.external-url=http://[::1/", "is no URL"),
    ("--web.external-url=http://example.com:port/", "is no URL"),
    ("--web.external-url=http://example.com:0/", "is no URL"),
    ("--log.level=loud", "--log.level: 'loud' is none of debug, info, warning, error"),
    ("--log.format=xml", "--log.format: 'xml' is none of logfmt, json"),
    ("--no-such-flag", "unrecognized arguments: --no-such-flag"),
    ("--config.fil=other.yaml", "unrecognized arguments: --config.fil=other.yaml"),
    ("--config.file", "argument --config.file: expected one argument"),
    ("serv", "invalid choice: 'serv'"),
    ("demo --seconds=0", "argument --seconds: '0' is no number of seconds from 0.01 to 86400"),
    ("demo --seconds=nan", "'nan' is no number of seconds"),
    ("demo --seconds=soon", "'soon' is no number of seconds"),
    ("simulate --interval=inf", "argument --interval: 'inf' is no number of seconds"),
    ("simulate --port=70000", "argument --port: '70000' is no port up to 65535"),
    ("simulate --port=-1", "'-1' is no port"),
]


def value(flag: Flag, arguments, environ):
    return getattr(parse(arguments, environ), flag.attribute)


def written(flag: Flag, text: str) -> str:
    return f"--{flag.name}" if flag.switch else f"--{flag.name}={text}"


def refusal(arguments, capsys, **environ: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environ)

    assert ended.value.code == 2
    return str(capsys.readouterr().err)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_may_stand_before_the_command(flag) -> None:
    text, meant = GIVEN[flag.name]

    assert value(flag, [written(flag, text), "check"], {}) == meant


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_may_stand_after_the_command(flag) -> None:
    text, meant = GIVEN[flag.name]

    assert value(flag, ["check", written(flag, text)], {}) == meant


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_may_be_an_environment_variable(flag) -> None:
    text, meant = GIVEN[flag.name]
    variable = "WOLKVOX_EXPORTER_" + re.sub("[.-]", "_", flag.name).upper()

    assert value(flag, [], {variable: text}) == meant


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if not flag.switch], ids=lambda flag: flag.name)
def test_a_flag_may_be_two_words(flag) -> None:
    text, meant = GIVEN[flag.name]

    assert value(flag, [f"--{flag.name}", text], {}) == meant


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_that_nobody_gives_has_its_default(flag) -> None:
    assert value(flag, [], {}) == value(flag, [], {flag.variable: flag.default})


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if not flag.switch], ids=lambda flag: flag.name)
def test_the_command_line_beats_the_environment(flag) -> None:
    text, meant = GIVEN[flag.name]

    assert value(flag, [written(flag, text)], {flag.variable: flag.default}) == meant


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.switch], ids=lambda flag: flag.name)
def test_a_switch_of_the_environment_is_taken_back_by_its_twin(flag) -> None:
    assert value(flag, [], {flag.variable: "Yes"}) is True
    assert value(flag, [f"--no-{flag.name}"], {flag.variable: "1"}) is False
    assert value(flag, [], {flag.variable: ""}) is False


def test_without_a_command_it_serves() -> None:
    assert parse([], {}).command == "serve"


def test_the_listen_address_can_be_repeated() -> None:
    options = parse(["--web.listen-address=:1", "--web.listen-address=[::1]:2"], {})

    assert options.web_listen_address == (("", 1), ("::1", 2))


def test_the_variable_of_the_listen_address_holds_several_with_commas() -> None:
    options = parse([], {"WOLKVOX_EXPORTER_WEB_LISTEN_ADDRESS": "localhost:1, [::1]:2"})

    assert options.web_listen_address == (("localhost", 1), ("::1", 2))


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_value_is_one_sentence_and_exit_code_2(arguments, sentence, capsys) -> None:
    error = refusal(arguments.split(), capsys)

    assert sentence in error
    assert error.startswith("wolkvox-exporter")
    assert error.count("\n") == 1


def test_a_wrong_variable_is_named(capsys) -> None:
    error = refusal([], capsys, WOLKVOX_EXPORTER_WEB_ENABLE_LIFECYCLE="perhaps")

    assert error == (
        "wolkvox-exporter: WOLKVOX_EXPORTER_WEB_ENABLE_LIFECYCLE: 'perhaps' is neither true nor false; "
        "see wolkvox-exporter --help\n"
    )


def test_the_real_command_refuses_without_a_traceback() -> None:
    ended = run("check", "--log.level=loud")

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_version_is_said() -> None:
    ended = run("--version")

    assert (ended.returncode, ended.stdout) == (0, f"wolkvox-exporter {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["demo", "-h"], ["simulate", "-h"]], ids=str)
def test_help_lists_every_flag_with_its_variable_and_default(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    told = re.sub(r"-?\s+", " ", capsys.readouterr().out)

    assert ended.value.code == 0
    for flag in FLAGS:
        assert f"--{flag.name}" in told.replace("- ", "-")
        assert flag.variable in told
        assert flag.default in told


def test_help_lists_every_command() -> None:
    told = run("--help").stdout

    assert all(f"\n    {command} " in told for command in ("check", "demo", "simulate"))
