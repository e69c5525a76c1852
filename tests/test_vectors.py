"""Columns of vectors, of pictures, of text beside others, and siblings of the target."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_files import parquet_bytes
from PIL import Image
from sklearn.linear_model import LogisticRegression

from ecoval_core.columns.pictures import holds_pictures, open_picture, thumbnail
from ecoval_core.columns.vectors import vector_of
from ecoval_core.runs.exports import to_csv
from ecoval_core.tables import TableError, make_table, prepare, read_frame, suggest_exclusions
from ecoval_core.tables.match import match_columns
from ecoval_core.tables.prepare import vectorise_new
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace.results import read_frame as restore_frame
from ecoval_core.workspace.results import write_frame

DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(0)
N = 40


def vectors():
    return read_frame(DATA / "embedding_list.parquet")


def replaced(column, row, cell):
    """A column of arrays, lists or bytes with another cell in a row."""
    cells = column.tolist()
    cells[row] = cell
    return pd.Series(cells, dtype=object)


def score(table):
    split = prepare(table)
    model = LogisticRegression().fit(split.X_train, split.y_train)
    return model.score(split.X_test, split.y_test)


def floats(vector):
    return [float(number) for number in vector]


@pytest.mark.parametrize(
    "write",
    [
        lambda vector: vector,
        floats,
        lambda vector: str(floats(vector)),
        lambda vector: np.array2string(vector.astype(float), floatmode="unique", max_line_width=40),
    ],
    ids=["arrays", "lists", "json", "numpy"],
)
def test_vectors_are_as_good_as_their_numbers_in_columns(write):
    frame = vectors()
    table = make_table(frame.assign(embedding=frame["embedding"].map(write)), "t", "label")
    assert table.features == ["embedding"]
    assert "vectors in 'embedding'" in table.excluded["title"]
    wide = make_table(read_frame(DATA / "embedding_wide.parquet"), "t", "label")
    np.testing.assert_array_equal(prepare(table).X_val, prepare(wide).X_val)
    names = prepare(table).vectorizer.get_feature_names_out()
    assert [name.rpartition("__")[2] for name in names[:2]] == ["embedding[0]", "embedding[1]"]


def test_vectors_come_out_as_they_went_in():
    long = np.arange(2_000, dtype="float32") / 7
    frame = pd.DataFrame({"v": [long, long[::-1]] * (N // 2), "y": ["a", "b"] * (N // 2)})
    again = read_frame(to_csv(frame))
    np.testing.assert_array_equal(vector_of(again["v"][1]).astype("float32"), long[::-1])
    assert content_digest(restore_frame(write_frame(frame))) == content_digest(frame)


def test_missing_vectors_and_numbers_are_imputed():
    frame = vectors()
    with_gap = np.where(np.arange(16) == 2, np.nan, frame["embedding"][4])
    cells = replaced(replaced(frame["embedding"], 3, None), 4, with_gap)
    split = prepare(make_table(frame.assign(embedding=cells), "t", "label"))
    assert split.X_train.shape[1] == 16
    assert np.isfinite(split.X_train).all()


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (np.ones(15), "15 numbers in row 7 but 16 numbers in row 0"),
        ("n/a", "'n/a', which is no list of numbers, in row 7"),
        (np.full(16, np.inf), "inf in the list of row 7"),
    ],
)
def test_unlike_vectors_are_left_out_or_refused_in_a_sentence(cell, problem):
    frame = vectors()
    frame["embedding"] = replaced(frame["embedding"], 7, cell)
    assert f"holds {problem}" in suggest_exclusions(frame, "label")["embedding"]
    with pytest.raises(TableError, match=r"^Column 'embedding' holds") as error:
        make_table(frame, "t", "label", excluded=["title"])
    assert problem in str(error.value)


def test_huge_vectors_are_refused_in_a_sentence():
    frame = pd.DataFrame({"v": [np.zeros(6_000)] * N, "a": RNG.random(N), "y": ["a", "b"] * 20})
    assert "6,000 numbers and the limit is 5,000" in suggest_exclusions(frame, "y")["v"]


def test_new_rows_with_vectors_are_valued_as_they_are_and_others_count_as_missing():
    table = make_table(vectors(), "t", "label")
    split = prepare(table)
    new = vectors()
    new["embedding"] = new["embedding"].map(floats)
    matched = match_columns(table, new)
    assert matched.warnings[0].startswith("120 rows equal rows of t")
    np.testing.assert_array_equal(vectorise_new(split, matched.frame)[split.ids_val], split.X_val)
    new["embedding"] = replaced(new["embedding"], 0, [1.0])
    assert "1 of 120 cells are no vectors" in match_columns(table, new).warnings[0]


def test_text_beside_counts_is_used():
    table = make_table(read_frame(DATA / "text_beside_counts.csv"), "t", "label")
    assert table.features == ["message", "length", "punct"]
    assert score(table) > 0.95
    assert score(make_table(table.frame, "t", "label", excluded=["message"])) < 0.8


# --- Pictures --------------------------------------------------------------------------------


def picture(shade, kind="PNG", size=(20, 20), mode="L"):
    buffer = io.BytesIO()
    Image.new(mode, size, shade).save(buffer, kind)
    return buffer.getvalue()


def shown(kind="PNG", *, struct=False):
    """Dark and bright pictures, called night and day, with a column that says nothing."""
    dark = np.arange(N) % 2 == 0
    shades = np.where(dark, 40, 180) + RNG.integers(0, 40, N)
    cells = [picture(int(shade), kind) for shade in shades]
    if struct:
        cells = [{"bytes": cell, "path": None} for cell in cells]
    return pd.DataFrame(
        {"image": pd.Series(cells, dtype=object), "y": np.where(dark, "night", "day")}
    )


@pytest.mark.parametrize(("kind", "struct"), [("PNG", False), ("JPEG", True)])
def test_pictures_as_bytes_are_used_as_pixels(kind, struct):
    frame = read_frame(parquet_bytes(shown(kind, struct=struct)))
    table = make_table(frame, "t", "y")
    assert table.features == ["image"]
    assert prepare(table).X_train.shape[1] == 16 * 16
    assert score(table) == 1.0
    assert content_digest(restore_frame(write_frame(frame))) == content_digest(frame)


def test_colours_are_used():
    colours = ["red", "blue"] * (N // 2)
    cells = [picture(colour, mode="RGB") for colour in colours]
    assert score(make_table(pd.DataFrame({"image": cells, "y": colours}), "t", "y")) == 1.0


def test_damaged_pictures_count_as_missing_and_are_blank():
    frame = shown()
    damaged = frame["image"][5][:45]
    frame["image"] = replaced(frame["image"], 5, damaged)
    assert np.isfinite(prepare(make_table(frame, "t", "y")).X_train).all()
    assert thumbnail(damaged) is None
    assert thumbnail(frame["image"][6]).startswith(b"\x89PNG")


def test_a_picture_bomb_is_not_decoded():
    bomb = picture(0, size=(4_000, 4_000), mode="1")
    assert len(bomb) < 100_000
    assert open_picture(bomb, 16) is None


def test_bytes_that_are_no_pictures_are_left_out():
    frame = shown().assign(image=[bytes([i, 1, 2]) for i in range(N)], a=RNG.random(N))
    assert not holds_pictures(frame["image"])
    assert "neither numbers nor pictures" in suggest_exclusions(frame, "y")["image"]


# --- Siblings --------------------------------------------------------------------------------


def one_hot():
    label = RNG.choice(["a", "b", "c"], N)
    flags = pd.get_dummies(pd.Series(label), prefix="class", dtype=int)
    return flags.assign(size=RNG.random(N), label=label)


def test_columns_that_encode_the_target_are_left_out():
    frame = one_hot()
    frame["label_code"] = frame["label"].map({"a": 2, "b": 0, "c": 1})
    reasons = suggest_exclusions(frame, "label")
    assert sorted(reasons) == ["class_a", "class_b", "class_c", "label_code"]
    reasons = suggest_exclusions(frame[["class_a", "class_b", "class_c", "size"]], "class_a")
    assert list(reasons) == ["class_b", "class_c"]
    assert "'class_a', 'class_b' and 'class_c' are one label" in reasons["class_b"]


def test_flags_that_are_no_copies_are_kept():
    frame = pd.get_dummies(pd.Series(RNG.choice(["x", "y"], N)), prefix="sex", dtype=int)
    frame = frame.assign(is_old=RNG.integers(0, 2, N), is_fraud=RNG.integers(0, 2, N))
    assert suggest_exclusions(frame, "is_fraud") == {}
