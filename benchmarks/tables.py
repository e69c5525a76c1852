"""Benchmark tables as problems: rows to value, rows to value them on, rows to test the values on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ecoval_core.tables.prepare import plant_label_noise

DATA = Path(__file__).parents[2] / "shared" / "data"
# Of a table's rows; the limits hold for tables that are larger.
TRAIN, VALIDATION = 0.5, 0.2
MAX_TRAIN, MAX_VALIDATION, MAX_TEST = 1000, 300, 1000
IMAGE_COMPONENTS = 50
MIN_CLASS_ROWS = 6

_BUNDLED = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}
# One class against the rest, thinned out where it is too frequent to be rare.
_ONE_AGAINST_REST = ("segment", "penbased", "vowel", "magic")
RARE_SHARE = 0.1
_FILES = {
    "phoneme": ("phoneme.parquet", "label"),
    "segment": ("segment.parquet", "label"),
    "vowel": ("vowel.parquet", "label"),
    "penbased": ("penbased.parquet", "label"),
    "magic": ("magic.parquet", "label"),
    "spambase": ("spambase.parquet", "label"),
    "mnist5k": ("mnist5k.parquet", "label"),
    "penguins": ("penguins.csv", "species"),
    "titanic": ("titanic.csv", "survived"),
}


@dataclass(frozen=True)
class Limits:
    """How many rows of a table are taken at most, for training, validation and test."""

    train: int = MAX_TRAIN
    validation: int = MAX_VALIDATION
    test: int = MAX_TEST


@dataclass(frozen=True, eq=False)
class Benchmark:
    """One table, split, standardised, with labels flipped in the part to value.

    Attributes
    ----------
    name : str
        The table.
    seed : int
        Draws the split and the noise.
    noise : float
        Share of training labels flipped.
    X, y : ndarray of shape (n_train, n_features), (n_train,)
        Rows to value, standardised, and the labels used.
    flipped : ndarray of shape (n_train,), bool
        Which labels are wrong.
    X_val, y_val, X_test, y_test : ndarray
        Clean rows to value on and to test on.
    """

    name: str
    seed: int
    noise: float
    X: NDArray[np.float64]
    y: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    X_val: NDArray[np.float64]
    y_val: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]


def available_tables(folder: Path = DATA) -> list[str]:
    """Names of the tables that can be had: scikit-learn's, and those whose file is there.

    Parameters
    ----------
    folder : Path
        Holds the files.

    Returns
    -------
    list of str
        Names.
    """
    return [*_BUNDLED, *(name for name, (file, _) in _FILES.items() if (folder / file).exists())]


def load_rows(name: str, folder: Path = DATA) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """All rows of a table.

    Parameters
    ----------
    name : str
        One of :func:`available_tables`.
    folder : Path
        Holds the files.

    Returns
    -------
    features : DataFrame
        Columns other than the target.
    codes : ndarray of shape (n_rows,), int
        Class index of each row.
    """
    if name.endswith(" (rare)"):
        return _one_against_rest(*load_rows(name.removesuffix(" (rare)"), folder))
    array = next(iter(folder.glob(f"*/{name}.npz")), None)
    if name in _BUNDLED:
        X, y = _BUNDLED[name](return_X_y=True, as_frame=True)
    elif array is not None:
        with np.load(array) as arrays:
            X, y = pd.DataFrame(arrays["X"]).add_prefix("x"), pd.Series(arrays["y"])
    else:
        file, target = _FILES[name]
        path = folder / file
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        X, y = frame.drop(columns=target), frame[target]
    return X, pd.factorize(y, sort=True)[0]


def _one_against_rest(
    X: pd.DataFrame, codes: NDArray[np.int64]
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Make the last class the rare one, of at most a tenth of the rows."""
    is_rare = codes == codes.max()
    rare, rest = np.flatnonzero(is_rare), np.flatnonzero(~is_rare)
    n_rare = min(len(rare), round(len(rest) * RARE_SHARE / (1 - RARE_SHARE)))
    kept = np.sort(np.r_[rest, np.random.default_rng(0).permutation(rare)[:n_rare]])
    return X.iloc[kept], is_rare[kept].astype(np.int64)


def wide_suite(folder: Path = DATA) -> list[str]:
    """Names of the 28 balanced tables, alphabetically."""
    files = [path.stem for path in (folder / "suite").glob("*.npz")]
    large = [name for name, (file, _) in _FILES.items() if file.endswith(".parquet")]
    return sorted([*files, "digits", "wine", *large])


def imbalanced_suite(folder: Path = DATA) -> list[str]:
    """Names of the 16 imbalanced tables, alphabetically."""
    files = [path.stem for path in (folder / "imbalanced").glob("*.npz")]
    return sorted([*files, *(f"{name} (rare)" for name in _ONE_AGAINST_REST)])


def load_benchmark(
    name: str, seed: int = 0, noise: float = 0.15, folder: Path = DATA, limits: Limits | None = None
) -> Benchmark:
    """Split, standardise and spoil a table.

    Parameters
    ----------
    name : str
        One of :func:`available_tables`.
    seed : int, default=0
        Draws the split and the noise.
    noise : float, default=0.15
        Share of training labels turned into another class, uniformly.
    folder : Path
        Holds the files.
    limits : Limits or None, default=None
        Rows taken at most.

    Returns
    -------
    Benchmark
        The problem. Classes of fewer than six rows are left out: no split could hold them.
    """
    limits = limits or Limits()
    X, y = load_rows(name, folder)
    common = np.bincount(y)[y] >= MIN_CLASS_ROWS
    X, y = X[common], np.unique(y[common], return_inverse=True)[1]
    n_train = min(limits.train, int(TRAIN * len(y)))
    n_val = min(limits.validation, int(VALIDATION * len(y)))
    train, rest = _split(np.arange(len(y)), y, n_train, seed)
    val, test = _split(rest, y, n_val, seed)
    if len(test) > limits.test:
        test, _ = _split(test, y, limits.test, seed)
    scaler = _make_scaler(X, seed)
    X_train = scaler.fit_transform(X.iloc[train])
    labels, positions = plant_label_noise(y[train], noise, task="classification", random_state=seed)
    flipped = np.zeros(n_train, dtype=bool)
    flipped[positions] = True
    X_val, X_test = (scaler.transform(X.iloc[rows]) for rows in (val, test))
    return Benchmark(name, seed, noise, X_train, labels, flipped, X_val, y[val], X_test, y[test])


def load_benchmarks(
    names: list[str], seeds: list[int], noises: list[float], folder: Path = DATA
) -> Iterator[Benchmark]:
    """All combinations of tables, seeds and shares of noise, one at a time.

    Parameters
    ----------
    names, seeds, noises : list
        See :func:`load_benchmark`.
    folder : Path
        Holds the files.

    Yields
    ------
    Benchmark
        The seeds outermost, so that a run cut short has every table.
    """
    for noise in noises:
        for seed in seeds:
            for name in names:
                yield load_benchmark(name, seed, noise, folder)


def _split(
    rows: NDArray[np.int64], y: NDArray, n_rows: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return train_test_split(rows, train_size=n_rows, stratify=y[rows], random_state=seed)


def _make_scaler(X: pd.DataFrame, seed: int):
    if X.shape[1] > 500:
        return make_pipeline(PCA(IMAGE_COMPONENTS, random_state=seed), StandardScaler())
    numbers = make_column_selector(dtype_include="number")
    words = make_column_selector(dtype_exclude="number")
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (
            make_pipeline(
                OneHotEncoder(handle_unknown="ignore", sparse_output=False), StandardScaler()
            ),
            words,
        ),
    )
