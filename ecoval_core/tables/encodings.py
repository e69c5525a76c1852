"""Encodings: bytes of text in any of the usual encodings become UTF-8."""

import codecs
import re
from collections.abc import Callable

from ecoval_core.tables.limits import check_bytes, refuse

BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Text is decoded by pieces: as one, a single rare sign makes Python take four bytes a letter.
_PIECE = 2**22
_NO_TEXT = "is neither text in UTF-8 or Latin-1 nor a table format known here"


def to_utf8(data: bytes, name: str) -> bytes:
    """Return text in UTF-8 without its mark.

    Parameters
    ----------
    data : bytes
        Text in UTF-8, in UTF-16 or UTF-32 with its mark, or in Latin-1 (as Windows writes it).
    name : str
        What messages call the file.

    Returns
    -------
    text : bytes
        Valid UTF-8 without NUL; `data` itself where it was that.

    Raises
    ------
    TableError
        If it is no text, text of another encoding (the line is named) or too much.
    """
    mark = next((mark for mark in BYTE_ORDER_MARKS if data.startswith(mark)), b"")
    encoding = BYTE_ORDER_MARKS.get(mark, "utf-8")
    if encoding != "utf-8":
        try:
            text = _transcode(data, encoding, name)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            refuse(name, f"has text in line {line} that is not valid {encoding.upper()}", error)
        if b"\x00" in text:
            refuse(name, _NO_TEXT)
        return text
    if mark:
        data = data[len(mark) :]
    if _is_binary(data):
        refuse(name, _NO_TEXT)
    try:
        _check_utf8(data)
    except UnicodeDecodeError as error:
        if not mark and _is_latin1(data, error.start):
            return _transcode(data, "cp1252", name)
        line = data.count(b"\n", 0, error.start) + 1
        refuse(name, f"has text in line {line} that is neither UTF-8 nor Latin-1", error)
    return data


def _check_utf8(data: bytes) -> None:
    """Raise a UnicodeDecodeError, its start counted from the beginning, if `data` is not UTF-8."""
    _decode(data, "utf-8", lambda _: None)


def _transcode(data: bytes, encoding: str, name: str) -> bytes:
    pieces: list[bytes] = []
    n_bytes = 0

    def keep(text: str) -> None:
        nonlocal n_bytes
        pieces.append(text.encode())
        n_bytes += len(pieces[-1])
        check_bytes(n_bytes, name, "as text in UTF-8")

    _decode(data, encoding, keep)
    return b"".join(pieces)


def _decode(data: bytes, encoding: str, use: Callable[[str], None]) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _PIECE):
        end = min(start + _PIECE, len(data))
        kept = decoder.getstate()[0]
        try:
            use(decoder.decode(data[start:end], final=end == len(data)))
        except UnicodeDecodeError as error:
            before = start - len(kept)
            raise UnicodeDecodeError(
                error.encoding, b"", before + error.start, before + error.end, error.reason
            ) from error


def _is_binary(data: bytes) -> bool:
    sample = data[: 2**20]
    return b"\x00" in data or len(re.findall(rb"[\x01-\x08\x0e-\x1f]", sample)) > len(sample) / 100


def _is_latin1(data: bytes, first_bad: int) -> bool:
    """Distinguish Western text, one byte a letter, from damaged UTF-8 and other alphabets."""
    # Accented letters stand alone or nearly so; other alphabets make long runs of them.
    if re.search(rb"[\x80-\xff]{5}", data):
        return False
    sample = data[max(0, first_bad - 2**18) : first_bad + 2**18]
    text = sample.decode("utf-8", errors="replace")
    n_bad = text.count("\ufffd")
    n_good = len(text) - len(text.encode("ascii", "ignore")) - n_bad
    undefined = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
    return n_good <= n_bad and not any(byte in data for byte in undefined)
