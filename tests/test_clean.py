"""Fixes: what is noticed, what is said of it, what cleaning does, and that nothing happens unasked."""

import json

import numpy as np
import pandas as pd
import pytest
from data_files import make_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from ecoval_core.columns.clean import spelling_key
from ecoval_core.columns.clean_numbers import is_code, read_numbers
from ecoval_core.tables import SAMPLES, Fix, clean, load_sample, read_frame, suggest_fixes


def suggest(values, **kwargs):
    return suggest_fixes(pd.DataFrame({"a": pd.Series(values, **kwargs)}))


def cleaned(values, **kwargs):
    frame = pd.DataFrame({"a": pd.Series(values, **kwargs)})
    return clean(frame, suggest_fixes(frame))["a"]


def check_sentence(one):
    assert one.sentence.startswith(f"'{one.column}' ")
    assert one.sentence.isprintable()
    assert one.sentence.endswith(".")
    assert ": " in one.sentence, "what was found, a colon, what the fix does"


# --- Categories ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string"])
def test_spellings_become_the_commonest(dtype):
    values = ["Yes"] * 6 + ["yes "] * 3 + ["YES"] * 2 + ["No"] * 4 + [None]
    (one,) = suggest(values, dtype=dtype)
    check_sentence(one)
    assert (one.kind, one.n_cells) == ("spelling", 5)
    assert one.mapping == (("YES", "Yes"), ("Yes", "Yes"), ("yes ", "Yes"))
    assert one.sentence == (
        "'a' spells a category in several ways, such as 'Yes' (6), 'yes ' (3) and 'YES' (2): spell each in "
        "its commonest way, such as 'Yes'."
    )
    done = cleaned(values, dtype=dtype)
    assert done.dropna().tolist() == ["Yes"] * 11 + ["No"] * 4
    assert done.isna().tolist() == [False] * 15 + [True]


@pytest.mark.parametrize(
    "texts",
    [
        (
            "New York",
            "new york",
            " NEW  YORK",
            "new-york",
            "New_York",
            "'New York'",
            "New\u00a0York",
        ),
        ("U.S.A.", "usa", "USA", "U.S.A"),
        ("yes", "Yes.", "YES!", '"yes"'),
        ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
    ],
)
def test_spellings_of_one_category(texts):
    assert len({spelling_key(text) for text in texts}) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ("C", "C++", "C#"), ("<5", ">5", "5"), ("-1", "1", "+1"), ("1.5", "15"), ("10-20", "10 20", "1020"),
        ("+", "-"), ("a/b", "ab"), ("yes", "yes?no"), ("I", "II"), ("é", "e"), ("!", "?"), ("A+", "A-", "A"),
    ],
)  # fmt: skip
def test_signs_that_mean_something_tell_categories_apart(texts):
    assert len({spelling_key(text) for text in texts}) == len(texts)


def test_marks_among_categories_become_missing():
    values = ["red"] * 9 + ["blue"] * 9 + ["?"] * 2 + ["N/A "] + ["none"] * 3
    (one,) = suggest(values)
    check_sentence(one)
    assert (one.kind, one.n_cells) == ("missing", 3)
    assert one.mapping == (("?", None), ("N/A ", None))
    assert "'?' in 2 rows and 'N/A ' in 1 row, which stand for missing values" in one.sentence
    assert cleaned(values).isna().tolist() == [False] * 18 + [True] * 3 + [False] * 3


def test_a_minus_beside_a_plus_is_a_category():
    assert suggest(["+", "-"] * 20) == ()
    assert suggest(["red", "-"] * 20)[0].kind == "missing"


def test_marks_and_spellings_of_one_column_are_two_fixes():
    values = ["a"] * 5 + ["A"] + ["b"] * 4 + ["?"]
    missing, spelling = suggest(values)
    assert (missing.kind, spelling.kind) == ("missing", "spelling")
    assert cleaned(values).tolist()[:10] == ["a"] * 6 + ["b"] * 4
    frame = pd.DataFrame({"a": values})
    assert clean(frame, [spelling])["a"].tolist()[-1] == "?", "each of them by itself"


def test_names_and_texts_that_hardly_repeat_are_left_alone():
    assert suggest([f"Name {i}" for i in range(40)] + ["name 1"]) == ()


