"""Time and peak memory of a valuation by the number of rows, and the stated targets.

``python benchmarks/scaling.py`` prints a row for n = 1e3 ... 1e5 and the exponent fitted past
``max_fit_samples``; ``--targets`` runs the targets (100,000 x 50; letter-like beside KNN-Shapley),
``--million`` the valuation of 1,000,000 x 20. Every measurement is a process of its own. pyDVL's
KNN-Shapley stands beside if its environment exists (see check_pydvl.py).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from sklearn.datasets import make_classification

PEERS = Path(__file__).parent / ".peers" / "bin" / "python"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
# name: rows, features, classes, validation rows
PROBLEMS = {
    "large": (100_000, 50, 2, 2_000),
    "letter": (12_000, 16, 26, 1_000),
    "million": (1_000_000, 20, 2, 2_000),
}


def draw(n_rows, n_features, n_classes, n_val):
    X, y = make_classification(
        n_rows + n_val, n_features, n_informative=min(14, n_features - 2), n_redundant=0,
        n_classes=n_classes, flip_y=0.05, class_sep=1.5, random_state=0,
    )  # fmt: skip
    return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]


def measure(method, n_clusters, n_jobs, *shape):
    """Print seconds and peak megabytes of one valuation."""
    X, y, X_val, y_val = draw(*shape)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if method == "pydvl":
        from pydvl.valuation.dataset import Dataset
        from pydvl.valuation.methods import KNNShapleyValuation
        from sklearn.neighbors import KNeighborsClassifier

        test = Dataset(X_val, y_val)
        started = time.perf_counter()
        KNNShapleyValuation(KNeighborsClassifier(5), test, progress=False).fit(Dataset(X, y))
    elif method == "knn_shapley":
        from ecoval_core.evaluation.peers import knn_shapley_values

        started = time.perf_counter()
        knn_shapley_values(X, y, X_val, y_val)
    else:
        from ecoval_core import EcoVal
        from ecoval_core.models.catalog import make_model

        started = time.perf_counter()
        ecoval = EcoVal(
            make_model("logistic_regression"), n_clusters=n_clusters, n_jobs=n_jobs, random_state=0
        ).fit(X, y, X_val, y_val)
        if not np.isfinite(ecoval.values_).all():
            raise SystemExit("Some values are not finite.")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seconds, (peak + workers_peak()) / 1024, before / 1024)


def workers_peak():
    """Sum of the peaks of the worker processes, in kilobytes; what they share counts for each."""
    children = psutil.Process().children(recursive=True)
    status = [Path(f"/proc/{child.pid}/status").read_text() for child in children]
    return sum(int(text.split("VmHWM:")[1].split()[0]) for text in status if "VmHWM:" in text)


def in_a_process(method, n_clusters, n_jobs, shape):
    python = PEERS if method == "pydvl" else sys.executable
    command = [python, __file__, "--measure", method, str(n_clusters), str(n_jobs)]
    done = subprocess.run([*command, *map(str, shape)], capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()[-3:]))


def show(name, method, n_clusters, n_jobs, shape):
    seconds, peak, before = in_a_process(method, n_clusters, n_jobs, shape)
    print(
        f"| {name} | {method} | {n_clusters} | {n_jobs} | {seconds:.1f} | {peak:.0f} | {before:.0f} |"
    )
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=7)
    parser.add_argument("--targets", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.measure:
        method, n_clusters, n_jobs, *shape = chosen.measure
        measure(
            method, int(n_clusters) if n_clusters.isdigit() else "auto", int(n_jobs),
            *map(int, shape),
        )  # fmt: skip
        return
    print("| rows x features, classes | method | K | jobs | seconds | peak MB | MB before |")
    print("|---|---|---|---|---|---|---|")
    if chosen.million:
        show("1,000,000 x 20, 2", "ecoval", 300, chosen.jobs, PROBLEMS["million"])
    elif chosen.targets:
        show("100,000 x 50, 2", "ecoval", 300, chosen.jobs, PROBLEMS["large"])
        ours = show("12,000 x 16, 26", "ecoval", "auto", chosen.jobs, PROBLEMS["letter"])
        theirs = show("12,000 x 16, 26", "knn_shapley", "-", 1, PROBLEMS["letter"])
        if PEERS.exists():
            pydvl = show("12,000 x 16, 26", "pydvl", "-", 1, PROBLEMS["letter"])
            print(f"\nOn letter-like, {ours / pydvl:.2f} times as long as pyDVL's KNN-Shapley.")
        print(f"\nOn letter-like, {ours / theirs:.2f} times as long as our own KNN-Shapley.")
    else:
        seconds = [
            show(f"{n:,} x 20, 2", "ecoval", "auto", chosen.jobs, (n, 20, 2, 1_000)) for n in SIZES
        ]
        past = [n >= 10_000 for n in SIZES]
        slope = np.polyfit(np.log(np.array(SIZES)[past]), np.log(np.array(seconds)[past]), deg=1)[0]
        print(f"\nGrowth past max_fit_samples: n^{slope:.2f}")


if __name__ == "__main__":
    main()
