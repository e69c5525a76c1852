"""Workbook parts: open the zip archive of an Excel file and parse its XML, both within limits."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import NoReturn
from xml.parsers import expat

from ecoval_core.tables import limits
from ecoval_core.tables.limits import TableError, refuse

MAX_PARTS = 20_000
MAX_DEPTH = 64
_PIECE = 2**18
_MAX_TAG = 2**20
# A cell is two elements, one with its text in place or a formula three; cells may be blank.
_MAX_ELEMENTS = 4

Start = Callable[[str, dict[str, str]], None]


class DamagedWorkbookError(ValueError):
    """What cannot be a workbook that Excel or anything like it has written."""


class Parts:
    """The parts of a workbook, by path.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What messages call it.
    """

    def __init__(self, data: bytes, name: str) -> None:
        if data.count(b"PK\x01\x02") > MAX_PARTS:
            raise DamagedWorkbookError("too many parts")
        self.name = name
        self._archive = zipfile.ZipFile(io.BytesIO(data))

    def __contains__(self, path: str) -> bool:
        """Tell whether there is such a part."""
        return path in self._archive.NameToInfo

    def check(self, path: str, max_bytes: int) -> None:
        """Refuse a part that is too large, of too many elements, or of a tag without end.

        Parameters
        ----------
        path : str
            The part.
        max_bytes : int
            What it may unpack to.

        Raises
        ------
        TableError
            If it is too large.
        DamagedWorkbookError
            If nobody writes such a part.
        """
        info = self._archive.getinfo(path)
        if info.file_size > max_bytes:
            refuse(self.name, "is an Excel workbook too large to unpack")
        # The other methods unpack a piece as a whole, however large it becomes.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedWorkbookError("unusual compression")
        n_elements, since_tag = 0, 0
        for piece in self._pieces(path):
            n_tags = piece.count(b"<")
            n_elements += n_tags - piece.count(b"</")
            since_tag = 0 if n_tags else since_tag + len(piece)
            if since_tag > _MAX_TAG:
                raise DamagedWorkbookError("a tag or text without end")
            if n_elements > _MAX_ELEMENTS * limits.MAX_SHEET_CELLS:
                refuse_cells(self.name)

    def _pieces(self, path: str) -> Iterator[bytes]:
        # zipfile stops at the size that the directory states, whatever is packed.
        with self._archive.open(path) as part:
            while piece := part.read(_PIECE):
                yield piece

    def parse(
        self, path: str, start: Start, end: Callable[[str], None], parser: expat.XMLParserType | None = None,
    ) -> None:  # fmt: skip
        """Parse a checked part.

        Parameters
        ----------
        path : str
            The part.
        start, end : callable
            Called with the tag of each element, and its attributes.
        parser : expat parser, default=None
            To give its own handlers to; None makes one.

        Raises
        ------
        ExpatError or DamagedWorkbookError
            If it is damaged, or defines entities, which can unfold without limit.
        """

        def refuse_definitions(*_: object) -> None:
            raise DamagedWorkbookError("definitions")

        parser = parser or expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = refuse_definitions
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        for piece in self._pieces(path):
            parser.Parse(piece, False)
        parser.Parse(b"", True)


def check_depth(depth: int) -> None:
    """Refuse elements nested deeper than any workbook's."""
    if depth > MAX_DEPTH:
        raise DamagedWorkbookError("elements nested too deep")


def refuse_cells(name: str) -> NoReturn:
    """Raise the `TableError` of a workbook of too many cells."""
    raise TableError(
        f"{name} has more than {limits.MAX_SHEET_CELLS:,} cells, the limit for Excel: save the table as CSV "
        "(UTF-8) or Parquet and load that."
    )


def local_name(tag: str) -> str:
    """Return the tag without the prefix of its namespace."""
    return tag.rpartition(":")[2]
