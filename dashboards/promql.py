"""PromQL as the dashboards need it: selectors, joins and windows that survive double targets and duplicate rows.

Two Prometheus targets, or two copies of the exporter, tell each series twice: what is summed or joined goes through
`series` or `grouped` first. Each selector carries the variables that its dashboard has.
"""

from typing import Final

TARGETS: Final = ('job=~"$job"', 'instance=~"$instance"')
OPERATION: Final = (*TARGETS, 'operation=~"$operation"')
COPIES: Final = "instance, job, pod"

# A scrape may see a change up to a minute after the exporter believed it: windows close so much later, none is lost.
DELAY: Final = 60


def selector(metric: str, *matchers: str, scope: tuple[str, ...] = OPERATION) -> str:
    """The metric with the matchers of the dashboard's variables, and some of its own."""
    return f"{metric}{{{', '.join((*scope, *matchers))}}}"


def series(metric: str, *matchers: str) -> str:
    """The metric's series, each once however many copies tell of it."""
    return f"max without ({COPIES}) ({selector(metric, *matchers)})"


def grouped(labels: str, metric: str, *matchers: str) -> str:
    """The metric with these labels alone; the greatest value where several series share them."""
    return f"max by ({labels}) ({selector(metric, *matchers)})"


def rate(metric: str, *matchers: str) -> str:
    """A counter's growth a second. The storage keeps the counters, so that two copies tell the same ones."""
    return f"max without ({COPIES}) (rate({selector(metric, *matchers)}[$__rate_interval]))"


def counted(vector: str) -> str:
    """How many elements; 0 for none."""
    return f"count({vector}) or vector(0)"


def named(vector: str) -> str:
    """The vector with `rp_name`: the routing point's name, or why there is none. Each element stays once.

    Of two rows with one rp_id and different names, one gives its name.
    """
    names = f"topk by (operation, rp_id) (1, {grouped('operation, rp_id, rp_name', 'wolkvox_routing_point_info')})"
    known = f"{vector} * on (operation, rp_id) group_left (rp_name) {names}"
    told = f'label_replace({vector}, "rp_name", "unknown", "rp_id", ".+")'
    return f'{known} or on (operation, rp_id) label_replace({told}, "rp_name", "not routed", "rp_id", "")'


def off(flow: str) -> str:
    """The routing points whose flow is switched off."""
    active = grouped("operation, rp_id", "wolkvox_routing_point_flow_active", f'flow="{flow}"')
    return f"({active} == 0)"


def faults(*matchers: str) -> str:
    """The connectors whose messages reach nobody, with a label `fault` that says why.

    A routing point is unknown only where there is a good answer of that list.
    """

    def connectors(*more: str) -> str:
        return series("wolkvox_connector_info", *matchers, *more)

    def because(fault: str, vector: str) -> str:
        return f'label_replace({vector}, "fault", "{fault}", "", "")'

    here, points = "and on (operation, rp_id)", selector("wolkvox_routing_point_info")
    routed = connectors('rp_id!=""')
    chat = connectors('channel=~"whatsapp|chat-web|telegram|sms_bidirect"')
    mail = connectors('channel=~"email|twitter"')
    both = connectors('channel=~"facebook|instagram"')
    lost = f"{routed} unless on (operation, rp_id) {points} and on (operation) {points}"
    return " or ".join(
        (
            because("not routed", connectors('rp_id=""')),
            because("routing point unknown", lost),
            because("chat is off", f"{chat} {here} {off('chat')}"),
            because("interaction is off", f"{mail} {here} {off('interaction')}"),
            because("chat and interaction are off", f"{both} {here} {off('chat')} {here} {off('interaction')}"),
        )
    )


CHANGE: Final = "wolkvox_connector_change_timestamp_seconds"


def changes(*matchers: str) -> str:
    """Every change that was believed in the dashboard's range; the value is when."""
    seen = f"last_over_time({selector(CHANGE, *matchers)}[$__range])"
    return f"max without ({COPIES}) ({seen}) > time() - $__range_s"


def fresh_changes(*matchers: str) -> str:
    """At each step the changes that were believed since the step before it, so that each is seen once."""
    late = f"{series(CHANGE, *matchers)} <= time() - {DELAY}"
    return f"({late}) > time() - {DELAY} - $__interval_ms / 1000"


def age(*matchers: str) -> str:
    """How old each list's data is, in intervals; above 3 it is stale. A list that never succeeded has no age."""
    last, labels = "wolkvox_poll_last_success_timestamp_seconds", "operation, list"
    return (
        f"(time() - {grouped(labels, last, *matchers)}) / {grouped(labels, 'wolkvox_poll_interval_seconds', *matchers)}"
    )


def before_and_after(vector: str) -> str:
    """The changes with `was` and `is`: names where they are known, ids where not. New labels, so that none collide."""
    for new, old in (("was", "before"), ("is", "after")):
        vector = f'label_replace({vector}, "{new}", "$1", "{old}", "(.*)")'
        vector = f'label_replace({vector}, "{new}", "$1", "{old}_name", "(.+)")'
    return dashed(vector, "was", "is")


def dashed(vector: str, *labels: str) -> str:
    """The vector with a dash in place of labels that are empty."""
    for label in labels:
        vector = f'label_replace({vector}, "{label}", "-", "{label}", "")'
    return vector
