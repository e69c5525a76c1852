"""Limits: how large a table may be, and the one sentence that refuses what is no table."""

from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

from ecoval_core.text import join, shorten

MAX_BYTES = 200 * 2**20  # of a file, and of what it unpacks to
MAX_ROWS = 2_000_000
MAX_COLUMNS = 5_000
MAX_CELLS = 25_000_000
MAX_NAME_LENGTH = 2_000


class TableError(ValueError):
    """A table that cannot be valued; the message is one sentence for the user."""


def refuse(name: str, problem: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the `TableError` of a file, called `name`, that is no table or a damaged one."""
    advice = "save the table as CSV (UTF-8), Parquet or Excel (.xlsx) and load that"
    raise TableError(f"{name} {problem}: {advice}.") from cause


def refuse_empty(name: str) -> NoReturn:
    """Raise the `TableError` of a file or frame, called `name`, that holds nothing."""
    raise TableError(f"{name} is empty: choose a table with column names and rows.")


def check_filled(n_rows: int, n_columns: int, name: str) -> None:
    """Refuse a table without columns or rows."""
    if n_columns == 0:
        refuse_empty(name)
    if n_rows == 0:
        raise TableError(f"{name} has column names but no rows: choose a file with rows.")


def check_bytes(n_bytes: int, name: str, unpacked: str = "") -> None:
    """Refuse a file of more than `MAX_BYTES`; `unpacked` says so of bytes that it unpacks to."""
    if n_bytes <= MAX_BYTES:
        return
    size = f"more than {MAX_BYTES / 2**20:,.0f} MB {unpacked}, which is the limit"
    if not unpacked:
        size = f"{n_bytes / 2**20:,.0f} MB and the limit is {MAX_BYTES / 2**20:,.0f} MB"
    raise TableError(
        f"{name} is {size}: keep fewer rows or columns, or save it as Parquet, which is smaller."
    )


def check_shape(n_rows: int, n_columns: int, name: str) -> None:
    """Refuse a table of too many rows, columns or cells."""
    if n_columns > MAX_COLUMNS:
        size, limit, less = f"{n_columns:,} columns", f"{MAX_COLUMNS:,}", "columns"
    elif n_rows > MAX_ROWS:
        size, limit, less = f"{n_rows:,} rows", f"{MAX_ROWS:,}", "rows"
    elif n_rows * n_columns > MAX_CELLS:
        size, limit = f"{n_rows:,} rows of {n_columns:,} columns", f"{MAX_CELLS:,} cells"
        less = "rows or columns"
    else:
        return
    raise TableError(f"{name} has {size} and the limit is {limit}: keep fewer {less}.")


def column_names(header: Iterable[object], name: str) -> list[str]:
    """Turn a header into stripped names; an empty one becomes ``Unnamed: i``, a repeated one is numbered."""
    names = [str(cell).strip() or f"Unnamed: {i}" for i, cell in enumerate(header)]
    for i, column in enumerate(names, start=1):
        if len(column) > MAX_NAME_LENGTH:
            raise TableError(
                f"{name} has a name of {len(column):,} characters over column {i} "
                f"({shorten(column, 30)!r}): give the columns short names in the first line."
            )
    taken, count = set(names), Counter[str]()
    for i, column in enumerate(names):
        while count[column] and (numbered := f"{column}.{count[column]}") in taken:
            count[column] += 1
        if count[column]:
            names[i] = numbered
            taken.add(numbered)
        count[column] += 1
    return names


def note_repeated(header: Iterable[object]) -> tuple[str, ...]:
    """Say which names of a header are repeated, so that `column_names` numbers them."""
    counts = Counter(str(cell).strip() for cell in header)
    repeated = [repr(shorten(name)) for name, count in counts.items() if name and count > 1]
    if not repeated:
        return ()
    names = join(repeated[:3], len(repeated))
    return (f"Several columns are named {names}: the second and later ones are numbered.",)
