"""The page that stands where nothing is. Pure."""

from exporter.pages.drawing import drawn
from exporter.pages.frame import Frame


def missing(frame: Frame) -> str:
    """The page of an operation that is not there, or that the visitor may not see: both look the same."""
    return drawn("missing.html", frame, "../")
