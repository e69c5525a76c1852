"""Values of a notebook become a run: the same numbers, and refits by the model that came with them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from ecoval_core import EcoVal, cross_value
from ecoval_core.evaluation.curves import STRATEGIES, removal_curves
from ecoval_core.evaluation.pruning import measure_effect
from ecoval_core.runs import archive
from ecoval_core.runs.given import take_values
from ecoval_core.runs.run import load_run
from ecoval_core.runs.tasks import Work
from ecoval_core.work import slow
from ecoval_core.workspace import history
from ecoval_core.workspace.workspace import Workspace

SPECIES = np.array(["setosa", "versicolor", "virginica"])


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace", tmp_path / "unused")


@pytest.fixture(scope="module")
def flowers():
    frame = load_iris(as_frame=True).frame.sample(frac=1, random_state=0, ignore_index=True)
    return frame.assign(target=SPECIES[frame["target"]])


def inputs(frame):
    return frame.drop(columns="target").to_numpy()


@pytest.fixture(scope="module")
def fitted(flowers):
    model = ExtraTreesClassifier(10, random_state=0)
    train, val = flowers[:80], flowers[80:110]
    return EcoVal(model, n_clusters=6, random_state=0).fit(
        inputs(train), train["target"], inputs(val), val["target"]
    )


def run_of(workspace, run_id):
    record = history.find_run(workspace, run_id)
    assert record.state == "done"
    return load_run(workspace, record.key, record.split, record.settings)


def do(workspace, task):
    work = Work(workspace, workspace.root, lambda _done, _total: None)
    return task.definition.function(work, **task.typed_arguments())


@pytest.mark.slow
def test_run_has_the_values_and_refits_the_model_that_came_with_them(workspace, flowers, fitted):
    train, test = flowers[:80], flowers[110:]
    run = run_of(workspace, take_values(workspace, fitted, train, "target", test, "iris"))
    for name in ("values_", "intrinsic_", "standard_errors_", "labels_", "suggested_labels_"):
        np.testing.assert_array_equal(getattr(run.ecoval, name), getattr(fitted, name))
    data = (inputs(train), train["target"].to_numpy(), inputs(test), test["target"].to_numpy())
    model = ExtraTreesClassifier(10, random_state=0)
    found = do(workspace, slow.effect(run.key, [3, 5]))
    keep = ~np.isin(np.arange(80), [3, 5])
    assert found == measure_effect(model, *data, keep, random_state=0)
    curves = do(workspace, slow.curves(run.key, weight=0.25)).frame
    expected = removal_curves(
        model, *data, fitted.values_, clusters=fitted.labels_, strategies=STRATEGIES,
        n_random=slow.N_RANDOM, random_state=0, every_measure=True,
    )  # fmt: skip
    np.testing.assert_array_equal(curves["score"], expected["score"])


def test_values_of_new_rows_are_those_of_the_notebook(workspace, flowers, fitted):
    run = run_of(workspace, take_values(workspace, fitted, flowers[:80], "target", None, "iris"))
    new = flowers[110:].reset_index(drop=True)
    workspace.save("ab" * 16, "frame", new)
    valued = do(workspace, slow.new_rows(run.key, "ab" * 16, "new", weight=0.25)).valued
    expected = fitted.value_samples(inputs(new), new["target"].to_numpy()).value
    np.testing.assert_array_equal(valued.sort_index()["value"], expected)


def test_model_that_selects_columns_by_name_values_new_rows_and_is_fitted_with_them(
    workspace, flowers
):
    frame = flowers.assign(size=np.where(flowers["petal length (cm)"] > 4.5, "large", "small"))
    columns = ["petal width (cm)", "size"]
    chosen = make_column_transformer(
        ("passthrough", columns[:1]), (OneHotEncoder(handle_unknown="ignore"), columns[1:])
    )
    model = make_pipeline(chosen, GaussianNB())
    train, val, test, new = frame[:30], frame[30:60], frame[60:100], frame[100:]
    ecoval = EcoVal(model, n_clusters=5, random_state=0).fit(
        train[columns], train["target"], val[columns], val["target"]
    )
    run = run_of(workspace, take_values(workspace, ecoval, train, "target", test, "iris"))
    workspace.save("ab" * 16, "frame", new.reset_index(drop=True))
    found = do(workspace, slow.acquisition(run.key, "ab" * 16, "new", weight=0.25))
    valued = do(workspace, slow.new_rows(run.key, "ab" * 16, "new", weight=0.25)).valued
    expected = ecoval.value_samples(new[columns], new["target"]).value
    np.testing.assert_array_equal(valued.sort_index()["value"], expected)
    both = pd.concat([train, new])
    expected = model.fit(both[columns], both["target"]).score(test[columns], test["target"])
    assert found.effect.of("accuracy").after == pytest.approx(expected)
    curve = found.curves.frame.query("measure == 'accuracy' and share == 1")
    assert curve["score"].tolist() == pytest.approx([expected] * len(curve))


def test_folds_come_with_their_own_targets_and_without_test_rows(workspace, flowers):
    ecoval = EcoVal(Ridge(), n_clusters=5, random_state=0)
    X, y = inputs(flowers)[:, :3], inputs(flowers)[:, 3]
    found = cross_value(ecoval, X, y, 5)
    frame = flowers[flowers.columns[:3]]
    run = run_of(workspace, take_values(workspace, found, frame, y, None, "petals"))
    np.testing.assert_array_equal(run.ecoval.values_, found.values_)
    assert run.table.target == "target"
    assert len(do(workspace, slow.baseline(run.key, "knn_shapley"))) == len(y)
    with pytest.raises(ValueError, match="came without test rows"):
        do(workspace, slow.effect(run.key, [1]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.drop(columns="petal width (cm)"), "fitted on 4 columns and .* 3"),
        (lambda frame: frame.assign(**{"petal width (cm)": "wide"}), "numbers and the frame holds"),
    ],
)
def test_frame_of_other_columns_shows_values_and_says_why_nothing_is_refitted(
    workspace, flowers, fitted, change, reason
):
    frame, test = change(flowers[:80]), change(flowers[110:])
    run = run_of(workspace, take_values(workspace, fitted, frame, "target", test, "iris"))
    np.testing.assert_array_equal(run.frame["value"], fitted.values_)
    with pytest.raises(ValueError, match=reason):
        do(workspace, slow.effect(run.key, [1]))


def test_exported_run_keeps_its_values_and_says_that_the_model_is_not_there(
    workspace, tmp_path, flowers, fitted
):
    run_id = take_values(workspace, fitted, flowers[:80], "target", flowers[110:], "iris")
    (tmp_path / "iris.ecoval").write_bytes(archive.export_run(workspace, run_id))
    other = Workspace(tmp_path / "other", tmp_path / "unused")
    run = run_of(other, archive.import_run(other, tmp_path / "iris.ecoval"))
    np.testing.assert_array_equal(run.ecoval.values_, fitted.values_)
    with pytest.raises(ValueError, match="an exported run comes without it"):
        do(other, slow.curves(run.key))


@pytest.mark.parametrize(
    ("frame", "target", "problem"),
    [
        (lambda f: f[:80][::-1], "target", "Cluster 0 holds rows of one class, and several"),
        (lambda f: f[:70], "target", "has 70 rows and 80 were valued"),
        (lambda f: f[:80], "species", "no column 'species' with the targets"),
        (lambda f: f[:80].replace("setosa", "iris"), "target", "'setosa' was valued, and no row"),
    ],
)
def test_frame_that_was_not_valued_is_refused(workspace, flowers, fitted, frame, target, problem):
    with pytest.raises(ValueError, match=problem):
        take_values(workspace, fitted, frame(flowers).reset_index(drop=True), target, None, "iris")
    assert history.list_runs(workspace) == []
