"""The accounts of the demo: five of them on four servers, their lines and their routing points, one line misrouted."""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from exporter.simulator.account import Account
from exporter.simulator.simulator import Simulator

ACCOUNTS: Final = {
    "andina-co": "0010",
    "pacifico-pe": "0010",
    "austral-cl": "0023",
    "caribe-do": "0041",
    "altiplano-bo": "0057",
}
# Name of the routing point, and the flows that are switched on in it.
ROUTING_POINTS: Final = (
    ("Menú principal", ("ivr", "chat")),
    ("Ventas", ("chat", "interaction")),
    ("Soporte técnico", ("chat", "interaction")),
    ("Cobranzas", ("ivr", "chat")),
    ("Correo y redes", ("interaction",)),
    ("Respaldo nocturno", ("ivr", "crm")),
)
CHAT: Final = ("Menú principal", "Ventas", "Soporte técnico", "Cobranzas")
MAIL: Final = ("Correo y redes", "Ventas", "Soporte técnico")
BOTH: Final = ("Ventas", "Soporte técnico")
# Channel, the routing points that can receive it, and what its connectors are called.
CHANNELS: Final = (
    ("whatsapp", CHAT, ("WhatsApp Ventas", "WhatsApp Soporte", "WhatsApp Cobranzas", "WhatsApp Citas", "WhatsApp VIP")),
    ("chat-web", CHAT, ("Web principal", "Tienda en línea", "Portal de clientes")),
    ("facebook", BOTH, ("Página oficial", "Marketplace")),
    ("instagram", BOTH, ("@tienda", "@soporte")),
    ("telegram", CHAT, ("Bot de avisos", "Bot de ayuda")),
    ("sms_bidirect", CHAT, ("SMS confirmaciones", "SMS recordatorios")),
    ("email", MAIL, ("Buzón de ventas", "Buzón PQRS", "Facturación")),
    ("twitter", MAIL, ("@atencion",)),
)
MISROUTED: Final = "9"


class Operation(NamedTuple):
    """What a configuration needs to poll an account."""

    name: str
    server: str
    token: str


def demo_accounts(sim: Simulator, seed: int = 7) -> list[Operation]:
    """Fill `sim` with five accounts and name them; one WhatsApp line of the first is routed to nowhere."""
    rng = random.Random(seed)  # noqa: S311 - a demo that can be repeated, tokens for a loopback port included
    operations = [Operation(name, server, f"{rng.getrandbits(128):032x}") for name, server in ACCOUNTS.items()]
    for operation in operations:
        account = sim.add(operation.name, token=operation.token, server=operation.server)
        _furnish(account, rng)
    account = sim.accounts[operations[0].name]
    account.reroute("whatsapp", _ids(account, "whatsapp")[0], MISROUTED)
    return operations


def _furnish(account: Account, rng: random.Random) -> None:
    ids = {name: str(rng.randrange(10 * n, 10 * n + 9)) for n, (name, _) in enumerate(ROUTING_POINTS, 1)}
    for name, flows in ROUTING_POINTS:
        account.route(ids[name], name, **dict.fromkeys(flows, "yes"))
    numbers: Iterator[int] = iter(rng.sample(range(100, 2000), 40))
    for channel, points, names in CHANNELS:
        for name in names[: rng.randint(1, len(names))]:
            account.connect(channel, str(next(numbers)), rp_id=ids[rng.choice(points)], name=name)


def _ids(account: Account, channel: str) -> list[str]:
    return [row["connector_id"] for row in account.connectors() if row["channel"] == channel]
