"""Files made to bring the reader down: each is read, refused in one sentence, or ended by a limit."""

import csv
import gzip
import io
import json
import operator
import subprocess
import sys
from collections import Counter
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import hostile_files
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from data_files import csv_bytes, excel_bytes, make_frame, parquet_bytes, refusal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ecoval_core.files import limits
from ecoval_core.files.delimited import guard_formulas
from ecoval_core.tables import TableError, empty_words, read_frame

pytestmark = pytest.mark.processes


def refused(content, name="x.csv"):
    return refusal(read_frame, content, name)


def test_every_hostile_file_is_read_or_refused_or_ended_by_a_limit():
    check = [sys.executable, Path(hostile_files.__file__), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    *troubles, outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"ended at {done.stderr.splitlines()[-1:]}"
    assert troubles == []
    assert min(outcomes["read"], outcomes["refused"]) > 100
    assert sum(outcomes.values()) - outcomes["read"] - outcomes["refused"] <= 20


def test_hostile_files_are_the_same_each_time():
    def digests():
        files = islice(hostile_files.damaged(), 200)
        return [(name, blake2b(content).hexdigest()) for name, content in files]

    first = digests()
    assert first == digests()
    assert max(Counter(name for name, _ in first).values()) == 1


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: str(len(bytearray(2**28))), str(2**28)),
        (lambda: str(len(bytearray(2**31))), "trouble: MemoryError()"),
        (lambda: str(sum(iter(int, 1))), "ended by signal 24"),
    ],
)
def test_limited_process_ends_what_takes_too_much(work, said):
    assert hostile_files.in_limited_process(map(operator.call, [work]), seconds=1) == [said]


# --- Sizes -----------------------------------------------------------------------------------


def test_a_hundred_thousand_columns_are_refused_before_rows_are_parsed(monkeypatch):
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("the rows were parsed"))
    header = ",".join(f"column{i}" for i in range(100_000)).encode()
    for row in (b"", b"\n1,2\n", b"\n" + b"1," * 99_999 + b"1\n"):
        assert "has 100,000 columns and the limit is 5,000" in refused(header + row)


@pytest.mark.parametrize("write", [csv_bytes, parquet_bytes, excel_bytes])
@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_ROWS", 49, "has 50 rows and the limit is 49: keep fewer rows"),
        ("MAX_COLUMNS", 3, "has 4 columns and the limit is 3: keep fewer columns"),
        ("MAX_CELLS", 199, "has 50 rows of 4 columns and the limit is 199 cells"),
    ],
)
def test_a_table_over_a_limit_is_refused_whatever_the_format(
    write, limit, value, message, monkeypatch
):
    content = write(make_frame(50))
    monkeypatch.setattr(limits, limit, value + 1)
    assert len(read_frame(content, "x")) == 50
    monkeypatch.setattr(limits, limit, value)
    assert message in refused(content, "x")


def test_gzip_is_counted_while_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 2**20)
    member = gzip.compress(b"a,b\n" + b"1" * 2**19)
    assert "more than 1 MB when unpacked" in refused(member * 3, "x.csv.gz")


def test_text_is_counted_while_it_is_decoded(monkeypatch):
    content = ("a,b\n" + "日日日日日,日\n" * 90_000).encode("utf-16")
    monkeypatch.setattr(limits, "MAX_BYTES", len(content))
    assert "as text in UTF-8, which is the limit" in refused(content)


def test_lines_in_quotes_are_no_rows(monkeypatch):
    monkeypatch.setattr(limits, "MAX_ROWS", 1_000)
    assert len(read_frame(b"a,b\n" + b'"x\n\n\ny",2\n' * 1_000, "x.csv")) == 1_000


# --- Text ------------------------------------------------------------------------------------

CELLS = st.sampled_from(
    ["1", "-2", "2.5", "", "x", "True", "False", "NA", "1e3", "inf", " 7", '"q,r"', '"a\nb"', '"1"', "é😀",
     "=x", '"say ""no"""', '5" pipe']
)  # fmt: skip


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_text_is_read_as_pandas_reads_it(rows):
    data = ("a,b,c\n" + "\n".join(map(",".join, rows)) + "\n").encode()
    whole = pd.read_csv(io.BytesIO(data), index_col=False, skipinitialspace=True, low_memory=False)
    # Words for a missing value are kept, and empty where they are no class.
    assert_frame_equal(empty_words(read_frame(data, "x.csv", header=[1])), whole)


