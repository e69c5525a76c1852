"""Files made to bring the reader down: each is read or refused, in one sentence and within its limits."""

import datetime
import gzip
import io
import json
import subprocess
import sys
import time
from collections import Counter
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path

import hostile_files
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from data_files import csv_bytes, excel_bytes, make_frame, parquet_bytes
from ecoval_core.tables.formulas import guard_formulas
from ecoval_core.tables.parquet_pages import measure_pages, schema_depth
from ecoval_core.workspace.parquet import read_frame as load_frame
from ecoval_core.workspace.parquet import write_frame
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyarrow import parquet

from ecoval_core.tables import (
    TableError,
    delimited,
    limits,
    lines,
    parquet_files,
    read_frame,
    worksheets,
)
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace import exports


def refusal(content, name="x.csv"):
    with pytest.raises(TableError) as caught:
        read_frame(content, name)
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    assert ": " in message, "what is wrong, a colon, what to do"
    return message


# --- All of them -----------------------------------------------------------------------------


def test_every_hostile_file_is_read_or_refused_with_a_gigabyte():
    done = subprocess.run(
        [sys.executable, Path(hostile_files.__file__), "--check"], capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"ended at {done.stderr.splitlines()[-1:]}"
    assert [line for line in found if "trouble" in line] == []
    assert sum(found[-1].values()) == hostile_files.N_FILES
    assert min(found[-1].values()) > 100


def test_hostile_files_are_the_same_each_time():
    cheap = (hostile_files.damaged, hostile_files.hostile_types, hostile_files.hostile_metadata)

    def digests():
        files = islice(chain.from_iterable(make() for make in cheap), 300)
        # A dictionary that holds a value twice is written by Arrow in one way or another.
        kept = [(name, content) for name, content in files if "category_twice" not in name]
        return [(name, blake2b(content).hexdigest()) for name, content in kept]

    first = digests()
    assert first == digests()
    assert max(Counter(name for name, _ in first).values()) == 1


# --- Limits come before the content ----------------------------------------------------------


def fail(*args, **options):
    raise AssertionError("the content was unpacked")


def test_a_hundred_thousand_columns_are_refused_from_the_header(monkeypatch):
    monkeypatch.setattr(pd, "read_csv", fail)
    header = ",".join(f"column{i}" for i in range(100_000)).encode()
    used = time.process_time()
    for row in (b"", b"\n1,2\n", b"\n" + b"1," * 99_999 + b"1\n"):
        assert "has 100,000 columns and the limit is 5,000" in refusal(header + row)
    assert time.process_time() - used < 2, "what the project promises"


def test_rows_and_cells_of_text_are_counted_before_they_are_parsed(monkeypatch):
    monkeypatch.setattr(pd, "read_csv", fail)
    monkeypatch.setattr(limits, "MAX_ROWS", 1_000)
    monkeypatch.setattr(limits, "MAX_CELLS", 1_500)
    for end in ("\n", "\r", "\r\n"):
        assert "has 1,001 rows and the limit is 1,000" in refusal(
            (f"a,b{end}" + f"1,2{end}" * 1_001).encode()
        )
    assert "1,001 rows" in refusal(b"a,b\n" + b'"x\ny",2\n' * 1_001)
    assert "has 900 rows of 2 columns" in refusal(b"a,b\n" + b"1,2\n" * 900)


def test_lines_in_quotes_are_no_rows(monkeypatch):
    monkeypatch.setattr(limits, "MAX_ROWS", 1_000)
    frame = read_frame(b"a,b\n" + b'"x\n\n\ny",2\n' * 1_000, "x.csv")
    assert len(frame) == 1_000


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_COLUMNS", "MAX_CELLS"])
def test_parquet_is_refused_from_its_footer(limit, monkeypatch):
    monkeypatch.setattr(parquet_files, "_read", fail)
    content = parquet_bytes(make_frame(50))
    monkeypatch.setattr(limits, limit, 3)
    assert "the limit is 3" in refusal(content, "x.parquet")


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_ROWS", 40), ("MAX_COLUMNS", 3), ("MAX_CELLS", 80)]
)
def test_workbooks_are_counted_while_they_are_streamed(limit, value, monkeypatch):
    monkeypatch.setattr(limits, limit, value)
    assert f"the limit is {value}" in refusal(excel_bytes(make_frame(500)), "x.xlsx")


