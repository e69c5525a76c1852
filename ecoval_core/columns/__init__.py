"""Columns: what one holds, what to leave out, which spellings to correct."""
