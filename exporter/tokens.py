"""The tokens in use: read anew from their sources, and kept when a source has none any more."""

from collections.abc import Iterable

import structlog

from exporter.model import Secret, SecretError
from exporter.setup import Target

log = structlog.get_logger()


class Tokens:
    """The last good token of each operation, by its name."""

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}
        self._complaints: dict[str, str] = {}

    def __getitem__(self, operation: str) -> Secret:
        return self._secrets[operation]

    def __contains__(self, operation: str) -> bool:
        return operation in self._secrets

    def refresh(self, targets: Iterable[Target]) -> bool:
        """Reads every source; True when any operation has another token than before.

        A source that has none any more is said once, and again when the reason is another one.
        """
        before, fresh = self._secrets, {}
        for target in targets:
            name = target.operation.name
            try:
                fresh[name] = target.read()
                self._complaints.pop(name, None)
            except SecretError as error:
                self._complain(name, str(error))
                if name in before:
                    fresh[name] = before[name]
        self._secrets = fresh
        return fresh != before

    def _complain(self, name: str, complaint: str) -> None:
        if self._complaints.get(name) != complaint:
            self._complaints[name] = complaint
            log.warning("token not read, the last one stays", operation=name, error=complaint)