def test_a_workbook_of_too_many_cells_is_refused(monkeypatch):
    content = excel_bytes(make_frame(500))
    with monkeypatch.context() as patch:
        # More cells than may be filled, and more elements than so many cells have.
        patch.setattr(limits, "MAX_SHEET_CELLS", 1_600)
        assert "more than 1,600 cells, the limit for Excel" in refusal(content, "x.xlsx")
        patch.setattr(worksheets, "check_size", fail)
        patch.setattr(limits, "MAX_SHEET_CELLS", 200)
        assert "more than 200 cells, the limit for Excel" in refusal(content, "x.xlsx")
    monkeypatch.setattr(limits, "MAX_SHEET_CELLS", 2_004)
    assert len(read_frame(content, "x.xlsx")) == 500


def test_gzip_is_counted_while_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 2**20)
    member = gzip.compress(bytes(2**19))
    assert "more than 1 MB when unpacked" in refusal(member * 3, "x.csv.gz")


@pytest.mark.parametrize("declared", [b"<!DOCTYPE x>", b'<!DOCTYPE x [<!ENTITY a "b">]>'])
def test_a_workbook_that_defines_entities_is_refused(declared):
    sheet = hostile_files.sheet(hostile_files.rows([hostile_files.text_cell("a")], ["><v>1</v>"]))
    book = excel_bytes(make_frame())
    assert len(read_frame(hostile_files.repack(book, {hostile_files.SHEET: sheet}), "x.xlsx")) == 1
    sheet = sheet.replace(b"?>", b"?>" + declared, 1)
    content = hostile_files.repack(book, {hostile_files.SHEET: sheet})
    assert "damaged or protected" in refusal(content, "x.xlsx")


@pytest.mark.parametrize("cell", ["XFD1048576", "XFD2", "A1048576"])
def test_a_far_cell_is_one_cell(cell):
    book = openpyxl.Workbook()
    for i, row in enumerate([["a", "b"], *([j, j % 2] for j in range(20))], start=1):
        book.active.cell(i, 1, row[0])
        book.active.cell(i, 2, row[1])
    book.active[cell] = "far"
    sink = io.BytesIO()
    book.save(sink)
    frame = read_frame(sink.getvalue(), "x.xlsx")
    assert frame.shape == (20 + cell.endswith("1048576"), 2 + cell.startswith("XFD"))
    assert (frame == "far").to_numpy().sum() == 1


# --- Text in pieces --------------------------------------------------------------------------

CELLS = st.sampled_from(
    ["1", "-2", "2.5", "", "x", "True", "False", "NA", "1e3", "18446744073709551615", "9" * 25, "inf", " 7",
     '"q,r"', '"a\nb"', '"1"', "é😀", "'=x", "=x", '"say ""no"""', '5" pipe']
)  # fmt: skip


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(lines, "PIECE_BYTES", 64)


def read_in_pieces(data, size):
    before = lines.PIECE_BYTES
    lines.PIECE_BYTES = size
    try:
        return read_frame(data, "x.csv")
    except TableError as error:
        return str(error)
    finally:
        lines.PIECE_BYTES = before


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None)
def test_text_in_pieces_is_as_pandas_reads_it_whole(rows):
    data = ("a,b,c\n" + "\n".join(map(",".join, rows)) + "\n").encode()
    frame = read_in_pieces(data, 300)
    whole = pd.read_csv(
        io.BytesIO(data),
        index_col=False,
        skipinitialspace=True,
        low_memory=False,
        skip_blank_lines=True,
    )
    assert len(frame) == len(whole)
    for i, column in enumerate(whole):
        # Whole numbers beyond 64 bits are text where pandas makes them Python's, floats or text; a guard
        # of a formula is gone where pandas leaves it.
        if not {"18446744073709551615", "9" * 25, "'=x"} & {row[i] for row in rows}:
            pd.testing.assert_series_equal(frame[column], whole[column])


