"""Tables: read one from a file or a bundled sample, and say clearly what is wrong with it."""

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

import numpy as np
import pandas as pd
from pandas.api import types

Task = Literal["classification", "regression"]

MAX_BYTES = 200 * 2**20
MAX_CLASSES = 1_000
MIN_ROWS = 10
# Beyond this, squares (variances, distances) overflow a float64.
LARGEST_NUMBER = 1e100

ASSETS = Path(__file__).parents[1] / "assets"
SEPARATORS = (",", ";", "\t", "|")


class TableError(ValueError):
    """A table that cannot be valued; the message is one sentence for the user."""


# --- Samples -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A bundled table: its key, what it is, and the column that a model predicts."""

    key: str
    title: str
    description: str
    target: str


_SAMPLES = (
    Sample("digits", "Handwritten digits", "1,797 pictures of 8 × 8 pixels, ten digits.", "digit"),
    Sample(
        "breast_cancer",
        "Breast cancer",
        "569 biopsies, 30 measures of cell nuclei, malignant or benign.",
        "diagnosis",
    ),
    Sample("wine", "Wine", "178 wines, 13 chemical measures, three cultivars.", "cultivar"),
    Sample(
        "penguins",
        "Palmer penguins",
        "344 penguins of three species: mixed columns, a few values missing.",
        "species",
    ),
    Sample(
        "titanic",
        "Titanic passengers",
        "1,309 passengers, who survived: mixed columns, many ages missing.",
        "survived",
    ),
)
SAMPLES = {sample.key: sample for sample in _SAMPLES}


def load_sample(key: str) -> "Table":
    """Load a bundled table; nothing is fetched from the network.

    Parameters
    ----------
    key : str
        A key of `SAMPLES`.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If there is no such sample.
    """
    if key not in SAMPLES:
        raise TableError(f"There is no sample {key!r}: choose one of {', '.join(SAMPLES)}.")
    sample = SAMPLES[key]
    if (ASSETS / f"{key}.csv").exists():
        return make_table(read_frame(ASSETS / f"{key}.csv"), sample.title, sample.target)

    from sklearn import datasets

    bunch = getattr(datasets, f"load_{key}")(as_frame=True)
    labels = bunch.target if key == "digits" else np.asarray(bunch.target_names)[bunch.target]
    return make_table(bunch.data.assign(**{sample.target: labels}), sample.title, sample.target)


# --- Reading a file ------------------------------------------------------------------------


def read_frame(source: bytes | str | Path | BinaryIO, name: str | None = None) -> pd.DataFrame:
    """Read a table from CSV, Parquet or Excel, whichever the content turns out to be.

    Text may be separated by comma, semicolon, tab or bar and be encoded in UTF-8, in UTF-16
    with its mark, or in Latin-1 (as Windows writes it); where the separator is not a comma, numbers
    may have a decimal comma. Of a workbook the first sheet is read. A named index of a Parquet
    file becomes a column.

    Parameters
    ----------
    source : bytes, path or binary file
        The content, or where it is. At most `MAX_BYTES`.
    name : str, default=None
        The file's name, used in messages. None takes the name that `source` has.

    Returns
    -------
    frame : DataFrame
        The columns as in the file, with row ids 0 to n - 1 as index. It may still be unfit for
        valuation, which `make_table` says.

    Raises
    ------
    TableError
        If the file is too large, empty, not a table, damaged, or has unusable column names.
    """
    if isinstance(source, str):
        source = Path(source)
    name = name or Path(str(getattr(source, "name", "the file"))).name
    data = _read_bytes(source, name)
    if not data.strip():
        _refuse_empty(name)
    if data.startswith(b"PAR1"):
        return _read_parquet(data, name)
    if data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data:
        return _read_excel(data, name)
    start = data[:64].lstrip().lower()
    for prefix, what in FOREIGN_FORMATS.items():
        if start.startswith(prefix):
            _refuse(name, f"is {what}, not a table")
    if name.lower().endswith((".parquet", ".xlsx")):
        _refuse(name, f"is named {Path(name).suffix} but holds something else")
    return _read_csv(_decode(data, name), name)


FOREIGN_FORMATS = {
    b"%pdf": "a PDF document",
    b"\x89png": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"gif8": "a picture",
    b"\x1f\x8b": "a compressed archive",
    b"pk\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0": "an old (.xls) or a protected Excel workbook",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b'{"': "a JSON document",
    b'[{"': "a JSON document",
}


