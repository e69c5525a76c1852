"""Runs: what is valued, what was found, and the documents and files that others get of it."""
