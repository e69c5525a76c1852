"""Splitting, vectorising and planting noise."""

import warnings
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from data_files import make_frame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecoval_core.tables import SAMPLES, TableError, load_sample, make_table
from ecoval_core.tables.prepare import plant_label_noise, prepare


def parts(prepared, name):
    return [getattr(prepared, f"{name}_{part}") for part in ("train", "val", "test")]


def names_of(prepared):
    """Names of the columns of X."""
    return list(map(str, prepared.vectorizer.get_feature_names_out()))


def column_of(prepared, name):
    """A column of the training part's X."""
    return prepared.X_train[:, names_of(prepared).index(name)]


def check_consistent(prepared):
    """What holds for every prepared table."""
    table = prepared.table
    ids = np.concatenate(parts(prepared, "ids"))
    assert np.array_equal(np.sort(ids), table.labelled_ids), "each labelled row in one part"
    for X, y, rows in zip(*(parts(prepared, name) for name in ("X", "y", "ids")), strict=True):
        assert X.dtype == np.float64
        assert np.isfinite(X).all()
        assert X.shape == (len(rows), len(names_of(prepared)))
        assert len(y) == len(rows) >= 2
        assert (np.diff(rows) > 0).all(), "in the order of the table"
    np.testing.assert_allclose(prepared.X_train.mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(prepared.X_train.std(axis=0), 1, atol=1e-7)
    by_id = dict(zip(table.labelled_ids, table.labels, strict=True))
    clean = [prepared.y_train_clean, prepared.y_val, prepared.y_test]
    for rows, y in zip(parts(prepared, "ids"), clean, strict=True):
        assert y.tolist() == [by_id[row] for row in rows]
        assert y.dtype == table.labels.dtype
    changed = prepared.ids_train[prepared.y_train != prepared.y_train_clean]
    assert changed.tolist() == prepared.flipped_ids.tolist()
    if table.task == "classification":
        assert set(prepared.y_val) | set(prepared.y_test) <= set(prepared.y_train)


# --- Real tables ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", SAMPLES)
def test_samples_are_split_and_spoilt_by_the_shares_that_were_asked_for(key):
    prepared = prepare(load_sample(key), noise=0.15, random_state=3)
    check_consistent(prepared)
    assert len(prepared.flipped_ids) == round(0.15 * len(prepared.y_train))
    shares = [len(y) / prepared.table.n_rows for y in parts(prepared, "y")]
    np.testing.assert_allclose(shares, (0.6, 0.2, 0.2), atol=0.01)


def test_mixed_columns_of_penguins():
    prepared = prepare(load_sample("penguins"))
    expected = {"island_Dream", "sex_female", "missingindicator_bill_length_mm"}
    assert expected <= set(names_of(prepared))
    frame = prepared.table.frame.iloc[prepared.ids_train]
    assert ((column_of(prepared, "island_Dream") > 0) == (frame["island"] == "Dream")).all()
    length = frame["bill_length_mm"].fillna(frame["bill_length_mm"].median())
    expected = (length - length.mean()) / length.std(ddof=0)
    np.testing.assert_allclose(column_of(prepared, "bill_length_mm"), expected)


def test_regression_on_penguins():
    table = make_table(load_sample("penguins").frame, "penguins", "body_mass_g")
    prepared = prepare(table, noise=0.2, random_state=1)
    check_consistent(prepared)
    assert table.task == "regression"
    assert len(table.unlabelled_ids) == 2
    assert prepared.y_train.dtype == np.float64
    assert len(prepared.flipped_ids) == round(0.2 * len(prepared.y_train))


# --- One seed, the same bits ---------------------------------------------------------------


def text_table():
    rng = np.random.default_rng(0)
    words = ["some", "text", "of", "words", "that", "come", "and", "go", "in", "any", "order"]
    notes = [" ".join(rng.choice(words, 6)) + f" {i}" for i in range(120)]
    return make_table(make_frame(120, note=notes), "t", "label")


@pytest.mark.parametrize("make", [text_table, lambda: load_sample("wine")])
def test_one_seed_gives_the_same_bits(make):
    def bits(seed):
        prepared = prepare(make(), noise=0.1, random_state=seed)
        arrays = [array for name in ("X", "y", "ids") for array in parts(prepared, name)]
        return [array.tobytes() for array in arrays]

    assert bits(5) == bits(5)
    assert bits(5) != bits(6)


def test_noise_moves_neither_the_split_nor_the_features():
    table = load_sample("wine")
    clean, noisy, noisier = (prepare(table, noise=noise) for noise in (0.0, 0.1, 0.3))
    assert clean.X_train.tobytes() == noisy.X_train.tobytes()
    assert clean.y_val.tolist() == noisy.y_val.tolist()
    assert clean.y_train.tolist() == noisy.y_train_clean.tolist()
    assert len(clean.flipped_ids) == 0
    assert set(noisy.flipped_ids) < set(noisier.flipped_ids)


# --- The split -----------------------------------------------------------------------------


def labels_table(sizes):
    labels = np.repeat([f"class {i:02}" for i in range(len(sizes))], sizes)
    return make_table(make_frame(len(labels), label=labels), "t", "label", excluded=["colour"])


@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=12),
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (0.05, 0.15, 0.8)]),
    st.integers(0, 100),
)
@example([100, 5, 4, 3, 2], (0.8, 0.1, 0.1), 0)
@settings(max_examples=30, deadline=None)
@pytest.mark.slow
def test_the_split_covers_every_class(sizes, proportions, seed):
    try:
        prepared = prepare(labels_table(sizes), proportions=proportions, random_state=seed)
    except TableError:
        assert sum(sizes) < 60, "only small tables have too few rows in some part"
        return
    check_consistent(prepared)
    for size, label in zip(sizes, prepared.table.classes, strict=True):
        count = [int((y == label).sum()) for y in parts(prepared, "y")]
        if size >= 3:
            assert sum(count) == size
            assert min(count) >= 1
            fair = np.maximum(size * np.asarray(proportions), 1)
            assert np.abs(count - fair).max() <= 2
        else:
            assert count == [1, 1, 0]


