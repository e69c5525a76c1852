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
from ecoval_core.evaluation.pruning import Decision, Effect, PruneList
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
from ecoval_core.runs.recipe import Recipe, make_recipe, new_labels, recipe_bytes
from ecoval_core.runs.run import Run
from ecoval_core.text import file_stem
from ecoval_core.workspace.schema import DEFAULT_UNIT, UnitKind, Verdict

# Nothing is fetched, and no script runs but those named by their digests.
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)


def make_report(
    run: Run, *, rules: PruneList | None = None, decision: Decision | None = None,
    decisions: Mapping[int, Verdict] | None = None, relabelled: Mapping[int, Any] | None = None,
    effects: Mapping[str, Effect] | None = None, harm: Effect | None = None,
    curves: pd.DataFrame | None = None, coordinates: ArrayLike | None = None, projection: str = "",
    recipe: Recipe | None = None, unit: UnitKind = DEFAULT_UNIT, name: str = "", note: str = "",
    created: str = "",
) -> bytes:  # fmt: skip
    """Make the report of a run as one HTML file; the same arguments give the same bytes.

    `harm` is the measured effect of removing the clearly harmful rows, for the verdict.
    """
    rules = rules or PruneList()
    decisions = decisions or {}
    decided = decision or rules.decide(run.frame["value"], run.class_labels)
    new = new_labels(run, decisions) if relabelled is None else relabelled
    table, units = run.table, unit_of(run, unit)
    recipe = recipe or make_recipe(
        run, rules, decisions, relabelled=new, unit=unit, with_files=False, name=name, note=note,
        created=created,
    )  # fmt: skip
    verdict = run.verdict(harm, curves if curves is not None and "measure" in curves else None)
    sections = [
        findings.summary(run, units, decided, new, verdict),
        findings.what_was_valued(run),
        findings.how_it_was_valued(run),
        findings.values(run, units, coordinates, projection),
        findings.by_class(run, units, decided, new),
        findings.by_cluster(run, units),
        outcomes.curves_section(run, curves),
        outcomes.effects_section(run, effects or {}),
        outcomes.decisions_section(run, units, rules, decided, decisions, new),
        _recipe_section(recipe, table.name),
    ]
    title = name or table.name
    return _render(
        title=without_controls(" ".join(title.split())),
        heading=said(title, 200),
        subtitle=_subtitle(run, created),
        note=without_controls(note),
        sections=[section for section in sections if section is not None],
        created=created,
        version=recipe.versions["ecoval"],
    )


def _subtitle(run: Run, created: str) -> Markup:
    table = run.table
    words = Markup("{} of {} in {}: {:,} of {:,} rows valued").format(
        table.task.capitalize(), said(table.target), said(table.name), len(run.frame), table.n_rows
    )
    return words + (f" · {created}" if created else "")


def _recipe_section(recipe: Recipe, table_name: str) -> Section:
    content = recipe_bytes(recipe)
    link = f"data:application/json;base64,{base64.b64encode(content).decode()}"
    words = Markup(
        "The recipe holds all that is needed to make the same downloads from the same table: save it, and "
        "run <code>ecoval replay RECIPE TABLE --out FOLDER</code>."
    )
    download = Download("Recipe", f"{file_stem(table_name)}_recipe.json", link, content.decode())
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
