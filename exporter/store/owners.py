"""Who made a call, and does that process still live? An owner lives while it holds the lock on a file of its own."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from exporter import host


class Owners:
    """The folder of lock files; one of them is ours from our first call on."""

    def __init__(self, folder: Path, *, only_look: bool = False) -> None:
        self._folder = folder
        self._only_look = only_look
        self._handle: int | None = None
        self.me = uuid4().hex

    def live(self) -> str:
        """Our own id, with the lock that says that we live; to be called before a call is written under it."""
        if self._handle is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = host.lock(self._folder / self.me)
        return self.me

    def is_live(self, owner: str) -> bool:
        """True while the process that made its calls runs; a dead one's file is removed, unless we only look."""
        path = self._folder / owner
        if owner == self.me:
            return self._handle is not None
        if not path.exists():
            return False
        handle = host.lock(path, make=not self._only_look)
        if handle is None:
            return True
        if not self._only_look:
            path.unlink(missing_ok=True)
        os.close(handle)
        return False

    def close(self) -> None:
        """Frees our lock and removes our file; from then on we count as dead."""
        with suppress(OSError):  # the folder may be gone, and the lock is what counts
            (self._folder / self.me).unlink()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
