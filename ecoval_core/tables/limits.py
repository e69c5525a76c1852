"""Limits: how large a table may be, and the one sentence that refuses what is no table.

They are chosen so that any file, good or hostile, is read or refused in 10 seconds and one gigabyte;
``benchmarks/hostile.py`` measures both.
"""

from collections.abc import Iterable
from typing import NoReturn

MAX_BYTES = 200 * 2**20  # of a file, and of what it unpacks to as text
MAX_ROWS = 2_000_000
MAX_COLUMNS = 5_000
MAX_CELLS = 20_000_000
# Of a workbook, whose cells take 3 µs each to cut out of XML.
MAX_SHEET_CELLS = 1_500_000
# Of a cell, a line, or what a pair of quotation marks holds.
MAX_LINE_BYTES = 4 * 2**20
MAX_NAME_LENGTH = 2_000
# What pandas takes for missing in text (``na_values`` of `pandas.read_csv`).
MISSING_WORDS = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
     "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip


class TableError(ValueError):
    """A table that cannot be valued; the message is one sentence for the user."""


def shorten(text: object, width: int = 60) -> str:
    """Return a value as one line of text of at most `width` characters, for a message."""
    start = str(text)[: 4 * width]
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in start).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def refuse(name: str, problem: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the `TableError` of a file, called `name`, that is no table or a damaged one."""
    advice = "save the table as CSV (UTF-8), Parquet or Excel (.xlsx) and load that"
    raise TableError(f"{name} {problem}: {advice}.") from cause


def refuse_empty(name: str) -> NoReturn:
    """Raise the `TableError` of a file or frame, called `name`, that holds nothing."""
    raise TableError(f"{name} is empty: choose a table with column names and rows.")


def check_bytes(n_bytes: int, name: str, unpacked: str = "") -> None:
    """Refuse a file of too many bytes.

    Parameters
    ----------
    n_bytes : int
        What it has, or has at least.
    name : str
        What the message calls the file.
    unpacked : str, default=""
        What the bytes are where they are not those of the file itself, such as "unpacked".

    Raises
    ------
    TableError
        If there are more than `MAX_BYTES`.
    """
    if n_bytes <= MAX_BYTES:
        return
    size = f"more than {MAX_BYTES / 2**20:,.0f} MB {unpacked}, which is the limit"
    if not unpacked:
        size = f"{n_bytes / 2**20:,.0f} MB and the limit is {MAX_BYTES / 2**20:,.0f} MB"
    raise TableError(
        f"{name} is {size}: keep fewer rows or columns, or save it as Parquet, which is smaller."
    )


def check_size(n_rows: int, n_columns: int, name: str) -> None:
    """Refuse a table of too many rows, columns or cells.

    Parameters
    ----------
    n_rows, n_columns : int
        What it has, or has at least.
    name : str
        What the message calls the table.

    Raises
    ------
    TableError
        If a limit is passed.
    """
    if n_columns > MAX_COLUMNS:
        raise TableError(
            f"{name} has {n_columns:,} columns and the limit is {MAX_COLUMNS:,}: keep fewer columns."
        )
    if n_rows > MAX_ROWS:
        raise TableError(
            f"{name} has {n_rows:,} rows and the limit is {MAX_ROWS:,}: keep fewer rows."
        )
    if n_rows * n_columns > MAX_CELLS:
        raise TableError(
            f"{name} has {n_rows:,} rows of {n_columns:,} columns and the limit is {MAX_CELLS:,} cells: "
            "keep fewer rows or columns."
        )


def column_names(header: Iterable[object], name: str) -> list[str]:
    """Turn a header into column names.

    Parameters
    ----------
    header : iterable of object
        One cell per column; an empty one becomes ``Unnamed: i``.
    name : str
        What messages call the table.

    Returns
    -------
    names : list of str
        Stripped, all different.

    Raises
    ------
    TableError
        If two columns have the same name, or a name is no name but a text.
    """
    names = [str(cell).strip() or f"Unnamed: {i}" for i, cell in enumerate(header)]
    first: dict[str, int] = {}
    for i, column in enumerate(names, start=1):
        if len(column) > MAX_NAME_LENGTH:
            raise TableError(
                f"{name} has a name of {len(column):,} characters over column {i} "
                f"({shorten(column, 30)!r}): give the columns short names in the first line."
            )
        if column in first:
            raise TableError(
                f"{name} has two columns named {shorten(column)!r} (columns {first[column]} and {i}): "
                "rename one of them."
            )
        first[column] = i
    return names
