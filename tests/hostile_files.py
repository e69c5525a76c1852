"""Hundreds of files that a stranger could upload to bring a server down, always the same ones.

``python tests/hostile_files.py --check`` reads them in processes with a gigabyte of memory and ten seconds of
processor, and prints what went wrong. Of the damaged ones it reads one in four, and it leaves out what takes
long; `benchmarks/hostile.py` reads all.
"""

import os

if __name__ == "__main__":
    # Arrow's own allocator reserves a gigabyte of addresses, which would count against the limit.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"

import gzip
import io
import json
import random
import resource
import struct
import sys
import warnings
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice, starmap, takewhile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

MB = 2**20


def frame(n_rows=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "width": rng.normal(size=n_rows).round(3),
            "count": rng.integers(0, 9, n_rows),
            "colour": rng.choice(["red", "green, or blue", 'a "shade"', "été"], n_rows),
            "day": pd.date_range("2020", periods=n_rows),
            "flag": pd.array(rng.choice([True, False, None], n_rows), dtype="boolean"),
            "label": np.where(np.arange(n_rows) % 3, "yes", "no"),
        }
    )


def csv_of(table, encoding="utf-8", **options):
    return table.to_csv(index=False, **options).encode(encoding)


def parquet_of(table, **options):
    sink = io.BytesIO()
    table = pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table
    parquet.write_table(table if isinstance(table, pa.Table) else pa.table(table), sink, **options)
    return sink.getvalue()


def excel_of(table, **options):
    sink = io.BytesIO()
    table.to_excel(sink, index=False, **options)
    return repack(sink.getvalue(), {})  # the clock must not make other bytes of it


def damaged(seed=20):
    """Valid files with flipped bits, missing ends, and pieces wiped, repeated or taken out."""
    table = frame()
    arrow = {
        "list": pa.array([[1, 2], None, [3]] * 60),
        "amount": pa.array([Decimal("1.50"), None, Decimal("-2.25")] * 60),
        "when": pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * 180, pa.timestamp("us", "Europe/Berlin")),
        "kind": pa.array(["a", "b", None] * 60).dictionary_encode(),
        "label": pa.array(["yes", "no", "yes"] * 60),
    }  # fmt: skip
    encodings = {"count": "DELTA_BINARY_PACKED", "colour": "DELTA_BYTE_ARRAY",
                 "label": "DELTA_LENGTH_BYTE_ARRAY"}  # fmt: skip
    valid = {
        "plain.csv": csv_of(table),
        "quoted.csv": csv_of(table, quoting=1, sep=";"),
        "wide_signs.csv": csv_of(table, "utf-16"),
        "packed.csv.gz": gzip.compress(csv_of(table), mtime=0),
        "snappy.parquet": parquet_of(table),
        "zstd.parquet": parquet_of(table, compression="zstd", data_page_version="2.0", row_group_size=50),
        "plain.parquet": parquet_of(table, compression="none", use_dictionary=False),
        "delta.parquet": parquet_of(table[list(encodings)], use_dictionary=False, compression="gzip",
                                    column_encoding=encodings),
        "nested.parquet": parquet_of(arrow, compression="none"),
        "book.xlsx": excel_of(table),
        "stored.xlsx": repack(excel_of(table), {}, compression=zipfile.ZIP_STORED),
    }  # fmt: skip
    rng = random.Random(seed)  # noqa: S311
    for name, content in valid.items():
        for i in range(13):
            damage = bytearray(content)
            # Half of the flips hit the ends, where headers and directories stand.
            for _ in range(1 + i % 4):
                edge = rng.randrange(min(300, len(damage) - 1))
                damage[rng.choice([rng.randrange(len(damage)), edge, -1 - edge])] ^= (
                    1 << rng.randrange(8)
                )
            yield f"flipped_{i}_{name}", bytes(damage)
        for i in range(4):
            yield f"cut_{i}_{name}", content[: rng.randrange(1, len(content))]
        for i in range(5):
            start = rng.randrange(len(content))
            end = min(len(content), start + rng.randrange(1, 200))
            old = content[start:end]
            piece = [bytes(len(old)), b"\xff" * len(old), b"", old * 3][i % 4]
            yield f"patched_{i}_{name}", content[:start] + piece + content[end:]


# --- Text ------------------------------------------------------------------------------------


