"""Repeat the EcoVal paper's experiments on images of digits, in and out of the valued sample.

Run with ``OMP_NUM_THREADS=1 python benchmarks/paper.py --cache /tmp/quality``. Pixels become 50
principal components; the model is logistic regression. *In distribution*: training rows are removed and
added by their value. *Out of sample*: a pool of unseen rows is valued, then added to the training rows.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import tmc_shapley_values
from quality import MODEL, Cache, as_markdown
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import DATA, IMAGE_COMPONENTS, load_rows

from ecoval_core import EcoVal
from ecoval_core.evaluation.curves import score_rows
from ecoval_core.evaluation.peers import knn_shapley_values, random_values
from ecoval_core.tables.prepare import plant_label_noise

N_TRAIN, N_VALIDATION, N_POOL, N_TEST = 500, 500, 1000, 2000
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)
ADDED = (50, 100, 200, 400, 700, 1000)
N_DRAWS = 5


class Part(NamedTuple):
    """Rows and their labels, some of which may be wrong."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    flipped: NDArray[np.bool_]


def load_parts(seed: int, noise: float, folder: Path) -> tuple[Part, Part, Part, Part]:
    """Draw disjoint training, validation, pool and test rows; training and pool hold wrong labels."""
    X, y = load_rows("mnist5k", folder)
    order = np.random.default_rng(seed).permutation(len(y))
    ends = np.cumsum([N_TRAIN, N_VALIDATION, N_POOL, N_TEST])
    rows = np.split(order[: ends[-1]], ends[:-1])
    scaler = make_pipeline(PCA(IMAGE_COMPONENTS, random_state=seed), StandardScaler())
    scaler.fit(X.iloc[rows[0]])
    parts = []
    for place, part in enumerate(rows):
        share = noise if place in (0, 2) else 0.0
        labels, positions = plant_label_noise(
            y[part], share, task="classification", random_state=seed + place
        )
        flipped = np.isin(np.arange(len(part)), positions)
        parts.append(Part(scaler.transform(X.iloc[part]), labels, flipped))
    train, validation, pool, test = parts
    return train, validation, pool, test


def tmc(train: Part, validation: Part, seconds: float, seed: int) -> dict:
    started = time.perf_counter()
    sampled = tmc_shapley_values(
        MODEL, train.X, train.y, validation.X, validation.y, seconds=seconds, random_state=seed
    )
    took = time.perf_counter() - started
    return {"values": sampled.values.tolist(), "orders": sampled.n_permutations, "seconds": took}


def regressed(train: Part, values: NDArray, pool: Part, seed: int) -> NDArray:
    """Values of unseen rows, predicted from those of training rows by features and label."""
    n_classes = max(train.y.max(), pool.y.max()) + 1
    with_label = [np.hstack([part.X, 3 * np.eye(n_classes)[part.y]]) for part in (train, pool)]
    forest = RandomForestRegressor(300, max_features=0.5, random_state=seed)
    return forest.fit(with_label[0], values).predict(with_label[1])


def in_distribution(train: Part, test: Part, values: dict[str, list[NDArray]]) -> pd.DataFrame:
    """Accuracy after removing, and after training on nothing but, the best and worst shares."""
    rows = []
    for method, draws in values.items():
        for of in draws:
            best = np.argsort(-of, kind="stable")
            for experiment, order in (("best", best), ("worst", best[::-1])):
                for share in SHARES:
                    n = round(share * len(best))
                    for action, kept in (("remove", order[n:]), ("add", order[:n])):
                        scores = score_rows(MODEL, train.X[kept], train.y[kept], test.X, test.y)
                        accuracy = scores.get("accuracy", (np.nan,))[0]
                        rows.append((f"{action} {experiment} first", method, f"{share:.0%}",
                                     accuracy))  # fmt: skip
    return pd.DataFrame(rows, columns=["experiment", "method", "amount", "accuracy"])


def out_of_sample(
    train: Part, pool: Part, test: Part, values: dict[str, list[NDArray]]
) -> pd.DataFrame:
    """Accuracy after adding pool rows to the training rows, best and worst first.

    Values that gather in few classes unbalance the sum; orders with each class alike set that aside.
    """
    rows = []
    for method, draws in values.items():
        for of in draws:
            best, spread = np.argsort(-of, kind="stable"), by_class(of, pool.y)
            orders = {
                "best first": best,
                "worst first": best[::-1],
                "best first of each class alike": spread,
                "worst first of each class alike": spread[::-1],
            }
            for experiment, order in orders.items():
                for n in ADDED:
                    new = order[:n]
                    X, y = np.vstack([train.X, pool.X[new]]), np.append(train.y, pool.y[new])
                    accuracy = score_rows(MODEL, X, y, test.X, test.y)["accuracy"][0]
                    rows.append((f"pool, {experiment}", method, f"+{n}", accuracy))
    return pd.DataFrame(rows, columns=["experiment", "method", "amount", "accuracy"])


