"""What an answer means: HTTP status, headers and body in, `Answer` out.

Knows the vendor's codes and phrases. Knows no socket, no clock and no configuration.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final, NamedTuple

from exporter.model import DAY, Answer, Outcome, Secret
from exporter.records import KINDS

DETAIL_LENGTH: Final = 200
MOST_SENTENCE: Final = 10_000  # characters of `msg` that are searched; upper() may need twelve bytes for each
MOST_VALUES: Final = 1_000_000  # the API's longest list, 60,000 rows, has half as many

_RANK: Final = {outcome: rank for rank, outcome in enumerate(Outcome)}

_FINE: Final = frozenset({0, 200})

# Four meanings share the 403 and only `msg` separates them; the first phrase that is found decides.
_PHRASES: Final[Mapping[int, tuple[tuple[str, Outcome], ...]]] = {
    400: (("DOES NOT EXIST", Outcome.UNKNOWN_LIST),),
    403: (
        ("SIMULTANEOUS", Outcome.TOKEN_BUSY),
        ("LIMIT EXCEEDED", Outcome.QUOTA_EXHAUSTED),
        ("VALIDATE TOKEN", Outcome.TOKEN_REJECTED),
    ),
}
_NUMBERS: Final[Mapping[int, Outcome]] = {
    401: Outcome.TOKEN_REJECTED,
    403: Outcome.FORBIDDEN,
    404: Outcome.NOT_FOUND,
    429: Outcome.THROTTLED,
}
_HUNDREDS: Final[Mapping[int, Outcome]] = {
    3: Outcome.REDIRECTED,
    4: Outcome.REFUSED,
    5: Outcome.SERVER_ERROR,
}

_CODE: Final = re.compile(r"([0-9]{1,3})(?:\.0+)?")
_SECONDS: Final = re.compile(r"(-?)([0-9]+)")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Every escape of a JSON text: a pair of surrogates, a lone one (the group), or any other.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer, read to its end and unpacked. `headers` has lower-case names, or ignores case."""

    status: int
    body: bytes | bytearray = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Envelope(NamedTuple):
    """The body as the vendor means it. `fault` says why there are no fields; "" where the body is an object."""

    fields: Mapping[str, Any]
    fault: str = ""

    @property
    def msg(self) -> str:
        """The vendor's sentence, "" where there is none."""
        return _text(self.fields.get("msg"))

    @property
    def error(self) -> str:
        """What stands in `error`; "" for null, blank, and the text "null", which live answers carry."""
        text = _text(self.fields.get("error"))
        return "" if text.lower() == "null" else text

    @property
    def code(self) -> str | None:
        """The body's `code` as trimmed text; a value that is no code gives the name of its type."""
        value = self.fields.get("code")
        if value is None:
            return None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return str(value).strip()
        return type(value).__name__

    @property
    def is_api(self) -> bool:
        """True where the API itself spoke, and not a web server or proxy before it."""
        return "msg" in self.fields or "data" in self.fields


def answer(reply: Reply, hide: Secret, wall: Callable[[], float]) -> Answer:
    """The meaning of `reply`, read whole; `hide` never appears in its texts.

    Status and code are each looked up and the one of higher rank wins; the contents decide only where both are fine.
    `wall` is asked only for a Retry-After in date form in an answer without a Date.
    """
    seen = _envelope(reply.body)
    outcome = _worse(_meaning(reply.status, seen), _code_meaning(seen)) or _contents(seen)
    code = seen.code
    return Answer(
        outcome=outcome,
        status=reply.status,
        code=code if code is None or _CODE.fullmatch(code) else _shown(code, hide),
        records=tuple(seen.fields["data"]) if outcome is Outcome.OK else (),
        retry_after=_retry_after(reply.headers, wall) if outcome is Outcome.THROTTLED else None,
        detail=_detail(reply, seen, outcome, hide),
    )


def broken(status: int | None, fault: Outcome, detail: str, *, whole: bool) -> Answer:
    """An answer that could not be read, by `fault`; a status that came and ranks higher is still a fact."""
    said = None if status is None else _meaning(status, Envelope({}))
    words = detail if status is None else f"HTTP {status}, {detail}"
    return Answer(_worse(said, fault) or fault, status=status, whole=whole, detail=_cut(_printable(words)))