def test_many_small_classes_do_not_skew_the_parts():
    prepared = prepare(labels_table([12] * 100))
    sizes = [len(y) for y in parts(prepared, "y")]
    np.testing.assert_allclose(sizes, [720, 240, 240], atol=2)


@pytest.mark.parametrize(
    "proportions",
    [(0.6, 0.4), (0.5, 0.25, 0.2), (0.8, 0.2, 0), (1.2, -0.1, -0.1), (60, 20, 20), (np.nan,) * 3],
)
def test_proportions_that_cannot_be(proportions):
    with pytest.raises(TableError, match=r"give three numbers above 0 that sum to 1\.$"):
        prepare(load_sample("wine"), proportions=proportions)


def test_a_part_with_too_few_rows_is_named():
    few = make_table(make_frame(20, label=np.arange(20) * 1.5), "small")
    with pytest.raises(TableError, match="The validation part of small would hold"):
        prepare(few, proportions=(0.9, 0.05, 0.05))
    check_consistent(prepare(make_table(make_frame(12, label=["x", "y"] * 6), "small")))


ONE_TARGET = make_frame(label=[5.5] * 39 + [1.0])[["width", "label"]]
ONE_FEATURE = pd.DataFrame({"width": [1.0] * 39 + [2.0], "label": ["x", "y"] * 20})


@pytest.mark.parametrize(
    ("frame", "task", "message"),
    [
        (ONE_TARGET, "regression", "same value in every training row"),
        (ONE_FEATURE, "classification", "No feature of t varies"),
    ],
)
def test_what_varies_in_one_row_alone_is_refused_unless_that_row_trains(frame, task, message):
    table = make_table(frame, "t", "label", task)
    told = set()
    for seed in range(8):
        try:
            assert 39 in prepare(table, random_state=seed).ids_train
            told.add("")
        except TableError as error:
            told.add(str(error))
    nothing, refused = sorted(told)
    assert nothing == ""
    assert message in refused


# --- Columns of every kind -----------------------------------------------------------------

