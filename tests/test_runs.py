import copy
import io
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ecoval_core.workspace.units import unit_of

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import load_sample, make_table
from ecoval_core.tables.prepare import prepare
from ecoval_core.valuation.planning import count_fits
from ecoval_core.workspace.exports import export_table, exported_frame
from ecoval_core.workspace.runs import Settings, estimate_run, rows_per_fit, value_prepared


@pytest.fixture(scope="module")
def run():
    prepared = prepare(load_sample("penguins"), noise=0.1, random_state=0)
    return value_prepared(prepared, Settings("naive_bayes", 12, "probability"))


def test_the_frame_lines_values_up_with_row_ids(run):
    frame = run.frame
    assert frame.index.name == "row_id"
    assert frame.index.is_monotonic_increasing
    assert set(frame.index) == set(run.prepared.ids_train)
    position = {row: i for i, row in enumerate(run.prepared.ids_train)}
    for row in frame.index[:20]:
        assert frame.loc[row, "value"] == run.ecoval.values_[position[row]]
        assert frame.loc[row, "label"] == run.prepared.y_train[position[row]]
    species = run.prepared.table.frame["species"]
    assert (frame["original_label"] == species.loc[frame.index]).all()
    assert frame["flipped"].sum() == len(run.prepared.flipped_ids) > 0
    assert ((frame["label"] != frame["original_label"]) == frame["flipped"]).all()


def test_clusters_are_listed_worst_first_with_what_their_rows_are_paid(run):
    clusters = run.clusters
    assert clusters["value"].is_monotonic_increasing
    assert clusters["n_rows"].sum() == len(run.frame)
    assert (clusters["intrinsic"] + clusters["extrinsic"]).sum() == pytest.approx(
        run.ecoval.surplus_
    )


def test_reweighting_keeps_the_rest(run):
    other = run.reweight(1.0)
    assert other.settings.extrinsic_weight == 1.0
    assert other.prepared is run.prepared
    np.testing.assert_allclose(
        other.frame["extrinsic"], run.frame["extrinsic"] / run.settings.extrinsic_weight
    )


def test_kept_and_removed_together_are_the_table(run):
    original = run.prepared.table.frame
    pruned = run.frame["value"].nsmallest(15).index
    decided = PruneList(picked=frozenset(pruned), quota=0).decide(run.frame["value"])
    kept, removed = (exported_frame(run, which, decided) for which in ("kept", "removed"))
    assert list(kept.columns) == ["row_id", *original.columns]
    assert kept["row_id"].is_monotonic_increasing
    assert sorted([*kept["row_id"], *removed["row_id"]]) == list(original.index)
    pd.testing.assert_frame_equal(
        kept.drop(columns="row_id"), original.drop(pruned).reset_index(drop=True)
    )
    assert set(removed["row_id"]) == set(pruned)
    factor = unit_of(run).factor
    assert removed["value"].max() <= run.frame["value"].drop(pruned).min() * factor
    assert removed["pruned"].all()
    assert set(removed["reason"]) == {"picked"}


def test_all_rows_come_with_values_where_they_have_one(run):
    table = exported_frame(run, "all_values", unit="score")
    assert len(table) == len(run.prepared.table.frame)
    valued = table.set_index("row_id").loc[run.frame.index]
    for column in ("value", "standard_error", "intrinsic", "extrinsic", "cluster"):
        assert (valued[column] == run.frame[column]).all()
    assert (table["unit"] == "units of probability").all()
    assert not table["pruned"].any()
    assert table["reason"].isna().all()
    assert table["value"].notna().sum() == len(run.frame)
    assert (table["part"] == "train").sum() == len(run.frame)
    assert set(table["part"]) == {"train", "validation", "test"}
    assert table["planted_noise"].sum() == len(run.prepared.flipped_ids)


def test_values_are_exported_in_the_unit_asked_for_and_every_row_names_it(run):
    table = exported_frame(run, "all_values").set_index("row_id")
    assert (table["unit"] == "per mille of the surplus").all()
    assert table["value"].sum() == pytest.approx(1000)
    shown = unit_of(run, "share").scale(run.frame)
    for column in ("value", "standard_error", "intrinsic", "extrinsic"):
        assert (table.loc[shown.index, column] == shown[column]).all()
    assert table["unit"].iloc[0].isascii(), "which Excel takes for another encoding"


def test_the_unit_named_is_that_of_the_score_where_there_is_no_surplus(run):
    poor = copy.copy(run.ecoval)
    poor.surplus_ = -0.1
    table = exported_frame(replace(run, ecoval=poor), "all_values").set_index("row_id")
    assert (table["unit"] == "units of probability").all()
    assert (table.loc[run.ids, "value"] == run.frame["value"]).all()


def test_each_row_says_whether_and_by_which_rules_it_goes(run):
    ranked = run.frame["value"].sort_values(kind="stable")
    rules = PruneList(share=0.4, threshold=ranked.iloc[5], quota=0.7)
    rules = rules.pick([ranked.index[-1]]).restore([ranked.index[2]])
    decided = rules.decide(run.frame["value"], run.class_labels)
    assert len(decided.spared)
    table = exported_frame(run, "all_values", decided).set_index("row_id")
    assert table["pruned"].dtype == bool
    assert set(table.index[table["pruned"]]) == set(decided.reasons.index)
    assert table.loc[ranked.index[0], "reason"] == "share + threshold"
    assert table.loc[ranked.index[-1], "reason"] == "picked"
    assert (table.loc[decided.reasons.index, "reason"] == decided.reasons).all()
    assert (table.loc[decided.spared, "reason"] == "spared by the quota").all()
    rest = table.index.difference([*decided.reasons.index, *decided.spared])
    assert table.loc[rest, "reason"].isna().all()
    removed = exported_frame(run, "removed", decided).set_index("row_id")
    pd.testing.assert_frame_equal(removed, table[table["pruned"]])


