"""Baselines, repeats and new rows of a run, as the tasks compute them."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from small_runs import open_table

from ecoval_core.evaluation.baselines import baseline_values, cross_baseline_values
from ecoval_core.runs.opened import save_frame, save_opened
from ecoval_core.runs.run import value_split, values_of
from ecoval_core.runs.stored_models import save_models
from ecoval_core.runs.tasks import TASKS, Work
from ecoval_core.tables import load_sample, make_table
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.work import slow
from ecoval_core.work.slow import N_REPEATS
from ecoval_core.workspace.schema import Settings
from ecoval_core.workspace.workspace import Workspace

SETTINGS = Settings(
    model="naive_bayes", n_clusters=8, scoring="probability", balanced=True, random_state=3
)


@pytest.fixture(scope="module")
def halves():
    """A table of half the penguins, and the frame of the other half."""
    frame = load_sample("penguins").frame.sample(frac=1, random_state=0).reset_index(drop=True)
    table = make_table(frame.iloc[:180], "half of the penguins", "species")
    return table, frame.iloc[180:].reset_index(drop=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    return Work(Workspace(folder, folder / "temporary"), folder, lambda done, total: None)


def keep(work, table, settings):
    """Keep a run with its values and its models, as a worker does."""
    run = value_split(open_table(table), settings)
    save_opened(work.workspace, run.opened)
    arguments = {"key": run.key, "split": run.opened.key, "settings": settings.dump()}
    work.workspace.save(run.key, "value", values_of(run.ecoval), arguments=arguments)
    save_models(work.workspace, run.key, run.ecoval)
    return run


@pytest.fixture(scope="module")
def run(work, halves):
    return keep(work, halves[0], SETTINGS)


@pytest.fixture(scope="module")
def folded(work, halves):
    return keep(work, halves[0], SETTINGS.replace(every_row=True))


def do(work, task):
    return TASKS[task.name].function(work, **task.typed_arguments())


def new_rows(work, run, frame, task=slow.new_rows, weight=0.25):
    digest = content_digest(frame)
    save_frame(work.workspace, frame, digest)
    return do(work, task(run.key, digest, "new.csv", weight=weight))


# --- Baselines and repeats -------------------------------------------------------------------


@pytest.mark.parametrize("key", ["leave_one_out", "self_confidence"])
def test_baseline_takes_rows_score_weights_and_seed_of_the_run(work, run, key):
    split = run.split
    expected = baseline_values(
        key, run.make_estimator(), split.X_train, split.y_train, split.X_val, split.y_val,
        scoring="probability", class_weight="balanced", random_state=3,
    )  # fmt: skip
    np.testing.assert_array_equal(do(work, slow.baseline(run.key, key)), expected)


def test_baseline_of_every_row_takes_the_folds_of_the_run(work, folded):
    assert isinstance(folded.ecoval, CrossValuation)
    expected = cross_baseline_values(
        "knn_shapley", folded.make_estimator(), folded.X, folded.y, folded.ecoval.fold_, random_state=3
    )  # fmt: skip
    np.testing.assert_array_equal(do(work, slow.baseline(folded.key, "knn_shapley")), expected)


@pytest.mark.parametrize("which", ["run", "folded"])
@pytest.mark.slow
def test_repeats_value_the_same_rows_with_other_seeds(work, which, request):
    run = request.getfixturevalue(which)
    repeats = [one.at(0.25).values_ for one in do(work, slow.repeats(run.key))]
    assert [len(values) for values in repeats] == [len(run.ids)] * N_REPEATS
    assert len({values.tobytes() for values in [*repeats, run.ecoval.values_]}) == N_REPEATS + 1


# --- A second file ---------------------------------------------------------------------------


def test_second_file_is_valued_at_the_weight_asked_for_where_labels_are_known(work, halves, run):
    frame = halves[1].copy()
    frame.loc[3, "species"] = None
    frame.loc[5, "species"] = "Emperor"
    found = new_rows(work, run, frame, weight=0.5)
    assert sorted(found.valued.index) == [row for row in range(len(frame)) if row not in (3, 5)]
    assert found.doubts.index.tolist() == [3]
    assert found.counts == {"n_rows": len(frame), "n_valued": len(frame) - 2, "n_unlabelled": 1}
    expected = frame["species"].drop([3, 5])
    assert found.valued["label"].sort_index().tolist() == expected.tolist()
    other = new_rows(work, run, frame, weight=0.25)
    np.testing.assert_allclose(found.valued["extrinsic"], 2 * other.valued["extrinsic"])


def test_file_without_labels_has_no_values_but_an_order(work, halves, run):
    found = new_rows(work, run, halves[1].drop(columns="species"))
    assert len(found.valued) == 0
    assert sorted(found.doubts["place"]) == list(range(1, len(halves[1]) + 1))


@pytest.mark.parametrize("which", ["run", "folded"])
def test_new_rows_join_all_rows_of_the_run(work, halves, which, request):
    run, frame = request.getfixturevalue(which), halves[1].iloc[:40]
    found = new_rows(work, run, frame, slow.acquisition)
    curves = found.curves.frame
    assert set(curves["strategy"]) == {"recommended", "value", "random"}
    main = curves[curves["measure"] == "balanced_accuracy"].set_index(["strategy", "share"])
    model, split = run.make_estimator(), run.split
    start = balanced_accuracy_score(split.y_test, model.fit(run.X, run.y).predict(split.X_test))
    assert main.loc[("recommended", 0.0), "score"] == pytest.approx(start)
    assert found.effect.main == "balanced_accuracy"
    assert found.effect.overall.before == pytest.approx(start)
    assert main.loc[("recommended", 1.0), "score"] == pytest.approx(found.effect.overall.after)


def test_work_on_what_is_gone_says_so(work, run):
    gone = "0" * 32
    for task in (slow.curves(gone), slow.umap(gone), slow.new_rows(run.key, gone, "new.csv")):
        with pytest.raises(ValueError, match=r"no longer in the workspace: .*\.$"):
            do(work, task)