def _refuse(name: str, problem: str, cause: Exception | None = None) -> NoReturn:
    advice = "save the table as CSV (UTF-8), Parquet or Excel (.xlsx) and load that"
    raise TableError(f"{name} {problem}: {advice}.") from cause


def _refuse_empty(name: str) -> NoReturn:
    raise TableError(f"{name} is empty: choose a table with column names and rows.")


def _read_bytes(source: bytes | Path | BinaryIO, name: str) -> bytes:
    try:
        if isinstance(source, bytes):
            size = len(source)
        elif isinstance(source, Path):
            size = source.stat().st_size
        else:
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
        if size > MAX_BYTES:
            raise TableError(
                f"{name} is {size / 2**20:,.0f} MB and the limit is {MAX_BYTES / 2**20:,.0f} MB: "
                "keep fewer rows or columns, or save it as Parquet, which is smaller."
            )
        if isinstance(source, bytes):
            return source
        return source.read_bytes() if isinstance(source, Path) else source.read()
    except OSError as error:
        raise TableError(
            f"{name} cannot be opened ({error.strerror or error}): check its path."
        ) from error


def _read_parquet(data: bytes, name: str) -> pd.DataFrame:
    from pyarrow import ArrowException, parquet

    try:
        _column_names(parquet.read_schema(io.BytesIO(data)).names, name)
        frame = pd.read_parquet(io.BytesIO(data))
    except (ArrowException, OSError) as error:
        _refuse(name, "is a Parquet file that is damaged or cut short", error)
    return _index_to_columns(frame)


def _read_excel(data: bytes, name: str) -> pd.DataFrame:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, warnings.catch_warnings():
            if sum(part.file_size for part in archive.infolist()) > 10 * MAX_BYTES:
                _refuse(name, "is an Excel workbook too large to unpack")
            # openpyxl warns of styles and validation rules, which are no part of the table.
            warnings.filterwarnings("ignore", module="openpyxl")
            cells = pd.read_excel(io.BytesIO(data), header=None, dtype=object, engine="openpyxl")
    except TableError:
        raise
    except Exception as error:  # openpyxl raises whatever a malformed part leads it to
        _refuse(name, "is an Excel workbook that is damaged or protected", error)
    cells = cells.dropna(how="all").dropna(how="all", axis="columns")
    if cells.empty:
        _refuse_empty(name)
    header = ["" if pd.isna(cell) else cell for cell in cells.iloc[0]]
    frame = cells.iloc[1:].reset_index(drop=True).infer_objects()
    frame.columns = pd.Index(_column_names(header, name))
    return frame


