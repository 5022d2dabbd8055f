import errno
import os
import re
import time
import traceback
from pathlib import Path

import certifi
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.config import Config, ConfigError, explain, load, schema, values, yamlfile
from exporter.model import Secret, SecretError

ROOT = Path(__file__).parent.parent
LISTS = {"connectors": 300.0, "routing_points": 600.0, "token_info": 3600.0}
CANARY = "c4n4ry-7b69-645f-6469"
ADVICE = "paste the token from Manager > Settings > Integrations > Tokens"
ONE = 'operations:\n- {name: acme-co, server: "0010", token_file: secrets/acme}\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("secrets/acme", CANARY)
    return tmp_path


def write(path: str, content: str | bytes = "", mode: int = 0o600) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)


def read(text: str | bytes, environ: dict[str, str] | None = None) -> Config:
    """The configuration that this text is."""
    write("config.yaml", text)
    return load("config.yaml", LISTS, environ or {})


def faults(text: str | bytes, environ: dict[str, str] | None = None) -> list[str]:
    """The lines that say what is wrong with this text, without `config.yaml:` at their start; no token is in them."""
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.faults)
    return [line.removeprefix("config.yaml:") for line in str(caught.value).splitlines()]


def operation(more: str) -> str:
    """One whole operation with more keys, beginning in line 4."""
    return f"operations:\n- name: acme-co\n  server: '0010'\n  {more}\n"


def settings_of(more: str) -> Config:
    return read(f"{ONE}{more}\n")


# What is read


def test_the_shipped_example_loads() -> None:
    config = read((ROOT / "config.yaml").read_text())

    assert [account.operation.name for account in config.accounts] == ["acme-co"]
    assert config.accounts[0].token.read() == Secret(CANARY)
    assert config.warnings == ()


def test_the_shipped_example_shows_every_default_as_it_is() -> None:
    text = (ROOT / "config.yaml").read_text()
    uncommented = re.sub(r"(?m)^( *)#(?! \S)", r"\1", text)

    assert read(uncommented) == read(text)
    assert set(schema.Root.model_fields) == set(yaml.safe_load(uncommented))


@pytest.mark.parametrize("key", ["poll", "budget", "upstream", "believe"])
def test_the_shipped_example_shows_every_key_of(key: str) -> None:
    uncommented = re.sub(r"(?m)^( *)#(?! \S)", r"\1", (ROOT / "config.yaml").read_text())

    assert set(yaml.safe_load(uncommented)[key]) == set(explain.keys(schema.root(LISTS), (key,)))


