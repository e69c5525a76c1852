"""Rows as users have them, checked and handed on unchanged, and the numbers that distances are taken of.

An estimator sees frames, sparse matrices, texts and missing values as they were given. Clusters, neighbours
and the judging forest see a *representation*: a matrix of finite numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

_FLOATS = [np.float64, np.float32]
# A sparse matrix of more columns is represented by so many components.
MAX_DENSE_COLUMNS, N_COMPONENTS = 200, 100


def is_frame(X: Any) -> bool:
    """Whether rows are in a frame with named columns."""
    return isinstance(X, pd.DataFrame)


def take(X: Any, rows: NDArray | slice) -> Any:
    """Return some of the rows."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def stack(X: Any, more: Any) -> Any:
    """Put more rows below others, of the same columns and dtypes."""
    return pd.concat([X, more], ignore_index=True) if is_frame(X) else np.concatenate([X, more])


def is_numeric(X: Any) -> bool:
    """Whether rows are a matrix of numbers, or a frame that holds nothing else."""
    if is_frame(X):
        return all(types.is_numeric_dtype(X.dtypes.iloc[i]) for i in range(X.shape[1]))
    return isinstance(X, np.ndarray) and X.dtype.kind in "fiub"


def as_rows(X: Any) -> Any:
    """Return rows as they are, lists as an array."""
    if is_frame(X) or isinstance(X, pd.Series) or sparse.issparse(X) or isinstance(X, np.ndarray):
        return X.tocsr() if sparse.issparse(X) else X
    if isinstance(X, list | tuple) and X and all(isinstance(one, str) for one in X):
        return np.array(X, dtype=object)
    return X.to_pandas() if hasattr(X, "to_pandas") else np.asarray(X)


def _refuse_dates(X: Any, name: str) -> None:
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "O" and X.size and types.infer_dtype(np.ravel(X)[:1000]) in {
        "datetime", "date", "datetime64", "timedelta",
    }:  # fmt: skip
        kind = "M"
    if kind in {"M", "m"}:
        raise ValueError(
            f"{name} holds dates, the first of them {np.ravel(X)[0]!s}: give numbers, such as days since "
            "the first, or a DataFrame whose date column the estimator takes."
        )


def _holds_text(X: Any) -> bool:
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    return kind in {"U", "S"} or (kind == "O" and any(isinstance(v, str) for v in np.ravel(X)))


def check_points(ecoval: Any, X: Any, y: Any, *, reset: bool = False) -> tuple[Any, NDArray]:
    """Check rows and targets; matrices come back as floats, all other kinds of rows as they were given."""
    rows = as_rows(X)
    _refuse_dates(rows, "X")
    _refuse_dates(y if isinstance(y, np.ndarray | pd.Series) else np.asarray(y), "y")
    keep = is_frame(rows) or isinstance(rows, pd.Series) or _holds_text(rows)
    is_tensor = isinstance(rows, np.ndarray) and rows.ndim > 2
    if keep or is_tensor:
        if is_frame(rows) or (isinstance(rows, np.ndarray) and rows.ndim == 2):
            validate_data(ecoval, rows, y, skip_check_array=True, reset=reset)
        elif is_tensor:
            check_array(rows, allow_nd=True, ensure_all_finite="allow-nan")
        if len(rows) == 0:
            raise ValueError("X holds no rows.")
        if is_frame(rows):
            _refuse_infinity(rows)
        checked: Any = rows
    else:
        options: dict[str, Any] = {
            "dtype": _FLOATS, "ensure_all_finite": "allow-nan", "accept_sparse": "csr",
        }  # fmt: skip
        checked = validate_data(
            ecoval, rows if sparse.issparse(rows) else X, reset=reset, **options
        )
    if y is None:
        raise ValueError("EcoVal requires y to be passed, but the target y is None.")
    y = column_or_1d(check_array(y, ensure_2d=False, dtype=None), warn=True)
    check_consistent_length(checked, y)
    return checked, y


def _refuse_infinity(frame: pd.DataFrame) -> None:
    for name, column in frame.select_dtypes("number").items():
        rows = np.flatnonzero(np.isinf(column.to_numpy(dtype=float, na_value=np.nan)))
        if len(rows):
            raise ValueError(
                f"Column {name!r} of X holds infinity in row {rows[0]}: correct that cell."
            )


def check_weights(weights: Any, n_rows: int, name: str) -> NDArray[np.float64] | None:
    """Return weights as an array, one for each row; None for None."""
    if weights is None:
        return None
    weights = check_array(weights, ensure_2d=False, dtype=np.float64, input_name=name)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"{name} must hold one number for each row, but it has {weights.ndim} dimensions."
        )
    if len(weights) != n_rows:
        raise ValueError(f"{name} holds {len(weights)} weights for {n_rows} rows.")
    if (weights < 0).any():
        row = int((weights < 0).argmax())
        raise ValueError(f"{name} is {weights[row]:g} in row {row}: weights must be at least 0.")
    if not weights.any():
        raise ValueError(f"Every weight of {name} is zero: at least one row must count.")
    return weights


