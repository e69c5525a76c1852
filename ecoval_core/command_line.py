"""The command line: value a table, measure its removal curves, or follow a recipe, and write the results.

Progress, notes and errors go to stderr and the summary to stdout. The exit code is 0 when the files are
written, 1 when they are and differ from what the recipe expects, 2 for input that cannot be valued or a
result that cannot be written, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pandas as pd
from pydantic import ValidationError

from ecoval_core.evaluation.curves import STRATEGIES, removal_curves, summarise_curves
from ecoval_core.evaluation.measures import main_measure
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.notebook import show_file
from ecoval_core.tables import Split, make_table, read_frame, suggest_exclusions
from ecoval_core.target_type import Task
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
from ecoval_core.valuation.models import MODELS, make_model, models_for
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import (
    EVEN_SHARE,
    MAX_VAL_SAMPLES,
    SCORINGS,
    check_scoring,
    has_probabilities,
    rarest_of_even_share,
)
from ecoval_core.workspace.exports import check_parquet, exported_frame, to_csv
from ecoval_core.workspace.recipe import FORMATS as DOWNLOAD_FORMATS
from ecoval_core.workspace.recipe import (
    WHICH,
    Replay,
    make_recipe,
    open_table,
    read_recipe,
    recipe_bytes,
)
from ecoval_core.workspace.recipe import replay as follow
from ecoval_core.workspace.runs import (
    Opened,
    Run,
    automatic_clusters,
    describe_table,
    split_table,
    value_split,
)
from ecoval_core.workspace.schema import (
    UNIT_KINDS,
    OpenSpec,
    Settings,
    SplitSpec,
    UnitKind,
    explain,
)

FORMATS = (".csv", ".parquet")
PATH = click.Path(readable=False, path_type=Path)
_REPORT = click.option(
    "--report", type=PATH, metavar="FILE",
    help="Also write a report with figures, one .html file that needs no network.",
)  # fmt: skip
_JOBS = click.option(
    "--jobs", type=int, default=1, show_default=True, help="Fits at once; -1 takes every core."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """EcoVal: what each row of a table is worth to a model.

    "python -m ecoval_core COMMAND --help" lists the options of a command.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
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
         {"type": click.Choice(list(MODELS)), "show_default": "logistic_regression, or ridge for an amount"},
         "Model whose rows are valued."),
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
        _JOBS,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@_options
