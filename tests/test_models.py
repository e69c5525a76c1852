"""Models that a workspace keeps, or fits again: new rows are valued to the same bits."""

import numpy as np
import pytest
from small_runs import open_table
from test_archive import open_run
from test_results import same

from ecoval_core.models.catalog import models_for
from ecoval_core.runs import archive, stored_models, tasks
from ecoval_core.runs.opened import save_frame, save_opened
from ecoval_core.runs.tasks import Work
from ecoval_core.tables import load_sample, make_table
from ecoval_core.work import slow
from ecoval_core.work.slow import NewRows, perform
from ecoval_core.workspace import history, workspace
from ecoval_core.workspace.schema import RunSpec, Settings, key_of
from ecoval_core.workspace.workspace import Workspace

# A tenth of their trees, as each is refitted for every cluster and fold.
FEWER = {"random_forest": {"n_estimators": 10}, "hist_gradient_boosting": {"max_iter": 10}}
CASES = [
    *(("classification", model) for model in models_for("classification")),
    ("regression", "ridge"),
]


def value(here, task, model, **more):
    """Have a run valued as a worker does, and return its id."""
    sample = load_sample("wine")
    table = (
        sample if task == "classification" else make_table(sample.frame, "wine", "alcohol", task)
    )
    opened = open_table(table)
    scoring = "probability" if task == "classification" else "squared_error"
    settings = Settings(
        model=model, n_clusters=4, scoring=scoring, parameters=FEWER.get(model, {}), **more
    )
    save_opened(here, opened)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    run = history.start_run(here, spec)
    do(here, slow.value_run(history.find_run(here, run)))
    return run


def do(here, task):
    context = {"root": str(here.root), "temporary": str(here.temporary), "uploads": ""}
    return perform(task.name, task.arguments, context, lambda done, total: None)


def check_models(here, run, monkeypatch):
    """Check that models that were kept value unseen rows as the same ones fitted again."""
    opened = open_run(here, run)
    X, y = opened.split.X_test, opened.split.y_test
    work = Work(here, here.root, lambda done, total: None)
    assert here.result(key_of("models", opened.key)) is not None
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "fit_values", lambda *_, **__: pytest.fail("fitted again"))
        read = work.fitted(opened)
    here.stores()[0].remove(key_of("models", opened.key))
    workspace.forget()
    made = work.fitted(opened)
    one, other = read.value_samples(X, y), made.value_samples(X, y)
    assert all(same(np.asarray(one[name]), np.asarray(other[name])) for name in one)
    assert same(np.asarray(made.values_), np.asarray(opened.ecoval.values_))


@pytest.fixture
def here(tmp_path):
    return Workspace(tmp_path, tmp_path / "temporary")


@pytest.mark.parametrize(("task", "model"), CASES)
@pytest.mark.slow
def test_kept_models_value_new_rows_as_those_fitted_again(task, model, here, monkeypatch):
    check_models(here, value(here, task, model), monkeypatch)


def test_kept_models_of_every_fold_value_new_rows_as_those_fitted_again(here, monkeypatch):
    run = value(here, "classification", "naive_bayes", every_row=True, balanced=True)
    check_models(here, run, monkeypatch)


@pytest.mark.parametrize("why", ["too large", "unreadable"])
def test_models_that_are_not_kept_are_fitted_again(why, here, monkeypatch):
    if why == "too large":
        monkeypatch.setattr(stored_models, "MAX_MODEL_BYTES", 10)
    run = open_run(here, value(here, "classification", "naive_bayes"))
    key = key_of("models", run.key)
    assert (here.result(key) is None) == (why == "too large")
    if why == "unreadable":
        here.save(key, "models", np.zeros(9, np.uint8))
    workspace.forget()
    fitted = Work(here, here.root, lambda done, total: None).fitted(run)
    assert same(fitted.values_, run.ecoval.values_)


def test_new_rows_after_an_import_are_valued_to_the_same_bits(tmp_path):
    here, there = (Workspace(tmp_path / name, tmp_path / f"{name}-t") for name in ("a", "b"))
    run = value(here, "classification", "logistic_regression")
    (tmp_path / "run.ecoval").write_bytes(archive.export_run(here, run))
    imported = archive.import_run(there, tmp_path / "run.ecoval")
    found = []
    for place, run_id in ((here, run), (there, imported)):
        workspace.forget()
        record = history.find_run(place, run_id)
        frame = load_sample("wine").frame.iloc[::3].reset_index(drop=True)
        save_frame(place, frame, "0" * 32)
        task = slow.new_rows(record.key, "0" * 32, "new.csv", weight=0.25)
        do(place, task)
        found.append(place.load(task.key, NewRows))
    assert len(found[0].valued) == 60
    assert same(*found)
