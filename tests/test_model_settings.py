"""Settings of models, and models of one's own, in app and command line."""

import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.base import BaseEstimator, ClassifierMixin

from ecoval_core import EcoVal
from ecoval_core.command_line import main
from ecoval_core.models.catalog import make_model, models_for


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=np.where(X[:, 0] > 0, "in", "out"))
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def value(table, *options):
    out = table.with_name("out.csv")
    arguments = ["value", str(table), "--target", "y", "--out", str(out), "--n-clusters", "4"]
    return CliRunner().invoke(main, [*arguments, *options]), out


def check_refused(table, said, *options):
    done, _ = value(table, *options)
    assert done.exit_code != 0
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_setting_reaches_the_model(table):
    values = []
    for options in ([], ["--set", "C=1.0"], ["--set", "C=0.001"]):
        done, out = value(table, *options)
        assert done.exit_code == 0, done.output
        values.append(pd.read_csv(out)["value"])
    assert values[0].equals(values[1])
    assert not np.allclose(values[1], values[2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "D=1"], "Model 'logistic_regression' has no setting 'D': choose from C."),
        (["--set", "C=-1"], "Setting 'C' of 'logistic_regression' is -1: give a number"),
        (["--set", "C"], "write name=value, such as C=0.1"),
        (["--set", "tol=no"], "The 'tol' parameter of LogisticRegression must be"),
        (["--model", "oracle"], "--model is 'oracle': for classification choose one of"),
    ],
)
def test_setting_or_model_that_is_not_there_is_refused_in_a_sentence(table, options, said):
    check_refused(table, said, *options)


def test_model_of_one_s_own_is_valued(table, monkeypatch):
    file = table.with_name("my_models.py")
    file.write_text(
        "from sklearn.ensemble import ExtraTreesClassifier as Trees\nMODELS = {'extra_trees': Trees(10)}"
    )
    monkeypatch.setenv("ECOVAL_MODELS", str(file))
    assert "extra_trees" in models_for("classification")
    assert "extra_trees" not in models_for("regression")
    done, _ = value(table, "--model", "extra_trees", "--set", "max_depth=3")
    assert done.exit_code == 0, done.output
    assert make_model("extra_trees", random_state=3).random_state == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "which does not exist"),
        ("MODELS = 1 / 0", "which stops with ZeroDivisionError"),
        ("MODEL = {}", "which holds no MODELS"),
        ("from sklearn.svm import SVC\nMODELS = {'svm': SVC}", "whose model 'svm' is neither"),
    ],
)
def test_bad_file_of_models_is_refused_in_a_sentence(table, monkeypatch, text, said):
    file = table.with_name("my_models.py")
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("ECOVAL_MODELS", str(file))
    check_refused(table, said)


class Warning_(ClassifierMixin, BaseEstimator):  # noqa: N801
    """A classifier that warns in each fit."""

    def fit(self, X, y):
        warnings.warn("as always", UserWarning, stacklevel=1)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.share_ = counts / len(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.share_.argmax()])


def test_estimator_that_warns_in_each_fit_warns_once():
    X = np.random.default_rng(0).normal(size=(40, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        EcoVal(Warning_(), n_clusters=5).fit(X, X[:, 0] > 0)
    assert [str(one.message) for one in caught].count("as always") == 1
