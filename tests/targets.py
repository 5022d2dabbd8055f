"""What is fuzzed: functions that take any bytes and fail where a promise is broken, and bytes that are worth a try.

`tests/corpus/TARGET/` holds inputs that are replayed each time: shapes that matter, and whatever was found;
`tests/corpus/TARGET.dict` the pieces that such inputs are made of.
"""

import ast
import asyncio
import functools
import gzip
import json
import re
import socket
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final, NamedTuple

import still
import trustme
import yaml
from conftest import CANARY, START
from exposed import basic, certify, hashed
from hypothesis import strategies as st

from exporter import api, envelope
from exporter.access import Access
from exporter.body import EncodingError, TooLargeError, capped, collected, unpacked
from exporter.client import Client, Upstream
from exporter.config import ConfigError, Fault, load, load_web
from exporter.doorman import Doorman, Refusal, Rules
from exporter.encoding import Format, lines
from exporter.envelope import DETAIL_LENGTH, Reply
from exporter.lists import LISTS
from exporter.model import Answer, Operation, Outcome, Secret
from exporter.negotiation import ranges
from exporter.passwords import Failures, Known, Login, Passwords
from exporter.poll import Trust, response, understand
from exporter.scraping import wanted
from exporter.state import OperationState, Standing, State
from exporter.web import Application

CORPUS: Final = Path(__file__).with_name("corpus")
TRUST: Final = Trust(mass_removal=0.5, retention=86400.0)
MOST_BODY: Final = 1 << 20
STATUS: Final = re.compile(rb"[1-9][0-9]{2}")


def judge(answer: Answer) -> None:
    """Holds an answer against what is promised of every one, and against all that is made of it."""
    assert answer.outcome in Outcome
    assert answer.detail.isprintable()
    assert len(answer.detail) <= DETAIL_LENGTH
    assert CANARY not in f"{answer.detail}{answer.code}"
    assert re.fullmatch(r"none|[1-9][0-9]{2} (none|other|[0-9]{1,3})|none none", " ".join(response(answer)))
    for spec in LISTS.values():
        meaning = understand(answer, spec, Standing(), TRUST, START, lambda _, __: "")
        standing = Standing(snapshot=meaning.snapshot, held=meaning.held, memory=meaning.memory)
        told = OperationState(Operation("acme", "0010"), {spec.name: 300.0}, {spec.name: standing}, at=START)
        for family, samples in spec.samples(told):
            for line in lines(family, samples).decode().split("\n")[:-1]:
                assert line.startswith(family.name)
        json.dumps(list(api.rows(State((told,)), spec, None)), allow_nan=False).encode()


def answer(data: bytes) -> None:
    """A line with a status and a content encoding, and a body as it came: one of the outcomes, never an exception."""
    head, _, body = data.partition(b"\n")
    number = STATUS.match(head)
    encoding = "gzip" if b"gzip" in head else ""
    text = body[:60].decode("latin-1")
    headers = {"retry-after": text, "date": text[5:], "location": text}
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    try:
        whole = collected(capped(unpacked(capped(pieces, MOST_BODY), encoding), MOST_BODY), lambda: None)
    except (TooLargeError, EncodingError):
        return
    judge(envelope.answer(Reply(int(number[0]) if number else 200, whole, headers), Secret(CANARY), lambda: START))


class Speaker:
    """An upstream that answers each call with the bytes that it is given, whatever they are, and hangs up."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.bytes = b""
        url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        line = Upstream(base_url=url, timeout=5.0, max_body=MOST_BODY)
        self.client = Client(line, "test", lambda: 0.0, wall=lambda: START)
        Thread(target=self._speak, daemon=True).start()

    def _speak(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(65536)
                connection.sendall(self.bytes)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


speaker = functools.cache(Speaker)


def wire(data: bytes) -> None:
    """Bytes in place of an HTTP answer, over a real socket: one of the outcomes, never an exception."""
    speaker().bytes = data
    judge(speaker().client.call("0010", "connectors", Secret(CANARY)))


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with a secret and a certificate in it; it goes with this process."""
    made = tempfile.TemporaryDirectory(prefix="wolkvox-fuzz-")
    certify(Path(made.name), trustme.CA(), "server", "127.0.0.1")
    secret = Path(made.name, "acme")
    secret.write_text(CANARY)
    secret.chmod(0o600)
    return made