@dataclass(frozen=True)
class Rows:
    """Rows as given, with their targets, weights, and the representation given beside them."""

    X: Any
    y: NDArray
    weights: NDArray[np.float64] | None = None
    given: Any = None

    def take(self, rows: NDArray) -> Rows:
        """Return some of them."""
        beside = (
            None if one is None else np.asarray(one)[rows] for one in (self.weights, self.given)
        )
        return Rows(take(self.X, rows), self.y[rows], *beside)


def default_steps(X: Any) -> list[Any]:
    """Make the steps before a linear model that make scaled numbers of rows."""
    if sparse.issparse(X):
        return [StandardScaler(with_mean=False)]
    if is_numeric(X) and X.ndim == 2 and not np.isnan(X.to_numpy() if is_frame(X) else X).any():
        return [StandardScaler()]
    steps: list[Any] = [SimpleImputer(keep_empty_features=True), StandardScaler()]
    if is_numeric(X) and X.ndim == 2:
        return steps
    if is_numeric(X):
        raise ValueError(f"X has {X.ndim} dimensions: pass an estimator that takes them.")
    from skrub import TableVectorizer

    return [FunctionTransformer(as_column), TableVectorizer(), *steps]


class Representation:
    """Numbers of rows, for distances: of their columns, by a transformer, or given beside the rows."""

    def __init__(self, transformer: Any = None, seed: int = 0) -> None:
        self._transformer, self._seed = transformer, seed
        self._scaler: StandardScaler | None = None

    def fit(self, X: Any, given: Any = None) -> NDArray:
        """Learn the representation of training rows, and return theirs."""
        self._is_given = given is not None
        self._blocks: NDArray | None = None
        scales = True
        if self._is_given:
            self._transformer = None
        elif self._transformer is not None:
            self._transformer, scales = clone(self._transformer), False
        elif sparse.issparse(X):
            scales = X.shape[1] <= MAX_DENSE_COLUMNS
            if not scales:
                self._transformer = TruncatedSVD(
                    min(N_COMPONENTS, X.shape[0], X.shape[1]), random_state=self._seed
                )
        elif not is_numeric(X):
            self._vectorize(X)
        try:
            if self._transformer is not None:
                self._transformer.fit(as_column(X))
            numbers = self._numbers(X, given)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            kind = type(self._transformer).__name__ if self._transformer is not None else "numbers"
            raise ValueError(
                f"The rows could not be represented for distances ({kind}): {reason} Pass "
                "representation: a transformer that makes a matrix of them, or to fit an array with a "
                "row for each."
            ) from error
        if scales:
            self._scaler = StandardScaler().fit(numbers)
        return self._scaled(numbers)

    def _vectorize(self, X: Any) -> None:
        from skrub import StringEncoder, TableVectorizer

        texts = StringEncoder(random_state=self._seed)
        self._transformer = TableVectorizer(high_cardinality=texts)
        frame = as_column(X)
        self._transformer.fit(frame)
        places = {name: i for i, name in enumerate(self._transformer.all_outputs_)}
        blocks = np.zeros(len(places))
        outputs = self._transformer.input_to_outputs_
        for made in outputs.values():
            blocks[[places[name] for name in made]] = len(made)
        self._blocks = np.sqrt(np.maximum(blocks, 1))

    def _numbers(self, X: Any, given: Any) -> NDArray:
        if self._is_given:
            if given is None:
                raise ValueError("These rows need their representation too: pass it beside them.")
            numbers = check_array(given, dtype=_FLOATS, input_name="representation")
            check_consistent_length(X, numbers)
            return numbers
        if self._transformer is not None:
            made = self._transformer.transform(as_column(X))
            made = made.toarray() if sparse.issparse(made) else np.asarray(made, dtype=np.float64)
            return made.reshape(len(made), -1)
        if sparse.issparse(X):
            return X.toarray()
        if is_frame(X):
            return X.to_numpy(dtype=np.float64, na_value=np.nan)
        return X.reshape(len(X), -1)

    def _scaled(self, numbers: NDArray) -> NDArray:
        if self._scaler is not None:
            numbers = np.asarray(self._scaler.transform(numbers))
        if self._blocks is not None:
            # A category is one column, not as many as it has levels.
            numbers = numbers / self._blocks
        # What is missing lies at the mean.
        return np.nan_to_num(numbers) if np.isnan(numbers).any() else numbers

    def transform(self, X: Any, given: Any = None) -> NDArray:
        """Represent further rows."""
        return self._scaled(self._numbers(X, given))

    def inverse_transform(self, Z: NDArray) -> NDArray:
        """Return points in the units of the representation before it is scaled."""
        if self._blocks is not None:
            Z = Z * self._blocks
        return Z if self._scaler is None else np.asarray(self._scaler.inverse_transform(Z))


def as_column(X: Any) -> Any:
    """Return texts as a frame of one column; rows of other kinds as they are."""
    if isinstance(X, pd.Series):
        return X.to_frame("text") if X.name is None else X.to_frame()
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUS":
        names = ["text"] if X.ndim == 1 else [f"x{i}" for i in range(X.shape[1])]
        return pd.DataFrame(X, columns=names).infer_objects()
    return X
