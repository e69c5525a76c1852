"""Tables: a file or a frame becomes numbers to learn from."""

from ecoval_core.columns.clean import Fix, clean, suggest_fixes
from ecoval_core.columns.guess import detect_target, suggest_exclusions
from ecoval_core.columns.target import MAX_CLASSES, MIN_ROWS, empty_words, target_array
from ecoval_core.files.header import Reading, parse_header
from ecoval_core.files.limits import MAX_BYTES, TableError
from ecoval_core.files.read import FileRead, read_cells, read_file, read_frame
from ecoval_core.tables.prepare import Split, prepare
from ecoval_core.tables.table import SAMPLES, Sample, Table, load_sample, make_table
from ecoval_core.target_type import Task, detect_task, numeric_values

__all__ = [
    "MAX_BYTES",
    "MAX_CLASSES",
    "MIN_ROWS",
    "SAMPLES",
    "FileRead",
    "Fix",
    "Reading",
    "Sample",
    "Split",
    "Table",
    "TableError",
    "Task",
    "clean",
    "detect_target",
    "detect_task",
    "empty_words",
    "load_sample",
    "make_table",
    "numeric_values",
    "parse_header",
    "prepare",
    "read_cells",
    "read_file",
    "read_frame",
    "suggest_exclusions",
    "suggest_fixes",
    "target_array",
]
