"""Operations that somebody edits, and what a reader of the answers must tell of it.

The reader holds the rules of belief once more, in other words than the exporter's.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

CHANNELS = ("whatsapp", "email", "chat")
ROUTING = ("1", "2", "3", "0", "")
TITLES = ("Sales", "Inbox", "Night desk", "Ñandú", "", "a, b")
Record = Mapping[str, Any]
Rows = tuple[tuple[str, str], ...]  # (rp_id, name) of all rows of one key
Key = tuple[str, str]
MASS = 0.5
FEW = 3


class Told(NamedTuple):
    """One change as the journal has it, without its time."""

    channel: str
    connector_id: str
    name: str
    change: str
    before: str
    after: str


def readable(records: Iterable[Record]) -> list[tuple[Key, tuple[str, str]]]:
    """What can be read: key, routing point and name of each record that has a key."""
    found = []
    for record in records:
        channel, number, rp_id, name = (
            str(record.get(field) or "").strip() for field in ("channel", "connector_id", "rp_id", "name")
        )
        if channel and number:
            found.append(((channel, number), ("" if rp_id == "0" else rp_id, name)))
    return found


class Reader:
    """One operation's connectors as they are believed, answer after answer; keeps all that had to be told."""

    def __init__(self) -> None:
        self.known: dict[Key, Rows] | None = None
        self.doubts: set[Key] | None = None  # what the answer that is held back lacks; None while none is held
        self.told: list[Told] = []
        self.held = self.believed = 0

    def hears(self, records: Iterable[Record]) -> None:
        """A readable answer came, an empty one included; of a failure nobody hears."""
        records = list(records)
        rows = readable(records)
        if records and not rows:
            return
        shown: dict[Key, Rows] = {}
        for key, row in dict.fromkeys(rows):
            shown[key] = (*shown.get(key, ()), row)
        if len(rows) < len(records):
            self._takes((self.known or {}) | shown)
            self.doubts = (self.doubts - shown.keys() or None) if self.doubts else None
            return
        lacks = (self.known or {}).keys() - shown.keys()
        is_odd = len(lacks) >= FEW and len(lacks) > MASS * len(self.known or ())
        if self.doubts is None and (is_odd or (not shown and self.known != {})):
            self.doubts = set(lacks)
            self.held += 1
            return
        self.doubts = None
        self._takes(shown)

    def _takes(self, shown: dict[Key, Rows]) -> None:
        self.believed += 1
        before, self.known = self.known, shown
        if before is not None:
            for key in sorted(before.keys() | shown.keys()):
                self.told.extend(differences(key, before.get(key), shown.get(key)))


def differences(key: Key, old: Rows | None, new: Rows | None) -> list[Told]:
    """What is to be told of one connector."""
    names = [name for _, name in new or old or () if name]
    name = ", ".join(sorted(set(names), key=names.index))
    if old is None or new is None:
        return [Told(*key, name, "added" if old is None else "removed", texts(old, 0), texts(new, 0))]
    kinds = (("rerouted", 0), ("renamed", 1))
    sides = [(kind, texts(old, place), texts(new, place)) for kind, place in kinds]
    return [Told(*key, name, kind, before, after) for kind, before, after in sides if before != after]


def texts(rows: Rows | None, place: int) -> str:
    """The different texts of one field."""
    found = sorted({row[place] for row in rows or ()})
    return "".join(found) if len(found) < 2 else ", ".join(text or "-" for text in found)


def replayed(start: Mapping[Key, Rows], changes: Iterable[Told]) -> dict[Key, Rows]:
    """Where the changes lead from `start`; of connectors that never stood twice in an answer."""
    state = {key: rows[0] for key, rows in start.items()}
    for told in changes:
        key = told.channel, told.connector_id
        match told.change:
            case "added":
                assert key not in state
                state[key] = told.after, told.name
            case "removed":
                assert state.pop(key)[0] == told.before
            case "rerouted":
                assert state[key][0] == told.before
                state[key] = told.after, state[key][1]
            case _:
                assert state[key][1] == told.before
                state[key] = state[key][0], told.after
    return {key: (row,) for key, row in state.items()}


class World:
    """The connectors of one operation, and everything that people do to them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.connectors: dict[Key, dict[str, str]] = {}
        self.edits, self.fresh = 0, 0
        for _ in range(rng.randrange(9)):
            self.add()

    def edit(self) -> None:
        edits = (self.add, self.remove, self.rename, self.reroute, self.renumber, self.most_go)
        self.rng.choices(edits, (6, 4, 6, 6, 2, 1))[0]()
        self.edits += 1

    def add(self) -> None:
        """A new connector, or one that was there before."""
        self.fresh += 1
        number = str(self.rng.randint(1, self.fresh))
        channel = self.rng.choice(CHANNELS)
        row = {"channel": channel, "connector_id": number}
        self.connectors.setdefault(
            (channel, number), row | {"rp_id": self.rng.choice(ROUTING), "name": self.rng.choice(TITLES)}
        )

    def any(self) -> Key | None:
        return self.rng.choice(list(self.connectors)) if self.connectors else None

    def remove(self) -> None:
        self.connectors.pop(self.any() or ("", ""), None)

    def change(self, field: str, text: str) -> None:
        if key := self.any():
            self.connectors[key] = self.connectors[key] | {field: text}

    def rename(self) -> None:
        self.change("name", self.rng.choice(TITLES))

    def reroute(self) -> None:
        self.change("rp_id", self.rng.choice(ROUTING))

    def renumber(self) -> None:
        """Deleted and added again, which gives it another id."""
        if key := self.any():
            row = self.connectors.pop(key)
            self.fresh += 1
            self.connectors[key[0], f"n{self.fresh}"] = row | {"connector_id": f"n{self.fresh}"}

    def most_go(self) -> None:
        for key in [each for each in self.connectors if self.rng.random() < 0.7]:
            del self.connectors[key]
