"""What a recipe must hold, field by field.

A recipe may come from anybody: whatever is missing, unknown or out of range is refused in one sentence that
names the field.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from ecoval_core.tables import SAMPLES
from ecoval_core.valuation.estimator import MAX_EXTRINSIC_WEIGHT
from ecoval_core.valuation.models import MODELS, models_for
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace import fields
from ecoval_core.workspace.units import UNIT_KINDS, UnitKind

Verdict = Literal["accept", "keep"]
Kind = Literal["csv", "parquet", "excel", "sample", "frame"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
KINDS: tuple[str, ...] = get_args(Kind)

SCHEMA = 2
MAX_BYTES = 64 * 2**20
MAX_ROWS = 2**53


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the field and is fit for a user."""


_SHA256 = fields.hexadecimal(64)
_SEED = fields.whole(0, 2**32 - 1)
_SHARE = fields.number("from 0 to below 1", lambda v: 0 <= v < 1)
_ROW_IDS = fields.list_of(fields.whole(0, MAX_ROWS))
_KEEP = fields.object_of({"decision": fields.one_of(VERDICTS)})
_ACCEPT = fields.object_of({"decision": fields.one_of(VERDICTS), "label": fields.label})


def _decision(found: Any, path: str) -> Any:
    accepts = isinstance(found, dict) and found.get("decision") == "accept"
    return (_ACCEPT if accepts else _KEEP)(found, path)


_RECIPE: dict[str, fields.Check] = {
    "ecoval_recipe": fields.whole(1, SCHEMA),
    "name": fields.text,
    "note": fields.text,
    "created": fields.text,
    "table": fields.object_of(
        {
            "name": fields.text,
            "kind": fields.one_of(KINDS),
            "sample": fields.or_null(fields.one_of(SAMPLES)),
            "content": fields.hexadecimal(32),
            "rows": fields.whole(1, MAX_ROWS),
            "columns": fields.whole(1, MAX_ROWS),
        }
    ),
    "mends": fields.list_of(fields.json_object),
    "data": fields.object_of(
        {
            "target": fields.text,
            "task": fields.one_of(("classification", "regression")),
            "excluded": fields.map_of(fields.text),
            "proportions": fields.list_of(
                fields.number("above 0 and below 1", lambda v: 0 < v < 1), 3
            ),
            "noise": _SHARE,
            "seed": _SEED,
        }
    ),
    "settings": fields.object_of(
        {
            "model": fields.one_of(MODELS),
            "n_clusters": fields.whole(1, MAX_ROWS),
            "scoring": fields.one_of(SCORINGS),
            "extrinsic_weight": fields.number(
                f"from 0 to {MAX_EXTRINSIC_WEIGHT:,.0f}",
                lambda v: 0 <= v <= MAX_EXTRINSIC_WEIGHT,
            ),
            "seed": _SEED,
            "every_row": fields.flag,
            "balanced": fields.flag,
        }
    ),
    "prune": fields.object_of(
        {
            "share": _SHARE,
            "threshold": fields.or_null(fields.number("or null")),
            "picked": _ROW_IDS,
            "restored": _ROW_IDS,
            "quota": fields.number("from 0 to 1", lambda v: 0 <= v <= 1),
        }
    ),
    "labels": fields.map_of(_decision),
    "unit": fields.one_of(UNIT_KINDS),
    "expected": fields.object_of(
        {
            "values": fields.or_null(_SHA256),
            "surplus": fields.or_null(fields.number("or null")),
            "pruned": fields.or_null(fields.whole(0, MAX_ROWS)),
            "files": fields.map_of(_SHA256),
        }
    ),
    "versions": fields.map_of(fields.text),
}
# Up to the first schema downloads had no unit, and neither had a recipe.
_OLD_UNIT: UnitKind = "score"
_WITHOUT_UNIT = {name: check for name, check in _RECIPE.items() if name != "unit"}


def read_fields(content: bytes) -> fields.JsonObject:
    """Read the fields of a recipe and check every one of them.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    dict
        As :func:`ecoval_core.workspace.recipe.make_recipe` made it.

    Raises
    ------
    RecipeError
        In one sentence, which names the field where it is about one.
    """
    try:
        found = fields.parse(content, MAX_BYTES)
        schema = found.get("ecoval_recipe") if isinstance(found, dict) else None
        if schema is None:
            raise RecipeError("This file is no recipe of EcoVal: it names no ecoval_recipe.")
        if fields.is_whole(schema) and schema > SCHEMA:
            raise RecipeError(
                f"The recipe was made by a later EcoVal (its ecoval_recipe is {fields.shown(schema)}, and at "
                f"most {SCHEMA} is known here): install a later version."
            )
        read = _read_old(found) if schema == 1 else fields.object_of(_RECIPE)(found, "")
        _check_together(read)
    except fields.FieldError as error:
        raise RecipeError(f"The recipe cannot be followed: {error}") from error
    except RecursionError as error:
        raise RecipeError("The recipe cannot be followed: it nests too deeply.") from error
    return read


def _read_old(found: Any) -> fields.JsonObject:
    """Check the fields of a recipe of the first schema, and return those of the present one."""
    read: fields.JsonObject = fields.object_of(_WITHOUT_UNIT)(found, "")
    expected = read["expected"]
    # Of the files, only those without values have the same columns still.
    kept = {name: digest for name, digest in expected["files"].items() if name.startswith("kept.")}
    return {**read, "unit": _OLD_UNIT, "expected": {**expected, "files": kept}}


def _check_together(read: fields.JsonObject) -> None:
    """Check fields that depend on one another."""
    table, data, settings = read["table"], read["data"], read["settings"]
    task, row_id = data["task"], fields.whole(0, table["rows"] - 1)
    if abs(sum(data["proportions"]) - 1) > 1e-6:
        fields.refuse(data["proportions"], "data.proportions", "three numbers that sum to 1")
    if data["target"] in data["excluded"]:
        fields.refuse(data["target"], "data.target", "none of the columns in data.excluded")
    fields.one_of(models_for(task))(settings["model"], "settings.model")
    of_task = [name for name, score in SCORINGS.items() if score.task == task]
    fields.one_of(of_task)(settings["scoring"], "settings.scoring")
    if settings["balanced"] and task == "regression":
        fields.refuse(True, "settings.balanced", "false for regression, which has no classes")
    for name in ("picked", "restored"):
        fields.list_of(row_id)(read["prune"][name], f"prune.{name}")
    for row in read["labels"]:
        # Longer ones are no row ids, and slow to turn into numbers.
        number = int(row) if re.fullmatch("0|[1-9][0-9]{0,15}", row) else row
        row_id(number, f"the row that labels[{fields.shown(row)}] names")
    if (table["kind"] == "sample") != (table["sample"] is not None):
        wanted = (
            "a sample's key" if table["kind"] == "sample" else "null, since the kind is no sample"
        )
        fields.refuse(table["sample"], "table.sample", wanted)
