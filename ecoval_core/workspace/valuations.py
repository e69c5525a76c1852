"""Valuations on disk: what was found, in Parquet, and beside it the models that unseen rows need."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from skops import io as skops_io

from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.propagation import Sampling
from ecoval_core.valuation.record import Findings, Valuation, findings_of
from ecoval_core.workspace.parquet import read_arrays, write_arrays

_ROWS = (
    "labels", "quality", "label_quality", "raw_extrinsic", "judged", "suggested_labels",
)  # fmt: skip
_CLUSTERS = ("cluster_values", "cluster_standard_errors")
_NUMBERS = ("full_score", "prior_score", "surplus_standard_error", "scoring", "task")
FIT = "fit.skops"
# Larger fits (forests by the hundred) take longer to write than most valuations take.
MAX_FIT_BYTES = 256 * 2**20
_TRUSTED_OUTSIDE = ("scipy.sparse._csr.csr_matrix", "sklearn.tree._tree.Tree")


def write_valuation(fitted: EcoVal | CrossValuation | Valuation, folder: Path) -> None:
    """Write what a valuation found, and its models where they are at hand.

    Parameters
    ----------
    fitted : EcoVal, CrossValuation or Valuation
        The valuation.
    folder : Path
        An empty folder.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if isinstance(fitted, CrossValuation):
        for number, one in enumerate(fitted.estimators_):
            part = folder / f"fold_{number}"
            part.mkdir()
            _write_findings(findings_of(one), one.extrinsic_weight, part)
        write_arrays({"fold": fitted.fold_, "labels": fitted.labels_}, folder / "folds.parquet")
    else:
        _write_findings(findings_of(fitted), fitted.extrinsic_weight, folder)
    if not isinstance(fitted, Valuation):
        _write_fit(fitted, folder / FIT)


def _write_findings(found: Findings, extrinsic_weight: float, folder: Path) -> None:
    rows = {name: getattr(found, name) for name in _ROWS}
    write_arrays(rows, folder / "rows.parquet")
    write_arrays({"moments": found.sampling.moments}, folder / "moments.parquet")
    write_arrays({"totals": found.sampling.totals}, folder / "totals.parquet")
    clusters = {name: getattr(found, name) for name in _CLUSTERS}
    write_arrays(clusters, folder / "clusters.parquet")
    numbers = {name: getattr(found, name) for name in _NUMBERS}
    numbers["extrinsic_weight"] = extrinsic_weight
    numbers["classes"] = None if found.classes is None else found.classes.tolist()
    (folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")


def _write_fit(fitted: EcoVal | CrossValuation, path: Path) -> None:
    kept = skops_io.dumps(fitted)
    if len(kept) <= MAX_FIT_BYTES:
        path.write_bytes(kept)


def read_valuation(folder: Path) -> Valuation | CrossValuation:
    """Read a valuation back, without models.

    Parameters
    ----------
    folder : Path
        Where :func:`write_valuation` wrote it.

    Returns
    -------
    Valuation or CrossValuation
        Equal to what was written, to the last bit, at the extrinsic weight it was written with.
    """
    if not (folder / "folds.parquet").exists():
        return _read_findings(folder)
    parts = sorted(folder.glob("fold_*"), key=lambda part: int(part.name.removeprefix("fold_")))
    folds = [_read_findings(part) for part in parts]
    kept = read_arrays(folder / "folds.parquet")
    trained = [np.flatnonzero(kept["fold"] != number) for number in range(len(folds))]
    return CrossValuation(folds, trained, kept["fold"], kept["labels"])


def _read_findings(folder: Path) -> Valuation:
    numbers: dict[str, Any] = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    weight, classes = numbers.pop("extrinsic_weight"), numbers.pop("classes")
    moments = read_arrays(folder / "moments.parquet")["moments"]
    totals = read_arrays(folder / "totals.parquet")["totals"]
    found = Findings(
        **read_arrays(folder / "rows.parquet"),
        **read_arrays(folder / "clusters.parquet"),
        sampling=Sampling(moments, totals),
        classes=None if classes is None else np.asarray(classes),
        **numbers,
    )
    return Valuation(found, weight)


def read_fit(folder: Path) -> EcoVal | CrossValuation | None:
    """Read the models of a valuation back.

    Parameters
    ----------
    folder : Path
        Where :func:`write_valuation` wrote it.

    Returns
    -------
    EcoVal or CrossValuation or None
        Fitted; None where the models were too large to keep.

    Raises
    ------
    ValueError
        If the file names anything but our own classes and scikit-learn's.
    """
    path = folder / FIT
    if not path.exists():
        return None
    unknown = skops_io.get_untrusted_types(file=path)
    foreign = [name for name in unknown if not _is_trusted(name)]
    if foreign:
        raise ValueError(
            f"The models of this run name {foreign[0]}, which EcoVal does not load: value the rows again."
        )
    fit: EcoVal | CrossValuation = skops_io.load(path, trusted=unknown)
    return fit


def _is_trusted(name: str) -> bool:
    return name.startswith("ecoval_core.valuation.") or name in _TRUSTED_OUTSIDE


assert {f.name for f in fields(Findings)} == {  # noqa: S101 - a field added is a field kept
    *_ROWS, *_CLUSTERS, *_NUMBERS, "sampling", "classes",
}  # fmt: skip