def hostile_text():
    good = csv_of(frame())
    digits = "1" * 400
    lone = "a,b\n\ud800,1\n\udfff,2\n"
    mixed = b"a,b,label\n" + b"1,True,x\n2,False,y\n" * 100_000
    yield from {
        "columns": ",".join(f"column{i}" for i in range(100_000)).encode() + b"\n1,2\n",
        "columns_blank": b"," * 100_000 + b"\n" + b"1," * 50 + b"\n",
        "columns_late": b"a,b\n1,2\n" + b"," * 100_000 + b"\n",
        "rows": b"a,b\n" + b"1,2\n" * 2_500_000,
        "rows_short": b"a,b\r" + b"1\r" * 3_000_000,
        "cells": ",".join(f"c{i}" for i in range(4_000)).encode() + b"\n" + b"1\n" * 10_000,
        "cells_unequal": ",".join(f"c{i}" for i in range(4_900)).encode() + b"\n" + b"\n1" * 1_000,
        "blank_lines": b"a,b\n" + b"\n" * 2_500_000,
        "blank_quoted": b"a,b\n" + b'"",""\n' * 300_000,
        "line": b"a,b\n1," + b"x" * 30 * MB,
        "line_of_signs": ("a,b\n1," + "x" * 3 * MB + "😀\n").encode(),
        "no_line_end": b"a" * 9 * MB,
        "quotes": b'"' * 8 * MB,
        "quotes_odd": b'a,b\n1,"' + b'""' * 4 * MB + b'",\n',
        "open_at_start": b'"a,b\n' + b"1,2\n" * 3_000_000,
        "open_late": b"a,b\n" + b"1,2\n" * 999 + b'3,"4\n' + b"5,6\n" * 2_000_000,
        "open_at_end": good + b'1,2,"x',
        "long_cell": b'a,b\n1,"' + b"x\n" * 9 * MB + b'"\n2,3\n',
        "hidden_ends": b'a,b\n1,"' + b'x"",\n' * 4 * MB + b'"\n2,3\n',
        "long_name": b"a" * 100_000 + b",b\n1,2\n",
        "long_names": b",".join([b"n" * 1000 + b"%d" % i for i in range(3000)]) + b"\n1,2",
        "number_names": f"{digits},1e999\n1,2\n".encode(),
        "number_late": b"a,label\n" + b"3,x\n4,y\n" * 90_000 + f"{digits},x\n".encode(),
        "nul": good[:500] + b"\x00" + good[500:],
        "nul_name": b"a\x00,b\n1,2\n",
        "nul_only": bytes(5_000),
        "nul_wide": "a,b\n\x00,2\n".encode("utf-16"),
        "surrogates": lone.encode("utf-8", "surrogatepass"),
        "surrogates_wide": b"\xff\xfe" + lone.encode("utf-16-le", "surrogatepass"),
        "overlong": b"a,b\n\xc0\xaf,1\n\xf8\x88\x80\x80\x80,2\n",
        "beyond": b"a,b\n\xf4\x90\x80\x80,1\n",
        "marks": b"\xef\xbb\xbf" * 3 + good,
        "mark_inside": good[:300] + b"\xef\xbb\xbf" + good[300:],
        "mark_latin": b"\xef\xbb\xbf" + "a,b\né,1\n".encode("latin-1"),
        "controls": b"a,b\n" + bytes(range(1, 32)) * 3 + b",2\n" + b"1,2\n" * 900,
        "latin_late": b"a,b\n" + b"x,2\n" * 2_000_000 + b"\xe9,1\n",
        "latin_all": b"a,b\n" + b"\xe9,\xe8\n" * 200_000,
        "undefined": b"a,b\n\x81\x8d,1\n",
        "wide_late": ("a,b\n" + "x,y\n" * 500_000 + "😀,z\n").encode(),
        "mixed_late": mixed + b"x,maybe,x\n",
        "mixed_first": b"a,b,label\nx,maybe,x\n" + mixed[10:],
        "missing_late": b"a,b,label\n" + b",,x\n,,y\n" * 200_000 + b"x,True,y\n",
        "formulas": b"a,b\n=cmd|' /C calc'!A0,1\n" * 30,
        "random": random.Random(1).randbytes(100_000),  # noqa: S311
        "random_text": bytes(random.Random(2).choices(b'ab1,;\t"\n\r .-', k=200_000)),  # noqa: S311
    }.items()  # fmt: skip
    numbers = (
        digits, f"-{digits}", f"0.{digits}", "1e999", "-1e-999", "0x1F", "+1", "1_000", "inf", "-nan",
        "9" * 5_000, "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e" + digits,
        "١٢٣", "１２３",
    )  # fmt: skip
    for i, number in enumerate(numbers):
        yield f"number_{i}.csv", f"a,label\n{number},x\n2,y\n".encode() + b"3,x\n4,y\n" * 20
    for encoding in (
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-7",
        "cp500",
        "gb18030",
    ):
        yield f"{encoding}.csv", good.decode().encode(encoding)
        yield f"{encoding}_odd.csv", good.decode().encode(encoding)[:-1]
    ragged = (
        "1,2,3", "1", ",,,,", '"1"2,3', '1,"2', "1,2,", '"', "'1,2'", '1;"2\n', "\\,\\", "1\r2", '""x"",1',
    )  # fmt: skip
    for i, row in enumerate(ragged):
        yield f"ragged_{i}.csv", b"a,b\n" + b"1,2\n" * 30 + row.encode() + b"\n" + b"3,4\n" * 30
        yield f"ragged_first_{i}.csv", b"a,b\n" + row.encode() + b"\n" + b"3,4\n" * 30
    headers = (
        ",,", "a,a", " a , a", "1.5,2", '"a', "=a,b", "sep=x", 'sep="\na"b', "sep=\\\na\\b", "\ufeff,b",
        "a\u2028b,c", "\x1b[31m,b", "Unnamed: 1,", "nan,None", "index,index", "'=a,=a",
    )  # fmt: skip
    for i, header in enumerate(headers):
        yield f"header_{i}.csv", f"{header}\n1,2\n".encode() + b"3,4\n5,6\n" * 20


