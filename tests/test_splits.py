"""Splits by group, time, a column and files of one's own: what stands on which side, and what is refused."""

from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ecoval_core.command_line import main
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs import archive
from ecoval_core.runs.fitting import rows_in_folds, rows_to_value
from ecoval_core.runs.opened import (
    complete_split,
    describe_table,
    load_opened,
    save_frame,
    save_opened,
    split_table,
)
from ecoval_core.runs.recipe import make_recipe, open_table, read_recipe, recipe_bytes, replay
from ecoval_core.runs.run import value_split, values_of
from ecoval_core.tables import SAMPLES, load_sample, make_table, suggest_exclusions
from ecoval_core.tables.split_columns import suggest_splits
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace import history
from ecoval_core.workspace.schema import OpenSpec, OwnFile, RunSpec, Settings, SplitSpec
from ecoval_core.workspace.workspace import Workspace

SETTINGS = Settings(model="logistic_regression", n_clusters=6, scoring="probability")


def visits(n_patients=40, n_visits=6, seed=0):
    """Patients whose visits are alike, dates, parts, and a target that is random by patient."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_visits)
    n = len(patient)
    x = rng.normal(size=(n_patients, 5))[patient] + 0.05 * rng.normal(size=(n, 5))
    return pd.DataFrame(x.round(3), columns=list("abcde")).assign(
        y=rng.permutation(n_patients)[patient] % 2,
        patient=patient,
        when=rng.permutation(np.repeat(pd.date_range("2024-01-01", periods=n // 4), 4)),
        part=rng.permutation(np.tile(["train", "train", "dev", "holdout"], n // 4)),
        w=rng.integers(1, 4, n),
    )


def measured():
    """What is measured of the visits alone, with the target."""
    return visits()[[*"abcde", "y"]]


def open_split(frame, files=None, **how):
    spec = complete_split(SplitSpec(**how), frame)
    excluded = suggest_exclusions(frame, "y") | spec.rule.reserved("y")
    table = make_table(frame, "visits.csv", "y", None, excluded)
    described = OpenSpec(table=describe_table(table), split=spec)
    return split_table(table, described, files)


def own(frame, name="other.csv"):
    return OwnFile(name=name, content=content_digest(frame))


def sides(split):
    return [split.ids_train, split.ids_val, split.ids_test]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_stands_in_two_parts_or_on_both_sides_of_a_fold(seed):
    opened = open_split(visits(), groups="patient", random_state=seed)
    patient = opened.table.frame["patient"]
    groups = [set(patient[ids]) for ids in sides(opened.split)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 40
    assert [len(ids) for ids in sides(opened.split)] == [144, 48, 48]
    rows, folds = rows_in_folds(opened.split)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(rows.ids)))
    for train, held in folds:
        assert set(patient[rows.ids[train]]).isdisjoint(patient[rows.ids[held]])


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"])
def test_later_rows_never_teach_earlier_ones(written):
    frame = visits()
    when = frame["when"]
    opened = open_split(frame.assign(when=when.dt.strftime(written)), kind="time", column="when")
    first, second, third = (when[ids] for ids in sides(opened.split))
    assert first.max() < second.min() <= second.max() < third.min()
    rows, folds = rows_in_folds(opened.split)
    assert len(folds) == 5
    for train, held in folds:
        assert when[rows.ids[train]].max() < when[rows.ids[held]].min()


def test_the_latest_rows_of_a_split_by_time_are_not_valued():
    frame = visits().assign(y=lambda f: (f["a"] > 0).astype(int))
    opened = open_split(frame, kind="time", column="when")
    rows, folds = rows_in_folds(opened.split)
    run = value_split(opened, SETTINGS.replace(every_row=True))
    assert set(run.ids) == set(rows.ids) - set(rows.ids[folds[-1][1]])
    assert np.isfinite(run.frame["value"]).all()
    assert run.frame["value"].sum() == pytest.approx(run.ecoval.surplus_)


def test_a_column_names_the_parts_and_blank_rows_are_set_aside():
    frame = visits()
    frame.loc[:9, "part"] = None
    split = open_split(frame, kind="column", column="part").split
    named = split.parts.map({"train": "train", "validation": "dev", "test": "holdout"})
    pd.testing.assert_series_equal(named, frame["part"], check_names=False, check_dtype=False)
    assert set(split.parts[:10]) == {"set aside"}
    with pytest.raises(ValueError, match="every training row is valued on them already"):
        rows_to_value(split, every_row=True)


def test_parts_that_a_column_does_not_name_are_dealt_by_group():
    frame = visits()
    patient = frame["patient"]
    frame["part"] = np.where(patient < 30, "train", "test")
    split = open_split(frame, kind="column", column="part", groups="patient").split
    assert set(patient[split.ids_test]) == set(range(30, 40))
    assert set(patient[split.ids_train]).isdisjoint(patient[split.ids_val])
    assert len(split.ids_val) == pytest.approx(0.25 * 180, abs=12)
    (note,) = split.notes
    assert note.startswith("No validation rows were given")
    assert "'patient'" in note


def test_own_files_are_matched_kept_in_the_archive_and_replayed_to_the_same_bytes(tmp_path):
    frame = measured()
    known, val, test = frame[:150], frame[150:200].rename(columns=str.upper), frame[145:]
    files = {"validation": val.reset_index(drop=True), "test": test.reset_index(drop=True)}
    named = {part: own(each, f"{part}.csv") for part, each in files.items()}
    opened = open_split(known, files, kind="files", **named)
    assert len(opened.split.ids_train) == 150
    assert opened.split.y_val.tolist() == val["Y"].tolist()
    assert any("5 rows equal rows of visits.csv" in note for note in opened.split.notes)
    run = value_split(opened, SETTINGS)
    recipe = read_recipe(recipe_bytes(make_recipe(run, PruneList(share=0.1))))
    again = replay(recipe, *open_table(recipe, known.copy(), files=files))
    assert again.has_same_values
    assert all(again.is_as_expected(made) for made in again.downloads())
    with pytest.raises(ValueError, match="not the test file of the recipe"):
        open_table(recipe, known.copy(), files={**files, "test": files["validation"]})

    here, there = (Workspace(tmp_path / name, tmp_path / f"{name}_t") for name in ("a", "b"))
    for part, cells in files.items():
        save_frame(here, cells, named[part].content)
    save_opened(here, opened)
    here.save(run.key, "value", values_of(run.ecoval), arguments={"settings": {}})
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=SETTINGS)
    exported = archive.export_run(here, history.start_run(here, spec))
    (tmp_path / "run.ecoval").write_bytes(exported)
    imported = archive.import_run(there, tmp_path / "run.ecoval")
    record = history.find_run(there, imported)
    assert record.spec.split == opened.spec.split
    found = load_opened(there, record.split).split
    np.testing.assert_array_equal(found.X_val, opened.split.X_val)
    with ZipFile(tmp_path / "run.ecoval") as members:
        assert {"validation", "test"} <= set(members.namelist())


@pytest.mark.parametrize("every_row", [False, True])
def test_weights_of_one_change_nothing_and_others_do(every_row):
    def values(w, weights):
        opened = open_split(visits().assign(w=w).drop(columns="part"), weights=weights)
        return value_split(opened, SETTINGS.replace(every_row=every_row)).ecoval.values_

    alike, ones, weighted = values(1, None), values(1, "w"), values(visits()["w"], "w")
    np.testing.assert_allclose(ones, alike, atol=1e-9)
    assert np.abs(weighted - alike).max() > 1e-4


def refusal(frame, files=None, **how):
    """The message of a refusal, which must be one sentence."""
    with pytest.raises(ValueError, match=r".") as caught:
        open_split(frame, files, **how)
    assert str(caught.value).count(". ") == 0
    return str(caught.value)


def with_cell(column, row, value):
    frame = visits().astype({column: object})
    frame.loc[row, column] = value
    return frame


BY_TIME, BY_PART = {"kind": "time", "column": "when"}, {"kind": "column", "column": "part"}


@pytest.mark.parametrize(
    ("frame", "how", "sentence"),
    [
        (visits().assign(patient=1), {"groups": "patient"}, "Column 'patient' has 1 group"),
        (visits(), {"groups": "y"}, "Column 'y' is the target"),
        (visits(), {"groups": "nobody"}, "has no column 'nobody'"),
        (with_cell("when", 3, "soon"), BY_TIME, "Column 'when' holds 'soon' in row 3"),
        (visits().assign(when="2024-01-01"), BY_TIME, "Column 'when' has 1 different time:"),
        (visits().assign(part="train"), BY_PART, "has training rows only"),
        (with_cell("part", 5, "blue"), BY_PART, "Column 'part' holds 'blue', which names no part"),
        (visits(), {"kind": "column", "column": "a"}, "a column with the parts has a few"),
        (visits().assign(y=lambda f: f["y"] + 2 * (f["part"] == "dev")), BY_PART, "Class '2' of 'y' has"),
        (with_cell("w", 4, -1), {"weights": "w"}, "holds the weight -1 in row 4"),
        (with_cell("w", 4, None), {"weights": "w"}, "holds no weight in row 4"),
        (visits().assign(w=0), {"weights": "w"}, "weighs every row 0"),
        (with_cell("w", 4, "much"), {"weights": "w"}, "holds no numbers, such as 'much'"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence_that_names_it(frame, how, sentence):
    assert sentence in refusal(frame, **how)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (measured().assign(y=7), "other.csv holds '7' in column 'y', row 0"),
        (measured().drop(columns="e"), "lacks 1 of the 5 columns"),
        (measured().drop(columns="y"), "other.csv has no column 'y', the target"),
    ],
)
def test_bad_validation_files_get_one_sentence(other, sentence):
    file = OwnFile(name="other.csv", content="0" * 32)
    assert sentence in refusal(measured(), {"validation": other}, kind="files", validation=file)


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "time", "column": "when", "groups": "patient"}, {"kind": "time"}, {"kind": "files"},
        {"column": "when"}, {"groups": "w", "weights": "w"},
    ],
)  # fmt: skip
def test_rules_that_exclude_each_other_are_refused(how):
    with pytest.raises(ValueError, match=r"time|file|column"):
        SplitSpec(**how)


def test_groups_dates_and_parts_are_pointed_out_and_nothing_in_the_samples():
    for frame in (visits(), visits().sample(frac=1, random_state=0, ignore_index=True)):
        found = {hint.column: hint.kind for hint in suggest_splits(frame, "y")}
        assert found == {"patient": "groups", "when": "time", "part": "column"}
    for table in map(load_sample, SAMPLES):
        assert suggest_splits(table.frame, table.target) == []


def test_command_mends_a_validation_file_as_it_mends_its_table(tmp_path):
    frame = measured().assign(share=[f"{number:.1f} %" for number in range(240)])
    frame[:180].to_csv(tmp_path / "visits.csv", index=False)
    frame[180:].to_csv(tmp_path / "later.csv", index=False)
    done = CliRunner().invoke(
        main,
        ["value", str(tmp_path / "visits.csv"), "--target", "y", "--task", "classification", "--mend",
         "--validation", str(tmp_path / "later.csv"), "--model", "naive_bayes", "--n-clusters", "6",
         "--out", str(tmp_path / "values.csv")],
    )  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None), done.output
    assert "60 validation" in done.output
