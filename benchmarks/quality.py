"""Compare EcoVal with its peers at finding wrong labels and at removal by value.

Run with ``OMP_NUM_THREADS=1 python benchmarks/quality.py --cache /tmp/quality``; every (table, seed,
noise, method) is kept there, so that a run resumes and a new method costs only itself.

A *method* turns a :class:`tables.Benchmark` into values. ``--variants FILE`` adds those of a Python file
that defines ``METHODS``, a dict from name to such a function.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import runpy
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import tmc_shapley_values
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tables import DATA, Benchmark, available_tables, load_benchmark, load_benchmarks

from ecoval_core import EcoVal
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.evaluation.peers import (
    data_oob_values,
    knn_shapley_values,
    leave_one_out_values,
    random_values,
)
from ecoval_core.models.catalog import make_model

Method = Callable[[Benchmark], NDArray]

MODEL = make_model("logistic_regression")
SHARES = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
N_DRAWS = 5
SMALL_TABLES = ("digits", "breast_cancer")
# Column: does more mean better.
COLUMNS = {
    "noise AUC": True,
    "low-first": True,
    "after -15 %": True,
    "after -30 %": True,
    "high-first": False,
    "high-first, balanced": False,
    "seconds": False,
}
CONTROLS = ("random", "random clusters")


def ecoval(data: Benchmark, **settings) -> NDArray:
    """Values of EcoVal; settings are its parameters."""
    model = EcoVal(MODEL, random_state=data.seed, **settings)
    return model.fit(data.X, data.y, data.X_val, data.y_val).values_


def random(data: Benchmark) -> NDArray:
    """Several draws of random values, one to a row."""
    draws = range(100 * data.seed, 100 * data.seed + N_DRAWS)
    return np.array([random_values(len(data.y), draw) for draw in draws])


def random_clusters(data: Benchmark) -> NDArray:
    """Several draws of one random value to each of EcoVal's clusters: removes whole clusters."""
    fitted = EcoVal(MODEL, random_state=data.seed).fit(data.X, data.y, data.X_val, data.y_val)
    draws = np.random.default_rng(data.seed).random((N_DRAWS, fitted.n_clusters_))
    return draws[:, fitted.labels_]


def leave_one_out(data: Benchmark) -> NDArray:
    """Leave-one-out values of the same model and score."""
    return leave_one_out_values(
        MODEL, data.X, data.y, data.X_val, data.y_val, random_state=data.seed
    )


METHODS: dict[str, Method] = {
    "ecoval": ecoval,
    "KNN-Shapley, k = 5": lambda data: knn_shapley_values(data.X, data.y, data.X_val, data.y_val),
    "Data-OOB, 300 trees": lambda data: data_oob_values(data.X, data.y, random_state=data.seed),
    "leave-one-out": leave_one_out,
    "random": random,
    "random clusters": random_clusters,
    "ecoval, b = 0.5": partial(ecoval, extrinsic_weight=0.5),
    "ecoval, b = 1": partial(ecoval, extrinsic_weight=1.0),
}


def measure(data: Benchmark, values: NDArray) -> dict[str, float]:
    """All columns but the seconds, for one set of values.

    Parameters
    ----------
    data : Benchmark
        The problem.
    values : ndarray of shape (n_train,)
        Value of each training row.

    Returns
    -------
    dict of str to float
        Test accuracies after removing 5, 10, ... 30 %: their mean lowest first ("low-first") and highest
        first, over all rows or in each class alike; NaN for the AUC without noise.
    """
    curves = partial(
        removal_curves, MODEL, data.X, data.y, data.X_test, data.y_test, values, shares=SHARES,
        random_state=data.seed, n_jobs=1,
    )  # fmt: skip
    low = curves(strategies=("lowest",)).set_index("share")["score"]
    high = curves(strategies=("highest",))["score"]
    balanced = curves(strategies=("highest",), class_balanced=True)["score"]
    found = roc_auc_score(data.flipped, -values) if data.flipped.any() else np.nan
    return {
        "noise AUC": float(found),
        "low-first": float(low.mean()),
        "after -15 %": float(low[0.15]),
        "after -30 %": float(low[0.30]),
        "high-first": float(high.mean()),
        "high-first, balanced": float(balanced.mean()),
    }


def evaluate(data: Benchmark, method: Method) -> dict[str, float]:
    """Value the rows and measure; several draws of values are averaged."""
    started = time.perf_counter()
    values = np.atleast_2d(method(data))
    seconds = time.perf_counter() - started
    measured = pd.DataFrame([measure(data, draw) for draw in values]).mean()
    return {**measured.to_dict(), "seconds": seconds}