def test_the_documentation_lists_the_keys_that_there_are_and_no_other() -> None:
    model = schema.root(LISTS)
    sections = {key: explain.keys(model, (key,)) for key in ("poll", "budget", "upstream", "believe")}
    expected = {key for key in model.model_fields if key not in sections}
    expected |= {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    expected |= {f"operations[].{key}" for key in schema.Entry.model_fields}

    documented = re.findall(r"(?m)^\| `([a-z_.\[\]]+)` \|", (ROOT / "docs/configuration.md").read_text())

    assert sorted(documented) == sorted(expected)


def test_every_setting_arrives() -> None:
    config = settings_of(
        "poll: {connectors: 1h30m, routing_points: off, token_info: 'off'}\nbudget: {reserve: 7}\n"
        "upstream: {base_url: 'https://gate.example/wv{server}/', timeout: 30, connect_timeout: 500ms,"
        f" max_body: 500KiB, concurrency: 4, proxy: 'http://u:p@proxy:3128', ca_file: {certifi.where()}}}\n"
        "believe: {mass_removal: 1}\nconnector_names: false\nretention: 1w"
    )

    assert config.intervals == {"connectors": 5400, "routing_points": None, "token_info": None}
    assert (config.budget.reserve, config.believe.mass_removal, config.retention) == (7, 1, 604800)
    assert (config.upstream.base_url, config.upstream.proxy) == (
        "https://gate.example/wv{server}",
        "http://u:p@proxy:3128",
    )
    assert (config.upstream.timeout, config.upstream.connect_timeout, config.upstream.max_body) == (30, 0.5, 512000)
    assert (config.upstream.concurrency, config.connector_names) == (4, False)
    assert config.upstream.ca_file == certifi.where()


def test_a_proxys_password_is_in_no_repr() -> None:
    config = settings_of(f"upstream: {{proxy: 'http://u:{CANARY}@proxy'}}")

    assert CANARY not in repr(config)


def test_labels_and_expectations_arrive() -> None:
    config = read(operation("token_file: secrets/acme\n  labels: {country: co}\n  expect: {whatsapp: 2, 5: 0}"))

    assert config.accounts[0].operation.labels == {"country": "co"}
    assert config.accounts[0].operation.expect == {"whatsapp": 2, "5": 0}


def test_a_key_with_nothing_behind_it_is_an_empty_one() -> None:
    more = "poll:\nbudget:\nupstream:\nbelieve:\noperations_files:\n"
    config = read(operation("token_file: secrets/acme\n  labels:\n  expect:") + more)

    assert config == read(operation("token_file: secrets/acme"))


@pytest.mark.parametrize("server", ["'0010'", "wv0010", "WV0010", "0089"])
def test_a_server_may_be_written(server: str) -> None:
    config = read(f"operations:\n- {{name: a, server: {server}, token_file: secrets/acme}}")

    assert re.fullmatch("[0-9]{4}", config.accounts[0].operation.server)


def test_the_connect_timeout_follows_a_short_timeout() -> None:
    assert settings_of("upstream: {timeout: 4s}").upstream.connect_timeout == 4


@pytest.mark.parametrize("host", ["127.0.0.1:10097", "127.9.9.9", "[::1]:80"])
def test_the_simulator_may_be_asked_often_and_in_the_clear(host: str) -> None:
    config = settings_of(f"upstream: {{simulator: true, base_url: 'http://{host}'}}\npoll: {{connectors: 1s}}")

    assert config.upstream.simulator
    assert config.intervals["connectors"] == 1


def test_names_in_paths_are_seen_from_the_file_that_holds_them() -> None:
    write("etc/config.yaml", "operations_files: [more/*.yaml]")
    write("etc/more/acme.yaml", "- {name: a, server: '0010', token_file: ../tokens/acme}")
    write("etc/tokens/acme", "t1")

    config = load("etc/config.yaml", LISTS, {})

    assert str(config.accounts[0].token) == "etc/more/../tokens/acme"


def test_operations_files_are_read_in_the_order_of_their_names(folder: Path) -> None:
    for name in ("b", "a", "c"):
        write(f"conf.d/{name}.yaml", f"- {{name: {name}, server: '0010', token: {name}}}")

    config = read(f"{ONE}operations_files: [conf.d/c.yaml, '{folder}/conf.d/[ab].yaml', conf.d/c.yaml]")

    assert sorted(account.operation.name for account in config.accounts[1:]) == ["a", "b", "c"]


def test_a_pattern_that_matches_nothing_is_a_warning() -> None:
    config = settings_of("operations_files: [conf.d/*.yaml]")

    assert config.warnings == ("config.yaml:3: operations_files[0]: conf.d/*.yaml matches no file",)


def test_a_thousand_operations_load_in_seconds() -> None:
    began = time.monotonic()
    items = "".join(f"- name: acme-{i}\n  server: '0010'\n  token: t{i}\n" for i in range(1000))

    assert len(read(f"operations:\n{items}").accounts) == 1000
    assert time.monotonic() - began < 10


def test_reading_twice_gives_the_same_and_another_token_does_not() -> None:
    inline = "operations:\n- {name: a, server: '0010', token: t1}"

    assert read(inline) == read(inline)
    assert read(inline) != read(inline.replace("t1", "t2"))


# Tokens


@pytest.mark.parametrize("content", [CANARY, f" {CANARY}\r\n", f"\ufeff{CANARY}\n"])
def test_what_stands_around_a_token_does_not_count(content: str | bytes) -> None:
    write("secrets/acme", content)

    assert read(ONE).accounts[0].token.read() == Secret(CANARY)


def test_a_token_is_read_anew_each_time() -> None:
    source = read(ONE).accounts[0].token
    write("secrets/acme", "rotated")

    assert source.read() == Secret("rotated")


def test_a_token_that_goes_away_is_said_with_the_operations_name() -> None:
    source = read(ONE).accounts[0].token
    write("secrets/acme")

    with pytest.raises(SecretError, match=f"^operation acme-co: secrets/acme is empty; {ADVICE}$"):
        source.read()


def test_a_token_comes_from_the_environment() -> None:
    source = read(operation("token_env: ACME_TOKEN"), {"ACME_TOKEN": CANARY}).accounts[0].token

    assert source.read() == Secret(CANARY)
    assert str(source) == "variable ACME_TOKEN"


def test_a_token_in_the_configuration_is_warned_about_and_in_no_repr() -> None:
    config = read(operation(f"token: {CANARY}"))

    assert config.accounts[0].token.read() == Secret(CANARY)
    assert config.warnings == (
        "config.yaml:4: operations[0].token: the token stands in the configuration; token_file keeps it apart",
    )
    assert CANARY not in repr(config) + str(config.accounts[0].token)


def test_the_environment_is_in_no_repr() -> None:
    assert CANARY not in repr(read(operation("token_env: ACME_TOKEN"), {"ACME_TOKEN": CANARY}))


def test_a_token_file_that_everybody_may_read_is_warned_about() -> None:
    Path("secrets/acme").chmod(0o644)

    assert read(ONE).warnings == (
        "config.yaml:2: operations[0].token_file: secrets/acme can be read by every user; chmod 600 it",
    )


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("token_file: secrets/none", "secrets/none does not exist"),
        ("token_file: secrets", "secrets is not a regular file"),
        ("token_file: /dev/zero", "/dev/zero is not a regular file"),
        ("token_file: secrets/pipe", "secrets/pipe is not a regular file"),
        ("token_file: secrets/loop", f"secrets/loop cannot be read ({os.strerror(errno.ELOOP)})"),
        ("token_file: secrets/large", "secrets/large is larger than 64KiB"),
        ("token_file: secrets/blank", f"secrets/blank is empty; {ADVICE}"),
        ("token_file: ''", '"" does not exist'),
        ('token_file: "a\\0b"', "a\\x00b is not a path"),
        ("token_file: secrets/two", "secrets/two holds more than one word of visible ASCII characters; "),
        ("token_file: secrets/utf16", "secrets/utf16 holds more than one word of visible ASCII characters; "),
        (f"token_file: {CANARY}", "the value does not exist"),
        ("token_env: ACME_TOKEN", "variable ACME_TOKEN is not set in the environment; set it, or use token_file"),
        ("token_env: BLANK", f"variable BLANK is empty; {ADVICE}"),
        ("token_env: a-b", "variable a-b is not the name of an environment variable; letters, digits and _ are"),
        (f"token_env: {CANARY}", "the value is not the name of an environment variable"),
        ("token: ' '", f"the token is empty; {ADVICE}"),
        (f"token: {CANARY}\u00e9", "the token holds more than one word of visible ASCII characters; paste the token"),
        ("token: 123456", "a number is not text; write it in quotes"),
        (f"token: [{CANARY}]", "a list is not text"),
        ("token:", "an empty value is not text"),
        ("token_file: 12", '12 without quotes is read as the number 12 by YAML; write it in quotes: "12"'),
    ],
)
def test_a_token_that_cannot_be_had_is_said(key: str, fault: str) -> None:
    os.mkfifo("secrets/pipe")
    Path("secrets/loop").symlink_to("loop")
    write("secrets/large", "x" * 65537)
    write("secrets/blank", " \n")
    write("secrets/two", f"{CANARY}\n{CANARY}")
    write("secrets/utf16", CANARY.encode("utf-16"))

    (line,) = faults(operation(key), {"BLANK": " "})

    assert line.startswith(f"4: operations[0].{key.split(':', maxsplit=1)[0]}: {fault}")


