"""Files that nobody should be able to value, each with a piece of what the message must say."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from ecoval_core.tables import TableError


def refusal(function, *args, **kwargs):
    """The message of a refusal, which must be one line and one sentence."""
    with pytest.raises(TableError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    assert ": " in message, "what is wrong, a colon, what to do"
    return message


def make_frame(n_rows=40, **columns):
    """A small good table: two measurements, a text column and the target `label`."""
    rng = np.random.default_rng(0)
    data = {
        "width": rng.normal(size=n_rows).round(3), "height": rng.normal(size=n_rows).round(3),
        "colour": rng.choice(["red", "green", "blue"], n_rows),
        "label": np.where(np.arange(n_rows) % 3, "yes", "no"),
    }  # fmt: skip
    return pd.DataFrame(data | columns)


def csv_bytes(frame, encoding="utf-8", **options):
    return frame.to_csv(index=False, **options).encode(encoding)


def excel_bytes(frame, **options):
    buffer = io.BytesIO()
    frame.to_excel(buffer, **{"index": False} | options)
    return buffer.getvalue()


def parquet_bytes(frame, **options):
    buffer = io.BytesIO()
    frame.to_parquet(buffer, **options)
    return buffer.getvalue()


def zip_bytes():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("table.csv", "a,b\n1,2\n")
    return buffer.getvalue()


GOOD = csv_bytes(make_frame())
PARQUET = parquet_bytes(make_frame())
EXCEL = excel_bytes(make_frame())

# What cannot be read at all: name -> (content, what the message says).
UNREADABLE = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b" \r\n\n\t\n", "is empty"),
    "mark_only.csv": (b"\xef\xbb\xbf", "is empty"),
    "commas.csv": (b",,\n,,\n", "is empty"),
    "binary.csv": (bytes(range(256)) * 20, "neither text"),
    "no_nul.csv": (bytes(range(1, 32)) * 20, "neither text"),
    "pickle.csv": (pickle.dumps(make_frame()), "neither text"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
    "document.csv": (b"%PDF-1.7\n" + bytes(100), "a PDF document"),
    "twice.csv.gz": (gzip.compress(gzip.compress(GOOD)), "a compressed archive"),
    "cut.csv.gz": (gzip.compress(GOOD)[:-20], "compressed file that is damaged or cut short"),
    "false.csv.gz": (gzip.compress(GOOD)[:-6] + b"123456", "compressed file that is damaged"),
    "archive.csv": (zip_bytes(), "a zip archive"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "old (.xls)"),
    "page.csv": (b"\n<!DOCTYPE html>\n<html></html>", "a web page"),
    "nested.json": (b'{"a": {"b": 1}, "c": 2} and more', "a JSON document, not one row an object"),
    "utf16_unmarked.csv": (GOOD.decode().encode("utf-16-le"), "neither text"),
    "utf16_cut.csv": (GOOD.decode().encode("utf-16")[:-1], "not valid UTF-16"),
    "damaged.csv": ("a,b\né,ü\nö,".encode() + b"\xe9\nq,w\n", "text in line 3"),
    "cut.parquet": (PARQUET[: len(PARQUET) // 2], "damaged"),
    "not.parquet": (b"PAR1 and then nothing", "damaged"),
    "cut.xlsx": (EXCEL[: len(EXCEL) // 2] + b"xl/workbook.xml", "damaged or protected"),
    "blank.xlsx": (excel_bytes(pd.DataFrame()), "is empty"),
    "long_line.csv": (b"a,b\n" + b"1,2\n" * 3 + b"1,2,3\n", "3 fields in line 5 but 2 column"),
    "long_first.csv": (b"\na,b\n1,2,3,4\n1,2\n", "4 fields in line 3 but 2 column"),
    "long_late.csv": (b"a,b\n" + b"1,2\n" * 99 + b"1,2,3\n", "3 fields in line 101"),
    "quote.csv": (b'a,b\n1,2\n3,"4\n5,6\n', "quotation mark near line 3"),
}

# What can be read and not be valued: name -> (content, what the message says).
UNFIT = {
    "header.csv": (b"a,b,y\n", "no rows"),
    "header.parquet": (parquet_bytes(make_frame().iloc[:0]), "no rows"),
    "header.xlsx": (excel_bytes(make_frame().iloc[:0]), "no rows"),
    "one_column.csv": (b"a\n" + b"1\n2\n" * 20, "one column only ('a')"),
    "one_row.csv": (b"a,b,y\n1,2,x\n", "a single row"),
    "few_rows.csv": (b"a,b,y\n" + b"1,2,x\n2,1,z\n" * 2, "4 rows only"),
    "one_class.csv": (csv_bytes(make_frame(label="yes")), "one class only (yes)"),
    "single.csv": (csv_bytes(make_frame(label=["odd", *["x", "z"] * 19, "x"])), "Class 'odd' has"),
    "missing_target.csv": (csv_bytes(make_frame(label=["x", "z"] * 4 + [None] * 32)), "in 8 of 40"),
    "infinite.csv": (b"a,b,y\n1,2,x\n" + b"1,-inf,x\n2,1,z\n" * 20, "'b' holds an infinite"),
    "huge.csv": (b"a,b,y\n" + b"1,1e200,x\n2,1,z\n" * 20, "'b' holds the number 1e+200"),
    "labels.csv": (
        b"a,b,label\n" + b"".join(b"%d,%d,n%dx\n" % (i % 7, i % 9, i) for i in range(10_000)),
        "10,000 distinct labels",
    ),
}


def loan_csv(n_rows=700, seed=5):
    """A loan-like table: one loan in nine is charged off, and a rule tells much of which."""
    random = np.random.default_rng(seed)
    income = random.lognormal(10.6, 0.5, n_rows).round()
    debt = random.beta(2, 5, n_rows).round(3)
    late = random.poisson(0.4, n_rows)
    purpose = random.choice(["car", "house", "debt", "other"], n_rows)
    risk = 6 * debt + 0.9 * late - 0.8 * np.log(income / 40_000) + random.normal(0, 0.7, n_rows)
    charged_off = risk >= np.quantile(risk, 1 - 1 / 9)
    frame = pd.DataFrame(
        {
            "income": income, "debt_ratio": debt, "late_payments": late, "purpose": purpose,
            "status": np.where(charged_off, "charged off", "paid"),
        }
    )  # fmt: skip
    return csv_bytes(frame)