@given(st.lists(st.text('ab1,;"\n\r .', max_size=12), max_size=60), st.integers(40, 400))
@example(["1111;\r", '1111111",,\r', "111111111111", "111111111111"], 40)
@example(["111111111111", "111111111111", '1111"\r\r', ",1111111\n1"], 40)
@example(["111111111111", "111111111111", '111"\r \r', ",1111111\n1"], 40)
@example(["111111111111", "111111111111", '1111"\r\r', ",111111111"], 40)
@example(["111111111111", "111111111111", '1111"\n\r', ",1111111\n1"], 40)
@settings(max_examples=200, deadline=None)
def test_pieces_make_no_difference(parts, size):
    data = ("a,b\n" + "".join(parts)).encode()
    one, many = read_in_pieces(data, 2**24), read_in_pieces(data, size)
    if isinstance(one, str) or isinstance(many, str):
        # A row longer than a piece is refused, as one of 16 MB is.
        assert isinstance(many, str)
    else:
        assert_frame_equal(one, many)


def test_the_line_that_cannot_be_cut_is_counted_over_all_pieces(small_pieces):
    start = b'a,b\n"x\ny",2\n' + b"1,2\n" * 200
    assert "3 fields in line 204 but 2 column names" in refusal(start + b"1,2,3\n" + b"1,2\n" * 90)
    assert "quotation mark near line 204" in refusal(start + b'1,"2\n')


def test_the_kind_of_a_column_is_that_of_all_its_pieces(small_pieces):
    data = b"a,b,c,d,e\n" + b"007,1,True,,\n" * 50 + b"x,1.5,,True,1\n" + b"8,2,False,,2\n" * 50
    frame = read_frame(data, "x.csv")
    assert frame["a"].tolist() == ["007"] * 50 + ["x"] + ["8"] * 50
    assert frame["b"].dtype == np.float64
    assert frame["c"].dropna().tolist() == [True] * 50 + [False] * 50
    assert frame["d"].dropna().tolist() == [True]
    assert frame["e"].dtype == np.float64


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_text_is_the_same_by_the_quick_way_and_the_slow_way(rows):
    data = "\n".join(map(",".join, rows)).encode() + b"\n"
    piece = lines.Piece(0, len(data), 1, len(rows), len(rows))
    quick = delimited._read_text(data, piece, ["a", "b", "c"], ",", ["b", "c"])
    slow = delimited._parse_piece(
        data, piece, ["a", "b", "c"], ",", "x", {"b": "str", "c": "str"}, ["b", "c"]
    )
    # Rows that are blank are the reason why lengths are compared before the quick way is taken.
    if quick is not None and len(quick) == len(slow):
        assert_frame_equal(quick, slow)


def test_plain_text_takes_the_quick_way_and_other_text_is_limited(small_pieces, monkeypatch):
    plain = b"a,b,c\n" + b'1,"2",3\n' * 200 + b'x,"y ""z"", w",\n'
    odd = plain.replace(b",3", b", 3")
    monkeypatch.setattr(delimited, "MAX_SLOW_CELLS", 100)
    frame = read_frame(plain, "x.csv")
    assert frame["a"].tolist() == ["1"] * 200 + ["x"]
    assert frame["b"].tolist() == ["2"] * 200 + ['y "z", w']
    assert "has columns of numbers and text, such as 'a', in too many rows" in refusal(odd)


def test_whole_numbers_beyond_64_bits_are_text():
    digits = "1" * 400
    frame = read_frame(f"a,b\n{digits},1\n2,1e999\n".encode(), "x.csv")
    assert frame["a"].tolist() == [digits, "2"]
    assert np.isinf(frame["b"][1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1," + b"x" * 2**23, "line of more than 4 MB (line 2)"),
        (b'a,b\n1,"' + b"x\n" * 2**24, "opens a quotation mark near line 2"),
        (b'a,b\n1,"' + b'x"",\n' * 2**22 + b'"\n', "opens a quotation mark near line 2"),
        (b"a" * 3_000 + b",b\n1,2\n", "name of 3,000 characters over column 1"),
        (b"a,b\n1,\x002\n", "neither text"),
        (b"\xff\xfe" + "a,b\n\ud800,1\n".encode("utf-16-le", "surrogatepass"), "not valid UTF-16"),
    ],
)
def test_text_that_is_no_table(content, message):
    assert message in refusal(content)