def test_a_token_is_given_in_one_way() -> None:
    more = "- {name: b, server: '0010'}\n- {name: c, server: '0010', token_file: secrets/acme, token_env: C}\n"

    assert faults(f"operations:\n{more}") == [
        "2: operations[0]: has no token; give one of token_file, token_env, token",
        "3: operations[1]: token_file and token_env stand together; give one of token_file, token_env, token",
    ]


def test_two_operations_with_one_token_are_a_fault_without_the_token() -> None:
    assert faults(f"{ONE}- {{name: b, server: '0010', token: {CANARY}}}") == [
        "3: operations[1].token: holds the token of the operation at config.yaml:2; each operation has its own"
    ]


# Faults of operations


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("server: 0010", '.server: 0010 without quotes is read as the number 8 by YAML; write it in quotes: "0010"'),
        ("server: 10", '.server: 10 without quotes is read as the number 10 by YAML; write it in quotes: "0010"'),
        ("server: 1.5", '.server: 1.5 without quotes is read as the number 1.5 by YAML; write it in quotes: "1.5"'),
        ("server: '10'", '.server: 10 is not a server; four digits are allowed, as in "0010" or "wv0010"'),
        ("server: 001\u0664", ".server: 001\u0664 is not a server; four digits"),
        ("server: {}", ".server: a mapping is not a server"),
        ("name: a b", '.name: "a b" is not a name; letters, digits, dot, _ and - are allowed, 63 at most'),
        (f"name: {'a' * 64}", f".name: {'a' * 59}… is not a name"),
        ("name: no", '.name: no without quotes is read as false by YAML; write it in quotes: "no"'),
        (f"name: 0x{'f' * 5000}", f".name: 0x{'f' * 57}… without quotes is read as a number by YAML"),
        ("name: []", ".name: a list is not a name"),
        ("labels: {job: x}", ".labels.job: is taken; operation, server, job, instance and __* are not allowed"),
        ("labels: {__a: x}", ".labels.__a: is taken"),
        ("labels: {a-b: x}", ".labels.a-b: is not a label name; letters, digits and _ are allowed, a digit not at"),
        ("labels: {a: 5}", '.labels.a: 5 without quotes is read as the number 5 by YAML; write it in quotes: "5"'),
        (f"labels: {{a: {'x' * 201}}}", f".labels.a: {'x' * 59}… is longer than 200 characters, which is allowed"),
        ("labels: [a]", ".labels: a list is not a mapping of keys"),
        ("expect: {whatsapp: -1}", ".expect.whatsapp: -1 is not allowed; a whole number from 0 to 1000000000 is"),
        ("expect: {whatsapp: yes}", ".expect.whatsapp: yes is not allowed; a whole number"),
        ("expect: {' ': 1}", '.expect." ": is not a channel; a name such as whatsapp is allowed, 200 characters at'),
    ],
)
def test_an_operation_that_is_wrong_is_said(item: str, fault: str) -> None:
    key = item.split(":", maxsplit=1)[0]
    right = {"name": "acme-co", "server": "'0010'", "token_file": "secrets/acme"}
    lines = [f"{name}: {value}" for name, value in right.items() if name != key]

    (line,) = faults("operations:\n- " + "\n  ".join([item, *lines]))

    assert line.startswith(f"2: operations[0]{fault}")