# --- Numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "numbers"),
    [
        (["12 %", "3.5%", "-1%", "100 %"], "percent", [12, 3.5, -1, 100]),
        (["12 %", "14%", "13", "15%"], "percent", [12, 14, 13, 15]),
        (["3,5 %", "12,25 %"], "percent", [3.5, 12.25]),
        (["$1,200", "$950.50", "-$3", "$ 7"], "amount", [1200, 950.5, -3, 7]),
        (["1,200", "3,400,000", "12"], "amount", [1200, 3_400_000, 12]),
        (["1.200,5 €", "3,5 €", "EUR 12"], "amount", [1200.5, 3.5, 12]),
        (["1'200", "1’300.5"], "amount", [1200, 1300.5]),
        (["1 200,5", "1\u202f300"], "amount", [1200.5, 1300]),
        (["(1,200)", "300"], "amount", [-1200, 300]),
        (["5 USD", "7 usd"], "amount", [5, 7]),
        (["1.5", "-2", "+3", "1e3", " 4 "], "number", [1.5, -2, 3, 1000, 4]),
    ],
)
def test_text_becomes_the_numbers_that_it_spells(values, kind, numbers):
    (one,) = suggest(values * 10)
    check_sentence(one)
    assert (one.kind, one.n_cells, one.mapping) == (kind, 10 * len(values), ())
    done = cleaned(values * 10)
    assert done.tolist() == numbers * 10
    assert done.dtype == (
        "int64" if all(isinstance(number, int) for number in numbers) else "float64"
    )


@pytest.mark.parametrize(
    "values",
    [
        ["01234", "1235"],  # codes keep their zeros
        ["1234567890123456", "1234567890123457"],  # no float holds them
        ["0.12", "12 %"],  # which may be the same
        ["2020-01-01", "2020-02-01"],
        ["555-123", "555-124"],
        ["12 kg", "13 kg"],
        ["1,2,3", "4,5,6"],
        ["10-20", "20-30"],
        ["192.168.0.1", "192.168.0.2"],
        ["1", "two", "three"],
        ["12:30", "13:45"],
    ],
)
def test_other_text_of_digits_is_left_alone(values):
    assert suggest(values * 10) == ()


def test_marks_among_numbers_become_missing_and_the_column_one_of_numbers():
    values = ["1", "2", "3"] * 10 + ["?"] * 3 + ["n/a", "unknown"]
    (one,) = suggest(values)
    check_sentence(one)
    assert (one.kind, one.n_cells) == ("number", 5)
    assert "'?' in 3 rows, 'n/a' in 1 row and 'unknown' in 1 row" in one.sentence
    assert "the column is one of numbers" in one.sentence
    done = cleaned(values)
    assert done.dtype == np.float64
    assert done.isna().sum() == 5
    assert done.sum() == 60


def test_a_column_of_numbers_but_for_a_few_cells_is_reported():
    values = [str(i) for i in range(97)] + ["heavy", "light", "?"]
    (one,) = suggest(values)
    check_sentence(one)
    assert (one.kind, one.n_cells) == ("stray", 3)
    assert "numbers but for 3 cells, such as 'heavy' in row 97 (the first row is 0)" in one.sentence
    assert dict(one.mapping) == {"heavy": None, "light": None, "?": None}
    assert cleaned(values).isna().sum() == 3
    assert suggest([str(i) for i in range(20)] + ["heavy"] * 5) == (), "too many are none"


def test_cells_without_a_number_are_told_of_where_amounts_are_read():
    values = ["$1,200", "$950"] * 20 + ["call us", "-"]
    (one,) = suggest(values)
    assert one.kind == "amount"
    assert "and empty 2 cells without a number, such as 'call us'" in one.sentence
    assert cleaned(values).isna().tolist() == [False] * 40 + [True] * 2


def test_columns_of_an_excel_file_may_mix_numbers_and_text():
    values = [1, 2.5] * 20 + ["n/a", "3"]
    (one,) = suggest(values, dtype=object)
    assert (one.kind, one.n_cells) == ("number", 1)
    done = cleaned(values, dtype=object)
    assert done.tolist()[-1] == 3
    assert done.isna().sum() == 1


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "${:,}", "{:,} EUR", "{}", "{} %"]))
@settings(max_examples=200, deadline=None)
def test_whole_numbers_survive_their_spelling(number, spelt):
    assert read_numbers([spelt.format(number)], ".").tolist() == [number]
    european = spelt.format(number).replace(",", ".")
    assert read_numbers([european], ",").tolist() == [number]