def test_names_of_files_and_columns_are_shown_on_one_line():
    assert refusal(b"", "a\nb\x00" + "c" * 500).startswith("a b")
    assert "'a b'" in refusal(b'"a\nb","a\nb"\n1,2\n')


# --- Workbooks -------------------------------------------------------------------------------

EXCEL_CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**14), 10**14),
    st.floats(-1e12, 1e12).map(lambda number: float(f"{number:.12g}")),
    st.sampled_from(
        ["x", "", " ", "NA", "null", "é😀", "=1+1", "a&<b>", "'=x", "1", "#N/A", "_x000D_"]
    ),
    st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2100, 1, 1)).map(
        lambda when: when.replace(microsecond=0)
    ),
    st.dates(datetime.date(1950, 1, 1)),
    st.times().map(lambda when: when.replace(microsecond=0)),
    st.timedeltas(datetime.timedelta(1), datetime.timedelta(900)).map(
        lambda span: datetime.timedelta(seconds=int(span.total_seconds()))
    ),
)


@given(st.lists(st.lists(EXCEL_CELLS, min_size=3, max_size=3), max_size=12))
@settings(max_examples=80, deadline=None)
def test_workbooks_are_read_as_pandas_reads_them(rows):
    book = openpyxl.Workbook()
    for row in (["a", "b", "c"], *rows):
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    frame = read_frame(sink.getvalue(), "x.xlsx")
    cells = pd.read_excel(sink, header=None, dtype=object)
    cells = cells.dropna(how="all").dropna(how="all", axis="columns")
    expected = cells.iloc[1:].reset_index(drop=True).infer_objects()
    expected.columns = cells.iloc[0].tolist()
    assert_frame_equal(frame, expected, check_column_type=False)


def prefixed_sheet():
    cells = hostile_files.rows(
        [hostile_files.text_cell("a"), hostile_files.text_cell("b")],
        ["><v>1</v>", "><v>3</v>"],
        ["><v>2</v>", "><v>4</v>"],
    )
    text = hostile_files.sheet(cells).replace(b"<", b"<x:").replace(b"<x:/", b"</x:")
    return text.replace(b"<x:?", b"<?").replace(b"xmlns=", b"xmlns:x=")


def test_prefixes_and_text_in_parts_are_read():
    book = excel_bytes(make_frame())
    content = hostile_files.repack(book, {hostile_files.SHEET: prefixed_sheet()})
    assert read_frame(content, "x.xlsx").to_dict("list") == {"a": [1, 2], "b": [3, 4]}
    rich = "<r><t>a</t></r><rPh><t>no</t></rPh><r><t>b</t></r>"
    cells = f'<row r="1"><c r="A1" t="inlineStr"><is>{rich}</is></c></row>'
    sheet = hostile_files.sheet(cells + '<row><c t="str"><v>x</v></c></row>')
    content = hostile_files.repack(book, {hostile_files.SHEET: sheet})
    assert read_frame(content, "x.xlsx").to_dict("list") == {"ab": ["x"]}


# --- Parquet ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_page_headers_say_what_arrow_says_of_a_column(version, compression, use_dictionary):
    table = pa.table(
        {
            "number": np.arange(5_000),
            "text": [f"text {i % 90}" for i in range(5_000)],
            "list": pa.array([[1, 2], None] * 2_500),
        }
    )
    content = hostile_files.parquet_of(
        table, compression=compression, use_dictionary=use_dictionary, data_page_version=version,
        data_page_size=2_000, row_group_size=2_000,
    )  # fmt: skip
    footer = parquet.ParquetFile(io.BytesIO(content)).metadata
    for i in range(footer.num_row_groups):
        for j in range(3):
            chunk = footer.row_group(i).column(j)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page:
                start = chunk.dictionary_page_offset
            found = measure_pages(content, start, chunk.total_compressed_size, chunk.num_values)
            assert found.n_values == chunk.num_values
            assert found.has_dictionary == chunk.has_dictionary_page
            headers = chunk.total_uncompressed_size - found.n_bytes
            assert 10 * found.n_pages < headers < 200 * found.n_pages


