"""A workspace, an exported run and a recipe of the first EcoVal of this format open for good."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import create_model

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs import archive, recipe, run, tasks
from ecoval_core.runs.run import load_run
from ecoval_core.tables import read_frame
from ecoval_core.work import slow
from ecoval_core.workspace import history, schema, workspace
from ecoval_core.workspace.store import DATABASE
from ecoval_core.workspace.workspace import Workspace

GOLDEN = Path(__file__).parent / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
RULES = PruneList(share=0.1, threshold=-0.5)


@pytest.fixture(params=["as it is", "with a field more"])
def model(request, monkeypatch):
    """The documents as they are, or with settings that have got a field with a default."""
    workspace.forget()
    if request.param == "as it is":
        return None
    settings = create_model("Settings", __base__=schema.Settings, penalty=(str, "none"))
    spec = create_model("RunSpec", __base__=schema.RunSpec, settings=(settings, ...))
    manifest = create_model("Manifest", __base__=archive.Manifest, run=(spec, ...))
    followed = create_model("Recipe", __base__=recipe.Recipe, run=(spec, ...))
    for module in (schema, run, tasks, history, slow):
        monkeypatch.setattr(module, "Settings", settings)
    for module in (schema, run, history):
        monkeypatch.setattr(module, "RunSpec", spec)
    monkeypatch.setattr(archive, "Manifest", manifest)
    monkeypatch.setattr(recipe, "Recipe", followed)
    return settings


def check_run(here, run_id, model):
    """Check what a golden run shows and opens with."""
    (listed,) = history.list_runs(here, search="golden")
    record = history.find_run(here, run_id)
    assert record == listed
    assert (record.name, record.state) == ("Golden", "done")
    assert record.note == "Made by the first EcoVal of this format."
    assert record.summary["full_score"] == EXPECTED["full_score"]
    assert record.settings.parameters == {"C": 0.5}
    assert model is None or record.settings.penalty == "none"
    # Asked for again today, it is the same run.
    assert (record.spec.key, record.spec.opened_key) == (EXPECTED["key"], EXPECTED["split"])
    opened = load_run(here, record.key, record.split, record.settings)
    assert opened.ids.tolist() == EXPECTED["ids"]
    np.testing.assert_allclose(opened.frame["value"], EXPECTED["values"], rtol=1e-12)
    review = history.latest_review(here, run_id).review
    assert (review.prune, review.selected) == (RULES, tuple(EXPECTED["ids"][:3]))
    found = here.load(slow.curves(record.key, weight=0.5).key, slow.Curves)
    assert (len(found.frame), found.seconds) == (2, 2.5)


def test_golden_workspace_opens_and_the_golden_archive_is_its_run(tmp_path, model):
    shutil.copyfile(GOLDEN / DATABASE, tmp_path / DATABASE)
    here = Workspace(tmp_path, tmp_path / "temporary")
    assert here.trouble == ""
    check_run(here, EXPECTED["id"], model)
    record = history.find_run(here, EXPECTED["id"])
    assert record.key == EXPECTED["key"]
    assert history.start_run(here, record.spec) == record.id
    assert archive.import_run(here, GOLDEN / "run.ecoval") == record.id


def test_golden_archive_is_imported(tmp_path, model):
    here = Workspace(tmp_path, tmp_path / "temporary")
    run_id = archive.import_run(here, GOLDEN / "run.ecoval")
    check_run(here, run_id, model)
    assert archive.import_run(here, GOLDEN / "run.ecoval") == run_id


def test_golden_recipe_is_followed(model):
    plan = recipe.read_recipe(GOLDEN / "small.recipe.json")
    assert (plan.name, plan.prune, len(plan.labels)) == ("Golden", RULES, 2)
    assert plan.run.key == EXPECTED["key"]
    opened, is_same = recipe.open_table(plan, read_frame(GOLDEN / "small.csv"))
    assert is_same
    again = recipe.replay(plan, opened, is_same)
    assert again.run.ids.tolist() == EXPECTED["ids"]
    # Another processor or scikit-learn may round in another way.
    np.testing.assert_allclose(again.run.frame["value"], EXPECTED["values"], rtol=1e-6)
