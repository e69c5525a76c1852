"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ecoval_core.models.catalog import MODELS
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import MAX_VAL_SAMPLES, SCORINGS

PATH = click.Path(readable=False, path_type=Path)
REPORT = click.option(
    "--report", type=PATH, metavar="FILE",
    help="Also write a report with figures, one .html file that needs no network.",
)  # fmt: skip
JOBS = click.option(
    "--jobs", type=int, default=1, show_default=True, help="Fits at once; -1 takes every core."
)


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose the table, the model and the result."""
    scores, tasks = click.Choice(list(SCORINGS)), click.Choice(["classification", "regression"])
    said: list[tuple[str, dict[str, Any], str]] = [
        ("--target", {"required": True, "metavar": "COLUMN"}, "Column to predict."),
        ("--out", {"type": PATH, "required": True, "metavar": "FILE"},
         "File to write, .csv or .parquet; replaced if it is there."),
        ("--task", {"type": tasks, "show_default": "guessed"},
         "What to predict: a class or an amount."),
        ("--exclude", {"multiple": True, "metavar": "COLUMN"},
         "Column not to predict from, besides ids and columns without information, which are left out and "
         "named. May be repeated."),
        ("--include", {"multiple": True, "metavar": "COLUMN"},
         "Column to predict from although it looks like an id or carries no information. May be repeated."),
        ("--proportions",
         {"type": float, "nargs": 3, "default": (0.6, 0.2, 0.2), "metavar": "TRAIN VAL TEST"},
         "Shares of the rows to learn from, to measure values on, and to test curves on."),
        ("--model",
         {"metavar": "NAME", "show_default": "logistic_regression, or ridge for an amount"},
         f"Model whose rows are valued: {', '.join(MODELS)}, or one of the file that "
         "ECOVAL_MODELS names."),
        ("--set", {"multiple": True, "metavar": "NAME=VALUE", "default": (), "show_default": False},
         "Setting of the model, such as C=0.1, max_depth=5, n_estimators=300, n_neighbors=9 or "
         "learning_rate=0.05. May be repeated."),
        ("--n-clusters", {"type": click.IntRange(min=1), "show_default": "by the number of rows"},
         "Groups of similar rows to leave out in turn, at most one a row: more are finer and slower."),
        ("--scoring", {"type": scores, "show_default": "probability, or squared_error for an amount"},
         "Score of one validation row, the unit of all values."),
        ("--extrinsic-weight", {"type": click.FloatRange(min=0), "default": DEFAULT_EXTRINSIC_WEIGHT},
         "Pay for a unit of measured effect; the rest of the surplus pays for quality."),
        ("--class-weight", {"type": click.Choice(["auto", "none", "balanced"]), "default": "auto"},
         "Let every class count alike (balanced); auto does so where the rarest class has less than a third "
         "of its even share, and says so."),
        ("--max-val-samples", {"type": click.IntRange(min=1), "default": MAX_VAL_SAMPLES},
         "Validation rows that effects are measured on, a stratified sample where there are more."),
        ("--seed", {"type": click.IntRange(0, 2**32 - 1), "default": 0},
         "The same seed gives the same values to the last bit."),
    ]  # fmt: skip
    options = [
        click.argument("table", type=PATH),
        *(
            click.option(name, **{"show_default": True, **how}, help=text)
            for name, how, text in said
        ),
        click.option(
            "--mend",
            is_flag=True,
            help="Mend what is noticed in the cells, such as spellings of one class.",
        ),
        JOBS,
    ]
    for option in reversed(options):
        command = option(command)
    return command
