"""Delimited text: cut lines into columns and find out what the columns hold.

The text is parsed by pandas in pieces that end between two rows, so that neither a piece's cells as Python
text nor a hostile line fill the memory. A column that is of numbers in one piece and of text in another is
read again as text, as pandas does when it sees all of it at once.
"""

import csv
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from ecoval_core.tables.formulas import unguard_formulas
from ecoval_core.tables.limits import (
    MAX_LINE_BYTES,
    MISSING_WORDS,
    TableError,
    check_size,
    column_names,
    refuse,
    refuse_empty,
    shorten,
)
from ecoval_core.tables.lines import Piece, check_lines, cut_pieces, head, refuse_bad_lines

SEPARATORS = (",", ";", "\t", "|")
# Cells that may be read a second time in the slow way.
MAX_SLOW_CELLS = 10_000_000
_BAD_LINES = (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning)


@dataclass(frozen=True)
class _Header:
    names: list[str]
    n_named: int
    end: int
    n_lines: int


def read_delimited(data: bytes, name: str) -> pd.DataFrame:
    """Read a table from text.

    Parameters
    ----------
    data : bytes
        Valid UTF-8 without mark.
    name : str
        What messages call the file.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        Row ids 0 to n - 1 as index; columns of numbers, truth values or text.

    Raises
    ------
    TableError
        If there are too many rows or columns, or a line cannot be cut.
    """
    # The limit of the csv module holds for the whole process; a larger one does no harm.
    csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE_BYTES))
    check_lines(data, name)
    start, separator = _find_separator(data)
    header = _read_header(data, start, separator, name)
    names = header.names
    pieces = cut_pieces(data, header.end, header.n_lines + 1, len(names), separator, name)
    frame = _parse(data, pieces, names, separator, name)
    blank = [beyond for beyond in names[header.n_named :] if frame[beyond].isna().all()]
    frame = frame.drop(columns=blank)
    for label in map(str, frame.select_dtypes("str").columns):
        column = unguard_formulas(frame[label])
        frame[label] = column if separator == "," else _read_decimal_comma(column)
    frame.columns = pd.Index(unguard_formulas(pd.Series(frame.columns, dtype="str")), dtype="str")
    column_names(frame.columns, name)
    return frame


# --- Header --------------------------------------------------------------------------------


def _find_separator(data: bytes) -> tuple[int, str]:
    """Return where the table starts and what separates its cells."""
    declared = re.match(rb"sep=([!-/:-@\[-`{-~\t ])\r?\n", data)  # Excel's own way to name it
    if declared and declared[1] != b'"':
        return declared.end(), declared[1].decode()
    return 0, _guess_separator(head(data, 0, 2**16))


def _guess_separator(start: str) -> str:
    """Take the separator that cuts the most lines into as many fields as the header."""
    scores: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        lines = io.StringIO(start, newline="")
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        widths = [len(row) for row in islice(reader, 200) if any(row)]
        if widths and widths[0] > 1:
            # Equal within one: rows may end in a separator or begin with an unnamed row name.
            regular = sum(widths[0] <= width <= widths[0] + 1 for width in widths) / len(widths)
            scores[separator] = (regular, widths[0])
    return max(scores, key=scores.__getitem__, default=",")


def _read_header(data: bytes, start: int, separator: str, name: str) -> _Header:
    lines = io.StringIO(head(data, start, 2 * MAX_LINE_BYTES), newline="")
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        header = next((row for row in reader if any(map(str.strip, row))), [])
        if not header:
            refuse_empty(name)
        end, n_lines = start + len(lines.getvalue()[: lines.tell()].encode()), reader.line_num
        if all(re.fullmatch(r"\s*[+-]?\d*[.,]\d*([eE][+-]?\d+)?\s*", cell) for cell in header):
            raise TableError(
                f"{name} has numbers where the column names should be ({shorten(header[0])} …): "
                "add a first line with the names."
            )
        extra = _cells_beyond(len(header), reader)
    except csv.Error as error:
        refuse(name, "cannot be cut into columns", error)
    if extra and all(len(cells) == 1 and cells[0] for cells in extra):
        header.insert(0, "")  # R writes no name for the column of row names
        extra = []
    elif extra and any(extra[0]):
        refuse_bad_lines(
            data, Piece(end, len(data), n_lines + 1, 0, 0), len(header), separator, name
        )
    header_and_beyond = header + (extra[0] if extra else [])
    check_size(0, len(header_and_beyond), name)
    names = column_names(header_and_beyond, name)
    return _Header(names, len(header), end, n_lines)


def _cells_beyond(width: int, rows: Iterable[list[str]]) -> list[list[str]]:
    try:
        return [row[width:] for row in islice(rows, 50) if row]
    except csv.Error:  # an endless quotation, which is found when the rows are cut
        return []


# --- Parsing -------------------------------------------------------------------------------


def _parse(
    data: bytes, pieces: Sequence[Piece], names: list[str], separator: str, name: str
) -> pd.DataFrame:
    parts: dict[str, list[pd.Series]] = {column: [] for column in names}
    is_text: dict[str, bool] = {}
    n_rows = 0
    read = []
    for piece in pieces:
        frame = _parse_piece(data, piece, names, separator, name, dict.fromkeys(is_text, "str"))
        if frame is None:
            continue
        read.append(piece)
        n_rows += len(frame)
        check_size(n_rows, len(names), name)
        for column in names:
            parts[column].append(frame[column])
        is_text |= {column: True for column in names if _kind(frame[column]) in ("text", "big")}
    if not read:
        return pd.DataFrame(columns=pd.Index(names))
    again = [column for column in names if _is_mixed(parts[column])]
    if again:
        pending = {i: [c for c in again if _kind(parts[c][i]) != "text"] for i in range(len(read))}
        n_slow = 0
        for i, columns in pending.items():
            if columns:
                as_text = _read_text(data, read[i], names, separator, columns)
                if as_text is None or len(as_text) != len(parts[names[0]][i]):
                    n_slow += read[i].n_rows * len(columns)
                    if n_slow > MAX_SLOW_CELLS:
                        raise TableError(
                            f"{name} has columns of numbers and text, such as {shorten(columns[0])!r}, in "
                            "too many rows: make them one or the other, or save the table as Parquet."
                        )
                    as_text = _parse_piece(
                        data,
                        read[i],
                        names,
                        separator,
                        name,
                        dict.fromkeys(columns, "str"),
                        columns,
                    )
                if as_text is not None:
                    for column in columns:
                        parts[column][i] = as_text[column]
    joined = {column: _join(parts.pop(column)) for column in names}
    return pd.DataFrame(joined, copy=False)


