"""Vectorising: turn mixed columns into standardised numbers, as learnt from the training part."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.base import BaseEstimator
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from ecoval_core.tables.limits import TableError
from ecoval_core.target_type import numeric_values


def make_vectorizer(features: pd.DataFrame, random_state: int) -> Pipeline:
    """Make the pipeline, not yet fitted, that suits the kinds of the columns.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_columns)
        All rows, of which a part is to be fitted.
    random_state : int
        Seed of the text encoding.

    Returns
    -------
    vectorizer : Pipeline
        Numbers and truth values stay columns of their own, the rest goes through skrub's
        ``TableVectorizer``; missing values are imputed and marked, columns that do not vary
        dropped, the others standardised.
    """
    plain = _plain_columns(features)
    numbers = [column for column in plain.columns if plain[column].dtype == np.float64]
    all_numbers = len(numbers) == plain.shape[1]
    encode = "passthrough" if all_numbers else _make_table_vectorizer(numbers, random_state)
    return Pipeline(
        [
            ("plain", FunctionTransformer(_plain_columns, feature_names_out="one-to-one")),
            ("encode", encode),
            ("double", FunctionTransformer(_to_double, feature_names_out="one-to-one")),
            (
                "impute",
                SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            ),
            ("vary", VarianceThreshold()),
            # Of numbers far from zero, StandardScaler alone loses the variance to rounding.
            ("center", StandardScaler(with_std=False)),
            ("scale", StandardScaler()),
        ]
    )


def _make_table_vectorizer(numbers: list[str], random_state: int) -> BaseEstimator:
    # skrub takes seconds to import, which a table of numbers alone should not cost.
    from skrub import StringEncoder, TableVectorizer

    return TableVectorizer(
        high_cardinality=StringEncoder(random_state=random_state),
        # It would cast them to float32.
        specific_transformers=[("passthrough", numbers)],
    )


def _plain_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn numbers and truth values of any dtype into float64 with NaN; leave the rest."""
    return pd.DataFrame({column: _plain_column(frame[column]) for column in frame}, frame.index)


def _plain_column(column: pd.Series) -> pd.Series | np.ndarray:
    if types.is_bool_dtype(column) or types.infer_dtype(column, skipna=True) == "boolean":
        return column.astype("boolean").to_numpy(dtype="float64", na_value=np.nan)
    values = numeric_values(column)
    return column if values is None else values


def _to_double(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype("float64")


def fit_transform(vectorizer: Pipeline, features: pd.DataFrame, name: str) -> np.ndarray:
    """Fit the vectoriser in place and vectorise what it was fitted on.

    Parameters
    ----------
    vectorizer : Pipeline
        From `make_vectorizer`.
    features : DataFrame of shape (n_train, n_columns)
        The training part.
    name : str
        What messages call the table.

    Returns
    -------
    X : ndarray of shape (n_train, n_features)
        float64, finite; each feature of mean 0 and standard deviation 1.

    Raises
    ------
    TableError
        If no feature varies, or a column cannot be turned into numbers.
    """
    try:
        with _same_bits_everywhere():
            return np.ascontiguousarray(vectorizer.fit_transform(features))
    except ValueError as error:
        if "variance threshold" in str(error):
            raise TableError(
                f"No feature of {name} varies in the training part: use one of the columns "
                "left out, or a table with more rows."
            ) from error
        raise _refusal(error) from error


def transform(vectorizer: Pipeline, features: pd.DataFrame) -> np.ndarray:
    """Vectorise rows as the training part was.

    Parameters
    ----------
    vectorizer : Pipeline
        Fitted by `fit_transform`.
    features : DataFrame of shape (n_rows, n_columns)
        The columns it was fitted on.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
        float64, finite.

    Raises
    ------
    TableError
        If a column cannot be turned into numbers.
    """
    try:
        with _same_bits_everywhere():
            return np.ascontiguousarray(vectorizer.transform(features))
    except ValueError as error:
        raise _refusal(error) from error


def _refusal(error: ValueError) -> TableError:
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return TableError(
        f"The features cannot be turned into numbers ({reason}): correct the column or leave it out."
    )


@contextmanager
def _same_bits_everywhere() -> Iterator[None]:
    # Text is encoded by a singular value decomposition, whose last bits depend on the number of threads, as
    # those of sums over columns depend on the order in memory.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A category that training did not hold is encoded as none of its own: what we want.
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        yield