def test_keys_that_are_missing_are_said() -> None:
    assert faults("operations:\n- {token_file: secrets/acme}\n- 5") == [
        "2: operations[0].name: is missing",
        "2: operations[0].server: is missing",
        "3: operations[1]: a number is not a mapping of keys",
    ]


def test_two_operations_with_one_name_are_a_fault() -> None:
    assert faults(f"{ONE}- {{name: acme-co, server: '0011', token: t2}}") == [
        "3: operations[1].name: acme-co is the name of the operation at config.yaml:2 already; give it another"
    ]


def test_no_operation_at_all_is_a_fault() -> None:
    fault = "operations: there is none; give at least one, with name, server and token_file"

    assert faults("poll: {}\noperations: []") == [f"2: {fault}"]
    assert faults("poll: {}") == [f" {fault}"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a: 1", "conf.d/a.yaml: a mapping is not a list"),
        ("", "conf.d/a.yaml: is empty; write a list of operations there, or take it out of operations_files"),
        ("- {name: b, server: 10, token: t2}", "conf.d/a.yaml:1: [0].server: 10 without quotes"),
        ("- {name: acme-co, server: '0010', token: t2}", "conf.d/a.yaml:1: [0].name: acme-co is the name of the"),
    ],
)
def test_an_operations_file_that_is_wrong_is_said(content: str | bytes, fault: str) -> None:
    write("conf.d/a.yaml", content)

    (line,) = faults(f"{ONE}operations_files: [conf.d/*.yaml]")

    assert line.startswith(fault)


