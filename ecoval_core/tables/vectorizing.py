"""From columns to numbers: which encoding suits a column, and its fitting to the same bits everywhere."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from ecoval_core.columns.vectors import Shape, shapes_of, widen
from ecoval_core.files.limits import TableError
from ecoval_core.target_type import numeric_values
from ecoval_core.text import shorten


def make_vectorizer(features: pd.DataFrame, random_state: int) -> Pipeline:
    """Make the pipeline, not yet fitted, that suits the kinds of the columns."""
    shapes = shapes_of(features)
    rest = _plain_columns(features.drop(columns=list(shapes)))
    wide = [name for shape in shapes.values() for name in shape.names]
    numbers = [column for column in rest.columns if rest[column].dtype == np.float64]
    all_numbers = len(numbers) == rest.shape[1]
    numbers += wide
    encode = "passthrough" if all_numbers else _make_table_vectorizer(numbers, random_state)
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    if wide:  # a missing vector is one thing, which hundreds of indicators would outweigh
        whole = SimpleImputer(strategy="median", keep_empty_features=True)
        impute = ColumnTransformer([("wide", whole, wide)], remainder=impute)
    plain = FunctionTransformer(
        _plain_columns, kw_args={"shapes": shapes}, feature_names_out=_plain_names
    )
    double = FunctionTransformer(
        pd.DataFrame.astype, kw_args={"dtype": "float64"}, feature_names_out="one-to-one"
    )
    # Of numbers far from zero, StandardScaler alone loses the variance to rounding.
    center = StandardScaler(with_std=False)
    return make_pipeline(
        plain, encode, double, impute, VarianceThreshold(), center, StandardScaler()
    )


def _make_table_vectorizer(numbers: list[str], random_state: int) -> BaseEstimator:
    # skrub takes seconds to import, which a table of numbers alone should not cost.
    from skrub import StringEncoder, TableVectorizer

    return TableVectorizer(
        high_cardinality=StringEncoder(random_state=random_state),
        # It would cast them to float32.
        specific_transformers=[("passthrough", numbers)],
    )


def _plain_columns(
    frame: pd.DataFrame, shapes: Mapping[str, Shape] = MappingProxyType({})
) -> pd.DataFrame:
    """Turn numbers, truth values, vectors and pictures into float64 with NaN; leave the rest."""
    if shapes:
        frame = widen(frame, shapes)
    return pd.DataFrame({column: _plain_column(frame[column]) for column in frame}, frame.index)


def _plain_names(plain: FunctionTransformer, columns: Sequence[str]) -> np.ndarray:
    """Name what `_plain_columns` returns."""
    shapes = plain.kw_args["shapes"]
    names = ([column] if column not in shapes else shapes[column].names for column in columns)
    return np.array([name for several in names for name in several], dtype=object)


def _plain_column(column: pd.Series) -> pd.Series | np.ndarray:
    if types.is_bool_dtype(column) or types.infer_dtype(column, skipna=True) == "boolean":
        return column.astype("boolean").to_numpy(dtype="float64", na_value=np.nan)
    values = numeric_values(column)
    return column if values is None else values


def vectorize(
    transform: Callable[[pd.DataFrame], np.ndarray], features: pd.DataFrame, name: str
) -> np.ndarray:
    """Call a method of the vectorizer, to the same bits wherever it runs."""
    # Text is encoded by a singular value decomposition, whose last bits depend on the number of
    # threads, as those of sums over columns depend on the order in memory.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A category that training did not hold is encoded as none of its own: what we want.
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        try:
            return np.ascontiguousarray(transform(features))
        except ValueError as error:
            if "variance threshold" in str(error):
                raise TableError(
                    f"No feature of {name} varies in the training part: use one of the ignored "
                    "columns, or a table with more rows."
                ) from error
            raise TableError(
                f"The features cannot be turned into numbers ({shorten(error, 200).rstrip('.')}): "
                "correct the column or leave it out."
            ) from error