def test_the_depth_of_columns_is_read_from_the_footer():
    flat = pa.table({"a": [1], "b": ["x"]})
    struct_of_lists = pa.table({"a": [{"x": [1]}], "b": [1]})
    for table, depth in ((flat, 1), (struct_of_lists, 4)):
        content = hostile_files.parquet_of(table)
        size = int.from_bytes(content[-8:-4], "little")
        assert schema_depth(content[-8 - size : -8]) == depth
    assert len(read_frame(hostile_files.parquet_of(struct_of_lists), "x.parquet")) == 1
    footer = hostile_files.hostile_footers()["schema_deep"]
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert "nested too deep" in refusal(content, "x.parquet")


def test_lists_that_a_footer_only_claims_are_not_made():
    footer = hostile_files.hostile_footers()["claims_million"]
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(OSError, match="limit"):
        parquet_files._open(content)
    assert "damaged" in refusal(content, "x.parquet")


@pytest.mark.parametrize("kind", ["larger", "zeros"])
def test_a_footer_that_becomes_far_larger_is_not_parsed(kind, monkeypatch):
    monkeypatch.setattr(parquet_files, "_open", fail)
    footer = hostile_files.hostile_footers()[kind]
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert "too many columns and row groups" in refusal(content, "x.parquet")


def test_a_page_that_claims_a_gigabyte_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(parquet_files, "_read", fail)
    for name, content in hostile_files.lying_pages():
        if name in (
            "page_unpacked_0.parquet",
            "page_unpacked_1.parquet",
            "page_unpacked_2.parquet",
        ):
            assert "more than 200 MB when unpacked" in refusal(content, name)


def test_text_that_unfolds_is_measured_before_it_does(monkeypatch):
    rows = 3_000
    same = pa.array(["x" * 2_000] * rows)
    files = [
        hostile_files.parquet_of(pa.table({"a": same, "b": range(rows)})),
        hostile_files.parquet_of(
            pa.table({"a": same, "b": range(rows)}), use_dictionary=False,
            column_encoding={"a": "DELTA_BYTE_ARRAY", "b": "PLAIN"},
        ),
        hostile_files.parquet_of(pa.table({"a": same.dictionary_encode(), "b": range(rows)})),
    ]  # fmt: skip
    for content in files:
        assert read_frame(content, "x.parquet")["a"].astype(str).tolist() == same.to_pylist()
    monkeypatch.setattr(limits, "MAX_BYTES", 2**21)
    for content in files:
        assert "more than 2 MB of text" in refusal(content, "x.parquet")
    monkeypatch.setattr(limits, "MAX_BYTES", 6_100_000)
    for content in files:
        assert read_frame(content, "x.parquet")["a"].astype(str).tolist() == same.to_pylist()


def test_many_columns_of_text_are_read_in_groups(monkeypatch):
    frame = pd.DataFrame({f"c{i}": [f"{i} {j % 50}" for j in range(300)] for i in range(40)})
    content = parquet_bytes(frame)
    monkeypatch.setattr(limits, "MAX_BYTES", 2**18)
    monkeypatch.setattr(parquet_files, "_GROUP_VALUES", 1_000)
    assert_frame_equal(read_frame(content, "x.parquet"), frame)


def test_metadata_that_do_not_fit_are_set_aside():
    expected = hostile_files.frame()
    n_equal = 0
    for name, content in hostile_files.hostile_metadata():
        if not name.startswith("metadata_"):
            continue
        read = read_frame(content, name)
        assert set(expected) <= set(read), name
        n_equal += (read["width"].astype(float) == expected["width"]).all()
    assert n_equal > 30


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("date", "'odd' of x.parquet holds a date outside of the years 1 to 9999"),
        ("stamp_us", "'odd' of x.parquet holds a date outside"),
        (
            "stamp_nowhere",
            "'odd' of x.parquet holds values of the type timestamp[us, tz=Mars/Base]",
        ),
        ("broken_text", "'odd' of x.parquet is damaged"),
    ],
)
def test_cells_of_parquet_that_nobody_can_show(kind, message):
    content = dict(hostile_files.hostile_types())[f"type_{kind}.parquet"]
    assert message in refusal(content, "x.parquet")


def test_decimals_and_dates_of_parquet_are_numbers_and_days():
    files = dict(hostile_files.hostile_types())
    assert read_frame(files["type_decimal.parquet"])["odd"].dtype == np.float64
    assert read_frame(files["type_date_known.parquet"])["odd"].dtype.kind == "M"


