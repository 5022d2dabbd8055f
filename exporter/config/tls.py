"""TLS as exporter-toolkit's `tls_server_config` describes it, and the ssl.SSLContext that does so.

Go's names of versions, ciphers and curves are turned into OpenSSL's. What Python's ssl cannot do is a fault.
"""

import ssl
import warnings
from collections.abc import Iterator, Mapping
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator

from exporter.certificates import names, normal
from exporter.config import files
from exporter.config.faults import ConfigError, Fault, shown
from exporter.config.schema import Flag, Section, Text, or_empty
from exporter.config.values import Refused, text
from exporter.config.yamlfile import Document

MOST_BYTES: Final = 4 * 1024 * files.KIB
VERSIONS: Final[Mapping[str, ssl.TLSVersion]] = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
OLD: Final = ("TLS10", "TLS11")
CURVES: Final[Mapping[str, str]] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
CIPHERS: Final[Mapping[str, str]] = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
ALWAYS: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")  # of TLS 1.3
UNCHECKED: Final = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
CHECKED: Final[Mapping[str, ssl.VerifyMode]] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


def one_of(names: Mapping[str, Any]) -> PlainValidator:
    """A name of the table."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise Refused(f"is not known; {', '.join(names)} are")
        return value

    return PlainValidator(check)


def _client_auth(value: object) -> str:
    if value in UNCHECKED:
        raise Refused(
            "asks for certificates that nobody checks, which Python's ssl cannot do; "
            "VerifyClientCertIfGiven and RequireAndVerifyClientCert can be had"
        )
    if not isinstance(value, str) or value not in CHECKED:
        raise Refused(f"is not known; {', '.join(CHECKED)} are")
    return value


class Tls(Section):
    """The section's keys, with the toolkit's defaults. Each of cert, key and client_ca is a file, or the PEM text."""

    cert_file: Text = ""
    cert: Text = ""
    key_file: Text = ""
    key: Annotated[str, PlainValidator(text), Field(repr=False)] = ""
    client_ca_file: Text = ""
    client_ca: Text = ""
    client_auth_type: Annotated[str, PlainValidator(_client_auth)] = "NoClientCert"
    client_allowed_sans: Annotated[list[Text], or_empty(list)] = Field(default_factory=list)
    min_version: Annotated[str, one_of(VERSIONS)] = "TLS12"
    max_version: Annotated[str, one_of(VERSIONS)] = "TLS13"
    cipher_suites: Annotated[list[Annotated[str, one_of({**CIPHERS, **dict.fromkeys(ALWAYS)})]], or_empty(list)] = (
        Field(default_factory=list)
    )
    prefer_server_cipher_suites: Flag = True
    curve_preferences: Annotated[list[Annotated[str, one_of(CURVES)]], or_empty(list)] = Field(default_factory=list)

    @property
    def asks_for_certificates(self) -> bool:
        """True when clients may or must show a certificate."""
        return self.client_auth_type != "NoClientCert"


class Checked(ssl.SSLObject):
    """A connection whose client's certificate must bear an allowed name, if it shows one and any are set."""

    def do_handshake(self) -> None:
        """As ssl has it; SSLError also where no name is allowed."""
        super().do_handshake()
        allowed: frozenset[str] = getattr(self.context, "allowed_sans", frozenset())
        certificate = self.getpeercert()
        if allowed and certificate and allowed.isdisjoint(names(certificate)):
            raise ssl.SSLCertVerificationError("the client's certificate bears no allowed name")


class Context(ssl.SSLContext):
    """An SSLContext with what ssl does not know: names that a client's certificate may bear, and the files."""

    sslobject_class = Checked
    allowed_sans: frozenset[str] = frozenset()
    files: tuple[str, ...] = ()


def contradictions(document: Document, tls: Tls) -> Iterator[Fault]:
    """What is well written and cannot be meant."""
    for name in ("cert", "key"):
        given = [key for key in (name, f"{name}_file") if getattr(tls, key)]
        if len(given) != 1:
            what = f"{' and '.join(given)} stand together" if given else f"{name}_file is missing"
            yield fault(document, "", f"{what}; give one of {name} and {name}_file")
    has_ca = bool(tls.client_ca or tls.client_ca_file)
    if has_ca and not tls.asks_for_certificates:
        yield fault(document, "client_auth_type", "NoClientCert asks for no certificate, but there is a client CA")
    if tls.asks_for_certificates and not has_ca:
        yield fault(document, "client_auth_type", f"{tls.client_auth_type} needs client_ca_file to check them against")
    if tls.client_allowed_sans and not tls.asks_for_certificates:
        yield fault(document, "client_allowed_sans", "needs clients' certificates; set client_auth_type")
    yield from _unchoosable(document, tls)


