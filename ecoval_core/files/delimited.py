"""Delimited text: find out how it is encoded and separated, and what its columns hold."""

import csv
import io
import re
import warnings
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from numbers import Number
from typing import Any, NoReturn

import pandas as pd
from pandas.api import types

from ecoval_core.files.encoding import to_utf8
from ecoval_core.files.header import MAX_ROWS, Reading, find_header
from ecoval_core.files.limits import (
    MAX_BYTES,
    TableError,
    check_shape,
    column_names,
    note_repeated,
    refuse,
    refuse_empty,
)
from ecoval_core.text import shorten

# Where several cut the text equally well, the first is taken: commas may be decimal ones.
SEPARATORS = ("\t", ";", "|", ",")
_HEAD = 2**16
_HEADER_BYTES = 2**23


def read_delimited(
    data: bytes, name: str, header: Sequence[int] | None = None, *, as_text: bool = False
) -> tuple[pd.DataFrame, Reading]:
    """Read a table from text; columns hold numbers, truth values or text.

    `header` are the lines with the names, guessed if None. `as_text` gives every cell as it is written.
    """
    # The limit of the csv module holds for the whole process; a larger one does no harm.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    data = to_utf8(data, name)
    if b"\n" not in data:  # as an old Mac ends lines, of which pandas loses some empty cells
        data = data.replace(b"\r", b"\n")
    data, start, separator = _find_separator(data)
    names, n_named, start, line, reading = _read_header(data, start, separator, name, header)
    try:
        frame = _parse(data, start, names, separator, as_text=as_text)
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=pd.Index(names)), reading
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        _refuse_row(data, start, line, len(names), separator, name, error)
    frame = frame.drop(columns=[column for column in names[n_named:] if frame[column].isna().all()])
    for label in map(str, frame.select_dtypes("str").columns):
        column = unguard_formulas(frame[label])
        frame[label] = column if as_text else _read_decimal_comma(column, separator)
    frame.columns = unguard_formulas(frame.columns.to_series()).tolist()
    return frame, reading


# --- Separator and header ------------------------------------------------------------------


def _find_separator(data: bytes) -> tuple[bytes, int, str]:
    """Return the text with quotes doubled as usual, where its table starts, and what cuts its lines best."""
    declared = re.match(rb"sep=([!-/:-@\[-`{-~\t ])\r?\n", data)  # Excel's own way to name it
    if declared and declared[1] != b'"':
        return data, declared.end(), declared[1].decode()
    data = _double_quotes(data)
    start = _head(data, 0, _HEAD)
    scores = {one: _regularity(start, one) for one in SEPARATORS}
    if not any(nearly for nearly, _ in scores.values()):
        # Titles above a table are not cut.
        scores = {one: _regularity(start, one, has_titles=True) for one in SEPARATORS}
    separator = max(scores, key=lambda one: scores[one][0])
    nearly, exactly = scores[separator]
    # Blanks cut, and tabs as they do, where all lines have as many words, or one more than the names if
    # nothing else cuts. Where tabs alone cut as regularly, blanks are part of the cells, unless most lines
    # have runs of them.
    if not nearly or separator == "\t":
        lines = start.splitlines()
        has_runs = sum(re.search(r"\S {2,}\S", line) is not None for line in lines) > len(lines) / 2
        by_blanks = _regularity(start.replace("\t", " "), " ")
        if (exactly < 1 or has_runs) and by_blanks[1 if nearly else 0] == 1:
            return data.replace(b"\t", b" "), 0, " "
    return data, 0, separator if nearly else ","


def _double_quotes(data: bytes) -> bytes:
    """Double the quotation marks that some programs write within quotes with a backslash before them.

    Where a cell merely ends in a backslash, as a folder does, a separator or the end of the line follows.
    """
    if b'\\"' not in data:
        return data
    doubled = data.replace(b'\\"', b'""')
    heads = [_head(one, 0, _HEAD) for one in (data, doubled)]
    before, after = (max(_regularity(head, by) for by in SEPARATORS) for head in heads)
    is_within = re.search(rb'\\"[^"\s,;|]', data) is not None
    return doubled if after > before or (is_within and after == before) else data


