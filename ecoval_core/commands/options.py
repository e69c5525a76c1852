"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from ecoval_core.models.catalog import MODELS
from ecoval_core.tables import parse_header
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import MAX_VAL_SAMPLES, SCORINGS

Command = Callable[..., None]
PATH = click.Path(readable=False, path_type=Path)
REPORT = click.option(
    "--report", type=PATH, metavar="FILE",
    help="Also write a report with figures, one .html file that opens offline.",
)  # fmt: skip
JOBS = click.option(
    "--jobs", type=int, default=1, help="Number of fits in parallel; -1 uses all cores."
)
TABLE = [
    click.argument("table", type=PATH),
    click.option("--target", required=True, metavar="COLUMN", help="Column to predict."),
    click.option("--out", type=PATH, required=True, metavar="FILE",
        help="Output file, .csv or .parquet; an existing file is replaced."),
    click.option("--task", type=click.Choice(["classification", "regression"]), show_default="guessed",
        help="Predict a class (classification) or a number (regression)."),
    click.option("--exclude", multiple=True, metavar="COLUMN",
        help="Column to ignore, besides ids and columns without information, which are ignored "
        "automatically. May be repeated."),
    click.option("--include", multiple=True, metavar="COLUMN",
        help="Column to use although it looks like an id or carries no information. May be repeated."),
    click.option("--proportions", type=float, nargs=3, default=(0.6, 0.2, 0.2), metavar="TRAIN VAL TEST",
        help="Shares of training, validation and test rows."),
    click.option("--model", metavar="NAME", show_default="logistic_regression, or ridge for regression",
        help=f"Model whose rows are valued: {', '.join(MODELS)}, or one of the file that "
        "ECOVAL_MODELS names."),
    click.option("--set", multiple=True, metavar="NAME=VALUE",
        help="Setting of the model, such as C=0.1, max_depth=5, n_estimators=300, n_neighbors=9 or "
        "learning_rate=0.05. May be repeated."),
    click.option("--n-clusters", type=click.IntRange(min=1), show_default="chosen from the number of rows",
        help="Number of clusters: groups of similar rows that are removed in turn, at most one per "
        "row. More are finer and slower."),
    click.option("--scoring", type=click.Choice(list(SCORINGS)),
        show_default="probability, or squared_error for regression",
        help="Score of one validation row, the unit of all values."),
    click.option("--extrinsic-weight", type=click.FloatRange(min=0), default=DEFAULT_EXTRINSIC_WEIGHT,
        help="How much the measured effect of a row counts; the rest of the surplus is divided by quality."),
    click.option("--class-weight", type=click.Choice(["auto", "none", "balanced"]), default="auto",
        help="Give every class the same weight (balanced); auto does so, and reports it, if the "
        "rarest class has less than a third of an equal share."),
    click.option("--max-val-samples", type=click.IntRange(min=1), default=MAX_VAL_SAMPLES,
        help="Maximum number of validation rows that effects are measured on; a stratified sample if "
        "there are more."),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0,
        help="The same seed gives exactly the same values."),
    click.option("--mend", is_flag=True,
        help="Fix what is noticed in the cells, such as several spellings of one class."),
    JOBS,
]  # fmt: skip
FILES = [
    click.option("--validation", type=PATH, metavar="FILE",
        help="File with the validation rows, with the columns of TABLE."),
    click.option("--test", type=PATH, metavar="FILE",
        help="File with the test rows, with the columns of TABLE."),
]  # fmt: skip
SPLIT = [
    click.option("--groups", metavar="COLUMN",
        help="Column of groups: rows with the same value, such as those of one patient or customer, stay "
        "in the same part."),
    click.option("--time", metavar="COLUMN",
        help="Column with the time of a row: the earliest rows are used for training, later rows for "
        "validation, the latest for testing."),
    click.option("--split", metavar="COLUMN",
        help="Column that names the part of a row; words such as train, dev and holdout are understood."),
    click.option("--part", multiple=True, metavar="VALUE=PART",
        help="With --split: the part (train, validation, test or none) that a value stands for. May be "
        "repeated."),
    click.option("--weights", metavar="COLUMN",
        help="Column with the weight of each row in the fits and scores behind the values; curves count "
        "every row once."),
    *FILES,
]  # fmt: skip
READING = [
    click.option("--header", metavar="ROW", show_default="guessed",
        callback=lambda _context, _option, rows: None if rows is None else parse_header(rows),
        help="Row with the column names, counted from 1; 1,2 joins two rows; none if the file has no "
        "column names."),
    click.option("--sheet", metavar="NAME", show_default="the first", help="Sheet of an Excel workbook."),
]  # fmt: skip


def add_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Give a command options, which its help lists in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
