"""The shipped files on a faster clock say the same as they did: only times differ, each by the one table."""

import re
from pathlib import Path

import promql_parser
import pytest
import scaled
import yaml

from exporter.durations import parsed

RULES = sorted((scaled.ROOT / "alerts").glob("*.yml"))
SHIPPED = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
SCALED = [rule for path in RULES for group in scaled.rules(path)["groups"] for rule in group["rules"]]
ALERTMANAGER = yaml.safe_load((scaled.ROOT / "deploy" / "prometheus" / "alertmanager.yml").read_text())
WORD = re.compile(r'"[^"]*"|\w+|\S')
LONG = 3600  # no number of the rules that is as great is anything but a time, records excepted
RECORDS = "60000"

NAMES = [rule.get("alert") or rule["record"] for rule in SHIPPED]

each = pytest.mark.parametrize(("shipped", "faster"), list(zip(SHIPPED, SCALED, strict=True)), ids=NAMES)


def differences(shipped: str, faster: str) -> list[tuple[str, str]]:
    """The words in which two expressions differ."""
    words = zip(WORD.findall(shipped), WORD.findall(faster), strict=True)
    return [(one, other) for one, other in words if one != other]


def length(word: str) -> float:
    return float(word) if word.isdigit() else parsed(word) or 0


def test_the_table_keeps_the_order_and_makes_everything_shorter() -> None:
    assert list(scaled.TABLE) == sorted(scaled.TABLE)
    assert list(scaled.TABLE.values()) == sorted(set(scaled.TABLE.values()))
    assert all(here < shipped for shipped, here in scaled.TABLE.items())


@each
def test_an_expression_differs_in_times_alone(shipped, faster) -> None:
    changed = differences(shipped["expr"], faster["expr"])

    assert all(scaled.TABLE[length(before)] == length(after) for before, after in changed)
    promql_parser.parse(faster["expr"])


@each
def test_no_time_is_left_as_it_was(shipped, faster) -> None:
    words = set(WORD.findall(faster["expr"])) - {RECORDS}

    assert all(word.endswith("ms") for word in words if re.fullmatch(r"(\d+[a-z]+)+", word))
    assert not [word for word in words if word.isdigit() and int(word) >= LONG]


@each
def test_a_rule_stays_itself_but_for_its_expression_and_its_patience(shipped, faster) -> None:
    times = {"expr", "for"}

    assert shipped.keys() == faster.keys()
    assert all(faster[name] == value for name, value in shipped.items() if name not in times)
    assert "for" not in shipped or length(faster["for"]) == scaled.TABLE[length(shipped["for"])]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_groups_stay_as_they_are(path: Path) -> None:
    shipped, faster = yaml.safe_load(path.read_text())["groups"], scaled.rules(path)["groups"]

    assert [{**group, "rules": 0} for group in faster] == [{**group, "rules": 0} for group in shipped]


def test_alertmanager_differs_in_times_and_addresses_alone() -> None:
    changed = differences(yaml.safe_dump(ALERTMANAGER), yaml.safe_dump(scaled.alertmanager("http://h:1")))

    times = [(before, after) for before, after in changed if before not in {"localhost", "8080"}]
    assert all(scaled.TABLE[length(before)] == length(after) for before, after in times)
    assert len(times) == 4
    assert set(changed) - set(times) == {("localhost", "h"), ("8080", "1")}


def test_a_time_that_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="7200 s is not in the table of scaled times"):
        scaled.expression("rate(x[2h])")


def test_a_factor_of_an_interval_is_no_time() -> None:
    assert scaled.expression("a >= time() - 3 * b and c > time() - 3600") == "a >= time() - 3 * b and c > time() - 40"
