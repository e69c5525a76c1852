"""Hundreds of files that a stranger could upload to bring a server down, always the same ones.

``python tests/hostile_files.py FOLDER`` writes them; ``--check`` reads each with a gigabyte of memory and
prints what went wrong. `hostile_files` yields them one by one.
"""

import os

if __name__ == "__main__":
    # Arrow's own allocator reserves a gigabyte of addresses, which would count against the limit.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"

import gzip
import io
import json
import random
import struct
import sys
import warnings
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

MB = 2**20
N_FILES = 638


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
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table)
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def excel_of(table, **options):
    sink = io.BytesIO()
    table.to_excel(sink, index=False, **options)
    # The clock must not make other bytes of it.
    return repack(sink.getvalue(), {})


# --- Damage ----------------------------------------------------------------------------------


def valid_files():
    table = frame()
    arrow = pa.table(
        {
            "list": pa.array([[1, 2], None, [3]] * 60),
            "amount": pa.array([Decimal("1.50"), None, Decimal("-2.25")] * 60),
            "when": pa.array(
                [datetime(2020, 1, 1, tzinfo=UTC)] * 180, pa.timestamp("us", "Europe/Berlin")
            ),
            "kind": pa.array(["a", "b", None] * 60).dictionary_encode(),
            "label": pa.array(["yes", "no", "yes"] * 60),
        }
    )
    yield "plain.csv", csv_of(table)
    yield "quoted.csv", csv_of(table, quoting=1, sep=";")
    yield "wide_signs.csv", csv_of(table, "utf-16")
    yield "packed.csv.gz", gzip.compress(csv_of(table), mtime=0)
    yield "snappy.parquet", parquet_of(table)
    yield (
        "zstd.parquet",
        parquet_of(table, compression="zstd", data_page_version="2.0", row_group_size=50),
    )
    yield "plain.parquet", parquet_of(table, compression="none", use_dictionary=False)
    yield "delta.parquet", parquet_of(
        pa.Table.from_pandas(table[["count", "colour", "label"]]), use_dictionary=False, compression="gzip",
        column_encoding={"count": "DELTA_BINARY_PACKED", "colour": "DELTA_BYTE_ARRAY",
                         "label": "DELTA_LENGTH_BYTE_ARRAY"},
    )  # fmt: skip
    yield "nested.parquet", parquet_of(arrow, compression="none")
    yield "book.xlsx", excel_of(table)
    stored = zipfile.ZIP_STORED
    yield "stored.xlsx", repack(excel_of(table), {}, compression=stored)


def damaged(seed=20):
    """Valid files with flipped bits, missing ends, and pieces wiped, repeated or taken out."""
    rng = random.Random(seed)  # noqa: S311
    for name, content in valid_files():
        for i in range(13):
            damage = bytearray(content)
            # Half of the flips hit the ends, where headers and directories stand.
            for _ in range(1 + i % 4):
                edge = min(300, len(damage) - 1)
                place = rng.choice(
                    [rng.randrange(len(damage)), rng.randrange(edge), -1 - rng.randrange(edge)]
                )
                damage[place] ^= 1 << rng.randrange(8)
            yield f"flipped_{i}_{name}", bytes(damage)
        for i in range(4):
            yield f"cut_{i}_{name}", content[: rng.randrange(1, len(content))]
        for i in range(5):
            start = rng.randrange(len(content))
            end = min(len(content), start + rng.randrange(1, 200))
            piece = [b"\x00" * (end - start), b"\xff" * (end - start), b"", content[start:end] * 3][
                i % 4
            ]
            yield f"patched_{i}_{name}", content[:start] + piece + content[end:]


# --- Text ------------------------------------------------------------------------------------


