"""Models in the workspace: those of a run, and the one that came with values from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from ecoval_core.tables import Table
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.workspace.results import read_frame, write_frame
from ecoval_core.workspace.schema import key_of
from ecoval_core.workspace.workspace import Workspace

MAX_MODEL_BYTES = 64 * 2**20
F = TypeVar("F", EcoVal, CrossValuation)


def _read(content: NDArray[np.uint8]) -> Any:
    """Read what skops wrote; it comes from this workspace, into which its user put it."""
    # Not before it is needed: skops imports all of scikit-learn.
    import skops.io

    data = content.tobytes()
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def save_models(workspace: Workspace, key: str, fitted: EcoVal | CrossValuation) -> None:
    """Keep the models of a run for new rows, where skops knows them and they are small."""
    import skops.io

    try:
        # A tenth of the bytes, or fewer, in the same time.
        content = skops.io.dumps(
            _with_rows(fitted, _write_rows), compression=ZIP_DEFLATED, compresslevel=1
        )
    except Exception:  # an estimator that skops cannot write is fitted again when it is needed
        return
    if len(content) <= MAX_MODEL_BYTES:
        array = np.frombuffer(content, np.uint8)
        workspace.save(key_of("models", key), "models", array, owner=key)


def load_models(workspace: Workspace, key: str) -> EcoVal | CrossValuation | None:
    """Return the models of a run; None if they are not here, or cannot be read with this scikit-learn."""
    content = workspace.load(key_of("models", key), np.ndarray)
    try:
        return None if content is None else _with_rows(_read(content), _read_rows)
    except Exception:
        return None


def _with_rows(fitted: F, change: Callable[[Any], Any]) -> F:
    """Copy a valuation, with its rows as `change` makes them: skops does not write frames."""
    made = copy(fitted)
    if isinstance(made, CrossValuation):
        made.estimators_ = [_with_rows(one, change) for one in made.estimators_]
        return made
    problem = made._attribution.problem
    problem = replace(problem, X=change(problem.X), X_val=change(problem.X_val))
    made._attribution = replace(made._attribution, problem=problem)
    return made


def _write_rows(rows: Any) -> Any:
    # No other rows are a bytearray, so that it marks what was a frame.
    return bytearray(write_frame(rows)) if isinstance(rows, pd.DataFrame) else rows


def _read_rows(rows: Any) -> Any:
    return read_frame(bytes(rows)) if isinstance(rows, bytearray) else rows


# --- From elsewhere -------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnModel:
    """An unfitted model in skops' format and the columns that it is fitted on, or why it was not kept."""

    content: NDArray[np.uint8]
    columns: list[str]
    takes_frame: bool
    refusal: str

    def make(self) -> Any:
        """Return the model; raise ValueError, for the user, if it was not kept."""
        if self.refusal:
            raise ValueError(self.refusal)
        try:
            return clone(_read(self.content))
        except Exception as error:
            raise ValueError(
                f"The model that came with these values cannot be loaded here ({error}): what needs it "
                "fitted again is not available."
            ) from error

    def inputs(self, frame: pd.DataFrame) -> Any:
        """Return what the model is fitted on, of some rows of the table."""
        found = frame[self.columns]
        return found if self.takes_frame else found.to_numpy(dtype=float)


NOT_KEPT = OwnModel(
    np.empty(0, np.uint8), [], False,
    "Curves and effects need the model fitted again, but an exported run comes without it.",
)  # fmt: skip


def save_own_model(workspace: Workspace, key: str, model: Any, table: Table, fitted: Any) -> None:
    """Keep the model of a run whose values were found elsewhere, or the reason why it cannot be."""
    takes_frame = hasattr(fitted, "feature_names_in_")
    columns = list(map(str, fitted.feature_names_in_)) if takes_frame else table.features
    content, refusal = b"", _mismatch(fitted, table, columns, takes_frame)
    if not refusal:
        content, refusal = _write(model)
    kept = OwnModel(np.frombuffer(content, np.uint8), columns, takes_frame, refusal)
    workspace.save(own_model_key(key), "own_model", kept, owner=key)


def own_model_key(key: str) -> str:
    """Name the model of a run by the key of its values."""
    return key_of("own_model", key)


def _mismatch(fitted: Any, table: Table, columns: list[str], takes_frame: bool) -> str:
    """Say why the model cannot be fitted on the columns of a table; empty if it can."""
    missing = [column for column in columns if column not in table.features]
    n_features = getattr(fitted, "n_features_in_", len(columns))
    if missing:
        why = f"it was fitted on column {missing[0]!r}, which the frame lacks"
    elif len(columns) != n_features:
        why = f"it was fitted on {n_features} columns and the frame has {len(columns)}"
    elif not takes_frame and not all(
        pd.api.types.is_numeric_dtype(table.frame[column]) for column in columns
    ):
        why = "it was fitted on numbers and the frame holds others"
    else:
        return ""
    return f"Curves and effects need the model fitted again, but {why}."


def _write(model: Any) -> tuple[bytes, str]:
    import skops.io

    needs = "Curves and effects need the model fitted again, but"
    try:
        content = skops.io.dumps(model)
        strange = skops.io.get_untrusted_types(data=content)
    except Exception as error:  # whatever the parts of a stranger's model raise
        return b"", f"{needs} skops cannot keep {type(model).__name__} ({error})."
    if local := [name for name in strange if name.startswith("__main__.")]:
        return b"", f"{needs} {local[0]} is defined in the notebook: define it in a module."
    if len(content) > MAX_MODEL_BYTES:
        return b"", f"{needs} it takes {len(content) / 2**20:.0f} MB."
    return content, ""
