"""The poller on a real storage against the real simulator, with a clock that is set by hand."""


def test_the_first_turn_polls_every_list_connectors_first(exporter, simulator) -> None:
    exporter.turn()

    assert [call.api for call in simulator.calls] == ["connectors", "routing_points", "token_info"]


def test_a_restart_does_not_call_early(exporter, simulator, clock) -> None:
    exporter.turn()
    clock.advance(60)
    exporter.restart()
    exporter.turn()

    assert len(simulator.calls) == 3


def test_a_day_is_polled_within_the_law(exporter, simulator, clock) -> None:
    exporter.turns(86400)

    report = simulator.report()
    assert (report.early, report.overlapping, report.refused) == (0, 0, 0)
    assert 440 < report.calls <= 288 + 144 + 24
