"""Valuation: the method itself; it knows nothing of files, runs or charts."""