def test_a_plain_operations_file_must_exist() -> None:
    advice = "write a list of operations there, or take it out of operations_files"

    assert faults(f'{ONE}operations_files: [more.yaml, "a\\0b"]') == [
        f"3: operations_files[0]: more.yaml does not exist; {advice}",
        f"3: operations_files[1]: a\\x00b does not exist; {advice}",
    ]


def test_a_path_of_an_operations_file_is_text() -> None:
    (line,) = faults(f"{ONE}operations_files: [5]")

    assert line.startswith("3: operations_files[0]: 5 without quotes is read as the number 5 by YAML")


# Faults of settings


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("poll: {connectors: 60s}", "poll.connectors: 60s is shorter than 5m, which the API asks for at least"),
        ("poll: {connectors: off}", "poll.connectors: off is not allowed here; without connectors there is nothing"),
        ("poll: {token_info: 25h}", "poll.token_info: 25h is longer than 1d, which is allowed at most"),
        ("poll: {token_info: on}", "poll.token_info: on is not a duration; seconds are allowed, or units in falling"),
        ("poll: {token_info: 5m1h}", "poll.token_info: 5m1h is not a duration"),
        ("poll: {token_info: ''}", 'poll.token_info: "" is not a duration'),
        ("poll: {token_info: 1:30}", "poll.token_info: 1:30 is not a duration"),
        ("poll: {token_info: .nan}", "poll.token_info: .nan is not a duration"),
        ("poll: {token_info: -.inf}", "poll.token_info: -.inf is not a duration"),
        ("poll: {token_info: -1}", "poll.token_info: -1 is not a duration"),
        (f"poll: {{token_info: 0x{'f' * 400}}}", f"poll.token_info: 0x{'f' * 57}… is longer than 1d"),
        ("poll: {token_info: [5m]}", "poll.token_info: a list is not a duration"),
        ("poll: {token_info: !!int ten}", "poll.token_info: ten is not a duration"),
        ("poll: 5m", "poll: text is not a mapping of keys"),
        ("budget: {reserve: 1.5}", "budget.reserve: 1.5 is not allowed; a whole number from 0 to 1000000000 is"),
        ("upstream: {timeout: 61}", "upstream.timeout: 61 is not allowed; a duration from 1s to 60s is"),
        (
            "upstream: {timeout: 5s, connect_timeout: 6s}",
            "upstream.connect_timeout: 6s is not allowed; more than 0 is, and at most upstream.timeout",
        ),
        ("upstream: {connect_timeout: 0}", "upstream.connect_timeout: 0 is not allowed"),
        ("upstream: {max_body: 1GiB}", "upstream.max_body: 1GiB is not allowed; a size from 1 byte to 256MiB is"),
        ("upstream: {max_body: 16MB}", "upstream.max_body: 16MB is not a size; bytes are allowed, or a text such as"),
        ("upstream: {max_body: 0}", "upstream.max_body: 0 is not allowed"),
        ("upstream: {concurrency: 257}", "upstream.concurrency: 257 is not allowed; a whole number from 1 to 256 is"),
        ("upstream: {concurrency: true}", "upstream.concurrency: true is not allowed"),
        ("upstream: {simulator: 'yes'}", "upstream.simulator: yes is not allowed; true and false are"),
        ("upstream: {base_url: ftp://x}", "upstream.base_url: ftp://x is not a URL; http:// or https:// with a host"),
        ("upstream: {base_url: 'https://a b{server}'}", 'upstream.base_url: "https://a b{server}" is not a URL'),
        ("upstream: {base_url: 'https://{x}{server}'}", "upstream.base_url: https://{x}{server} is not a URL"),
        ("upstream: {base_url: 'https://[x{server}'}", "upstream.base_url: https://[x{server} is not a URL"),
        ("upstream: {base_url: 'https://{server}:99999'}", "upstream.base_url: https://{server}:99999 is not a URL"),
        ("upstream: {base_url: 'https://{server}:0'}", "upstream.base_url: https://{server}:0 is not a URL"),
        ("upstream: {base_url: https://x}", "upstream.base_url: https://x lacks {server}, where the four digits go"),
        ("upstream: {base_url: 'http://{server}'}", "upstream.base_url: http://{server} is not https, and a token"),
        (
            f"upstream: {{base_url: 'https://u:{CANARY}@{{server}}'}}",
            "upstream.base_url: text carries a user, a query or a fragment; only scheme, host, port and path are",
        ),
        ("upstream: {base_url: 'https://{server}?'}", "upstream.base_url: text carries a user, a query or"),
        ("upstream: {simulator: true}", "upstream.base_url: the default is not a loopback address, which upstream."),
        ("upstream: {simulator: true, base_url: 'http://localhost'}", "upstream.base_url: http://localhost is not a"),
        ("upstream: {simulator: true, base_url: 'http://10.0.0.1'}", "upstream.base_url: http://10.0.0.1 is not a"),
        (
            "upstream: {simulator: true, base_url: 'http://127.0.0.1', proxy: 'http://p'}",
            "upstream.proxy: text is not allowed beside upstream.simulator: true",
        ),
        (f"upstream: {{proxy: 'socks5://{CANARY}@p'}}", "upstream.proxy: text is not a URL"),
        (f"upstream: {{proxy: 'http://p/{CANARY}'}}", "upstream.proxy: text carries a path, a query or a fragment"),
        ("upstream: {proxy: 5}", "upstream.proxy: a number is not text; write it in quotes"),
        ("upstream: {ca_file: none.pem}", "upstream.ca_file: none.pem does not exist; the path is relative to this"),
        ("upstream: {ca_file: secrets/acme}", "upstream.ca_file: secrets/acme holds no certificate; a file of PEM"),
        ("believe: {mass_removal: 0}", "believe.mass_removal: 0 is not allowed; a number above 0, at most 1, is"),
        ("believe: {mass_removal: 50%}", "believe.mass_removal: 50% is not allowed"),
        ("connector_names: 1", "connector_names: 1 is not allowed; true and false are"),
        ("retention: 1h", "retention: 1h is not allowed; a duration from 1d to 3650d is"),
    ],
)
def test_a_setting_that_is_wrong_is_said(setting: str, fault: str) -> None:
    (line,) = faults(f"{ONE}{setting}")

    assert line.startswith(f"3: {fault}")


