"""Valuation: the method itself; it knows nothing of files, runs or charts."""

from ecoval_core.valuation.estimator import EcoVal

__all__ = ["EcoVal"]
