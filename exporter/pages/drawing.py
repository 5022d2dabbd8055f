"""The templates, and the policy under which a browser shows what they make."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from exporter.pages.frame import Frame
from exporter.pages.times import when

if TYPE_CHECKING:
    from jinja2 import Environment

STYLE: Final = "style.css"


@cache
def environment() -> "Environment":
    """Every text is escaped, and a name that is not there is an error."""
    # An exporter that is only scraped does not pay for the templates' memory.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("exporter.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def policy() -> str:
    """The Content-Security-Policy of every page: no script, nothing from outside, the one style and own forms."""
    digest = b64encode(sha256(environment().get_template(STYLE).render().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def drawn(template: str, frame: Frame, root: str, **values: Any) -> str:
    """The page; `root` is the way from it to the site's root, so that a path before all of ours changes nothing."""
    made = environment().get_template(template)
    return made.render(frame=frame, root=root, drawn_at=when(frame.now, frame.now), **values)
