"""What is fitted and what it is scored on: training and validation rows with their codes and weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.models.catalog import (
    RefitError,
    failed_step,
    fit_model,
    name_of,
    weight_arguments,
)
from ecoval_core.models.inputs import Rows, take
from ecoval_core.models.leave_out import Shortcut, find_shortcut
from ecoval_core.target_type import Task
from ecoval_core.valuation.clustering import target_bins, target_groups
from ecoval_core.valuation.scoring import (
    Scale,
    check_magnitude,
    check_scoring,
    encode,
    model_output,
    sample_scores,
    set_validation_aside,
    weigh,
)

# Standard errors of values come from a sample of the validation rows beyond so many pairs with rows.
MAX_ERROR_PAIRS, LEAST_ERROR_COLUMNS = 10_000_000, 50


@dataclass(frozen=True)
class Problem:
    """What is fitted and what it is scored on."""

    estimator: Any  # unfitted, its random states set
    X: NDArray
    y: NDArray  # labels as given, so that class weights by label work
    codes: NDArray  # class indices, or `y` for regression
    X_val: NDArray
    codes_val: NDArray  # never used to fit
    classes: NDArray | None  # sorted labels; None for regression
    scale: Scale
    scoring: str
    row_weights: NDArray  # of the validation rows, of mean 1
    class_weights: NDArray | None = None  # multiply a judgement's probabilities
    sample_weight: NDArray | None = None  # of the rows that are fitted; None counts all alike

    def __sizeof__(self) -> int:
        # Dask sends an argument once per worker, not once per task, if `__sizeof__` shows that it is large.
        return sum(getattr(getattr(self, f.name), "nbytes", 64) for f in fields(self))

    @property
    def relative_weight(self) -> NDArray | None:
        """Weights of the rows that are fitted, of mean 1."""
        return (
            None if self.sample_weight is None else self.sample_weight / self.sample_weight.mean()
        )

    def fit(self, rows: NDArray, where: str, start: Any = None) -> Any:
        """Fit the model on some rows with their weights."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return fit_model(
            self.estimator, take(self.X, rows), self.y[rows], where, start=start,
            sample_weight=weights,
        )  # fmt: skip

    def shortcut(self, model: Any, rows: NDArray) -> Shortcut | None:
        """Find the short way of a model fitted on some rows, of all classes."""
        if self.classes is not None and len(np.unique(self.codes[rows])) < self.scale.n_classes:
            return None
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return find_shortcut(model, take(self.X, rows), self.y[rows], weights)

    def output(self, model: Any, X: Any) -> NDArray[np.float64]:
        """Output of a fitted model, aligned to all classes of the problem."""
        try:
            output = model_output(model, X, self.classes)
        except Exception as error:
            reason = failed_step(model, error)
            raise RefitError(f"{name_of(model)} could not predict{reason}") from error
        if not np.isfinite(output).all():
            raise RefitError(
                f"{name_of(model)} gives predictions that are not finite numbers; a constant column "
                "or a scale too wide may be the cause."
            )
        return output

    def scores(self, output: NDArray) -> NDArray[np.float64]:
        """Per-sample scores of a model's output on the validation data."""
        return sample_scores(output, self.codes_val, self.scoring, self.scale)


def make_problem(
    estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, y_val: NDArray, classes: NDArray | None,
    *, scoring: str | None = None, class_weight: Any = None,
    sample_weight: NDArray | None = None, sample_weight_val: NDArray | None = None,
) -> Problem:  # fmt: skip
    """Encode and check the data of a seeded estimator; `classes` is None for regression."""
    codes, codes_val = encode(y, classes, "y"), encode(y_val, classes, "y_val")
    for numbers, name in ((X, "X"), (X_val, "X_val")):
        if isinstance(numbers, np.ndarray) and numbers.dtype.kind in "fiu":
            check_magnitude(numbers, name)
    if classes is None:
        check_magnitude(codes, "y")
        check_magnitude(codes_val, "y_val")
    weight_arguments(estimator, sample_weight)
    row_weights, class_weights = weigh(
        class_weight, classes, codes, codes_val, sample_weight, sample_weight_val
    )
    task: Task = "regression" if classes is None else "classification"
    scale = Scale.of(codes, task, class_weights, sample_weight)
    has_proba = task == "regression" or hasattr(estimator, "predict_proba")
    return Problem(
        estimator=estimator,
        X=X,
        y=codes if classes is None else y,
        codes=codes,
        X_val=X_val,
        codes_val=codes_val,
        classes=classes,
        scale=scale,
        scoring=check_scoring(scoring, task, has_proba),
        row_weights=row_weights,
        class_weights=class_weights,
        sample_weight=sample_weight,
    )


def part_rows(
    rows: Rows, held: Rows | None, classes: NDArray | None, seed: int, max_val_samples: int | None
) -> tuple[NDArray[np.int64], Rows, Rows]:
    """Return which rows are fitted, they themselves, and the validation rows: given ones, or a fifth."""
    if held is None:
        train, aside = set_validation_aside(rows.y, classes, seed, max_val_samples)
        train_rows, held = rows.take(train), rows.take(aside)
    else:
        train, train_rows = np.arange(len(rows.y)), rows
        codes = encode(held.y, classes, "y_val")
        strata = target_groups(codes, None if classes is not None else target_bins(codes))
        held = held.take(sample_by_cluster(strata, max_val_samples or len(codes), seed))
    for part, name in ((train_rows, "training"), (held, "validation")):
        if part.weights is not None and not part.weights.any():
            raise ValueError(f"The weight of every {name} row is zero: at least one must count.")
    return train, train_rows, held


def sample_by_cluster(labels: NDArray, n_rows: int, random_state: int) -> NDArray[np.int64]:
    """Draw about `n_rows` rows to fit on, stratified by cluster, at least one of each."""
    n_samples = len(labels)
    if n_samples <= n_rows:
        return np.arange(n_samples)
    order = np.random.default_rng(random_state).permutation(n_samples)
    by_cluster = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(n_samples) - np.repeat(np.cumsum(counts) - counts, counts)
    quota = np.maximum(1, np.round(counts * n_rows / n_samples)).astype(int)
    return np.sort(by_cluster[rank < np.repeat(quota, counts)])


def columns_for_errors(n_samples: int, n_val: int, seed: int) -> NDArray[np.int64]:
    """Choose the validation rows at which the spread of every row's credit is looked at."""
    n_columns = min(n_val, max(LEAST_ERROR_COLUMNS, MAX_ERROR_PAIRS // n_samples))
    return np.sort(np.random.default_rng(seed).permutation(n_val)[:n_columns])