def test_an_interval_of_the_simulator_has_a_floor() -> None:
    setting = "upstream: {simulator: true, base_url: 'http://127.0.0.1'}\npoll: {connectors: 0}"

    assert faults(ONE + setting) == ["4: poll.connectors: 0 is shorter than 1ms, which is allowed at least"]


def test_a_connect_timeout_is_not_blamed_for_a_wrong_timeout() -> None:
    assert [line.split(":")[1] for line in faults(f"{ONE}upstream: {{timeout: x}}")] == [" upstream.timeout"]


def test_eight_faults_are_named_in_one_go_in_order() -> None:
    lines = faults(
        'opertions: []\noperations:\n- name: "a b"\n  server: 0010\n  tokens_file: x\n- name: b\n  server: wv0011\n'
        "  token_file: secrets/none\n  labels: {job: x}\npoll:\n  connectors: 60s\nretention: soon\nretention: 1d\n"
    )

    assert [line.split(":")[0] for line in lines] == ["1", "3", "4", "5", "8", "9", "11", "12", "13"]
    assert lines[0] == '1: unknown key "opertions"; did you mean "operations"?'
    assert lines[3] == '5: unknown key "tokens_file"; did you mean "token_file"?'
    assert lines[8] == '13: duplicate key "retention"; it stands in line 12 already'


def test_an_unknown_key_like_no_other_is_said_with_those_that_are_allowed() -> None:
    assert faults(f"{ONE}budget: {{{'xyz'}: {CANARY}}}\npoll: {{conectors: 5m}}") == [
        '3: unknown key "xyz"; allowed are reserve',
        '4: unknown key "conectors"; did you mean "connectors"?',
    ]


