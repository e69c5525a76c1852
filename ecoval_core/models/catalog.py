"""Models: those on offer, and how one is fitted: seeded, on one thread, warm where that is right."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from traceback import walk_tb
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from threadpoolctl import ThreadpoolController

from ecoval_core.models.model_settings import own_models
from ecoval_core.target_type import Task

# For forests and boosting `warm_start` means "add trees": with the same number of trees nothing is
# refitted and every effect is silently zero. Networks and SGD train on past f_D from where it stopped:
# measured on digits, every cluster of a network then looked harmful. Only a solution that has
# converged may be started from.
_WARM_STARTING = (LogisticRegression,)


@dataclass(frozen=True)
class Model:
    """A model on offer: its name for people, its class for each task, and settings beside the defaults."""

    title: str
    classifier: type | str | None  # a path is imported when the model is made
    regressor: type | str | None
    settings: dict[str, Any]


MODELS: dict[str, Model] = {
    "logistic_regression": Model(
        "Logistic regression", LogisticRegression, None, {"max_iter": 1000}
    ),
    "ridge": Model("Ridge regression", None, Ridge, {}),
    "random_forest": Model("Random forest", RandomForestClassifier, RandomForestRegressor, {}),
    "hist_gradient_boosting": Model(
        "Histogram gradient boosting",
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        {},
    ),
    "k_neighbors": Model("k nearest neighbours", KNeighborsClassifier, KNeighborsRegressor, {}),
    "naive_bayes": Model("Naive Bayes", GaussianNB, None, {}),
}
if find_spec("lightgbm"):
    MODELS["lightgbm"] = Model(
        "LightGBM", "lightgbm.LGBMClassifier", "lightgbm.LGBMRegressor",
        {"verbosity": -1, "n_jobs": 1},
    )  # fmt: skip
if find_spec("xgboost"):
    MODELS["xgboost"] = Model(
        "XGBoost", "xgboost.XGBClassifier", "xgboost.XGBRegressor", {"n_jobs": 1}
    )


def models_for(task: Task) -> dict[str, str]:
    """Keys and titles of the models that serve a task, the default first."""
    side = "classifier" if task == "classification" else "regressor"
    ours = {key: model.title for key, model in MODELS.items() if getattr(model, side)}
    serves = is_classifier if task == "classification" else is_regressor
    return ours | {key: key for key, model in own_models().items() if serves(model)}


def title_of(key: str) -> str:
    """Return the name of a model for people: the key itself where it is none of ours."""
    return MODELS[key].title if key in MODELS else key


def make_model(key: str, task: Task = "classification", random_state: int | None = None) -> Any:
    """Make an unfitted model; raise ValueError if the task has none of that key."""
    if key not in models_for(task):
        raise ValueError(f"No model {key!r} for {task}; choose from {', '.join(models_for(task))}.")
    if key in (own := own_models()):
        estimator = clone(own[key])
    else:
        model = MODELS[key]
        kind = model.classifier if task == "classification" else model.regressor
        assert kind is not None  # noqa: S101 - models_for has just said so
        if isinstance(kind, str):
            module, _, name = kind.partition(".")
            kind = getattr(import_module(module), name)
        estimator = kind(**model.settings)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    return estimator


class RefitError(ValueError):
    """The model could not be fitted on a part of the data; the message names the part."""


@lru_cache(maxsize=1)
def _threadpools(n_modules: int) -> ThreadpoolController:  # noqa: ARG001 - the cache's key
    # It knows the libraries loaded so far, and an import may load another; looking takes 1 ms.
    return ThreadpoolController()


def single_threaded() -> Any:
    """Return a context in which BLAS and OpenMP use one thread: two can make a fit 12 times slower."""
    return _threadpools(len(sys.modules)).limit(limits=1)


def _fill(estimator: Any, parameter: str, value: Any) -> Any:
    unset = {
        name: value
        for name, current in estimator.get_params().items()
        if name.split("__")[-1] == parameter and current is None
    }
    return estimator.set_params(**unset)


def seed_estimator(estimator: Any, seed: int) -> Any:
    """Clone with all unset random states seeded: refits share chance, an effect is the cluster's own."""
    return _fill(clone(estimator), "random_state", seed)


def weigh_classes(estimator: Any, class_weight: Any) -> Any:
    """Set every ``class_weight`` that is None, in place."""
    return _fill(estimator, "class_weight", class_weight)


