"""Which command runs, and an exit code for what may go wrong in any of them."""

import signal
import sys
from collections.abc import Callable, Mapping

from exporter.config import ConfigError
from exporter.flags import Options
from exporter.log import Redactor, configure
from exporter.server import ListenError
from exporter.serving import serve
from exporter.store import StoreError


def ran(options: Options, environ: Mapping[str, str]) -> int:
    """Runs the command of these options; the exit code, and a sentence where it is none of success."""
    redactor = Redactor()
    configure(options.log_level, options.log_format, redactor)
    try:
        return command(options.command)(options, environ, redactor)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (ListenError, StoreError) as error:
        print(f"wolkvox-exporter: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the shell says ^C itself
        return 128 + signal.SIGINT


def command(name: str) -> Callable[[Options, Mapping[str, str], Redactor], int]:
    """What runs under this name."""
    if name == "serve":
        return serve
    # The server neither waits for what the others need nor keeps it in memory: the simulator, tables, the demo.
    from exporter.errands import COMMANDS  # noqa: PLC0415

    return COMMANDS[name]
