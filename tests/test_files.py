"""Files as people have them: the header is found, words and codes stay, and what was assumed is said."""

import io

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ecoval_core.command_line import main
from ecoval_core.runs.exports import to_csv
from ecoval_core.tables import (
    TableError,
    make_table,
    parse_header,
    read_cells,
    read_file,
    read_frame,
)


def workbook(**sheets):
    target = io.BytesIO()
    with pd.ExcelWriter(target, engine="openpyxl") as writer:
        for name, rows in sheets.items():
            pd.DataFrame(rows).to_excel(writer, sheet_name=name, header=False, index=False)
    return target.getvalue()


IRIS = "5.1,3.5,1.4,0.2,setosa\n4.9,3.0,1.4,0.2,setosa\n7.0,3.2,4.7,1.4,versicolor\n"
MUSHROOMS = "p,x,s,n\ne,x,s,y\ne,b,s,w\np,x,y,w\ne,x,s,g\np,x,s,n\n"
ROWS = [[1.5, 2, "a"], [2.5, 3, "b"], [3.5, 4, "a"]]
# What a file holds -> names of its columns, its first row, and the rows with the names.
FILES = {
    "iris.data": (IRIS, ["column_1", "column_5"], [5.1, "setosa"], ()),
    "mushrooms.csv": (MUSHROOMS, ["column_1", "column_4"], ["p", "n"], ()),
    "adult.data": ("39, State-gov, <=50K\n50, Private, >50K\n38, Private, <=50K\n53, ?, >50K\n",
                   ["column_1", "column_3"], [39, "<=50K"], ()),
    "years.csv": ("country,2019,2020\nA,1.5,2\nB,3.5,4\nC,5,6\n", ["country", "2020"], ["A", 2], None),
    "numbered.csv": ("0,1,label\n.5,.1,a\n.7,.2,b\n.9,.3,a\n", ["0", "label"], [0.5, "a"], None),
    "report.csv": ("Sales 2024\n\nregion;amount;won\nNorth;1,5;yes\nSouth;2,5;no\nEast;3,5;yes\n",
                   ["region", "won"], ["North", "yes"], (3,)),
    "titled.csv": ("Export,,\nmade today,,\na,b,y\n1,2,x\n3,4,z\n5,6,x\n", ["a", "y"], [1, "x"], (3,)),
    "units.csv": ("length,mass,kind\ncm,kg,\n1.5,2.5,a\n2.5,3.5,b\n3.5,4.5,a\n",
                  ["length cm", "kind"], [1.5, "a"], (1, 2)),
    "merged.csv": ("2023,,2024,\nin,out,in,out\n1,2,3,4\n5,6,7,8\n9,10,11,12\n",
                   ["2023 in", "2024 out"], [1, 4], (1, 2)),
    "housing.data": (" 0.006  18.0   2.31 24.0\n 0.027   0.0   7.07 21.6\n 0.032   0.0   2.18 33.4\n",
                     ["column_1", "column_4"], [0.006, 24.0], ()),
    "auto.txt": ("mpg  cyl  name\n18.0   8  chevy\n15.5   6  ford\n24.0   4  fiat\n",
                 ["mpg", "name"], [18.0, "chevy"], None),
    "twice.csv": ("length,kind,length\n1,a,2\n3,b,4\n5,a,6\n", ["length", "length.1"], [1, 2], None),
    "logs.jsonl": ('{"code": "007", "n": 1}\n{"code": "010", "n": 2}\n', ["code", "n"], ["007", 1], None),
    "records.json": ('[{"a": 1, "b": "x"}, {"a": 2, "b": null}]', ["a", "b"], [1, "x"], None),
    "zips.csv": ("zip,v\n07286,1.70\n01234,2.50\n12345,3.00\n", ["zip", "v"], ["07286", 1.7], None),
    "quoted.csv": ('"score","y"\n"0,830","a"\n"1,25","b"\n', ["score", "y"], [0.83, "a"], None),
    "thousands.csv": ('"pay","y"\n"12,830","a"\n"1,250","b"\n', ["pay", "y"], ["12,830", "a"], None),
    "findings.csv": ("x,finding\n1,Mild\n2,None\n3,NA\n", ["x", "finding"], [1, "Mild"], None),
    "sms.tsv": ("ham\tGo on, crazy\nham\tOk lar\nspam\tFree entry in 2\nham\tU say\nspam\tcall, now\n",
                ["column_1", "column_2"], ["ham", "Go on, crazy"], ()),
    "sourced.csv": ("Sales of 2024\nSource: own, unaudited\n\nregion,sold,won\nN,1,y\nS,2,n\nE,3,y\n",
                    ["region", "won"], ["N", "y"], (4,)),
    "seeds.txt": ("15.2\t14.8\t\t0.87\t1\n14.8\t14.5\t0.88\t1\n14.2\t14.1\t0.90\t2\n",
                  ["column_1", "column_4"], [15.2, 1], ()),
    "auto-mpg.data": ('18.0   8   3504.      70\t"chevy malibu"\n15.0   8   3693.      70\t"buick"\n'
                      '24.0   4   2372.      71\t"toyota corona mark ii"\n',
                      ["column_1", "column_5"], [18.0, "chevy malibu"], ()),
    "escaped.csv": ('id,note,y\n1,"a \\"b\\" c",p\n2,"d, \\"e\\"",q\n',
                    ["note", "y"], ['a "b" c', "p"], None),
    "folders.csv": ('dir,to,y\n"C:\\a\\","D:\\",p\n"C:\\b\\","E:\\",q\n',
                    ["dir", "y"], ["C:\\a\\", "p"], None),
    "marked.jsonl": ('\ufeff{"a": 1, "y": "x"}\n{"a": 2, "y": "z"}\n', ["a", "y"], [1, "x"], None),
    "words.xlsx": (workbook(S=[["v", "y"], [1.5, "None"], ["NA", "ill"], [2.5, "NA"]]),
                   ["v", "y"], [1.5, "None"], None),
    "noted.xlsx": (workbook(Notes=[["read me"], ["and this"]], Data=[["a", "b", "y"], *ROWS]),
                   ["a", "y"], [1.5, "a"], None),
    "sheet.xlsx": (workbook(Sheet1=[["Report", None, None], [None] * 3, ["a", "b", "y"], *ROWS]),
                   ["a", "b", "y"], [1.5, 2, "a"], (3,)),
    "bare.xlsx": (workbook(Sheet1=ROWS), ["column_1", "column_3"], [1.5, "a"], ()),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_header_is_found(name):
    content, columns, first, header = FILES[name]
    content = content if isinstance(content, bytes) else content.encode()
    frame, reading = read_file(content, name)
    assert reading.header == header
    assert frame[columns].iloc[0].tolist() == first
    if header is not None:
        # What was assumed, said aloud, reads the same.
        again = read_frame(content, name, header=header, sheet=reading.sheet)
        pd.testing.assert_frame_equal(again, frame)


def test_header_and_sheet_are_chosen():
    book = workbook(Notes=[["a note"], ["another"]], Data=[["a", "b", "y"], *ROWS])
    assert read_file(book, "b.xlsx").reading.sheets == ("Notes", "Data")
    frame, reading = read_file(book, "b.xlsx", sheet="Data")
    assert (list(frame), reading.sheet, reading.header) == (["a", "b", "y"], "Data", None)
    assert read_frame(b"1,2\n3,4\n5,6\n", "x.csv", header=[1]).columns.tolist() == ["1", "2"]
    assert read_frame(b"a,b\n3,4\n5,6\n", "x.csv", header=[]).iloc[0].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda: read_frame(workbook(One=ROWS), "b.xlsx", sheet="Two"), "no sheet 'Two': choose .* 'One'"),
        (lambda: read_frame(b"a,b\n1,2\n", "x.csv", sheet="Two"), "x.csv is no workbook"),
        (lambda: read_frame(b"a,b\n1,2\n", "x.csv", header=[9]), "no names in row 9"),
        (lambda: read_frame(workbook(One=ROWS), "b.xlsx", header=[9]), "no names in row 9"),
        (lambda: parse_header("first"), "The header is 'first': give the number"),
        (lambda: parse_header("1,2,3"), "The header is '1,2,3'"),
    ],
)  # fmt: skip
def test_header_or_sheet_that_is_not_there(read, problem):
    with pytest.raises(TableError, match=problem):
        read()


