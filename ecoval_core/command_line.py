"""The command line: value a table, measure its removal curves, or follow a recipe, and write the results.

Progress, notes and errors go to stderr and the summary to stdout. The exit code is 0 when the files are
written, 1 when they are and differ from what the recipe expects, 2 for input that cannot be valued or a
result that cannot be written, 130 after Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import click
import pandas as pd

from ecoval_core.commands.options import (
    FILES,
    JOBS,
    PATH,
    READING,
    REPORT,
    SPLIT,
    TABLE,
    add_options,
)
from ecoval_core.commands.output import check_out, make_folder, write_bytes, write_frame
from ecoval_core.commands.splitting import print_split, read_files
from ecoval_core.commands.valuing import value_file
from ecoval_core.evaluation.curves import STRATEGIES, removal_curves, summarise_curves
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.notebook import show_file
from ecoval_core.runs.exports import exported_frame
from ecoval_core.runs.recipe import (
    Replay,
    make_recipe,
    open_table,
    read_recipe,
    recipe_bytes,
)
from ecoval_core.runs.recipe import replay as follow
from ecoval_core.runs.run import Run
from ecoval_core.tables import read_cells, read_frame
from ecoval_core.terminal import (
    OTHER_BYTES,
    Commands,
    plain,
    print_comparison,
    print_table,
    print_values,
    progress_bar,
    valuing,
    warn,
)
from ecoval_core.text import count_of
from ecoval_core.workspace.schema import DEFAULT_UNIT, UnitKind


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
def main() -> None:
    """EcoVal: what each row of a table is worth to a model.

    "python -m ecoval_core COMMAND --help" lists the options of a command.
    """


@main.command()
@add_options(*TABLE, *SPLIT, *READING)
@REPORT
@click.option(
    "--recipe", type=PATH, metavar="FILE",
    help='Also write the recipe, a .json file from which "replay" makes the same files.',
)  # fmt: skip
@click.option(
    "--unit", type=click.Choice(get_args(UnitKind)), default=DEFAULT_UNIT,
    help="Unit of the values and their errors: multiples of the average row, so that the values of n rows "
    "sum to n (rows); per mille of the surplus (share); or the raw value, in units of the score (score), "
    "which is also written where the model does not clearly beat a guess. The column unit of the file names "
    "the unit; a file of another unit differs by one factor.",
)  # fmt: skip
def value(
    table: Path, out: Path, report: Path | None, recipe: Path | None, unit: UnitKind, **options: Any
) -> None:
    """Value the training rows of TABLE (CSV, Parquet or Excel).

    Writes every row of TABLE with its row_id (from 0), the part it was in (train, validation, test)
    and, for training rows, value, its standard error over the validation rows, intrinsic, extrinsic (in
    the unit that the column unit names), cluster, label_quality, label_issue (whether to look at the label)
    and suggested_label. Nothing is pruned here.

    Example: python -m ecoval_core value houses.csv --target price --out values.parquet
    """
    for extra, suffix in ((report, ".html"), (recipe, ".json")):
        if extra is not None:
            check_out(extra, [table], [suffix])
    run = value_file(table, out, **options)
    found = exported_frame(run, "all_values", unit=unit)
    write_frame(found if out.suffix.lower() == ".parquet" else _as_written(found, run, table), out)
    if recipe is not None:
        write_bytes(recipe_bytes(make_recipe(run, PruneList(), unit=unit)), recipe)
    if report is not None:
        write_bytes(_make_report(run, PruneList(), unit=unit), report)
    print_values(run, unit)
    click.echo(
        f"Written           {', '.join(str(path) for path in (out, recipe, report) if path)}"
    )


@main.command()
@add_options(*TABLE, *SPLIT, *READING)
@click.option(
    "--strategy", "strategies", multiple=True, type=click.Choice(STRATEGIES),
    default=STRATEGIES, show_default="all four", help="Which rows to remove first. May be repeated.",
)  # fmt: skip
@click.option("--class-balanced", is_flag=True, help="Remove the same share of every class.")
@click.option(
    "--n-random", type=click.IntRange(min=1), default=10,
    help="Number of random orders for each random strategy.",
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
    run = value_file(table, out, class_balanced=class_balanced, **options)
    split, ecoval = run.split, run.ecoval
    metric = run.main_measure
    with progress_bar("Removing rows") as progress:
        found = removal_curves(
            run.make_estimator(), split.X_train, split.y_train, *run.test_rows(),
            ecoval.values_, clusters=ecoval.labels_, strategies=tuple(dict.fromkeys(strategies)),
            class_balanced=class_balanced, n_random=n_random, metric=metric,
            random_state=run.settings.random_state, n_jobs=options["jobs"], progress=progress,
        )  # fmt: skip
    write_frame(found, out)
    click.echo(f"Mean test {metric.replace('_', ' ')} by share of the training rows removed")
    means = summarise_curves(found).pivot_table(index="share", columns="strategy", values="mean")
    means = means[list(dict.fromkeys(found["strategy"]))].rename("{:.0%}".format)
    click.echo(means.rename_axis(index=None, columns="removed").to_string(float_format="%.4f"))
    click.echo(f"Written to {out}")


@main.command()
@click.argument("recipe", type=PATH)
@click.argument("table", type=PATH, required=False)
@click.option(
    "--out", type=PATH, required=True, metavar="FOLDER",
    help="Output folder, created if it does not exist; existing files are replaced.",
)  # fmt: skip
@click.option(
    "--any-table", is_flag=True,
    help="Continue even if TABLE is not the table that the recipe was made from.",
)  # fmt: skip
@add_options(*FILES)
@REPORT
@JOBS
def replay(
    recipe: Path, table: Path | None, out: Path, any_table: bool, validation: Path | None,
    test: Path | None, report: Path | None, jobs: int,
) -> None:  # fmt: skip
    """Make the downloads of RECIPE again from TABLE, which may be left out for a bundled sample.

    Writes the table without the pruned rows (kept), those rows (removed) and every row with its values
    (all_values), each as .csv and .parquet, and compares their bytes with those that the recipe expects.

    Example: python -m ecoval_core replay houses_recipe.json houses.csv --out again
    """
    sources = [path for path in (recipe, table, validation, test) if path is not None]
    plan = read_recipe(recipe)
    how, frame, name = plan.run.table.reading, None, ""
    if table is not None:
        frame, name = read_frame(table, header=how.header, sheet=how.sheet), table.name
    files = read_files(validation, test)
    opened, is_same = open_table(plan, frame, any_table=any_table, name=name, files=files)
    make_folder(out, sources)
    if report is not None:
        check_out(report, sources, [".html"])
    print_table(opened.table)
    print_split(plan.run.split, opened.split)
    with valuing(jobs) as progress:
        replayed = follow(plan, opened, is_same, n_jobs=jobs, progress=progress)
    run = replayed.run
    warn(run)
    found = _write_downloads(replayed, out)
    if report is not None:
        page = _make_report(
            run, plan.prune, replayed.decisions, relabelled=replayed.relabelled, unit=plan.unit,
            name=plan.name, note=plan.note,
        )  # fmt: skip
        write_bytes(page, report)
    click.echo(
        f"{plain(opened.table.name)}: {count_of(len(run.frame), 'row')} valued, "
        f"{len(replayed.decision.reasons):,} go, {len(replayed.relabelled):,} get another "
        f"{'label' if opened.table.task == 'classification' else 'target'}."
    )
    print_comparison(replayed, found)
    click.echo(f"Written to {out}")
    if replayed.is_same_table and (
        False in found.values() or set(plan.expected.files) - set(found)
    ):
        click.get_current_context().exit(OTHER_BYTES)


def _as_written(found: pd.DataFrame, run: Run, path: Path) -> pd.DataFrame:
    """Return a table to write with the cells of its file as they are written there, but for mended ones."""
    spec = run.opened.spec.table
    cells = read_cells(path, spec.name, spec.reading)
    if cells is None:
        return found
    mended = {one.column for one in spec.fixes}
    kept = [str(name) for name in cells if name in found and name not in mended]
    return found.assign(**{column: cells[column].array for column in kept})


@main.command("open")
@click.argument("table", type=PATH)
@add_options(*READING)
@click.option("--target", metavar="COLUMN", show_default="guessed", help="Column to predict.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to serve the app on.")
def open_app(
    table: Path,
    target: str | None,
    port: int | None,
    header: Sequence[int] | None,
    sheet: str | None,
) -> None:
    """Open TABLE in the app, print its address, and serve it until Ctrl-C.

    Example: python -m ecoval_core open houses.csv --target price
    """
    app = show_file(table, target=target, port=port, sheet=sheet, header=header)
    try:
        app.wait()
    finally:
        app.stop()


def _write_downloads(replayed: Replay, folder: Path) -> dict[str, bool | None]:
    """Write every download; return whether each has the bytes that the recipe expects."""
    found: dict[str, bool | None] = {}
    refusals = set()
    for made in replayed.downloads():
        if made.content is not None:
            write_bytes(made.content, folder / made.name)
            found[made.name] = replayed.is_as_expected(made)
        elif made.refusal not in refusals:
            refusals.add(made.refusal)
            click.echo(f"No Parquet: {made.refusal}", err=True)
    return found


def _make_report(run: Run, *given: Any, **words: Any) -> bytes:
    # Only those who ask for a report wait for what draws it.
    from ecoval_core.reporting import make_report

    now = datetime.now().astimezone().isoformat(" ", "minutes")
    return make_report(run, make_recipe(run, *given, created=now, **words))
