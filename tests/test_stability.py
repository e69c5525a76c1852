from types import SimpleNamespace

import numpy as np
import pytest
from ecoval_core.workspace.stability import count_surely_harmful, repeat_run, stability_of

from ecoval_core.tables import load_sample
from ecoval_core.tables.prepare import prepare
from ecoval_core.valuation.planning import count_fits
from ecoval_core.workspace.runs import Settings, value_prepared


class Known(SimpleNamespace):
    def reweight(self, extrinsic_weight):
        return Known(
            values_=np.array(self.values_) * extrinsic_weight,
            standard_errors_=self.standard_errors_,
        )


def test_known_values_give_known_figures():
    errors = np.array([0.1, 0.1, 0.1])
    repeats = [
        Known(values_=[-2.0, 0.0, 2.0], standard_errors_=errors),
        Known(values_=[-2.0, 0.5, 3.0], standard_errors_=errors),
    ]
    found = stability_of(repeats, 1.0)
    assert found.rank_agreement == pytest.approx(1.0)
    assert found.seed_deviation == pytest.approx(np.std([0.0, 0.5], ddof=1))
    assert found.validation_error == pytest.approx(0.1)
    assert (found.n_below, found.n_above, found.n_rows, found.n_repeats) == (1, 1, 3, 2)
    reversed_ranks = [repeats[0], Known(values_=[2.0, 0.0, -2.0], standard_errors_=errors)]
    assert stability_of(reversed_ranks, 1.0).rank_agreement == pytest.approx(-1.0)
    assert stability_of(repeats, 0.01).n_below == 0


@pytest.mark.parametrize("every_row", [False, True])
def test_a_run_is_repeated_with_other_seeds(every_row):
    prepared = prepare(load_sample("wine"), noise=0.2)
    settings = Settings("naive_bayes", 6, "probability", every_row=every_row)
    run = value_prepared(prepared, settings)
    told = []
    repeats = repeat_run(run, 3, progress=lambda done, total: told.append((done, total)))
    fits = 3 * count_fits(settings.n_clusters, settings.n_folds)
    assert told == [(done, fits) for done in range(1, fits + 1)]
    found = stability_of(repeats, 0.5)
    assert found.n_rows == len(run.frame)
    assert 0.4 < found.rank_agreement < 1
    values = np.array([one.reweight(0.5).values_ for one in repeats])
    assert found.seed_deviation == pytest.approx(np.median(values.std(axis=0, ddof=1)))
    errors = [one.reweight(0.5).standard_errors_ for one in repeats]
    error = np.sqrt(values.var(axis=0, ddof=1) / 3 + np.mean(errors, axis=0) ** 2)
    sure = np.abs(values.mean(axis=0)) > 2 * error
    assert found.n_above + found.n_below == sure.sum() > 0


def test_clusters_are_surely_harmful_beyond_two_standard_errors():
    clusters = SimpleNamespace(
        cluster_values_=np.array([-0.3, -0.1, 0.0, 0.5]),
        cluster_standard_errors_=np.array([0.1, 0.1, 0.0, 0.1]),
    )
    assert count_surely_harmful(clusters) == 1
