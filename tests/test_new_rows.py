"""Baselines and new rows of a run: what pages and tasks call."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ecoval_core.workspace.baselines import estimate_baseline, overlay_curves, value_by_baseline
from ecoval_core.workspace.new_rows import (
    addition_curves,
    addition_effect,
    rank_new_rows,
    read_new_rows,
    value_new_rows,
)
from ecoval_core.workspace.valuations import read_fit, write_valuation
from sklearn.metrics import balanced_accuracy_score

from ecoval_core.evaluation.baselines import BASELINES, baseline_values, cross_baseline_values
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.tables import load_sample, make_table, prepare
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.record import Valuation, findings_of
from ecoval_core.workspace.runs import Settings, value_prepared

SETTINGS = Settings("naive_bayes", 8, "probability", balanced=True, random_state=3)


@pytest.fixture(scope="module")
def halves():
    """A table of half the penguins, and the frame of the other half."""
    frame = load_sample("penguins").frame.sample(frac=1, random_state=0).reset_index(drop=True)
    table = make_table(frame.iloc[:180], "half of the penguins", "species")
    return table, frame.iloc[180:].reset_index(drop=True)


@pytest.fixture(scope="module")
def run(halves):
    return value_prepared(prepare(halves[0]), SETTINGS)


@pytest.fixture(scope="module")
def folded(halves):
    return value_prepared(prepare(halves[0]), replace(SETTINGS, every_row=True))


# --- Baselines of a run ----------------------------------------------------------------------


@pytest.mark.parametrize("key", BASELINES)
def test_a_baseline_takes_rows_score_weights_and_seed_of_the_run(run, key):
    data = run.prepared
    expected = baseline_values(
        key, run.make_estimator(), data.X_train, data.y_train, data.X_val, data.y_val,
        scoring="probability", class_weight="balanced", random_state=3,
    )  # fmt: skip
    np.testing.assert_array_equal(value_by_baseline(key, run), expected)


@pytest.mark.parametrize("key", ["knn_shapley", "self_confidence"])
def test_where_every_row_is_valued_its_folds_are_taken(folded, key):
    assert isinstance(folded.ecoval, CrossValuation)
    expected = cross_baseline_values(
        key, folded.make_estimator(), folded.X, folded.y, folded.ecoval.fold_, random_state=3
    )
    found = value_by_baseline(key, folded)
    assert found.shape == folded.ids.shape
    np.testing.assert_array_equal(found, expected)


def test_the_estimate_of_a_run_counts_its_folds(run, folded, monkeypatch):
    given = []

    def note(key, model, X, y, X_val, y_val, **settings):
        given.append((len(y), len(y_val), settings.get("n_folds", 1)))
        return 1.0

    monkeypatch.setattr("ecoval_core.workspace.baselines.estimate_baseline_seconds", note)
    estimate_baseline("leave_one_out", run)
    estimate_baseline("leave_one_out", folded)
    n_rows = len(folded.ids)
    n_held = int((folded.ecoval.fold_ == 0).sum())
    assert given == [
        (len(run.ids), len(run.prepared.y_val), 1),
        (n_rows - n_held, n_held, 5),
    ]


def test_overlaid_curves_are_those_of_the_run(run):
    values = {"run": run.ecoval.values_}
    curves = overlay_curves(run, values, n_random=1, strategies=("lowest",))
    data = run.prepared
    alone = removal_curves(
        run.make_estimator(), run.X, run.y, data.X_test, data.y_test, run.ecoval.values_,
        strategies=("lowest",), every_measure=True, random_state=3,
    )  # fmt: skip
    mine = curves[curves["method"] == "run"].drop(columns="method").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone)


# --- A second file ---------------------------------------------------------------------------


def test_a_second_file_is_valued_with_models_read_back(halves, run, tmp_path):
    write_valuation(run.ecoval, tmp_path)
    fit = read_fit(tmp_path).reweight(0.5)
    frame = halves[1].copy()
    frame.loc[3, "species"] = None
    frame.loc[5, "species"] = "Emperor"
    kept = replace(run.prepared, vectorizer=None)
    new = read_new_rows(kept, frame, "new.csv")
    assert new.X.shape == (len(frame), run.X.shape[1])
    found = value_new_rows(fit, new)
    usable = [i for i in range(len(frame)) if i not in (3, 5)]
    assert found.index.tolist() == usable
    expected = run.ecoval.reweight(0.5).value_samples(new.X[usable], new.y)
    np.testing.assert_allclose(found["value"], expected.value, rtol=1e-12)
    ranked = rank_new_rows(fit, new)
    assert ranked.index.tolist() == list(range(len(frame)))


def test_a_file_without_usable_labels_has_no_values_but_an_order(halves, run):
    new = read_new_rows(run.prepared, halves[1].drop(columns="species"))
    found = value_new_rows(run.ecoval, new)
    assert len(found) == 0
    assert "priority" in found
    assert len(rank_new_rows(run.ecoval, new)) == len(halves[1])


@pytest.mark.parametrize("which", ["run", "folded"])
def test_new_rows_join_all_rows_of_the_run(halves, which, request):
    run = request.getfixturevalue(which)
    new = read_new_rows(run.prepared, halves[1])
    found = value_new_rows(run.ecoval, new)
    curves = addition_curves(run, new, found, shares=(0.0, 0.5, 1.0), n_random=2)
    assert set(curves["strategy"]) == {"recommended", "value", "random"}
    of_main = curves[curves["measure"] == "balanced_accuracy"].set_index(["strategy", "share"])
    data, model = run.prepared, run.make_estimator()

    def score(rows):
        X, y = (
            np.concatenate([run.X, new.X[rows]]),
            np.concatenate([run.y, new.matched.labels[rows]]),
        )
        return balanced_accuracy_score(data.y_test, model.fit(X, y).predict(data.X_test))

    assert len(new.ids) == len(halves[1])
    everything = np.arange(len(new.ids))
    assert of_main.loc[("recommended", 0.0), "score"] == pytest.approx(score(everything[:0]))
    assert of_main.loc[("recommended", 1.0), "score"] == pytest.approx(score(everything))
    half = found.sort_values("place").index[: round(len(found) / 2)]
    assert of_main.loc[("recommended", 0.5), "score"] == pytest.approx(score(np.sort(half)))
    effect = addition_effect(run, new, half)
    assert effect.main == "balanced_accuracy"
    assert effect.overall.before == pytest.approx(score(everything[:0]))
    assert effect.overall.after == pytest.approx(score(np.sort(half)))


def test_only_the_rows_that_are_given_are_added(halves, run):
    new = read_new_rows(run.prepared, halves[1])
    found = value_new_rows(run.ecoval, new)
    some = found.iloc[::3]
    curves = addition_curves(run, new, some, shares=(1.0,), n_random=1)
    assert curves["n_added"].unique().tolist() == [len(some)]
    with pytest.raises(ValueError, match="There is no row to add"):
        addition_effect(run, new, [])


def test_values_without_models_say_so(halves, run):
    new = read_new_rows(run.prepared, halves[1])
    kept = Valuation(findings_of(run.ecoval), 0.25)
    with pytest.raises(ValueError, match="value the rows again"):
        value_new_rows(kept, new)