# Files that are no configuration

START = "name it with --config.file, or start from the config.yaml that is shipped"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# nothing", f" is empty; {START}"),
        ("- a", f"1: holds a list, no keys; {START}"),
        (b"a: 1\nb: \xe9", "2: is not UTF-8 text; save it as UTF-8"),
        ("a: 1\nb: \x01", "2: holds a control character; remove it"),
        ("a:\n\tb: 1", "2: is not valid YAML: found character '\\t' that cannot start any token; indent with spaces,"),
        ("a: [1\nb: 2", "2: is not valid YAML: "),
        (f"a: 1\n---\ntoken: {CANARY}", "2: is not valid YAML: but found another document"),
        (f"a: !{CANARY}!x 1", "1: is not valid YAML: found undefined tag handle …"),
        (f"a: {CANARY}\nb: !<{CANARY}", "2: is not valid YAML: expected '>', but found '\\x00'"),
        (f"operations: {CANARY}", "1: operations: text is not a list"),
        (f"a: *{CANARY}", "1: is not valid YAML: an alias (*name) is not read here; write the value out, in quotes"),
        ("a: &x [*x]", "1: is not valid YAML: an alias"),
        ("a: !!python/object/apply:os.system [x]", "1: is not valid YAML: a tag (!name) is not read here"),
        ("\n" + "[" * 5000, "2: is not valid YAML: nested deeper than 20 levels"),
        ('a: "\\UFFFFFFFF"', " is not valid YAML: a number in it is out of range"),
        (" " * (4 * 1024**2 + 1), f" is larger than 4096KiB; {START}"),
    ],
)
def test_a_file_that_is_no_configuration_is_said(text: str | bytes, fault: str) -> None:
    (line,) = faults(text)

    assert line.startswith(fault)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match=f"^none.yaml: does not exist; {START}$"):
        load("none.yaml", LISTS, {})


def test_keys_that_are_no_text_and_escapes_that_are_no_character_are_said() -> None:
    assert faults(f'{ONE}? [a]\n: 1\nbudget: {{"\\uD800": 1}}') == [
        "3: a key is not text but a list or a mapping",
        "5: budget: holds an escape that is no character",
        '5: unknown key ""; allowed are reserve',
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text("[]{}:-? \n\"'&*!|>#%@0aé\\") | st.binary(max_size=50))
def test_no_text_ends_in_anything_but_a_configuration_or_its_faults(text: str | bytes) -> None:
    write("config.yaml", text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    with pytest.raises(ConfigError):
        load("config.yaml", LISTS, {})


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_value_of_any_key_ends_in_anything_but_a_configuration_or_its_faults(data: st.DataObject) -> None:
    whole = {key: data.draw(YAML_VALUES) for key in data.draw(st.sets(st.sampled_from(list(schema.Root.model_fields))))}
    item = {key: data.draw(YAML_VALUES) for key in data.draw(st.sets(st.sampled_from(list(schema.Entry.model_fields))))}
    section = data.draw(st.sampled_from(["poll", "budget", "upstream", "believe"]))
    inner = {key: data.draw(YAML_VALUES) for key in explain.keys(schema.root(LISTS), (section,))}
    write("config.yaml", yaml.safe_dump({**whole, "operations": [item], section: inner}))

    with pytest.raises(ConfigError):
        load("config.yaml", LISTS, {})


@given(st.integers(0, 10**8))
def test_a_duration_is_what_its_units_add_up_to(seconds: int) -> None:
    hours, rest = divmod(seconds, 3600)

    assert values.duration(f"{hours}h{rest // 60}m{rest % 60}s") == seconds == values.duration(seconds)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_was_written(number: float) -> None:
    document = yamlfile.parse("x", yaml.safe_dump({"a": number}), "")

    assert document.data == {"a": number}


@pytest.mark.parametrize(("text", "number"), [("0o10", "0o10"), ("0b11", 3), ("1_000", 1000), ("+.inf", float("inf"))])
def test_a_number_may_be_written(text: str, number: float | str) -> None:
    assert yamlfile.parse("x", f"a: {text}", "").data["a"] == number