def _unchoosable(document: Document, tls: Tls) -> Iterator[Fault]:
    """Versions, ciphers and curves that cannot be had so."""
    if VERSIONS[tls.min_version] > VERSIONS[tls.max_version]:
        yield fault(document, "min_version", f"{tls.min_version} is above max_version, {tls.max_version}")
    if tls.cipher_suites and not set(tls.cipher_suites) & set(CIPHERS) and tls.min_version != "TLS13":
        sentence = "names those of TLS 1.3 alone, which are always there; set min_version: TLS13"
        yield fault(document, "cipher_suites", sentence)
    if len(tls.curve_preferences) > 1:
        yield fault(
            document, "curve_preferences", "holds several; Python's ssl takes one, or none for OpenSSL's choice"
        )


def fault(document: Document, key: str, sentence: str) -> Fault:
    """A fault of one key of the section, or of the section as a whole."""
    return document.fault(("tls_server_config", key) if key else ("tls_server_config",), sentence)


def context(document: Document, tls: Tls) -> Context:
    """The context that does what the section says; ConfigError where a file or OpenSSL does not play along."""
    made = Context(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # who asks for TLS 1.0 gets it
        made.minimum_version, made.maximum_version = VERSIONS[tls.min_version], VERSIONS[tls.max_version]
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    if not tls.prefer_server_cipher_suites:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if ciphers := _ciphers(tls):
        _set(document, "cipher_suites", made.set_ciphers, ciphers)
    for curve in tls.curve_preferences:
        _set(document, "curve_preferences", made.set_ecdh_curve, CURVES[curve])
    made.verify_mode = CHECKED[tls.client_auth_type]
    made.allowed_sans = frozenset(map(normal, tls.client_allowed_sans))
    made.files = tuple(
        files.beside(document.file, path) for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if path
    )
    _certify(document, tls, made)
    _trust(document, tls, made)
    return made


def _ciphers(tls: Tls) -> str:
    chosen = [CIPHERS[name] for name in tls.cipher_suites if name in CIPHERS]
    if tls.min_version in OLD:
        return ":".join((*(chosen or ["DEFAULT"]), "@SECLEVEL=0"))  # above it OpenSSL has no TLS 1.0 and 1.1
    return ":".join(chosen)


def _set(document: Document, key: str, setter: Any, value: str) -> None:
    try:
        setter(value)
    except (ssl.SSLError, ValueError):  # pragma: no cover - an OpenSSL that was built without some of them
        raise ConfigError([fault(document, key, f"is not to be had from {ssl.OPENSSL_VERSION}")]) from None


def _certify(document: Document, tls: Tls, made: Context) -> None:
    certificate, key = _pem(document, tls, "cert"), _pem(document, tls, "key")
    try:
        if tls.cert_file and tls.key_file:
            chain, its_key = (files.beside(document.file, path) for path in (tls.cert_file, tls.key_file))
            made.load_cert_chain(chain, its_key, _no_passphrase)  # OpenSSL would ask the terminal
        else:
            _certify_by_text(made, b"\n".join((certificate, key)))
    except (ssl.SSLError, _PassphraseError):
        sentence = "these are no pair of PEM certificate and key without a passphrase"
        raise ConfigError([fault(document, "key_file" if tls.key_file else "key", sentence)]) from None
    except OSError as error:  # a file that went away meanwhile, or no place for a temporary one
        sentence = f"certificate and key cannot be read ({error.strerror}); try again, or set TMPDIR"
        raise ConfigError([fault(document, "", sentence)]) from error


def _certify_by_text(made: Context, text: bytes) -> None:
    """The same for texts: OpenSSL reads files alone, so for a moment there is one that only we can read."""
    with NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        made.load_cert_chain(file.name, password=_no_passphrase)


class _PassphraseError(Exception):
    pass


def _no_passphrase() -> str:
    raise _PassphraseError


def _trust(document: Document, tls: Tls, made: Context) -> None:
    if not tls.asks_for_certificates:
        return
    try:
        made.load_verify_locations(cadata=_pem(document, tls, "client_ca").decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        raise ConfigError(
            [fault(document, "client_ca_file", "holds no certificate; PEM certificates are allowed")]
        ) from None


def _pem(document: Document, tls: Tls, name: str) -> bytes:
    """The PEM text, or that of the file."""
    path = getattr(tls, f"{name}_file")
    if not path:
        return str(getattr(tls, name)).encode()
    try:
        return files.read(files.beside(document.file, path), MOST_BYTES).data
    except files.Unreadable as error:
        sentence = f"{shown(path)} {error}; the path is relative to this file"
        raise ConfigError([fault(document, f"{name}_file", sentence)]) from error
