"""Delimited text: find out how it is encoded and separated, and what its columns hold."""

import csv
import io
import re
import warnings
from decimal import Decimal
from itertools import islice
from numbers import Number
from typing import Any, NoReturn

import pandas as pd
from pandas.api import types

from ecoval_core.tables.limits import (
    MAX_BYTES,
    TableError,
    check_bytes,
    check_shape,
    column_names,
    refuse,
    refuse_empty,
)
from ecoval_core.text import shorten

# Where several cut the text equally well, the first is taken: commas may be decimal ones.
SEPARATORS = ("\t", ";", "|", ",")
_HEAD = 2**16
_HEADER_BYTES = 2**23


def read_delimited(data: bytes, name: str) -> pd.DataFrame:
    """Read a table from text; columns hold numbers, truth values or text."""
    # The limit of the csv module holds for the whole process; a larger one does no harm.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    data = to_utf8(data, name)
    start, separator = _find_separator(data)
    names, n_named, start, line = _read_header(data, start, separator, name)
    data = _end_blank_lines(data, start, separator)
    try:
        frame = _parse(data, start, names, separator)
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=pd.Index(names))
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        _refuse_row(data, start, line, len(names), separator, name, error)
    frame = frame.drop(columns=[column for column in names[n_named:] if frame[column].isna().all()])
    for label in map(str, frame.select_dtypes("str").columns):
        column = unguard_formulas(frame[label])
        frame[label] = column if separator == "," else _read_decimal_comma(column)
    frame.columns = unguard_formulas(frame.columns.to_series()).tolist()
    return frame


# --- Encoding ------------------------------------------------------------------------------

_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Encodings of alphabets whose words are runs of signs beyond ASCII.
_FOREIGN = (
    "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256",
)  # fmt: skip
_JAPANESE = ("cp932", "euc_jp")
_NO_TEXT = "is neither text in an encoding nor a table format known here"


def to_utf8(data: bytes, name: str) -> bytes:
    """Return text in UTF-8 without its mark; refuse what is no text, naming the line."""
    encoding = next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), "utf-8")
    is_plain = encoding.startswith("utf-8")
    controls = re.findall(rb"[\x01-\x08\x0e-\x1f]", data[: 2**20])
    if is_plain and (b"\x00" in data or len(controls) > len(data[: 2**20]) / 100):
        refuse(name, _NO_TEXT)
    try:
        text = _transcode(data, encoding, name)
    except UnicodeDecodeError as error:
        guess = _guess_encoding(data, error.start) if encoding == "utf-8" else None
        try:
            if guess is not None:
                return _transcode(data, guess, name)
        except UnicodeDecodeError as later:
            error = later
        line = data.count(b"\n", 0, error.start) + 1
        what = "in no encoding known here" if is_plain else f"not valid {encoding.upper()}"
        refuse(name, f"has text in line {line} that is {what}", error)
    if b"\x00" in text:
        refuse(name, _NO_TEXT)
    return text


def _transcode(data: bytes, encoding: str, name: str) -> bytes:
    """Return the text in UTF-8; by pieces, as one rare sign makes Python take four bytes each."""
    sink = io.BytesIO()
    reader = io.TextIOWrapper(io.BytesIO(data), encoding, newline="")
    try:
        while piece := reader.read(2**22):
            sink.write(piece.encode())
            check_bytes(sink.tell(), name, "as text in UTF-8")
    except UnicodeDecodeError as error:
        start = reader.buffer.tell() - len(error.object) + error.start
        raise UnicodeDecodeError(encoding, b"", start, start + 1, error.reason) from error
    return sink.getvalue()


def _guess_encoding(data: bytes, first_bad: int) -> str | None:
    """Tell Western text and that of other alphabets from damaged UTF-8, which is none of these."""
    sample = data[max(0, first_bad - 2**18) : first_bad + 2**18]
    text = sample.decode("utf-8", errors="replace")
    n_bad = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) - n_bad > n_bad:
        return None
    # Accented letters stand alone or nearly so; other alphabets make longer runs of them.
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", data)]
    is_western = max(runs) < 5 and sum(length > 2 for length in runs) <= len(runs) / 2
    undefined = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
    if is_western and not any(byte in data for byte in undefined):
        return "cp1252"
    from charset_normalizer import from_bytes

    lines = b"".join(re.findall(rb".*[\x80-\xff].*\n?", sample))[:_HEAD]
    matches = from_bytes(lines, cp_isolation=list(_FOREIGN))
    # Few words fit several encodings of East Asia; kana tell those of Japan.
    japanese = [match for match in matches if match.encoding in _JAPANESE]
    match = next((m for m in japanese if re.search("[ぁ-ヾ]", str(m))), matches.best())
    return match.encoding if match else None