def hostile_text():
    good = csv_of(frame())
    digits = "1" * 400
    yield "columns.csv", ",".join(f"column{i}" for i in range(100_000)).encode() + b"\n1,2\n"
    yield "columns_blank.csv", b"," * 100_000 + b"\n" + b"1," * 50 + b"\n"
    yield "columns_late.csv", b"a,b\n1,2\n" + b"," * 100_000 + b"\n"
    yield "rows.csv", b"a,b\n" + b"1,2\n" * 2_500_000
    yield "rows_short.csv", b"a,b\r" + b"1\r" * 3_000_000
    yield "cells.csv", ",".join(f"c{i}" for i in range(4_000)).encode() + b"\n" + b"1\n" * 10_000
    yield (
        "cells_unequal.csv",
        ",".join(f"c{i}" for i in range(4_900)).encode() + b"\n" + b"\n1" * 1_000,
    )
    yield "blank_lines.csv", b"a,b\n" + b"\n" * 2_500_000
    yield "blank_quoted.csv", b"a,b\n" + b'"",""\n' * 300_000
    yield "line.csv", b"a,b\n1," + b"x" * 30 * MB
    yield "line_of_signs.csv", ("a,b\n1," + "x" * 3 * MB + "😀\n").encode()
    yield "no_line_end.csv", b"a" * 9 * MB
    yield "quotes.csv", b'"' * 8 * MB
    yield "quotes_odd.csv", b'a,b\n1,"' + b'""' * 4 * MB + b'",\n'
    yield "open_at_start.csv", b'"a,b\n' + b"1,2\n" * 3_000_000
    yield "open_late.csv", b"a,b\n" + b"1,2\n" * 999 + b'3,"4\n' + b"5,6\n" * 2_000_000
    yield "open_at_end.csv", good + b'1,2,"x'
    yield "long_cell.csv", b'a,b\n1,"' + b"x\n" * 9 * MB + b'"\n2,3\n'
    yield "hidden_ends.csv", b'a,b\n1,"' + b'x"",\n' * 4 * MB + b'"\n2,3\n'
    yield "long_name.csv", b"a" * 100_000 + b",b\n1,2\n"
    yield (
        "long_names.csv",
        b"\n".join([b",".join([b"n" * 1000 + b"%d" % i for i in range(3000)]), b"1,2"]),
    )
    for name, number in {
        "digits": digits, "minus": f"-{digits}", "fraction": f"0.{digits}", "power": "1e999",
        "power_minus": "-1e-999", "hex": "0x1F", "plus": "+1", "under": "1_000", "inf": "inf",
        "nan": "-nan", "5000": "9" * 5_000, "64": "18446744073709551615", "65": "18446744073709551616",
        "63": "-9223372036854775809", "exponent": "1e" + digits, "arabic": "١٢٣", "full": "１２３",
    }.items():  # fmt: skip
        yield f"number_{name}.csv", f"a,label\n{number},x\n2,y\n".encode() + b"3,x\n4,y\n" * 20
    yield "number_names.csv", f"{digits},1e999\n1,2\n".encode()
    yield "number_late.csv", b"a,label\n" + b"3,x\n4,y\n" * 90_000 + f"{digits},x\n".encode()
    yield "nul.csv", good[:500] + b"\x00" + good[500:]
    yield "nul_name.csv", b"a\x00,b\n1,2\n"
    yield "nul_only.csv", bytes(5_000)
    yield "nul_wide.csv", "a,b\n\x00,2\n".encode("utf-16")
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
    lone = "a,b\n\ud800,1\n\udfff,2\n"
    yield "surrogates.csv", lone.encode("utf-8", "surrogatepass")
    yield "surrogates_wide.csv", b"\xff\xfe" + lone.encode("utf-16-le", "surrogatepass")
    yield "overlong.csv", b"a,b\n\xc0\xaf,1\n\xf8\x88\x80\x80\x80,2\n"
    yield "beyond.csv", b"a,b\n\xf4\x90\x80\x80,1\n"
    yield "marks.csv", b"\xef\xbb\xbf" * 3 + good
    yield "mark_inside.csv", good[:300] + b"\xef\xbb\xbf" + good[300:]
    yield "mark_latin.csv", b"\xef\xbb\xbf" + "a,b\né,1\n".encode("latin-1")
    yield "controls.csv", b"a,b\n" + bytes(range(1, 32)) * 3 + b",2\n" + b"1,2\n" * 900
    yield "latin_late.csv", b"a,b\n" + b"x,2\n" * 2_000_000 + b"\xe9,1\n"
    yield "latin_all.csv", b"a,b\n" + b"\xe9,\xe8\n" * 200_000
    yield "undefined.csv", b"a,b\n\x81\x8d,1\n"
    yield "wide_late.csv", ("a,b\n" + "x,y\n" * 500_000 + "😀,z\n").encode()
    for i, row in enumerate(
        (
            "1,2,3",
            "1",
            ",,,,",
            '"1"2,3',
            '1,"2',
            "1,2,",
            '"',
            "'1,2'",
            '1;"2\n',
            "\\,\\",
            "1\r2",
            '""x"",1',
        )
    ):
        yield f"ragged_{i}.csv", b"a,b\n" + b"1,2\n" * 30 + row.encode() + b"\n" + b"3,4\n" * 30
        yield f"ragged_first_{i}.csv", b"a,b\n" + row.encode() + b"\n" + b"3,4\n" * 30
    for i, header in enumerate(
        (",,", "a,a", " a , a", "1.5,2", '"a', "=a,b", "sep=x", 'sep="\na"b', "sep=\\\na\\b", "\ufeff,b",
         "a\u2028b,c", "\x1b[31m,b", "Unnamed: 1,", "nan,None", "index,index", "'=a,=a")
    ):  # fmt: skip
        yield f"header_{i}.csv", f"{header}\n1,2\n".encode() + b"3,4\n5,6\n" * 20
    mixed = b"a,b,label\n" + b"1,True,x\n2,False,y\n" * 100_000
    yield "mixed_late.csv", mixed + b"x,maybe,x\n"
    yield "mixed_first.csv", b"a,b,label\nx,maybe,x\n" + mixed[10:]
    yield "missing_late.csv", b"a,b,label\n" + b",,x\n,,y\n" * 200_000 + b"x,True,y\n"
    yield "formulas.csv", b"a,b\n=cmd|' /C calc'!A0,1\n" * 30
    yield "random.csv", random.Random(1).randbytes(100_000)  # noqa: S311
    yield "random_text.csv", bytes(random.Random(2).choices(b'ab1,;\t"\n\r .-', k=200_000))  # noqa: S311