def _envelope(body: bytes | bytearray) -> Envelope:
    if not body.strip():
        return Envelope({}, "body is empty")
    # As objects the shortest values, "[]," and the like, take thirty times the memory of their text.
    if sum(body.count(sign) for sign in (b",", b"[", b"{", b"\\")) > MOST_VALUES:
        return Envelope({}, f"body holds more than {MOST_VALUES} values and escapes, {len(body)} bytes")
    text = body.decode("utf-8-sig", "replace")
    if _HALF.search(text):
        # A lone surrogate would be a text that no encoder downstream can write.
        text = _ESCAPE.sub(lambda found: "\ufffd" if found[1] else found[0], text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, a number of thousands of digits, thousands of brackets
        kind = "HTML" if text.lstrip().startswith("<") else "not JSON"
        return Envelope({}, f"body is {kind}, {len(body)} bytes")
    if not isinstance(value, dict):
        return Envelope({}, f"body is {KINDS[type(value)]}, {len(body)} bytes")
    return Envelope(value)


def _meaning(number: int, seen: Envelope) -> Outcome | None:
    """What an HTTP status, or a body's code, says; None where it says that all is well."""
    if number in _FINE:
        return None
    msg = " ".join(seen.msg[:MOST_SENTENCE].upper().split())
    for phrase, outcome in _PHRASES.get(number, ()):
        if phrase in msg:
            return outcome
    # The API answers 404 where a list is empty; a web server answers 404 where there is no API.
    if number == 404 and seen.is_api:  # noqa: PLR2004 - the number is its own best name
        return Outcome.NO_RECORDS
    return _NUMBERS.get(number) or _HUNDREDS.get(number // 100, Outcome.MALFORMED)


def _code_meaning(seen: Envelope) -> Outcome | None:
    code = seen.code
    if not code:
        return None
    number = _CODE.fullmatch(code)
    return _meaning(int(number[1]), seen) if number else Outcome.MALFORMED


def _contents(seen: Envelope) -> Outcome:
    if seen.error:
        return Outcome.REFUSED
    data = seen.fields.get("data")
    if not isinstance(data, list):
        return Outcome.MALFORMED
    return Outcome.OK if data else Outcome.NO_RECORDS


def _worse(*verdicts: Outcome | None) -> Outcome | None:
    return min((verdict for verdict in verdicts if verdict), key=_RANK.__getitem__, default=None)


def _retry_after(headers: Mapping[str, str], wall: Callable[[], float]) -> float | None:
    """Seconds to wait, 0 to a day; None where the header is absent or junk."""
    value = headers.get("retry-after", "").strip()
    if seconds := _SECONDS.fullmatch(value):
        # No more than nine digits are read: int() refuses thousands of them.
        return 0.0 if seconds[1] else min(float(seconds[2].lstrip("0")[:9] or 0), DAY)
    until = _unix(value)
    if until is None:
        return None
    since = _unix(headers.get("date", ""))
    return min(max(until - (wall() if since is None else since), 0.0), DAY)


def _unix(date: str) -> float | None:
    """Unix seconds of an HTTP date; None for junk."""
    try:
        moment = parsedate_tz(date)
        return None if moment is None else float(mktime_tz((*moment[:9], moment[9] or 0)))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _detail(reply: Reply, seen: Envelope, outcome: Outcome, hide: Secret) -> str:
    words = [f"HTTP {reply.status}"]
    code = seen.code
    if code and code != str(reply.status):
        words.append(f"code {_shown(code, hide)}")
    if outcome is Outcome.REDIRECTED:
        words.append(f'to "{_shown(reply.headers.get("location", ""), hide)}"')
    if outcome is Outcome.MALFORMED and not seen.fault and not isinstance(seen.fields.get("data"), list):
        words.append(f"data is {KINDS[type(seen.fields['data'])] if 'data' in seen.fields else 'absent'}")
    said = ": ".join(text for text in (seen.error if outcome is Outcome.REFUSED else "", seen.msg) if text)
    line = ", ".join([*words, seen.fault] if seen.fault else words)
    return _cut(f'{line} "{_shown(said, hide)}"' if said else line)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _shown(text: str, hide: Secret) -> str:
    """A server's `text` for a log: no token, whatever its case, no control character, not long."""
    secret = hide.reveal()
    text = text[: (DETAIL_LENGTH + 1) * max(len(secret), 1)]  # so much at most becomes what is shown
    may_show = 0 < len(secret) <= len(text)  # a pattern for each token is a tenth of a call
    bare = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE) if may_show else text
    return _cut(_printable(bare[: DETAIL_LENGTH + 1]))


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _cut(text: str) -> str:
    return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"