def starts_from_solution(estimator: Any) -> bool:
    """Whether refits may start from a fitted model: a logistic regression that has converged."""
    last = _last_step(estimator)
    # LogisticRegressionCV is a LogisticRegression too, but begins its own search each time.
    can_start = isinstance(last, _WARM_STARTING) and "warm_start" in last.get_params(deep=False)
    return can_start and bool(np.max(last.n_iter_) < last.max_iter)


def name_of(estimator: Any) -> str:
    """Return the class of a model, or of a pipeline's last step, for an error message."""
    return type(_last_step(estimator)).__name__


def _last_step(estimator: Any) -> Any:
    if isinstance(estimator, Encoded):
        estimator = estimator.estimator
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


class Encoded(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted on 0..K-1 and answers in labels: not every library takes others."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: NDArray, **weights: Any) -> Encoded:
        """Fit on the codes of the labels that are there."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.model_ = clone(self.estimator)
        code_of = {label: code for code, label in enumerate(self.classes_.tolist())}
        for name, value in self.model_.get_params().items():
            if name.split("__")[-1] == "class_weight" and isinstance(value, dict):
                coded = {code_of[label]: w for label, w in value.items() if label in code_of}
                self.model_.set_params(**{name: coded})
        self.model_.fit(X, codes, **weights)
        return self

    def predict(self, X: Any) -> NDArray:
        """Predict labels."""
        return self.classes_[np.asarray(self.model_.predict(X), dtype=np.int64).ravel()]

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> NDArray:
        """Predict probabilities in the order of the labels."""
        return self.model_.predict_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))
    def decision_function(self, X: Any) -> NDArray:
        """Predict decision values in the order of the labels."""
        return self.model_.decision_function(X)


def _takes_any_label(estimator: Any) -> bool:
    parts = [estimator, *estimator.get_params().values()]
    return all(type(p).__module__.startswith("sklearn.") for p in parts if hasattr(p, "fit"))


def weight_arguments(estimator: Any, sample_weight: NDArray | None) -> dict[str, NDArray]:
    """Name the weights for `fit`: of a pipeline, for every step that takes them."""
    if sample_weight is None:
        return {}
    if sklearn.get_config()["enable_metadata_routing"]:
        return {"sample_weight": sample_weight}
    named = dict(_weighted(estimator))
    last = _last_step(estimator)
    if id(last) not in map(id, named.values()):
        raise ValueError(
            f"{name_of(estimator)} takes no sample weights: leave sample_weight out, or choose an "
            "estimator whose fit takes it."
        )
    return dict.fromkeys(named, sample_weight)


def _weighted(estimator: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            yield from _weighted(step, f"{prefix}{name}__")
    elif hasattr(estimator, "fit"):
        # Searches and other estimators of estimators pass on what they do not name.
        kinds = signature(estimator.fit).parameters
        if "sample_weight" in kinds or any(p.kind is p.VAR_KEYWORD for p in kinds.values()):
            yield f"{prefix}sample_weight", estimator


def failed_step(model: Any, error: Exception) -> str:
    """Name the model, and the step of a pipeline in which an error was raised, with its first line."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    step = ""
    if isinstance(model, Pipeline):
        kinds = {
            type(part): f" (step {name!r}, {type(part).__name__})" for name, part in model.steps
        }
        frames = (type(frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__))
        step = next((kinds[kind] for kind in frames if kind in kinds), "")
    return f"{step}: {reason}"


def fit_model(
    estimator: Any, X: Any, y: NDArray, where: str, *, start: Any = None,
    sample_weight: NDArray | None = None,
) -> Any:  # fmt: skip
    """Fit a clone, from `start` if that has converged; `where` describes the data for an error message."""
    labels = np.unique(y) if is_classifier(estimator) else None
    if labels is not None and len(labels) == 1:
        return DummyClassifier(strategy="prior").fit(X, y)
    warm = (
        start is not None
        and starts_from_solution(start)
        and (labels is None or np.array_equal(labels, start.classes_))
    )
    if warm:
        model = copy.deepcopy(start)
        _last_step(model).set_params(warm_start=True)
    else:
        model = clone(estimator)
    weights = weight_arguments(model, sample_weight)
    fitted = model
    if labels is not None and not _takes_any_label(model):
        is_coded = labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels)))
        fitted = model if is_coded else Encoded(model)
    try:
        return fitted.fit(X, y, **weights)
    except Exception as error:
        reason = failed_step(model, error)
        raise RefitError(f"{name_of(model)} could not be fitted {where}{reason}") from error
