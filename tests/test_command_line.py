import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from data_files import loan_csv
from sklearn.datasets import load_diabetes, load_wine
from valued import settings_of, value_table

from ecoval_core.command_line import main
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.runs.exports import exported_frame
from ecoval_core.tables import TableError, make_table, read_frame

pytestmark = pytest.mark.processes

# Without it the last bit of a number may be lost in reading.
read_csv = partial(pd.read_csv, float_precision="round_trip")
COMMAND = [sys.executable, "-m", "ecoval_core"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    wine = load_wine(as_frame=True).frame
    wine.insert(0, "wine_id", [f"w{i:03d}" for i in range(len(wine))])
    wine["cellar"] = "north"
    wine.loc[[3, 90], "target"] = np.nan
    wine.to_csv(folder / "wine.csv", index=False)
    load_diabetes(as_frame=True).frame[:200].to_csv(folder / "diabetes.csv", index=False)
    return folder


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def value(folder, name, *options, out, target="target"):
    return run("value", folder / name, "--target", target, "--out", out, *options)


def expected_run(folder, name, settings, *, excluded=None, **split):
    table = make_table(read_frame(folder / name), name, "target", excluded=excluded)
    return value_table(table, settings, **split)


@pytest.mark.parametrize(("suffix", "read"), [("csv", read_csv), ("parquet", pd.read_parquet)])
def test_value_writes_every_row_with_part_and_values(folder, tmp_path, suffix, read):
    done = value(folder, "wine.csv", out=tmp_path / f"values.{suffix}")
    assert (done.exit_code, done.exception) == (0, None)
    found = read(tmp_path / f"values.{suffix}").astype({"label_issue": "boolean"})
    expected = expected_run(
        folder, "wine.csv", settings_of("logistic_regression", 26)
    )  # a quarter of 106 rows: leaving clusters out takes no refits
    pd.testing.assert_frame_equal(
        found, exported_frame(expected, "all_values"), check_dtype=False, check_exact=True
    )
    assert found["row_id"].tolist() == list(range(178))
    assert found.groupby("part").size().to_dict() == {
        "train": 106, "validation": 35, "test": 35, "no target": 2,
    }  # fmt: skip
    assert found.columns[-12:].tolist() == [
        "part", "value", "standard_error", "intrinsic", "extrinsic", "unit", "cluster", "label_quality",
        "label_issue", "suggested_label", "pruned", "reason",
    ]  # fmt: skip
    assert "Values            in average rows\n" in done.stdout
    assert found["value"].sum() == pytest.approx(106), "as many as rows were valued"
    # The summary goes to stdout, the rest to stderr.
    ecoval = expected.ecoval
    assert (
        f"Surplus           {ecoval.surplus_:+.4f}, from {ecoval.prior_score_:.4f}" in done.stdout
    )
    assert f"Intrinsic share   {ecoval.intrinsic_share_:.0%}\n" in done.stdout
    assert "clearly harmful: below zero by more than two standard errors" in done.stdout
    assert f"Rows below zero   {(ecoval.values_ < 0).sum()} of 106\n" in done.stdout
    assert done.stdout.endswith(f"Written           {tmp_path / f'values.{suffix}'}\n")
    assert done.stderr.splitlines() == [
        "wine.csv: classification of 'target' from 13 columns, 176 rows.",
        "Set aside: 2 rows without a target.",
        "Ignored: 'wine_id' (looks like an id (a different text in every row)).",
        "Ignored: 'cellar' (the same value in every row (north)).",
        "Valuing rows",
    ]


def test_every_option_reaches_the_engine(folder, tmp_path):
    done = value(
        folder, "diabetes.csv", "--task", "regression", "--model", "k_neighbors",
        "--n-clusters", 9, "--scoring", "absolute_error", "--extrinsic-weight", 0.2, "--seed", 3,
        "--proportions", 0.5, 0.3, 0.2, "--exclude", "age", "--exclude", "sex", "--jobs", 2,
        "--unit", "score", out=tmp_path / "values.csv",
    )  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None)
    expected = expected_run(
        folder, "diabetes.csv",
        settings_of("k_neighbors", 9, "absolute_error", extrinsic_weight=0.2, random_state=3),
        excluded=["age", "sex"], random_state=3, proportions=(0.5, 0.3, 0.2),
    )  # fmt: skip
    table = read_csv(tmp_path / "values.csv").set_index("row_id")
    assert np.array_equal(table["value"].dropna(), expected.frame["value"])
    assert set(table["unit"]) == {"units of the target's standard deviation"}
    assert "from 8 columns" in done.stderr


