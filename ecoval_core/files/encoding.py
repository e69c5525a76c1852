"""Encodings: turn text of any alphabet into UTF-8, and refuse what is no text."""

import io
import re

from ecoval_core.files.limits import check_bytes, refuse

# Bytes that are looked at where a few words tell.
_HEAD = 2**16
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
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
    is_western = sum(length > 2 for length in runs) <= len(runs) / 2
    is_western &= sum(length > 4 for length in runs) <= len(runs) / 10
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
