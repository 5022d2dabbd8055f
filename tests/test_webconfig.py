"""The file of --web.config.file: what it may say, and every sentence about what it may not."""

import ssl
import tempfile
from pathlib import Path

import bcrypt
import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem

from exporter.config import ConfigError, load_web

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Path:
    """A folder with a certificate, its key, and those of another pair."""
    for name in ("", "other-"):
        made = authority.issue_cert("localhost", "127.0.0.1")
        made.private_key_pem.write_to_path(str(tmp_path / f"{name}key.pem"))
        (tmp_path / f"{name}cert.pem").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "empty.pem").touch()
    return tmp_path


def written(folder: Path, text: str) -> str:
    (folder / "web.yml").write_text(text)
    return str(folder / "web.yml")


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_web(written(folder, text))
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_a_file_with_everything_is_understood(folder) -> None:
    web = load_web(
        written(
            folder,
            f"""
tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_ca_file: ca.pem
  client_auth_type: VerifyClientCertIfGiven
  client_allowed_sans: [prometheus.example.com, 10.0.0.7]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519]
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=31536000}}
basic_auth_users:
  prometheus: {HASH}
  acme: {HASH}
wolkvox_exporter:
  open_health: true
  users: {{acme: [acme-co, acme-pe]}}
  client_sans: {{prometheus.example.com: [acme-co]}}
""".replace("VerifyClientCertIfGiven", "RequireAndVerifyClientCert"),
        )
    )

    assert web.tls is not None
    assert web.tls.verify_mode is ssl.CERT_REQUIRED
    assert web.tls.allowed_sans == {"prometheus.example.com", "10.0.0.7"}
    assert not web.tls.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert [each["name"] for each in web.tls.get_ciphers() if each["protocol"] != "TLSv1.3"] == [
        "ECDHE-RSA-AES128-GCM-SHA256"
    ]
    assert web.headers == {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"}
    assert web.users == {"prometheus": HASH.encode(), "acme": HASH.encode()}
    assert web.open_health
    assert web.user_operations == {"acme": {"acme-co", "acme-pe"}}
    assert web.san_operations == {"prometheus.example.com": {"acme-co"}}
    assert web.files == tuple(str(folder / name) for name in ("web.yml", "cert.pem", "key.pem", "ca.pem"))


@pytest.mark.parametrize("text", ["basic_auth_users:\n", "tls_server_config: {}\nbasic_auth_users: {}\n"])
def test_a_section_that_says_nothing_asks_nothing(folder, text) -> None:
    web = load_web(written(folder, text))

    assert (web.tls, web.users, web.headers) == (None, {}, {})


def test_certificates_may_stand_in_the_file_itself(folder, authority) -> None:
    made = authority.issue_cert("localhost")
    texts = {
        "cert": made.cert_chain_pems[0].bytes(),
        "key": made.private_key_pem.bytes(),
        "client_ca": authority.cert_pem.bytes(),
    }
    blocks = "".join(
        f"  {name}: |\n" + "".join(f"    {line}\n" for line in text.decode().splitlines())
        for name, text in texts.items()
    )

    web = load_web(written(folder, f"tls_server_config:\n{blocks}  client_auth_type: RequireAndVerifyClientCert\n"))

    assert web.tls is not None
    assert web.tls.verify_mode is ssl.CERT_REQUIRED
    assert web.files == (str(folder / "web.yml"),)


@pytest.mark.parametrize(
    ("version", "made"),
    [("TLS10", "TLSv1"), ("TLS11", "TLSv1_1"), ("TLS12", "TLSv1_2"), ("TLS13", "TLSv1_3")],
)
def test_each_version_may_be_the_lowest(folder, version, made) -> None:
    web = load_web(written(folder, f"{TLS}, min_version: {version}}}\n"))

    assert web.tls is not None
    assert web.tls.minimum_version is ssl.TLSVersion[made]


UNCHECKED = (
    "asks for certificates that nobody checks, which Python's ssl cannot do; "
    "VerifyClientCertIfGiven and RequireAndVerifyClientCert can be had"
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "web.yml: is empty; name an existing one with --web.config.file, or leave the flag out"),
        (
            "- a\n",
            "web.yml:1: holds a list, no keys; name an existing one with --web.config.file, or leave the flag out",
        ),
        ("basic_auth_user: {}\n", 'web.yml:1: unknown key "basic_auth_user"; did you mean "basic_auth_users"?'),
        ("tls_server_config: {cert: a, kee: b}\n", 'web.yml:1: unknown key "kee"; did you mean "key"?'),
        (
            "tls_server_config: {key_file: key.pem}\n",
            "web.yml:1: tls_server_config: cert_file is missing; give one of cert and cert_file",
        ),
        (
            f"{TLS}, key: x}}\n",
            "web.yml:1: tls_server_config: key and key_file stand together; give one of key and key_file",
        ),
        (
            f"{TLS}, client_auth_type: RequestClientCert}}\n",
            f"web.yml:1: tls_server_config.client_auth_type: RequestClientCert {UNCHECKED}",
        ),
        (
            f"{TLS}, client_auth_type: RequireAnyClientCert}}\n",
            f"web.yml:1: tls_server_config.client_auth_type: RequireAnyClientCert {UNCHECKED}",
        ),
        (
            f"{TLS}, client_auth_type: Please}}\n",
            (
                "web.yml:1: tls_server_config.client_auth_type: Please is not known; NoClientCert, "
                "VerifyClientCertIfGiven, RequireAndVerifyClientCert are"
            ),
        ),
        (
            f"{TLS}, client_ca_file: ca.pem}}\n",
            (
                "web.yml:1: tls_server_config.client_auth_type: NoClientCert asks for no certificate, but "
                "there is a client CA"
            ),
        ),
        (
            f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}\n",
            (
                "web.yml:1: tls_server_config.client_auth_type: RequireAndVerifyClientCert needs "
                "client_ca_file to check them against"
            ),
        ),
        (
            f"{TLS}, client_allowed_sans: [a]}}\n",
            "web.yml:1: tls_server_config.client_allowed_sans: needs clients' certificates; set client_auth_type",
        ),
        (
            f"{TLS}, min_version: TLS13, max_version: TLS12}}\n",
            "web.yml:1: tls_server_config.min_version: TLS13 is above max_version, TLS12",
        ),
        (
            f"{TLS}, min_version: SSL30}}\n",
            "web.yml:1: tls_server_config.min_version: SSL30 is not known; TLS10, TLS11, TLS12, TLS13 are",
        ),
        (
            f"{TLS}, curve_preferences: [X25519, CurveP256]}}\n",
            (
                "web.yml:1: tls_server_config.curve_preferences: holds several; Python's ssl takes one, or "
                "none for OpenSSL's choice"
            ),
        ),
        (
            "tls_server_config: {cert_file: no.pem, key_file: key.pem}\n",
            "web.yml:1: tls_server_config.cert_file: no.pem does not exist; the path is relative to this file",
        ),
        (
            "tls_server_config: {cert_file: cert.pem, key_file: other-key.pem}\n",
            "web.yml:1: tls_server_config.key_file: these are no pair of PEM certificate and key without a passphrase",
        ),
        (
            "tls_server_config: {cert_file: empty.pem, key_file: empty.pem}\n",
            "web.yml:1: tls_server_config.key_file: these are no pair of PEM certificate and key without a passphrase",
        ),
        (
            f"{TLS}, client_ca_file: empty.pem, client_auth_type: VerifyClientCertIfGiven}}\n",
            "web.yml:1: tls_server_config.client_ca_file: holds no certificate; PEM certificates are allowed",
        ),
        (
            f"{TLS}, client_ca_file: key.pem, client_auth_type: VerifyClientCertIfGiven}}\n",
            "web.yml:1: tls_server_config.client_ca_file: holds no certificate; PEM certificates are allowed",
        ),
        (
            "http_server_config: {http2: true}\n",
            (
                "web.yml:1: http_server_config.http2: true is not to be had; this server speaks HTTP/1.1: "
                "take the key out, or write false"
            ),
        ),
        (
            "http_server_config: {headers: {Server: x}}\n",
            (
                "web.yml:1: http_server_config.headers.Server: is no header that can be set; allowed are "
                "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, "
                "X-Frame-Options, X-XSS-Protection"
            ),
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: maybe}}\n",
            'web.yml:1: http_server_config.headers.X-Frame-Options: "maybe" is not allowed; deny or sameorigin is',
        ),
        (
            'http_server_config: {headers: {X-Frame-Options: "a\\r\\nSet-Cookie: b"}}\n',
            (
                r'web.yml:1: http_server_config.headers.X-Frame-Options: "a\r\nSet-Cookie: b" '
                "cannot stand in a header; printable ASCII can"
            ),
        ),
        (
            "basic_auth_users: {prometheus: right}\n",
            (
                "web.yml:1: basic_auth_users.prometheus: text is no bcrypt hash; make one with `htpasswd "
                "-nBC 10 NAME`, and write it in quotes"
            ),
        ),
        (
            f'basic_auth_users: {{"a:b": {HASH}}}\n',
            "web.yml:1: basic_auth_users.a:b: is no user's name; it is not empty and has no colon",
        ),
        (
            "wolkvox_exporter: {users: {acme: [acme-co]}}\n",
            'web.yml:1: wolkvox_exporter.users.acme: "acme" is no user; give it a password in basic_auth_users',
        ),
        (
            f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}\n",
            (
                "web.yml:1: tls_server_config.cipher_suites: names those of TLS 1.3 alone, which are always there; "
                "set min_version: TLS13"
            ),
        ),
        (
            "wolkvox_exporter: {client_sans: {a: [acme-co]}}\n",
            (
                "web.yml:1: wolkvox_exporter.client_sans: binds nobody who shows no certificate; set "
                "client_auth_type: RequireAndVerifyClientCert"
            ),
        ),
        ("wolkvox_exporter: {open_heath: true}\n", 'web.yml:1: unknown key "open_heath"; did you mean "open_health"?'),
    ],
)
def test_what_cannot_be_meant_or_done_is_refused_with_a_sentence(folder, text, sentence) -> None:
    assert faults(folder, text) == [sentence]