def test_a_rare_class_counts_alike_by_itself_and_that_is_said(tmp_path):
    (tmp_path / "loans.csv").write_bytes(loan_csv())
    done = value(tmp_path, "loans.csv", out=tmp_path / "values.csv", target="status")
    assert "Every class has the same weight: the rarest has 2" in done.stderr
    plain = value(
        tmp_path, "loans.csv", "--class-weight", "none", out=tmp_path / "plain.csv", target="status"
    )
    assert "the same weight" not in plain.stderr
    lowest = {}
    for name in ("values", "plain"):
        found = read_csv(tmp_path / f"{name}.csv").dropna(subset="value").sort_values("value")
        lowest[name] = (found["status"].head(len(found) // 7) == "charged off").sum()
    assert lowest["values"] < lowest["plain"] / 2


def test_values_not_to_be_trusted_come_with_a_warning(folder, tmp_path):
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"])
    noise.assign(target=random.permutation([0, 1] * 30)).to_csv(tmp_path / "noise.csv", index=False)
    done = value(tmp_path, "noise.csv", "--extrinsic-weight", 50, out=tmp_path / "values.csv")
    assert done.exit_code == 0
    assert "Warning: These values are not reliable:" in done.stderr
    assert "the model does not clearly beat a guess, so an average row is no unit." in done.stderr
    assert "Values            in units of probability\n" in done.stdout
    # A column that would be left out can be included.
    done = value(folder, "wine.csv", "--include", "wine_id", out=tmp_path / "values.csv")
    assert "not reliable" not in done.stderr
    assert "from 14 columns" in done.stderr


@pytest.mark.parametrize("balanced", [False, True])
def test_curves_writes_every_refit_and_tells_the_means(folder, tmp_path, balanced):
    out = tmp_path / "curves.csv"
    done = run(
        "curves", folder / "wine.csv", "--target", "target", "--out", out, "--model", "naive_bayes",
        "--n-clusters", 8, "--strategy", "lowest", "--strategy", "random_clusters",
        "--n-random", 2, *["--class-balanced"] * balanced,
    )  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None)
    of = expected_run(folder, "wine.csv", settings_of("naive_bayes", 8))
    data = of.split
    expected = removal_curves(
        of.make_estimator(), data.X_train, data.y_train, data.X_test, data.y_test,
        of.ecoval.values_, clusters=of.ecoval.labels_, strategies=("lowest", "random_clusters"),
        class_balanced=balanced, n_random=2,
    )  # fmt: skip
    pd.testing.assert_frame_equal(read_csv(out), expected, check_exact=True, check_dtype=False)
    title, header, *lines, last = done.stdout.splitlines()
    assert title == "Mean test accuracy by share of the training rows removed"
    assert header.split() == ["removed", "lowest", "random_clusters"]
    assert [line.split()[0] for line in lines] == [
        f"{share:.0%}" for share in expected["share"].unique()
    ]
    means = expected[expected["share"] == 0.3].groupby("strategy")["score"].mean()
    row = next(line.split() for line in lines if line.startswith("30%"))
    assert row == ["30%", *(f"{mean:.4f}" for mean in means)]
    assert last == f"Written to {out}"
    assert done.stderr.endswith("Valuing rows\nRemoving rows\n")


BAD_INPUT = [
    (["nowhere.csv"], "nowhere.csv cannot be opened (No such file or directory): check its path."),
    (["wine.csv", "--target", "grape"], "wine.csv has no column 'grape': choose one of "),
    (["wine.csv", "--exclude", "hue2"], "wine.csv has no column 'hue2': choose one of "),
    (["wine.csv", "--include", "hue2"], "wine.csv has no column 'hue2' to include."),
    (
        ["wine.csv", "--model", "ridge"],
        "--model is 'ridge': for classification choose one of logistic",
    ),
    (["wine.csv", "--scoring", "squared_error"], "scoring='squared_error' does not fit "),
    (
        ["wine.csv", "--proportions", "1", "1", "1"],
        "--proportions is (1.0, 1.0, 1.0): three numbers above 0 that ",
    ),
    (
        ["wine.csv", "--extrinsic-weight", "nan"],
        "--extrinsic-weight is nan: Input should be a finite number.",
    ),
    (["wine.csv", "--jobs", "0"], "--jobs is 0: give the number of fits at once, or -1 for every "),
    (["wine.csv", "--target", "cellar"], "The target 'cellar' has one class only (north): choose "),
    (["diabetes.csv", "--task", "classification"], "The target 'target' has "),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT, ids=lambda case: str(case)[:40])
@pytest.mark.parametrize("command", ["value", "curves"])
def test_bad_input_is_one_sentence_and_exit_code_2(folder, tmp_path, command, arguments, sentence):
    name, *options = arguments
    out = tmp_path / "out.csv"
    done = run(command, folder / name, "--target", "target", "--out", out, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {sentence}" in done.stderr.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"a;b\n1;2\n", b"a,a\n1,2\n"])
def test_an_unfit_table_is_refused_in_the_words_of_the_app(tmp_path, content):
    table = tmp_path / "table.csv"
    table.write_bytes(content)
    with pytest.raises(TableError) as refused:
        make_table(read_frame(table), table.name, "a")
    done = run("value", table, "--target", "a", "--out", tmp_path / "out.csv")
    assert (done.exit_code, done.stderr) == (2, f"Error: {refused.value}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'TABLE'"),
        (["wine.csv", "--out", "a.csv"], "Missing option '--target'"),
        (["wine.csv", "--target", "target"], "Missing option '--out'"),
        (["wine.csv", "--target", "t", "--out", "a.csv", "--n-clusters", "0"], "'--n-clusters'"),
        (["wine.csv", "--target", "t", "--out", "a.csv", "--seed", "-1"], "'--seed'"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_option(arguments, words):
    done = run("value", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize("option", ["--class-balanced", "--class-weight balanced"])
def test_class_balance_is_refused_for_amounts(folder, tmp_path, option):
    out = tmp_path / "c.csv"
    done = run(
        "curves", folder / "diabetes.csv", "--target", "target", "--out", out, *option.split()
    )
    assert done.exit_code == 2
    assert done.stderr == f"Error: {option} needs classes, and the task is regression.\n"


def test_a_result_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    copy = tmp_path / "wine.csv"
    copy.write_bytes((folder / "wine.csv").read_bytes())
    cases = {
        tmp_path / "values.json": "ends in none of .csv, .parquet: choose one of them.",
        tmp_path / "no" / "values.csv": f"there is no folder {tmp_path / 'no'}.",
        tmp_path / "folder.csv": "cannot be written: it is a folder.",
        copy: "is the table itself: choose another file to write.",
    }
    for out, words in cases.items():
        done = run("value", copy, "--target", "target", "--out", out)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"Error: {out} ")
        assert words in done.stderr
    assert copy.read_bytes() == (folder / "wine.csv").read_bytes()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # for root
    done = value(folder, "wine.csv", out=tmp_path / "values.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "permission denied" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(folder, tmp_path):
    (tmp_path / "values.csv").symlink_to("/dev/full")
    done = value(folder, "wine.csv", "--n-clusters", 3, out=tmp_path / "values.csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("(No space left on device): choose another place.\n")


def test_a_column_that_parquet_cannot_hold_is_named_before_the_work(folder, tmp_path):
    mixed = read_csv(folder / "wine.csv").dropna()
    mixed["note"] = pd.Series([1, "two", 2.5] * 60, dtype=object)[: len(mixed)].to_list()
    mixed.to_excel(tmp_path / "mixed.xlsx", index=False)
    done = value(tmp_path, "mixed.xlsx", out=tmp_path / "values.parquet")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "Column 'note' mixes kinds of values" in done.stderr
    assert "choose values.csv instead of values.parquet" in done.stderr
    assert value(tmp_path, "mixed.xlsx", out=tmp_path / "values.csv").exit_code == 0


@pytest.mark.parametrize("name", main.commands)
def test_help_explains_every_option(name):
    done = run(name, "--help")
    assert done.exit_code == 0
    options = [o for o in main.commands[name].params if isinstance(o, click.Option)]
    assert len(options) >= (4 if name in ("replay", "open") else 12)
    assert all(option.help for option in options)
    assert all(option.opts[0] in done.stdout for option in options)


def test_it_runs_as_a_module_and_writes_names_the_terminal_cannot(folder, tmp_path):
    out = tmp_path / "αξίες.csv"
    done = subprocess.run(
        [*COMMAND, "value", folder / "wine.csv", "--target", "target", "--out", out],
        capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, out.exists()) == (0, True)
    assert "Written" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
def test_ctrl_c_ends_it_without_a_traceback_even_from_the_workers(folder, tmp_path):
    arguments = ["--target", "target", "--model", "random_forest", "--n-clusters", "100"]
    out = tmp_path / "values.csv"
    # Started in the background, a shell's jobs ignore Ctrl-C and hand that on: begin as in a terminal.
    in_a_terminal = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('ecoval_core', run_name='__main__', alter_sys=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", in_a_terminal, "value", folder / "wine.csv", *arguments,
         "--jobs", "2", "--out", out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        told = ""
        while "Valuing" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        os.killpg(process.pid, signal.SIGINT)  # a terminal tells the workers as well
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", "Stopped.\n")
    assert not out.exists()
