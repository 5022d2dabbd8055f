"""The web configuration, in the file format of Prometheus's exporter-toolkit: TLS, headers, users, and who sees what.

What Python's ssl cannot honour is refused with a sentence, never ignored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator

from exporter.certificates import normal
from exporter.config import tls, values, yamlfile
from exporter.config.explain import Faults, validate
from exporter.config.faults import ConfigError, Fault, quoted
from exporter.config.schema import Flag, Section, or_empty
from exporter.config.tls import Context, Tls
from exporter.config.values import Refused
from exporter.config.yamlfile import Document, Path

ADVICE: Final = "name an existing one with --web.config.file, or leave the flag out"
BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}")
HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
NO_HTTP2: Final = "is not to be had; this server speaks HTTP/1.1: take the key out, or write false"


def _http2(value: object) -> bool:
    if values.flag(value):
        raise Refused(NO_HTTP2)
    return False


def _header(value: object) -> str:
    text = values.text(value)
    if not text.isascii() or not text.isprintable():
        raise Refused("cannot stand in a header; printable ASCII can")
    return text


def _password_hash(value: object) -> str:
    if not isinstance(value, str) or not BCRYPT.fullmatch(value):
        raise Refused("is no bcrypt hash; make one with `htpasswd -nBC 10 NAME`, and write it in quotes")
    return value


def _user(value: object) -> str:
    name = values.text(value)
    if ":" in name or not name:
        raise Refused("is no user's name; it is not empty and has no colon")
    return name


Names = list[Annotated[str, PlainValidator(values.name)]]


class Http(Section):
    """`headers` are sent with every answer to a request that is one."""

    http2: Annotated[bool, PlainValidator(_http2)] = False
    headers: Annotated[dict[str, Annotated[str, PlainValidator(_header)]], or_empty(dict)] = Field(default_factory=dict)


class Own(Section):
    """What the format does not know: health checks without a login, and who sees which operations."""

    open_health: Flag = False
    users: Annotated[dict[str, Names], or_empty(dict)] = Field(default_factory=dict)
    client_sans: Annotated[dict[str, Names], or_empty(dict)] = Field(default_factory=dict)


class File(Section):
    """The whole file."""

    tls_server_config: Annotated[Tls, or_empty(dict)] = Tls()
    http_server_config: Annotated[Http, or_empty(dict)] = Http()
    basic_auth_users: Annotated[
        dict[Annotated[str, PlainValidator(_user)], Annotated[str, PlainValidator(_password_hash)]], or_empty(dict)
    ] = Field(default={}, repr=False)
    wolkvox_exporter: Annotated[Own, or_empty(dict)] = Own()


@dataclass(frozen=True, slots=True)
class Web:
    """A web configuration in force.

    `users` are password hashes by name; `user_operations` and `san_operations` bind a user, or a name in a client's
    certificate, to operations; `files` are all files that it was made of.
    """

    tls: Context | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    open_health: bool = False
    user_operations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    san_operations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def load(path: str) -> Web:
    """The web configuration in the file and what it names; ConfigError with every fault of it.

    An empty file is a fault, other than in the toolkit: one that is just being written must not open the doors.
    """
    document = yamlfile.load(path, ADVICE)
    settings = _valid(document)
    faults = [*document.faults, *_contradictions(document, settings)]
    if faults:
        raise ConfigError(faults)
    return _web(path, settings, tls.context(document, settings.tls_server_config) if _is_secured(document) else None)


def _is_secured(document: Document) -> bool:
    """True where the section is there and says anything: then all of it must be right."""
    return bool(document.data.get("tls_server_config"))


def _web(path: str, settings: File, context: Context | None) -> Web:
    own = settings.wolkvox_exporter
    return Web(
        tls=context,
        headers=MappingProxyType(settings.http_server_config.headers),
        users=MappingProxyType({name: text.encode() for name, text in settings.basic_auth_users.items()}),
        open_health=own.open_health,
        user_operations=MappingProxyType({name: frozenset(names) for name, names in own.users.items()}),
        san_operations=MappingProxyType({normal(name): frozenset(names) for name, names in own.client_sans.items()}),
        files=(path, *(context.files if context else ())),
    )


def _valid(document: Document) -> File:
    if not isinstance(document.data, dict):
        text = f"holds {document.places[()].kind}, no keys; {ADVICE}"
        raise ConfigError([Fault(document.file, 1, "", text)])
    settings = validate(File, document)
    if isinstance(settings, Faults):
        raise ConfigError([*document.faults, *settings.faults])
    return settings


def _contradictions(document: Document, settings: File) -> Iterator[Fault]:
    """What is well written and cannot be meant."""
    yield from _header_faults(document, settings.http_server_config.headers)
    own: Path = ("wolkvox_exporter",)
    for name in settings.wolkvox_exporter.users:
        if name not in settings.basic_auth_users:
            text = f"{quoted(name)} is no user; give it a password in basic_auth_users"
            yield document.fault((*own, "users", name), text)
    must_show = settings.tls_server_config.client_auth_type == "RequireAndVerifyClientCert"
    if settings.wolkvox_exporter.client_sans and not must_show:
        text = "binds nobody who shows no certificate; set client_auth_type: RequireAndVerifyClientCert"
        yield document.fault((*own, "client_sans"), text)
    if _is_secured(document):
        yield from tls.contradictions(document, settings.tls_server_config)


def _header_faults(document: Document, headers: Mapping[str, Any]) -> Iterator[Fault]:
    for name, text in headers.items():
        path: Path = ("http_server_config", "headers", name)
        if name not in HEADERS:
            yield document.fault(path, f"is no header that can be set; allowed are {', '.join(HEADERS)}")
        elif HEADERS[name] and text.lower() not in HEADERS[name]:
            yield document.fault(path, f"{quoted(text)} is not allowed; {' or '.join(HEADERS[name])} is")