def test_all_faults_are_told_in_one_go(folder) -> None:
    text = "tls_server_config: {min_version: TLS9}\nhttp_server_config: {http2: true}\nbasic_auth_users: {a: b}\n"

    assert len(faults(folder, text)) == 3


def test_a_key_under_a_passphrase_is_refused_and_nobody_is_asked_for_it(folder) -> None:
    key = pem.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    locked = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
    (folder / "key.pem").write_bytes(locked)

    assert "without a passphrase" in faults(folder, f"{TLS}}}\n")[0]


def test_no_hash_and_no_key_is_in_what_a_configuration_tells_of_itself(folder) -> None:
    web = load_web(written(folder, f"{TLS}}}\nbasic_auth_users: {{prometheus: {HASH}}}\n"))

    assert HASH not in repr(web)


def test_without_ciphers_python_chooses(folder) -> None:
    web = load_web(written(folder, f"{TLS}}}\n"))

    assert web.tls is not None
    assert web.tls.get_ciphers() == ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).get_ciphers()


def test_texts_that_find_no_place_for_a_moment_are_a_fault(folder, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    key = (folder / "key.pem").read_text()
    block = "".join(f"    {line}\n" for line in key.splitlines())

    told = faults(folder, f"tls_server_config:\n  cert_file: cert.pem\n  key: |\n{block}")

    assert told == [
        (
            "web.yml:1: tls_server_config: certificate and key cannot be read (No such file or directory); "
            "try again, or set TMPDIR"
        )
    ]
    assert "PRIVATE" not in told[0]


def test_a_file_that_fails_while_it_is_read_is_a_fault(folder) -> None:
    told = faults(folder, "tls_server_config: {cert_file: /proc/self/mem, key_file: key.pem}\n")

    assert told == [
        (
            "web.yml:1: tls_server_config.cert_file: /proc/self/mem cannot be read (Input/output error); "
            "the path is relative to this file"
        )
    ]
