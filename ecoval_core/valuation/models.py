"""The models that the application and the command line offer, by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from ecoval_core.target_type import Task


@dataclass(frozen=True)
class Model:
    """A model on offer.

    Attributes
    ----------
    title : str
        Its name for people.
    classifier, regressor : type or None
        The scikit-learn class for each task, None where it has none.
    settings : dict
        Parameters other than scikit-learn's defaults.
    """

    title: str
    classifier: type | None
    regressor: type | None
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


def models_for(task: Task) -> dict[str, str]:
    """Keys and titles of the models that serve a task, the default first.

    Parameters
    ----------
    task : {"classification", "regression"}
        The task.

    Returns
    -------
    dict of str to str
        Title by key.
    """
    side = "classifier" if task == "classification" else "regressor"
    return {key: model.title for key, model in MODELS.items() if getattr(model, side)}


def make_model(key: str, task: Task = "classification", random_state: int | None = None) -> Any:
    """Make an unfitted model.

    Parameters
    ----------
    key : str
        Key of `MODELS`.
    task : {"classification", "regression"}, default="classification"
        The task.
    random_state : int or None, default=None
        Given to models that take one.

    Returns
    -------
    estimator
        A scikit-learn estimator.

    Raises
    ------
    ValueError
        If the key is unknown or has no model for the task; the message lists those that do.
    """
    if key not in models_for(task):
        raise ValueError(f"No model {key!r} for {task}; choose from {', '.join(models_for(task))}.")
    model = MODELS[key]
    kind = model.classifier if task == "classification" else model.regressor
    assert kind is not None  # noqa: S101 - models_for has just said so
    estimator = kind(**model.settings)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    return estimator
