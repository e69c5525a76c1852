"""Runs and their downloads: values lined up with row ids, in the unit asked for, and why rows go."""

import io
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_runs import drawn_values, open_table, small_table

from ecoval_core import charts
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs.exports import export_table, exported_frame, to_csv, unit_of
from ecoval_core.runs.fitting import estimate_run, rows_per_fit
from ecoval_core.runs.run import Run, value_split
from ecoval_core.tables import load_sample, make_table
from ecoval_core.valuation.planning import count_fits
from ecoval_core.workspace.schema import Settings

SETTINGS = Settings(model="naive_bayes", n_clusters=12, scoring="probability")


@pytest.fixture(scope="module")
def run():
    return value_split(open_table(load_sample("penguins"), noise=0.1), SETTINGS)


def drawn_run(opened, **found):
    """A run whose values are drawn."""
    drawn = drawn_values(opened).at(0.25)
    return Run("k", opened, SETTINGS, type(drawn)(replace(drawn.findings_, **found), 0.25))


# --- Values by row ---------------------------------------------------------------------------


def test_frame_lines_values_up_with_row_ids(run):
    frame = run.frame
    assert frame.index.name == "row_id"
    assert frame.index.is_monotonic_increasing
    order = np.argsort(run.split.ids_train)
    np.testing.assert_array_equal(frame.index, run.split.ids_train[order])
    np.testing.assert_array_equal(frame["label"], run.split.y_train[order])
    species = run.table.frame["species"]
    assert (frame["original_label"] == species.loc[frame.index]).all()
    assert frame["flipped"].sum() == len(run.split.flipped_ids) > 0
    assert ((frame["label"] != frame["original_label"]) == frame["flipped"]).all()


def test_clusters_are_listed_in_the_order_of_the_chart_with_effect_error_and_what_is_passed_on(run):
    clusters, ecoval = run.clusters, run.ecoval
    (drawn, *_) = charts.totals_by(run.frame, by="cluster", theme="light").data
    assert [int(name) for name in drawn.customdata] == clusters["cluster"].tolist()
    assert clusters["value"].is_monotonic_increasing
    assert clusters["n_rows"].sum() == len(run.frame)
    np.testing.assert_allclose(clusters["value"], clusters["intrinsic"] + clusters["extrinsic"])
    assert clusters["value"].sum() == pytest.approx(ecoval.surplus_)
    order = clusters["cluster"]
    left_out, predicted = ecoval.cluster_values_[order], ecoval.cluster_predictions_[order]
    np.testing.assert_array_equal(clusters["left_out"], left_out)
    errors = ecoval.cluster_standard_errors_[order]
    np.testing.assert_array_equal(clusters["left_out_error"], errors)
    passed_on = predicted + ecoval.cluster_reliability_[order] * (left_out - predicted)
    np.testing.assert_allclose(clusters["passed_on"], passed_on)


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def every_row(run, steps):
    settings = SETTINGS.replace(every_row=True)
    return value_split(run.opened, settings, progress=lambda *step: steps.append(step))


def test_every_row_values_training_and_validation_rows(every_row, steps):
    of, split = every_row, every_row.split
    assert steps[-1] == (count_fits(12, 5), count_fits(12, 5))
    assert of.ids.tolist() == sorted([*split.ids_train, *split.ids_val])
    assert of.frame["value"].sum() == pytest.approx(of.ecoval.surplus_)
    for rows, X, y in (
        (split.ids_train, split.X_train, split.y_train),
        (split.ids_val, split.X_val, split.y_val),
    ):
        places = np.searchsorted(of.ids, rows)
        np.testing.assert_array_equal(of.X[places], X)
        np.testing.assert_array_equal(of.y[places], y)
    fitted = {len(one.values_) for one in of.ecoval.estimators_}
    assert min(fitted) == rows_per_fit(split, every_row=True)


