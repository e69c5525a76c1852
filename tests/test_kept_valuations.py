"""Valuations on disk: every number comes back to the last bit at every extrinsic weight, the models too."""

import numpy as np
import pandas as pd
import pytest
from ecoval_core.workspace.valuations import FIT, read_fit, read_valuation, write_valuation
from sklearn.model_selection import KFold, ShuffleSplit
from small_runs import drawn_valuation, prepared_table

from ecoval_core import EcoVal, cross_value
from ecoval_core.tables import load_sample, make_table, prepare
from ecoval_core.valuation.models import MODELS, models_for
from ecoval_core.valuation.record import Valuation, findings_of
from ecoval_core.workspace.runs import Run, Settings, value_prepared

WEIGHTS = (0.0, 0.25, 0.7, 3.0)
FOUND = [
    "values_", "intrinsic_", "extrinsic_", "standard_errors_", "quality_", "label_quality_", "raw_extrinsic_",
    "judged_", "suggested_labels_", "labels_", "cluster_values_", "cluster_standard_errors_", "n_clusters_",
    "surplus_", "surplus_standard_error_", "full_score_", "prior_score_", "returns_to_scale_",
    "intrinsic_share_", "reliable_", "scoring_", "task_",
]  # fmt: skip


def same(one, other):
    if isinstance(one, np.ndarray) and one.dtype != object:
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, np.ndarray):
        return other.dtype == object and one.tolist() == other.tolist()
    return one == other or (one != one and other != other)


def check_same(kept, fitted, names=FOUND):
    for weight in WEIGHTS:
        one, other = kept.reweight(weight), fitted.reweight(weight)
        assert [name for name in names if not same(getattr(one, name), getattr(other, name))] == []
    assert [name for name in names if not same(getattr(kept, name), getattr(fitted, name))] == []


def keep(fitted, folder):
    folder.mkdir(exist_ok=True)
    write_valuation(fitted, folder)
    return read_valuation(folder)


def table_of(target):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(90, 4)), columns=list("abcd"))
    signal = frame["a"] + 0.3 * random.normal(size=90)
    targets = {
        "text": np.where(signal > 0.4, "naïve", np.where(signal > -0.4, "b", "longer label")),
        "int": np.where(signal > 0.4, 7, np.where(signal > -0.4, -1, 3)),
        "bool": signal > 0,
        "float": signal * 1e-7 + 1e9,
    }
    return make_table(frame.assign(y=targets[target]), target, "y")


@pytest.mark.parametrize("every_row", [False, True], ids=["training rows", "every row"])
@pytest.mark.parametrize("target", ["text", "int", "bool", "float"])
def test_what_a_run_found_comes_back(target, every_row, tmp_path):
    table = table_of(target)
    prepared = prepare(table, noise=0.1)
    is_amount = table.task == "regression"
    settings = Settings(
        "ridge" if is_amount else "logistic_regression", 8,
        "squared_error" if is_amount else "probability", every_row=every_row, balanced=not is_amount,
    )  # fmt: skip
    run = value_prepared(prepared, settings)
    kept = keep(run.ecoval, tmp_path / "v")
    check_same(kept, run.ecoval)
    if not every_row and not is_amount:
        assert same(kept.classes_, run.ecoval.classes_)
    again = Run(prepared, settings, kept)
    pd.testing.assert_frame_equal(again.frame, run.frame, check_exact=True)
    pd.testing.assert_frame_equal(again.clusters, run.clusters, check_exact=True)


def test_rows_that_were_set_aside_come_back_without_values(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(80, 3)), np.arange(80) % 2
    fitted = EcoVal(n_clusters=6, random_state=0).fit(X, y)
    assert np.isnan(fitted.judged_).any()
    assert np.isnan(fitted.values_).any()
    check_same(keep(fitted, tmp_path / "v"), fitted)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "a"], dtype=object), np.array([1, 0], dtype=np.uint8), np.array([2.0, -1.0]),
        np.array(["a", "a much longer one"]),
    ],
    ids=["objects", "bytes", "floats", "text"],
)  # fmt: skip
def test_labels_keep_their_type(labels, tmp_path):
    X, y = np.random.default_rng(0).normal(size=(60, 3)), labels[np.arange(60) % 2]
    fitted = EcoVal(n_clusters=4, random_state=0, task="classification").fit(X, y, X[:20], y[:20])
    kept = keep(fitted, tmp_path / "v")
    check_same(kept, fitted)
    assert same(kept.classes_, fitted.classes_)


@pytest.mark.parametrize("cv", [KFold(3), ShuffleSplit(3, random_state=0)], ids=["folds", "draws"])
def test_folds_of_any_kind_come_back_with_their_rows(cv, tmp_path):
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    fitted = cross_value(EcoVal(n_clusters=4, random_state=0), X, y, cv)
    kept = keep(fitted, tmp_path / "v")
    check_same(kept, fitted)
    assert same(kept.fold_, fitted.fold_)
    assert all(map(same, kept.trained_, fitted.trained_))


