"""The command line: what it says, which command that is, and an exit code that means something.

0 is success, 1 a failure while running, 2 a wrong command line or configuration, 3 that `once` was not allowed to call.
"""

import os
import signal
import sys

if sys.platform == "win32":
    sys.exit("wolkvox-exporter runs on Linux and macOS; on Windows use WSL 2 or a container")

if os.getpid() == 1:  # pragma: no cover - the container's test stops it that early
    # The first process of a container ignores what it has no handler for, and the imports below take a while.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from collections.abc import Sequence

from exporter import flags
from exporter.commands import COMMANDS
from exporter.config import ConfigError
from exporter.log import Redactor, configure
from exporter.once import OutputError, UnknownError
from exporter.server import ListenError
from exporter.store import StoreError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    options = flags.parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    redactor = Redactor()
    configure(options.log_level, options.log_format, redactor)
    try:
        return COMMANDS[options.command](options, os.environ, redactor)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except UnknownError as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 2
    except (ListenError, StoreError, OutputError) as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the shell says ^C itself
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
