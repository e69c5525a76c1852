"""Lines: cut delimited text into pieces that end between two rows, and say which line is wrong."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ecoval_core.tables.limits import MAX_LINE_BYTES, TableError, check_size, refuse

PIECE_BYTES = 2**24
PIECE_CELLS = 4_000_000


@dataclass(frozen=True)
class Piece:
    """Rows of the text: where they start and end, the number of their first line, how many there are."""

    start: int
    end: int
    line: int
    n_lines: int
    n_rows: int


def check_lines(data: bytes, name: str) -> None:
    """Refuse a line of more than `MAX_LINE_BYTES`, in time that depends on the size of `data` alone."""
    start = 0
    while start + MAX_LINE_BYTES < len(data):
        end = start + MAX_LINE_BYTES
        cut = max(data.rfind(b"\n", start, end), data.rfind(b"\r", start, end)) + 1
        if cut == 0:
            line = data.count(b"\n", 0, start) + 1
            raise TableError(
                f"{name} has a line of more than {MAX_LINE_BYTES // 2**20} MB (line {line:,}): "
                "put each row on a line of its own."
            )
        start = cut


def head(data: bytes, start: int, size: int) -> str:
    """Return the first lines as text, none of them cut."""
    head = data[start : start + size]
    if start + size < len(data):
        cut = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        head = head[:cut] if cut else head
    return head.decode("utf-8", errors="ignore")


def cut_pieces(
    data: bytes, start: int, line: int, n_columns: int, separator: str, name: str
) -> list[Piece]:
    """Cut the rows into pieces that can be parsed alone, and refuse too many of them.

    Parameters
    ----------
    data : bytes
        Text in UTF-8.
    start, line : int
        Where the rows start, and the number of their first line.
    n_columns : int
        How many columns there are.
    separator : str
        What separates cells.
    name : str
        What messages call the file.

    Returns
    -------
    pieces : list of Piece
        Of about `PIECE_BYTES`, and `PIECE_CELLS` at most unless a row has more.

    Raises
    ------
    TableError
        If there are too many rows or cells, or a quotation does not end.
    """
    pieces: list[Piece] = []
    n_rows = 0
    while start < len(data):
        size = PIECE_BYTES
        piece = _next_piece(data, start, size, line, separator)
        if piece is None:
            refuse_open_quotation(name, line)
        while piece.n_rows * n_columns > PIECE_CELLS and size > 2**12:
            size //= 4
            smaller = _next_piece(data, start, size, line, separator)
            if smaller is None:
                break
            piece = smaller
        pieces.append(piece)
        n_rows += piece.n_rows
        check_size(n_rows, n_columns, name)
        start, line = piece.end, line + piece.n_lines
    return pieces


def _next_piece(data: bytes, start: int, size: int, line: int, separator: str) -> Piece | None:
    """Return the rows that end within the next `size` bytes, or None if not even one does."""
    is_last = start + size >= len(data)
    block = data[start : start + size]
    if not is_last:
        cut = block.rfind(b"\n") + 1
        # A carriage return at the very end may be half of a line end.
        block = block[: cut or block.rfind(b"\r", 0, len(block) - 1) + 1]
        if not block:
            return None
    if b'"' not in block:
        n_lines = block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
        n_rows = n_lines + (is_last and not block.endswith((b"\n", b"\r")))
        return Piece(start, start + len(block), line, n_lines, n_rows)

    text = block.decode()
    fed = 0  # signs given to the reader

    def feed() -> Iterator[str]:
        nonlocal fed
        for one in io.StringIO(text, newline=""):
            fed += len(one)
            yield one

    reader = csv.reader(feed(), delimiter=separator, skipinitialspace=True)
    n_rows, n_lines, n_lines_before, end, end_before = 0, 0, 0, 0, 0
    try:
        for row in reader:
            n_rows += bool(row)
            n_lines_before, n_lines = n_lines, reader.line_num
            end_before, end = end, fed
    except csv.Error:  # a quotation longer than any cell may be
        is_last, n_lines_before, end_before = False, n_lines, end
    if is_last:
        return Piece(start, len(data), line, n_lines, n_rows)
    if n_lines_before == 0:
        return None
    # The last row of a block may go on in the next one.
    rest = len(text[end_before:].encode())
    return Piece(start, start + len(block) - rest, line, n_lines_before, n_rows - 1)


def refuse_bad_lines(
    data: bytes, piece: Piece, width: int, separator: str, name: str,
    error: Exception | None = None,
) -> NoReturn:  # fmt: skip
    """Say which line of a piece has too many cells or opens a quotation."""
    text = head(data, piece.start, min(piece.end - piece.start, 2 * PIECE_BYTES))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    before, line = 0, 0
    try:
        for row in reader:
            before, line = line, reader.line_num
            if len(row) > width:
                raise TableError(
                    f"{name} has {len(row):,} fields in line {piece.line + before:,} but {width:,} column "
                    "names: put text that holds the separator in quotation marks, or mend the line."
                ) from error
    except csv.Error:
        before = line
    if error is not None and "EOF inside string" in str(error):
        refuse_open_quotation(name, piece.line + before, error)
    refuse(name, "cannot be cut into columns", error)


def refuse_open_quotation(name: str, line: int, cause: Exception | None = None) -> NoReturn:
    """Raise the `TableError` of a file whose quotation, opened near `line`, does not end."""
    raise TableError(
        f"{name} opens a quotation mark near line {line:,} and never closes it: mend that line."
    ) from cause
