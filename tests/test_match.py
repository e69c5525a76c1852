"""A second file laid over the columns of a fitted table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecoval_core.tables import TableError, load_sample, make_table, prepare
from ecoval_core.tables.convert import match_names, match_values
from ecoval_core.tables.match import match_columns
from ecoval_core.tables.prepare import vectorise_new


def mixed(n=120, seed=0):
    """A frame with a column of every kind."""
    random = np.random.default_rng(seed)
    words = np.array(["red", "blue", "box", "cat", "sun", "tree", "car"])
    frame = pd.DataFrame(
        {
            "id": np.arange(1000, 1000 + n),
            "Body mass": random.normal(50, 5, n),
            "count": random.integers(0, 9, n),
            "isle": pd.Series(random.choice(["Dream", "Biscoe"], n), dtype="str"),
            "grade": pd.Categorical(
                random.choice(["low", "high"], n), ["low", "high"], ordered=True
            ),
            "alive": random.random(n) < 0.5,
            "seen": pd.date_range("2024-01-01", periods=n),
            "remark": [" ".join(random.choice(words, 5)) + f" {i}" for i in range(n)],
            "species": random.choice(["Adelie", "Gentoo"], n),
        }
    )
    frame.loc[3, "Body mass"] = np.nan
    return frame


@pytest.fixture(scope="module")
def table():
    return make_table(mixed(), "birds", "species", "classification", ["id"])


@pytest.fixture(scope="module")
def prepared(table):
    return prepare(table)


def new(n=20, seed=1):
    return mixed(n, seed).assign(id=np.arange(n))


# --- Vectorising -----------------------------------------------------------------------------


@pytest.mark.parametrize("sample", ["penguins", "digits", None])
def test_training_rows_come_back_to_the_last_bit(sample, table):
    prepared = prepare(load_sample(sample) if sample else table, noise=0.1, random_state=3)
    frame = prepared.table.frame
    for one in (prepared, replace(prepared, vectorizer=None)):
        for part in ("train", "test"):
            rows = frame.iloc[getattr(prepared, f"ids_{part}")]
            np.testing.assert_array_equal(vectorise_new(one, rows), getattr(prepared, f"X_{part}"))


def test_a_file_that_is_the_table_matches_without_a_word_but_that(table, prepared):
    matched = match_columns(table, table.frame)
    assert matched.notes == ()
    (warning,) = matched.warnings
    assert warning.startswith("120 rows equal rows of birds")
    np.testing.assert_array_equal(matched.labels, table.labels)
    pd.testing.assert_frame_equal(matched.frame, table.frame)


def test_every_kind_comes_back_from_text_and_from_other_kinds(table, prepared):
    frame = new()
    expected = vectorise_new(prepared, match_columns(table, frame).frame)
    as_text = frame.astype("str").where(frame.notna())
    before = as_text.copy()
    of_text = match_columns(table, as_text)
    of_others = match_columns(table, frame.astype({"alive": float, "count": object}))
    for matched in (of_text, of_others):
        np.testing.assert_array_equal(vectorise_new(prepared, matched.frame), expected)
    for column in ("seen", "grade", "count"):
        assert of_text.frame.dtypes[column] == table.frame.dtypes[column]
    assert any("'alive' holds text, read as the truth values" in note for note in of_text.notes)
    pd.testing.assert_frame_equal(as_text, before)


def test_order_of_columns_does_not_matter_and_others_are_ignored_by_name(table):
    frame = new()
    shuffled = frame[frame.columns[::-1]].assign(extra=1, further="x")
    matched = match_columns(table, shuffled)
    pd.testing.assert_frame_equal(matched.frame, match_columns(table, frame).frame)
    (note,) = matched.notes
    assert "'extra' and 'further' are not in the table" in note


# --- Names -----------------------------------------------------------------------------------


def test_names_that_differ_in_spelling_alone_are_matched_and_told(table):
    spelt = {"Body mass": "body_mass ", "isle": "ISLE", "species": "Species"}
    matched = match_columns(table, new().rename(columns=spelt))
    assert matched.has_target
    assert matched.frame.columns.tolist() == table.frame.columns.tolist()
    for column, given in spelt.items():
        assert f"Column {given.strip()!r} is read as {column!r}." in matched.notes


def test_missing_columns_are_all_named_with_those_of_near_names(table):
    frame = new().rename(columns={"Body mass": "Body masss"}).drop(columns=["alive", "seen"])
    named = (
        r"^birds2\.csv lacks 3 of the 7 .*'Body mass' \(perhaps 'Body masss'\), 'alive' and 'seen'"
    )
    with pytest.raises(TableError, match=named):
        match_columns(table, frame, name="birds2.csv")


def test_spellings_that_are_ambiguous_match_nothing():
    assert match_names(["a b", "c"], ["A_B", "a.b", "C"]) == {"c": "C"}
    assert match_names(["a", "A"], ["A", "b"]) == {"A": "A"}
    assert match_names(["x-1", "x1"], ["x_1"]) == {}
    assert match_values(["yes", "no", "No"], ["Yes ", "NO", "yes"]) == {"Yes ": "yes"}
    assert match_values(["a+"], ["a-", "A+"]) == {"A+": "a+"}


# --- Cells -----------------------------------------------------------------------------------


def test_cells_that_do_not_convert_are_counted_with_examples(table):
    frame = new().astype({"Body mass": object})
    frame.loc[[2, 5, 7, 9], "Body mass"] = ["heavy", "n/k", " ", "51,5"]
    matched = match_columns(table, frame)
    assert matched.frame["Body mass"].isna().sum() == 4 + frame["Body mass"].isna().sum()
    (warning,) = (one for one in matched.warnings if "'Body mass'" in one)
    assert "3 of 18 cells are no numbers ('heavy' in row 2, 'n/k' in row 5, '51,5'" in warning


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (new().assign(count="many"), r"no numbers in column 'count', .* \('many' in row 0"),
        (new().assign(seen=7), "no dates in column 'seen'"),
        (new().assign(**{"Body mass": [1.0] * 4 + [np.inf] * 16}), "'Body mass' holds .* in row 4"),
        (new().iloc[:0], r"new\.csv has column names but no rows"),
    ],
)
def test_files_that_do_not_fit_are_refused(table, frame, message):
    with pytest.raises(TableError, match=message):
        match_columns(table, frame, name="new.csv")


def test_an_empty_column_and_another_unit_are_warned_of(table):
    frame = new().assign(count=np.nan)
    frame["Body mass"] *= 1000
    first, second = sorted(match_columns(table, frame).warnings)
    assert first.startswith("Column 'Body mass': 100% of the cells lie outside 38.37 to 60.01")
    assert second.startswith("Column 'count' is empty")


def test_unseen_categories_are_named_and_counted(table, prepared):
    frame = new().astype({"grade": object})
    frame.loc[[1, 2, 3], "isle"] = ["Skye", "Mull", "Skye"]
    frame.loc[5, "isle"] = " dream "
    frame.loc[6, "grade"] = "middling"
    matched = match_columns(table, frame)
    assert matched.frame.loc[5, "isle"] == "Dream"
    assert "In column 'isle', ' dream ' is read as 'Dream'." in matched.notes
    of_isle, of_grade = matched.warnings
    assert "'isle' holds 2 values" in of_isle
    assert "'Skye' (2 rows) and 'Mull' (1 row)" in of_isle
    assert "'grade' holds 1 value" in of_grade
    assert "'middling' (1 row)" in of_grade
    assert np.isfinite(vectorise_new(prepared, matched.frame)).all()


def test_categories_are_those_of_the_training_part(table):
    frame = table.frame.copy()
    frame.loc[0, "isle"] = "Skye"
    grown = make_table(frame, "birds", "species", "classification", ["id"])
    newcomer = new().assign(isle="Skye")
    assert not any("Skye" in said for said in match_columns(grown, newcomer).warnings)
    warned = match_columns(grown, newcomer, train_ids=np.arange(1, 60)).warnings
    assert any("'Skye' (20 rows)" in said for said in warned)


def test_new_free_text_and_missing_columns_that_were_left_out_are_not_warned_of(table):
    frame = new().assign(remark=[f"nobody wrote {i} before" for i in range(20)])
    assert match_columns(table, frame.drop(columns="id")).warnings == ()


# --- The target ------------------------------------------------------------------------------


def test_rows_with_unknown_labels_and_without_one_are_set_aside(table):
    frame = new()
    frame.loc[[2, 5, 7, 8, 9], "species"] = ["King", "Emperor", " ", None, "GENTOO"]
    matched = match_columns(table, frame)
    assert matched.ids.tolist() == [i for i in range(20) if i not in (2, 5, 7, 8)]
    assert matched.unlabelled_ids.tolist() == [7, 8]
    assert matched.unknown_labels.to_dict() == {2: "King", 5: "Emperor"}
    assert matched.labels[matched.ids.tolist().index(9)] == "Gentoo"
    (warning,) = matched.warnings
    assert warning.startswith("2 rows are set aside")
    assert "'species', but 'King' (1 row) and 'Emperor' (1 row)" in warning
    assert "In the target 'species', 'GENTOO' is read as 'Gentoo'." in matched.notes
    assert "2 rows are without a value in 'species'." in matched.notes


def test_a_file_without_the_target_has_no_usable_rows(table):
    matched = match_columns(table, new().drop(columns="species"))
    assert not matched.has_target
    assert len(matched.ids) == len(matched.labels) == 0
    assert matched.unlabelled_ids.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("known", "given", "expected"),
    [
        ([0, 1], ["1", "0", "2", "x"], [1, 0]),
        ([0, 1], [1.0, 0.0, 1.5, np.nan], [1, 0]),
        ([True, False], ["true", "FALSE", "perhaps", None], ["True", "False"]),
        ([1.5, 2.0], [2.0, 1.5, 3.0, 2.5], ["2.0", "1.5"]),
        (["1", "2"], [1, 2.0, 3, np.nan], ["1", "2"]),
    ],
)
def test_labels_are_read_as_the_table_has_them(known, given, expected):
    frame = pd.DataFrame({"x": np.arange(12.0), "y": known * 6})
    table = make_table(frame, "t", "y", "classification", [])
    matched = match_columns(table, pd.DataFrame({"x": [1, 2, 3, 4], "y": given}))
    assert matched.ids.tolist() == [0, 1]
    assert matched.labels.tolist() == expected
    assert np.isin(matched.labels, table.classes).all()


def test_amounts_that_are_none_are_set_aside():
    frame = pd.DataFrame({"x": np.arange(30.0), "price": np.arange(30) * 1.5 + 0.1})
    table = make_table(frame, "t", "price", "regression")
    given = pd.DataFrame({"x": [1.0, 2, 3, 4], "price": ["7.25", "dear", None, "1e300"]})
    matched = match_columns(table, given)
    assert matched.ids.tolist() == [0]
    assert matched.labels.tolist() == [7.25]
    assert matched.labels.dtype == np.float64
    assert matched.unlabelled_ids.tolist() == [2]
    assert set(matched.unknown_labels.index) == {1, 3}
    assert "2 rows are set aside: they are no amounts in 'price'" in matched.warnings[0]


# --- The file as a whole ---------------------------------------------------------------------


def test_rows_of_the_table_are_known_again_whatever_the_file_calls_their_kind(table):
    def repeated(frame):
        said = match_columns(table, frame).warnings
        return [int(one.split()[0]) for one in said if " of birds in all features" in one]

    frame = pd.concat([table.frame.iloc[[4, 9]], new(5)], ignore_index=True)
    other = {"Adelie": "Gentoo", "Gentoo": "Adelie"}[frame.loc[0, "species"]]
    assert repeated(frame) == [2]
    assert repeated(frame.astype("str").where(frame.notna())) == [2]
    assert repeated(frame.assign(species=[other, *frame["species"][1:]])) == [1]
    assert repeated(frame.drop(columns="species")) == [2]
