"""The status pages: HTML from a state and a time. Pure but for the templates, read at the first page."""

from exporter.pages.drawing import policy
from exporter.pages.frame import Frame
from exporter.pages.missing import missing
from exporter.pages.operation import Records, operation
from exporter.pages.overview import overview

__all__ = ["Frame", "Records", "missing", "operation", "overview", "policy"]
