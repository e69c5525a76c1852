"""The buttons for report and recipe, on a page of their own."""

import json
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs.opened import describe_table, split_table
from ecoval_core.runs.recipe import open_table, read_recipe, replay
from ecoval_core.runs.run import value_split
from ecoval_core.tables import load_sample
from ecoval_core.workspace.schema import OpenSpec, Settings
from pages.shared import downloads

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module")
def run():
    table = load_sample("wine")
    spec = OpenSpec(table=describe_table(table, sample="wine"))
    opened = split_table(table, spec)
    return value_split(opened, Settings(model="naive_bayes", n_clusters=6, scoring="probability"))


def page(run, gather):
    from ecoval_core.evaluation.pruning import PruneList
    from pages.shared import downloads

    decisions = {int(run.frame.index[0]): "accept", int(run.frame.index[1]): "keep"}
    rules, texts = PruneList(share=0.2), {"name": "Best <run>", "note": "why"}
    downloads.draw_documents(run, rules, decisions, gather=gather, unit="score", **texts)


def test_report_and_recipe_are_made_when_asked_for_and_fit_together(run, offered):
    asked = []

    def gather():
        asked.append(1)
        return {"coordinates": run.X[:, :2], "projection": "UMAP"}

    app = AppTest.from_function(page, args=(run, gather), default_timeout=60).run()
    assert not app.exception
    assert [button.label for button in app.download_button] == ["Report (HTML)", "Recipe (JSON)"]
    assert asked == []
    report, recipe = offered["download_report"], offered["download_recipe"]
    assert list(offered.names.values()) == ["Wine_report.html", "Wine_recipe.json"]
    content = report().decode()
    assert asked == [1]
    assert "placed by UMAP" in content
    assert "<h1><bdi>Best &lt;run&gt;</bdi></h1>" in content
    assert "Values of rows are written in units of probability" in content
    read = read_recipe(recipe())
    assert read.unit == "score"
    assert (read.name, read.note, read.prune) == ("Best <run>", "why", PruneList(share=0.2))
    again = replay(read, *open_table(read))
    assert [again.is_as_expected(made) for made in again.downloads()] == [True] * 6
    embedded = unescape(content.split("<pre")[1].split(">", 1)[1].split("</pre>")[0])
    assert json.loads(embedded)["expected"] == json.loads(recipe())["expected"]


def test_recipe_of_a_large_table_leaves_the_files_out(run, offered, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_CELLS", 100)
    AppTest.from_function(page, args=(run, dict), default_timeout=60).run()
    read = read_recipe(offered["download_recipe"]())
    assert read.expected.files == {}
    assert replay(read, *open_table(read)).has_same_values