@pytest.mark.parametrize("which", ["run", "every_row"])
def test_reweighted_run_pays_another_extrinsic_part(which, request):
    run = request.getfixturevalue(which)
    other = run.reweight(1.0)
    assert other.settings.extrinsic_weight == 1.0
    extrinsic = run.frame["extrinsic"] / run.settings.extrinsic_weight
    np.testing.assert_allclose(other.frame["extrinsic"], extrinsic)
    assert other.frame["value"].sum() == pytest.approx(run.ecoval.surplus_)


def test_estimate_counts_the_folds(run, monkeypatch):
    clock = SimpleNamespace(perf_counter=count().__next__)
    monkeypatch.setattr("ecoval_core.valuation.planning.time", clock)
    folded, once = (estimate_run(run.split, SETTINGS.replace(every_row=e)) for e in (True, False))
    # A fold has more rows than the training part, which some steps take longer for.
    assert 5 <= folded / once < 6


# --- Downloads -------------------------------------------------------------------------------


def all_values(run, decided=None, **options):
    return exported_frame(run, "all_values", decided, **options).set_index("row_id")


def test_kept_and_removed_rows_together_are_the_table(run):
    original = run.table.frame
    pruned = run.frame["value"].nsmallest(15).index
    decided = PruneList(picked=frozenset(pruned), quota=0).decide(run.frame["value"])
    kept, removed = (exported_frame(run, which, decided) for which in ("kept", "removed"))
    expected = original.drop(pruned).reset_index(names="row_id")
    pd.testing.assert_frame_equal(kept, expected, check_dtype=False)
    assert set(removed["row_id"]) == set(pruned)
    assert removed["pruned"].all()
    assert set(removed["reason"]) == {"picked"}


@pytest.mark.parametrize("which", ["run", "every_row"])
def test_all_rows_come_with_values_where_they_have_one(which, request):
    run = request.getfixturevalue(which)
    table = all_values(run, unit="score")
    assert len(table) == len(run.table.frame)
    assert (table.loc[run.ids, "cluster"] == run.frame["cluster"]).all()
    assert table["value"].notna().sum() == len(run.frame)
    assert set(table["part"]) == {"train", "validation", "test"}
    assert table["planted_noise"].sum() == len(run.split.flipped_ids)
    assert not table["pruned"].any()
    assert table["reason"].isna().all()


@pytest.mark.parametrize("which", ["run", "every_row"])
@pytest.mark.parametrize("weight", [0.0, 0.25])
@pytest.mark.parametrize(
    ("unit", "name", "total"),
    [
        ("rows", "average rows", "as many as rows"),
        ("share", "per mille of the surplus", 1000),
        ("score", "units of probability", "the surplus"),
    ],
)
def test_values_are_exported_in_the_unit_that_every_row_names(
    which, weight, unit, name, total, request
):
    run = request.getfixturevalue(which).reweight(weight)
    table = all_values(run, unit=unit)
    assert (table["unit"] == name).all()
    surplus = run.ecoval.surplus_
    total = {"as many as rows": len(run.frame), "the surplus": surplus}.get(total, total)
    assert table["value"].sum() == pytest.approx(total)
    for column in ("value", "standard_error", "intrinsic", "extrinsic"):
        np.testing.assert_allclose(table.loc[run.ids, column], run.frame[column] * total / surplus)
    assert name.isascii(), "which Excel takes for another encoding"


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("rows", ("−3.2×", "−3.2× ± 0.46×")),
        ("share", ("−89", "−89 ± 13 ‰ of the surplus")),
        ("score", ("−0.044", "−0.044 ± 0.0064 of probability")),
    ],
)
def test_values_and_errors_are_written_in_two_significant_digits(unit, written):
    run = drawn_run(small_table())  # 36 rows that share a surplus of 0.5
    shown, average = unit_of(run, unit), run.ecoval.surplus_ / len(run.frame)
    value, error = -3.2 * average, 0.46 * average
    assert (shown.number(value), shown.text(value, error)) == written
    assert "-" not in shown.number(-1e-30), "nothing has no sign"
    assert unit_of(run, unit).note == ""