def read(data: bytes, load: Callable[[str], object]) -> None:
    """A file that people write: what it should be, or faults of one line each with file and line, without a secret."""
    path = Path(folder().name, "file.yaml")
    path.write_bytes(data)
    try:
        told = repr(load(str(path)))
    except ConfigError as error:
        told = "".join(traceback.format_exception(error)) + repr(error.faults)
        faults: tuple[Fault, ...] = error.faults
    else:
        faults = ()
    for fault in faults:
        assert Path(fault.file).parent == path.parent or b"operations_files" in data
        assert fault.line is None or 1 <= fault.line <= data.count(b"\n") + data.count(b"\r") + 3
        assert str(fault).isprintable()
    assert told
    assert CANARY not in told or CANARY.encode() in data


def config(data: bytes) -> None:
    """A config.yaml."""
    lists = {name: spec.interval for name, spec in LISTS.items()}
    read(data, lambda path: load(path, lists, {"ACME_TOKEN": CANARY}))


def webconfig(data: bytes) -> None:
    """A web configuration."""
    read(data, load_web)


@functools.cache
def doorman() -> Doorman:
    """Whoever guards a door that one user may pass."""
    passwords = Passwords({"ana": hashed("right").encode()}, Known())
    return Doorman(Rules(user_operations={"ana": frozenset({"acme"})}), passwords, Failures())


def login(data: bytes) -> None:
    """Authorization headers, each a line: nobody comes in who does not say the password."""
    headers = [(b"authorization", line) for line in data.split(b"\n")]
    scope = {"path": "/metrics", "headers": headers, "client": ("127.0.0.1", 1)}
    decision = doorman().decide(scope, 0.0)
    if isinstance(decision, Login):
        assert "right" not in repr(decision).replace(repr(decision.user), "")
        is_right = (decision.user, decision.password) == ("ana", b"right")
        decision = doorman().work_out(decision, scope)
        assert isinstance(decision, Access) == is_right
    assert isinstance(decision, Access | Refusal)


def accept(data: bytes) -> None:
    """An Accept and an Accept-Encoding header, each a line: one of the formats."""
    first, _, second = data.partition(b"\n")
    wish = wanted(first, second)
    assert wish.form in Format
    assert wish.compress in {True, False}
    assert all(0 <= each.quality <= 1 for each in ranges(first.decode("latin-1")))


@functools.cache
def application() -> Application:
    """The whole site."""
    return Application(still.site())


@functools.cache
def runner() -> asyncio.Runner:
    """One loop for all questions."""
    return asyncio.Runner()


def asked(path: str, query: bytes, host: bytes) -> tuple[int, Mapping[bytes, bytes], bytes]:
    """Status, headers and body of the application's own answer."""
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "scheme": "http", "path": path, "query_string": query}
    scope["headers"] = [(b"host", host)]
    runner().run(application()(scope, receive, send))  # type: ignore[arg-type]  # starlette's messages are broader
    head, *rest = said
    return head["status"], dict(head["headers"]), b"".join(each.get("body", b"") for each in rest)


def query(data: bytes) -> None:
    """A path, a query and a Host, each a line: the page, or one line of plain text that says what is wrong."""
    path, _, rest = data.partition(b"\n")
    asking, _, host = rest.partition(b"\n")
    status, headers, body = asked(path.decode("latin-1"), asking, host)
    assert status in {200, 400, 404, 405}
    if status == 400:
        assert headers[b"content-type"] == b"text/plain; charset=utf-8"
        assert body.decode().removesuffix("\n").isprintable()
    elif headers[b"content-type"] == b"application/json":
        json.loads(body)


# Inputs: those of the corpus, bent; tokens that mean something, in any order; structures that are nearly right.


def tokens(name: str) -> list[bytes]:
    """What means something to the target: the lines of its dictionary, in libFuzzer's format, and some long ones."""
    lines = (CORPUS / f"{name}.dict").read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(f"b{line}") for line in lines if line.startswith('"')] + list(LONG)