def hostile_archives():
    good = csv_of(frame())
    packed = gzip.compress(good, mtime=0)
    names = gzip.compress(b"a,b\n", mtime=0)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("table.csv", good)
    yield from {
        "bomb.csv.gz": gzip.compress(bytes(10 * MB), mtime=0) * 200,
        "bomb_of_rows.csv.gz": names + gzip.compress(b"1,2\n" * MB, mtime=0) * 60,
        "bomb_of_lines.csv.gz": names + gzip.compress(b"x" * 10 * MB, mtime=0) * 19,
        "nested.csv.gz": gzip.compress(gzip.compress(packed, mtime=0), mtime=0),
        "empty.csv.gz": gzip.compress(b"", mtime=0),
        "junk.csv.gz": packed + b"junk" * 100,
        "zeros.csv.gz": packed + bytes(1_000),
        "name.csv.gz": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 3 * MB,
        "extra.csv.gz": b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(100),
        "method.csv.gz": b"\x1f\x8b\x09" + packed[3:],
        "book.xlsx.gz": gzip.compress(excel_of(frame()), mtime=0),
        "tar.gz": gzip.compress(b"name" + bytes(253) + b"ustar\x0000" + bytes(5_000), mtime=0),
        "table.zip": sink.getvalue(),
    }.items()


# --- Workbooks -------------------------------------------------------------------------------

SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def repack(book, parts, compression=zipfile.ZIP_DEFLATED, only=()):
    """A workbook with some of its parts replaced, added (bytes) or left out (None)."""
    source, sink = zipfile.ZipFile(io.BytesIO(book)), io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression, compresslevel=1) as archive:
        for path in dict.fromkeys([*source.namelist(), *parts]):
            content = parts.get(path, source.read(path) if path in source.NameToInfo else None)
            if path == "docProps/core.xml" or content is None:
                continue
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            odd = only and path not in only
            info.compress_type = zipfile.ZIP_DEFLATED if odd else compression
            archive.writestr(info, content, compresslevel=1)
    return sink.getvalue()


def sheet(cells, before=b"", after=b""):
    """A sheet's XML; `cells` is what stands in ``sheetData``."""
    cells = cells.encode() if isinstance(cells, str) else cells
    start = f'<?xml version="1.0"?><worksheet {NAMESPACE}>'.encode()
    return start + before + b"<sheetData>" + cells + b"</sheetData>" + after + b"</worksheet>"


def rows(*lines, at=1):
    text = ""
    for i, line in enumerate(lines, start=at):
        cells = "".join(f'<c r="{chr(65 + j)}{i}" {cell}</c>' for j, cell in enumerate(line))
        text += f'<row r="{i}">{cells}</row>'
    return text


def text_cell(text):
    return f't="inlineStr"><is><t>{text}</t></is>'


def letters(number):
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


