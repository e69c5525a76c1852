"""How numbers and ranks are written: significant digits, no power of ten, no negative zero."""

import re

import numpy as np
import pytest

from ecoval_core.text import known, number, rank_of


@pytest.mark.parametrize(
    ("amount", "options", "written"),
    [
        (-0.0, {"signed": True}, "0"),
        (0.000587, {"signed": True}, "+0.000587"),
        (-0.0129, {"signed": True}, "−0.0129"),
        (-0.0004, {"digits": 2}, "−0.00040"),
        (1.5, {}, "1.50"),
        (0.9996, {}, "1.00"),
        (-3.249, {"digits": 2, "signed": True}, "−3.2"),
        (34_123.0, {}, "34,123"),
        (2.5e7, {}, "25,000,000"),
        (1000.0, {"trim": True}, "1,000"),
        (0.5, {"digits": 6, "trim": True}, "0.5"),
        (float("-inf"), {}, "–"),
        (-3e-9, {"signed": True}, "−3.00e−09"),
    ],
)
def test_numbers_have_significant_digits_and_a_true_minus(amount, options, written):
    assert number(amount, **options) == written


def test_numbers_are_rounded_as_numpy_rounds_them():
    random = np.random.default_rng(0)
    for amount in random.normal(size=300) * 10.0 ** random.integers(-5, 3, 300):
        expected = np.format_float_positional(amount, 3, unique=False, fractional=False)
        assert float(number(amount).replace("−", "-").replace(",", "")) == float(expected)


@pytest.mark.parametrize("form", [".3f", "+.3f", ".0%", "+,.1f"])
@pytest.mark.parametrize("amount", [-0.0, -0.0004, 0.0004])
def test_what_is_rounded_to_nothing_has_no_sign(amount, form):
    assert re.fullmatch(r"0(\.0+)?%?", known(amount, form))


@pytest.mark.parametrize(
    ("n_below", "total", "written"),
    [
        (26, 1078, "27th lowest of 1,078"),
        (0, 5, "lowest of 5"),
        (1077, 1078, "highest of 1,078"),
        (1076, 1078, "2nd highest of 1,078"),
        (0, 1, "lowest of 1"),
    ],
)
def test_ranks_are_counted_from_the_nearer_end(n_below, total, written):
    assert rank_of(n_below, total) == written
