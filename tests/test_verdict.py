"""The verdict: few false alarms on noise, planted harm found, and the measurement decides."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ecoval_core import EcoVal
from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.verdict import (
    Verdict,
    classes_too_rare,
    clearly_harmful,
    conclude,
    describe_effect,
)
from ecoval_core.models.catalog import make_model
from ecoval_core.tables import load_sample, prepare


def test_noise_is_called_harmful_in_at_most_one_table_of_twenty():
    random = np.random.default_rng(0)
    errors = random.uniform(0.1, 3, (1_000, 200))
    alarms = [clearly_harmful(random.normal(0, error), error).any() for error in errors]
    assert np.mean(alarms) <= 0.065
    # Two errors alone would name rows in nearly every table.
    assert np.mean([(random.normal(0, e) < -2 * e).any() for e in errors]) > 0.9


def test_correction_is_the_step_up_rule_of_benjamini_and_hochberg():
    random = np.random.default_rng(1)
    errors = np.ones(300)
    values = np.r_[random.normal(-3.2, 1, 60), random.normal(0, 1, 240)]
    p = np.sort(norm.cdf(values))
    n = np.flatnonzero(p <= 0.05 * np.arange(1, 301) / 300)[-1] + 1
    expected = (norm.cdf(values) <= p[n - 1]) & (values < -2)
    assert n > 10
    assert (clearly_harmful(values, errors) == expected).all()
    assert clearly_harmful([-1.0, np.nan, 0.0], [0.0, 1.0, 0.0]).tolist() == [True, False, False]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rows_made_wrong_are_found_and_none_is_where_nothing_is_wrong(noise):
    split = prepare(load_sample("digits"), noise=noise, random_state=0)
    model = make_model("logistic_regression", "classification", 0)
    found = EcoVal(model, random_state=0).fit(
        split.X_train, split.y_train, split.X_val, split.y_val
    )
    rows = split.ids_train[clearly_harmful(found.values_, found.standard_errors_)]
    # Of 108 wrong labels: the effect of a single row is seldom beyond its error.
    assert (len(rows) >= 3) == (noise > 0)
    assert np.isin(rows, split.flipped_ids).all()


def curves_of(lowest, n_random=10, spread=0.01):
    random = np.random.default_rng(2)
    steps = [("lowest", 0, share, score) for share, score in lowest.items()]
    steps += [
        ("random", i, share, 0.9 - 0.1 * share + (random.normal(0, spread) if share else 0))
        for i in range(n_random)
        for share in lowest
    ]
    curves = pd.DataFrame(steps, columns=["strategy", "repeat", "share", "score"])
    return curves.assign(measure="accuracy")


@pytest.mark.parametrize(
    ("lowest", "verdict", "words"),
    [
        ({0.0: 0.9, 0.1: 0.96, 0.2: 0.94}, "better", "best at 10%, +0.060"),
        ({0.0: 0.99, 0.1: 0.96, 0.2: 0.94}, "better", "no share removed raises the accuracy"),
        ({0.0: 0.9, 0.1: 0.891, 0.2: 0.879}, "alike", "no better than random here"),
        ({0.0: 0.9, 0.1: 0.7, 0.2: 0.6}, "worse", "worse than random here"),
    ],
)
def test_curve_concludes_whether_it_beats_random_orders(lowest, verdict, words):
    found = conclude(curves_of(lowest), "accuracy")
    assert found.verdict == verdict
    assert words in found.sentence


def test_curve_of_random_orders_rarely_beats_other_random_orders():
    random = np.random.default_rng(3)
    verdicts = []
    for _ in range(100):
        noise = curves_of({0.0: 0.9, 0.1: 0.0, 0.2: 0.0})
        noise["score"] = np.where(noise["share"] > 0, random.normal(0.8, 0.01, len(noise)), 0.9)
        verdicts.append(conclude(noise, "accuracy").verdict)
    assert verdicts.count("alike") >= 0.9 * len(verdicts)


def effect_of(low, high):
    after = 0.8 + (low + high) / 2
    auc = Change("roc_auc", 0.85, 0.85, -0.01, 0.01, 90)
    return Effect("accuracy", (auc, Change("accuracy", 0.8, after, low, high, 90)))


@pytest.mark.parametrize(
    ("harmful", "effect", "words"),
    [
        ((), effect_of(0, 0), "No row is clearly harmful by itself: do not prune unless the removal curve"),
        ((4, 2), effect_of(0.01, 0.03), "Prune the 2 clearly harmful rows: the accuracy changes by +0.020"),
        ((4, 2), effect_of(-0.01, 0.02), "Look at the 2 rows that the values call harmful before you"),
        ((4, 2), effect_of(-0.03, -0.01), "Do not prune: the values call 2 rows harmful, but the model me"),
        ((4,), None, "Measure what removing the clearly harmful row does"),
    ],
)  # fmt: skip
def test_advice_follows_the_measurement(harmful, effect, words):
    verdict = Verdict(500, harmful, 37, "label", {"z": (1, 0)}, effect=effect)
    assert verdict.advice().startswith(words)
    told = " ".join(verdict.evidence())
    assert "Too rare to judge: z (1 row, 0 in the test part)." in told
    scores = "On 90 test rows the model reaches accuracy 0.800 and ROC AUC 0.850."
    assert (scores in told) == (effect is not None)
    is_unconfirmed = bool(harmful) and words.startswith(("Look", "Do not"))
    assert ("The test rows do not confirm it." in verdict.harm()) == is_unconfirmed


@pytest.mark.parametrize(
    ("top", "words"), [(0.96, "but the removal curve gains"), (0.88, "do not prune.")]
)
def test_without_harmful_rows_the_curve_decides(top, words):
    found = conclude(curves_of({0.0: 0.9, 0.1: top, 0.2: top}), "accuracy")
    assert words in Verdict(500, (), 0, "label", {}, removal=found).advice()
    unclear = Verdict(500, (4,), 0, "label", {}, effect=effect_of(-0.01, 0.02), removal=found)
    assert ("The removal curve gains" in unclear.advice()) == (top > 0.9)


def test_values_that_are_not_reliable_lead_to_no_advice_to_prune():
    verdict = Verdict(500, (1, 2), 3, "label", {}, is_reliable=False)
    assert verdict.advice() == "These values are not reliable: neither prune nor relabel by them."
    assert verdict.is_against_pruning
    assert [
        Verdict(500, (1,), 0, "label", {}, effect=effect_of(*ends)).is_against_pruning
        for ends in ((-0.03, -0.01), (-0.01, 0.02), (0.01, 0.03))
    ] == [True, False, False]


def test_classes_with_few_valued_or_test_rows_are_too_rare_to_judge():
    valued = pd.Series([*"aaaaaaaa", *"bbbbbbbb", "c"])
    assert classes_too_rare(valued, [*"aaaaabb"]) == {"b": (8, 2), "c": (1, 0)}


@pytest.mark.parametrize(
    ("overall", "of_class", "told"),
    [
        ((-0.2, -0.05), (-0.6, -0.2), ("Worse", "the recall of 'x<y' falls (0.900 before")),
        ((0.01, 0.03), (-0.6, -0.2), ("Worse", "the recall of 'x<y' falls (0.900 before")),
        ((-0.2, -0.05), (-0.1, 0.1), ("Worse", "the accuracy falls")),
        ((0.05, 0.2), (-0.2, 0.1), ("Better", "the accuracy rises")),
        ((0.05, 0.2), (0, 0), ("Better", "No class gets worse.")),
        ((-0.1, 0.2), (-0.2, 0.1), ("No clear difference", "in the accuracy")),
    ],
)
def test_effect_is_told_of_the_class_that_is_hit_worst(overall, of_class, told):
    hit = Change("recall: x<y", 0.9, 0.9 + sum(of_class) / 2, *of_class, 30)
    word, sentence = describe_effect(Effect("accuracy", (*effect_of(*overall).changes, hit)), repr)
    assert word == told[0]
    assert told[1] in sentence