def _regularity(text: str, separator: str, *, has_titles: bool = False) -> tuple[float, float]:
    """Return the share of lines with as many cells as the first of several, nearly and exactly; 0 without."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    widths = [len(row) for row in islice(reader, 200) if any(row)]
    n_titles = next((i for i, width in enumerate(widths) if width > 1), len(widths))
    table = widths[n_titles:]
    if not table or (n_titles and (not has_titles or n_titles > len(table))):
        return 0.0, 0.0
    # Equal within one: rows may end in a separator or begin with an unnamed row name.
    nearly = sum(table[0] <= width <= table[0] + 1 for width in table) / len(table)
    return round(nearly, 1), table.count(table[0]) / len(table)


def _head(data: bytes, start: int, size: int) -> str:
    """Return the first lines as text, none of them cut."""
    head = data[start : start + size]
    if start + size < len(data):
        cut = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        head = head[:cut] if cut else head
    return head.decode("utf-8", errors="ignore")


def _read_header(
    data: bytes, start: int, separator: str, name: str, chosen: Sequence[int] | None
) -> tuple[list[str], int, int, int, Reading]:
    """Return the names of the columns, how many the file names, where the rows start, their line.

    pandas drops empty cells of the first row beyond the columns, and takes a first cell beyond
    them for a row name: so the names are read here, and those of all columns are given to it.
    """
    lines = io.StringIO(_head(data, start, _HEADER_BYTES), newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    first_line = 1 + data.count(b"\n", 0, start)
    rows, numbers, ends, ended = [], [], [], 0
    for row in reader:
        if any(map(str.strip, row)):
            rows.append(row)
            numbers.append(first_line + ended)
            ends.append((lines.tell(), first_line + reader.line_num))
        ended = reader.line_num
        if len(rows) >= max([MAX_ROWS, *(chosen or ())]):
            break
    if not rows:
        refuse_empty(name)
    header, n_above, lines_with_names = find_header(rows, numbers, chosen, name)
    below = rows[n_above : n_above + 50]
    end, line = ends[n_above - 1] if n_above else (0, first_line)
    end = start + len(lines.getvalue()[:end].encode())
    extra = [row[len(header) :] for row in below]
    n_named = len(header)
    if extra and all(len(cells) == 1 and cells[0] for cells in extra):
        header.insert(0, "")  # R writes no name for the column of row names
        n_named += 1
    elif extra and not any(extra[0]):
        header += extra[0]
    check_shape(0, len(header), name)
    reading = Reading(header=lines_with_names, notes=note_repeated(header))
    return column_names(header, name), n_named, end, line, reading


# What pandas takes for a missing value.
_MISSING_WORD = rb"\b(?:None|N/?A|n/a|[nN]ull|NULL|nan|NaN)\b"


# --- Rows ----------------------------------------------------------------------------------


def _parse(
    data: bytes, start: int, names: list[str], separator: str, *, as_text: bool
) -> pd.DataFrame:
    """Parse the rows; columns of text, and of codes with a zero in front, keep what is written."""

    def read(**options: Any) -> pd.DataFrame:
        source = io.BytesIO(data)
        source.seek(start)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # read again below
            return pd.read_csv(
                source, sep=separator, header=None, names=names, index_col=False,
                skipinitialspace=True, **options,
            )  # fmt: skip

    def read_text(columns: list[str]) -> pd.DataFrame:
        return read(usecols=columns, dtype="str", keep_default_na=False, na_values=[""])

    if as_text:
        return read_text(names)
    frame = read()
    has_words = re.search(_MISSING_WORD, data) is not None
    has_codes = re.search(rb"(?<![\w.+-])0\d", data) is not None
    again = []
    for name in names:
        column = frame[name]
        if types.is_numeric_dtype(column):
            is_open = has_codes and _is_whole(column)
        elif isinstance(column.dtype, pd.StringDtype):
            is_open = has_words and column.hasnans  # what pandas takes for missing may be a class
        else:  # numbers in one part of the file and text in another are text
            is_open = types.infer_dtype(column, skipna=True) not in ("boolean", "empty")
        if is_open:
            again.append(name)
    if again:
        written = read_text(again)
        for name in again:
            if not types.is_numeric_dtype(frame[name]):
                frame[name] = written[name]
            elif written[name].str.match(r"0\d").any():
                frame[name] = written[name].where(frame[name].notna())
    return frame


def _is_whole(column: pd.Series) -> bool:
    """Tell whether a column has whole numbers only, of which some may be missing."""
    if types.is_float_dtype(column):
        return bool((column.dropna() % 1 == 0).all())
    return types.is_integer_dtype(column)


def _refuse_row(
    data: bytes, start: int, line: int, width: int, separator: str, name: str,
    error: Exception | None = None,
) -> NoReturn:  # fmt: skip
    """Say which row has too many cells or opens a quotation; `line` is that of the first."""
    source = io.BytesIO(data)
    source.seek(start)
    text = io.TextIOWrapper(source, "utf-8", newline="")
    reader = csv.reader(text, delimiter=separator, skipinitialspace=True)
    before, last = 0, 0
    for row in reader:
        if len(row) > width:
            raise TableError(
                f"{name} has {len(row):,} fields in line {line + before:,} but {width:,} column "
                "names: put text that holds the separator in quotation marks, or correct the line."
            ) from error
        before, last = reader.line_num, before
    if "EOF inside string" in str(error):
        raise TableError(
            f"{name} opens a quotation mark near line {line + last:,} and never closes it: "
            "correct that line."
        ) from error
    refuse(name, f"cannot be cut into columns ({shorten(error)})", error)


def _read_decimal_comma(column: pd.Series, separator: str) -> pd.Series:
    """Turn text such as 1.234,5 into numbers, if all of the column is."""
    number = r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?(?:[eE][+-]?\d+)?"
    # Without a comma, dots are as likely to cut a phone number or an address. In a file cut by commas, those
    # in quotes may end thousands: a decimal one stands where none end.
    decimal = r"^[+-]?0,|,\d{1,2}$|,\d{4,}$|^[+-]?\d{4,}," if separator == "," else ","
    present = column.dropna()
    if (
        not present[:100].str.fullmatch(number).all()
        or not present.str.contains(decimal).any()
        or not present.str.fullmatch(number).all()
    ):
        return column
    plain = column.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return plain.astype("float64")


# --- Formulas ------------------------------------------------------------------------------
# A cell of text that begins with one of these signs is a formula to Excel and LibreOffice, and can
# call programs (OWASP, "CSV injection"). An apostrophe in front makes it text. Text that has
# apostrophes before such a sign gets one more, so that taking one away gives back what was there.

_SIGNS = "=+\\-@\t\r\n＝＋－＠"
_WOULD_RUN = f"^'*[{_SIGNS}]"
_GUARDED = f"^'+[{_SIGNS}]"
_BARE = f"^[{_SIGNS}]"
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+|inf)(?:[eE][+-]?\d+)?$"


def guard_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before every text, column names included, that could run as a formula."""
    guarded = {i: _guard(frame.iloc[:, i]) for i in range(frame.shape[1])}
    result = pd.DataFrame(guarded, index=frame.index, copy=False)
    result.columns = pd.Index([_guard_cell(str(name)) for name in frame.columns], dtype=object)
    return result


def _guard(column: pd.Series) -> pd.Series:
    if types.is_numeric_dtype(column) or types.is_datetime64_any_dtype(column):
        return column
    return column.astype(object).map(_guard_cell, na_action="ignore")


def _guard_cell(cell: object) -> object:
    if isinstance(cell, (Number, Decimal)) or not re.match(_WOULD_RUN, str(cell)):
        return cell
    if re.search(_NUMBER, str(cell)):  # a cell of the file, as it is written
        return cell
    return f"'{cell}"


def unguard_formulas(column: pd.Series) -> pd.Series:
    """Take the apostrophes of `guard_formulas` away again, if some cells have them.

    A bare sign before what is no number shows that the column was not guarded.
    """
    guarded = column.str.contains(_GUARDED, regex=True).fillna(False).astype(bool)
    if not guarded.any():
        return column
    bare = column[column.str.contains(_BARE, regex=True).fillna(False).astype(bool)]
    if not bare.str.contains(_NUMBER, regex=True).all():
        return column
    return column.where(~guarded, column.str.slice(1))