N_ROWS = 600_000  # of two columns, which pandas reads in two parts


def test_the_kind_of_a_column_is_that_of_all_its_parts():
    rows = b"007,1,True,,\n" * N_ROWS
    data = b"a,b,c,d,e\n" + rows + b"x,1.5,,True,1\n" + b"8,2,False,,2\n" * 5
    frame = read_frame(data, "x.csv")
    assert frame["a"].dtype == "str"
    assert frame["a"].tolist()[N_ROWS - 1 :] == ["007", "x"] + ["8"] * 5
    assert frame["b"].dtype == np.float64
    assert frame["c"].dropna().tolist() == [True] * N_ROWS + [False] * 5
    assert frame["d"].dropna().tolist() == [True]
    assert frame["e"].dtype == np.float64


@pytest.mark.parametrize(
    ("at", "end"), [(0, "\n"), (1, "\r\n"), (5, "\r"), (2**19 - 1, "\n"), (2**19, "\n")]
)
@pytest.mark.parametrize("cells", ["1,2,3", "1,2,,3"])
def test_a_row_of_too_many_cells_is_refused_with_its_line(at, cells, end):
    rows = ["1,2"] * (at + 20)
    rows[at] = cells
    data = end.join(["a,b", '"x', 'y",2', *rows] if at else ["a,b", *rows]).encode()
    line = at + (4 if at else 2)
    assert f"{cells.count(',') + 1} fields in line {line:,} but 2 column names" in refused(data)


@pytest.mark.parametrize("n_before", [0, 200, N_ROWS])
def test_an_open_quotation_is_refused_with_its_line(n_before):
    data = b'a,b\n"x\ny",2\n' + b"1,2\n" * n_before + b'1,"2\n' + b"3,4\n" * 50
    assert f"quotation mark near line {n_before + 4:,} and never closes it" in refused(data)


def test_whole_numbers_beyond_64_bits_are_text():
    digits = "1" * 400
    frame = read_frame(f"a,b\n{digits},1\n2,1e999\n".encode(), "x.csv")
    assert frame["a"].tolist() == [digits, "2"]
    assert np.isinf(frame["b"][1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a" * 3_000 + b",b\n1,2\n", "name of 3,000 characters over column 1"),
        (b"a,b\n1,\x002\n", "neither text"),
        (b"\xff\xfe" + "a,b\n\ud800,1\n".encode("utf-16-le", "surrogatepass"), "not valid UTF-16"),
        (b"", "is empty"),
    ],
)
def test_text_that_is_no_table_is_refused(content, message):
    assert message in refused(content)


def test_names_of_files_and_columns_are_shown_on_one_line():
    assert refused(b"", "a\nb\x00" + "c" * 500).startswith("a b")
    assert "('a bbb" in refused(b'"a\n' + b"b" * 3000 + b'",c\n1,2\n')


# --- Workbooks and Parquet -------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["XFD2", "A1048576"])
def test_a_far_cell_is_one_cell(cell):
    book = openpyxl.Workbook()
    for row in [["a", "b"], *([j, j % 2] for j in range(20))]:
        book.active.append(row)
    book.active[cell] = "far"
    sink = io.BytesIO()
    book.save(sink)
    frame = read_frame(sink.getvalue(), "x.xlsx")
    assert frame.shape == (20 + cell.endswith("1048576"), 2 + cell.startswith("XFD"))
    assert (frame == "far").to_numpy().sum() == 1


def test_prefixes_and_text_in_parts_are_read():
    book = excel_bytes(make_frame())
    cells = [hostile_files.text_cell("a"), hostile_files.text_cell("b")]
    sheet = hostile_files.sheet(hostile_files.rows(cells, ["><v>1</v>", "><v>3</v>"]))
    for old, new in (
        (b"<", b"<x:"),
        (b"<x:/", b"</x:"),
        (b"<x:?", b"<?"),
        (b"xmlns=", b"xmlns:x="),
    ):
        sheet = sheet.replace(old, new)
    content = hostile_files.repack(book, {hostile_files.SHEET: sheet})
    assert read_frame(content, "x.xlsx").to_dict("list") == {"a": [1], "b": [3]}
    rich = "<r><t>a</t></r><rPh><t>no</t></rPh><r><t>b</t></r>"
    cells = f'<row r="1"><c r="A1" t="inlineStr"><is>{rich}</is></c></row>'
    sheet = hostile_files.sheet(cells + '<row r="2"><c r="A2" t="str"><v>x</v></c></row>')
    content = hostile_files.repack(book, {hostile_files.SHEET: sheet})
    assert read_frame(content, "x.xlsx").to_dict("list") == {"ab": ["x"]}