def hostile_sheets():
    """What stands in the sheet, or the whole of its XML where it begins with one."""
    table = rows([text_cell("a"), text_cell("b")])
    table += rows(*([f"><v>{i}</v>", f"><v>{i % 3}</v>"] for i in range(2, 40)), at=2)
    far = (
        "XFD1048576", "A1048576", "A99999999999999999999", "A-5", "5", "", "a1", "Ä1",
        "AAAA1", "A1:B9",
    )  # fmt: skip
    for i, reference in enumerate(far):
        yield f"far_cell_{i}", table + f'<row r="50"><c r="{reference}"><v>7</v></c></row>'
    far = ("1048576", "-1", "0", "99999999999999999999999", "x", "1e5", "1.5", " 3 ", "9" * 5000)
    for i, number in enumerate(far):
        yield f"far_row_{i}", table + f'<row r="{number}"><c><v>7</v></c><c><v>8</v></c></row>'
    cells = (
        f"><v>{'1' * 400}</v>", f"><v>{'9' * 5000}</v>", "><v>1e999</v>", "><v>NaN</v>", "><v>INF</v>",
        "><v>x</v>", "><v> </v>", "><v/>", "><v>0x10</v>", "><v>1_000</v>", "><v>١٢</v>",
        't="e"><v>#DIV/0!</v>', 't="e"><v>#WHAT?</v>', 't="b"><v>2</v>', 't="b"><v>maybe</v>',
        't="s"><v>99999999</v>', 't="s"><v>-1</v>', 't="s"><v>x</v>', 't="q"><v>1</v>',
        't="d"><v>2020-02-30</v>', 't="d"><v>99999-01-01</v>', 's="99999"><v>1</v>', 's="-1"><v>1</v>',
        's="x"><v>1</v>', 's="2"><v>1e12</v>', 's="2"><v>-700000</v>', 's="2"><v>nan</v>', 's="2"><v>0</v>',
        't="str"><f>1+1</f><v>=cmd</v>', 't="str"><v>&#xD800;</v>', 't="str"><v>&#0;</v>',
        't="str"><v>_xD800_</v>', 't="str"><v>&who;</v>', "><v><v>1</v><c><v>2</v></c></v>",
        't="inlineStr"><is><r><t>x</t></r><rPh><t>aid</t></rPh><r><t>y</t></r></is>', "><v>1</v><v>2</v>",
    )  # fmt: skip
    for i, cell in enumerate(cells):
        yield f"cell_{i}", table + f'<row r="50"><c r="A50" {cell}</c></row>'
    whole = sheet(table)
    prefixed = whole.replace(b"<", b"<x:").replace(b"<x:/", b"</x:").replace(b"<x:?", b"<?")
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
    declared = (
        b'<!DOCTYPE x [<!ENTITY a0 "ha">' + laughs + b"]>", b'<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE x [<!ENTITY who SYSTEM "file:///etc/passwd">]>', b"<!DOCTYPE x>",
        b'<!DOCTYPE x [<!ENTITY a9 "' + b"x" * MB + b'">]>',
    )  # fmt: skip
    for i, declaration in enumerate(declared):
        text = sheet(table + '<row><c t="str"><v>' + "&a9;" * 200 + "</v></c></row>")
        yield f"definitions_{i}", text.replace(b"?>", b"?>" + declaration, 1)
    steps = (
        f'<row r="{i}"><c r="{letters(1 + i % 4900)}{i}"><v>1</v></c></row>'
        for i in range(1, 30_000)
    )
    yield from {
        "dimension": sheet(table, b'<dimension ref="A1:XFD1048576"/>'),
        "diagonal": "".join(steps),
        "columns": f"<row>{''.join(f'<c><v>{i}</v></c>' for i in range(1, 16_385))}</row>",
        "one_row_of_many": '<row r="1">' + '<c r="A1"><v>1</v></c>' * 400_000 + "</row>",
        "cells": table + "<row><c><v>1</v></c><c><v>2</v></c></row>" * 1_100_000,
        "elements": b"<x/>" * 7_000_000,
        "elements_nested": b"<c>" * 3_000_000,
        "attributes": b"<row " + b" ".join(b'a%d=""' % i for i in range(1_000_000)) + b"/>",
        "spaces": b" " * 60 * MB,
        "comment": b"<!--" + b"x" * 60 * MB + b"-->",
        "instruction": b"<?x " + b"x" * 5 * MB + b"?>",
        "many_texts": b'<row><c t="inlineStr"><is>' + b"<t>x</t>" * 3_000_000 + b"</is></c></row>",
        "long_text": table + rows([text_cell("x" * 10 * MB), "><v>1</v>"], at=50),
        "blank": "",
        "cut": whole[:-40],
        "no_xml": b"<?no XML at all",
        "utf16": whole.decode().replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"),
        "odd_encoding": whole.replace(b"?>", b' encoding="KOI-99"?>', 1),
        "prefixed": prefixed.replace(b"xmlns=", b"xmlns:x="),
    }.items()  # fmt: skip