# --- Separator and header ------------------------------------------------------------------


def _find_separator(data: bytes) -> tuple[int, str]:
    """Return where the table starts, and what cuts most lines into as many cells as the header."""
    declared = re.match(rb"sep=([!-/:-@\[-`{-~\t ])\r?\n", data)  # Excel's own way to name it
    if declared and declared[1] != b'"':
        return declared.end(), declared[1].decode()
    start = _head(data, 0, _HEAD)
    scores: dict[str, float] = {}
    for separator in SEPARATORS:
        lines = io.StringIO(start, newline="")
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        widths = [len(row) for row in islice(reader, 200) if any(row)]
        if widths and widths[0] > 1:
            # Equal within one: rows may end in a separator or begin with an unnamed row name.
            regular = sum(widths[0] <= width <= widths[0] + 1 for width in widths) / len(widths)
            scores[separator] = round(regular, 1)
    return 0, max(scores, key=scores.__getitem__, default=",")


def _head(data: bytes, start: int, size: int) -> str:
    """Return the first lines as text, none of them cut."""
    head = data[start : start + size]
    if start + size < len(data):
        cut = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        head = head[:cut] if cut else head
    return head.decode("utf-8", errors="ignore")


def _read_header(
    data: bytes, start: int, separator: str, name: str
) -> tuple[list[str], int, int, int]:
    """Return the names of the columns, how many the file names, where the rows start, their line.

    pandas drops empty cells of the first row beyond the columns, and takes a first cell beyond
    them for a row name: so the names are read here, and those of all columns are given to it.
    """
    lines = io.StringIO(_head(data, start, _HEADER_BYTES), newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    header = next((row for row in reader if any(map(str.strip, row))), [])
    if not header:
        refuse_empty(name)
    end = start + len(lines.getvalue()[: lines.tell()].encode())
    line = reader.line_num + 1
    if all(re.fullmatch(r"\s*[+-]?\d*[.,]\d*([eE][+-]?\d+)?\s*", cell) for cell in header):
        raise TableError(
            f"{name} has numbers where the column names should be ({shorten(header[0])} …): "
            "add a first line with the names."
        )
    extra = [row[len(header) :] for row in islice(reader, 50) if row]
    n_named = len(header)
    if extra and all(len(cells) == 1 and cells[0] for cells in extra):
        header.insert(0, "")  # R writes no name for the column of row names
        n_named += 1
    elif extra and any(extra[0]):
        _refuse_row(data, end, line, len(header), separator, name)
    elif extra:
        header += extra[0]
    check_shape(0, len(header), name)
    return column_names(header, name), n_named, end, line


# --- Rows ----------------------------------------------------------------------------------


def _parse(data: bytes, start: int, names: list[str], separator: str) -> pd.DataFrame:
    """Parse the rows; a column of numbers in one part and text in another becomes text."""

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

    frame = read()
    objects = frame.select_dtypes(object).columns
    kinds = {column: types.infer_dtype(frame[column], skipna=True) for column in objects}
    again = [column for column, kind in kinds.items() if kind not in ("boolean", "empty", "string")]
    if again:
        frame[again] = read(usecols=again, dtype="str")
    texts = [column for column, kind in kinds.items() if kind == "string"]
    return frame.astype(dict.fromkeys(texts, "str"))


def _end_blank_lines(data: bytes, start: int, separator: str) -> bytes:
    """End blank lines as pandas knows them: after a lone return it loses an empty first cell."""
    if data.count(b"\r", start) == data.count(b"\r\n", start):
        return data
    comma = re.escape(separator).encode()
    quoted = rb'(?P<quoted>(?:\A|[\r\n%b]) *"[^"]*(?:""[^"]*)*"?)' % comma
    blank = rb"(?:\A|[\r\n])[\r ]*\r(?= *%b)" % comma
    pattern = rb"%b|%b" % (quoted, blank)
    rows = re.sub(pattern, lambda match: match["quoted"] or b"\r\n", data[start:])
    return data[:start] + rows


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
