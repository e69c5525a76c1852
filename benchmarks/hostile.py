"""Worst time and memory of reading a file, legal or hostile: the promise is 10 s and 1 GB.

``python benchmarks/hostile.py`` reads the files of ``tests/hostile_files.py`` and the largest legal ones, and
prints, for each kind, the file that took longest and the one that took most memory (resident, above what was
there before the file was opened). ``--legal`` reads the legal ones alone. Linux only.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import ctypes
import gc
import gzip
import io
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.csv
import python_calamine  # noqa: F401 - imported before memory is measured
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import hostile_files

from ecoval_core.files import limits
from ecoval_core.tables import TableError, read_frame

MB = 2**20


def csv_bytes(table, quotes=False):
    sink = io.BytesIO()
    style = "all_valid" if quotes else "none"
    options = pyarrow.csv.WriteOptions(quoting_style=style)
    pyarrow.csv.write_csv(table, sink, options)
    return sink.getvalue().replace(b'"', b"", 0 if quotes else -1)


def parquet_bytes(table, **options):
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def excel_bytes(cells):
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append([f"c{i}" for i in range(20)])
    n_rows = 75_000
    for i in range(n_rows):
        sheet.append([cells(20 * i + j) for j in range(20)])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def table_of(n_rows, n_columns, make):
    return pa.table({f"c{i}": make(n_rows, i) for i in range(n_columns)})


def numbers(n_rows, i):
    return np.random.default_rng(i).integers(0, 10**8, n_rows)


def fractions(n_rows, i):
    return np.random.default_rng(i).normal(size=n_rows).round(4)


def texts(n_rows, i):
    return pa.array(np.char.add(f"t{i}_", np.arange(n_rows).astype(str)))


def mixed(n_rows, i):
    column = np.random.default_rng(i).integers(0, 10**6, n_rows).astype(str)
    column[-1] = "x"
    return pa.array(column)


def legal_files():
    """Yield the largest files of each kind that are within all limits."""
    most = limits.MAX_CELLS
    yield "numbers, 2,000,000 x 10.csv", csv_bytes(table_of(most // 10, 10, numbers))
    yield "fractions, 2,000,000 x 10.csv", csv_bytes(table_of(most // 10, 10, fractions))
    yield "texts, 200,000 x 100.csv", csv_bytes(table_of(most // 100, 100, texts))
    yield (
        "texts in quotes, 4,000 x 5,000.csv",
        csv_bytes(table_of(most // 5_000, 5_000, texts), quotes=True),
    )
    yield "one text at the end, 2,000,000 x 10.csv", csv_bytes(table_of(most // 10, 10, mixed))
    row = ("é" * 60 + ",x\n").encode("latin-1")
    data = csv_bytes(table_of(most // 10, 10, mixed))
    yield "the same with quotes.csv", data.replace(b"\n1", b'\n"1"')
    yield "Latin-1, one column.csv", b"a,b\n" + row * (100 * MB // len(row))
    row = ("x" * 199 + "😀" * 1 + ",y\n").encode()
    yield "signs of four bytes.csv", b"a,b\n" + row * (200 * MB // len(row) - 1)
    row = ('"' + "x, y\n" * 30_000 + '",y\n').encode()
    yield "long cells in quotes.csv", b"a,b\n" + row * (200 * MB // len(row) - 1)
    data = csv_bytes(table_of(most // 40, 20, numbers))
    yield "UTF-16.csv", data.decode().encode("utf-16")
    yield "packed.csv.gz", gzip.compress(csv_bytes(table_of(most // 10, 10, numbers)), 1)
    yield "numbers.xlsx", excel_bytes(lambda i: i * 1.37)
    yield "texts.xlsx", excel_bytes(lambda i: f"text {i}")
    yield "times.xlsx", excel_bytes(lambda i: pd.Timestamp("2000") + pd.Timedelta(minutes=13 * i))
    yield "fractions.parquet", parquet_bytes(table_of(most // 10, 10, fractions))
    yield "texts.parquet", parquet_bytes(table_of(most // 10, 10, texts))
    long = pa.array([f"{i % 5000:040d}" for i in range(200 * MB // 41)])[: limits.MAX_ROWS]
    yield "repeated texts.parquet", parquet_bytes(pa.table({f"c{i}": long for i in range(2)}))
    yield "prefixes.parquet", parquet_bytes(
        pa.table({f"c{i}": long for i in range(2)}), use_dictionary=False,
        column_encoding={f"c{i}": "DELTA_BYTE_ARRAY" for i in range(2)},
    )  # fmt: skip
    yield "dates and decimals.parquet", parquet_bytes(
        pa.table(
            {f"c{i}": pa.array(np.arange(most // 10) % 20_000, pa.int32()).cast(
                pa.date32() if i % 2 else pa.decimal128(12, 2)) for i in range(10)}
        )
    )  # fmt: skip


def peak():
    """Return the highest resident megabytes since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(files):
    worst_time, worst_memory, n_files = ("", 0.0), ("", 0.0), 0
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            path = Path(folder) / "file"
            path.write_bytes(content)
            size = len(content) // MB
            del content
            gc.collect()
            pa.default_memory_pool().release_unused()
            ctypes.CDLL(None).malloc_trim(
                0
            )  # else what was freed before would hide what is taken now
            Path("/proc/self/clear_refs").write_text("5")
            before = process.memory_info().rss / MB
            started, used = time.perf_counter(), time.process_time()
            try:
                outcome = str(read_frame(path, name).shape)
            except TableError as error:
                outcome = str(error)
            seconds, cpu = time.perf_counter() - started, time.process_time() - used
            memory = peak() - before
            n_files += 1
            if seconds > 1 or memory > 300:
                print(
                    f"  {name} ({size} MB): {seconds:.1f} s ({cpu:.1f} s of a core), "
                    f"{memory:.0f} MB; {outcome[:90]}"
                )
            worst_time = max(worst_time, (name, cpu), key=lambda found: found[1])
            worst_memory = max(worst_memory, (name, memory), key=lambda found: found[1])
    return n_files, worst_time, worst_memory


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--legal", action="store_true", help="the largest legal files only")
    only_legal = parser.parse_args().legal
    warnings.simplefilter("ignore")
    kinds = {"legal": legal_files}
    if not only_legal:
        kinds |= {make.__name__: make for make in hostile_files.KINDS}
    for kind, make in kinds.items():
        n_files, slowest, largest = measure(make())
        print(
            f"{kind}: {n_files} files; slowest {slowest[1]:.1f} s of a core ({slowest[0]}), "
            f"most memory {largest[1]:.0f} MB ({largest[0]})",
            flush=True,
        )


if __name__ == "__main__":
    main()