def hostile_archives():
    good = csv_of(frame())
    member = gzip.compress(bytes(10 * MB), mtime=0)
    yield "bomb.csv.gz", member * 200
    yield (
        "bomb_of_rows.csv.gz",
        gzip.compress(b"a,b\n", mtime=0) + gzip.compress(b"1,2\n" * MB, mtime=0) * 60,
    )
    yield (
        "bomb_of_lines.csv.gz",
        gzip.compress(b"a,b\n", mtime=0) + gzip.compress(b"x" * 10 * MB, mtime=0) * 19,
    )
    yield (
        "nested.csv.gz",
        gzip.compress(gzip.compress(gzip.compress(good, mtime=0), mtime=0), mtime=0),
    )
    yield "empty.csv.gz", gzip.compress(b"", mtime=0)
    yield "junk.csv.gz", gzip.compress(good, mtime=0) + b"junk" * 100
    yield "zeros.csv.gz", gzip.compress(good, mtime=0) + bytes(1_000)
    yield "name.csv.gz", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 3 * MB
    yield "extra.csv.gz", b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(100)
    yield "method.csv.gz", b"\x1f\x8b\x09" + gzip.compress(good)[3:]
    yield "book.xlsx.gz", gzip.compress(excel_of(frame()), mtime=0)
    yield "tar.gz", gzip.compress(b"name" + bytes(253) + b"ustar\x0000" + bytes(5_000), mtime=0)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("table.csv", good)
    yield "table.zip", sink.getvalue()


# --- Workbooks -------------------------------------------------------------------------------

SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_WRITTEN_AT = (2020, 1, 1, 0, 0, 0)


def repack(book, parts, compression=zipfile.ZIP_DEFLATED, only=()):
    """A workbook with some of its parts replaced, added (bytes) or left out (None)."""
    source, sink = zipfile.ZipFile(io.BytesIO(book)), io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression, compresslevel=1) as archive:
        for path in dict.fromkeys([*source.namelist(), *parts]):
            content = parts.get(path, source.read(path) if path in source.NameToInfo else None)
            if path == "docProps/core.xml" or content is None:
                continue
            info = zipfile.ZipInfo(path, _WRITTEN_AT)
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


HEAD = rows([text_cell("a"), text_cell("b")])