def _decode(data: bytes, name: str) -> str:
    encoding = next((e for mark, e in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and _is_binary(data):
        _refuse(name, "is neither text in UTF-8 or Latin-1 nor a table format known here")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and _is_latin1(data):
            return data.decode("cp1252")
        line = data.count(b"\n", 0, error.start) + 1
        plain = encoding == "utf-8"
        wrong = "neither UTF-8 nor Latin-1" if plain else f"not valid {encoding.upper()}"
        _refuse(name, f"has text in line {line} that is {wrong}", error)


BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def _is_binary(data: bytes) -> bool:
    sample = data[: 2**20]
    return b"\x00" in data or len(re.findall(rb"[\x01-\x08\x0e-\x1f]", sample)) > len(sample) / 100


def _is_latin1(data: bytes) -> bool:
    """Tell Western text, one byte a letter, from damaged UTF-8 and from other alphabets."""
    text = data.decode("utf-8", errors="replace")
    n_bad = text.count("\ufffd")
    n_good = len(text) - len(text.encode("ascii", "ignore")) - n_bad
    # Accented letters stand alone or nearly so; other alphabets make long runs of them.
    if n_good > n_bad or re.search(rb"[\x80-\xff]{5}", data):
        return False
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def _read_csv(text: str, name: str) -> pd.DataFrame:
    lines = io.StringIO(text, newline="")
    declared = re.match(r"sep=(.)\r?\n", text)  # Excel's own way to name the separator
    if declared:
        lines.readline()
    separator = declared[1] if declared else _guess_separator(text)
    n_header_lines = 1
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        header = next((row for row in reader if any(map(str.strip, row))), [])
        if not header:
            _refuse_empty(name)
        n_header_lines, start = reader.line_num, lines.tell()
        if all(re.fullmatch(r"\s*[+-]?\d*[.,]\d*([eE][+-]?\d+)?\s*", cell) for cell in header):
            raise TableError(
                f"{name} has numbers where the column names should be ({header[0]} …): "
                "add a first line with the names."
            )
        extra = _cells_beyond(len(header), reader)
        if extra and all(len(cells) == 1 and cells[0] for cells in extra):
            header.insert(0, "")  # R writes no name for the column of row names
            extra = []
        elif extra and any(extra[0]):
            width = len(header)
            raise csv.Error(f"Expected {width} fields in line 1, saw {width + len(extra[0])}")
        n_named = len(header)
        names = _column_names(header + (extra[0] if extra else []), name)
        lines.seek(start)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            frame = pd.read_csv(
                lines,
                sep=separator,
                header=None,
                names=names,
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=names)
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _refuse_csv(name, error, n_header_lines)
    blank = [beyond for beyond in names[n_named:] if frame[beyond].isna().all()]
    frame = frame.drop(columns=blank)
    if separator != ",":
        for text in frame.select_dtypes("str").columns:
            frame[text] = _read_decimal_comma(frame[text])
    return frame


def _cells_beyond(width: int, rows: Iterable[list[str]]) -> list[list[str]]:
    try:
        return [row[width:] for row in islice(rows, 50) if row]
    except csv.Error:  # an endless quotation, of which pandas will tell the line
        return []


def _guess_separator(text: str) -> str:
    """Take the separator that cuts the most lines into as many fields as the header."""
    start = text[: 2**16]
    if len(start) < len(text):
        start = start[: start.rfind("\n") + 1] or start
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


def _refuse_csv(name: str, error: Exception, n_header_lines: int) -> NoReturn:
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
        expected, line, saw = (int(number) for number in found.groups())
        raise TableError(
            f"{name} has {saw} fields in line {line + n_header_lines} but {expected} column names: "
            "put text that holds the separator in quotation marks, or mend the line."
        ) from error
    if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
        line = int(found[1]) + 1 + n_header_lines
        raise TableError(
            f"{name} opens a quotation mark near line {line} and never closes it: mend that line."
        ) from error
    _refuse(name, "cannot be cut into columns", error)


def _read_decimal_comma(column: pd.Series) -> pd.Series:
    """Turn text such as 1.234,5 into numbers, if all of the column is."""
    number = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?"
    present = column.dropna()
    # Without a comma, dots are as likely to cut a phone number or an address.
    has_comma = present.str.contains(",", regex=False).any()
    if not has_comma or not present.str.fullmatch(number).all():
        return column
    plain = column.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return plain.astype("float64")


def _column_names(header: Iterable[object], name: str) -> list[str]:
    names = [str(cell).strip() or f"Unnamed: {i}" for i, cell in enumerate(header)]
    first: dict[str, int] = {}
    for i, column in enumerate(names, start=1):
        if column in first:
            raise TableError(
                f"{name} has two columns named {column!r} (columns {first[column]} and {i}): "
                "rename one of them."
            )
        first[column] = i
    return names


def _index_to_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep an index that says something (a name, or text) and number the rows from 0."""
    index = frame.index
    told = any(level is not None for level in index.names) or not types.is_integer_dtype(index)
    return frame.reset_index(drop=not told, allow_duplicates=True)


# --- What the columns are ------------------------------------------------------------------

TARGET_NAMES = (
    *("target", "label", "class", "outcome", "response", "output"),
    *("species", "survived", "diagnosis", "price", "y"),
)
MAX_INTEGER_CLASSES = 20
ID_NAME = re.compile(
    r"(?i:^(index|row|rowid|rowname|rownames|unnamed: \d+)$|(^|[\W_])(id|uuid|guid|key)([\W_]|$))"
    r"|[a-z](Id|ID|Key)$"
)


def detect_target(frame: pd.DataFrame) -> str:
    """Guess the column to predict.

    It is one named like a target; else the last or first column if it holds few classes; else the
    last that could be one.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        At least one column, named by text.

    Returns
    -------
    column : str
        The last useful column where nothing better is found.
    """
    by_name = {str(column).lower(): str(column) for column in reversed(frame.columns)}
    for name in TARGET_NAMES:
        if name in by_name:
            return by_name[name]
    left_out = suggest_exclusions(frame)
    columns = [str(column) for column in frame.columns if column not in left_out]
    if not columns:
        return str(frame.columns[-1])
    few = [c for c in (columns[-1], columns[0]) if 2 <= frame[c].nunique() <= MAX_INTEGER_CLASSES]
    for column in (*(c for c in few if _is_class_like(frame[c])), *reversed(columns)):
        try:
            _check_target(frame[column], detect_task(frame[column]))
        except TableError:
            continue
        return column
    return columns[-1]


def detect_task(y: pd.Series) -> Task:
    """Tell classes from amounts.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        The target; missing values are ignored.

    Returns
    -------
    task : {"classification", "regression"}
        Regression for numbers, unless they are whole and of at most 20 distinct values that
        repeat (three rows each on average), or of two distinct values.
    """
    return "classification" if _is_class_like(y) else "regression"


def _is_class_like(y: pd.Series) -> bool:
    values = numeric_values(y)
    if values is None:
        return True
    values = values[~np.isnan(values)]
    n_distinct = len(np.unique(values))
    few = n_distinct <= min(MAX_INTEGER_CLASSES, len(values) / 3)
    return n_distinct <= 2 or (few and bool((values == np.floor(values)).all()))


def numeric_values(column: pd.Series) -> np.ndarray | None:
    """Return a column of numbers as float64 with NaN for missing values, else None.

    Decimals and numbers kept as Python objects are numbers; truth values, dates and
    categories are not.
    """
    if column.dtype == object:
        kind = types.infer_dtype(column, skipna=True)
        is_number = kind in ("integer", "floating", "mixed-integer-float", "decimal")
    else:
        is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if not is_number or types.is_complex_dtype(column):
        return None
    return column.to_numpy(dtype="float64", na_value=np.nan)


def suggest_exclusions(frame: pd.DataFrame, target: str | None = None) -> dict[str, str]:
    """Propose the columns that say nothing of the target, each with the reason.

    They are columns without a value, with a single value, with lists or bytes for values, and ids: whole
    numbers that count the rows, or whole numbers or codes that differ in (nearly) every row.
    Measurements that happen to be unique, dates and free text are no ids.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The table.
    target : str, default=None
        Column that is never proposed.

    Returns
    -------
    reasons : dict of str to str
        Column to reason, in the order of the columns.
    """
    reasons = {name: _reason_to_exclude(frame[name]) for name in frame.columns if name != target}
    return {column: reason for column, reason in reasons.items() if reason}


def _reason_to_exclude(column: pd.Series) -> str:
    present = column.dropna()
    if present.empty:
        return "every value is missing"
    if column.dtype == object and present.map(_is_nested).any():
        return "holds lists or bytes, not single values"
    n_distinct = present.nunique()
    if n_distinct == 1 and len(present) == len(column):
        return f"the same value in every row ({present.iloc[0]})"
    if len(column) < MIN_ROWS:
        return ""
    share_unique = n_distinct / len(column)
    has_id_name = bool(ID_NAME.search(str(column.name)))
    if types.is_integer_dtype(column):
        counts = present.is_monotonic_increasing or present.is_monotonic_decreasing
        consecutive = float(present.max()) - float(present.min()) == len(column) - 1
        if share_unique == 1 and ((counts and len(column) >= 20) or consecutive):
            return "looks like a row number"
        return "looks like an id" if has_id_name and share_unique >= 0.9 else ""
    if not (types.is_string_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype)):
        return ""
    is_id = share_unique >= 0.9 if has_id_name else share_unique == 1 and _is_code(present)
    return "looks like an id (another text in every row)" if is_id else ""


def _is_nested(value: object) -> bool:
    return types.is_list_like(value) or isinstance(value, bytes)


def _is_code(text: pd.Series) -> bool:
    text = text.astype(str)
    has_space = text.str.strip().str.contains(r"\s").mean()
    date_or_amount = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\D?[+-]?[\d.,]+\D{0,3}"
    return has_space < 0.1 and text.str.fullmatch(date_or_amount).mean() < 0.5


def target_array(y: pd.Series, task: Task) -> np.ndarray:
    """Return the target as a plain array that scikit-learn takes.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        Without missing values.
    task : {"classification", "regression"}
        What it is used for.

    Returns
    -------
    y : ndarray of shape (n_rows,)
        Regression: float64. Classification: int64 for whole numbers, else text.
    """
    if task == "regression":
        return y.to_numpy(dtype="float64")
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    values = numeric_values(y)
    if values is not None and (values == np.floor(values)).all() and abs(values).max() < 2**53:
        return y.to_numpy(dtype="int64")
    return y.astype(str).to_numpy(dtype=np.str_)


# --- The table -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Table:
    """A table fit for valuation: made by `make_table` or `load_sample`.

    Attributes
    ----------
    name : str
        What messages and headings call it.
    frame : DataFrame of shape (n_rows, n_columns)
        The columns and their order as read; its index 0 to n_rows - 1 holds the row ids.
    target : str
        The column to predict.
    task : {"classification", "regression"}
        How.
    excluded : mapping of str to str
        Columns that are not used as features, with the reason.
    fingerprint : str
        Digest of the content and of the choices above; equal tables have equal ones.
    """

    name: str
    frame: pd.DataFrame
    target: str
    task: Task
    excluded: Mapping[str, str]
    fingerprint: str

    @property
    def n_rows(self) -> int:
        """Number of rows, with and without a target."""
        return len(self.frame)

    @property
    def features(self) -> list[str]:
        """Columns used to predict the target."""
        unused = {self.target, *self.excluded}
        return [str(column) for column in self.frame if column not in unused]

    @cached_property
    def labelled_ids(self) -> np.ndarray:
        """Row ids with a target, int64."""
        return np.flatnonzero(_has_target(self.frame[self.target]))

    @cached_property
    def unlabelled_ids(self) -> np.ndarray:
        """Row ids without a target, which are set aside, int64."""
        return np.flatnonzero(~_has_target(self.frame[self.target]))

    @cached_property
    def labels(self) -> np.ndarray:
        """Target of the rows in `labelled_ids`, as `target_array` makes it."""
        return target_array(self.frame[self.target].iloc[self.labelled_ids], self.task)

    @cached_property
    def classes(self) -> np.ndarray:
        """Distinct labels, sorted; empty for regression."""
        return np.unique(self.labels) if self.task == "classification" else self.labels[:0]


def make_table(
    frame: pd.DataFrame,
    name: str,
    target: str | None = None,
    task: Task | None = None,
    excluded: Mapping[str, str] | Iterable[str] | None = None,
) -> Table:
    """Check a frame and fix what is predicted from what.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        At least 10 rows with a target, and two columns. Column names become text; a named index
        becomes a column; rows are numbered from 0.
    name : str
        What messages call the table.
    target : str, default=None
        The column to predict; None guesses with `detect_target`.
    task : {"classification", "regression"}, default=None
        None guesses with `detect_task`.
    excluded : mapping of str to str or iterable of str, default=None
        Columns not to use, with or without reasons; None takes `suggest_exclusions`.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the table or a choice cannot be valued: one sentence that names the column, row or class.

    Notes
    -----
    Rows without a target stay in the table and are set aside. A class with a single row is
    refused, since no split can both learn and measure it: the user decides whether it is an error,
    belongs to another class, or should lose its label. The rows of a class of two serve
    training and validation.
    """
    frame = _index_to_columns(frame)
    frame.columns = pd.Index(_column_names(frame.columns, name))
    _check_shape(frame, name)
    if target is None:
        target = detect_target(frame)
    if excluded is None:
        excluded = suggest_exclusions(frame, target)
    elif not isinstance(excluded, Mapping):
        excluded = dict.fromkeys(excluded, "left out by choice")
    for column in (target, *excluded):
        if column not in frame:
            raise TableError(f"{name} has no column {column!r}: choose one of its columns.")
    if target in excluded:
        raise TableError(f"Column {target!r} is the target: it cannot be left out as well.")
    if task is None:
        task = detect_task(frame[target])
    table = Table(name, frame, target, task, dict(excluded), _digest(frame, target, task, excluded))
    _check_target(frame[target], task)
    _check_features(table)
    return table


def _has_target(y: pd.Series) -> np.ndarray:
    present = y.notna()
    if types.is_string_dtype(y):
        present &= y.str.strip().ne("").fillna(False)
    return present.to_numpy(dtype=bool)


def _digest(frame: pd.DataFrame, target: str, task: Task, excluded: Iterable[str]) -> str:
    digest = blake2b(repr((target, task, sorted(excluded))).encode(), digest_size=16)
    for column in frame:
        values = frame[column]
        digest.update(f"{column!r} {values.dtype} ".encode())
        try:
            hashes = pd.util.hash_pandas_object(values, index=False)
        except TypeError:  # lists and other nested values
            hashes = pd.util.hash_pandas_object(values.map(repr), index=False)
        digest.update(hashes.to_numpy().tobytes())
    return digest.hexdigest()


def _check_shape(frame: pd.DataFrame, name: str) -> None:
    n_rows, n_columns = frame.shape
    if n_columns == 0:
        _refuse_empty(name)
    if n_rows == 0:
        raise TableError(f"{name} has column names but no rows: choose a file with rows.")
    if n_columns == 1:
        raise TableError(
            f"{name} has one column only ({frame.columns[0]!r}): a target and at least one feature "
            "are needed, separated by a comma, semicolon, tab or bar."
        )
    if n_rows < MIN_ROWS:
        rows = "a single row" if n_rows == 1 else f"{n_rows} rows only"
        raise TableError(f"{name} has {rows}: at least {MIN_ROWS} are needed to learn from.")


def _check_features(table: Table) -> None:
    if not table.features:
        raise TableError(
            f"{table.name} has no column left to predict {table.target!r} from: "
            "use one of the columns left out, or choose another target."
        )
    for column in table.features:
        _check_finite(table.frame[column])


def _check_finite(column: pd.Series) -> None:
    values = numeric_values(column)
    if values is None:
        return
    too_large = np.flatnonzero(np.abs(values) > LARGEST_NUMBER)
    if too_large.size:
        row = too_large[0]
        what = "an infinite number" if np.isinf(values[row]) else f"the number {values[row]:g}"
        raise TableError(
            f"Column {column.name!r} holds {what} in row {row} (the first row is 0): "
            "correct it or leave the cell empty."
        )


def _check_target(y: pd.Series, task: Task) -> None:
    labelled = y[_has_target(y)]
    if len(labelled) < MIN_ROWS:
        raise TableError(
            f"The target {y.name!r} has a value in {len(labelled)} of {len(y)} rows: at least "
            f"{MIN_ROWS} are needed, so fill it in or choose another target."
        )
    _check_finite(y)
    if task == "regression":
        _check_amounts(labelled)
    elif y.dtype == object and labelled.map(_is_nested).any():
        raise TableError(
            f"The target {y.name!r} holds lists or bytes: choose a column with one label in a row."
        )
    else:
        _check_classes(labelled)


def _check_amounts(y: pd.Series) -> None:
    if numeric_values(y) is None:
        row, value = _first_text(y) or (y.index[0], y.iloc[0])
        raise TableError(
            f"The target {y.name!r} holds {str(value)!r} in row {row} (the first row is 0), which is "
            "not an amount: correct it, or choose the task classification or another target."
        )
    if np.ptp(target_array(y, "regression")) == 0:
        raise TableError(
            f"The target {y.name!r} has the same value in every row: choose another target."
        )


def _check_classes(y: pd.Series) -> None:
    classes, counts = np.unique(target_array(y, "classification"), return_counts=True)
    if len(classes) == 1:
        raise TableError(
            f"The target {y.name!r} has one class only ({classes[0]}): choose another target."
        )
    if len(classes) > min(MAX_CLASSES, len(y) / 2):
        raise TableError(
            f"The target {y.name!r} has {len(classes):,} distinct labels in {len(y):,} rows: "
            f"{_explain_many_labels(y)}."
        )
    single = [repr(str(label)) for label in classes[counts == 1]]
    if single:
        names = ", ".join(single[:3]) + (f" and {len(single) - 3} more" if len(single) > 3 else "")
        have = "Class {} has" if len(single) == 1 else "Classes {} each have"
        raise TableError(
            f"{have.format(names)} a single row in {y.name!r}, too few to both learn and measure: "
            "merge with another class, remove the row, or empty its label to set it aside."
        )


def _explain_many_labels(y: pd.Series) -> str:
    if numeric_values(y) is not None:
        return "it looks like an amount or an id, so choose the task regression or another target"
    text = y.astype(str)
    first = _first_text(text)
    if first and pd.to_numeric(text, errors="coerce").isna().mean() < 0.1:
        return (
            f"it looks like an amount but for {first[1]!r} in row {first[0]} (the first row is 0), "
            "so correct that or choose another target"
        )
    return "it looks like an id or free text, so choose another target"


def _first_text(y: pd.Series) -> tuple[int, str] | None:
    """Return row id and text of the first value that is not a number."""
    text = y.astype(str)
    rows = np.flatnonzero(pd.to_numeric(text, errors="coerce").isna())
    return (int(y.index[rows[0]]), text.iloc[rows[0]]) if rows.size else None
