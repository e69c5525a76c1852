"""Valuations on disk: what was found, in Parquet, and beside it the models that unseen rows need."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import Findings, Sampling, Valuation, findings_of
from ecoval_core.workspace.parquet import read_arrays, write_arrays

_ROWS = (
    "labels", "quality", "label_quality", "raw_extrinsic", "judged", "suggested_labels",
)  # fmt: skip
_CLUSTERS = ("cluster_values", "cluster_standard_errors")
_NUMBERS = ("full_score", "prior_score", "surplus_standard_error", "scoring", "task")
FIT = "fit.skops"


def write_valuation(fitted: EcoVal | CrossValuation | Valuation, folder: Path) -> None:
    """Write what a valuation found, and its models where they are at hand and not too large.

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
    has_models = isinstance(fitted, EcoVal)
    if isinstance(fitted, CrossValuation):
        has_models = all(isinstance(one, EcoVal) for one in fitted.estimators_)
        for number, (one, rows) in enumerate(zip(fitted.estimators_, fitted.trained_, strict=True)):
            part = folder / f"fold_{number}"
            part.mkdir()
            _write_findings(findings_of(one), one.extrinsic_weight, part)
            write_arrays({"rows": rows}, part / "trained.parquet")
        write_arrays({"fold": fitted.fold_, "labels": fitted.labels_}, folder / "folds.parquet")
    else:
        _write_findings(findings_of(fitted), fitted.extrinsic_weight, folder)
    if has_models and not isinstance(fitted, Valuation):
        # Not before it is needed: skops imports all of scikit-learn.
        from ecoval_core.workspace.fits import write_fit

        write_fit(fitted, folder / FIT)


def _write_findings(found: Findings, extrinsic_weight: float, folder: Path) -> None:
    rows = {name: getattr(found, name) for name in _ROWS}
    write_arrays(rows, folder / "rows.parquet")
    write_arrays({"moments": found.sampling.moments}, folder / "moments.parquet")
    write_arrays({"totals": found.sampling.totals}, folder / "totals.parquet")
    clusters = {name: getattr(found, name) for name in _CLUSTERS}
    write_arrays(clusters, folder / "clusters.parquet")
    numbers = {name: getattr(found, name) for name in _NUMBERS}
    numbers["extrinsic_weight"] = float(extrinsic_weight)
    numbers["classes"] = None if found.classes is None else found.classes.tolist()
    numbers["types"] = {
        "classes": None if found.classes is None else _type_name(found.classes),
        "suggested_labels": _type_name(found.suggested_labels),
    }
    (folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")


def _type_name(array: NDArray) -> str:
    return "object" if array.dtype == object else array.dtype.str


def read_valuation(folder: Path) -> Valuation | CrossValuation:
    """Read a valuation back, without models.

    Parameters
    ----------
    folder : Path
        Where :func:`write_valuation` wrote it.

    Returns
    -------
    Valuation or CrossValuation
        Equal to what was written, to the last bit, at the extrinsic weight it was written with and, by
        ``reweight``, at every other.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        If a file is missing or damaged.
    """
    if not (folder / "folds.parquet").exists():
        return _read_findings(folder)
    parts = sorted(folder.glob("fold_*"), key=lambda part: int(part.name.removeprefix("fold_")))
    kept = read_arrays(folder / "folds.parquet")
    trained = [read_arrays(part / "trained.parquet")["rows"] for part in parts]
    return CrossValuation(
        [_read_findings(part) for part in parts], trained, kept["fold"], kept["labels"]
    )


def _read_findings(folder: Path) -> Valuation:
    numbers: dict[str, Any] = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    weight, classes, types = (
        numbers.pop(name) for name in ("extrinsic_weight", "classes", "types")
    )
    rows: dict[str, Any] = dict(read_arrays(folder / "rows.parquet"))
    # Text comes back as narrow as it can be, and labels of Python's own as text.
    rows["suggested_labels"] = rows["suggested_labels"].astype(types["suggested_labels"])
    found = Findings(
        **rows,
        **dict[str, Any](read_arrays(folder / "clusters.parquet")),
        sampling=Sampling(
            read_arrays(folder / "moments.parquet")["moments"],
            read_arrays(folder / "totals.parquet")["totals"],
        ),
        classes=None if classes is None else np.array(classes, dtype=types["classes"]),
        **numbers,
    )
    return Valuation(found, weight)


def read_fit(folder: Path) -> EcoVal | CrossValuation | None:
    """Read the models of a valuation back, wherever they come from.

    Parameters
    ----------
    folder : Path
        Where :func:`write_valuation` wrote it.

    Returns
    -------
    EcoVal or CrossValuation or None
        Fitted, with ``n_jobs`` None; None where the models were not kept, or were made with another
        scikit-learn.

    Raises
    ------
    ValueError
        If the file is damaged, or names anything but what a valuation consists of; see
        :mod:`ecoval_core.workspace.fits`.
    """
    path = folder / FIT
    if not path.exists():
        return None
    from ecoval_core.workspace.fits import read_fit_file

    return read_fit_file(path)


assert {f.name for f in fields(Findings)} == {  # noqa: S101 - a field added is a field kept
    *_ROWS, *_CLUSTERS, *_NUMBERS, "sampling", "classes",
}  # fmt: skip