def test_a_valuation_read_back_can_be_kept_again(tmp_path):
    first = drawn_valuation(prepared_table())
    second = keep(keep(first, tmp_path / "a"), tmp_path / "b")
    check_same(second, first)
    assert not (tmp_path / "b" / FIT).exists()


def test_a_valuation_at_another_weight_is_kept_at_that_weight(tmp_path):
    kept = keep(drawn_valuation(prepared_table()).reweight(0.9), tmp_path / "v")
    assert kept.extrinsic_weight == 0.9


def test_a_surplus_that_is_no_number_comes_back(tmp_path):
    found = drawn_valuation(prepared_table()).findings
    changed = {**vars(found), "full_score": float("nan"), "surplus_standard_error": float("inf")}
    kept = keep(Valuation(type(found)(**changed), 0.25), tmp_path / "v")
    assert np.isnan(kept.full_score_)
    assert np.isinf(kept.surplus_standard_error_)


# --- Models ----------------------------------------------------------------------------------

_CASES = [(task, model) for task in ("classification", "regression") for model in models_for(task)]


def valued(task, model, every_row=False, **settings):
    sample = load_sample("wine")
    table = (
        sample if task == "classification" else make_table(sample.frame, "wine", "alcohol", task)
    )
    prepared = prepare(table)
    scoring = "probability" if task == "classification" else "squared_error"
    run = value_prepared(prepared, Settings(model, 5, scoring, every_row=every_row, **settings))
    return prepared, run.ecoval


def check_models(fitted, folder, X, y):
    folder.mkdir()
    write_valuation(fitted, folder)
    kept = read_fit(folder)
    assert type(kept) is type(fitted)
    check_same(kept, fitted)
    wanted, found = fitted.value_samples(X, y), kept.value_samples(X, y)
    assert [name for name in wanted if not same(wanted[name], found[name])] == []
    return kept


@pytest.mark.parametrize(("task", "model"), _CASES)
def test_models_come_back_and_value_unseen_rows_to_the_last_bit(task, model, tmp_path):
    prepared, fitted = valued(task, model)
    assert fitted._attribution.refits.models is not None
    check_models(fitted, tmp_path / "v", prepared.X_test, prepared.y_test)


def test_the_models_of_every_fold_come_back(tmp_path):
    prepared, fitted = valued("classification", "random_forest", every_row=True)
    check_models(fitted, tmp_path / "v", prepared.X_test, prepared.y_test)


def test_models_with_balanced_classes_come_back(tmp_path):
    prepared, fitted = valued("classification", "hist_gradient_boosting", balanced=True)
    check_models(fitted, tmp_path / "v", prepared.X_test, prepared.y_test)


@pytest.mark.parametrize("target", ["text", "int", "bool"])
def test_models_of_labels_of_each_kind_come_back(target, tmp_path):
    prepared = prepare(table_of(target))
    for model in ("k_neighbors", "hist_gradient_boosting"):
        run = value_prepared(prepared, Settings(model, 4, "probability"))
        check_models(run.ecoval, tmp_path / model, prepared.X_test, prepared.y_test)


def test_the_default_model_behind_a_scaler_comes_back(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(80, 3)), np.arange(80) % 3
    fitted = EcoVal(n_clusters=6, random_state=0, n_jobs=2).fit(X, y)
    check_models(fitted, tmp_path / "v", X[:10], y[:10])


def test_a_fit_is_as_it_was_after_it_was_written(tmp_path):
    prepared, fitted = valued("classification", "random_forest")
    before = fitted.value_samples(prepared.X_test, prepared.y_test).value
    write_valuation(fitted, tmp_path)
    assert len(fitted.estimator_.estimators_) == 100
    after = fitted.value_samples(prepared.X_test, prepared.y_test).value
    assert before.tobytes() == after.tobytes()


def test_a_model_that_is_not_ours_is_left_out_and_the_values_are_kept(tmp_path):
    from sklearn.svm import SVC

    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    fitted = EcoVal(SVC(), n_clusters=4, random_state=0).fit(X, y)
    check_same(keep(fitted, tmp_path / "v"), fitted)
    assert read_fit(tmp_path / "v") is None


def test_models_that_are_too_large_are_left_out(tmp_path, monkeypatch):
    from ecoval_core.workspace import fits

    _, fitted = valued("classification", "logistic_regression")
    monkeypatch.setattr(fits, "MAX_FIT_BYTES", 10_000)
    check_same(keep(fitted, tmp_path / "v"), fitted)
    assert read_fit(tmp_path / "v") is None


def test_every_model_on_offer_is_among_the_cases():
    assert {model for _, model in _CASES} == set(MODELS)


def test_findings_are_the_same_object_for_estimator_and_valuation():
    _, fitted = valued("classification", "naive_bayes")
    assert findings_of(fitted) is fitted.findings_
    assert findings_of(Valuation(fitted.findings_, 0.1)) is fitted.findings_