def hostile_workbooks():
    book = excel_of(frame(20))
    names = rows([text_cell("a"), text_cell("b")])
    numbers = "".join(
        f'<row r="{i}"><c r="A{i}"><v>{i}</v></c><c r="B{i}"><v>{i % 3}</v></c></row>'
        for i in range(2, 40)
    )

    def with_sheet(cells, before=b"", after=b""):
        return repack(book, {SHEET: sheet(cells, before, after)})

    for i, reference in enumerate(
        (
            "XFD1048576",
            "A1048576",
            "XFD2",
            "ZZZ9",
            "A99999999999999999999",
            "A-5",
            "5",
            "",
            "a1",
            "Ä1",
            "AAAA1",
            "A1:B9",
        )
    ):
        yield (
            f"far_cell_{i}.xlsx",
            with_sheet(names + numbers + f'<row r="50"><c r="{reference}"><v>7</v></c></row>'),
        )
    for i, number in enumerate(
        ("1048576", "-1", "0", "99999999999999999999999", "x", "1e5", "1.5", " 3 ", "9" * 5000)
    ):
        yield (
            f"far_row_{i}.xlsx",
            with_sheet(names + numbers + f'<row r="{number}"><c><v>7</v></c><c><v>8</v></c></row>'),
        )
    yield "dimension.xlsx", with_sheet(names + numbers, b'<dimension ref="A1:XFD1048576"/>')
    yield (
        "diagonal.xlsx",
        with_sheet(
            "".join(
                f'<row r="{i}"><c r="{letters(1 + i % 4900)}{i}"><v>1</v></c></row>'
                for i in range(1, 30_000)
            )
        ),
    )
    yield (
        "columns.xlsx",
        with_sheet(
            '<row r="1">'
            + "".join(f'<c r="{letters(i)}1"><v>{i}</v></c>' for i in range(1, 16_385))
            + "</row>"
        ),
    )
    yield (
        "one_row_of_many.xlsx",
        with_sheet('<row r="1">' + '<c r="A1"><v>1</v></c>' * 400_000 + "</row>"),
    )
    yield "cells.xlsx", with_sheet(names + "<row><c><v>1</v></c><c><v>2</v></c></row>" * 1_100_000)
    for name, cell in {
        "digits": f"><v>{'1' * 400}</v>", "5000": f"><v>{'9' * 5000}</v>", "power": "><v>1e999</v>",
        "nan": "><v>NaN</v>", "inf": "><v>INF</v>", "word": "><v>x</v>",
        "blank": "><v> </v>", "none": "><v/>",
        "hex": "><v>0x10</v>", "under": "><v>1_000</v>", "arabic": "><v>١٢</v>",
        "error": 't="e"><v>#DIV/0!</v>', "error_odd": 't="e"><v>#WHAT?</v>', "truth": 't="b"><v>2</v>',
        "truth_odd": 't="b"><v>maybe</v>', "shared_far": 't="s"><v>99999999</v>',
        "shared_minus": 't="s"><v>-1</v>', "shared_word": 't="s"><v>x</v>', "kind": 't="q"><v>1</v>',
        "iso": 't="d"><v>2020-02-30</v>', "iso_far": 't="d"><v>99999-01-01</v>',
        "style_far": 's="99999"><v>1</v>',
        "style_minus": 's="-1"><v>1</v>', "style_word": 's="x"><v>1</v>', "date_far": 's="2"><v>1e12</v>',
        "date_minus": 's="2"><v>-700000</v>', "date_nan": 's="2"><v>nan</v>', "date_zero": 's="2"><v>0</v>',
        "formula": 't="str"><f>1+1</f><v>=cmd</v>', "surrogate": 't="str"><v>&#xD800;</v>',
        "nul": 't="str"><v>&#0;</v>', "escape": 't="str"><v>_xD800_</v>', "entity": 't="str"><v>&who;</v>',
        "rich": 't="inlineStr"><is><r><t>x</t></r><rPh><t>aid</t></rPh><r><t>y</t></r></is>',
        "nested": "><v><v>1</v><c><v>2</v></c></v>", "twice": "><v>1</v><v>2</v>",
    }.items():  # fmt: skip
        line = f'<row r="50"><c r="A50" {cell}</c></row>'
        yield f"cell_{name}.xlsx", with_sheet(names + numbers + line)
    yield "elements.xlsx", with_sheet(b"<x/>" * 7_000_000)
    yield "elements_nested.xlsx", with_sheet(b"<c>" * 3_000_000)
    yield (
        "attributes.xlsx",
        with_sheet(b"<row " + b" ".join(b'a%d=""' % i for i in range(1_000_000)) + b"/>"),
    )
    yield "spaces.xlsx", with_sheet(b" " * 60 * MB)
    yield "comment.xlsx", with_sheet(b"<!--" + b"x" * 60 * MB + b"-->")
    yield "instruction.xlsx", with_sheet(b"<?x " + b"x" * 5 * MB + b"?>")
    yield (
        "many_texts.xlsx",
        with_sheet(b'<row><c t="inlineStr"><is>' + b"<t>x</t>" * 3_000_000 + b"</is></c></row>"),
    )
    yield "long_text.xlsx", with_sheet(names + rows([text_cell("x" * 10 * MB), "><v>1</v>"], at=2))
    yield "cut_sheet.xlsx", repack(book, {SHEET: sheet(names + numbers)[:-40]})
    yield "no_xml.xlsx", repack(book, {SHEET: b"no XML at all"})
    yield "empty_sheet.xlsx", repack(book, {SHEET: b""})
    yield "blank_sheet.xlsx", with_sheet("")
    yield (
        "utf16_sheet.xlsx",
        repack(
            book,
            {
                SHEET: sheet(names + numbers)
                .decode()
                .replace("?>", ' encoding="UTF-16"?>', 1)
                .encode("utf-16")
            },
        ),
    )
    yield (
        "odd_encoding.xlsx",
        repack(book, {SHEET: sheet(names + numbers).replace(b"?>", b' encoding="KOI-99"?>', 1)}),
    )
    prefixed = (
        sheet(names + numbers)
        .replace(b"<", b"<x:")
        .replace(b"<x:/", b"</x:")
        .replace(b"<x:?", b"<?")
    )
    yield "prefixed.xlsx", repack(book, {SHEET: prefixed.replace(b"xmlns=", b"xmlns:x=")})
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
    for name, declared in {
        "laughs": b'<!DOCTYPE x [<!ENTITY a0 "ha">' + laughs + b"]>", "outside": b'<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        "entity": b'<!DOCTYPE x [<!ENTITY who SYSTEM "file:///etc/passwd">]>', "plain": b"<!DOCTYPE x>",
        "quadratic": b'<!DOCTYPE x [<!ENTITY a9 "' + b"x" * MB + b'">]>',
    }.items():  # fmt: skip
        text = sheet(names + numbers + '<row><c t="str"><v>' + "&a9;" * 200 + "</v></c></row>")
        yield (
            f"definitions_{name}.xlsx",
            repack(book, {SHEET: text.replace(b"?>", b"?>" + declared, 1)}),
        )
    strings = "xl/sharedStrings.xml"

    def with_strings(items, cells):
        text = f"<?xml version='1.0'?><sst {NAMESPACE}>".encode() + items + b"</sst>"
        return repack(book, {strings: text, SHEET: sheet(cells)})

    used = names + '<row><c t="s"><v>0</v></c><c><v>2</v></c></row>' * 200_000
    yield "strings_long.xlsx", with_strings(b"<si><t>" + b"x" * 32_000 + b"</t></si>", used)
    yield (
        "strings_many.xlsx",
        with_strings(b"<si><t/></si>" * 5_000_000, used[:0] + names + numbers),
    )
    yield (
        "strings_runs.xlsx",
        with_strings(b"<si>" + b"<r><t>x</t></r>" * 900_000 + b"</si>", names + numbers),
    )
    yield (
        "strings_wide.xlsx",
        with_strings(
            ("<si><t>" + "😀" + "x" * 30_000 + "</t></si>").encode() * 3_000, names + numbers
        ),
    )
    yield "strings_none.xlsx", repack(book, {strings: None, SHEET: sheet(used[:400] + "</row>")})
    yield "strings_cut.xlsx", with_strings(b"<si><t>x", names + numbers)
    for path in (
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        SHEET,
        "[Content_Types].xml",
    ):
        short = path.rpartition("/")[2].replace("[", "").replace("]", "")
        yield f"without_{short}.xlsx", repack(book, {path: None})
        yield f"emptied_{short}.xlsx", repack(book, {path: b""})
        yield f"filled_{short}.xlsx", repack(book, {path: b"<a>" + b"<b/>" * 600_000 + b"</a>"})
    styles = f"<?xml version='1.0'?><styleSheet {NAMESPACE}><cellXfs>".encode()
    yield (
        "styles.xlsx",
        repack(
            book,
            {
                "xl/styles.xml": styles
                + b'<xf numFmtId="14"/>' * 700_000
                + b"</cellXfs></styleSheet>"
            },
        ),
    )
    yield (
        "styles_word.xlsx",
        repack(book, {"xl/styles.xml": styles + b'<xf numFmtId="x"/></cellXfs></styleSheet>'}),
    )
    yield "format_codes.xlsx", repack(
        book,
        {"xl/styles.xml": styles.replace(b"<cellXfs>", b"")
         + b"".join(b'<numFmt numFmtId="%d" formatCode="%s"/>' % (i, b"[" * 3_000) for i in range(2_000))
         + b'<cellXfs><xf numFmtId="3"/></cellXfs></styleSheet>'},
    )  # fmt: skip
    relations = "xl/_rels/workbook.xml.rels"
    kept = zipfile.ZipFile(io.BytesIO(book)).read(relations)
    for i, target in enumerate(
        (
            b"../../../etc/passwd",
            b"http://127.0.0.1/x",
            b"/xl/worksheets/none.xml",
            b"",
            b"x" * 70_000,
        )
    ):
        yield (
            f"path_{i}.xlsx",
            repack(book, {relations: kept.replace(b"/xl/worksheets/sheet1.xml", target)}),
        )
    yield "parts.xlsx", repack(book, {f"p{i}": b"" for i in range(21_000)})
    for name, method in {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items():
        yield f"{name}.xlsx", repack(book, {SHEET: sheet(b" " * 50 * MB)}, method, only=(SHEET,))
    for name, offset in {
        "size": 24,
        "packed": 20,
        "check": 16,
        "method": 10,
        "flags": 8,
        "place": 42,
        "size_far": 27,
    }.items():
        place = book.rindex(b"PK\x01\x02", 0, book.rindex(SHEET.encode()))
        lie = bytearray(book)
        lie[place + offset] ^= 0x51
        yield f"lie_{name}.xlsx", bytes(lie)
    end = book.rindex(b"PK\x05\x06")
    yield "far_directory.xlsx", book[: end + 16] + b"\xf0\xff\xff\xff\x00\x00"
    yield "comment_zip.xlsx", book[:-2] + b"\xff\xff" + bytes(65_535)
    yield "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5_000)


def letters(number):
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


# --- Parquet ---------------------------------------------------------------------------------


def hostile_types():
    """Columns of every type that Arrow writes, with values at the ends of their ranges."""
    n = 24
    kinds = {
        "date": pa.array([0, 2**31 - 1, -(2**31)] * 8, pa.int32()).view(pa.date32()),
        "date_known": pa.array([date(1, 1, 1), date(9999, 12, 31), None] * 8),
        "stamp_s": pa.array([2**60, 0, -(2**60)] * 8, pa.int64()).view(pa.timestamp("ms")),
        "stamp_us": pa.array([2**62, 0, -(2**62)] * 8, pa.int64()).view(pa.timestamp("us")),
        "stamp_ns": pa.array([2**62, 0, -(2**63)] * 8, pa.int64()).view(pa.timestamp("ns")),
        "stamp_zone": pa.array([0, 1, None] * 8, pa.timestamp("us", "Asia/Tokyo")),
        "stamp_nowhere": pa.array([0, 1, None] * 8, pa.timestamp("us", "Mars/Base")),
        "stamp_odd": pa.array([0, 1, None] * 8, pa.timestamp("us", "+99:99")),
        "stamp_zone_far": pa.array([2**61, 0, None] * 8, pa.int64()).view(
            pa.timestamp("us", "UTC")
        ),
        "time": pa.array([time(1), time(23, 59), None] * 8),
        "time_far": pa.array([2**60, 0, -5] * 8, pa.int64()).view(pa.time64("us")),
        "duration": pa.array([timedelta(1), timedelta(-9), None] * 8),
        "duration_far": pa.array([2**62, -(2**62), None] * 8, pa.int64()).view(pa.duration("ms")),
        "decimal": pa.array([Decimal("1" * 38), Decimal("-0.5"), None] * 8),
        "decimal_wide": pa.array([Decimal("1" * 70), Decimal(0), None] * 8, pa.decimal256(76, 0)),
        "binary": pa.array([b"\xff\x00", b"", None] * 8),
        "fixed": pa.array([b"1234", b"\x00" * 4, None] * 8, pa.binary(4)),
        "half": pa.array(np.array([1, np.inf, np.nan] * 8, np.float16)),
        "null": pa.nulls(n),
        "truth": pa.array([True, None, False] * 8),
        "unsigned": pa.array([2**64 - 1, 0, None] * 8, pa.uint64()),
        "infinite": pa.array([np.inf, -np.inf, np.nan] * 8),
        "list": pa.array([[1], [], None] * 8),
        "list_deep": pa.array([[[[[1]]]], [], None] * 8),
        "list_null": pa.array([[None] * 9, [], None] * 8, pa.list_(pa.null())),
        "fixed_list": pa.array([[1, 2], None, [3, 4]] * 8, pa.list_(pa.int8(), 2)),
        "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": ""}] * 8),
        "struct_none": pa.array(
            [{"x": None}, None, {"x": None}] * 8, pa.struct([("x", pa.null())])
        ),
        "map": pa.array([[("k", 1)], [], None] * 8, pa.map_(pa.string(), pa.int32())),
        "category": pa.array(["a", None, "b"] * 8).dictionary_encode(),
        "category_twice": pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 1] * 8), pa.array(["a", "a"])
        ),
        "category_number": pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 1] * 8), pa.array([1.5, 2.5])
        ),
        "view": pa.array(["a", None, "b" * 50] * 8, pa.string_view()),
        "large": pa.array(["a", None, "b"] * 8, pa.large_string()),
        "wide_text": pa.array(["\x00", "\r\n", "=1+1"] * 8),
        "broken_text": pa.array([b"\xff\xfe", b"\xed\xa0\x80", b"ok"] * 8).view(pa.string()),
        "broken_category": pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 1] * 8), pa.array([b"\xff", b"ok"]).view(pa.string())
        ),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * n, pa.binary(16))),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"] * n)),
    }
    for name, column in kinds.items():
        table = pa.table({"a": range(n), "odd": column, "label": ["x", "y"] * (n // 2)})
        yield f"type_{name}.parquet", parquet_of(table)


def hostile_metadata():
    """Files whose pandas metadata are damaged or speak of another table."""
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    good = json.loads(table.schema.metadata[b"pandas"])

    def change(**parts):
        return json.dumps(good | parts).encode()

    def labels(pandas_type, numpy_type):
        kinds = {"pandas_type": pandas_type, "numpy_type": numpy_type}
        return change(column_indexes=[{"name": "x", "field_name": "x", "metadata": None} | kinds])

    counting = {"kind": "range", "name": "r", "start": 0, "stop": 200, "step": 1}

    def columns(**parts):
        return change(columns=[column | parts for column in good["columns"]])

    cases = {
        "no_json": b"{", "no_text": b"\xff\xfe", "list": b"[]", "number": b"7", "empty": b"", "null": b"null",
        "deep": b"[" * 100_000, "empty_object": b"{}", "digits": b'{"index_columns": ' + b"9" * 5_000 + b"}",
        "absent": change(index_columns=["absent"]), "twice": change(index_columns=["width", "width"]),
        "all": change(index_columns=[c["name"] for c in good["columns"]]),
        "index": change(index_columns=["day"]), "index_number": change(index_columns=[5]),
        "index_null": change(index_columns=None), "index_text": change(index_columns="width"),
        "range_far": change(index_columns=[counting | {"name": None, "stop": 10**15}]),
        "range_zero": change(index_columns=[counting | {"step": 0}]),
        "range_word": change(index_columns=[counting | {"start": "x"}]),
        "range_kind": change(index_columns=[counting | {"kind": "what"}]),
        "no_columns": change(columns=[]), "columns_null": change(columns=None),
        "columns_odd": change(columns=[7]), "type": columns(pandas_type="what", numpy_type="what"),
        "category": columns(pandas_type="categorical"),
        "category_huge": columns(
            pandas_type="categorical", metadata={"num_categories": 10**12, "ordered": True}
        ),
        "zone": columns(pandas_type="datetimetz", metadata={"timezone": "Mars/Base"}),
        "stamp": columns(numpy_type="datetime64[fs]"), "object": columns(numpy_type="object"),
        "integer": columns(numpy_type="Int64"), "string": columns(numpy_type="string"),
        "names": columns(name="width", field_name="width"), "name_null": columns(name=None),
        "labels": labels("datetime", "datetime64[ns]"), "labels_number": labels("int64", "int64"),
        "labels_many": change(column_indexes=[{"name": "x"}] * 3), "labels_null": change(column_indexes=None),
        "sparse": columns(numpy_type="Sparse[float64, nan]"), "period": columns(numpy_type="period[D]"),
    }  # fmt: skip
    for name, metadata in cases.items():
        schema = table.schema.with_metadata({b"pandas": metadata})
        yield f"metadata_{name}.parquet", parquet_of(table.cast(schema))
    for name, metadata in {"no_base64": b"???", "cut": b"/////4gBAAAQAAAA", "empty": b""}.items():
        content = parquet_of(
            table.replace_schema_metadata({b"ARROW:other": metadata}), store_schema=False
        )
        yield f"schema_{name}.parquet", content.replace(b"ARROW:other", b"ARROW:schema"[:11])
    yield "schema_long.parquet", parquet_of(table.replace_schema_metadata({b"x": b"y" * 17 * MB}))


def hostile_parquet():
    n = 1_000_000
    one = pa.array(np.zeros(n, np.int8))
    long = pa.DictionaryArray.from_arrays(one, pa.array(["x" * 100_000]))
    yield (
        "unfolding_text.parquet",
        parquet_of(
            pa.table({"a": long.cast(pa.dictionary(pa.int8(), pa.string())), "b": one}),
            store_schema=False,
        ),
    )
    yield "unfolding_category.parquet", parquet_of(pa.table({"a": long, "b": one}))
    yield (
        "unfolding_bytes.parquet",
        parquet_of(
            pa.table(
                {"a": pa.DictionaryArray.from_arrays(one, pa.array([b"x" * 100_000])), "b": one}
            )
        ),
    )
    fixed = pa.DictionaryArray.from_arrays(one[:20_000], pa.array([b"x" * 3_000], pa.binary(3_000)))
    yield "unfolding_fixed.parquet", parquet_of(pa.table({"a": fixed, "b": one[:20_000]}))
    nested = pa.ListArray.from_arrays(pa.array(np.arange(1001) * 1000, pa.int32()), long)
    yield (
        "unfolding_list.parquet",
        parquet_of(pa.table({"a": nested, "b": one[:1000]}), store_schema=False),
    )
    prefixed = pa.array(["x" * 30_000] * 1_500)
    yield (
        "unfolding_prefix.parquet",
        parquet_of(
            pa.table({"a": prefixed, "b": one[:1500]}),
            use_dictionary=False,
            column_encoding={"a": "DELTA_BYTE_ARRAY", "b": "PLAIN"},
        ),
    )
    yield (
        "rows.parquet",
        parquet_of(pa.table({"a": np.zeros(3 * n, np.int8), "b": np.ones(3 * n, np.int8)})),
    )
    yield "cells.parquet", parquet_of(pa.table({f"c{i}": one for i in range(30)}))
    yield (
        "lists.parquet",
        parquet_of(
            pa.table(
                {
                    "a": pa.ListArray.from_arrays(
                        pa.array([0, 25 * n], pa.int32()), pa.array(np.zeros(25 * n, np.int8))
                    )
                }
            )
        ),
    )
    yield (
        "lists_null.parquet",
        parquet_of(
            pa.table(
                {"a": pa.ListArray.from_arrays(pa.array([0, 25 * n], pa.int32()), pa.nulls(25 * n))}
            )
        ),
    )
    yield (
        "objects.parquet",
        parquet_of(
            pa.table(
                {f"c{i}": pa.array(np.zeros(n, np.int64)).view(pa.time64("us")) for i in range(3)}
            )
        ),
    )
    yield (
        "decimals.parquet",
        parquet_of(pa.table({f"c{i}": one.cast(pa.decimal128(5, 2)) for i in range(3)})),
    )
    yield "pages.parquet", parquet_of(
        pa.table({"a": np.arange(60_000), "b": np.arange(60_000)}), data_page_size=1, write_batch_size=1,
        use_dictionary=False,
    )  # fmt: skip
    yield (
        "groups.parquet",
        parquet_of(pa.table({f"c{i}": np.arange(300) for i in range(50)}), row_group_size=1),
    )
    yield "columns.parquet", parquet_of(pa.table({f"c{i}": [1.0] for i in range(8_000)}))
    yield "leaves.parquet", parquet_of(pa.table({"a": [{f"c{i}": 1 for i in range(6_000)}] * 20}))
    yield "twice.parquet", parquet_of(pa.Table.from_arrays([one[:20]] * 2, names=["a", "a"]))
    yield "no_names.parquet", parquet_of(pa.Table.from_arrays([one[:20]] * 2, names=["", " "]))
    yield (
        "odd_names.parquet",
        parquet_of(pa.Table.from_arrays([one[:20]] * 3, names=["a\nb", "a.b", "=x\x00"])),
    )
    yield (
        "long_name.parquet",
        parquet_of(pa.Table.from_arrays([one[:20]] * 2, names=["a" * MB, "b"])),
    )
    yield "dots.parquet", parquet_of(pa.table({"a.b": one[:20], "a": [{"b": 1}] * 20}))
    yield "no_columns.parquet", parquet_of(pa.table({}))
    yield "no_rows.parquet", parquet_of(pa.table({"a": pa.array([], pa.string())}))
    deep = pa.array([[1]])
    for _ in range(60):
        deep = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), deep)
    yield "deep.parquet", parquet_of(pa.table({"a": deep, "b": [1]}))
    for name, footer in hostile_footers().items():
        yield f"footer_{name}.parquet", b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
    content = parquet_of(frame())
    for i, size in enumerate((0, 7, 2**31 - 1, 2**32 - 1, len(content) - 8, len(content))):
        yield f"footer_size_{i}.parquet", content[:-8] + struct.pack("<I", size) + b"PAR1"
    yield "encrypted.parquet", b"PARE" + content[4:-4] + b"PARE"
    yield "body_elsewhere.parquet", content[:4] + bytes(300) + content[4:]
    yield from lying_pages()


def lying_pages():
    """A page that states other sizes than it has."""
    table = pa.table({"a": np.arange(10_000), "b": ["text"] * 10_000})
    content = parquet_of(table, compression="zstd", use_dictionary=False, write_statistics=False)
    chunk = parquet.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0)
    start, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    for i, size in enumerate((2**31 - 1, 2**30, 400 * MB, 0, -1)):
        for field, what in ((b"\x15", "unpacked"), (b"\x15", "packed")):
            # Fields 2 and 3 follow field 1, each a head and a number of several bytes.
            first = content.index(field, start + 2)
            at = first + 1 if what == "unpacked" else content.index(field, first + 1) + 1
            old = next(j for j in range(9) if content[at + j] < 128) + 1
            number = _varint(((size << 1) ^ (size >> 63)) & (2**64 - 1))
            rest = content[at + old : end]
            lie = content[:at] + number + rest
            lie = lie[:end] + bytes(max(0, end - len(lie))) + content[end:]
            yield f"page_{what}_{i}.parquet", lie


