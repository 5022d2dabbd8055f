"""A folder as the exporter finds it at a start: config.yaml, tokens, and a storage in which every list was polled."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.loads import Load
from exporter import flags
from exporter.clock import HostClock
from exporter.lists import LISTS
from exporter.memory import remember
from exporter.model import DAY, Moment, Outcome, Row, Secret
from exporter.spec import UpstreamList
from exporter.state import Ending, Memory
from exporter.store import Access, Ask, Belief, Claim, Identity, Result, Store
from exporter.wiring import stored

NEVER: Final = dict.fromkeys(LISTS, DAY)  # intervals under which nothing is polled while it is measured
SERVER: Final = "0010"
RESPONSE: Final = ("200", "200")


class Past(HostClock):
    """A clock that is `age` seconds late."""

    age = 0.0

    def now(self) -> Moment:
        """The moment `age` seconds ago."""
        wall, boot, uptime = super().now()
        return Moment(wall - self.age, boot, uptime - self.age)


class Folder:
    """The folder, filled."""

    def __init__(self, place: Path, load: Load) -> None:
        self.place = place
        self.load = load
        place.mkdir()

    def configure(self, intervals: Mapping[str, float] = NEVER, url: str = "http://127.0.0.1:9") -> "Folder":
        """Writes config.yaml with these intervals and this upstream, and the tokens."""
        secrets = self.place / "secrets"
        secrets.mkdir(exist_ok=True)
        for name in self.load.names:
            (secrets / name).write_text(token(name), encoding="utf-8")
            (secrets / name).chmod(0o600)
        entries = [
            f'  - {{name: {name}, server: "{SERVER}", token_file: secrets/{name}}}\n' for name in self.load.names
        ]
        spans = ", ".join(f"{name}: {seconds * 1000:.0f}ms" for name, seconds in intervals.items())
        upstream = f"upstream: {{simulator: true, base_url: '{url}'}}\n"
        text = f"operations:\n{''.join(entries)}poll: {{{spans}}}\n{upstream}"
        (self.place / "config.yaml").write_text(text, encoding="utf-8")
        return self

    def fill(self, intervals: Mapping[str, float] | None = None) -> "Folder":
        """Writes the storage; with intervals as if it had polled by them for a while, evenly spread."""
        clock = Past()
        store = stored(flags.parse([f"--storage.path={self.place / 'data'}"], {}), clock, Access.SERVE)
        try:
            digests = store.token_hashes([Secret(token(name)) for name in self.load.names])
            hashes = dict(zip(self.load.names, digests, strict=True))
            store.adopt([Identity(name, SERVER, digest) for name, digest in hashes.items()])
            Storage(store, clock, hashes).fill(self.load, intervals)
        finally:
            store.close()
        return self

    @property
    def flags(self) -> list[str]:
        """The exporter's flags but for its address."""
        return [f"--config.file={self.place / 'config.yaml'}", f"--storage.path={self.place / 'data'}"]


class Storage:
    """Writes polls that nobody made."""

    def __init__(self, store: Store, clock: Past, hashes: Mapping[str, str]) -> None:
        self._store = store
        self._clock = clock
        self._hashes = hashes

    def fill(self, load: Load, intervals: Mapping[str, float] | None) -> None:
        """One poll of every list of every operation, each up to its interval ago."""
        spread = Random(7)  # noqa: S311 - it is to be the same in each run
        for name in load.names:
            for list_name, records in load.records(name).items():
                self._clock.age = spread.uniform(0, intervals[list_name]) if intervals else 0.0
                self._poll(name, LISTS[list_name], records, (intervals or NEVER)[list_name])

    def _poll(self, operation: str, spec: UpstreamList, records: Iterable[Mapping[Any, Any]], interval: float) -> None:
        rows: tuple[Row, ...] = tuple([row for record in records if (row := spec.parse(record))])
        ask = Ask(operation, spec.name, self._hashes[operation], interval, 60.0, spec.essential)
        (claim,), at = self._store.claim([ask]), self._clock.now()
        if not isinstance(claim, Claim):
            raise TypeError(f"the ledger does not allow a poll of {operation} {spec.name}: {claim}")
        memory = remember(Memory(), (), rows, spec, at.wall, DAY)
        result = Result(
            Ending(Outcome.OK, claim.at.wall, at.wall, 0.1, len(rows)),
            at,
            whole=True,
            response=RESPONSE,
            belief=Belief(at.wall, rows, memory),
            read_meter=spec.left is not None,
        )
        self._store.finish([(claim, result)])


def token(operation: str) -> str:
    """The operation's token, in the file and in the simulator."""
    return f"benchmark-{operation}"