def hostile_workbooks():
    book = excel_of(frame(20))
    for name, cells in hostile_sheets():
        is_whole = isinstance(cells, bytes) and cells.startswith((b"<?", b"\xff\xfe"))
        yield f"{name}.xlsx", repack(book, {SHEET: cells if is_whole else sheet(cells)})
    table = rows([text_cell("a"), text_cell("b")], ["><v>1</v>", "><v>2</v>"])
    many = table + '<row><c t="s"><v>0</v></c><c><v>2</v></c></row>' * 200_000
    strings = {
        "long": (b"<si><t>" + b"x" * 32_000 + b"</t></si>", many),
        "many": (b"<si><t/></si>" * 5_000_000, table),
        "runs": (b"<si>" + b"<r><t>x</t></r>" * 900_000 + b"</si>", table),
        "wide": (("<si><t>" + "😀" + "x" * 30_000 + "</t></si>").encode() * 3_000, table),
        "cut": (b"<si><t>x", table),
    }
    for name, (items, cells) in strings.items():
        text = f"<?xml version='1.0'?><sst {NAMESPACE}>".encode() + items + b"</sst>"
        yield f"strings_{name}.xlsx", repack(book, {STRINGS: text, SHEET: sheet(cells)})
    yield "strings_none.xlsx", repack(book, {STRINGS: None, SHEET: sheet(many[:400] + "</row>")})
    for path in ("xl/workbook.xml", RELATIONS, "xl/styles.xml", SHEET, "[Content_Types].xml"):
        short = path.rpartition("/")[2].strip("[")
        yield f"without_{short}.xlsx", repack(book, {path: None})
        yield f"emptied_{short}.xlsx", repack(book, {path: b""})
        yield f"filled_{short}.xlsx", repack(book, {path: b"<a>" + b"<b/>" * 600_000 + b"</a>"})
    codes = b"".join(
        b'<numFmt numFmtId="%d" formatCode="%s"/>' % (i, b"[" * 3_000) for i in range(2_000)
    )
    styles = {
        "many": b"<cellXfs>" + b'<xf numFmtId="14"/>' * 700_000 + b"</cellXfs>",
        "word": b'<cellXfs><xf numFmtId="x"/></cellXfs>',
        "codes": codes + b'<cellXfs><xf numFmtId="3"/></cellXfs>',
    }
    for name, content in styles.items():
        text = (
            f"<?xml version='1.0'?><styleSheet {NAMESPACE}>".encode() + content + b"</styleSheet>"
        )
        yield f"styles_{name}.xlsx", repack(book, {"xl/styles.xml": text})
    related = zipfile.ZipFile(io.BytesIO(book)).read(RELATIONS)
    targets = (
        b"../../../etc/passwd", b"http://127.0.0.1/x", b"/xl/worksheets/none.xml", b"", b"x" * 70_000,
    )  # fmt: skip
    for i, target in enumerate(targets):
        text = related.replace(b"/xl/worksheets/sheet1.xml", target)
        yield f"path_{i}.xlsx", repack(book, {RELATIONS: text})
    yield "parts.xlsx", repack(book, {f"p{i}": b"" for i in range(21_000)})
    for name, method in {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items():
        yield f"{name}.xlsx", repack(book, {SHEET: sheet(b" " * 50 * MB)}, method, only=(SHEET,))
    place = book.rindex(b"PK\x01\x02", 0, book.rindex(SHEET.encode()))
    for offset in (8, 10, 16, 20, 24, 27, 42):  # flags, method, check sum, sizes, place
        lie = bytearray(book)
        lie[place + offset] ^= 0x51
        yield f"lie_{offset}.xlsx", bytes(lie)
    yield (
        "far_directory.xlsx",
        book[: book.rindex(b"PK\x05\x06") + 16] + b"\xf0\xff\xff\xff\x00\x00",
    )
    yield "comment_zip.xlsx", book[:-2] + b"\xff\xff" + bytes(65_535)
    yield "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5_000)


# --- Parquet ---------------------------------------------------------------------------------


def hostile_types():
    """Columns of every type that Arrow writes, with values at the ends of their ranges."""
    numbers = {"far": [2**62, 0, -(2**62)] * 8, "small": [0, 1, None] * 8}
    far = pa.array(numbers["far"], pa.int64())
    kinds = {
        "date": pa.array([0, 2**31 - 1, -(2**31)] * 8, pa.int32()).view(pa.date32()),
        "date_known": pa.array([date(1, 1, 1), date(9999, 12, 31), None] * 8),
        "stamp_ms": pa.array([2**60, 0, -(2**60)] * 8, pa.int64()).view(pa.timestamp("ms")),
        "stamp_us": far.view(pa.timestamp("us")),
        "stamp_ns": far.view(pa.timestamp("ns")),
        "stamp_zone": pa.array(numbers["small"], pa.timestamp("us", "Asia/Tokyo")),
        "stamp_nowhere": pa.array(numbers["small"], pa.timestamp("us", "Mars/Base")),
        "stamp_odd": pa.array(numbers["small"], pa.timestamp("us", "+99:99")),
        "stamp_zone_far": far.view(pa.timestamp("us", "UTC")),
        "time": pa.array([time(1), time(23, 59), None] * 8),
        "time_far": pa.array([2**60, 0, -5] * 8, pa.int64()).view(pa.time64("us")),
        "duration": pa.array([timedelta(1), timedelta(-9), None] * 8),
        "duration_far": far.view(pa.duration("ms")),
        "decimal": pa.array([Decimal("1" * 38), Decimal("-0.5"), None] * 8),
        "decimal_wide": pa.array([Decimal("1" * 70), Decimal(0), None] * 8, pa.decimal256(76, 0)),
        "binary": pa.array([b"\xff\x00", b"", None] * 8),
        "fixed": pa.array([b"1234", b"\x00" * 4, None] * 8, pa.binary(4)),
        "half": pa.array(np.array([1, np.inf, np.nan] * 8, np.float16)),
        "null": pa.nulls(24),
        "truth": pa.array([True, None, False] * 8),
        "unsigned": pa.array([2**64 - 1, 0, None] * 8, pa.uint64()),
        "infinite": pa.array([np.inf, -np.inf, np.nan] * 8),
        "list": pa.array([[1], [], None] * 8),
        "list_deep": pa.array([[[[[1]]]], [], None] * 8),
        "list_null": pa.array([[None] * 9, [], None] * 8, pa.list_(pa.null())),
        "fixed_list": pa.array([[1, 2], None, [3, 4]] * 8, pa.list_(pa.int8(), 2)),
        "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": ""}] * 8),
        "struct_none": pa.array([{"x": None}, None, {"x": None}] * 8, pa.struct([("x", pa.null())])),
        "map": pa.array([[("k", 1)], [], None] * 8, pa.map_(pa.string(), pa.int32())),
        "category": pa.array(["a", None, "b"] * 8).dictionary_encode(),
        "category_twice": pa.DictionaryArray.from_arrays(pa.array([0, 1, 1] * 8), pa.array(["a", "a"])),
        "category_number": pa.DictionaryArray.from_arrays(pa.array([0, 1, 1] * 8), pa.array([1.5, 2.5])),
        "view": pa.array(["a", None, "b" * 50] * 8, pa.string_view()),
        "large": pa.array(["a", None, "b"] * 8, pa.large_string()),
        "wide_text": pa.array(["\x00", "\r\n", "=1+1"] * 8),
        "broken_text": pa.array([b"\xff\xfe", b"\xed\xa0\x80", b"ok"] * 8).view(pa.string()),
        "broken_category": pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 1] * 8), pa.array([b"\xff", b"ok"]).view(pa.string())),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 24, pa.binary(16))),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"] * 24)),
    }  # fmt: skip
    for name, column in kinds.items():
        content = parquet_of({"a": range(24), "odd": column, "label": ["x", "y"] * 12})
        yield f"type_{name}.parquet", content


