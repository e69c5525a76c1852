"""The unit of values, one for screen, downloads and report: per mille of the surplus, or of the score."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.runs import Run

UnitKind = Literal["share", "score"]
UNIT_KINDS: tuple[UnitKind, ...] = get_args(UnitKind)
VALUE_COLUMNS = ("value", "standard_error", "intrinsic", "extrinsic", "raw_extrinsic")
MINUS, DASH = "−", "–"


@dataclass(frozen=True)
class Unit:
    """A unit for values.

    Attributes
    ----------
    label : str
        Name of the unit, as written after a number.
    name : str
        Name of the unit where it stands alone, as in a file; without letters that another encoding spoils.
    factor : float
        What a value in score units is multiplied by.
    decimals : int
        Decimals that leave an average value two digits.
    """

    label: str
    name: str
    factor: float
    decimals: int

    def number(self, value: float) -> str:
        """Write a value of score units as a signed number of this unit, without the unit."""
        return _written(value * self.factor, f"+,.{self.decimals}f")

    def size(self, value: float) -> str:
        """Write an amount of score units, such as an error, as a number of this unit without a sign."""
        return _written(value * self.factor, f",.{self.decimals}f")

    def text(self, value: float) -> str:
        """Write a value of score units as a signed number with its unit."""
        return f"{self.number(value)} {self.label}"

    def scale(self, frame: pd.DataFrame, columns: Iterable[str] = VALUE_COLUMNS) -> pd.DataFrame:
        """Return a frame whose value columns, as far as it has them, are in this unit."""
        columns = [column for column in columns if column in frame]
        return frame.assign(**{column: frame[column] * self.factor for column in columns})

    @property
    def column_format(self) -> str:
        """Format, as of C's printf, of a value in a table column that is already scaled."""
        return f"%+.{self.decimals}f"


def _written(amount: float, form: str) -> str:
    if not math.isfinite(amount):
        return DASH
    text = f"{amount:{form}}"
    # Rounded to nothing, an amount has no sign.
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def unit_of(run: Run, kind: UnitKind = "share") -> Unit:
    """Choose the unit of a run's values.

    Parameters
    ----------
    run : Run
        The run.
    kind : {"share", "score"}, default="share"
        Per mille of the surplus, or units of the score; the latter also where there is no surplus to take a
        share of.

    Returns
    -------
    Unit
        The unit.
    """
    surplus, n_rows = run.ecoval.surplus_, max(1, len(run.ecoval.values_))
    if surplus > 0 and kind == "share":
        name = "per mille of the surplus"
        return Unit("‰ of the surplus", name, 1000 / surplus, _decimals(1000 / n_rows))
    label = SCORINGS[run.settings.scoring].unit
    return Unit(label, f"units {label}", 1.0, _decimals(abs(surplus) / n_rows))


def _decimals(typical: float) -> int:
    return 2 if typical <= 0 else max(0, math.ceil(-math.log10(typical))) + 1
