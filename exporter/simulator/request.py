"""Requests as they are read off a socket. Knows HTTP/1.1 as far as clients of the upstream use it."""

from collections.abc import Mapping
from io import BufferedIOBase
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

LINE_BYTES: Final = 65536
REQUEST_WORDS: Final = 3


class Request(NamedTuple):
    """One request; header names are lower case, of a parameter that comes twice the last one counts."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters behind the question mark."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def is_last(self) -> bool:
        """The client wants the connection closed after the answer."""
        return self.version != "HTTP/1.1" or self.headers.get("connection", "").lower() == "close"


def read_request(stream: BufferedIOBase) -> Request | None:
    """The next request; None when the client has gone or does not speak HTTP."""
    words = stream.readline(LINE_BYTES).decode("latin-1").split()
    if len(words) != REQUEST_WORDS:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline(LINE_BYTES).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = headers.get("content-length", "0")
    body = stream.read(int(length)) if length.isdecimal() else b""
    return Request(words[0], words[1], headers, body, words[2])