def by_class(values: NDArray, y: NDArray) -> NDArray[np.int64]:
    """Order rows best first so that every class comes at the same pace."""
    frame = pd.DataFrame({"value": values, "y": y})
    place = frame.groupby("y")["value"].rank(ascending=False, method="first", pct=True)
    return place.argsort(kind="stable").to_numpy()


def timed(compute: Callable[[], NDArray]) -> tuple[NDArray, float]:
    started = time.perf_counter()
    return compute(), time.perf_counter() - started


def run(seed: int, options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One draw of all parts: accuracies, and what each method found in what time."""
    train, validation, pool, test = load_parts(seed, options.noise, options.data)
    key = (seed, options.noise, options.tmc_seconds)
    sampled = Cache(options.cache, "paper.jsonl").get(
        key, partial(tmc, train, validation, options.tmc_seconds, seed)
    )
    shapley = np.array(sampled["values"])
    print(f"# seed {seed}: {sampled['orders']} orders of TMC Shapley", flush=True)
    rows = (train.X, train.y, validation.X, validation.y)
    started = time.perf_counter()
    model = EcoVal(MODEL, random_state=seed).fit(*rows)
    fit_seconds = time.perf_counter() - started
    knn, knn_seconds = timed(lambda: knn_shapley_values(*rows))
    inside = {
        "EcoVal": ([model.values_], fit_seconds),
        "TMC Shapley": ([shapley], sampled["seconds"]),
        "KNN-Shapley": ([knn], knn_seconds),
        "random": ([random_values(N_TRAIN, seed * 10 + i) for i in range(N_DRAWS)], 0.0),
    }
    joint = (np.vstack([train.X, pool.X]), np.append(train.y, pool.y), *rows[2:])
    joined, joined_seconds = timed(lambda: knn_shapley_values(*joint)[N_TRAIN:])
    unseen, unseen_seconds = timed(lambda: model.value_samples(pool.X, pool.y))
    predicted, predicted_seconds = timed(lambda: regressed(train, shapley, pool, seed))
    outside = {
        "EcoVal, no refit": ([unseen.value], unseen_seconds),
        "EcoVal, extrinsic part alone": ([unseen.extrinsic], unseen_seconds),
        "KNN-Shapley with the pool inside": ([joined], joined_seconds),
        "TMC Shapley, regressed": ([predicted], predicted_seconds),
        "random": ([random_values(N_POOL, seed * 10 + i) for i in range(N_DRAWS)], 0.0),
    }
    accuracies = [
        in_distribution(train, test, {name: draws for name, (draws, _) in inside.items()}),
        out_of_sample(train, pool, test, {name: draws for name, (draws, _) in outside.items()}),
    ]
    found = [
        (where, name, np.mean([roc_auc_score(part.flipped, -of) for of in draws]), seconds)
        for where, part, methods in (("training rows", train, inside), ("pool", pool, outside))
        for name, (draws, seconds) in methods.items()
    ]
    return (
        pd.concat(accuracies),
        pd.DataFrame(found, columns=["of", "method", "noise AUC", "seconds"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with mnist5k.parquet")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--noise", type=float, default=0.15)
    parser.add_argument("--tmc-seconds", type=float, default=100.0)
    parser.add_argument("--cache", type=Path, help="folder that keeps the Monte Carlo values")
    options = parser.parse_args()
    done = [run(seed, options) for seed in options.seeds]
    accuracies, found = (pd.concat(frames) for frames in zip(*done, strict=True))
    for of, rows in found.groupby("of", sort=False):
        print(f"\nWrong labels among the {of}\n")
        print(as_markdown(rows.groupby("method", sort=False)[["noise AUC", "seconds"]].mean()))
    for experiment, rows in accuracies.groupby("experiment", sort=False):
        table = rows.pivot_table("accuracy", "method", "amount", sort=False)
        print(
            f"\n{experiment}: test accuracy\n\n{as_markdown(table.assign(mean=table.mean(axis=1)))}"
        )


if __name__ == "__main__":
    main()
