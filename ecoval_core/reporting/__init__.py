"""The report of a run: one HTML file that opens anywhere, without network."""

from ecoval_core.reporting.report import make_report

__all__ = ["make_report"]
