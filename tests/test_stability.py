"""Figures that repeats of a valuation give."""

from types import SimpleNamespace

import numpy as np
import pytest

from ecoval_core.evaluation.stability import stability_of


def known(*values):
    return SimpleNamespace(values_=np.array(values), standard_errors_=np.full(3, 0.1))


def test_known_values_give_known_figures():
    repeats = [known(-2.0, 0.0, 2.0), known(-2.0, 0.5, 3.0)]
    found = stability_of(repeats)
    assert found.rank_agreement == pytest.approx(1.0)
    assert found.seed_deviation == pytest.approx(np.std([0.0, 0.5], ddof=1))
    assert found.validation_error == pytest.approx(0.1)
    assert (found.n_below, found.n_above, found.n_rows, found.n_repeats) == (1, 1, 3, 2)
    assert stability_of([repeats[0], known(2.0, 0.0, -2.0)]).rank_agreement == pytest.approx(-1.0)
    assert stability_of([known(-0.02, 0.0, 0.02), known(-0.02, 0.005, 0.03)]).n_below == 0
