"""config.yaml and secrets -> frozen Config; errors name file, line and key, all of them in one go.

Knows no list by its shape, no store and no client: the names of the lists come from the caller.
"""

from exporter.config.faults import ConfigError, Fault
from exporter.config.loading import Account, Config, load
from exporter.config.schema import Believe, Budget, Upstream
from exporter.config.tokens import TokenSource
from exporter.config.web import Web
from exporter.config.web import load as load_web

__all__ = [
    "Account",
    "Believe",
    "Budget",
    "Config",
    "ConfigError",
    "Fault",
    "TokenSource",
    "Upstream",
    "Web",
    "load",
    "load_web",
]