def _varint(number):
    text = b""
    while number > 127:
        text += bytes([number & 127 | 128])
        number >>= 7
    return text + bytes([number])


def _list(n_items, kind):
    return bytes([n_items << 4 | kind]) if n_items < 15 else bytes([0xF0 | kind]) + _varint(n_items)


def hostile_footers():
    """Footers written by hand: few bytes that become large lists of large structs."""
    column = b"\x26\x00\x00"
    schema = b"\x48\x06schema\x15\x02\x00" + b"\x15\x02\x25\x00\x18\x01a\x00"

    def footer(n_groups, n_columns, group_columns=None):
        given = column * n_columns if group_columns is None else group_columns
        group = b"\x19" + _list(n_columns, 12) + given + b"\x16\x00\x16\x00\x00"
        return (
            b"\x15\x04\x19"
            + _list(2, 12)
            + schema
            + b"\x16\x00\x19"
            + _list(n_groups, 12)
            + group * n_groups
            + b"\x00"
        )

    return {
        "groups": footer(15_000, 1),
        "columns": footer(1, 19_000),
        "both": footer(200, 15_000),
        "larger": footer(700, 15_000),
        "claims": footer(1, 2**31 - 1, b""),
        "claims_million": footer(1, 999_999, b""),
        "claims_groups": b"\x15\x04\x19" + _list(2, 12) + schema + b"\x16\x00\x19" + _list(900_000, 12),
        "schema": b"\x15\x04\x19" + _list(19_000, 12) + b"\x48\x01a\x15\x02\x00" * 19_000
        + b"\x16\x00\x19\x0c\x00",
        "schema_deep": b"\x15\x04\x19" + _list(15_000, 12) + b"\x48\x01a\x15\x02\x00" * 14_999
        + b"\x15\x02\x25\x00\x18\x01a\x00" + b"\x16\x00\x19\x0c\x00",
        "schema_children": b"\x15\x04\x19" + _list(1, 12) + b"\x48\x01a\x15" + _varint(2**32 - 2)
        + b"\x00\x16\x00\x19\x0c\x00",
        "schema_minus": b"\x15\x04\x19" + _list(1, 12) + b"\x48\x01a\x15\x01\x00\x16\x00\x19\x0c\x00",
        "key_values": b"\x15\x04\x19" + _list(2, 12) + schema + b"\x16\x00\x19\x0c\x19" + _list(19_000, 12)
        + b"\x18\x01k\x00" * 19_000 + b"\x00",
        "text": b"\x15\x04\x19" + _list(1, 12) + b"\x48" + _varint(2**31 - 1),
        "rows_minus": b"\x15\x04\x19" + _list(2, 12) + schema + b"\x16\x01\x19\x0c\x00",
        "rows_far": b"\x15\x04\x19" + _list(2, 12) + schema + b"\x16" + _varint(2**63) + b"\x19\x0c\x00",
        "zeros": bytes(20 * MB),
        "nested": b"\x1c" * 100_000,
    }  # fmt: skip


