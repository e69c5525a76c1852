"""The report of a run: one HTML file that opens anywhere, without network."""

from ecoval_core.reporting.report import make_report
from ecoval_core.reporting.units import UnitKind

__all__ = ["UnitKind", "make_report"]
