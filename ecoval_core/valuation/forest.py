"""The judging forest: what trees that never saw a row say of its label, and which rows share a leaf.

It is the third judge beside the neighbours and the model of the run, the one that stays good where the
model is poor, and its leaves are the neighbourhoods of the proximity kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from ecoval_core.valuation.scoring import Scale

# Twice as many raise the noise AUC of the label quality by at most 0.004 and double the cost.
N_TREES = 50
MIN_LEAF_ROWS = 5


class Forest:
    """A random forest fitted on the training rows, as judge and as a measure of proximity.

    Parameters
    ----------
    Z, codes : ndarray of shape (n_samples, n_features), (n_samples,)
        Training rows, standardised, with class indices or targets.
    scale : Scale
        Scale of the training target.
    rows : ndarray of int
        Rows to fit on.
    seed : int
        Seeds the trees.
    n_jobs : int or None, default=None
        Trees at once, on threads.

    Attributes
    ----------
    out_of_bag : ndarray of shape (n_samples, n_outputs)
        Class probabilities, or predicted targets, by the trees that did not see the row.
    n_trees : int
        Trees.
    """

    def __init__(
        self, Z: NDArray, codes: NDArray, scale: Scale, rows: NDArray, seed: int,
        n_jobs: int | None = None,
    ) -> None:  # fmt: skip
        self._scale = scale
        self.is_classifier = scale.task == "classification"
        settings: dict[str, Any] = {
            "n_estimators": N_TREES, "min_samples_leaf": MIN_LEAF_ROWS, "oob_score": True,
            "random_state": seed, "n_jobs": n_jobs,
        }  # fmt: skip
        self._model: Any
        if self.is_classifier:
            self._model, target = RandomForestClassifier(**settings), codes
        else:
            # A third of the columns at each split is the usual choice for regression.
            self._model = RandomForestRegressor(max_features=1 / 3, **settings)
            target = (codes - scale.prior[0]) / scale.deviation
        # To a cluster's backend every tree would be a task of its own.
        with parallel_config("threading"):
            self._model.fit(Z[rows], target[rows])
        # Threads add up the trees' outputs in any order, which changes the last bit.
        self._model.n_jobs = None
        self.n_trees = N_TREES
        offsets = [0, *np.cumsum([tree.tree_.node_count for tree in self._model.estimators_])]
        self._offsets = np.array(offsets)
        self.out_of_bag = self._judge_training(Z, rows)

    def _judge_training(self, Z: NDArray, rows: NDArray) -> NDArray[np.float64]:
        output = np.empty((len(Z), self._scale.n_classes))
        if self.is_classifier:
            output[rows] = self._aligned(self._model.oob_decision_function_)
        else:
            output[rows] = self._unscaled(self._model.oob_prediction_)
        unseen = np.setdiff1d(np.arange(len(Z)), rows)
        if len(unseen):
            output[unseen] = self.output(Z[unseen])
        return output

    def _aligned(self, probabilities: NDArray) -> NDArray[np.float64]:
        output = np.zeros((len(probabilities), self._scale.n_classes))
        output[:, self._model.classes_] = probabilities
        return output

    def _unscaled(self, predicted: NDArray) -> NDArray[np.float64]:
        return (predicted * self._scale.deviation + self._scale.prior[0])[:, None]

    def output(self, Z: NDArray) -> NDArray[np.float64]:
        """Judge unseen points by all trees.

        Parameters
        ----------
        Z : ndarray of shape (n_points, n_features)
            Points, standardised.

        Returns
        -------
        ndarray of shape (n_points, n_outputs)
            Class probabilities or predicted targets.
        """
        if self.is_classifier:
            return self._aligned(self._model.predict_proba(Z))
        return self._unscaled(self._model.predict(Z))

    def leaves(self, Z: NDArray) -> sparse.csr_matrix:
        """Mark the leaf into which each point falls in each tree.

        Parameters
        ----------
        Z : ndarray of shape (n_points, n_features)
            Points, standardised.

        Returns
        -------
        csr_matrix of shape (n_points, n_nodes)
            One 1 a tree and point; the product of two rows is the number of leaves that they share.
        """
        nodes = self._model.apply(Z) + self._offsets[:-1]
        ones = np.ones(nodes.size, dtype=np.float32)
        ends = np.arange(0, nodes.size + 1, self.n_trees)
        shape = (len(Z), int(self._offsets[-1]))
        return sparse.csr_matrix((ones, nodes.ravel(), ends), shape=shape)
