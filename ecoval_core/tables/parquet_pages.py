"""Parquet pages: what a column unpacks to, as the headers of its pages state it.

A Parquet file says twice how large its columns are: in its footer, which a reader of the content never
checks, and in the header of each page, which the reader believes and allocates. So these headers are walked
before anything is unpacked. They are Thrift structs in the compact protocol (parquet-format,
``parquet.thrift``).
"""

from dataclasses import dataclass, field
from typing import Any

MAX_PAGES = 100_000
DELTA_BYTE_ARRAY = 7
_MAX_FIELDS = 2_000
_MAX_DEPTH = 12
_BOOLEANS, _INTEGERS, _BYTE, _DOUBLE, _BINARY, _STRUCT = (1, 2), (4, 5, 6), 3, 7, 8, 12
_LISTS, _MAP = (9, 10), 11
# Fields of a PageHeader that hold a struct, and where in it the encoding stands.
_DATA_PAGES = {5: 2, 8: 4}
_DICTIONARY_PAGE = 7


class DamagedPageError(ValueError):
    """A header that is no page header."""


@dataclass
class Unpacked:
    """What pages unpack to: bytes, values, bytes of the largest page, encodings of the data."""

    n_bytes: int = 0
    n_values: int = 0
    largest: int = 0
    n_pages: int = 0
    encodings: set[int] = field(default_factory=set)
    has_dictionary: bool = False

    def add(self, other: "Unpacked") -> None:
        """Take in the pages of another piece of the same column."""
        self.n_bytes += other.n_bytes
        self.n_values += other.n_values
        self.n_pages += other.n_pages
        self.largest = max(self.largest, other.largest)
        self.encodings |= other.encodings
        self.has_dictionary |= other.has_dictionary


def measure_pages(data: bytes, start: int, n_bytes: int, n_values: int) -> Unpacked:
    """Walk the page headers of a column chunk.

    Parameters
    ----------
    data : bytes
        The whole file.
    start, n_bytes : int
        Where the first page starts, and how long the chunk is.
    n_values : int
        Values that the footer states; like Arrow's reader, the walk ends when they are there.

    Returns
    -------
    Unpacked

    Raises
    ------
    DamagedPageError
        If a header is damaged, or there are more than `MAX_PAGES`.
    """
    found = Unpacked()
    position, end = start, start + n_bytes
    if start < 0 or n_bytes < 0 or end > len(data):
        raise DamagedPageError("a column outside of the file")
    while position < end and found.n_values < n_values:
        header, position = _Reader(data, end).read_struct(position)
        unpacked, packed = header.get(2), header.get(3)
        if (
            not isinstance(unpacked, int)
            or not isinstance(packed, int)
            or min(unpacked, packed) < 0
        ):
            raise DamagedPageError("a page without a size")
        found.n_pages += 1
        if found.n_pages > MAX_PAGES:
            raise DamagedPageError("too many pages")
        found.n_bytes += unpacked
        found.largest = max(found.largest, unpacked)
        found.has_dictionary |= _DICTIONARY_PAGE in header
        for page, encoding in _DATA_PAGES.items():
            if isinstance(header.get(page), dict):
                found.n_values += max(0, _whole(header[page].get(1)))
                found.encodings.add(_whole(header[page].get(encoding)))
        position += packed
    return found


def schema_depth(footer: bytes) -> int:
    """Return how deep the columns of a file are nested, by walking its footer.

    Parameters
    ----------
    footer : bytes
        A FileMetaData.

    Returns
    -------
    depth : int
        1 for columns that are not nested.

    Raises
    ------
    DamagedPageError
        If the footer is damaged.
    """
    position, number = 0, 0
    open_children: list[int] = []
    depth = 0
    reader = _Reader(footer, len(footer))
    while number < 2:
        head = reader._byte(position)
        number += head >> 4
        position += 1
        if number < 2:
            _, position = reader._value(head & 15, position, 0)
        if head >> 4 == 0 or (number == 2 and head & 15 not in _LISTS):
            raise DamagedPageError("a footer without a schema")
    head = reader._byte(position)
    n_elements, position = (
        reader._varint(position + 1) if head >> 4 == 15 else (head >> 4, position + 1)
    )
    for _ in range(min(n_elements, len(footer))):
        element, position = _Reader(footer, len(footer)).read_struct(position)
        while open_children and open_children[-1] == 0:
            open_children.pop()
        depth = max(depth, len(open_children))
        if open_children:
            open_children[-1] -= 1
        children = element.get(5, 0)
        if isinstance(children, int) and children > 0:
            open_children.append(children)
    return depth


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise DamagedPageError("a page without a number of values")
    return value


class _Reader:
    """Reads one Thrift struct; what is no whole number is passed over."""

    def __init__(self, data: bytes, end: int) -> None:
        self.data, self.end = data, end
        self.n_fields = 0

    def read_struct(self, position: int, depth: int = 0) -> tuple[dict[int, Any], int]:
        found: dict[int, Any] = {}
        number = 0
        while True:
            head = self._byte(position)
            position += 1
            if head == 0:
                return found, position
            if head >> 4:
                number += head >> 4
            else:
                number, position = self._signed(position)
            kind = head & 15
            if kind in _BOOLEANS:
                continue
            value, position = self._value(kind, position, depth + 1)
            if value is not None:
                found[number] = value

    def _value(self, kind: int, position: int, depth: int) -> tuple[Any, int]:
        self.n_fields += 1
        if self.n_fields > _MAX_FIELDS or depth > _MAX_DEPTH:
            raise DamagedPageError("a header too large")
        if kind in _INTEGERS:
            return self._signed(position)
        if kind == _STRUCT:
            return self.read_struct(position, depth)
        if kind == _BINARY:
            size, position = self._varint(position)
            return None, position + size
        if kind == _DOUBLE:
            return None, position + 8
        if kind == _BYTE or kind in _BOOLEANS:
            return None, position + 1
        if kind in _LISTS:
            head = self._byte(position)
            size, position = head >> 4, position + 1
            if size == 15:
                size, position = self._varint(position)
            for _ in range(min(size, _MAX_FIELDS + 1)):
                _, position = self._value(head & 15, position, depth + 1)
            return None, position
        if kind == _MAP:
            size, position = self._varint(position)
            kinds = self._byte(position) if size else 0
            position += bool(size)
            for _ in range(min(size, _MAX_FIELDS + 1)):
                _, position = self._value(kinds >> 4, position, depth + 1)
                _, position = self._value(kinds & 15, position, depth + 1)
            return None, position
        raise DamagedPageError("a field of an unknown kind")

    def _byte(self, position: int) -> int:
        if position >= self.end:
            raise DamagedPageError("a header that is cut short")
        return self.data[position]

    def _varint(self, position: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self._byte(position)
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, position
            if shift > 63:
                raise DamagedPageError("a number too long")

    def _signed(self, position: int) -> tuple[int, int]:
        value, position = self._varint(position)
        return (value >> 1) ^ -(value & 1), position