def test_names_that_the_table_has_already_are_kept_apart():
    frame = load_sample("penguins").frame.rename(
        columns={"year": "value", "sex": "row_id", "island": "cluster", "bill_depth_mm": "unit"}
    )
    prepared = prepare(make_table(frame, "mine", target="species"))
    run = value_prepared(prepared, Settings("naive_bayes", 6, "probability"))
    table = exported_frame(run, "all_values")
    names = {"row_id", "value", "cluster", "unit"}
    assert {*(f"ecoval_{name}" for name in names), "intrinsic", "reason"} <= set(table.columns)
    pd.testing.assert_series_equal(table["value"], frame["value"])


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_files_read_back_as_exported(run, file_format):
    pruned = PruneList(picked=frozenset(map(int, run.prepared.flipped_ids)), quota=0).decide(
        run.frame["value"], run.class_labels
    )
    data = export_table(run, "kept", pruned, file_format)
    read = pd.read_csv if file_format == "csv" else pd.read_parquet
    back = read(io.BytesIO(data))
    assert back.columns.tolist() == ["row_id", *run.prepared.table.frame.columns]
    assert len(back) == len(run.prepared.table.frame) - len(pruned.reasons)
    values = read(io.BytesIO(export_table(run, "all_values", pruned, file_format)))
    assert values["value"].sum() == pytest.approx(1000)
    assert values["pruned"].dtype == bool
    assert values.loc[values["pruned"], "reason"].eq("picked").all()
    assert values["pruned"].sum() == len(pruned.reasons)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def every_row(run, told):
    settings = Settings("naive_bayes", 12, "probability", every_row=True)
    return value_prepared(
        run.prepared, settings, progress=lambda done, total: told.append((done, total))
    )


def test_every_row_values_training_and_validation_rows_and_leaves_the_test_rows(every_row, told):
    prepared = every_row.prepared
    expected = sorted([*prepared.ids_train, *prepared.ids_val])
    assert every_row.ids.tolist() == every_row.frame.index.tolist() == expected
    assert every_row.frame["value"].sum() == pytest.approx(every_row.ecoval.surplus_)
    assert told[-1] == (count_fits(12, 5), count_fits(12, 5)) == (90, 90)
    for rows, X, y in (
        (prepared.ids_train, prepared.X_train, prepared.y_train),
        (prepared.ids_val, prepared.X_val, prepared.y_val),
    ):
        places = np.searchsorted(every_row.ids, rows)
        np.testing.assert_array_equal(every_row.X[places], X)
        np.testing.assert_array_equal(every_row.y[places], y)
    assert every_row.frame["flipped"].sum() == len(prepared.flipped_ids)
    fitted = {len(one.values_) for one in every_row.ecoval.estimators_}
    assert min(fitted) == rows_per_fit(prepared, every_row=True)


def test_every_row_follows_the_weight_and_is_exported(every_row):
    other = every_row.reweight(0.0)
    assert (other.frame["extrinsic"] == 0).all()
    assert other.frame["value"].sum() == pytest.approx(every_row.ecoval.surplus_)
    table = exported_frame(every_row, "all_values", unit="score")
    assert table["value"].notna().sum() == len(every_row.frame)
    assert table.loc[table["value"].isna(), "part"].eq("test").all()
    assert set(table["part"]) == {"train", "validation", "test"}
    assert every_row.clusters["n_rows"].sum() == len(every_row.frame)


def test_the_estimate_knows_the_folds(run, monkeypatch):
    clock = SimpleNamespace(perf_counter=count().__next__)
    monkeypatch.setattr("ecoval_core.valuation.planning.time", clock)

    def seconds(every_row):
        settings = Settings("naive_bayes", 12, "probability", every_row=every_row)
        return estimate_run(run.prepared, settings)

    # A fold has more rows than the training part, which some steps take longer for.
    assert 5 <= seconds(every_row=True) / seconds(every_row=False) < 6


def test_rows_surely_below_zero_are_those_beyond_two_errors(run):
    frame = run.frame
    sure = frame.index[frame["value"] + 2 * frame["standard_error"] < 0]
    assert 0 < len(sure) < (frame["value"] < 0).sum()
    assert set(run.surely_negative_ids) == set(sure)
    assert run.surely_negative_ids[0] == frame["value"].idxmin()


def test_parquet_refuses_a_column_of_text_and_numbers_in_one_sentence():
    frame = load_sample("penguins").frame
    frame["year"] = [*["unknown"] * 3, *frame["year"][3:]]
    frame["year"] = frame["year"].astype(object)
    run = value_prepared(
        prepare(make_table(frame, "mixed", target="species")),
        Settings("naive_bayes", 6, "probability"),
    )
    with pytest.raises(
        ValueError, match=r"Column .year. mixes kinds of values.*choose CSV instead"
    ):
        export_table(run, "kept", None, "parquet")
    assert len(pd.read_csv(io.BytesIO(export_table(run, "kept")))) == len(frame)
