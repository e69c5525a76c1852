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
    help="Also write a report with figures, one .html file that opens offline.",
)  # fmt: skip
JOBS = click.option(
    "--jobs",
    type=int,
    default=1,
    show_default=True,
    help="Number of fits in parallel; -1 uses all cores.",
)


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose the table, the model and the result."""
    scores, tasks = click.Choice(list(SCORINGS)), click.Choice(["classification", "regression"])
    said: list[tuple[str, dict[str, Any], str]] = [
        ("--target", {"required": True, "metavar": "COLUMN"}, "Column to predict."),
        ("--out", {"type": PATH, "required": True, "metavar": "FILE"},
         "Output file, .csv or .parquet; an existing file is replaced."),
        ("--task", {"type": tasks, "show_default": "guessed"},
         "Predict a class (classification) or a number (regression)."),
        ("--exclude", {"multiple": True, "metavar": "COLUMN"},
         "Column to ignore, besides ids and columns without information, which are ignored "
         "automatically. May be repeated."),
        ("--include", {"multiple": True, "metavar": "COLUMN"},
         "Column to use although it looks like an id or carries no information. May be repeated."),
        ("--proportions",
         {"type": float, "nargs": 3, "default": (0.6, 0.2, 0.2), "metavar": "TRAIN VAL TEST"},
         "Shares of training, validation and test rows."),
        ("--model",
         {"metavar": "NAME", "show_default": "logistic_regression, or ridge for regression"},
         f"Model whose rows are valued: {', '.join(MODELS)}, or one of the file that "
         "ECOVAL_MODELS names."),
        ("--set", {"multiple": True, "metavar": "NAME=VALUE", "default": (), "show_default": False},
         "Setting of the model, such as C=0.1, max_depth=5, n_estimators=300, n_neighbors=9 or "
         "learning_rate=0.05. May be repeated."),
        ("--n-clusters", {"type": click.IntRange(min=1), "show_default": "chosen from the number of rows"},
         "Number of clusters: groups of similar rows that are removed in turn, at most one per "
         "row. More are finer and slower."),
        ("--scoring", {"type": scores, "show_default": "probability, or squared_error for regression"},
         "Score of one validation row, the unit of all values."),
        ("--extrinsic-weight", {"type": click.FloatRange(min=0), "default": DEFAULT_EXTRINSIC_WEIGHT},
         "How much the measured effect of a row counts; the rest of the surplus is divided by "
         "quality."),
        ("--class-weight", {"type": click.Choice(["auto", "none", "balanced"]), "default": "auto"},
         "Give every class the same weight (balanced); auto does so, and reports it, if the "
         "rarest class has less than a third of an equal share."),
        ("--max-val-samples", {"type": click.IntRange(min=1), "default": MAX_VAL_SAMPLES},
         "Maximum number of validation rows that effects are measured on; a stratified sample if "
         "there are more."),
        ("--seed", {"type": click.IntRange(0, 2**32 - 1), "default": 0},
         "The same seed gives exactly the same values."),
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
            help="Fix what is noticed in the cells, such as several spellings of one class.",
        ),
        JOBS,
    ]
    for option in reversed(options):
        command = option(command)
    return command