@pytest.mark.parametrize(
    ("full_score", "unit", "name"),
    [
        (0.3, "rows", "units of probability"),  # worse than a guess
        (0.3, "share", "units of probability"),
        (0.4, "rows", "units of probability"),  # no better
        (0.415, "rows", "units of probability"),  # better by 1.5 standard errors
        (0.415, "share", "per mille of the surplus"),
        (0.425, "rows", "average rows"),
    ],
)
def test_unit_is_the_score_s_where_the_model_does_not_clearly_beat_a_guess(full_score, unit, name):
    run = drawn_run(small_table(), full_score=full_score)
    table = all_values(run, unit=unit)
    assert (table["unit"] == name).all()
    is_raw = name == "units of probability"
    assert (table.loc[run.ids, "value"] == run.frame["value"]).all() == is_raw
    assert ("does not clearly beat a guess" in unit_of(run, unit).note) == is_raw


def test_each_row_says_whether_and_by_which_rules_it_goes(run):
    ranked = run.frame["value"].sort_values(kind="stable")
    rules = PruneList(share=0.4, threshold=ranked.iloc[5], quota=0.7)
    rules = rules.pick([ranked.index[-1]]).restore([ranked.index[2]])
    decided = rules.decide(run.frame["value"], run.class_labels)
    assert len(decided.spared)
    table = all_values(run, decided)
    assert set(table.index[table["pruned"]]) == set(decided.reasons.index)
    assert table.loc[ranked.index[[0, -1]], "reason"].tolist() == ["share + threshold", "picked"]
    assert (table.loc[decided.spared, "reason"] == "spared by the quota").all()
    rest = table.index.difference([*decided.reasons.index, *decided.spared])
    assert table.loc[rest, "reason"].isna().all()
    removed = exported_frame(run, "removed", decided).set_index("row_id")
    pd.testing.assert_frame_equal(removed, table[table["pruned"]])


def test_names_that_the_table_has_already_are_kept_apart():
    frame = small_table().table.frame.rename(columns={"width": "value", "colour": "row_id"})
    run = drawn_run(open_table(make_table(frame, "mine", target="label")))
    table = exported_frame(run, "all_values")
    assert {"ecoval_row_id", "ecoval_value", "intrinsic", "reason"} <= set(table.columns)
    pd.testing.assert_series_equal(table["value"], frame["value"])


@pytest.mark.parametrize(
    ("file_format", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)]
)
def test_files_read_back_as_exported(run, file_format, read):
    rules = PruneList(picked=frozenset(map(int, run.split.flipped_ids)), quota=0)
    decided = rules.decide(run.frame["value"], run.class_labels)
    for which in ("kept", "all_values"):
        back = read(io.BytesIO(export_table(run, which, decided, file_format)))
        expected = exported_frame(run, which, decided)
        pd.testing.assert_frame_equal(back.astype(expected.dtypes), expected)


def test_corrected_labels_are_a_column_of_their_own():
    run = drawn_run(small_table())
    row = int(run.ids[0])
    table = all_values(run, relabelled={row: "perhaps"})
    expected = table["label"].where(table.index != row, "perhaps")
    assert table["corrected_label"].tolist() == expected.tolist()


def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe():
    frame = pd.DataFrame({"a": ["=1+1", "-x", "fine"], "b": [-1.5, 2, 3]})
    assert to_csv(frame).decode().splitlines() == ["a,b", "'=1+1,-1.5", "'-x,2.0", "fine,3.0"]


def test_column_of_text_and_numbers_is_refused_as_parquet_in_one_sentence():
    frame = small_table().table.frame.astype({"width": object})
    frame.loc[:2, "width"] = "unknown"
    run = drawn_run(open_table(make_table(frame, "mixed", target="label")))
    with pytest.raises(ValueError, match=r"Column .width. mixes kinds .*choose CSV instead"):
        export_table(run, "kept", None, "parquet")
    assert len(pd.read_csv(io.BytesIO(export_table(run, "kept")))) == len(frame)
