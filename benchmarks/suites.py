"""Values on the tables people have: the wide suite and the imbalanced one, three models, halves apart.

``OMP_NUM_THREADS=1 python benchmarks/suites.py wide --cache FOLDER`` runs the 28 balanced tables with 15 %
of the labels flipped, ``imbalanced`` the 16 tables with a rare class, without noise and with 10 % flipped.
At most 600 rows are valued, on 300 validation rows, and tested on 1,000. Formulas were chosen on half A
(every other table of the alphabet, from the first) and confirmed on half B.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from quality import Cache, as_markdown
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from tables import DATA, Benchmark, Limits, imbalanced_suite, load_benchmark, wide_suite

from ecoval_core import EcoVal
from ecoval_core.evaluation.peers import (
    data_oob_values,
    knn_shapley_values,
    leave_one_out_values,
    random_values,
    self_confidence_values,
)
from ecoval_core.models.catalog import make_model, single_threaded, weigh_classes

LIMITS = Limits(train=600, validation=300, test=1000)
MODELS = ("logistic_regression", "random_forest", "k_neighbors")
SHARES = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
N_DRAWS = 5
HIGHER_IS_BETTER = {
    "noise AUC": True, "low-first": True, "after -15 %": True, "after -30 %": True,
    "high-first": False, "high-first, balanced": False, "rare rows gone at -15 %": False,
    "seconds": False,
}  # fmt: skip
Scores = dict[str, NDArray]


def orders(
    data: Benchmark, model: str, balanced: bool, slow: bool
) -> tuple[dict[str, NDArray], dict[str, float]]:
    """Scores of every method, the lowest to be removed first, and the seconds each took."""
    estimator = make_model(model, random_state=data.seed)
    weight = "balanced" if balanced else None
    if balanced:
        weigh_classes(estimator, weight)
    ecoval = EcoVal(clone(estimator), random_state=data.seed, class_weight=weight)
    methods: dict[str, Callable[[], NDArray]] = {
        "EcoVal": lambda: ecoval.fit(data.X, data.y, data.X_val, data.y_val).values_,
        "EcoVal, label quality": lambda: ecoval.label_quality_,
        "KNN-Shapley": lambda: knn_shapley_values(data.X, data.y, data.X_val, data.y_val),
        "Data-OOB": lambda: data_oob_values(data.X, data.y, random_state=data.seed),
        "self-confidence": lambda: self_confidence_values(
            estimator, data.X, data.y, random_state=data.seed
        ),
        "leave-one-out": lambda: leave_one_out_values(
            estimator, data.X, data.y, data.X_val, data.y_val, random_state=data.seed
        ),
    }
    found, seconds = {}, {}
    for name, method in methods.items():
        if name == "leave-one-out" and (balanced or (model == "random_forest" and not slow)):
            continue
        started = time.perf_counter()
        with single_threaded():
            found[name] = method()
        seconds[name] = time.perf_counter() - started
    for draw in range(N_DRAWS):
        found[f"random {draw}"] = random_values(len(data.y), 100 * data.seed + draw)
    return found, seconds


def measure(data: Benchmark, model: str, values: NDArray, balanced: bool) -> dict[str, float]:
    """Every column but the seconds."""
    estimator = make_model(model, random_state=data.seed)
    if balanced:
        weigh_classes(estimator, "balanced")
    metric = balanced_accuracy_score if balanced else accuracy_score

    def score(removed: NDArray) -> float:
        kept = np.delete(np.arange(len(data.y)), removed)
        if len(np.unique(data.y[kept])) < 2:
            constant = np.full(len(data.y_test), data.y[kept][0])
            return float(metric(data.y_test, constant))
        with single_threaded():
            fitted = clone(estimator).fit(data.X[kept], data.y[kept])
            return float(metric(data.y_test, fitted.predict(data.X_test)))

    lowest_first = np.argsort(values, kind="stable")
    counts = [round(share * len(values)) for share in SHARES]
    low = [score(lowest_first[:n]) for n in counts]
    found = {
        "low-first": float(np.mean(low)), "after -15 %": low[2], "after -30 %": low[5],
        "noise AUC": float(roc_auc_score(data.flipped, -values)) if data.flipped.any() else np.nan,
    }  # fmt: skip
    if balanced:
        rare = np.bincount(data.y).argmin()
        gone = data.y[lowest_first[: counts[2]]] == rare
        return found | {"rare rows gone at -15 %": float(gone.sum() / (data.y == rare).sum())}
    highest = lowest_first[::-1]
    by_class = [highest[data.y[highest] == label] for label in np.unique(data.y)]
    alike = [
        np.concatenate([rows[: round(share * len(rows))] for rows in by_class]) for share in SHARES
    ]
    return found | {
        "high-first": float(np.mean([score(highest[:n]) for n in counts])),
        "high-first, balanced": float(np.mean([score(rows) for rows in alike])),
    }


def evaluate(
    name: str, seed: int, noise: float, model: str, balanced: bool, folder: Path, slow: bool
) -> dict:
    """Measure all methods on one table; random draws are averaged."""
    data = load_benchmark(name, seed, noise, folder, LIMITS)
    values, seconds = orders(data, model, balanced, slow)
    rows = {method: measure(data, model, scores, balanced) for method, scores in values.items()}
    draws = pd.DataFrame([rows.pop(f"random {draw}") for draw in range(N_DRAWS)])
    rows["random"] = draws.mean().to_dict()
    return {method: row | {"seconds": seconds.get(method, np.nan)} for method, row in rows.items()}


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Mean of every column, and on how many tables EcoVal is at or above each method."""
    columns = [c for c in HIGHER_IS_BETTER if c in results and results[c].notna().any()]
    order = list(dict.fromkeys(results["method"]))
    table = results.groupby("method")[columns].mean().reindex(order)
    sign = pd.Series({c: 1 if HIGHER_IS_BETTER[c] else -1 for c in columns})
    goodness = results.groupby(["method", "table"])[columns].mean() * sign
    ours = goodness.loc["EcoVal"]
    for method in order:
        if method.startswith("EcoVal"):
            continue
        theirs = goodness.loc[method].dropna(how="all")
        won = (ours.loc[theirs.index] >= theirs - 1e-12).sum().where(theirs.notna().any())
        table.loc[f"won against {method}, of {len(theirs)}"] = won
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=["wide", "imbalanced"])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--slow", action="store_true",
                        help="leave-one-out of the forest too, about an hour a seed")  # fmt: skip
    parser.add_argument("--cache", type=Path, help="folder that keeps results")
    options = parser.parse_args()
    balanced = options.suite == "imbalanced"
    names = (imbalanced_suite if balanced else wide_suite)(options.data)
    cache = Cache(options.cache, f"{options.suite}.jsonl")
    rows = []
    for model in options.models:
        for noise in (0.0, 0.1) if balanced else (0.15,):
            for seed in options.seeds:
                for position, name in enumerate(names):
                    key = (name, seed, noise, model)
                    compute = partial(
                        evaluate, name, seed, noise, model, balanced, options.data, options.slow
                    )
                    for method, found in cache.get(key, compute).items():
                        rows.append({"table": name, "half": "AB"[position % 2], "model": model,
                                     "noise": noise, "method": method, **found})  # fmt: skip
                    print(f"# {model} {noise} {seed} {name}", flush=True)
    results = pd.DataFrame(rows)
    for (model, noise), part in results.groupby(["model", "noise"], sort=False):
        for half in ("A", "B", "AB"):
            chosen = part[part["half"].isin(list(half))]
            print(f"\n{model}, {noise:.0%} flipped, half {half}\n")
            print(as_markdown(summary(chosen).rename_axis("method")))


if __name__ == "__main__":
    main()
