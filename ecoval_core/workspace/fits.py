"""Fitted models on disk, by skops, and how one that may come from anybody is read without harm.

A file of skops names the classes that it is made of. Only those that a valuation consists of are let in, by
name and by the way in which they are made: no function and no method is ever named, and nothing is called but
their constructors. Of those classes some hand what they hold to compiled code that checks no index: trees are
made anew from arrays that have been checked (:mod:`ecoval_core.workspace.forests`), and what neighbours are
sought through is made anew from the rows.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from scipy.sparse import csr_matrix
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestNeighbors,
)
from skops import io as skops_io

from ecoval_core.valuation.clustering import Clustering
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.kernels import Forest, ProximityKernel, ShapleyKernel
from ecoval_core.valuation.models import MODELS
from ecoval_core.valuation.propagation import Attribution, Credit, Weighting
from ecoval_core.valuation.quality import Pool
from ecoval_core.valuation.record import Findings, Sampling
from ecoval_core.valuation.refitting import Problem, Refits
from ecoval_core.valuation.scoring import Scale
from ecoval_core.workspace.forests import DamagedForestError, packed, unpack

# Unpacked. Larger fits (forests by the hundred) take longer to write than most valuations take.
MAX_FIT_BYTES = 256 * 2**20
# The names and structure of it, which take ten times as much in memory.
MAX_SCHEMA_BYTES = 64 * 2**20
_SCHEMA = "schema.json"

_OURS = (
    Attribution, Clustering, Credit, CrossValuation, EcoVal, Findings, Forest, Pool, Problem, ProximityKernel,
    Refits, Sampling, Scale, ShapleyKernel, Weighting,
)  # fmt: skip
_MODELS = (
    kind for model in MODELS.values() for kind in (model.classifier, model.regressor) if kind
)
_PARTS = (
    "sklearn._loss.link.HalfLogitLink", "sklearn._loss.link.IdentityLink", "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink", "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss", "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError", "sklearn.dummy.DummyClassifier",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._unsupervised.NearestNeighbors", "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler", "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._classes.DecisionTreeRegressor",
)  # fmt: skip
_NUMBERS = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    "str_",
)  # fmt: skip
# By the way in which skops makes an object: what may be made so.
_ALLOWED = {
    "ObjectNode": {*(f"{k.__module__}.{k.__name__}" for k in (*_OURS, *_MODELS)), *_PARTS},
    "DictNode": {"builtins.dict"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "JsonNode": {"builtins.str"},
    "NdArrayNode": {"numpy.ndarray", *(f"numpy.{name}" for name in _NUMBERS)},
    "TypeNode": {"builtins.bool", "builtins.float", "builtins.int", "builtins.str"},
    "SparseMatrixNode": {"scipy.sparse._csr.csr_matrix"},
    "LossNode": {
        f"sklearn._loss._loss.CyHalf{name}" for name in ("BinomialLoss", "MultinomialLoss", "SquaredError")
    },
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
}  # fmt: skip
_TRUSTED = sorted(set().union(*_ALLOWED.values()))
_ESTIMATORS_OF_NEIGHBORS = (KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors)

_log = logging.getLogger(__name__)
Fit = EcoVal | CrossValuation


class FitError(ValueError):
    """A file of models that is not loaded; the message is one sentence for the user."""


class _OtherVersion(Exception):  # noqa: N818 - told by returning None
    """The models were made with another scikit-learn."""


def write_fit(fitted: Fit, path: Path) -> bool:
    """Write a fitted estimator, unless it is too large or holds what :func:`read_fit` would not load.

    Parameters
    ----------
    fitted : EcoVal or CrossValuation
        Fitted.
    path : Path
        The file.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    try:
        with packed(_parts(fitted)):
            # Most of it is text, of which a tenth is left.
            content = skops_io.dumps(fitted, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
        _audit(content)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        _log.info("The models of a valuation are not kept: %s", error)
        return False
    path.write_bytes(content)
    return True


def read_fit_file(path: Path) -> Fit | None:
    """Read a fitted estimator, which may come from anybody.

    Parameters
    ----------
    path : Path
        A file that :func:`write_fit` wrote, or says so.

    Returns
    -------
    EcoVal or CrossValuation or None
        Fitted; None if it was made with another version of scikit-learn, whose models need not be the same.

    Raises
    ------
    FitError
        If the file is damaged, names anything but the classes that a valuation consists of, or holds
        indices out of range.
    OSError
        If it cannot be read.
    """
    if path.stat().st_size > MAX_FIT_BYTES:
        raise FitError(_sentence(f"take more than {MAX_FIT_BYTES // 2**20} MB"))
    content = path.read_bytes()
    try:
        _audit(content)
        fitted = skops_io.loads(content, trusted=_TRUSTED)
    except _OtherVersion:
        return None
    except (FitError, MemoryError):
        raise
    except Exception as error:
        # Whatever is wrong with a file shows in some error of skops, NumPy or scikit-learn.
        raise FitError(_sentence("are damaged")) from error
    if not isinstance(fitted, Fit):
        raise FitError(_sentence("are no fitted valuation"))
    try:
        _check(fitted)
    except (FitError, MemoryError):
        raise
    except Exception as error:
        raise FitError(_sentence("are damaged")) from error
    return fitted


def _sentence(what: str) -> str:
    return f"The models of this run {what} and are not loaded: value the rows again."


# --- Names -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _protocol() -> int:
    """Return the version of the format that this skops writes; it may read older ones less strictly."""
    with zipfile.ZipFile(io.BytesIO(skops_io.dumps(None))) as archive:
        return int(json.loads(archive.read(_SCHEMA))["protocol"])


def _audit(content: bytes) -> None:
    """Refuse a file that names what a valuation does not consist of, or that unpacks to too much."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > MAX_FIT_BYTES:
            raise FitError(_sentence(f"take more than {MAX_FIT_BYTES // 2**20} MB"))
        if archive.getinfo(_SCHEMA).file_size > MAX_SCHEMA_BYTES:
            raise FitError(_sentence("are too many"))
        schema = archive.read(_SCHEMA)
    found = json.loads(schema, object_hook=_check_node)
    if found.get("protocol") != _protocol() or isinstance(found["protocol"], bool):
        raise _OtherVersion


def _check_node(node: dict[str, Any]) -> dict[str, Any]:
    if "__loader__" in node or "__class__" in node or "__module__" in node:
        loader, name = node.get("__loader__"), str(node.get("__class__"))
        named = f"{node.get('__module__')}.{name}"
        allowed = _ALLOWED.get(loader, set()) if isinstance(loader, str) else set()
        if named not in allowed or "." in name:
            raise FitError(_sentence(f"name {named[:80]!r}, which no valuation consists of,"))
    version = node.get("_sklearn_version")
    if isinstance(version, dict) and version.get("content") != json.dumps(sklearn.__version__):
        raise _OtherVersion
    return node


# --- Contents --------------------------------------------------------------------------------


def _parts(whole: Any) -> Iterator[Any]:
    """Yield every object that an object is made of, once."""
    seen: set[int] = set()
    rest = [whole]
    while rest:
        part = rest.pop()
        if id(part) in seen or isinstance(part, (str, int, float, type, type(None))):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            rest += part.values()
        elif isinstance(part, (list, tuple)):
            rest += part
        elif isinstance(part, np.ndarray):
            rest += part.ravel().tolist() if part.dtype == object else []
        else:
            rest += getattr(part, "__dict__", {}).values()


def _check(fitted: Fit) -> None:
    """Make again what compiled code goes through without a look, and refuse what leads out of its data."""
    folds: list[Any] = fitted.estimators_ if isinstance(fitted, CrossValuation) else [fitted]
    widths = {int(one.n_features_in_) for one in folds}
    if len(widths) != 1:
        raise FitError(_sentence("do not fit together"))
    n_features = widths.pop()
    found = list(_parts(fitted))
    try:
        unpack(found, n_features)
    except DamagedForestError as error:
        raise FitError(_sentence("hold indices out of range")) from error
    for part in found:
        if isinstance(part, _ESTIMATORS_OF_NEIGHBORS):
            _seek_anew(part)
        if hasattr(part, "n_jobs"):
            part.n_jobs = None
    for part in found:
        for kind, check in _CHECKS.items():
            if isinstance(part, kind) and not check(part, n_features):
                raise FitError(_sentence("hold indices out of range"))


def _seek_anew(model: Any) -> None:
    """Have scikit-learn make again what the search for neighbours goes through, from the same rows."""
    rows = vars(model).get("_fit_X")
    if rows is None:
        # Not fitted: without rows, a search through what the file holds ends in an error.
        return
    target: tuple[Any, ...] = ()
    if isinstance(model, KNeighborsClassifier):
        target = (model.classes_[model._y],)
    elif isinstance(model, KNeighborsRegressor):
        target = (model._y,)
    anew = type(model)(**model.get_params(deep=False)).set_params(n_jobs=None)
    model.__dict__ = anew.fit(rows, *target).__dict__


def _is_sound_forest(forest: Forest, _n_features: int) -> bool:
    trees = [tree.tree_.node_count for tree in forest._model.estimators_]
    offsets = np.array([0, *np.cumsum(trees)])
    return forest.n_trees == len(trees) and np.array_equal(forest._offsets, offsets)


def _is_sound_matrix(matrix: csr_matrix, _n_features: int) -> bool:
    try:
        matrix.check_format(full_check=True)
    except ValueError:
        return False
    return True


_CHECKS: dict[type, Callable[[Any, int], bool]] = {
    Forest: _is_sound_forest,
    csr_matrix: _is_sound_matrix,
}
