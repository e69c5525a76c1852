"""Recipes: what they hold, what they refuse, and that they lead to the same bytes again."""

import io
import json
import os
import re
import subprocess
import sys
from functools import reduce
from operator import getitem
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_runs import open_table as opened_of
from test_schema import ANYTHING

from ecoval_core.command_line import main
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs.exports import export_table, unit_of
from ecoval_core.runs.opened import describe_table, split_table
from ecoval_core.runs.recipe import (
    FORMATS,
    VERSION,
    WHICH,
    make_recipe,
    new_labels,
    open_table,
    read_recipe,
    recipe_bytes,
    replay,
)
from ecoval_core.runs.run import value_split
from ecoval_core.tables import clean, load_sample, make_table, read_frame, suggest_fixes
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace.schema import OpenSpec, Settings, UnitKind

FILES = [f"{which}.{kind}" for which in WHICH for kind in FORMATS]


def mixed_frame(n_rows=200, seed=3):
    """Numbers, a category, words (encoded by a decomposition), gaps, a rare class and rows without one."""
    random = np.random.default_rng(seed)
    words = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"])
    frame = pd.DataFrame(
        {
            "width": random.normal(size=n_rows).round(3),
            "height": random.normal(size=n_rows),
            "colour": random.choice(["red", "green", "=1+1"], n_rows),
            "remark": [" ".join(random.choice(words, 6)) for _ in range(n_rows)],
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
        {
            "model": "logistic_regression", "n_clusters": 12, "scoring": "probability",
            "extrinsic_weight": 0.6, "random_state": 4, "balanced": True,
        },
        PruneList(share=0.3, threshold=0.0005, quota=0.9),
    ),
    "amounts, every row": (
        {"target": "amount", "task": "regression", "excluded": {}},
        {},
        {
            "model": "ridge", "n_clusters": 6, "scoring": "absolute_error", "every_row": True,
            "parameters": {"alpha": 3.0},
        },
        PruneList(threshold=0.0),
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(CASES))
def case(request, tmp_path_factory):
    """A table's file, a run of it, rules that name rows by hand as well, and decisions on labels."""
    choices, split, chosen, rules = CASES[request.param]
    file = tmp_path_factory.mktemp("case") / "things.csv"
    mixed_frame().to_csv(file, index=False)
    table = make_table(read_frame(file), file.name, **choices)
    run = value_split(opened_of(table, **split), Settings(**chosen))
    doubtful = run.frame.sort_values("label_quality").index.tolist()
    rules = rules.pick(doubtful[20:23]).restore(run.frame["value"].nsmallest(2).index)
    decisions = dict.fromkeys(doubtful[:8], "accept") | dict.fromkeys(doubtful[8:12], "keep")
    return file, run, rules, decisions


@pytest.mark.slow
def test_another_process_makes_the_same_bytes(case, tmp_path):
    file, run, rules, decisions = case
    unit = "score" if run.settings.balanced else "share"
    recipe, again = tmp_path / "recipe.json", tmp_path / "again"
    recipe.write_bytes(recipe_bytes(make_recipe(run, rules, decisions, unit=unit)))
    done = subprocess.run(
        [sys.executable, "-m", "ecoval_core", "replay", recipe, file, "--out", again],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in again.iterdir()) == sorted(FILES)
    new = new_labels(run, decisions)
    decided = rules.decide(run.frame["value"], run.class_labels, new)
    assert len(new) == 8
    for name in FILES:
        which, kind = name.split(".")
        assert (again / name).read_bytes() == export_table(run, which, decided, kind, new, unit)
    assert f"Same bytes as in the recipe: {', '.join(FILES)}\n" in done.stdout
    assert "Values: the same to the last bit\n" in done.stdout
    assert f" rows valued, {len(decided.reasons)} go, 8 get another " in done.stdout


def test_recipe_holds_what_it_was_made_of(case):
    _, run, rules, decisions = case
    recipe = make_recipe(run, rules, decisions, name="A run", note="“why” ‮", created="today")
    read = read_recipe(recipe_bytes(recipe))
    assert read == recipe
    assert recipe_bytes(read) == recipe_bytes(recipe)
    assert (read.name, read.note, read.created) == ("A run", "“why” ‮", "today")
    assert (read.run, read.prune, read.unit) == (run.spec, rules, "rows")
    assert {row: made.decision for row, made in read.labels.items()} == decisions
    assert read.relabelled == new_labels(run, decisions)
    assert read.expected.surplus == run.ecoval.surplus_


# --- A sample -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wine():
    """A run of a bundled sample, and its recipe."""
    spec = OpenSpec(table=describe_table(load_sample("wine"), sample="wine"))
    opened = split_table(load_sample("wine"), spec)
    run = value_split(opened, Settings(model="naive_bayes", n_clusters=8, scoring="probability"))
    decisions = {int(run.frame.index[0]): "accept", int(run.frame.index[1]): "keep"}
    return run, make_recipe(run, PruneList(share=0.1, quota=0.5), decisions, created="2026-11-24")


def as_json(recipe):
    return json.loads(recipe_bytes(recipe))


def follow(recipe, *arguments, folder):
    path = folder / "recipe.json"
    path.write_bytes(recipe if isinstance(recipe, bytes) else json.dumps(recipe).encode())
    arguments = ["replay", path, *arguments, "--out", folder / "again"]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_recipe_is_read_from_a_path_and_with_a_byte_order_mark(wine, tmp_path):
    content = recipe_bytes(make_recipe(wine[0], PruneList(), with_files=False))
    (tmp_path / "r.json").write_bytes(content)
    assert read_recipe(tmp_path / "r.json") == read_recipe(b"\xef\xbb\xbf" + content)
    assert read_recipe(content).expected.files == {}


@pytest.mark.parametrize("unit", get_args(UnitKind))
def test_run_is_replayed_at_its_weight_and_in_its_unit(wine, unit):
    run = wine[0].reweight(0.75)
    recipe = read_recipe(recipe_bytes(make_recipe(run, PruneList(share=0.2), unit=unit)))
    assert recipe.run.settings.extrinsic_weight == 0.75
    again = replay(recipe, *open_table(recipe))
    assert again.has_same_values
    made = {one.name: one for one in again.downloads()}
    assert [again.is_as_expected(one) for one in made.values()] == [True] * 6
    values = pd.read_parquet(io.BytesIO(made["all_values.parquet"].content))
    assert set(values["unit"]) == {unit_of(run, unit).name}


def test_sample_needs_no_file_and_its_name_cannot_command_the_terminal(wine, tmp_path):
    recipe = as_json(wine[1])
    recipe["run"]["table"]["name"] = "\x1b]0;title\x07\r\nWine"
    done = follow(recipe, folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    assert f"Same bytes as in the recipe: {', '.join(FILES)}\n" in done.stdout
    assert not set("\x1b\x07\r") & set(done.output)


def test_another_table_is_refused_by_both_digests_unless_told_otherwise(wine, tmp_path):
    run, recipe = wine
    frame = run.table.frame.iloc[20:]
    frame.to_csv(tmp_path / "wine.csv", index=False)
    other = content_digest(read_frame(tmp_path / "wine.csv"))
    done = follow(as_json(recipe), tmp_path / "wine.csv", folder=tmp_path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"has the digest {other} (158 rows, 14 columns)" in done.stderr
    assert f"had {run.table.content} (178 rows" in done.stderr
    assert not (tmp_path / "again").exists()
    done = follow(as_json(recipe), tmp_path / "wine.csv", "--any-table", folder=tmp_path)
    assert done.exit_code == 0
    assert "The table is another one, so nothing is compared with the recipe.\n" in done.stdout
    assert (tmp_path / "again" / "all_values.parquet").exists()


def test_missing_table_is_asked_for_by_its_name(wine, tmp_path):
    recipe = as_json(wine[1])
    recipe["run"]["table"] |= {"sample": None, "name": "cellar.csv"}
    done = follow(recipe, folder=tmp_path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'cellar.csv'" in done.stderr


def test_other_bytes_and_values_are_named_with_the_versions_that_differ(wine, tmp_path):
    recipe = as_json(wine[1])
    recipe["expected"]["files"]["removed.parquet"] = "0" * 64
    recipe["expected"]["files"]["more.csv"] = "0" * 64
    del recipe["expected"]["files"]["kept.csv"]
    recipe["versions"]["pandas"] = "2.9\x1b[31m"
    done = follow(recipe, folder=tmp_path)
    assert done.exit_code == 1
    for line in (
        "Same bytes as in the recipe: kept.parquet, removed.csv, all_values.csv, all_values.parquet",
        "Other bytes: removed.parquet, more.csv",
        "The recipe expects nothing of: kept.csv",
        f"The recipe was made with pandas '2.9\\x1b[31m', and here is {pd.__version__!r}.",
    ):
        assert line in done.stdout.splitlines()
    recipe = as_json(wine[1])
    recipe["run"]["settings"]["random_state"] = 5
    done = follow(recipe, folder=tmp_path)
    assert done.exit_code == 1
    assert "Values: not the same bits\n" in done.stdout
    surplus = recipe["expected"]["surplus"]
    assert re.search(rf"Surplus 0\.\d+ here, {surplus:.6f} in the recipe; ", done.stdout)
    recipe = as_json(wine[1])
    recipe["expected"]["pruned"] += 2
    recipe["expected"]["files"]["kept.csv"] = "0" * 64
    done = follow(recipe, folder=tmp_path)
    assert "rows with an accepted label are no longer pruned" in done.stdout
    assert "rounds differently" not in done.stdout


def test_column_that_parquet_cannot_hold_leaves_the_csv(tmp_path):
    frame = mixed_frame(80).dropna()
    frame["note"] = pd.Series([1, "two", 2.5] * 40, dtype=object)[: len(frame)].to_list()
    frame.to_excel(tmp_path / "mixed.xlsx", index=False)
    table = make_table(read_frame(tmp_path / "mixed.xlsx"), "mixed.xlsx", "amount", "regression")
    chosen = Settings(model="ridge", n_clusters=5, scoring="squared_error")
    recipe = make_recipe(value_split(opened_of(table), chosen), PruneList(share=0.4))
    assert sorted(recipe.expected.files) == ["all_values.csv", "kept.csv", "removed.csv"]
    done = follow(as_json(recipe), tmp_path / "mixed.xlsx", folder=tmp_path)
    assert done.exit_code == 0
    assert "No Parquet: Column 'note' mixes kinds of values" in done.stderr
    made = sorted(path.name for path in (tmp_path / "again").iterdir())
    assert made == sorted(recipe.expected.files)


def test_table_that_is_read_is_not_written_over(wine, tmp_path):
    run, recipe = wine
    (tmp_path / "again").mkdir()
    table = tmp_path / "again" / "kept.csv"
    run.table.frame.to_csv(table, index=False)
    before = table.read_bytes()
    recipe = as_json(recipe)
    recipe["run"]["table"]["content"] = content_digest(read_frame(table))
    done = follow(recipe, table, folder=tmp_path)
    assert (done.exit_code, table.read_bytes()) == (2, before)
    assert "is the table itself: choose another file to write." in done.stderr


def test_fixes_are_done_before_anything_else(tmp_path):
    frame = mixed_frame(150)
    frame["share"] = [f"{number:.1f} %" for number in np.abs(frame["width"]) * 10]
    frame.loc[::11, "colour"] = "Red "
    frame.loc[3, "share"] = "?"
    frame.to_csv(tmp_path / "spelt.csv", index=False)
    frame = read_frame(tmp_path / "spelt.csv")
    fixes = suggest_fixes(frame)
    assert {one.column for one in fixes} >= {"colour", "share"}
    table = make_table(clean(frame, fixes), "spelt.csv", "verdict")
    spec = OpenSpec(table=describe_table(table, content=content_digest(frame), fixes=fixes))
    opened = split_table(table, spec)
    chosen = Settings(model="naive_bayes", n_clusters=8, scoring="probability")
    recipe = as_json(make_recipe(value_split(opened, chosen), PruneList(share=0.1)))
    done = follow(recipe, tmp_path / "spelt.csv", folder=tmp_path)
    assert (done.exit_code, done.exception) == (0, None)
    assert f"Same bytes as in the recipe: {', '.join(FILES)}\n" in done.stdout
    recipe["run"]["table"]["fixes"][1] |= {"kind": "eval"}
    done = follow(recipe, tmp_path / "spelt.csv", folder=tmp_path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "The recipe cannot be followed: run.table.fixes.1.kind is 'eval': " in done.stderr


def test_decisions_on_rows_that_were_not_valued_are_left_out(wine):
    test_row = int(wine[0].split.ids_test[0])
    assert make_recipe(wine[0], PruneList(), {test_row: "accept"}).labels == {}


# --- What is refused -----------------------------------------------------------------------


def example():
    """A recipe with every kind of field, made without a run."""
    digest = "0123456789abcdef" * 4
    return {
        "ecoval_recipe": VERSION, "name": "n", "note": "", "created": "2026-11-24",
        "run": {
            "table": {
                "name": "t.csv", "content": digest[:32], "target": "y", "task": "classification",
                "excluded": {"id": "looks like an id"},
                "fixes": [
                    {
                        "column": "a", "kind": "spelling", "sentence": "s", "n_cells": 1,
                        "mapping": [["y", "x"]],
                    }
                ],
            },
            "split": {"proportions": [0.6, 0.2, 0.2], "noise": 0.1},
            "settings": {
                "model": "naive_bayes", "n_clusters": 8, "scoring": "probability", "balanced": True,
            },
        },
        "rows": 100, "columns": 4,
        "prune": {"share": 0.1, "threshold": -0.5, "picked": [3], "restored": [4, 99], "quota": 0.5},
        "labels": {"3": {"decision": "accept", "label": "b"}, "0": {"decision": "keep"}},
        "unit": "share",
        "expected": {"values": digest, "surplus": 0.4, "pruned": 10, "files": {"kept.csv": digest}},
        "versions": {"pandas": "3.1.1"},
    }  # fmt: skip


def put(recipe, path, value):
    *parents, last = path
    reduce(getitem, parents, recipe)[last] = value


def refusal(recipe):
    content = recipe if isinstance(recipe, bytes) else json.dumps(recipe).encode()
    with pytest.raises(ValueError) as refused:
        read_recipe(content)
    sentence = str(refused.value)
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert len(sentence) < 400
    return sentence


def test_example_is_sound():
    assert read_recipe(json.dumps(example()).encode()).relabelled == {3: "b"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ecoval_recipe", "x", "ecoval_recipe"),
        ("rows", 0, "rows"),
        ("unit", "percent", "unit"),
        ("run.settings.model", "os.system", "settings.model is 'os.system': choose one of"),
        ("run.settings.model", "ridge", "settings.model is 'ridge'"),
        ("prune.share", 1, "The share to prune must lie in"),
        ("prune.picked", [100], "prune.picked names a row that a table of 100 rows does not have"),
        ("prune.restored", [-1], "prune.restored names a row"),
        ("labels.3", {"decision": "accept"}, "labels.3"),
        ("labels.3", {"decision": "keep", "label": "b"}, "labels.3"),
        ("labels.100", {"decision": "keep"}, "labels names a row"),
        ("labels." + "9" * 5000, {"decision": "keep"}, "labels"),
        ("expected.values", "x", "expected.values"),
        ("run.settings.other", 1, "other is not a field"),
    ],
    ids=lambda case: str(case)[:30],
)
def test_wrong_field_is_named(field, value, words):
    recipe = example()
    put(recipe, field.split("."), value)
    assert words in refusal(recipe)


def test_missing_field_is_named():
    recipe = example()
    del recipe["rows"]
    assert refusal(recipe).endswith(": rows is missing.")


def test_another_version_is_told_from_a_wrong_field():
    sentence = refusal({"ecoval_recipe": VERSION + 1, "cells": {}})
    assert f"it is of version {VERSION + 1}, and this EcoVal follows version {VERSION}" in sentence


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK\x03\x04\xff", b"[]", b'{"rows": ' + b"9" * 6000 + b"}", b"[" * 200_000,
        b" " * (2**26 + 1),
    ],
    ids=["empty", "binary", "list", "digits", "deep", "large"],
)  # fmt: skip
def test_what_is_no_recipe_is_refused_in_a_sentence(content, tmp_path):
    done = follow(content, folder=tmp_path)
    assert (done.exit_code, done.stderr) == (2, f"Error: {refusal(content)}\n")


def test_recipe_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be opened \(Is a directory\): check its path"):
        read_recipe(tmp_path)


def paths(value, before=()):
    """Every field of a recipe."""
    items = value.items() if isinstance(value, dict) else ()
    for key, one in items:
        yield (*before, key)
        yield from paths(one, (*before, key))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(list(paths(example()))), value=ANYTHING)
def test_whatever_stands_in_a_field_is_taken_or_refused_with_its_name(path, value):
    recipe = example()
    put(recipe, path, value)
    content = json.dumps(recipe).encode()
    try:
        found = read_recipe(content)
    except ValueError as error:
        message = str(error)
        assert message.isprintable()
        assert any(step in message for step in (*path, "version", "Invalid JSON", "share", "quota"))
    else:
        assert read_recipe(recipe_bytes(found)) == found
