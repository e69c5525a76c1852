"""What a task works with: its order, the workspace, and where its result goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ecoval_core.tables import Prepared
from ecoval_core.tables.mending import Mend, mend
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.parallel import Progress
from ecoval_core.workspace.orders import result_key
from ecoval_core.workspace.runs import Run, Settings
from ecoval_core.workspace.store import Result
from ecoval_core.workspace.valuations import read_fit, read_valuation
from ecoval_core.workspace.workspace import Workspace

Payload = dict[str, Any]


class Bench:
    """What a task works with.

    Parameters
    ----------
    workspace : Workspace
        Where everything is read and kept.
    uploads : Path
        Folder of the files that were uploaded.
    kind : str
        Name of the task.
    parameters : dict
        Parameters of the order.
    report : callable
        Takes steps done and steps in all.
    """

    def __init__(
        self, workspace: Workspace, uploads: Path, kind: str, parameters: Payload, report: Progress
    ) -> None:
        self.workspace, self.uploads, self.report = workspace, uploads, report
        self.kind, self.parameters = kind, parameters
        self.key = result_key(kind, parameters)

    def prepared(self) -> Prepared:
        """Return the prepared table that the order names."""
        found = self.workspace.find(
            lambda store: store.load_prepared(self.parameters["preparation"])
        )
        if found is None:
            raise ValueError("The table of this work is no longer in the workspace: open it again.")
        return found

    def settings(self, **changed: Any) -> Settings:
        """Return the settings that the order names."""
        return Settings(**{**self.parameters["settings"], **changed})

    def frame(self) -> pd.DataFrame:
        """Return the frame that the order names."""
        found = self.workspace.find(lambda store: store.load_frame(self.parameters["frame"]))
        if found is None:
            raise ValueError("The file of this work is no longer in the workspace: load it again.")
        return found

    def mended_frame(self) -> pd.DataFrame:
        """Return the frame that the order names, mended as the table of its run was."""
        named = {"preparation": self.parameters["preparation"]}
        kept = self.workspace.find(lambda store: store.find_result(result_key("mends", named)))
        frame = self.frame()
        # Headers that differ in case and spaces alone are taken for the same when columns are matched.
        spelled = {str(column).strip().casefold(): str(column) for column in frame.columns}
        mends = []
        for one in [] if kept is None else kept.payload["mends"]:
            named = one["column"]
            if named not in frame.columns:
                named = spelled.get(named.strip().casefold(), named)
            mends.append(Mend.from_json({**one, "column": named}))
        return mend(frame, mends)

    def valuation(self, key: str | None = None) -> Result:
        """Return the kept valuation of the run that the order belongs to, or of another."""
        name = key or self.parameters["valuation"]
        kept = self.workspace.find(lambda store: store.find_result(name))
        if kept is None:
            raise ValueError(
                "The run of this work is no longer in the workspace: value the rows again."
            )
        return kept

    def run(self, extrinsic_weight: float) -> Run:
        """Return the run that the order belongs to, at a weight."""
        settings = self.settings(extrinsic_weight=extrinsic_weight)
        valuation = read_valuation(self.valuation().folder).reweight(extrinsic_weight)
        return Run(self.prepared(), settings, valuation)

    def fit(self, extrinsic_weight: float) -> EcoVal | CrossValuation:
        """Return the models of the run that the order belongs to, at a weight."""
        fitted = read_fit(self.valuation().folder)
        if fitted is None:
            raise ValueError(
                "The models of this run were too large to be kept, and new rows need them: value the rows "
                "again with fewer clusters, or with a smaller model."
            )
        return fitted.reweight(extrinsic_weight)

    def keep(self, payload: Payload, write: Callable[[Path], None] | None = None) -> Payload:
        """Keep a result under the key of the order."""
        self.workspace.write(
            lambda store: store.save_result(self.key, self.kind, self.parameters, payload, write)
        )
        return payload