def hostile_metadata():
    """Files whose pandas metadata are damaged or speak of another table."""
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    good = json.loads(table.schema.metadata[b"pandas"])

    def columns(**parts):
        return {"columns": [column | parts for column in good["columns"]]}

    def labels(kind):
        one = {
            "name": "x", "field_name": "x", "metadata": None, "pandas_type": kind, "numpy_type": kind,
        }  # fmt: skip
        return {"column_indexes": [one]}

    def counting(**parts):
        return {
            "index_columns": [
                {"kind": "range", "name": "r", "start": 0, "stop": 200, "step": 1} | parts
            ]
        }

    zone = {"pandas_type": "datetimetz", "metadata": {"timezone": "Mars/Base"}}
    huge = {"pandas_type": "categorical", "metadata": {"num_categories": 10**12, "ordered": True}}
    raw = (b"{", b"\xff\xfe", b"[]", b"7", b"", b"null", b"[" * 100_000, b"{}",
           b'{"index_columns": ' + b"9" * 5_000 + b"}")  # fmt: skip
    changes = (
        *({"index_columns": index} for index in (["absent"], ["width", "width"], ["day"], [5], None, "width",
                                                 [column["name"] for column in good["columns"]])),
        counting(name=None, stop=10**15), counting(step=0), counting(start="x"), counting(kind="what"),
        {"columns": []}, {"columns": None}, {"columns": [7]}, columns(pandas_type="what", numpy_type="what"),
        columns(pandas_type="categorical"), columns(**huge), columns(**zone),
        *(columns(numpy_type=kind) for kind in ("datetime64[fs]", "object", "Int64", "string",
                                                "Sparse[float64, nan]", "period[D]")),
        columns(name="width", field_name="width"), columns(name=None), labels("datetime64[ns]"),
        labels("int64"), {"column_indexes": [{"name": "x"}] * 3}, {"column_indexes": None},
    )  # fmt: skip
    for i, metadata in enumerate(
        [*raw, *(json.dumps(good | change).encode() for change in changes)]
    ):
        schema = table.schema.with_metadata({b"pandas": metadata})
        yield f"metadata_{i}.parquet", parquet_of(table.cast(schema))
    for i, metadata in enumerate((b"???", b"/////4gBAAAQAAAA", b"")):
        other = table.replace_schema_metadata({b"ARROW:other_": metadata})
        content = parquet_of(other, store_schema=False).replace(b"ARROW:other_", b"ARROW:schema")
        yield f"schema_{i}.parquet", content
    yield "schema_long.parquet", parquet_of(table.replace_schema_metadata({b"x": b"y" * 17 * MB}))