KINDS = (
    hostile_text, hostile_archives, hostile_workbooks, hostile_types, hostile_metadata, hostile_parquet,
    damaged,
)  # fmt: skip


def hostile_files():
    """Yield name and content of `N_FILES` files, always the same."""
    return chain.from_iterable(make() for make in KINDS)


# --- Reading them ------------------------------------------------------------------------------


def check_sentence(error):
    message = str(error)
    assert message.endswith("."), f"no sentence: {message[:300]!r}"
    assert ": " in message, f"nothing to do: {message[:300]!r}"
    assert message.isprintable(), f"more than a line: {message[:300]!r}"
    assert len(message) < 600, f"more than a sentence: {message[:300]!r}"


def read_and_keep(name, content, path):
    """Do with a file what the server does; return "read" or "refused", or raise what is wrong."""
    from ecoval_core.workspace.parquet import read_frame as load_frame
    from ecoval_core.workspace.parquet import write_frame

    from ecoval_core.tables import TableError, make_table, read_frame
    from ecoval_core.tables.table import content_digest

    try:
        read = read_frame(content, name)
    except TableError as error:
        check_sentence(error)
        assert "cannot be read (" not in str(error), f"an unforeseen {error.__cause__!r}"  # noqa: PT017 - what escaped is what is looked at
        return "refused"
    assert read.index.equals(pd.RangeIndex(len(read)))
    assert all(isinstance(column, str) for column in read.columns)
    digest = content_digest(read)
    try:
        write_frame(read, path)
        assert content_digest(load_frame(path)) == digest, "kept as another frame"
    except ValueError as error:
        check_sentence(error)
    try:
        make_table(read, name)
    except ValueError as error:
        check_sentence(error)
    return "read"


def check():
    """Read every file with little memory; print a line of JSON for each that is not as it should be."""
    import resource
    import tempfile
    import time as clock
    import traceback

    import ecoval_core.tables.parquet_files
    import ecoval_core.tables.workbooks
    import ecoval_core.workspace.parquet  # noqa: F401

    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DeprecationWarning)
    outcomes = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in hostile_files():
            print(name, file=sys.stderr, flush=True)  # noqa: T201
            used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_DATA, (used + 2**30, resource.RLIM_INFINITY))
            started = clock.process_time()
            try:
                outcomes[read_and_keep(name, content, Path(folder) / "kept.parquet")] += 1
            except BaseException:
                print(json.dumps({"file": name, "trouble": traceback.format_exc()[-1500:]}))  # noqa: T201
            resource.setrlimit(
                resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            if (seconds := clock.process_time() - started) > 10:
                print(json.dumps({"file": name, "trouble": f"takes {seconds:.0f} s"}))  # noqa: T201
    print(json.dumps(outcomes))  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    elif len(sys.argv) == 2:
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        for file_name, file_content in hostile_files():
            (target / file_name).write_bytes(file_content)
    else:
        sys.exit(__doc__)
