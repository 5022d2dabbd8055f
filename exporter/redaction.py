"""A server's text without what must not be kept: the token, and private fields where names are hidden. Pure.

Where it cannot be sure that nothing of them is left, it keeps less of the text.
"""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

from exporter.model import Answer, Secret

STRUCK: Final = "***"
ROUNDS: Final = 8  # how often a text may be escaped anew before nothing of it is kept
TELLING: Final = 4  # characters of a token that are told by a text that ends within it; fewer tell nothing
_ESCAPE: Final = re.compile(r"\\(?:u00([0-7][0-9a-fA-F])|(.))", re.DOTALL)


def redacted(answer: Answer, token: Secret, private: Iterable[str]) -> Answer:
    """The answer with a body that may be kept, UTF-8 now: without the token, the `private` fields blank."""
    text, hidden = answer.body.decode("utf-8-sig", "replace"), tuple(private)
    kept = without(blanked(text, hidden) if hidden else text, token.reveal())
    return replace(answer, body=kept.encode("utf-8", "replace"))


def without(text: str, secret: str) -> str:
    """The text with `STRUCK` for the secret, whatever its case, as written or percent-encoded, or as in JSON or HTML.

    A text that ends within the secret loses that end. "" where the secret stands there in another way, escaped in part
    or twice.
    """
    forms = written(secret)
    lowered = text.lower()
    if any(form in lowered for form in forms):
        text = re.sub("|".join(map(re.escape, forms)), STRUCK, text, flags=re.IGNORECASE)
    text = text[: len(text) - unfinished(text, forms)]
    return "" if is_meant(text, secret.lower()) else text


def written(secret: str) -> list[str]:
    """The usual ways to write the secret in lower case, the longest first, so that no end of one stays."""
    escaped = json.dumps(secret)[1:-1]
    forms = {secret, quote(secret, safe=""), escaped, escaped.replace("/", "\\/"), html.escape(secret)}
    return sorted({form.lower() for form in forms}, key=len, reverse=True)


def unfinished(text: str, forms: Iterable[str]) -> int:
    """How many characters at the end of the text begin one of the forms and do not end it."""
    lengths = ((form, length) for form in forms for length in range(len(form) - 1, TELLING - 1, -1))
    return max((length for form, length in lengths if text[-length:].lower() == form[:length]), default=0)


def is_meant(text: str, secret: str) -> bool:
    """Whether the secret, in lower case, shows once the text is read as what it escapes; true also for endless ones."""
    for _ in range(ROUNDS):
        plain = meant(text)
        if secret in plain.lower() or secret in visible(plain).lower():
            return True
        if plain == text:
            return False
        text = plain
    return True


def visible(text: str) -> str:
    """The text without what shows nothing: the zeros of UTF-16, spaces of no width, control characters."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def meant(text: str) -> str:
    """The text with percent signs, entities and backslashes read as what they stand for, once."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], html.unescape(unquote(text)))


def blanked(text: str, fields: tuple[str, ...]) -> str:
    """The text with the values of these fields blank, at any depth.

    What is no JSON, or hides JSON in one of its texts, is blanked where it looks like it, and ends where one of the
    fields stands in another way.
    """

    def blank(found: dict[str, Any]) -> dict[str, Any]:
        return {key: "" if key.strip().lower() in fields else value for key, value in found.items()}

    try:
        kept = json.dumps(json.loads(text, object_hook=blank), ensure_ascii=False)
    except (ValueError, RecursionError):
        return guessed(text, fields)
    return guessed(text, fields) if any(f'\\"{field}' in kept.lower() for field in fields) else kept


def guessed(text: str, fields: tuple[str, ...]) -> str:
    """The text up to the first place that may tell one of the fields, with what surely does blank before it."""
    parts, end = list[str](), 0
    for found in places(fields).finditer(text):
        parts.append(text[end : found.start()])
        if found["key"] is None:
            return "".join(parts)
        parts += (found["key"], '""')
        end = found.end()
    return "".join((*parts, text[end:]))


@lru_cache(maxsize=16)
def places(fields: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a field with its value (the group `key` is what stands before that), and what may be one."""
    names = "|".join(map(re.escape, fields))
    value = r'"(?:[^"\\]|\\.)*+"|-?[0-9.eE+-]++|null|true|false'
    # A text that holds a quote which nobody escaped ends too early: only what another key or an end follows is sure.
    after = r'\s*(?:,\s*"[A-Za-z0-9_ ]*"\s*:|[}\]])'
    sure = rf'(?P<key>"\s*(?:{names})\s*"\s*:\s*)(?:{value})(?={after})'
    maybe = rf"(?<![A-Za-z0-9_])(?:{names})(?![A-Za-z0-9_])|\\u00[4-7]"  # letters that nobody needs to escape
    return re.compile(f"{sure}|{maybe}", re.IGNORECASE | re.DOTALL)
