"""Which labels EcoVal lists on tables with a rare class, and what accepting all its suggestions does.

``OMP_NUM_THREADS=1 python benchmarks/label_issues.py`` values the sixteen imbalanced tables with balanced
logistic regression, without noise and with 10 % of the labels flipped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from suites import LIMITS
from tables import DATA, Benchmark, imbalanced_suite, load_benchmark

from ecoval_core import EcoVal
from ecoval_core.models.catalog import make_model, single_threaded, weigh_classes


def evaluate(data: Benchmark) -> dict[str, float]:
    """Shares listed, precision, recall, and the change of the test score if all are accepted."""
    estimator = weigh_classes(make_model("logistic_regression"), "balanced")
    with single_threaded():
        ecoval = EcoVal(clone(estimator), random_state=data.seed, class_weight="balanced")
        ecoval.fit(data.X, data.y, data.X_val, data.y_val)
        accepted = np.where(ecoval.label_issues_, ecoval.suggested_labels_, data.y)

        def score(y: np.ndarray) -> float:
            fitted = clone(estimator).fit(data.X, y)
            return float(balanced_accuracy_score(data.y_test, fitted.predict(data.X_test)))

        change = score(accepted) - score(data.y)
    issues, is_rare = ecoval.label_issues_, data.y == np.bincount(data.y).argmin()
    return {
        "listed": issues.mean(),
        "of the rare class": issues[is_rare].mean(),
        "precision": data.flipped[issues].mean() if issues.any() else np.nan,
        "recall": issues[data.flipped].mean() if data.flipped.any() else np.nan,
        "change if accepted": change,
    }


def main() -> None:
    """Print the means over the tables, by half and by noise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    options = parser.parse_args()
    rows = [
        {
            "table": name, "half": "AB"[position % 2], "flipped": noise,
            **evaluate(load_benchmark(name, seed, noise, options.data, LIMITS)),
        }
        for noise in (0.0, 0.1)
        for seed in options.seeds
        for position, name in enumerate(imbalanced_suite(options.data))
    ]  # fmt: skip
    found = pd.DataFrame(rows).drop(columns="table")
    print(found.groupby(["flipped", "half"]).mean().round(3).to_string())
    print(found.drop(columns="half").groupby("flipped").mean().round(3).to_string())


if __name__ == "__main__":
    main()
