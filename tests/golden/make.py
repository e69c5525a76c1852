"""Make the golden workspace, exported run and recipe, which every later EcoVal must open.

    PYTHONPATH=tests python tests/golden/make.py

Made once, with the first EcoVal of this format; make them again only where a format is given up on purpose.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from small_runs import cleaned_table, curves, keep

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs import archive, recipe
from ecoval_core.runs.opened import save_frame, save_opened
from ecoval_core.runs.run import value_split, values_of
from ecoval_core.work import slow
from ecoval_core.workspace import history
from ecoval_core.workspace.schema import Review, RunSpec, Settings
from ecoval_core.workspace.store import DATABASE
from ecoval_core.workspace.workspace import Workspace

HERE = Path(__file__).parent
SETTINGS = Settings(
    model="logistic_regression", n_clusters=4, scoring="probability", parameters={"C": 0.5},
    extrinsic_weight=0.5, balanced=True,
)  # fmt: skip
RULES = PruneList(share=0.1, threshold=-0.5)


def make(folder: Path) -> None:
    """Value the small table, and keep the run in every form."""
    frame, opened = cleaned_table()
    run = value_split(opened, SETTINGS)
    workspace = Workspace(folder, folder / "temporary")
    save_frame(workspace, frame, opened.spec.table.content)
    save_opened(workspace, opened)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=SETTINGS)
    run_id = history.start_run(workspace, spec, frame=opened.table.content, name="Golden")
    arguments = {"key": run.key, "split": opened.key, "settings": SETTINGS.dump()}
    values = values_of(run.ecoval, 1.5)
    workspace.save(run.key, "value", values, owner=opened.key, arguments=arguments)
    keep(workspace, slow.curves(run.key, weight=0.5), curves())
    history.annotate_run(workspace, run_id, "Made by the first EcoVal of this format.")
    review = Review(selected=tuple(run.ids[:3].tolist()), prune=RULES, extrinsic_weight=0.5)
    history.save_review(workspace, "golden", run_id, "golden", review)
    (HERE / "run.ecoval").write_bytes(archive.export_run(workspace, run_id))
    decisions = {int(run.ids[0]): "accept", int(run.ids[1]): "keep"}
    made = recipe.make_recipe(run, RULES, decisions, name="Golden", created="2026-11-28")
    (HERE / "small.recipe.json").write_bytes(recipe.recipe_bytes(made))
    frame.to_csv(HERE / "small.csv", index=False)
    expected = {
        "id": run_id, "key": run.key, "split": opened.key, "ids": run.ids.tolist(),
        "values": run.frame["value"].tolist(), "full_score": float(run.ecoval.full_score_),
    }  # fmt: skip
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        # The last connection that is closed brings the log into the file.
        assert not (Path(name) / f"{DATABASE}-wal").exists()
        shutil.copyfile(Path(name) / DATABASE, HERE / DATABASE)