def bent(name: str) -> st.SearchStrategy[bytes]:
    """An input of the corpus with up to four pieces cut out, doubled, or put in."""
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))] or [b""]
    pieces = st.binary(max_size=4) | st.sampled_from(tokens(name))

    @st.composite
    def drawn(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(seeds))
        for _ in range(draw(st.integers(1, 4))):
            at, to = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
            put = draw(pieces | st.just(data[at:to] * 2))
            data = data[:at] + put + data[draw(st.sampled_from([at, to])) :]
        return data

    return drawn()


def mixed(name: str, most: int = 12) -> st.SearchStrategy[bytes]:
    """Some of the target's tokens behind each other."""
    return st.lists(st.sampled_from(tokens(name)) | st.binary(max_size=3), max_size=most).map(b"".join)


LONG: Final = (b"[" * 2000, b"9" * 5000, b"a=&" * 300, b"a:b\r\n" * 150, b"x" * 70_000, b'"' * 501)
LEAVES: Final = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES: Final = st.recursive(
    LEAVES | st.integers(-(10**4000), 10**4000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS: Final = ("connector_id", "channel", "rp_id", "name", "chat_active", "token_limit", "all_token_today")
ROWS: Final = st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6) | VALUES, max_size=5)
ENVELOPES: Final = st.fixed_dictionaries(
    {"data": ROWS | VALUES}, optional=dict.fromkeys(("code", "msg", "error"), VALUES)
)


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    """An answer that is nearly right."""
    body = json.dumps(draw(ENVELOPES), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    packed = draw(st.booleans())
    status = draw(st.sampled_from([b"200", b"200", b"404", b"403", b"429", b"500", b"999"]))
    return status + (b" gzip\n" + gzip.compress(body, mtime=0) if packed else b"\n" + body)


@st.composite
def configurations(draw: st.DrawFn) -> bytes:
    """A mapping with right keys and any values."""
    keys = st.sampled_from(
        ["name", "server", "token_file", "token_env", "token", "labels", "expect", "poll", "timeout"]
    )
    more = [
        "upstream",
        "operations_files",
        "budget",
        "believe",
        "retention",
        "connector_names",
        "connectors",
        "base_url",
        "proxy",
    ]
    inner = st.dictionaries(keys | st.sampled_from(more), VALUES, max_size=5)
    whole = draw(st.dictionaries(st.sampled_from(more), inner | VALUES, max_size=5))
    operation = {"name": "acme", "server": "0010", "token": CANARY}
    return yaml.safe_dump({**whole, "operations": [operation, *draw(st.lists(inner, max_size=2))]}).encode()


def logins() -> st.SearchStrategy[bytes]:
    """A user and a password, often the right ones."""
    words = st.sampled_from(["ana", "right", "", "ana:", "\0"]) | st.text(max_size=80)
    return st.tuples(words, words).map(lambda pair: basic(*pair).encode())


class Target(NamedTuple):
    """What is fuzzed with which inputs; CI tries so many of them."""

    check: Callable[[bytes], None]
    inputs: Callable[[], st.SearchStrategy[bytes]]
    examples: int


# Whatever else strangers or people write gets a function, a corpus, a dictionary and a row.
TARGETS: Final[Mapping[str, Target]] = {
    "answer": Target(answer, lambda: envelopes() | bent("answer") | mixed("answer"), 1500),
    "wire": Target(wire, lambda: bent("wire") | mixed("wire"), 400),
    "config": Target(config, lambda: configurations() | bent("config") | mixed("config"), 600),
    "accept": Target(accept, lambda: bent("accept") | mixed("accept") | st.binary(), 1500),
    "webconfig": Target(webconfig, lambda: bent("webconfig") | mixed("webconfig"), 500),
    "login": Target(login, lambda: logins() | bent("login") | mixed("login"), 300),
    "query": Target(query, lambda: bent("query") | mixed("query"), 800),
}


def corpus() -> list[Path]:
    """The inputs that are kept."""
    return sorted(CORPUS.glob("*/*"))
