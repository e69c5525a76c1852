"""The report of a run: what was valued and how, what was found, what was decided, in one HTML file."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from importlib import resources
from typing import Any

import pandas as pd
from markupsafe import Markup
from numpy.typing import ArrayLike

from ecoval_core.charts import CHART_CONFIG
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.reporting import findings, outcomes
from ecoval_core.reporting.blocks import (
    Block,
    Download,
    Facts,
    Section,
    Text,
    said,
    without_controls,
)
from ecoval_core.runs.exports import unit_of
from ecoval_core.runs.recipe import Recipe, recipe_bytes
from ecoval_core.runs.run import Run
from ecoval_core.text import file_stem

# Nothing is fetched, and no script runs but those named by their digests.
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)


def make_report(
    run: Run, recipe: Recipe, *, effects: Mapping[str, Effect] | None = None,
    harm: Effect | None = None, curves: pd.DataFrame | None = None,
    coordinates: ArrayLike | None = None, projection: str = "",
) -> bytes:  # fmt: skip
    """Make the report of a run and its recipe as one HTML file; the same arguments give the same bytes.

    `harm` is the measured effect of removing the clearly harmful rows, for the verdict.
    """
    unit, new = unit_of(run, recipe.unit), recipe.relabelled
    decided = recipe.prune.decide(run.frame["value"], run.class_labels, new)
    sections = [
        findings.summary(run, unit, decided, new, run.verdict(harm, curves)),
        findings.what_was_valued(run),
        findings.how_it_was_valued(run),
        findings.values(run, unit, coordinates, projection),
        findings.by_class(run, unit, decided, new),
        findings.by_cluster(run, unit),
        outcomes.curves_section(run, curves),
        outcomes.effects_section(run, effects or {}),
        outcomes.decisions_section(run, unit, recipe, decided),
        _recipe_section(recipe),
    ]
    title = recipe.name or run.table.name
    return _render(
        title=without_controls(" ".join(title.split())),
        heading=said(title, 200),
        subtitle=_subtitle(run, recipe.created),
        note=without_controls(recipe.note),
        sections=[section for section in sections if section is not None],
        created=recipe.created,
        version=recipe.versions["ecoval"],
    )


def _subtitle(run: Run, created: str) -> Markup:
    table = run.table
    words = Markup("{} of {} in {}: {:,} of {:,} rows valued").format(
        table.task.capitalize(), said(table.target), said(table.name), len(run.frame), table.n_rows
    )
    return words + (f" · {created}" if created else "")


def _recipe_section(recipe: Recipe) -> Section:
    content = recipe_bytes(recipe)
    link = f"data:application/json;base64,{base64.b64encode(content).decode()}"
    words = Markup(
        "The recipe holds all that is needed to make the same downloads from the same table: save it, and "
        "run <code>ecoval replay RECIPE TABLE --out FOLDER</code>."
    )
    download = Download(
        "Recipe", f"{file_stem(recipe.run.table.name)}_recipe.json", link, content.decode()
    )
    versions = Facts([(package, said(found)) for package, found in recipe.versions.items()])
    blocks: list[Block] = [Text(words), download, Text("Made with:"), versions]
    return Section("recipe", "Recipe and versions", blocks)


def _render(**words: Any) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("ecoval_core.reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    folder = resources.files("ecoval_core.reporting") / "templates"
    script, style = ((folder / f"report.{kind}").read_text("utf-8") for kind in ("js", "css"))
    # As an HTML parser hands them on, which is what the policy's digest is taken of.
    scripts = [re.sub("\r\n?", "\n", code) for code in (get_plotlyjs(), script)]
    policy = f"{_POLICY}; script-src {' '.join(map(_digest, scripts))}"
    page = environment.get_template("report.html").render(
        **words, policy=policy, style=style, scripts=scripts, config=json.dumps(CHART_CONFIG)
    )
    return page.encode(errors="replace")


def _digest(script: str) -> str:
    """Name a script to the page's policy, which lets no other run."""
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"
