"""Which rows of a pool to acquire: the recommended orders beside others, and beside random ones.

``OMP_NUM_THREADS=1 python benchmarks/acquisition.py wide --cache FOLDER`` fits on at most 150 rows of a
table, values on 200 and ranks a pool of 600, whose rows are then added in that order; 1,000 rows test. Labels
of training rows and pool are spoiled alike, by 15 % (10 % in ``imbalanced``) or not at all. ``amounts`` does
it for regression: diamonds, diabetes, Friedman's three functions, and of every table of both suites the last
column with many values, predicted from the others. Formulas were chosen on half A (every other table of the
alphabet, from the first) and confirmed on half B.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from quality import Cache, as_markdown
from sklearn import datasets
from sklearn.model_selection import train_test_split
from tables import DATA, _make_scaler, imbalanced_suite, load_rows, wide_suite

from ecoval_core import EcoVal
from ecoval_core.evaluation.measures import main_measure
from ecoval_core.evaluation.new_rows import acquisition_curves, rank_unlabelled, value_new
from ecoval_core.evaluation.peers import knn_shapley_regression_values, knn_shapley_values
from ecoval_core.models.catalog import make_model, weigh_classes
from ecoval_core.tables.prepare import plant_label_noise

MODELS = {
    "wide": ("logistic_regression", "k_neighbors", "random_forest"),
    "imbalanced": ("logistic_regression", "k_neighbors", "random_forest"),
    "amounts": ("ridge", "k_neighbors", "random_forest"),
}
NOISE = {"wide": (0.15, 0.0), "imbalanced": (0.1, 0.0), "amounts": (0.15, 0.0)}
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
N_RANDOM = 5
# Of training, validation, pool and test: rows at most, and part of the table at most.
PARTS = ((150, 0.2), (200, 0.15), (600, 0.4), (1000, 0.25))
MIN_CLASS_ROWS = 8
MIN_DISTINCT, MIN_ROWS, MAX_ROWS = 50, 300, 3000


class Problem(NamedTuple):
    """A table in four parts, standardised; labels of training rows and pool may be wrong."""

    X: NDArray
    y: NDArray
    X_val: NDArray
    y_val: NDArray
    X_new: NDArray
    y_new: NDArray
    X_test: NDArray
    y_test: NDArray


def load_problem(X: pd.DataFrame, y: NDArray, task: str, seed: int, noise: float) -> Problem:
    """Split a table in four, standardise it, and spoil training rows and pool."""
    n_classes = 0
    if task == "classification":
        kept = np.bincount(y)[y] >= MIN_CLASS_ROWS
        X, y = X[kept], np.unique(y[kept], return_inverse=True)[1]
        n_classes = y.max() + 1
    rows, parts = np.arange(len(y)), []
    for most, part in PARTS:
        n_part = max(min(most, int(part * len(y))), n_classes)
        taken = rows
        if len(rows) > n_part + n_classes:
            strata = y[rows] if n_classes else None
            taken, rows = train_test_split(
                rows, train_size=n_part, stratify=strata, random_state=seed
            )
        parts.append(taken)
    scaler = _make_scaler(X, seed).fit(X.iloc[parts[0]])
    found = []
    for place, part in enumerate(parts):
        labels = y[part]
        if noise and place in (0, 2):
            labels, _ = plant_label_noise(labels, noise, task=task, random_state=seed + place)
        found += [np.nan_to_num(np.asarray(scaler.transform(X.iloc[part]), float)), labels]
    return Problem(*found)


def load_amounts(folder: Path) -> dict[str, tuple[pd.DataFrame, NDArray]]:
    """Tables of amounts: features and target by name."""
    found = {}
    X, y = datasets.load_diabetes(return_X_y=True)
    found["diabetes"] = pd.DataFrame(X), y
    for number, noise in ((1, 1.0), (2, 50.0), (3, 0.2)):
        make = getattr(datasets, f"make_friedman{number}")
        X, y = make(1500, noise=noise, random_state=0)
        found[f"friedman{number}"] = pd.DataFrame(X), y
    if (folder / "diamonds.csv.gz").exists():
        diamonds = pd.read_csv(folder / "diamonds.csv.gz").sample(2000, random_state=0)
        y = np.log(diamonds.pop("price").to_numpy(float))
        found["diamonds"] = pd.get_dummies(diamonds).astype(float), y
    for name in sorted({*wide_suite(folder), *imbalanced_suite(folder)} - {"digits", "mnist5k"}):
        if name.endswith(" (rare)"):
            continue
        features = load_rows(name, folder)[0].select_dtypes("number").dropna()
        varied = [column for column in features if features[column].nunique() > MIN_DISTINCT]
        if len(varied) < 2 or len(features) < MIN_ROWS:
            continue
        features = features.sample(min(MAX_ROWS, len(features)), random_state=0)
        y = features.pop(varied[-1]).to_numpy(float)
        found[f"{name}, {varied[-1]}"] = features, y
    return dict(sorted(found.items()))


def priorities(problem: Problem, model: str, task: str, balanced: bool, seed: int) -> tuple:
    """Unfitted model, and the priority of every new row by each method."""
    estimator = make_model(model, task, seed)
    weight = "balanced" if balanced else None
    if balanced:
        weigh_classes(estimator, weight)
    ecoval = EcoVal(estimator, random_state=seed, class_weight=weight, task=task)
    ecoval.fit(problem.X, problem.y, problem.X_val, problem.y_val)
    valued = value_new(ecoval, problem.X_new, problem.y_new)
    joint = knn_shapley_values if task == "classification" else knn_shapley_regression_values
    with_pool = joint(
        np.vstack([problem.X, problem.X_new]), np.append(problem.y, problem.y_new),
        problem.X_val, problem.y_val,
    )  # fmt: skip
    return estimator, {
        "recommended": valued["priority"],
        "extrinsic part alone": valued["extrinsic"],
        "total value": valued["value"],
        "label quality": valued["label_quality"],
        "KNN-Shapley, pool inside": with_pool[len(problem.y) :],
        "recommended, labels unknown": rank_unlabelled(ecoval, problem.X_new)["priority"],
    }


def evaluate(
    X: pd.DataFrame, y: NDArray, task: str, seed: int, noise: float, model: str, balanced: bool
) -> dict[str, list[float]]:
    """Test score of every method while its first rows are added, and of no row and all."""
    problem = load_problem(X, y, task, seed, noise)
    known = np.isin(problem.y_new, problem.y) | (task == "regression")
    problem = problem._replace(X_new=problem.X_new[known], y_new=problem.y_new[known])
    estimator, by_method = priorities(problem, model, task, balanced, seed)
    curves = acquisition_curves(
        estimator, problem.X, problem.y, problem.X_new, problem.y_new, problem.X_test,
        problem.y_test, by_method, shares=(0.0, *SHARES, 1.0), n_random=N_RANDOM,
        random_state=seed,
    )  # fmt: skip
    curves = curves[curves["measure"] == main_measure(task, balanced=balanced)]
    # A linear model on few rows can be worse than the mean by any factor.
    curves = curves.assign(score=curves["score"].clip(lower=-1.0))
    means = curves.groupby(["strategy", "share"])["score"].mean()
    found = {name: [float(means[name, s]) for s in SHARES] for name in (*by_method, "random")}
    found["no row"], found["all rows"] = ([float(means["random", s])] * len(SHARES) for s in (0, 1))
    return found


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Mean score over the steps, gain on random orders with its error, and tables where it gains."""
    chance = results[results["method"] == "random"].set_index(["table", "seed"])["mean"]
    keys = pd.MultiIndex.from_frame(results[["table", "seed"]])
    results = results.assign(gain=results["mean"] - chance.reindex(keys).to_numpy())
    by_table = results.groupby(["method", "table"], sort=False)["gain"].mean()
    grouped = by_table.groupby("method", sort=False)
    order = list(dict.fromkeys(results["method"]))
    steps = results.groupby("method")[[f"+{share:.0%}" for share in SHARES]].mean()
    table = steps.assign(
        **{
            "gain on random": grouped.mean(),
            "standard error": grouped.std() / np.sqrt(grouped.size()),
            "tables with a gain": grouped.apply(lambda gain: f"{(gain > 0).sum()}/{len(gain)}"),
        }
    )
    return table.reindex(order).rename_axis("method")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=MODELS)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--models", nargs="+", help="keys (default: three)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--cache", type=Path, help="folder that keeps results")
    options = parser.parse_args()
    suite = options.suite
    task = "regression" if suite == "amounts" else "classification"
    if suite == "amounts":
        tables = load_amounts(options.data)
    else:
        names = (wide_suite if suite == "wide" else imbalanced_suite)(options.data)
        tables = {name: load_rows(name, options.data) for name in names}
    cache = Cache(options.cache, f"acquisition_{suite}.jsonl")
    rows = []
    for model in options.models or MODELS[suite]:
        for noise in NOISE[suite]:
            for seed in options.seeds:
                for position, (name, (X, y)) in enumerate(tables.items()):
                    compute = partial(
                        evaluate, X, y, task, seed, noise, model, suite == "imbalanced"
                    )
                    found = cache.get((name, seed, noise, model), compute)
                    for method, scores in found.items():
                        steps = {f"+{s:.0%}": x for s, x in zip(SHARES, scores, strict=True)}
                        rows.append({"table": name, "seed": seed, "half": "AB"[position % 2],
                                     "model": model, "noise": noise, "method": method,
                                     "mean": float(np.mean(scores)), **steps})  # fmt: skip
                    print(f"# {model} {noise} {seed} {name}", flush=True)
    results = pd.DataFrame(rows)
    for (model, noise), part in results.groupby(["model", "noise"], sort=False):
        for half in ("A", "B"):
            print(f"\n{suite}, {model}, {noise:.0%} wrong, half {half}\n")
            print(as_markdown(summary(part[part["half"] == half])))


if __name__ == "__main__":
    main()
