"""Few settings of each model on offer, and models of one's own from the file that ECOVAL_MODELS names."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sklearn.base import is_classifier, is_regressor

VARIABLE = "ECOVAL_MODELS"


@dataclass(frozen=True)
class Setting:
    """A number that a model can be given: its name for people, default (None: no limit) and bounds."""

    title: str
    default: float | int | None
    least: float | int
    most: float | int


_TREES = Setting("Trees", 100, 1, 10_000)
_DEPTH = Setting("Maximum depth of a tree", None, 1, 1_000)
_RATE = Setting("Learning rate", 0.1, 1e-4, 1.0)
_PENALTY = Setting("Penalty on coefficients (alpha)", 1.0, 1e-9, 1e9)
SETTINGS: dict[str, dict[str, Setting]] = {
    "logistic_regression": {"C": Setting("C (smaller values regularize more)", 1.0, 1e-9, 1e9)},
    "ridge": {"alpha": _PENALTY},
    "random_forest": {"n_estimators": _TREES, "max_depth": _DEPTH},
    "hist_gradient_boosting": {"max_iter": _TREES, "learning_rate": _RATE, "max_depth": _DEPTH},
    "k_neighbors": {"n_neighbors": Setting("Neighbours", 5, 1, 10_000)},
    "naive_bayes": {"var_smoothing": Setting("Variance smoothing", 1e-9, 1e-15, 1.0)},
    "lightgbm": {"n_estimators": _TREES, "learning_rate": _RATE},
    "xgboost": {"n_estimators": _TREES, "learning_rate": _RATE, "max_depth": _DEPTH},
}


def own_models() -> Mapping[str, Any]:
    """Return the estimators of the file that ECOVAL_MODELS names, by key; none where it names no file."""
    path = os.environ.get(VARIABLE)
    return _read(path, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0) if path else {}


@lru_cache(maxsize=1)
def _read(path: str, changed: int) -> Mapping[str, Any]:  # noqa: ARG001 - the cache's key
    said = f"{VARIABLE} names the file {path!r}"
    if not Path(path).is_file():
        raise ValueError(f"{said}, which does not exist: give a Python file with MODELS = {{...}}.")
    try:
        made = runpy.run_path(path, run_name="ecoval_models")
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{said}, which stops with {type(error).__name__}: {reason}") from error
    models = made.get("MODELS")
    if not isinstance(models, dict) or not all(isinstance(key, str) for key in models):
        raise ValueError(f"{said}, which holds no MODELS = {{name: estimator}}: add that.")
    for key, model in models.items():
        if isinstance(model, type) or not (is_classifier(model) or is_regressor(model)):
            raise ValueError(
                f"{said}, whose model {key!r} is neither a classifier nor a regressor: give an unfitted "
                "estimator, such as ExtraTreesClassifier()."
            )
    return models


def read_parameters(given: tuple[str, ...]) -> dict[str, Any]:
    """Read ``name=value`` texts; numbers, true, false and null are such, anything else is a word."""
    found = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not (name and equals):
            raise ValueError(f"--set is {one!r}: write name=value, such as C=0.1.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = {"True": True, "False": False, "None": None}.get(text, text)
    return found


def check_parameters(key: str, model: Any, parameters: Mapping[str, Any]) -> Any:
    """Set parameters of an unfitted model, or say which it does not have, or cannot take."""
    known = model.get_params()
    on_offer = SETTINGS.get(key, {})
    for name, value in parameters.items():
        if name not in known:
            names = ", ".join(on_offer or sorted(known))
            raise ValueError(f"Model {key!r} has no setting {name!r}: choose from {names}.")
        if (one := on_offer.get(name)) is None or (value is None and one.default is None):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = isinstance(one.least, int)
        if not is_number or not one.least <= value <= one.most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise ValueError(
                f"Setting {name!r} of {key!r} is {value!r}: give {kind} from {one.least:g} to {one.most:g}."
            )
    model.set_params(**parameters)
    if parameters and hasattr(model, "_validate_params"):
        model._validate_params()
    return model
