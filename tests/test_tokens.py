"""Tokens are read anew from their sources, and kept when a source has none any more."""

from pathlib import Path

from conftest import CANARY, Exporter, setup_for

from exporter.config.tokens import TokenSource
from exporter.model import Operation, Secret, SecretError
from exporter.setup import Target
from exporter.tokens import Tokens

WARNING = "token not read, the last one stays"


class Source:
    """A place with a token; None is an empty one."""

    def __init__(self, text: str | None = "one") -> None:
        self.text = text
        self.problem = "secrets/acme is empty"

    def read(self) -> Secret:
        if self.text is None:
            raise SecretError("acme", self.problem)
        return Secret(self.text)


def target(source: Source, name: str = "acme") -> Target:
    return Target(Operation(name, "0010"), source.read)


def test_the_first_reading_is_news_and_the_same_again_is_not() -> None:
    tokens, source = Tokens(), Source()

    assert tokens.refresh([target(source)])
    assert not tokens.refresh([target(source)])
    assert tokens["acme"] == Secret("one")


def test_another_token_is_news() -> None:
    tokens, source = Tokens(), Source()
    tokens.refresh([target(source)])
    source.text = "two"

    assert tokens.refresh([target(source)])
    assert tokens["acme"].reveal() == "two"


def test_an_operation_that_goes_takes_its_token_along() -> None:
    tokens, source = Tokens(), Source()
    tokens.refresh([target(source), target(source, "beta")])

    assert tokens.refresh([target(source)])
    assert "beta" not in tokens


def test_an_empty_source_keeps_the_last_token_and_is_said_once(quiet_log) -> None:
    tokens, source = Tokens(), Source()
    tokens.refresh([target(source)])
    source.text = None

    assert not any(tokens.refresh([target(source)]) for _ in range(3))
    assert tokens["acme"].reveal() == "one"
    assert [(event["event"], event["error"]) for event in quiet_log] == [
        (WARNING, "operation acme: secrets/acme is empty")
    ]


def test_another_problem_with_a_source_is_said_again(quiet_log) -> None:
    tokens, source = Tokens(), Source(None)
    tokens.refresh([target(source)])
    source.problem = "secrets/acme: permission denied"
    tokens.refresh([target(source)])

    assert [event["error"].split(": ", 1)[1] for event in quiet_log] == [
        "secrets/acme is empty",
        "secrets/acme: permission denied",
    ]


def test_a_problem_that_was_solved_and_comes_back_is_said_again(quiet_log) -> None:
    tokens, source = Tokens(), Source(None)
    for text in (None, "one", None):
        source.text = text
        tokens.refresh([target(source)])

    assert len(quiet_log) == 2


def test_an_operation_that_never_had_a_token_is_not_there() -> None:
    tokens = Tokens()

    assert not tokens.refresh([target(Source(None))])
    assert "acme" not in tokens


def test_a_changed_secret_is_used_within_ten_seconds_without_a_reload(api, simulator, clock, tmp_path) -> None:
    secrets = {"acme": CANARY}
    exporter = Exporter(tmp_path / "data", clock, setup_for(simulator, secrets, clock))
    exporter.turn()
    api.add_token("canary-second")
    secrets["acme"] = "canary-second"
    clock.advance(450)
    exporter.turn()

    assert [call.token_id for call in simulator.calls] == ["acme#0"] * 3 + ["acme#1"]
    assert simulator.report().early == 0


def test_a_new_token_is_asked_no_sooner_than_the_old_one(api, simulator, clock, tmp_path) -> None:
    secrets = {"acme": CANARY}
    exporter = Exporter(tmp_path / "data", clock, setup_for(simulator, secrets, clock))
    exporter.turn()
    api.add_token("canary-second")
    secrets["acme"] = "canary-second"
    clock.advance(290)
    exporter.turn()

    assert len(simulator.calls) == 3


def test_a_secret_that_is_gone_polls_on_with_the_old_token(simulator, api, clock, tmp_path, quiet_log) -> None:
    source = Source(CANARY)
    exporter = Exporter(tmp_path / "data", clock, setup_for(simulator, {}, clock, targets=(target(source),)))
    exporter.turn()
    source.text = None
    for _ in range(50):
        clock.advance(10)
        exporter.turn()

    assert [event["event"] for event in quiet_log if event["log_level"] == "warning"] == [WARNING]
    assert [call.status for call in simulator.calls] == [200] * 4


# A folder of secrets as the kubelet keeps it: each file leads through `..data`, and that link is put elsewhere at once.


def mounted(folder: Path, version: str, token: str) -> None:
    """Puts a version of the secret in force and removes the one before it, in the kubelet's order."""
    data, fresh = folder / "..data", folder / version
    former = data.resolve() if data.is_symlink() else None
    fresh.mkdir(parents=True)
    (fresh / "acme").write_text(token)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").replace(data)
    if former:
        (former / "acme").unlink()
        former.rmdir()
    else:
        (folder / "acme").symlink_to("..data/acme")


def test_a_secret_that_kubernetes_swaps_is_news(tmp_path) -> None:
    tokens, source = Tokens(), TokenSource("acme", "token_file", str(tmp_path / "acme"))
    targets = [Target(Operation("acme", "0010"), source.read)]
    mounted(tmp_path, "..2026_01_01", "one")
    tokens.refresh(targets)

    assert not tokens.refresh(targets)
    mounted(tmp_path, "..2026_01_02", "two")
    assert tokens.refresh(targets)
    assert tokens["acme"].reveal() == "two"


def test_a_secret_that_kubernetes_swaps_is_used_within_ten_seconds(api, simulator, clock, tmp_path, quiet_log) -> None:
    folder = tmp_path / "secrets"
    mounted(folder, "..2026_01_01", CANARY)
    source = TokenSource("acme", "token_file", str(folder / "acme"))
    targets = (Target(Operation("acme", "0010"), source.read),)
    exporter = Exporter(tmp_path / "data", clock, setup_for(simulator, {}, clock, targets=targets))
    exporter.turn()

    api.add_token("canary-second")
    mounted(folder, "..2026_01_02", "canary-second")
    exporter.turns(450)

    assert [call.token_id for call in simulator.calls] == ["acme#0"] * 3 + ["acme#1"]
    assert not [event for event in quiet_log if event["log_level"] == "warning"]


def test_a_secret_that_kubernetes_takes_away_keeps_the_last_token(tmp_path, quiet_log) -> None:
    tokens, source = Tokens(), TokenSource("acme", "token_file", str(tmp_path / "acme"))
    targets = [Target(Operation("acme", "0010"), source.read)]
    mounted(tmp_path, "..2026_01_01", "one")
    tokens.refresh(targets)

    (tmp_path / "..data").unlink()

    assert not tokens.refresh(targets)
    assert tokens["acme"].reveal() == "one"
    (event,) = quiet_log
    assert (event["event"], event["operation"]) == (WARNING, "acme")
    assert event["error"].endswith(" does not exist")