def test_word_is_a_class_in_a_target_and_missing_in_a_feature():
    rng = np.random.default_rng(0)
    frame = read_frame(
        pd.DataFrame(
            {"x": rng.normal(size=60), "seen": ["NA", "b", "c"] * 20, "y": ["None", "NA", "ill"] * 20}
        ).to_csv(index=False).encode(), "x.csv",
    )  # fmt: skip
    table = make_table(frame, "x.csv", "y")
    assert table.classes.tolist() == ["NA", "None", "ill"]
    assert len(table.labelled_ids) == 60
    assert make_table(frame.assign(seen="NA"), "x.csv", "y").excluded == {
        "seen": "every value is missing"
    }


def test_cells_come_out_as_they_are_written():
    text = b'zip,price,ok,note\n07286,1.70,FALSE,NA\n01234,"2,50",TRUE,\n'
    frame, reading = read_file(text, "x.csv")
    cells = read_cells(text, "x.csv", reading)
    assert cells.fillna("").to_csv(index=False).encode() == text
    assert len(cells) == len(frame)


def test_negative_numbers_come_out_as_numbers_and_formulas_as_text():
    cells = pd.DataFrame({"x": ["-2.21", "+1e3", "-.50"], "note": ["-1", "-1+2", "=A1"]})
    assert to_csv(cells) == b"x,note\n-2.21,-1\n+1e3,'-1+2\n-.50,'=A1\n"
    assert read_frame(to_csv(cells), "x.csv")["note"].tolist() == cells["note"].tolist()


def test_a_file_is_read_below_its_title_and_mended_on_request_and_both_are_said(tmp_path):
    messy, out = tmp_path / "messy.csv", tmp_path / "out.csv"
    rows = '"37,419",1,good \n"45,328",2,good\n"18,088",3,bad\n"22,848",4,bad\n'
    messy.write_text("Loans of 2024\n\nincome,hours,outcome\n" + rows * 15)
    command = ["value", str(messy), "--target", "outcome", "--out", str(out), "--mend"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "Names: row 3" in done.stderr
    assert "Mended: 'income'" in done.stderr
    valued = read_frame(out)
    assert valued["income"].dtype.kind == "i"
    assert sorted(valued["outcome"].unique()) == ["bad", "good"]