class Cache:
    """Results as lines of JSON, appended at once; in memory alone without a folder."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self.path = folder / name if folder else None
        self.known: dict[tuple, dict] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        if self.path and self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            self.known = {tuple(row["key"]): row["result"] for row in map(json.loads, lines)}

    def get(self, key: tuple, compute: Callable[[], dict]) -> dict:
        """Look a result up, computed if it is not there."""
        if key not in self.known:
            self.known[key] = compute()
            if self.path:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "result": self.known[key]}) + "\n")
        return self.known[key]


def run(
    names: list[str], seeds: list[int], noises: list[float], methods: dict[str, Method],
    folder: Path, cache: Cache,
) -> pd.DataFrame:  # fmt: skip
    """Evaluate all methods on all problems.

    Returns
    -------
    DataFrame
        A row per problem and method: table, seed, noise, method, and `COLUMNS`.
    """
    rows = []
    for data in load_benchmarks(names, seeds, noises, folder):
        for name, method in methods.items():
            key = (data.name, data.seed, data.noise, name)
            result = cache.get(key, partial(evaluate, data, method))
            rows.append({"table": data.name, "seed": data.seed, "noise": data.noise,
                         "method": name, **result})  # fmt: skip
        print(f"# {data.name}, seed {data.seed}, noise {data.noise} done", flush=True)
    return pd.DataFrame(rows)


def as_markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """Write a frame as a markdown table, its index the first column."""
    head = [table.index.name or "", *map(str, table.columns)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in table.iterrows():
        cells = [_cell(value, digits) for value in row]
        lines.append("| " + " | ".join([str(name), *cells]) + " |")
    return "\n".join(lines)


def _cell(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.{digits}f}"
    return str(value)


def means(results: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Mean of each column over tables and seeds, a row per method."""
    return results.groupby("method")[list(COLUMNS)].mean().reindex(order)


def wins(results: pd.DataFrame, of: str, peers: list[str]) -> pd.DataFrame:
    """On how many tables a method is at or above each peer, and the best of them, by column."""
    by_table = results.groupby(["method", "table"])[list(COLUMNS)].mean()
    sign = pd.Series({column: 1 if more else -1 for column, more in COLUMNS.items()})
    goodness = by_table * sign
    ours = goodness.loc[of]
    best = goodness.loc[peers].groupby("table").max()
    against = {**{peer: goodness.loc[peer] for peer in peers}, "best peer of the table": best}
    rows = {
        f"vs {name}": {
            column: f"{int((ours[column] >= theirs[column] - 1e-12).sum())}/{len(ours)}"
            for column in COLUMNS
            if ours[column].notna().all()
        }
        for name, theirs in against.items()
    }
    return pd.DataFrame(rows).T.rename_axis(f"tables won by {of}")


def agreement(
    methods: dict[str, Method], names: list[str], noise: float, seconds: float, folder: Path,
    cache: Cache,
) -> pd.DataFrame:  # fmt: skip
    """Rank agreement with truncated Monte Carlo Shapley on the small tables, and its own noise AUC."""
    columns: dict[str, dict[str, object]] = {}
    for name in names:
        data = load_benchmark(name, 0, noise, folder)
        tmc = cache.get((name, noise, seconds), partial(_tmc, data, seconds))
        reference = np.array(tmc["values"])
        title = f"{name}, {tmc['n_permutations']} orders in {tmc['seconds']:.0f} s"
        agree = columns.setdefault(f"agreement: {title}", {})
        found = columns.setdefault(f"noise AUC: {name}", {})
        found["truncated Monte Carlo Shapley"] = roc_auc_score(data.flipped, -reference)
        for method_name, method in methods.items():
            draws = np.atleast_2d(method(data))
            agree[method_name] = float(np.mean([spearmanr(v, reference)[0] for v in draws]))
            found[method_name] = float(np.mean([roc_auc_score(data.flipped, -v) for v in draws]))
    return pd.DataFrame(columns).rename_axis("method")


def _tmc(data: Benchmark, seconds: float) -> dict:
    started = time.perf_counter()
    sampled = tmc_shapley_values(
        MODEL, data.X, data.y, data.X_val, data.y_val, seconds=seconds, random_state=data.seed
    )
    took = time.perf_counter() - started
    return {"values": sampled.values.tolist(), "n_permutations": sampled.n_permutations,
            "seconds": took}  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--tables", nargs="+", help="names (default: all that are there)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--noise", nargs="+", type=float, default=[0.15, 0.0])
    parser.add_argument("--methods", nargs="+", help="names (default: all)")
    parser.add_argument("--variants", type=Path, help="Python file that defines METHODS")
    parser.add_argument("--tmc-seconds", type=float, default=0.0,
                        help="budget of truncated Monte Carlo Shapley for each small table")  # fmt: skip
    parser.add_argument("--cache", type=Path, help="folder that keeps results")
    parser.add_argument("--by-table", action="store_true", help="print every table as well")
    return parser.parse_args()


def main() -> None:
    options = parse()
    methods = dict(METHODS)
    if options.variants:
        methods |= runpy.run_path(str(options.variants))["METHODS"]
    if options.methods:
        methods = {name: methods[name] for name in options.methods}
    present = available_tables(options.data)
    names = [name for name in options.tables or present if name in present]
    results = run(names, options.seeds, options.noise, methods, options.data,
                  Cache(options.cache, "quality.jsonl"))  # fmt: skip
    order = list(methods)
    peers = [n for n in order if not n.startswith("ecoval") and n not in CONTROLS]
    for noise, part in results.groupby("noise", sort=False):
        print(f"\n{noise:.0%} flipped labels, mean of {len(names)} tables, seeds {options.seeds}\n")
        print(as_markdown(means(part, order)))
        if "ecoval" in order and peers:
            print("\n" + as_markdown(wins(part, "ecoval", peers)))
        if options.by_table:
            for name, rows in part.groupby("table", sort=False):
                print("\n" + as_markdown(means(rows, order).rename_axis(name)))
    small = [name for name in SMALL_TABLES if name in names]
    if options.tmc_seconds and small:
        cache = Cache(options.cache, "tmc.jsonl")
        table = agreement(methods, small, max(options.noise), options.tmc_seconds, options.data,
                          cache)  # fmt: skip
        print(f"\nSpearman agreement, {max(options.noise):.0%} flipped labels\n")
        print(as_markdown(table))


if __name__ == "__main__":
    main()
