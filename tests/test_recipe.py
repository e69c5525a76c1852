"""Recipes: what they hold, what they refuse, and that they lead to the same bytes again."""

import copy
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from ecoval_core.tables.mending import mend, suggest_mends
from ecoval_core.workspace.fields import shown
from ecoval_core.workspace.recipe_fields import RecipeError
from ecoval_core.workspace.replay import (
    FORMATS,
    WHICH,
    open_table,
    recipe_of,
    replay,
)
from ecoval_core.workspace.units import UNIT_KINDS, unit_of
from ecoval_core.workspace.valuations import read_valuation, write_valuation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from ecoval_core.command_line import main
from ecoval_core.evaluation.pruning import Decision, PruneList
from ecoval_core.tables import load_sample, make_table, prepare, read_frame
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace.exports import export_table
from ecoval_core.workspace.history import rules_to_json
from ecoval_core.workspace.recipe import (
    LabelDecision,
    digest_of_values,
    make_recipe,
    new_labels,
    read_recipe,
    recipe_bytes,
)
from ecoval_core.workspace.runs import Run, Settings, value_prepared
from ecoval_core.workspace.store import Store

FILES = [f"{which}.{kind}" for which in WHICH for kind in FORMATS]


def mixed_frame(n_rows=260, seed=3):
    """Numbers, a category, words (encoded by a decomposition), gaps, a rare class and rows without one."""
    random = np.random.default_rng(seed)
    words = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"])
    frame = pd.DataFrame(
        {
            "width": random.normal(size=n_rows).round(3),
            "height": random.normal(size=n_rows),
            "colour": random.choice(["red", "green", "=1+1"], n_rows),
            "remark": [" ".join(random.choice(words, 6)) for _ in range(n_rows)],
            "batch": random.integers(0, 5, n_rows),
        }
    )
    frame.loc[::17, "height"] = np.nan
    score = frame["width"] + 0.4 * random.normal(size=n_rows)
    frame["verdict"] = pd.Series(np.where(score > 1.0, "rare", "usual"), dtype="str")
    frame.loc[[5, 50], "verdict"] = None
    frame["amount"] = (2 * frame["width"] + random.normal(size=n_rows)).round(4)
    return frame


CASES = {
    "noise, balanced, labels, quota": (
        {"target": "verdict", "excluded": {"amount": "left out by you"}},
        {"noise": 0.1, "proportions": (0.55, 0.25, 0.2), "random_state": 7},
        Settings("logistic_regression", 18, "probability", 0.6, 4, balanced=True),
        PruneList(share=0.3, threshold=0.0005, quota=0.9),
    ),
    "regression": (
        {"target": "amount", "task": "regression", "excluded": {}},
        {},
        Settings("random_forest", 6, "absolute_error", 0.25, 1),
        PruneList(threshold=0.0),
    ),
    "every row": (
        {"target": "verdict", "excluded": ["amount"]},
        {"noise": 0.05},
        Settings("hist_gradient_boosting", 5, "log_loss", every_row=True),
        PruneList(),
    ),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request, tmp_path_factory):
    """A table's file, a run of it, rules that name rows by hand as well, and decisions on labels."""
    choices, preparation, chosen, rules = CASES[request.param]
    file = tmp_path_factory.mktemp("case") / "things.csv"
    mixed_frame().to_csv(file, index=False)
    table = make_table(read_frame(file), file.name, **choices)
    run = value_prepared(prepare(table, **preparation), chosen)
    doubtful = run.frame.sort_values("label_quality").index.tolist()
    rules = rules.pick(doubtful[20:23]).restore(run.frame["value"].nsmallest(2).index)
    decisions = dict.fromkeys(doubtful[:8], "accept") | dict.fromkeys(doubtful[8:12], "keep")
    return file, run, rules, decisions


def downloaded(run, rules, decisions, unit):
    """What the app downloads, the way it asks for it."""
    decided = rules.decide(run.frame["value"], run.class_labels)
    new = {
        int(row): run.frame["suggested_label"].loc[row]
        for row, v in decisions.items()
        if v == "accept"
    }
    return {
        f"{which}.{kind}": export_table(run, which, decided, kind, new, unit)
        for which in WHICH
        for kind in FORMATS
    }


