"""Any estimator on any rows that it can fit: frames, texts, missing values, weights, groups."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from ecoval_core import EcoVal, RefitError, cross_value
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.evaluation.pruning import measure_effect
from ecoval_core.valuation.problem import make_problem
from ecoval_core.valuation.refitting import leave_clusters_out

random = np.random.default_rng(0)
Y = np.repeat([0, 1], 40)
X = random.normal(size=(80, 3)) + Y[:, None]
HOLES = np.where(random.random(X.shape) < 0.1, np.nan, X)
FRAME = pd.DataFrame({"size": X[:, 0], "kind": np.where(X[:, 1] > 0.5, "round", "flat")})
TEXTS = [f"{'good' if y else 'poor'} thing {i % 7}" for i, y in enumerate(Y)]
BY_NAME = make_column_transformer(
    (StandardScaler(), ["size"]), (OneHotEncoder(handle_unknown="ignore"), ["kind"])
)


@pytest.mark.parametrize(
    ("rows", "estimator"),
    [
        (HOLES, make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())),
        (HOLES, HistGradientBoostingClassifier(min_samples_leaf=5)),
        (HOLES, None),
        (FRAME, make_pipeline(BY_NAME, LogisticRegression())),
        (FRAME, None),
        (sparse.csr_array(X), LogisticRegression()),
        (TEXTS, make_pipeline(TfidfVectorizer(), LogisticRegression())),
        (X.reshape(80, 3, 1), make_pipeline(FunctionTransformer(np.squeeze), GaussianNB())),
    ],
    ids=["imputed", "boosted", "holes", "columns by name", "frame", "sparse", "texts", "images"],
)
def test_rows_reach_the_estimator_as_they_were_given(rows, estimator):
    found = EcoVal(estimator, n_clusters=6, random_state=0).fit(rows, Y)
    valued = ~np.isnan(found.values_)
    assert valued.sum() == 64
    assert found.values_[valued].sum() == pytest.approx(found.surplus_)
    assert found.surplus_ > 0.1
    some = rows.iloc[:9] if isinstance(rows, pd.DataFrame) else rows[:9]
    assert np.isfinite(found.value_samples(some, Y[:9]).value).all()


def test_curves_and_effects_of_a_frame_fit_what_is_left_of_it():
    model = make_pipeline(BY_NAME, LogisticRegression())
    curves = removal_curves(model, FRAME, Y, FRAME, Y, np.arange(80.0), strategies=["highest"])
    accuracy = [
        model.fit(FRAME.iloc[:n], Y[:n]).score(FRAME, Y) for n in (80 - curves["n_removed"])
        if len(np.unique(Y[:n])) > 1
    ]  # fmt: skip
    assert curves["score"].dropna().tolist() == pytest.approx(accuracy)
    keep = np.arange(80) % 4 > 0
    effect = measure_effect(model, FRAME, Y, FRAME, Y, keep)
    assert effect.overall.after == pytest.approx(model.fit(FRAME[keep], Y[keep]).score(FRAME, Y))


def test_distances_are_of_the_representation_alone():
    shuffled = random.permutation(X)
    as_given = EcoVal(n_clusters=8, random_state=0).fit(X, Y, X, Y)
    other = EcoVal(n_clusters=8, random_state=0).fit(
        shuffled, Y, shuffled, Y, representation=X, representation_val=X
    )
    assert np.array_equal(other.labels_, as_given.labels_)
    assert other.surplus_ != as_given.surplus_
    with pytest.raises(ValueError, match="need their representation too"):
        other.value_samples(shuffled, Y)


@pytest.mark.parametrize(
    ("library", "kind", "settings"),
    [("xgboost", "XGBClassifier", {}), ("lightgbm", "LGBMClassifier", {"verbosity": -1})],
)
@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.array(["a", "b", "c"])], ids=str)
def test_a_class_missing_from_a_fit_has_probability_zero(labels, library, kind, settings):
    module = pytest.importorskip(library)
    y = np.repeat([0, 1, 2], [60, 6, 60])
    rows = np.random.default_rng(0).normal(size=(126, 3)) + y[:, None]
    model = getattr(module, kind)(n_estimators=5, **settings)
    found = EcoVal(model, n_clusters=3, random_state=0).fit(
        rows, labels[y], rows[::3], labels[y][::3]
    )
    assert found.n_clusters_ == 3
    assert set(found.estimator_.predict(rows)) <= set(labels)
    problem = make_problem(model, rows, labels[y], rows, labels[y], labels)
    assert (leave_clusters_out(problem, y).output_val[1][:, 1] == 0).all()


@pytest.mark.parametrize("model", [LogisticRegression(tol=1e-8), Ridge(), GaussianNB()], ids=str)
def test_integer_weights_equal_repeated_rows(model):
    weights = np.random.default_rng(1).integers(1, 4, size=80)
    clusters, once, often = np.arange(80) % 5, np.arange(80), np.repeat(np.arange(80), weights)
    y, classes, class_weight = Y, np.array([0, 1]), {0: 1, 1: 3}
    if isinstance(model, Ridge):
        y, classes, class_weight = Y + X[:, 0], None, None

    def effects(rows, **weighted):
        problem = make_problem(
            make_pipeline(StandardScaler(), model), X[rows], y[rows], X[rows], y[rows], classes,
            class_weight=class_weight, **weighted,
        )  # fmt: skip
        left_out = leave_clusters_out(problem, clusters[rows])
        return (left_out.effects * problem.row_weights).mean(axis=1)

    given = dict.fromkeys(["sample_weight", "sample_weight_val"], weights.astype(float))
    np.testing.assert_allclose(effects(once, **given), effects(often), atol=1e-4)


def test_a_row_of_weight_zero_is_worth_nothing():
    weights = np.ones(80)
    weights[::9] = 0
    found = EcoVal(n_clusters=6, random_state=0).fit(X, Y, X, Y, sample_weight=weights)
    assert (found.values_[::9] == 0).all()
    assert found.values_.sum() == pytest.approx(found.surplus_)


@pytest.mark.parametrize("model", [LogisticRegression(), GaussianNB()], ids=str)
def test_rows_of_a_class_that_weighs_nothing_are_worth_nothing(model):
    y = np.where(np.arange(len(Y)) % 5 == 0, 2, Y)
    found = EcoVal(model, random_state=0).fit(X, y, X, y, sample_weight=(y != 2).astype(float))
    assert (found.values_[y == 2] == 0).all()
    assert (found.values_[y != 2] != 0).any()


def test_an_estimator_that_takes_no_weights_is_named():
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample weights"):
        EcoVal(KNeighborsClassifier()).fit(X, Y, sample_weight=np.ones(80))


@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=str)
def test_rows_of_a_group_stand_on_one_side(cv):
    groups = np.arange(80) % 10
    found = cross_value(EcoVal(n_clusters=4, random_state=0), X, Y, cv, groups=groups)
    for rows, fold in zip(found.trained_, range(10), strict=False):
        held = groups[found.fold_ == fold]
        assert len(held)
        assert not np.isin(groups[rows], held).any()


@pytest.mark.parametrize(
    ("rows", "model"),
    [
        (X, make_pipeline(StandardScaler(), LogisticRegression())),
        (X, make_pipeline(StandardScaler(), KNeighborsClassifier())),
        (HOLES, None),
    ],
    ids=["logistic", "neighbors", "holes"],
)
def test_transformers_that_put_out_frames_give_the_same_values(rows, model):
    ecoval = EcoVal(model, n_clusters=6, random_state=0)
    plain = ecoval.fit(rows, Y).values_
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_allclose(ecoval.fit(rows, Y).values_, plain, atol=1e-12)


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: EcoVal(KMeans(2)).fit(X, Y), "KMeans is a clusterer"),
        (lambda: EcoVal().fit(np.array([["2020-01-01"]] * 9, "M8[D]"), Y[:9]), "X holds dates"),
        (lambda: cross_value(GaussianNB(), X, Y), "EcoVal first, but this is GaussianNB"),
        (
            lambda: EcoVal(make_pipeline(SimpleImputer(), GaussianNB())).fit(FRAME, Y),
            "step 'simpleimputer', SimpleImputer",
        ),
        (lambda: EcoVal(GaussianNB()).fit(HOLES, Y), "GaussianNB could not be fitted .*NaN"),
    ],
)
def test_what_cannot_be_valued_gets_a_sentence(act, sentence):
    with pytest.raises((ValueError, TypeError, RefitError), match=sentence):
        act()