def hostile_parquet():
    n = 1_000_000
    one = pa.array(np.zeros(n, np.int8))
    few = one[:20]
    long = pa.DictionaryArray.from_arrays(one, pa.array(["x" * 100_000]))
    fixed = pa.DictionaryArray.from_arrays(one[:20_000], pa.array([b"x" * 3_000], pa.binary(3_000)))
    nested = pa.ListArray.from_arrays(pa.array(np.arange(1001) * 1000, pa.int32()), long)
    prefixed = {"a": pa.array(["x" * 30_000] * 1_500), "b": one[:1500]}
    ends = pa.array([0, 25 * n], pa.int32())
    deep = pa.array([[1]])
    for _ in range(60):
        deep = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), deep)
    yield from {
        "unfolding_text": parquet_of({"a": long, "b": one}, store_schema=False),
        "unfolding_category": parquet_of({"a": long, "b": one}),
        "unfolding_fixed": parquet_of({"a": fixed, "b": one[:20_000]}),
        "unfolding_list": parquet_of({"a": nested, "b": one[:1000]}, store_schema=False),
        "unfolding_prefix": parquet_of(prefixed, use_dictionary=False,
                                       column_encoding={"a": "DELTA_BYTE_ARRAY", "b": "PLAIN"}),
        "rows": parquet_of({"a": np.zeros(3 * n, np.int8), "b": np.ones(3 * n, np.int8)}),
        "cells": parquet_of({f"c{i}": one for i in range(30)}),
        "lists": parquet_of({"a": pa.ListArray.from_arrays(ends, pa.array(np.zeros(25 * n, np.int8)))}),
        "lists_null": parquet_of({"a": pa.ListArray.from_arrays(ends, pa.nulls(25 * n))}),
        "objects": parquet_of(dict.fromkeys("abc", pa.array(np.zeros(n, np.int64)).view(pa.time64("us")))),
        "decimals": parquet_of({f"c{i}": one.cast(pa.decimal128(5, 2)) for i in range(3)}),
        "pages": parquet_of({"a": np.arange(60_000), "b": np.arange(60_000)}, data_page_size=1,
                            write_batch_size=1, use_dictionary=False),
        "groups": parquet_of({f"c{i}": np.arange(300) for i in range(50)}, row_group_size=1),
        "columns": parquet_of({f"c{i}": [1.0] for i in range(8_000)}),
        "leaves": parquet_of({"a": [{f"c{i}": 1 for i in range(6_000)}] * 20}),
        "twice": parquet_of(pa.Table.from_arrays([few] * 2, names=["a", "a"])),
        "no_names": parquet_of(pa.Table.from_arrays([few] * 2, names=["", " "])),
        "odd_names": parquet_of(pa.Table.from_arrays([few] * 3, names=["a\nb", "a.b", "=x\x00"])),
        "long_name": parquet_of(pa.Table.from_arrays([few] * 2, names=["a" * MB, "b"])),
        "dots": parquet_of({"a.b": few, "a": [{"b": 1}] * 20}),
        "no_columns": parquet_of({}),
        "no_rows": parquet_of({"a": pa.array([], pa.string())}),
        "deep": parquet_of({"a": deep, "b": [1]}),
    }.items()  # fmt: skip
    schema = b"\x15\x04\x19\x2c\x48\x06schema\x15\x02\x00\x15\x02\x25\x00\x18\x01a\x00\x16\x00\x19"
    column = b"\x19\x1c\x26\x00\x00\x16\x00\x16\x00\x00"
    footers = {
        "groups": schema + b"\xfc\x98\x75" + column * 15_000 + b"\x00",
        "groups_claimed": schema + b"\xfc\xa0\xf7\x36",
        "text": b"\x15\x04\x19\x1c\x48\xff\xff\xff\xff\x0f",
        "zeros": bytes(20 * MB),
        "nested": b"\x1c" * 100_000,
    }
    for name, footer in footers.items():  # few bytes that become large lists of large structs
        yield f"footer_{name}.parquet", b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
    content = parquet_of(frame())
    for i, size in enumerate((0, 7, 2**31 - 1, 2**32 - 1, len(content) - 8, len(content))):
        yield f"footer_size_{i}.parquet", content[:-8] + struct.pack("<I", size) + b"PAR1"
    yield "encrypted.parquet", b"PARE" + content[4:-4] + b"PARE"
    yield "body_elsewhere.parquet", content[:4] + bytes(300) + content[4:]


