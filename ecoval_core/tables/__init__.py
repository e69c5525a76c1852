"""Tables: a file or a frame becomes numbers to learn from."""

from ecoval_core.columns.clean import Fix, clean, suggest_fixes
from ecoval_core.columns.guess import detect_target, suggest_exclusions
from ecoval_core.columns.target import MIN_ROWS, empty_words
from ecoval_core.files.header import Reading, parse_header
from ecoval_core.files.limits import MAX_BYTES, TableError
from ecoval_core.files.read import read_cells, read_file, read_frame
from ecoval_core.tables.prepare import Split, prepare
from ecoval_core.tables.table import SAMPLES, Table, load_sample, make_table

__all__ = [
    "MAX_BYTES",
    "MIN_ROWS",
    "SAMPLES",
    "Fix",
    "Reading",
    "Split",
    "Table",
    "TableError",
    "clean",
    "detect_target",
    "empty_words",
    "load_sample",
    "make_table",
    "parse_header",
    "prepare",
    "read_cells",
    "read_file",
    "read_frame",
    "suggest_exclusions",
    "suggest_fixes",
]