def test_frames_of_odd_cells_are_kept_as_they_are(tmp_path):
    cells = [
        np.array([1.5, np.nan]), [1, (2, "x")], {"a": np.array(["2020-01-01"], "M8[us]")}, "\ud800",
        np.array([None, np.array([1])], dtype=object), pd.NaT, None, b"\xff", datetime.time(3),
    ]  # fmt: skip
    frame = pd.DataFrame({"odd": pd.Series(cells, dtype=object)})
    write_frame(frame, tmp_path / "x.parquet")
    kept = load_frame(tmp_path / "x.parquet")
    assert content_digest(kept) == content_digest(frame)
    assert [type(cell) for cell in kept["odd"]] == [type(cell) for cell in cells]


def test_long_arrays_that_differ_in_the_middle_have_other_digests():
    arrays = np.zeros(5_000), np.eye(1, 5_000, 2_500)[0]
    frames = (pd.DataFrame({"a": pd.Series([array], dtype=object)}) for array in arrays)
    assert len({content_digest(frame) for frame in frames}) == 2


# --- Formulas --------------------------------------------------------------------------------

SIGNS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("kind", ["str", "object", "category", "name"])
def test_no_text_of_a_csv_export_begins_with_a_sign_that_spreadsheets_run(sign, kind):
    text = f"{sign}cmd|'/C calc'!A0"
    frame = pd.DataFrame({"a": [text, "plain"], "n": [-1.5, 2]})
    frame = frame.rename(columns={"a": text}) if kind == "name" else frame.astype({"a": kind})
    content = exports.to_csv(frame)
    assert f"'{text}".encode() in content
    raw = pd.read_csv(
        io.BytesIO(content), dtype="str", header=None, lineterminator="\n" if sign != "\n" else None
    )
    assert not raw.map(lambda cell: str(cell).startswith(sign) and cell != "-1.5").any(axis=None)
    assert content.endswith(b"2.0\n")


@given(
    st.lists(
        st.text(
            st.sampled_from([*SIGNS, "'", "a", "1", '"', ",", " ", "é"]), min_size=1, max_size=6
        ),
        min_size=2,
        max_size=20,
    )
)
# What looks like a blank line is part of a cell in quotation marks.
@example(["1", "\r\r,"])
@example(['"\r\r,"', "\r\r,"])
@settings(max_examples=200, deadline=None)
def test_a_csv_export_read_again_is_the_table_that_was_written(texts):
    # Blanks at the start are no part of a cell, and a column of numbers is one.
    texts = [*(text.strip(" ") or "x" for text in texts), "plain"]
    frame = pd.DataFrame({"text": texts, "label": "x"})
    assert read_frame(exports.to_csv(frame), "x.csv")["text"].tolist() == texts


def test_numbers_and_missing_cells_of_an_export_are_untouched():
    frame = pd.DataFrame(
        {"mixed": [-1, "-1", None, -2.5, True, "=x"], "day": pd.date_range("2020", periods=6)}
    )
    guarded = guard_formulas(frame)
    assert guarded["mixed"].tolist()[:2] == [-1, "'-1"]
    assert guarded["mixed"].tolist()[3:] == [-2.5, True, "'=x"]
    assert guarded["mixed"].isna().tolist() == [False, False, True, False, False, False]
    assert frame["mixed"].tolist()[1] == "-1", "the frame itself is not changed"


def test_an_apostrophe_that_no_export_has_written_stays():
    content = b"a,b\n'=x,1\n=y,2\n'-5,3\n"
    assert read_frame(content, "x.csv")["a"].tolist() == ["'=x", "=y", "'-5"]
    assert read_frame(b"a,b\n'tis,1\n'x,2\n", "x.csv")["a"].tolist() == ["'tis", "'x"]


def test_downloads_are_written_by_the_function_that_guards(monkeypatch):
    frame = pd.DataFrame({"row_id": [0], "text": ["=1+1"]})
    monkeypatch.setattr(exports, "exported_frame", lambda *_: frame)
    assert exports.export_table(None, "kept") == b"row_id,text\n0,'=1+1\n"


def test_csv_bytes_of_the_samples_are_what_pandas_writes():
    frame = make_frame()
    assert exports.to_csv(frame) == csv_bytes(frame)
