"""Fixes: what is noticed, what is said of it, what cleaning does, and that nothing happens unasked."""

import numpy as np
import pandas as pd
import pytest
from data_files import make_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from ecoval_core.columns.clean import spelling_key
from ecoval_core.columns.clean_numbers import read_numbers
from ecoval_core.tables import SAMPLES, Fix, clean, load_sample, suggest_fixes


def suggest(values, **kwargs):
    return suggest_fixes(pd.DataFrame({"a": pd.Series(values, **kwargs)}))


def fix_only(values, **kwargs):
    """The one fix that is suggested for a column, and the column when it is cleaned."""
    frame = pd.DataFrame({"a": pd.Series(values, **kwargs)})
    (one,) = suggest_fixes(frame)
    assert one.sentence.startswith("'a' ")
    assert one.sentence.isprintable()
    assert one.sentence.endswith(".")
    assert ": " in one.sentence, "what was found, a colon, what the fix does"
    return one, clean(frame, [one])["a"]


# --- Categories ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string"])
def test_spellings_become_the_commonest(dtype):
    values = ["Yes"] * 6 + ["yes "] * 3 + ["YES"] * 2 + ["No"] * 4 + [None]
    one, done = fix_only(values, dtype=dtype)
    assert (one.kind, one.n_cells) == ("spelling", 5)
    assert one.mapping == (("YES", "Yes"), ("Yes", "Yes"), ("yes ", "Yes"))
    assert "'Yes' (6), 'yes ' (3) and 'YES' (2)" in one.sentence
    assert done.dropna().tolist() == ["Yes"] * 11 + ["No"] * 4
    assert done.isna().tolist() == [False] * 15 + [True]


@pytest.mark.parametrize(
    "texts",
    [
        ("New York", "new york", " NEW  YORK", "new-york", "New_York", "'New York'", "New\u00a0York"),
        ("U.S.A.", "usa", "USA", "U.S.A"), ("yes", "Yes.", "YES!", '"yes"'), ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
    ],
)  # fmt: skip
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
    one, done = fix_only(values)
    assert (one.kind, one.n_cells) == ("missing", 3)
    assert one.mapping == (("?", None), ("N/A ", None))
    assert "'?' in 2 rows and 'N/A ' in 1 row" in one.sentence
    assert done.isna().tolist() == [False] * 18 + [True] * 3 + [False] * 3
    assert suggest(["red", "-"] * 20)[0].kind == "missing"
    assert suggest(["+", "-"] * 20) == (), "a minus beside a plus"


def test_marks_and_spellings_of_one_column_are_two_fixes_each_by_itself():
    values = ["a"] * 5 + ["A"] + ["b"] * 4 + ["?"]
    frame = pd.DataFrame({"a": values})
    missing, spelling = suggest(values)
    assert (missing.kind, spelling.kind) == ("missing", "spelling")
    assert clean(frame, [missing, spelling])["a"].dropna().tolist() == ["a"] * 6 + ["b"] * 4
    assert clean(frame, [spelling])["a"].tolist()[-1] == "?"


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
    one, done = fix_only(values * 10)
    assert (one.kind, one.n_cells, one.mapping) == (kind, 10 * len(values), ())
    assert done.tolist() == numbers * 10
    assert done.dtype == np.array(numbers).dtype


@pytest.mark.parametrize(
    "values",
    [
        ["01234", "1235"],  # codes keep their zeros
        ["1234567890123456", "1234567890123457"],  # no float holds them
        ["0.12", "12 %"],  # which may be the same
        ["2020-01-01", "2020-02-01"], ["555-123", "555-124"], ["12 kg", "13 kg"], ["1,2,3", "4,5,6"],
        ["192.168.0.1", "192.168.0.2"], ["1", "two", "three"], ["12:30", "13:45"],
    ],
)  # fmt: skip
def test_other_text_of_digits_is_left_alone(values):
    assert suggest(values * 10) == ()