@given(st.floats(-1e12, 1e12).map(lambda number: round(number, 3)))
@settings(max_examples=200, deadline=None)
def test_fractions_survive_their_spelling(number):
    text = f"{number:,.3f}"
    assert read_numbers([text], ".").tolist() == [number]
    swapped = text.replace(",", " ").replace(".", ",")
    assert read_numbers([swapped], ",").tolist() == [number]


@given(st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_number_or_none(text):
    for decimal in (".", ","):
        assert read_numbers([text], decimal).shape == (1,)
    spelling_key(text)
    assert is_code("007")


# --- Nothing unasked, and again --------------------------------------------------------------


def dirty_frame():
    return pd.DataFrame(
        {
            "answer": ["Yes", "yes ", "No", "?"] * 25,
            "price": ["$1,200", "$950"] * 50,
            "age": ["31", "45", "?", "28"] * 25,
            "width": np.arange(100) * 0.5,
            "label": ["x", "y"] * 50,
        }
    )


def test_nothing_is_cleaned_unless_asked():
    frame = dirty_frame()
    before = frame.copy()
    fixes = suggest_fixes(frame)
    assert [one.column for one in fixes] == ["answer", "answer", "price", "age"]
    assert_frame_equal(clean(frame, ()), before)
    clean(frame, fixes)
    assert_frame_equal(frame, before)


def test_what_was_cleaned_needs_no_fix():
    done = clean(dirty_frame(), suggest_fixes(dirty_frame()))
    assert suggest_fixes(done) == ()
    assert done.columns.tolist() == dirty_frame().columns.tolist()
    assert done.dtypes[["price", "age", "width"]].tolist() == ["int64", "float64", "float64"]


@pytest.mark.parametrize("key", SAMPLES)
def test_samples_need_no_fix(key):
    assert suggest_fixes(load_sample(key).frame) == ()


def test_good_frames_need_no_fix():
    assert (
        suggest_fixes(make_frame(day=pd.date_range("2020", periods=40), truth=[True, False] * 20))
        == ()
    )
    nested = make_frame(nested=[[1, 2]] * 40, nothing=None)
    assert suggest_fixes(nested) == ()


def test_fixes_go_through_json_and_do_the_same_again():
    frame = dirty_frame()
    fixes = suggest_fixes(frame)
    again = tuple(Fix.model_validate(json.loads(fix.model_dump_json())) for fix in fixes)
    assert again == fixes
    assert_frame_equal(clean(frame, again), clean(frame, fixes))


def test_new_rows_are_cleaned_alike():
    fixes = suggest_fixes(dirty_frame())
    new = pd.DataFrame(
        {"answer": ["YES", "no", "maybe", "?", " ? "], "price": ["$3", "12", "x", None, "$1,000"]}
    )
    done = clean(new, fixes)
    assert done["answer"].tolist()[:3] == ["Yes", "no", "maybe"]
    assert done["answer"].isna().tolist() == [False, False, False, True, True]
    assert done["price"].tolist()[:2] == [3, 12]
    assert done["price"].isna().tolist() == [False, False, True, True, False]
    assert clean(pd.DataFrame({"price": [1.5]}), fixes)["price"].tolist() == [1.5]


@pytest.mark.parametrize(
    "change",
    [{"kind": "what"}, {"column": 7}, {"mapping": [["a"]]}, {"mapping": None}, {"mapping": [[1, 2]]},
     {"decimal": "x"}, {"n_cells": "3"}, {"extra": 1}, {"mapping": [[None, "a"]]}],
)  # fmt: skip
def test_what_is_no_fix_is_refused(change):
    document = suggest_fixes(dirty_frame())[0].model_dump(mode="json")
    with pytest.raises(ValidationError):
        Fix.model_validate(document | change)


def test_fixes_are_values():
    fix = suggest_fixes(dirty_frame())[0]
    assert hash(fix) == hash(fix.model_copy())
    with pytest.raises(ValidationError):
        fix.kind = "number"


def test_a_file_with_all_of_it_is_cleaned_to_what_it_means():
    content = (
        "answer,rate,price,label\n" + 'Yes,12 %,"$1,200",a\nyes ,3.5%,"$950",b\nNo,?,n/k,a\n' * 30
    )
    frame = read_frame(content.encode(), "x.csv")
    done = clean(frame, suggest_fixes(frame))
    assert done["answer"].unique().tolist() == ["Yes", "No"]
    assert done["rate"].dropna().unique().tolist() == [12, 3.5]
    assert done["price"].dropna().unique().tolist() == [1200, 950]
