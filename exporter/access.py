"""Which operations a visitor may see: all of them, or those that the visitor is bound to. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from exporter.state import State


class Access(NamedTuple):
    """What one visitor may see; `names` is None for everything."""

    names: frozenset[str] | None = None

    @property
    def is_bound(self) -> bool:
        """True when the visitor sees some operations only, and nothing of the exporter as a whole."""
        return self.names is not None

    def sees(self, operation: str) -> bool:
        """True when the operation is among them; what is not looks as if it did not exist."""
        return self.names is None or operation in self.names

    def part(self, state: State) -> State:
        """The state with the operations that the visitor sees."""
        if self.names is None:
            return state
        return replace(state, operations=tuple([each for each in state.operations if self.sees(each.operation.name)]))


ALL: Final = Access()


def access_of(scope: Mapping[str, Any]) -> Access:
    """Whose request it is; who was not asked sees everything."""
    access = scope.get("state", {}).get("access", ALL)
    return access if isinstance(access, Access) else ALL