def test_marks_among_numbers_become_missing_and_the_column_one_of_numbers():
    one, done = fix_only(["1", "2", "3"] * 10 + ["?"] * 3 + ["n/a", "unknown"])
    assert (one.kind, one.n_cells) == ("number", 5)
    assert "empty 5 cells without a number, such as '?' in row 30" in one.sentence
    assert done.dtype == np.float64
    assert (done.isna().sum(), done.sum()) == (5, 60)


def test_a_column_of_numbers_but_for_a_few_cells_is_reported():
    one, done = fix_only([str(i) for i in range(97)] + ["heavy", "light", "?"])
    assert (one.kind, one.n_cells) == ("stray", 3)
    assert "3 cells without a number, such as 'heavy' in row 97" in one.sentence
    assert done.isna().sum() == 3
    assert suggest([str(i) for i in range(20)] + ["heavy"] * 5) == (), "too many are none"


def test_cells_without_a_number_are_told_of_where_amounts_are_read():
    one, done = fix_only(["$1,200", "$950"] * 20 + ["call us", "-"])
    assert one.kind == "amount"
    assert "2 cells without a number, such as 'call us'" in one.sentence
    assert done.isna().tolist() == [False] * 40 + [True] * 2


def test_columns_of_an_excel_file_may_mix_numbers_and_text():
    one, done = fix_only([1, 2.5] * 20 + ["n/a", "3"], dtype=object)
    assert (one.kind, one.n_cells) == ("number", 1)
    assert done.tolist()[-1] == 3
    assert done.isna().sum() == 1


@given(
    st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12).map(lambda number: round(number, 3)),
    st.sampled_from(["{}", "${}", "{} EUR", "{} %"]),
)
@settings(max_examples=300, deadline=None)
def test_numbers_survive_their_spelling(number, spelt):
    text = spelt.format(f"{number:,}" if isinstance(number, int) else f"{number:,.3f}")
    assert read_numbers([text], ".").tolist() == [number]
    european = text.translate(str.maketrans(",.", ".,"))
    assert read_numbers([european], ",").tolist() == [number]


@given(st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_number_or_none(text):
    for decimal in (".", ","):
        assert read_numbers([text], decimal).shape == (1,)
    spelling_key(text)


# --- Nothing unasked, and again --------------------------------------------------------------


@pytest.fixture
def dirty():
    return pd.DataFrame(
        {
            "answer": ["Yes", "yes ", "No", "?"] * 25,
            "price": ["$1,200", "$950"] * 50,
            "age": ["31", "45", "?", "28"] * 25,
            "width": np.arange(100) * 0.5,
            "label": ["x", "y"] * 50,
        }
    )


def test_nothing_is_cleaned_unless_asked_and_what_was_cleaned_needs_no_fix(dirty):
    before = dirty.copy()
    fixes = suggest_fixes(dirty)
    assert [one.column for one in fixes] == ["answer", "answer", "price", "age"]
    assert_frame_equal(clean(dirty, ()), before)
    done = clean(dirty, fixes)
    assert_frame_equal(dirty, before)
    assert suggest_fixes(done) == ()
    assert done.columns.tolist() == before.columns.tolist()
    assert done.dtypes[["price", "age", "width"]].tolist() == ["int64", "float64", "float64"]


@pytest.mark.parametrize("key", SAMPLES)
def test_samples_need_no_fix(key):
    assert suggest_fixes(load_sample(key).frame) == ()


@pytest.mark.parametrize(
    "columns",
    [
        {"day": pd.date_range("2020", periods=40), "truth": [True, False] * 20},
        {"nested": [[1, 2]] * 40, "nothing": None},
        {"name": [f"Name {i}" for i in range(39)] + ["name 1"]},
    ],
    ids=["dates and truth", "lists and nothing", "names that hardly repeat"],
)
def test_good_columns_need_no_fix(columns):
    assert suggest_fixes(make_frame(**columns)) == ()


def test_new_rows_are_cleaned_alike(dirty):
    fixes = suggest_fixes(dirty)
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
def test_what_is_no_fix_is_refused(dirty, change):
    document = suggest_fixes(dirty)[0].model_dump(mode="json")
    with pytest.raises(ValidationError):
        Fix.model_validate(document | change)
