"""The command line: what it says, which command that is, and an exit code that means something.

0 is success, 1 a failure while running, 2 a wrong command line or configuration, 3 that `once` was not allowed to call.
"""

import gc
import os
import signal
import sys

if sys.platform == "win32":
    sys.exit("wolkvox-exporter runs on Linux and macOS; on Windows use WSL 2 or a container")

if os.getpid() == 1:  # pragma: no cover - the container's test stops it that early
    # The first process of a container ignores what it has no handler for, and the imports below take a while.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from collections.abc import Sequence

from exporter import flags, healthy


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    options = flags.parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    if options.command == healthy.NAME:
        return healthy.main(options)
    # pydantic would look through every installed package for plugins: a tenth of these imports, for code nobody named.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()  # what is imported stays: to search it for garbage meanwhile is another tenth
    # All the others need the rest. A health check is started all the time, in the memory that the server is allowed.
    from exporter.commands import ran  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    return ran(options, os.environ)


if __name__ == "__main__":
    sys.exit(main())
