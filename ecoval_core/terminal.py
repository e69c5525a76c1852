"""How commands speak to a terminal: progress, notes, errors and summaries; workers deaf to Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from joblib import Parallel, delayed, effective_n_jobs

from ecoval_core.files.header import say_header
from ecoval_core.models.catalog import title_of
from ecoval_core.models.parallel import Progress
from ecoval_core.runs.exports import unit_of
from ecoval_core.runs.recipe import Replay
from ecoval_core.runs.run import Run
from ecoval_core.tables import Reading, Table
from ecoval_core.text import count_of, join
from ecoval_core.valuation.record import reliability_warning
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.schema import UnitKind

OTHER_BYTES, BAD_INPUT, INTERRUPTED = 1, 2, 130


class InputError(click.ClickException):
    """Input that cannot be used: one sentence, exit code 2."""

    exit_code = BAD_INPUT


class Commands(click.Group):
    """Commands whose ValueErrors are sentences for the user."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            raise InputError(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)


@contextmanager
def valuing(jobs: int) -> Iterator[Progress]:
    """Start workers deaf to Ctrl-C, which a terminal sends to them as well, and draw their progress."""
    if jobs == 0:
        raise ValueError("--jobs is 0: give the number of fits at once, or -1 for every core.")
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Parallel(n_jobs=jobs)(delayed(abs)(0) for _ in range(effective_n_jobs(jobs)))
    finally:
        signal.signal(signal.SIGINT, heard)
    with progress_bar("Valuing rows") as progress:
        yield progress


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Draw a progress bar on stderr; what is yielded takes steps done and steps in all."""
    with click.progressbar(length=1, label=label, show_pos=True, file=sys.stderr) as bar:

        def report(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield report


def warn(run: Run) -> None:
    """Say so where the values of a run are not to be trusted."""
    if warning := reliability_warning(run.ecoval):
        click.echo(f"Warning: {warning}", err=True)


def plain(text: object) -> str:
    """Return a name or a cell without what a terminal would act upon."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))


def print_table(table: Table) -> None:
    """Print on stderr what is predicted from what."""
    n_labelled = len(table.labelled_ids)
    sizes = f"{count_of(len(table.features), 'column')}, {count_of(n_labelled, 'row')}"
    click.echo(f"{plain(table.name)}: {table.task} of {table.target!r} from {sizes}.", err=True)
    if n_left := table.n_rows - n_labelled:
        click.echo(f"Set aside: {count_of(n_left, 'row')} without a target.", err=True)
    for column, reason in table.excluded.items():
        click.echo(f"Ignored: {column!r} ({plain(reason)}).", err=True)


def print_reading(reading: Reading) -> None:
    """Print on stderr what was assumed when a file was read, and how to change it."""
    if reading.header is not None:
        rows = f"row {say_header(reading.header)}" if reading.header else "in no row"
        click.echo(f"Names: {rows} (--header to change that).", err=True)
    if reading.sheets:
        shown = reading.sheet or reading.sheets[0]
        others = join([plain(one) for one in reading.sheets if one != shown][:5])
        click.echo(f"Sheet: {plain(shown)} (--sheet for {others}).", err=True)
    for note in reading.notes:
        click.echo(plain(note), err=True)


def print_values(run: Run, unit: UnitKind) -> None:
    """Print the headline figures of a run, and the unit of the values in its file."""
    ecoval, rows, verdict, shown = run.ecoval, run.frame, run.verdict(), unit_of(run, unit)
    title, scoring = title_of(run.settings.model), SCORINGS[run.settings.scoring].title
    lines = {
        "Model": f"{title}, {count_of(ecoval.n_clusters_, 'cluster')}, {run.seconds:.1f} s",
        "Score": scoring,
        "Values": f"in {shown.name}",
        "Surplus": f"{ecoval.surplus_:+.4f}, from {ecoval.prior_score_:.4f} by guessing "
        f"to {ecoval.full_score_:.4f} with the model",
        "Intrinsic share": f"{ecoval.intrinsic_share_:.0%}",
        "Rows below zero": f"{(rows['value'] < 0).sum():,} of {len(rows):,}",
        "Verdict": " ".join([*verdict.evidence(), verdict.advice()]),
    }
    if shown.note:
        click.echo(shown.note, err=True)
    for name, text in lines.items():
        click.echo(f"{name:<17} {text}")


def print_comparison(replayed: Replay, found: dict[str, bool | None]) -> None:
    """Print which files have the bytes that the recipe expects, and what may be why others have not."""
    expected, run = replayed.recipe.expected, replayed.run
    if not replayed.is_same_table:
        click.echo("The table is another one, so nothing is compared with the recipe.")
        return
    same = [name for name, is_same in found.items() if is_same]
    other = [name for name, is_same in found.items() if is_same is False]
    other += [name for name in expected.files if name not in found]
    for names, words in ((same, "Same bytes as in the recipe"), (other, "Other bytes")):
        if names:
            click.echo(f"{words}: {', '.join(names)}")
    unknown = [name for name, is_same in found.items() if is_same is None]
    if unknown:
        click.echo(f"The recipe expects nothing of: {', '.join(unknown)}")
    is_same = expected.values is None or replayed.has_same_values
    if expected.values is not None:
        click.echo(f"Values: {'the same to the last bit' if is_same else 'not the same bits'}")
    if is_same and not other:
        return
    if expected.surplus is not None and expected.pruned is not None:
        n = len(replayed.decision.reasons)
        n_gone = f"{count_of(n, 'row')} {'goes' if n == 1 else 'go'}"
        click.echo(
            f"Surplus {run.ecoval.surplus_:.6f} here, {expected.surplus:.6f} in the recipe; "
            f"{n_gone} here, {expected.pruned:,} in the recipe."
        )
    differing = replayed.other_versions
    for name, (there, here) in differing.items():
        click.echo(f"The recipe was made with {name} {there!r}, and here is {here!r}.")
    if is_same and expected.pruned not in (None, len(replayed.decision.reasons)):
        click.echo(
            "The values are the same: rows with an accepted label are no longer pruned, as they were when "
            "some older recipes were made."
        )
    elif not differing:
        words = "All versions are the same: the processor or a library beneath rounds differently."
        click.echo(words)