def test_another_process_makes_the_same_bytes(case, tmp_path):
    file, run, rules, decisions = case
    recipe = tmp_path / "recipe.json"
    unit = "score" if run.settings.balanced else "share"
    recipe.write_bytes(recipe_bytes(recipe_of(run, rules, decisions, unit=unit)))
    done = subprocess.run(
        [sys.executable, "-m", "ecoval_core", "replay", recipe, file, "--out", tmp_path / "again",
         "--jobs", "2"],
        capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "ARROW_NUM_THREADS": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = downloaded(run, rules, decisions, unit)
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(FILES)
    for name, content in expected.items():
        assert (tmp_path / "again" / name).read_bytes() == content, name
    assert f"Same bytes as in the recipe: {', '.join(FILES)}\n" in done.stdout
    assert "Values: the same to the last bit\n" in done.stdout
    n_pruned = len(rules.reasons(run.frame["value"], run.class_labels))
    assert f" rows valued, {n_pruned} go, 8 get another " in done.stdout


def test_the_workspace_gives_back_what_leads_to_the_same_recipe(case, tmp_path):
    _, run, rules, decisions = case
    store = Store(tmp_path)
    store.save_frame(run.prepared.table.content, run.prepared.table.frame)
    store.save_prepared(run.prepared)
    prepared = store.load_prepared(run.prepared.fingerprint)
    (tmp_path / "valuation").mkdir()
    write_valuation(value_prepared(prepared, run.settings).ecoval, tmp_path / "valuation")
    kept = Run(prepared, run.settings, read_valuation(tmp_path / "valuation"))
    assert digest_of_values(kept) == digest_of_values(run)
    assert recipe_of(kept, rules, decisions) == recipe_of(run, rules, decisions)


def test_neither_threads_nor_the_order_in_memory_change_a_bit(tmp_path):
    # Large enough for the libraries beneath to share the work out.
    frame = mixed_frame(6_000)
    table = make_table(frame, "things.csv", "verdict", excluded=["amount"])
    prepared = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            prepared.append(prepare(table))
    for name in ("X_train", "X_val", "X_test"):
        assert np.array_equal(getattr(prepared[0], name), getattr(prepared[1], name))
    titanic = prepare(load_sample("titanic"), noise=0.1)
    store = Store(tmp_path)
    store.save_frame(titanic.table.content, titanic.table.frame)
    store.save_prepared(titanic)
    kept = store.load_prepared(titanic.fingerprint)
    chosen = Settings("logistic_regression", 20, "probability")
    first, second = (digest_of_values(value_prepared(data, chosen)) for data in (titanic, kept))
    assert first == second


def test_a_recipe_holds_what_it_was_made_of(case):
    _, run, rules, decisions = case
    made = recipe_bytes(
        recipe_of(run, rules, decisions, name="A run", note="“why” ‮", created="today")
    )
    read = read_recipe(made)
    table = run.prepared.table
    assert (read.name, read.note, read.created) == ("A run", "“why” ‮", "today")
    assert (read.table, read.kind, read.content) == ("things.csv", "csv", table.content)
    assert (read.target, read.task, read.excluded) == (table.target, table.task, table.excluded)
    assert (read.settings, read.rules) == (run.settings, rules)
    assert (read.proportions, read.noise) == (run.prepared.proportions, run.prepared.noise)
    assert {row: made.verdict for row, made in read.labels.items()} == decisions
    assert read.relabelled == new_labels(run, decisions)
    assert (read.surplus, read.unit) == (run.ecoval.surplus_, "share")
    assert recipe_bytes(json.loads(made)) == made


def test_a_reweighted_run_is_replayed_at_its_weight():
    prepared = prepare(load_sample("wine"), noise=0.1)
    run = value_prepared(prepared, Settings("naive_bayes", 8, "probability")).reweight(0.75)
    recipe = read_recipe(recipe_bytes(recipe_of(run, PruneList(share=0.2))))
    assert recipe.settings.extrinsic_weight == 0.75
    again = replay(recipe, open_table(recipe))
    assert again.has_same_values
    assert [again.is_as_expected(made) for made in again.downloads()] == [True] * 6


# --- The command ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wine():
    """A run of a bundled sample, and its recipe."""
    run = value_prepared(prepare(load_sample("wine")), Settings("naive_bayes", 8, "probability"))
    decisions = {int(run.frame.index[0]): "accept", int(run.frame.index[1]): "keep"}
    rules = PruneList(share=0.1, quota=0.5)
    return run, recipe_of(run, rules, decisions, created="2026-11-24")


def follow(recipe, *arguments, folder):
    path = folder / "recipe.json"
    path.write_bytes(recipe if isinstance(recipe, bytes) else recipe_bytes(recipe))
    arguments = ["replay", path, *arguments, "--out", folder / "again"]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_sample_needs_no_file(wine, tmp_path):
    run, recipe = wine
    assert (recipe["table"]["kind"], recipe["table"]["sample"]) == ("sample", "wine")
    done = follow(recipe, folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    pruned = read_recipe(recipe_bytes(recipe)).rules.reasons(run.frame["value"], run.class_labels)
    label = run.frame["suggested_label"].iloc[0]
    new = {int(run.frame.index[0]): label}
    decided = Decision(pruned, np.empty(0, np.int64))
    expected = export_table(run, "kept", decided, "csv", new)
    assert (tmp_path / "again" / "kept.csv").read_bytes() == expected


@pytest.mark.parametrize("unit", UNIT_KINDS)
def test_the_unit_of_a_recipe_is_that_of_its_files(wine, unit, tmp_path):
    run, rules = wine[0], PruneList(share=0.1)
    done = follow(recipe_of(run, rules, unit=unit), folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    made = pd.read_parquet(tmp_path / "again" / "all_values.parquet").set_index("row_id")
    shown = unit_of(run, unit)
    assert set(made["unit"]) == {shown.name}
    assert (made.loc[run.ids, "value"] == shown.scale(run.frame)["value"]).all()
    pruned = rules.reasons(run.frame["value"], run.class_labels)
    assert made.index[made["pruned"]].tolist() == sorted(pruned.index)
    assert set(made.loc[pruned.index, "reason"]) == {"share"}


def test_a_recipe_from_before_downloads_had_a_unit_is_followed_as_it_was_made(wine, tmp_path):
    run, recipe = wine[0], copy.deepcopy(wine[1])
    recipe["ecoval_recipe"] = 1
    del recipe["unit"]
    recipe["expected"]["files"] |= dict.fromkeys(("all_values.csv", "removed.csv"), "0" * 64)
    assert read_recipe(recipe_bytes(recipe)).unit == "score"
    done = follow(recipe, folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    lines = done.stdout.splitlines()
    assert "Same bytes as in the recipe: kept.csv, kept.parquet" in lines
    assert f"The recipe expects nothing of: {', '.join(FILES[2:])}" in lines
    assert "Values: the same to the last bit" in lines
    made = pd.read_parquet(tmp_path / "again" / "all_values.parquet").set_index("row_id")
    assert (made.loc[run.ids, "value"] == run.frame["value"]).all()
    recipe["unit"] = "share"
    done = follow(recipe, folder=tmp_path)
    assert done.stderr.endswith("'unit' is a field that is not known here.\n")


def test_another_table_is_refused_by_both_digests_unless_told_otherwise(wine, tmp_path):
    run, recipe = wine
    frame = run.prepared.table.frame.copy()
    frame.loc[3, "alcohol"] += 0.01
    frame.to_csv(tmp_path / "wine.csv", index=False)
    other = make_table(read_frame(tmp_path / "wine.csv"), "wine.csv", "cultivar").content
    done = follow(recipe, tmp_path / "wine.csv", folder=tmp_path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"has the digest {other} (178 rows, 14 columns)" in done.stderr
    assert f"'Wine' had {recipe['table']['content']} (178 rows" in done.stderr
    assert not (tmp_path / "again").exists()
    done = follow(recipe, tmp_path / "wine.csv", "--any-table", folder=tmp_path)
    assert done.exit_code == 0
    assert "The table is another one, so nothing is compared with the recipe.\n" in done.stdout
    assert "Same bytes" not in done.stdout
    assert (tmp_path / "again" / "all_values.parquet").exists()


def test_a_table_that_lacks_rows_of_the_decisions_can_be_tried(wine, tmp_path):
    run, recipe = wine
    run.prepared.table.frame.iloc[20:].to_csv(tmp_path / "part.csv", index=False)
    done = follow(recipe, tmp_path / "part.csv", "--any-table", folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)


def test_a_missing_table_is_asked_for_by_its_name(wine, tmp_path):
    recipe = copy.deepcopy(wine[1])
    recipe["table"] |= {"kind": "csv", "sample": None, "name": "cellar.csv"}
    done = follow(recipe, folder=tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr == "Error: The recipe is of the table 'cellar.csv': give that file as well.\n"
    )


def test_other_bytes_are_named_with_the_versions_that_differ(wine, tmp_path):
    recipe = copy.deepcopy(wine[1])
    recipe["expected"]["files"]["removed.parquet"] = "0" * 64
    recipe["expected"]["files"]["more.csv"] = "0" * 64
    del recipe["expected"]["files"]["kept.csv"]
    recipe["versions"]["pandas"] = "2.9\x1b[31m"
    done = follow(recipe, folder=tmp_path)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert (
        "Same bytes as in the recipe: kept.parquet, removed.csv, all_values.csv, all_values.parquet"
        in lines
    )
    assert "Other bytes: removed.parquet, more.csv" in lines
    assert "The recipe expects nothing of: kept.csv" in lines
    assert (
        f"The recipe was made with pandas '2.9\\x1b[31m', and here is {pd.__version__!r}." in lines
    )
    assert not any("numpy" in line for line in lines)


def test_other_values_are_told_with_surplus_and_count(wine, tmp_path):
    recipe = copy.deepcopy(wine[1])
    recipe["settings"]["seed"] = 5
    done = follow(recipe, folder=tmp_path)
    assert done.exit_code == 1
    assert "Values: not the same bits\n" in done.stdout
    expected = recipe["expected"]
    assert re.search(
        rf"Surplus 0\.\d+ here, {expected['surplus']:.6f} in the recipe; ", done.stdout
    )
    assert "All versions are the same: the processor or a library beneath " in done.stdout


def test_a_column_that_parquet_cannot_hold_leaves_the_csv(tmp_path):
    frame = mixed_frame(80).dropna()
    frame["note"] = pd.Series([1, "two", 2.5] * 40, dtype=object)[: len(frame)].to_list()
    frame.to_excel(tmp_path / "mixed.xlsx", index=False)
    table = make_table(read_frame(tmp_path / "mixed.xlsx"), "mixed.xlsx", "amount", "regression")
    run = value_prepared(prepare(table), Settings("ridge", 5, "squared_error"))
    recipe = recipe_of(run, PruneList(share=0.1))
    assert sorted(recipe["expected"]["files"]) == ["all_values.csv", "kept.csv", "removed.csv"]
    assert recipe["table"]["kind"] == "excel"
    done = follow(recipe, tmp_path / "mixed.xlsx", folder=tmp_path)
    assert done.exit_code == 0
    assert "No Parquet: Column 'note' mixes kinds of values" in done.stderr
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        "all_values.csv", "kept.csv", "removed.csv",
    ]  # fmt: skip


def test_a_name_in_a_recipe_cannot_command_the_terminal(wine, tmp_path):
    recipe = copy.deepcopy(wine[1])
    recipe["table"]["name"] = "\x1b]0;title\x07\r\nWine"
    done = follow(recipe, folder=tmp_path)
    assert done.exit_code == 0
    assert not set("\x1b\x07\r") & set(done.output)


def test_files_that_are_read_are_not_written_over(wine, tmp_path):
    run, recipe = wine
    (tmp_path / "again").mkdir()
    table = tmp_path / "again" / "kept.csv"
    run.prepared.table.frame.to_csv(table, index=False)
    before = table.read_bytes()
    recipe = copy.deepcopy(recipe)
    recipe["table"]["content"] = make_table(read_frame(table), "kept.csv", "cultivar").content
    done = follow(recipe, table, folder=tmp_path)
    assert (done.exit_code, table.read_bytes()) == (2, before)
    assert "is the table itself: choose another file to write." in done.stderr
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(
        main, ["replay", str(tmp_path / "recipe.json"), "--out", str(tmp_path / "file")]
    )
    assert (done.exit_code, done.stdout) == (2, "")


def test_value_writes_a_recipe_that_replays_to_the_same_file(tmp_path):
    mixed_frame(120).to_csv(tmp_path / "things.csv", index=False)
    arguments = [
        "value",
        "things.csv",
        "--target",
        "verdict",
        "--out",
        "values.csv",
        "--recipe",
        "r.json",
    ]
    arguments = [str(tmp_path / a) if "." in a else a for a in arguments]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.exception) == (0, None)
    assert done.stdout.endswith(f"{tmp_path / 'values.csv'}, {tmp_path / 'r.json'}\n")
    content = (tmp_path / "r.json").read_bytes()
    done = follow(content, tmp_path / "things.csv", folder=tmp_path)
    assert done.exit_code == 0
    again = (tmp_path / "again" / "all_values.csv").read_bytes()
    assert (tmp_path / "values.csv").read_bytes() == again


def test_mends_are_made_before_anything_else(tmp_path):
    frame = mixed_frame(150)
    frame["share"] = [f"{number:.1f} %" for number in np.abs(frame["width"]) * 10]
    frame.loc[::11, "colour"] = "Red "
    frame.loc[3, "share"] = "?"
    frame.to_csv(tmp_path / "spelt.csv", index=False)
    frame = read_frame(tmp_path / "spelt.csv")
    mends = suggest_mends(frame)
    assert {one.column for one in mends} >= {"colour", "share"}
    table = make_table(mend(frame, mends), "spelt.csv", "verdict")
    run = value_prepared(prepare(table), Settings("naive_bayes", 8, "probability"))
    kept = [one.to_json() for one in mends]
    made = recipe_of(run, PruneList(share=0.1), mends=kept, content=content_digest(frame))
    assert made["table"]["content"] != table.content
    done = follow(made, tmp_path / "spelt.csv", folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    assert f"Same bytes as in the recipe: {', '.join(FILES)}\n" in done.stdout
    for wrong in ({}, {"column": ["x"]}, {**kept[0], "mapping": 3}, {**kept[0], "kind": "eval"}):
        made["mends"] = [kept[0], wrong]
        done = follow(made, tmp_path / "spelt.csv", folder=tmp_path)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "The recipe cannot be followed: mends[1] is {" in done.stderr


# --- What is refused -----------------------------------------------------------------------


def example():
    """A recipe with every kind of field, made without a run."""
    digest = "0123456789abcdef" * 4
    return {
        "ecoval_recipe": 2, "name": "n", "note": "", "created": "2026-11-24",
        "table": {
            "name": "t.csv", "kind": "csv", "sample": None, "content": digest[:32], "rows": 100,
            "columns": 4,
        },
        "mends": [{"kind": "merge", "column": "a", "from": ["x", "y"], "to": "x"}],
        "data": {
            "target": "y", "task": "classification", "excluded": {"id": "looks like an id"},
            "proportions": [0.6, 0.2, 0.2], "noise": 0.1, "seed": 0,
        },
        "settings": {
            "model": "naive_bayes", "n_clusters": 8, "scoring": "probability", "extrinsic_weight": 0.25,
            "seed": 0, "every_row": False, "balanced": True,
        },
        "prune": rules_to_json(PruneList(0.1, -0.5, frozenset({3}), frozenset({4, 99}))),
        "labels": {"3": {"decision": "accept", "label": "b"}, "0": {"decision": "keep"}},
        "unit": "share",
        "expected": {"values": digest, "surplus": 0.4, "pruned": 10, "files": {"kept.csv": digest}},
        "versions": {"pandas": "3.1.1"},
    }  # fmt: skip


def test_the_example_is_sound():
    read = read_recipe(recipe_bytes(example()))
    assert read.labels == {3: LabelDecision("accept", "b"), 0: LabelDecision("keep")}
    assert read.mends == tuple(example()["mends"])


def put(recipe, path, value):
    *parents, last = path
    for step in parents:
        recipe = recipe[step]
    recipe[last] = value


WRONG = [
    ("ecoval_recipe", 0), ("ecoval_recipe", "1"), ("name", 3), ("note", None), ("table.name", []),
    ("table.kind", "pickle"), ("table.sample", "wine"), ("table.sample", "../wine"),
    ("table.content", "0" * 31), ("table.content", "G" * 32), ("table.rows", 0), ("table.rows", 1.5),
    ("table.columns", True), ("mends", {}), ("mends", ["x"]), ("data.target", None), ("data.target", "id"),
    ("data.task", "ranking"), ("data.excluded", ["id"]), ("data.excluded", {"a": 1}),
    ("data.proportions", [0.5, 0.5]), ("data.proportions", [0.9, 0.2, 0.2]),
    ("data.proportions", [0.5, 0.5, 0]), ("data.noise", 1), ("data.noise", -0.1), ("data.seed", -1),
    ("data.seed", 2**32), ("settings.model", "os.system"), ("settings.model", "ridge"),
    ("settings.n_clusters", 0), ("settings.n_clusters", 10**400), ("settings.scoring", "squared_error"),
    ("settings.extrinsic_weight", -1), ("settings.extrinsic_weight", 1e7), ("settings.seed", None),
    ("settings.every_row", 1), ("settings.balanced", "yes"), ("prune.share", 1), ("prune.threshold", "low"),
    ("prune.picked", [100]), ("prune.picked", [1.0]), ("prune.restored", [-1]), ("prune.quota", 1.1),
    ("labels", []), ("labels.3", {"decision": "accept"}), ("labels.3", {"decision": "keep", "label": "b"}),
    ("labels.3.label", {"a": 1}), ("labels.3.label", True), ("labels.0.decision", "maybe"),
    ("unit", "percent"), ("unit", None),
    ("expected.values", "x"), ("expected.surplus", [1]), ("expected.pruned", -3),
    ("expected.files", {"kept.csv": "x"}), ("versions", {"pandas": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda case: str(case)[:30])
def test_a_wrong_field_is_named(field, value):
    recipe = example()
    put(recipe, field.split("."), value)
    with pytest.raises(RecipeError) as refused:
        read_recipe(json.dumps(recipe).encode())
    message = str(refused.value)
    assert message.startswith("The recipe cannot be followed: ")
    named = re.sub(r"labels\.(\d)", r"labels['\1']", field)
    assert named in message
    assert message.count("\n") == 0
    assert len(message) < 400


def paths(value, before=()):
    """Every field of a recipe."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in items:
        yield (*before, key)
        yield from paths(one, (*before, key))


FREE = {"data.excluded.id", "expected.files.kept.csv", "versions.pandas", "labels.3", "labels.0"}


FIXED = [
    path
    for path in paths(example())
    if isinstance(path[-1], str) and path[0] != "mends" and ".".join(path) not in FREE
]


@pytest.mark.parametrize("path", FIXED, ids=str)
def test_a_field_that_is_missing_or_unknown_is_named(path):
    def spoilt(spoil):
        recipe = example()
        inside = recipe
        for step in path[:-1]:
            inside = inside[step]
        spoil(inside)
        return recipe_bytes(recipe)

    with pytest.raises(RecipeError, match=f"{path[-1]}( is missing)?\\.$"):
        read_recipe(spoilt(lambda inside: inside.pop(path[-1])))
    with pytest.raises(RecipeError, match="'other'"):
        read_recipe(spoilt(lambda inside: inside.update(other=1)))


@pytest.mark.parametrize("row", ["100", "-1", "007", "1.0", "३", "", "1e3", "9" * 5000])
def test_a_label_of_no_row_is_refused(row):
    recipe = example()
    recipe["labels"][row] = {"decision": "keep"}
    with pytest.raises(RecipeError, match=r"labels\["):
        read_recipe(recipe_bytes(recipe))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b"PK\x03\x04\xff", "not text in UTF-8"),
        (b"[]", "no recipe of EcoVal"),
        (b"null", "no recipe of EcoVal"),
        (b'{"a": 1}', "no recipe of EcoVal"),
        (b'{"ecoval_recipe": 3, "cells": {}}', "made by a later EcoVal"),
        (b'{"ecoval_recipe": 1, "name": NaN}', "NaN"),
        (b'{"ecoval_recipe": 1, "ecoval_recipe": 1}', "'ecoval_recipe' twice"),
        (b'{"ecoval_recipe": ' + b"9" * 6000 + b"}", "too many digits"),
        (b"[" * 200_000, "nests too deeply"),
        (b'{"ecoval_recipe": 1, "mends": ' + b'[{"a": ' * 400 + b"1" + b"}]" * 400 + b"}", ""),
        (b'{"ecoval_recipe": ' + b"[" * 900 + b"]" * 900 + b"}", ""),
        (b" " * (2**26 + 1), "more than 64 MB"),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_refused_in_a_sentence(content, words, tmp_path):
    with pytest.raises(RecipeError) as refused:
        read_recipe(content)
    assert words in str(refused.value)
    done = follow(content, folder=tmp_path)
    assert (done.exit_code, done.stderr) == (2, f"Error: {refused.value}\n")


def test_a_mend_may_not_hide_what_json_cannot_write():
    recipe = recipe_bytes(example()).replace(b'"to": "x"', b'"to": 1e999')
    with pytest.raises(RecipeError, match=r"mends\[0\]"):
        read_recipe(recipe)
    for depth, is_sound in ((19, True), (20, False), (450, False)):
        nested = b"[" * depth + b"]" * depth
        deep = recipe_bytes(example()).replace(b'"to": "x"', b'"to": ' + nested)
        if is_sound:
            assert read_recipe(deep).mends
        else:
            with pytest.raises(RecipeError, match=r"mends\[0\].* at most 20 deep|nests too deeply"):
                read_recipe(deep)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    done = CliRunner().invoke(main, ["replay", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"The recipe {str(tmp_path)!r} cannot be opened (Is a directory)" in done.stderr


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(list(paths(example()))), value=ANYTHING)
def test_whatever_stands_in_a_field_is_taken_or_refused_with_its_name(path, value):
    recipe = example()
    put(recipe, path, value)
    content = json.dumps(recipe).encode()
    try:
        read = read_recipe(content)
    except RecipeError as error:
        message = str(error)
        assert message.isprintable()
        # One that names the field, the part it is in, or what JSON itself does not allow.
        is_about = any(shown(step).strip("'") in message for step in path if isinstance(step, str))
        assert is_about or "finite number" in message
    else:
        # Sound means that it can be written and read again, and that every number has its kind.
        assert read_recipe(content) == read
        assert isinstance(read.settings.n_clusters, int)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(data):
    content = bytearray(recipe_bytes(example()))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "double"]))
        if kind == "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        else:
            content[at:at] = content[at : at + 30]
        if not content:
            break
    message = ""
    try:
        read_recipe(bytes(content))
    except RecipeError as error:
        message = str(error)
    assert message.isprintable()


def test_decisions_on_rows_that_were_not_valued_are_left_out(wine):
    run = wine[0]
    test_row = int(run.prepared.ids_test[0])
    made = make_recipe(run, PruneList(), {test_row: "accept"})
    assert made["labels"] == {}