N = 60
RNG = np.random.default_rng(1)
COLUMNS = {
    "truth with gaps": pd.Series(RNG.choice([True, False, None], N), dtype="object"),
    "nullable truth": pd.array(RNG.choice([True, False, None], N), dtype="boolean"),
    "nullable whole": pd.array([None, 1, 2, 3, 4, 5] * 10, dtype="Int64"),
    "small whole": RNG.integers(0, 200, N).astype("uint8"),
    "decimals": pd.Series([Decimal(i % 7) / 3 for i in range(N)], dtype="object"),
    "category with gaps": pd.Categorical(RNG.choice(["a", "b", None], N)),
    "dates": pd.date_range("2020-01-01", periods=N, freq="17D"),
    "dates with gaps and zone": pd.Series(pd.date_range("2020", periods=N, tz="UTC")).where(
        RNG.random(N) < 0.8
    ),
    "date objects": pd.Series([date(2020, 1 + i % 12, 1) for i in range(N)], dtype="object"),
    "date texts": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
    "durations": pd.to_timedelta(RNG.integers(0, 90, N), unit="h"),
    "numbers and marks": RNG.choice(["1.5", "2.5", "?"], N),
    "mixed objects": pd.Series(["a", 1, 2.5, None] * 15, dtype="object"),
    "free text": [f"words number {i} and {i * i}" for i in range(N)],
    "one letter": [chr(0x4E00 + i) for i in range(N)],
    "far from zero": 1e15 + RNG.integers(0, 9, N),
    "far from one": RNG.normal(size=N) * 1e90,
    "mostly missing": [1.0, 2.0] + [None] * (N - 2),
    "all missing": [None] * N,
    "lists": [[i] for i in range(N)],
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_every_kind_become_finite_numbers_without_a_warning(kind):
    frame = make_frame(N).drop(columns="colour").assign(column=COLUMNS[kind])
    table = make_table(frame, "t", "label", excluded=[])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_consistent(prepare(table))


def test_numbers_keep_their_precision():
    frame = make_frame(N, height=1e9 + np.arange(N) / 8, colour=RNG.choice(["a", "b"], N))
    prepared = prepare(make_table(frame, "t", "label"))
    height = frame["height"].to_numpy()[prepared.ids_train]
    expected = (height - height.mean()) / height.std()
    np.testing.assert_allclose(column_of(prepared, "height"), expected, rtol=1e-6)


def test_names_that_occur_twice_stay_columns_of_their_own():
    twins = {"a": RNG.choice(["b_c", "x", "y"], N), "a_b": RNG.choice(["c", "x", "y"], N)}
    prepared = prepare(make_table(make_frame(N, **twins), "t", "label"))
    check_consistent(prepared)
    assert sum(name.startswith("a_b_c") for name in names_of(prepared)) == 2


def test_infinite_numbers_hidden_in_text_are_refused():
    frame = make_frame(N, height=["inf", "?"] + ["1.5", "2.5"] * 29)
    with pytest.raises(TableError, match="cannot be turned into numbers"):
        prepare(make_table(frame, "t", "label"))


# --- Noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [["a", "b", "longer"], [0, 1, 2], [-5, 7]])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
def test_planted_labels(labels, share):
    y = np.random.default_rng(0).choice(labels, 300)
    before = y.copy()
    noisy, positions = plant_label_noise(y, share, task="classification", random_state=0)
    assert np.array_equal(y, before)
    assert noisy.dtype == y.dtype
    assert positions.tolist() == np.flatnonzero(noisy != y).tolist()
    assert len(positions) == round(share * 300)
    assert set(noisy) <= set(labels)


def test_planted_labels_are_uniform_over_the_other_classes():
    y = np.repeat(np.arange(4), 5000)
    noisy, positions = plant_label_noise(y, 0.5, task="classification", random_state=0)
    table = pd.crosstab(y[positions], noisy[positions]).to_numpy()
    assert (np.diag(table) == 0).all()
    off_diagonal = table[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 10_000 / 12, rtol=0.15)


def test_a_class_never_loses_its_last_true_label():
    y = np.array(["rare"] + ["a", "b"] * 20)
    for seed in range(20):
        noisy, positions = plant_label_noise(y, 0.99, task="classification", random_state=seed)
        assert noisy[0] == "rare"
        assert len(positions) == 41 - 3


def test_planted_shifts():
    y = np.random.default_rng(0).normal(5, 2, 1000)
    noisy, positions = plant_label_noise(y, 0.3, task="regression", random_state=0)
    shift = (noisy - y) / y.std()
    assert np.count_nonzero(shift) == len(positions) == 300
    size = np.abs(shift[positions])
    assert 1.5 <= size.min() < 1.6
    assert 2.9 < size.max() <= 3
    assert 100 < (shift > 0).sum() < 200, "up and down"


@pytest.mark.parametrize("share", [-0.1, 1.0, 15, np.nan])
def test_shares_that_cannot_be(share):
    with pytest.raises(TableError, match="choose at least 0 and below 1"):
        plant_label_noise(np.arange(10) % 2, share, task="classification")


def test_one_class_cannot_be_flipped():
    with pytest.raises(TableError, match="two classes"):
        plant_label_noise(np.zeros(10), 0.1, task="classification")