@_REPORT
@click.option(
    "--recipe", type=PATH, metavar="FILE",
    help='Also write the recipe, a .json file from which "replay" makes the same files.',
)  # fmt: skip
@click.option(
    "--unit", type=click.Choice(UNIT_KINDS), default="share", show_default=True,
    help="Unit of the values: per mille of the surplus (share; of the score where there is no surplus), or "
    "units of the score. A column of the file names it.",
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
            _check_out(extra, [table], [suffix])
    run = _value(table, out, **options)
    _write(exported_frame(run, "all_values", unit=unit), out)
    if recipe is not None:
        _write_bytes(recipe_bytes(make_recipe(run, PruneList(), unit=unit)), recipe)
    if report is not None:
        _write_bytes(_make_report(run, PruneList(), unit), report)
    print_values(run, unit)
    click.echo(
        f"Written           {', '.join(str(path) for path in (out, recipe, report) if path)}"
    )


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
    split, ecoval = run.split, run.ecoval
    metric = main_measure(run.make_estimator(), balanced=run.settings.balanced)
    with progress_bar("Removing rows") as progress:
        found = removal_curves(
            run.make_estimator(), split.X_train, split.y_train, split.X_test, split.y_test,
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


@main.command()
@click.argument("recipe", type=PATH)
@click.argument("table", type=PATH, required=False)
@click.option(
    "--out", type=PATH, required=True, metavar="FOLDER",
    help="Folder to write into, made if it is not there; files of the same names are replaced.",
)  # fmt: skip
@click.option(
    "--any-table", is_flag=True,
    help="Go on where TABLE is not the one that the recipe was made from.",
)  # fmt: skip
@_REPORT
@_JOBS
def replay(
    recipe: Path, table: Path | None, out: Path, any_table: bool, report: Path | None, jobs: int
) -> None:
    """Make the downloads of RECIPE again from TABLE, which may be left out for a bundled sample.

    Writes the table without the pruned rows (kept), those rows (removed) and every row with its values
    (all_values), each as .csv and .parquet, and compares their bytes with those that the recipe expects.

    Example: python -m ecoval_core replay houses.recipe.json houses.csv --out again
    """
    sources = [path for path in (recipe, table) if path is not None]
    plan = read_recipe(recipe)
    frame, name = (None, "") if table is None else (read_frame(table), table.name)
    opened = open_table(plan, frame, any_table=any_table, name=name)
    _make_folder(out, sources)
    if report is not None:
        _check_out(report, sources, [".html"])
    print_table(opened.table)
    with valuing(jobs) as progress:
        replayed = follow(plan, opened, n_jobs=jobs, progress=progress)
    run = replayed.run
    warn(run)
    found = _write_downloads(replayed, out)
    if report is not None:
        page = _make_report(
            run, plan.prune, plan.unit, decisions=replayed.decisions, relabelled=replayed.relabelled,
            name=plan.name, note=plan.note,
        )  # fmt: skip
        _write_bytes(page, report)
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


@main.command("open")
@click.argument("table", type=PATH)
@click.option("--target", metavar="COLUMN", show_default="guessed", help="Column to predict.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to serve the app on.")
def open_app(table: Path, target: str | None, port: int | None) -> None:
    """Open TABLE in the app, print its address, and serve it until Ctrl-C.

    Example: python -m ecoval_core open houses.csv --target price
    """
    app = show_file(table, target=target, port=port)
    try:
        app.wait()
    finally:
        app.stop()


def _write_downloads(replayed: Replay, folder: Path) -> dict[str, bool | None]:
    """Write every download; return whether each has the bytes that the recipe expects."""
    found: dict[str, bool | None] = {}
    refusals: dict[str, None] = {}
    for made in replayed.downloads():
        if made.content is None:
            refusals[made.refusal] = None
            continue
        _write_bytes(made.content, folder / made.name)
        found[made.name] = replayed.is_as_expected(made)
    for refusal in refusals:
        click.echo(f"No Parquet: {refusal}", err=True)
    return found


def _make_report(run: Run, rules: PruneList, unit: UnitKind, **given: Any) -> bytes:
    # Only those who ask for a report wait for what draws it.
    from ecoval_core.reporting import make_report

    now = datetime.now().astimezone().isoformat(" ", "minutes")
    recipe = make_recipe(run, rules, unit=unit, **given)
    return make_report(run, rules=rules, recipe=recipe, unit=unit, created=now, **given)


def _value(
    path: Path, out: Path, *, target: str, task: Task | None, exclude: Sequence[str],
    include: Sequence[str], proportions: tuple[float, float, float], model: str | None,
    n_clusters: int | None, scoring: str | None, extrinsic_weight: float, class_weight: str, seed: int,
    max_val_samples: int, jobs: int, class_balanced: bool = False,
) -> Run:  # fmt: skip
    """Value a table from its file, after refusing whatever could only fail once it is valued."""
    _check_out(out, [path], FORMATS)
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
    try:
        spec = OpenSpec(
            table=describe_table(table), split=SplitSpec(proportions=proportions, random_state=seed)
        )
        settings = Settings(
            model=model, n_clusters=n_clusters or 1, scoring=scoring, random_state=seed,
            extrinsic_weight=extrinsic_weight, max_val_samples=max_val_samples,
        )  # fmt: skip
    except ValidationError as error:
        option, _, problem = explain(error).removeprefix("split.").partition(" ")
        raise ValueError(f"--{option.replace('_', '-')} {problem}") from error
    opened = Opened(spec.key, spec, split_table(table, spec.split))
    balanced = _is_balanced(class_weight, opened.split)
    if n_clusters is None:
        n_clusters = automatic_clusters(
            opened.split,
            make_model(model, table.task),
            len(opened.split.y_train),
            balanced=balanced,
        )
    settings = settings.replace(n_clusters=n_clusters, balanced=balanced)
    print_table(table)
    with valuing(jobs) as progress:
        run = value_split(opened, settings, n_jobs=jobs, progress=progress)
    warn(run)
    return run


def _is_balanced(class_weight: str, split: Split) -> bool:
    """Decide whether every class counts alike, and say so where that was left open."""
    if split.task == "regression":
        if class_weight == "balanced":
            raise ValueError("--class-weight balanced needs classes, and the task is regression.")
        return False
    if class_weight != "auto":
        return class_weight == "balanced"
    share = rarest_of_even_share(split.y_train)
    if share < EVEN_SHARE:
        click.echo(
            f"Every class counts alike: the rarest has {share:.0%} of its even share "
            "(--class-weight none to leave that out).",
            err=True,
        )
    return share < EVEN_SHARE


def _check_out(out: Path, sources: Iterable[Path], suffixes: Sequence[str]) -> None:
    """Refuse a file that cannot be written, or that is one of those read."""
    if out.suffix.lower() not in suffixes:
        choice = "choose one of them" if len(suffixes) > 1 else "give the file that ending"
        raise ValueError(f"{out} ends in none of {', '.join(suffixes)}: {choice}.")
    if not out.parent.is_dir():
        raise ValueError(f"{out} cannot be written: there is no folder {out.parent}.")
    if out.is_dir():
        raise ValueError(f"{out} cannot be written: it is a folder.")
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise ValueError(f"{out} is the table itself: choose another file to write.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ValueError(f"{out} cannot be written (permission denied): choose another place.")


def _make_folder(folder: Path, sources: Iterable[Path]) -> None:
    """Make a folder to write into, and refuse one whose files are those read."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: choose a folder to write into.")
    with _explained(folder, "made"):
        folder.mkdir(exist_ok=True)
    for out in (folder / f"{which}.{kind}" for which in WHICH for kind in DOWNLOAD_FORMATS):
        _check_out(out, sources, FORMATS)


def _write_bytes(content: bytes, out: Path) -> None:
    with _explained(out):
        out.write_bytes(content)


def _write(frame: pd.DataFrame, out: Path) -> None:
    if out.suffix.lower() != ".parquet":
        _write_bytes(to_csv(frame), out)
        return
    with _explained(out):
        frame.to_parquet(out, index=False)


@contextmanager
def _explained(path: Path, verb: str = "written") -> Iterator[None]:
    """Raise an error of the file system as a sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be {verb} ({reason}): choose another place.") from error