KINDS = (
    hostile_text, hostile_archives, hostile_workbooks, hostile_types, hostile_metadata, hostile_parquet,
    damaged,
)  # fmt: skip


# Each takes a second or more and does what another file does, too.
LONG = {
    "bomb_of_lines.csv.gz", "cells_unequal", "cells.xlsx", "columns.xlsx", "far_cell_1.xlsx",
    "far_cell_8.xlsx", "far_row_0.xlsx", "lists_null", "objects", "strings_many.xlsx", "wide_late",
}  # fmt: skip


def hostile_files():
    """Yield name and content of those that the tests read, always the same."""
    kinds = (islice(make(), 0, None, 4 if make is damaged else 1) for make in KINDS)
    for name, content in chain.from_iterable(kinds):
        if name in LONG:
            continue
        kind = "" if "." in name else ".parquet" if content[:4] == b"PAR1" else ".csv"
        yield name + kind, content


# --- Reading them ------------------------------------------------------------------------------


def check_sentence(error):
    message = str(error)
    assert message.endswith("."), f"no sentence: {message[:300]!r}"
    assert ": " in message, f"nothing to do: {message[:300]!r}"
    assert message.isprintable(), f"more than a line: {message[:300]!r}"
    assert len(message) < 600, f"more than a sentence: {message[:300]!r}"


def outcome(name, content):
    """Return "read", "refused" or "memory", or raise what is wrong."""
    from ecoval_core.tables import TableError, make_table, read_frame

    try:
        frame = read_frame(content, name)
    except TableError as error:
        check_sentence(error)
        return "refused"
    except MemoryError:
        return "memory"
    assert frame.index.equals(pd.RangeIndex(len(frame)))
    assert all(isinstance(column, str) for column in frame.columns)
    try:
        make_table(frame, name)
    except TableError as error:
        check_sentence(error)
    except MemoryError:
        return "memory"
    return "read"


def in_limited_process(work, n_bytes=2**30, seconds=10):
    """Iterate over `work` in a fork that may take so much more memory and processor; list what it says."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    read_end, write_end = os.pipe()
    if (process := os.fork()) == 0:
        try:
            resource.setrlimit(
                resource.RLIMIT_DATA, (pages * resource.getpagesize() + n_bytes,) * 2
            )
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where Rust writes how its memory ended
            try:
                for said in work:
                    os.write(write_end, f"{said}\n".encode())
            except BaseException as error:
                os.write(write_end, f"trouble: {error!r:.1000}\n".encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read().decode().splitlines()
    _, status = os.waitpid(process, 0)
    return [*said, f"ended by signal {os.WTERMSIG(status)}"] if os.WIFSIGNALED(status) else said


def check():
    """Read every file with little memory; print a line of JSON for each outcome that is none."""
    import skrub  # noqa: F401 - as in a worker, imported before memory is limited

    import ecoval_core.tables  # noqa: F401

    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DeprecationWarning)
    outcomes, files = Counter(), hostile_files()
    # To fork takes longer than to read most files: many are read in one process.
    while batch := list(islice(files, 16)):
        while batch:
            said = in_limited_process(starmap(outcome, batch))
            ended = list(takewhile({"read", "refused"}.__contains__, said))
            outcomes.update(ended)
            if not (batch := batch[len(ended) :]):
                break
            # What those before it took was counted, too: the limits are those of one file.
            (name, content), *batch = batch
            print(name, file=sys.stderr, flush=True)  # noqa: T201
            (said,) = in_limited_process(starmap(outcome, [(name, content)]))
            if said.startswith("trouble"):
                print(json.dumps({"file": name, "trouble": said}))  # noqa: T201
            outcomes[said.partition(":")[0]] += 1
    print(json.dumps(outcomes))  # noqa: T201


if __name__ == "__main__":
    check() if sys.argv[1:] == ["--check"] else sys.exit(__doc__)