def _parse_piece(
    data: bytes, piece: Piece, names: list[str], separator: str, name: str,
    dtype: dict[str, str], columns: list[str] | None = None,
) -> pd.DataFrame | None:  # fmt: skip
    block = data[piece.start : piece.end]
    if _first_width(block, separator) > len(names):
        # In a first row, and there alone, pandas drops empty cells beyond the columns without a word.
        refuse_bad_lines(data, piece, len(names), separator, name)
    if block.count(b"\r") > block.count(b"\r\n"):
        block = _mend_blank_lines(block, separator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            return pd.read_csv(
                io.BytesIO(block),
                sep=separator,
                header=None,
                names=names,
                usecols=columns,
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
                dtype=dtype or None,
            )
    except pd.errors.EmptyDataError:
        return None
    except _BAD_LINES as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        refuse_bad_lines(data, piece, len(names), separator, name, error)


def _mend_blank_lines(block: bytes, separator: str) -> bytes:
    """End blank lines as pandas knows them: behind a lone carriage return it loses an empty first cell."""
    comma = re.escape(separator).encode()
    quoted = rb'(?P<quoted>(?:\A|[\r\n%b]) *"[^"]*(?:""[^"]*)*"?)' % comma
    blank = rb"(?:\A|[\r\n])[\r ]*\r(?= *%b)" % comma
    return re.sub(rb"%b|%b" % (quoted, blank), lambda found: found["quoted"] or b"\r\n", block)


def _first_width(block: bytes, separator: str) -> int:
    """Count the cells in the first row of a piece that is not blank."""
    lines = io.TextIOWrapper(io.BytesIO(block), "utf-8", errors="ignore", newline="")
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        return next((len(row) for row in rows if len(row) > 1 or any(map(str.strip, row))), 0)
    except csv.Error:  # an endless quotation, which is found when the rows are cut
        return 0


def _read_text(
    data: bytes, piece: Piece, names: list[str], separator: str, columns: list[str]
) -> pd.DataFrame | None:
    """Read columns of a plain piece as text, in a quarter of pandas' time; None if it is not plain.

    Plain is a piece without blanks after separators, of rows that have all their cells, and with quotation
    marks around whole cells alone.
    """
    from pyarrow import ArrowInvalid, csv, string

    block = data[piece.start : piece.end]
    comma = re.escape(separator).encode()
    if re.search(rb"\r|^ |[\n%b] " % comma, block):
        return None
    has_quotes = b'"' in block
    # An odd number of marks amid a cell, or an even one at its start that does not close it.
    stray = rb'[^"\n%b]"(?:"")*[^"\n%b]|(?:^|[\n%b])(?:"")+[^"\n%b]'
    if has_quotes and re.search(stray % (comma, comma, comma, comma), block):
        return None
    try:
        table = csv.read_csv(
            io.BytesIO(block),
            csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            csv.ParseOptions(
                delimiter=separator,
                quote_char='"' if has_quotes else False,
                newlines_in_values=has_quotes,
            ),
            csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, string()),
                null_values=sorted(MISSING_WORDS),
                strings_can_be_null=True,
            ),
        )
    except ArrowInvalid:
        return None
    return pd.DataFrame(
        {column: table.column(column).to_pandas() for column in columns}, copy=False
    )


def _kind(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.StringDtype):
        return "text"
    if column.dtype == object:
        kind = pd.api.types.infer_dtype(column, skipna=True)
        return {"boolean": "truth", "empty": "missing"}.get(kind, "big")
    if column.dtype == bool:
        return "truth"
    if column.dtype.kind == "u":
        return "unsigned"
    return "missing" if column.isna().all() else "number"


def _is_mixed(parts: list[pd.Series]) -> bool:
    kinds = {_kind(part) for part in parts}
    if "big" in kinds or (len(parts) > 1 and "unsigned" in kinds):
        # Whole numbers beyond 64 bits are ids or nonsense, and no arithmetic takes them.
        return kinds != {"unsigned"}
    return len(kinds - {"missing"}) > 1


def _join(parts: list[pd.Series]) -> pd.Series:
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part.dtype, pd.StringDtype) for part in parts):
        parts = [part.astype("str") for part in parts]
    elif any(_kind(part) == "truth" for part in parts):
        whole = all(part.dtype == bool for part in parts)
        parts = parts if whole else [part.astype(object) for part in parts]
    return pd.concat(parts, ignore_index=True)


def _read_decimal_comma(column: pd.Series) -> pd.Series:
    """Turn text such as 1.234,5 into numbers, if all of the column is."""
    number = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?"
    present = column.dropna()
    # Without a comma, dots are as likely to cut a phone number or an address.
    if (
        not present[:100].str.fullmatch(number).all()
        or not present.str.contains(",", regex=False).any()
        or not present.str.fullmatch(number).all()
    ):
        return column
    plain = column.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return plain.astype("float64")
