"""Compare our KNN-Shapley, leave-one-out and Data-OOB with those of pyDVL 0.10.

pyDVL wants numpy < 2, so it lives in an environment of its own and this script runs itself there::

    python -m venv benchmarks/.peers
    benchmarks/.peers/bin/pip install "pydvl==0.10.*" "numpy<2"
    OMP_NUM_THREADS=1 python benchmarks/check_pydvl.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

PEERS = Path(__file__).parent / ".peers" / "bin" / "python"
N_NEIGHBORS, N_TREES = 5, 300
# Tight, so that a warm and a cold fit end at the same solution.
SETTINGS = {"max_iter": 10_000, "tol": 1e-8}


def theirs(path_in: Path, path_out: Path) -> None:
    """Value with pyDVL; runs in its environment."""
    from pydvl.valuation.dataset import Dataset
    from pydvl.valuation.methods import DataOOBValuation, KNNShapleyValuation, LOOValuation
    from pydvl.valuation.scorers import SupervisedScorer
    from pydvl.valuation.utility import ModelUtility

    data = np.load(path_in)
    train, val = Dataset(data["X"], data["y"]), Dataset(data["X_val"], data["y_val"])

    def probability_of_truth(model, X, y):
        return float(model.predict_proba(X)[np.arange(len(y)), y].mean())

    bags = BaggingClassifier(DecisionTreeClassifier(), N_TREES, random_state=0)
    utility = ModelUtility(
        LogisticRegression(**SETTINGS), SupervisedScorer(probability_of_truth, val, default=0.0)
    )
    valuations = {
        "KNN-Shapley": lambda: KNNShapleyValuation(
            KNeighborsClassifier(N_NEIGHBORS), val, progress=False
        ),
        "leave-one-out": lambda: LOOValuation(utility),
        "Data-OOB": lambda: DataOOBValuation(bags.fit(data["X"], data["y"])),
    }
    results = {}
    for name, make in valuations.items():
        started = time.perf_counter()
        result = make().fit(train).result
        values = np.empty(len(train))
        values[result.indices] = result.values
        results[name], results[f"{name} seconds"] = values, time.perf_counter() - started
    np.savez(path_out, **results)


def main() -> None:
    from tables import load_benchmark

    from ecoval_core.evaluation.peers import (
        data_oob_values,
        knn_shapley_values,
        leave_one_out_values,
    )

    data = load_benchmark("breast_cancer", 0, 0.15)
    rows = (data.X, data.y, data.X_val, data.y_val)
    model = LogisticRegression(**SETTINGS)
    ours = {
        "KNN-Shapley": lambda: knn_shapley_values(*rows, n_neighbors=N_NEIGHBORS),
        "leave-one-out": lambda: leave_one_out_values(model, *rows, random_state=0),
        "Data-OOB": lambda: data_oob_values(data.X, data.y, n_trees=N_TREES, random_state=0),
    }
    with tempfile.TemporaryDirectory() as folder:
        path_in, path_out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(path_in, X=data.X, y=data.y, X_val=data.X_val, y_val=data.y_val)
        # Its dependencies warn of each other.
        call = [PEERS, "-W", "ignore", __file__, path_in, path_out]
        subprocess.run(call, check=True)
        expected = dict(np.load(path_out))
    print("| method | largest difference, in deviations of the values | our s | pyDVL's s |")
    print("|---|---|---|---|")
    for name, value in ours.items():
        started = time.perf_counter()
        values = value()
        seconds = time.perf_counter() - started
        gap = np.abs(values - expected[name]).max() / expected[name].std()
        print(f"| {name} | {gap:.1e} | {seconds:.2f} | {expected[f'{name} seconds']:.2f} |")
        if gap > 0.01:
            raise SystemExit(f"{name} differs from pyDVL's.")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        theirs(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
