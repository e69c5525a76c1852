"""Valuing a table from its file, as the options of a command say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd
from pydantic import ValidationError

from ecoval_core.commands.output import FORMATS, check_out
from ecoval_core.commands.splitting import describe_split, print_split, read_files
from ecoval_core.models.catalog import make_model, models_for
from ecoval_core.models.model_settings import check_parameters, read_parameters
from ecoval_core.runs.exports import check_parquet
from ecoval_core.runs.fitting import automatic_clusters
from ecoval_core.runs.opened import describe_table, split_table
from ecoval_core.runs.run import Run, value_split
from ecoval_core.tables import (
    Fix,
    Split,
    clean,
    empty_words,
    make_table,
    read_file,
    suggest_exclusions,
    suggest_fixes,
)
from ecoval_core.tables.table import content_digest
from ecoval_core.target_type import Task
from ecoval_core.terminal import plain, print_reading, print_table, valuing, warn
from ecoval_core.valuation.scoring import EVEN_SHARE, check_scoring, rarest_of_even_share
from ecoval_core.workspace.schema import OpenSpec, Settings, explain


def value_file(
    path: Path, out: Path, *, target: str, task: Task | None, exclude: Sequence[str],
    include: Sequence[str], proportions: tuple[float, float, float], model: str | None,
    n_clusters: int | None, scoring: str | None, extrinsic_weight: float, class_weight: str, seed: int,
    max_val_samples: int, jobs: int, header: Sequence[int] | None = None, sheet: str | None = None,
    mend: bool = False, set: Sequence[str] = (),  # noqa: A002 - the option's name
    class_balanced: bool = False, **how: Any,
) -> Run:  # fmt: skip
    """Value a table from its file, after refusing whatever could only fail once it is valued.

    `how` holds the options that say how rows are split.
    """
    own = [file for file in (how["validation"], how["test"]) if file is not None]
    check_out(out, [path, *own], FORMATS)
    frame, reading = read_file(path, header=header, sheet=sheet)
    files = read_files(how["validation"], how["test"])
    content, fixes = content_digest(frame), _mend(frame, target, mend)
    frame = clean(frame, fixes)
    for column in include:
        if column not in frame:
            raise ValueError(f"{path.name} has no column {column!r} to include.")
    suggested = suggest_exclusions(frame, target).items()
    excluded = {column: reason for column, reason in suggested if column not in include}
    excluded.update(dict.fromkeys(exclude, "left out by choice"))
    try:
        how_split = describe_split(frame, files, proportions=proportions, random_state=seed, **how)
    except ValidationError as error:
        raise ValueError(_as_option(error)) from error
    excluded.update(how_split.rule.reserved(target))
    table = make_table(frame, path.name, target, task, excluded)
    if out.suffix.lower() == ".parquet":
        check_parquet(table.frame, out.with_suffix(".csv").name, out.name)
    if class_balanced and table.task == "regression":
        raise ValueError("--class-balanced needs classes, and the task is regression.")
    known = models_for(table.task)
    model = model or next(iter(known))
    if model not in known:
        raise ValueError(
            f"--model is {model!r}: for {table.task} choose one of {', '.join(known)}."
        )
    parameters = read_parameters(tuple(set))
    estimator = check_parameters(model, make_model(model, table.task), parameters)
    scoring = check_scoring(scoring, table.task, hasattr(estimator, "predict_proba"))
    try:
        settings = Settings(
            model=model, n_clusters=n_clusters or 1, scoring=scoring, random_state=seed,
            extrinsic_weight=extrinsic_weight, max_val_samples=max_val_samples, parameters=parameters,
        )  # fmt: skip
    except ValidationError as error:
        raise ValueError(_as_option(error)) from error
    described = describe_table(table, content=content, fixes=fixes, reading=reading)
    spec = OpenSpec(table=described, split=how_split)
    opened = split_table(table, spec, files)
    balanced = _is_balanced(class_weight, opened.split)
    if n_clusters is None:
        n_clusters = automatic_clusters(
            opened.split,
            estimator,
            len(opened.split.y_train),
            balanced=balanced,
        )
    settings = settings.replace(n_clusters=n_clusters, balanced=balanced)
    print_table(table)
    print_reading(reading)
    print_split(how_split, opened.split)
    with valuing(jobs) as progress:
        run = value_split(opened, settings, n_jobs=jobs, progress=progress)
    warn(run)
    return run


def _mend(frame: pd.DataFrame, target: str, wanted: bool) -> tuple[Fix, ...]:
    """Say what could be mended in the cells, and return it if that is wanted."""
    found = suggest_fixes(empty_words(frame, target))
    for one in found:
        click.echo(f"{'Mended' if wanted else 'Noticed'}: {plain(one.sentence)}", err=True)
    if found and not wanted:
        click.echo("Use --mend to fix this.", err=True)
    return found if wanted else ()


def _as_option(error: ValidationError) -> str:
    """Say in one sentence which option is wrong, and why."""
    option, _, problem = explain(error).partition(" ")
    return f"--{option.replace('_', '-')} {problem}" if option.isidentifier() else explain(error)


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
            f"Every class has the same weight: the rarest has {share:.0%} of an equal share "
            "(--class-weight none to switch this off).",
            err=True,
        )
    return share < EVEN_SHARE
