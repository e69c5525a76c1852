"""The command line: value a table or measure its removal curves, and write the result to a file.

Progress, notes and errors go to stderr and the summary to stdout. The exit code is 0 when the file is
written, 2 for input that cannot be valued or a result that cannot be written, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs

from ecoval_core.evaluation.curves import STRATEGIES, removal_curves, summarise_curves
from ecoval_core.evaluation.measures import main_measure
from ecoval_core.tables import Prepared, Table, make_table, prepare, read_frame, suggest_exclusions
from ecoval_core.target_type import Task
from ecoval_core.valuation.clustering import auto_n_clusters
from ecoval_core.valuation.models import MODELS, make_model, models_for
from ecoval_core.valuation.parallel import Progress
from ecoval_core.valuation.propagation import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import SCORINGS, check_scoring, has_probabilities
from ecoval_core.valuation.targets import EVEN_SHARE, rarest_of_even_share
from ecoval_core.valuation.uncertainty import reliability_warning
from ecoval_core.workspace.exports import check_parquet, exported_frame
from ecoval_core.workspace.runs import Run, Settings, value_prepared

FORMATS = (".csv", ".parquet")
BAD_INPUT, INTERRUPTED = 2, 130


class _InputError(click.ClickException):
    exit_code = BAD_INPUT


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ValueError as error:
            raise _InputError(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """EcoVal: what each row of a table is worth to a model.

    "python -m ecoval_core COMMAND --help" lists the options of a command.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose the table, the model and the result."""
    path = click.Path(readable=False, path_type=Path)
    options: list[Callable[[Any], Any]] = [
        click.argument("table", type=path),
        click.option("--target", required=True, metavar="COLUMN", help="Column to predict."),
        click.option(
            "--out", type=path, required=True, metavar="FILE",
            help="File to write, .csv or .parquet; replaced if it is there.",
        ),
        click.option(
            "--task", type=click.Choice(["classification", "regression"]), show_default="guessed",
            help="What to predict: a class or an amount.",
        ),
        click.option(
            "--exclude", multiple=True, metavar="COLUMN",
            help="Column not to predict from, besides ids and columns without information, which are "
            "left out and named. May be repeated.",
        ),
        click.option(
            "--include", multiple=True, metavar="COLUMN",
            help="Column to predict from although it looks like an id or carries no information. May be "
            "repeated.",
        ),
        click.option(
            "--proportions", type=float, nargs=3, default=(0.6, 0.2, 0.2), show_default=True,
            metavar="TRAIN VAL TEST",
            help="Shares of the rows to learn from, to measure values on, and to test curves on.",
        ),
        click.option(
            "--model", type=click.Choice(list(MODELS)),
            show_default="logistic_regression, or ridge for an amount",
            help="Model whose rows are valued.",
        ),
        click.option(
            "--n-clusters", type=click.IntRange(min=1), show_default="by the number of rows",
            help="Groups of similar rows to leave out in turn, at most one a row: more are finer "
            "and slower.",
        ),
        click.option(
            "--scoring", type=click.Choice(list(SCORINGS)),
            show_default="probability, or squared_error for an amount",
            help="Score of one validation row, the unit of all values.",
        ),
        click.option(
            "--extrinsic-weight", type=click.FloatRange(min=0),
            default=DEFAULT_EXTRINSIC_WEIGHT, show_default=True,
            help="Pay for a unit of measured effect; the rest of the surplus pays for quality.",
        ),
        click.option(
            "--class-weight", type=click.Choice(["auto", "none", "balanced"]), default="auto",
            show_default=True,
            help="Let every class count alike (balanced); auto does so where the rarest class has less than "
            "a third of its even share, and says so.",
        ),
        click.option(
            "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
            help="The same seed gives the same values to the last bit.",
        ),
        click.option(
            "--jobs", type=int, default=1, show_default=True,
            help="Fits at once; -1 takes every core.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@_options
def value(table: Path, out: Path, **options: Any) -> None:
    """Value the training rows of TABLE (CSV, Parquet or Excel).

    Writes every row of TABLE with its row_id (from 0), the part it was in (train, validation, test)
    and, for training rows, value, its standard error over the validation rows, intrinsic, extrinsic,
    cluster, label_quality and suggested_label.

    Example: python -m ecoval_core value houses.csv --target price --out values.parquet
    """
    run = _value(table, out, **options)
    _write(exported_frame(run, "all_values"), out)
    _print_values(run)
    click.echo(f"Written           {out}")


@main.command()
@_options
@click.option(
    "--strategy", "strategies", multiple=True, type=click.Choice(STRATEGIES),
    default=STRATEGIES, show_default="all four", help="Which rows to remove first. May be repeated.",
)  # fmt: skip
@click.option("--class-balanced", is_flag=True, help="Remove the same share of every class.")
@click.option(
    "--n-random", type=click.IntRange(min=1), default=10, show_default=True,
    help="Orders drawn for each random strategy.",
)  # fmt: skip
def curves(
    table: Path, out: Path, strategies: Sequence[str], class_balanced: bool, n_random: int,
    **options: Any,
) -> None:  # fmt: skip
    """Value the training rows of TABLE, then score the model while rows are removed.

    Writes a row for every refit: strategy, repeat, share removed, n_removed, and the score on the test
    part.

    Example: python -m ecoval_core curves iris.csv --target species --out curves.csv
    """
    run = _value(table, out, class_balanced=class_balanced, **options)
    prepared, ecoval = run.prepared, run.ecoval
    metric = main_measure(run.make_estimator(), balanced=run.settings.balanced)
    with _progress("Removing rows") as progress:
        found = removal_curves(
            run.make_estimator(), prepared.X_train, prepared.y_train, prepared.X_test, prepared.y_test,
            ecoval.values_, clusters=ecoval.labels_, strategies=tuple(dict.fromkeys(strategies)),
            class_balanced=class_balanced, n_random=n_random, metric=metric,
            random_state=run.settings.random_state, n_jobs=options["jobs"], progress=progress,
        )  # fmt: skip
    _write(found, out)
    click.echo(f"Mean test {metric.replace('_', ' ')} by share of the training rows removed")
    means = summarise_curves(found).pivot_table(index="share", columns="strategy", values="mean")
    means = means[list(dict.fromkeys(found["strategy"]))].rename("{:.0%}".format)
    click.echo(means.rename_axis(index=None, columns="removed").to_string(float_format="%.4f"))
    click.echo(f"Written to {out}")


def _value(
    path: Path, out: Path, *, target: str, task: Task | None, exclude: Sequence[str],
    include: Sequence[str], proportions: Sequence[float], model: str | None, n_clusters: int | None,
    scoring: str | None, extrinsic_weight: float, class_weight: str, seed: int, jobs: int,
    class_balanced: bool = False,
) -> Run:  # fmt: skip
    """Value a table from its file, after refusing whatever could only fail once it is valued."""
    _check_out(out, path)
    if jobs == 0:
        raise ValueError("--jobs is 0: give the number of fits at once, or -1 for every core.")
    frame = read_frame(path)
    for column in include:
        if column not in frame:
            raise ValueError(f"{path.name} has no column {column!r} to include.")
    suggested = suggest_exclusions(frame, target).items()
    excluded = {column: reason for column, reason in suggested if column not in include}
    excluded.update(dict.fromkeys(exclude, "left out by choice"))
    table = make_table(frame, path.name, target, task, excluded)
    if out.suffix.lower() == ".parquet":
        check_parquet(table.frame, out.with_suffix(".csv").name, out.name)
    if class_balanced and table.task == "regression":
        raise ValueError("--class-balanced needs classes, and the task is regression.")
    model = model or next(iter(models_for(table.task)))
    proba = has_probabilities(make_model(model, table.task))
    scoring = check_scoring(scoring, table.task, proba)
    prepared = prepare(table, proportions=proportions, random_state=seed)
    n_clusters = n_clusters or auto_n_clusters(len(prepared.y_train))
    balanced = _is_balanced(class_weight, prepared)
    settings = Settings(model, n_clusters, scoring, extrinsic_weight, seed, balanced=balanced)
    _print_table(table)
    _start_workers(jobs)
    with _progress("Valuing rows") as progress:
        run = value_prepared(prepared, settings, n_jobs=jobs, progress=progress)
    if warning := reliability_warning(run.ecoval):
        click.echo(f"Warning: {warning}", err=True)
    return run


def _is_balanced(class_weight: str, prepared: Prepared) -> bool:
    """Decide whether every class counts alike, and say so where that was left open."""
    if prepared.task == "regression":
        if class_weight == "balanced":
            raise ValueError("--class-weight balanced needs classes, and the task is regression.")
        return False
    if class_weight != "auto":
        return class_weight == "balanced"
    share = rarest_of_even_share(prepared.y_train)
    if share < EVEN_SHARE:
        click.echo(
            f"Every class counts alike: the rarest has {share:.0%} of its even share "
            "(--class-weight none to leave that out).",
            err=True,
        )
    return share < EVEN_SHARE


def _start_workers(jobs: int) -> None:
    """Start the worker processes deaf to Ctrl-C, which a terminal sends to them as well."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Parallel(n_jobs=jobs)(delayed(abs)(0) for _ in range(effective_n_jobs(jobs)))
    finally:
        signal.signal(signal.SIGINT, heard)


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    with click.progressbar(length=1, label=label, show_pos=True, file=sys.stderr) as bar:

        def report(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield report


def _print_table(table: Table) -> None:
    n_labelled = len(table.labelled_ids)
    click.echo(
        f"{table.name}: {table.task} of {table.target!r} from {len(table.features):,} columns, "
        f"{n_labelled:,} rows.",
        err=True,
    )
    if n_labelled < table.n_rows:
        click.echo(f"Set aside: {table.n_rows - n_labelled:,} rows without a target.", err=True)
    for column, reason in table.excluded.items():
        click.echo(f"Left out: {column!r} ({reason}).", err=True)


def _print_values(run: Run) -> None:
    ecoval, rows, clusters = run.ecoval, run.frame, run.clusters
    harmful = clusters[clusters["value"] < 0]
    title, scoring = MODELS[run.settings.model].title, SCORINGS[run.settings.scoring].title
    lines = {
        "Model": f"{title}, {ecoval.n_clusters_:,} clusters, {run.seconds:.1f} s",
        "Score": scoring,
        "Surplus": f"{ecoval.surplus_:+.4f}, from {ecoval.prior_score_:.4f} by guessing "
        f"to {ecoval.full_score_:.4f} with the model",
        "Intrinsic share": f"{ecoval.intrinsic_share_:.0%}",
        "Harmful clusters": f"{len(harmful):,} of {ecoval.n_clusters_:,} ({harmful['n_rows'].sum():,} "
        "rows), without which the model scores better",
        "Rows below zero": f"{(rows['value'] < 0).sum():,} of {len(rows):,}",
    }
    for name, text in lines.items():
        click.echo(f"{name:<17} {text}")


def _check_out(out: Path, table: Path) -> None:
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"{out} ends in none of {', '.join(FORMATS)}: choose one of them.")
    if not out.parent.is_dir():
        raise ValueError(f"{out} cannot be written: there is no folder {out.parent}.")
    if out.is_dir():
        raise ValueError(f"{out} cannot be written: it is a folder.")
    if out.exists() and table.exists() and out.samefile(table):
        raise ValueError(f"{out} is the table itself: choose another file to write.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ValueError(f"{out} cannot be written (permission denied): choose another place.")


def _write(frame: pd.DataFrame, out: Path) -> None:
    try:
        if out.suffix.lower() == ".parquet":
            frame.to_parquet(out, index=False)
        else:
            frame.to_csv(out, index=False)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{out} cannot be written ({reason}): choose another place.") from error