def test_metadata_that_do_not_fit_are_set_aside():
    expected = hostile_files.frame()
    n_equal = 0
    for name, content in hostile_files.hostile_metadata():
        try:
            read = read_frame(content, name)
        except TableError:
            continue
        assert set(expected) <= set(read), name
        n_equal += (read["width"].astype(float) == expected["width"]).all()
    assert n_equal > 30


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("date", "'odd' of x.parquet holds a date outside of the years 1 to 9999"),
        ("stamp_us", "'odd' of x.parquet holds a date outside"),
        ("stamp_zone_far", "'odd' of x.parquet holds a date outside"),
        ("stamp_nowhere", "x.parquet cannot be read"),
        ("broken_text", "Invalid UTF8"),
    ],
)
def test_cells_of_parquet_that_nobody_can_show_are_refused(kind, message):
    content = dict(hostile_files.hostile_types())[f"type_{kind}.parquet"]
    assert message in refused(content, "x.parquet")


def test_decimals_and_dates_of_parquet_are_numbers_and_days():
    files = dict(hostile_files.hostile_types())
    assert read_frame(files["type_decimal.parquet"])["odd"].dtype == np.float64
    assert read_frame(files["type_date_known.parquet"])["odd"].dtype.kind == "M"


@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}]
)
def test_text_of_parquet_is_the_same_however_it_is_encoded(options):
    same = pa.array(["x" * 2_000] * 3_000)
    content = hostile_files.parquet_of({"a": same}, **options)
    assert read_frame(content, "x.parquet")["a"].tolist() == same.to_pylist()


# --- Formulas --------------------------------------------------------------------------------

SIGNS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]


def guarded_csv(frame):
    # The csv module leaves a return without quotation marks, which would end the line.
    return csv_bytes(guard_formulas(frame), quoting=csv.QUOTE_NONNUMERIC)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("kind", ["str", "object", "category", "name"])
def test_no_guarded_text_begins_with_a_sign_that_spreadsheets_run(sign, kind):
    text = f"{sign}cmd|'/C calc'!A0"
    frame = pd.DataFrame({"a": [text, "plain"], "n": [-1.5, 2]})
    frame = frame.rename(columns={"a": text}) if kind == "name" else frame.astype({"a": kind})
    content = guarded_csv(frame)
    assert f"'{text}".encode() in content
    raw = pd.read_csv(
        io.BytesIO(content), dtype="str", header=None, lineterminator="\n" if sign != "\n" else None
    )
    assert not raw.map(lambda cell: str(cell).startswith(sign) and cell != "-1.5").any(axis=None)


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
@settings(max_examples=100, deadline=None)
def test_a_guarded_csv_read_again_is_the_table_that_was_written(texts):
    # Blanks at the start are no part of a cell, and a column of numbers is one.
    texts = [*(text.strip(" ") or "x" for text in texts), "plain"]
    frame = pd.DataFrame({"text": texts, "label": "x"})
    assert read_frame(guarded_csv(frame), "x.csv")["text"].tolist() == texts


def test_numbers_and_missing_cells_are_not_guarded():
    frame = pd.DataFrame(
        {"mixed": [-1, "-1", None, -2.5, True, "=x"], "day": pd.date_range("2020", periods=6)}
    )
    guarded = guard_formulas(frame)
    assert guarded["mixed"].tolist()[:2] == [-1, "-1"]
    assert guarded["mixed"].tolist()[3:] == [-2.5, True, "'=x"]
    assert guarded["mixed"].isna().tolist() == [False, False, True, False, False, False]
    assert frame["mixed"].tolist()[5] == "=x", "the frame itself is not changed"
    assert_frame_equal(guard_formulas(make_frame()), make_frame(), check_column_type=False)


def test_an_apostrophe_that_guards_nothing_stays():
    content = b"a,b\n'=x,1\n=y,2\n'-5,3\n"
    assert read_frame(content, "x.csv")["a"].tolist() == ["'=x", "=y", "'-5"]
    assert read_frame(b"a,b\n'tis,1\n'x,2\n", "x.csv")["a"].tolist() == ["'tis", "'x"]
