"""What the JSON of a bundle must hold, field by field.

A bundle may come from anybody: whatever is missing, unknown or out of range is refused in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.valuation.estimator import MAX_EXTRINSIC_WEIGHT
from ecoval_core.valuation.models import MODELS, models_for
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace import fields
from ecoval_core.workspace.desks import rules_from_json
from ecoval_core.workspace.history import MAX_NAME, MAX_NOTE
from ecoval_core.workspace.runs import Settings
from ecoval_core.workspace.units import UNIT_KINDS

SCHEMA = 1
MAX_UNPACKED = 2**30
MAX_STEPS = 500
_LARGEST_ID = 2**53
_TYPE = re.compile(r"[<>|=](b1|[iu][1248]|f[48]|U[0-9]{1,5})|object")


class BundleError(ValueError):
    """A bundle that is not imported; the message is one sentence for the user."""


def _of_length(most: int) -> fields.Check:
    return fields.satisfying(
        f"text of at most {most:,} characters", lambda v: isinstance(v, str) and len(v) <= most
    )


_SEED = fields.whole(0, 2**32 - 1)
_SHARE = fields.number("from 0 to below 1", lambda v: 0 <= v < 1)
_DATE = fields.number("of seconds since 1970", lambda v: 0 <= v < 1e11)
_IDS = fields.list_of(fields.whole(0, _LARGEST_ID))
MANIFEST = fields.object_of(
    {
        "ecoval_run": fields.whole(1, SCHEMA),
        "members": fields.map_of(
            fields.object_of(
                {"bytes": fields.whole(0, MAX_UNPACKED), "digest": fields.hexadecimal(32)}
            )
        ),
        "run": fields.object_of(
            {"name": _of_length(MAX_NAME), "note": _of_length(MAX_NOTE), "created": _DATE}
        ),
        "settings": fields.object_of(
            {
                "model": fields.one_of(MODELS),
                "n_clusters": fields.whole(1, _LARGEST_ID),
                "scoring": fields.one_of(SCORINGS),
                "extrinsic_weight": fields.number(
                    f"from 0 to {MAX_EXTRINSIC_WEIGHT:,.0f}",
                    lambda v: 0 <= v <= MAX_EXTRINSIC_WEIGHT,
                ),
                "random_state": _SEED,
                "every_row": fields.flag,
                "balanced": fields.flag,
            }
        ),
        "table": fields.object_of(
            {
                "name": fields.text,
                "content": fields.hexadecimal(32),
                "target": fields.text,
                "task": fields.one_of(("classification", "regression")),
                "excluded": fields.map_of(fields.text),
            }
        ),
        "preparation": fields.object_of(
            {
                "proportions": fields.list_of(
                    fields.number("above 0 and below 1", lambda v: 0 < v < 1), 3
                ),
                "noise": _SHARE,
                "random_state": _SEED,
            }
        ),
        "results": fields.whole(0, 999),
        "versions": fields.map_of(fields.text),
    }
)
NUMBERS = fields.object_of(
    {
        "full_score": fields.satisfying("a number", lambda v: isinstance(v, float)),
        "prior_score": fields.satisfying("a number", lambda v: isinstance(v, float)),
        "surplus_standard_error": fields.satisfying("a number", lambda v: isinstance(v, float)),
        "scoring": fields.one_of(SCORINGS),
        "task": fields.one_of(("classification", "regression")),
        "extrinsic_weight": fields.number("from 0", lambda v: v >= 0),
        "classes": fields.or_null(
            fields.list_of(
                fields.satisfying("a label", lambda v: isinstance(v, (str, int, float, bool)))
            )
        ),
        "types": fields.object_of(
            {
                name: fields.or_null(
                    fields.satisfying(
                        "a type of labels",
                        lambda v: isinstance(v, str) and _TYPE.fullmatch(v) is not None,
                    )
                )
                for name in ("classes", "suggested_labels")
            }
        ),
    }
)
_PRUNE = fields.object_of(
    {
        "share": _SHARE,
        "threshold": fields.or_null(fields.number("or null")),
        "picked": _IDS,
        "restored": _IDS,
        "quota": fields.number("from 0 to 1", lambda v: 0 <= v <= 1),
    }
)
_LABELS = fields.map_of(_of_length(40))


def _decisions(check: fields.Check) -> fields.Check:
    return fields.object_of(
        {"present": check, "past": fields.list_of(check), "future": fields.list_of(check)}
    )


DESK = fields.object_of(
    {
        "selection": fields.json_object,
        "decisions": fields.map_of(fields.json_object),
        "updated": _DATE,
    }
)
_KINDS_OF_DECISIONS = {"prune": _decisions(_PRUNE), "labels": _decisions(_LABELS)}
_VIEW = {
    "extrinsic_weight": fields.number("from 0 to 1", lambda v: 0 <= v <= 1),
    "unit": fields.one_of(UNIT_KINDS),
}
_FLAG = fields.satisfying("true or false", lambda v: isinstance(v, bool))
_CLASS = fields.satisfying("a class", lambda v: isinstance(v, (str, bool)) or fields.is_number(v))
_RANGE = fields.or_null(fields.list_of(fields.number("that ends a range"), 2))
_TEXT = _of_length(10_000)
_FILTERS = {
    "labels": fields.list_of(_CLASS), "negative": _FLAG, "planted": _FLAG, "column": _TEXT, "range": _RANGE,
    "values": fields.list_of(_TEXT), "target": _RANGE, "color": _TEXT, "projection": _TEXT,
}  # fmt: skip


def check_desk(desk: Mapping[str, Any], ids: NDArray[np.int64]) -> None:
    """Refuse a desk that holds what no desk holds, or rows that the run does not value."""
    there = set(ids.tolist())

    def check_ids(rows: Any, path: str) -> None:
        if not there.issuperset(_IDS(rows, path)):
            raise BundleError(f"{path} names rows that the run does not value.")

    selection = desk["selection"]
    check_ids(selection.get("selected_ids", []), "selected_ids")
    if selection.get("picked_id") is not None:
        check_ids([selection["picked_id"]], "picked_id")
    for part, checks in (("view", _VIEW), ("filters", _FILTERS)):
        found = fields.json_object(selection.get(part) or {}, part)
        for name, check in checks.items():
            if name in found:
                check(found[name], f"{part}.{name}")
    for kind, made in desk["decisions"].items():
        if kind not in _KINDS_OF_DECISIONS:
            fields.refuse(kind, "a decision", f"one of {', '.join(_KINDS_OF_DECISIONS)}")
        made = _KINDS_OF_DECISIONS[kind](made, kind)
        steps = [made["present"], *made["past"], *made["future"]]
        if len(steps) > MAX_STEPS:
            fields.refuse(len(steps), f"the number of steps of {kind}", f"at most {MAX_STEPS}")
        for step in steps:
            if kind == "prune":
                rules_from_json(step)
                check_ids(step["picked"], "picked")
                check_ids(step["restored"], "restored")
            else:
                check_ids(
                    [int(row) if re.fullmatch("[0-9]{1,15}", row) else row for row in step],
                    "labels",
                )


def check_settings(found: Mapping[str, Any], task: str) -> Settings:
    """Return the settings of a run, or refuse what the task does not allow."""
    fields.one_of(models_for(task))(found["model"], "settings.model")  # type: ignore[arg-type]
    of_task = [name for name, score in SCORINGS.items() if score.task == task]
    fields.one_of(of_task)(found["scoring"], "settings.scoring")
    if found["balanced"] and task == "regression":
        fields.refuse(True, "settings.balanced", "false for regression, which has no classes")
    return Settings(**found)
