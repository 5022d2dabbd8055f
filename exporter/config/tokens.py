"""Where an operation's token comes from, and reading it anew each time. No message and no repr here shows a token.

Knows no YAML.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from exporter.config import files
from exporter.config.faults import shown
from exporter.model import Secret, SecretError

MOST_BYTES: Final = 64 * files.KIB
ADVICE: Final = "paste the token from Manager > Settings > Integrations > Tokens"

_BOM: Final = "\ufeff"
# Who pastes a token where a path or a variable's name belongs must not find it in a log.
_LOOKS_LIKE_A_TOKEN: Final = re.compile(r"[^/._]{16,}|eyJ.*|.{250,}", re.DOTALL)
_WORD: Final = re.compile(r"[!-~]+")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Unusable(Exception):  # noqa: N818 - the end of a sentence
    pass


@dataclass(frozen=True, slots=True)
class TokenSource:
    """`key` is token_file, token_env or token; `place` the path or the variable's name, "" for a token in the file."""

    operation: str
    key: str
    place: str
    inline: Secret = field(default_factory=lambda: Secret(""))
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        if self.key == "token":
            return "the token"
        if _LOOKS_LIKE_A_TOKEN.fullmatch(self.place):
            return "the value"
        return shown(self.place) if self.key == "token_file" else f"variable {shown(self.place)}"

    def read(self) -> Secret:
        """The token as it is now; SecretError if there is none that a header can carry."""
        return self.fetch()[0]

    def stamp(self) -> files.Stamp | None:
        """What tells that its file may hold another token; None where there is no file, and only reading tells."""
        return files.stamp(self.place) if self.key == "token_file" else None

    def fetch(self) -> tuple[Secret, bool]:
        """The token, see `read`, and whether every user of this host may read it in its file."""
        try:
            text, is_public = self._content()
            return Secret(_token(text)), is_public
        except (_Unusable, files.Unreadable) as error:
            raise SecretError(self.operation, f"{self} {error}") from None

    def _content(self) -> tuple[str, bool]:
        if self.key == "token_file":
            content = files.read(self.place, MOST_BYTES)
            return content.data.decode("utf-8", "replace"), content.is_public
        return self.inline.reveal() if self.key == "token" else self._variable(), False

    def _variable(self) -> str:
        if not _VARIABLE.fullmatch(self.place):
            raise _Unusable("is not the name of an environment variable; letters, digits and _ are allowed")
        if self.place not in self.environ:
            raise _Unusable("is not set in the environment; set it, or use token_file")
        return self.environ[self.place]


def _token(text: str) -> str:
    token = text.strip().strip(_BOM).strip()
    if not token:
        raise _Unusable(f"is empty; {ADVICE}")
    if not _WORD.fullmatch(token):
        raise _Unusable("holds more than one word of visible ASCII characters; paste the token alone")
    return token
