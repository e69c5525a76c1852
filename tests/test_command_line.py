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
from ecoval_core.tables import make_table, read_frame

pytestmark = pytest.mark.processes

# Without it the last bit of a number may be lost in reading.
read_csv = partial(pd.read_csv, float_precision="round_trip")
COMMAND = [sys.executable, "-m", "ecoval_core"]
QUICK = ["--model", "naive_bayes", "--n-clusters", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    wine = load_wine(as_frame=True).frame
    wine.insert(0, "wine_id", [f"w{i:03d}" for i in range(len(wine))])
    wine["cellar"] = "north"
    wine.loc[[3, 90], "target"] = np.nan
    wine.to_csv(folder / "wine.csv", index=False)
    load_diabetes(as_frame=True).frame[:200].to_csv(folder / "diabetes.csv", index=False)
    (folder / "empty.csv").touch()
    return folder


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def value(folder, name, *options, out, target="target"):
    return run("value", folder / name, "--target", target, "--out", out, *options)


def refused(done):
    """The one line with which a command ended that did nothing."""
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.stderr.endswith(f"{line}\n")
    return line.removeprefix("Error: ")


def expected_run(folder, name, settings, *, excluded=None, **split):
    table = make_table(read_frame(folder / name), name, "target", excluded=excluded)
    return value_table(table, settings, **split)


def test_value_writes_every_row_with_part_and_values(folder, tmp_path):
    out = tmp_path / "values.csv"
    done = value(folder, "wine.csv", out=out)
    assert (done.exit_code, done.exception) == (0, None)
    found = read_csv(out).astype({"label_issue": "boolean"})
    # 26 clusters: a quarter of 106 rows, as leaving clusters out takes no refits.
    expected = expected_run(folder, "wine.csv", settings_of("logistic_regression", 26))
    written = exported_frame(expected, "all_values")
    pd.testing.assert_frame_equal(found, written, check_dtype=False, check_exact=True)
    assert found["row_id"].tolist() == list(range(178))
    assert found.groupby("part").size().to_dict() == {
        "train": 106, "validation": 35, "test": 35, "no target": 2,
    }  # fmt: skip
    assert found["value"].sum() == pytest.approx(106), "as many as rows were valued"
    # The summary goes to stdout, the rest to stderr.
    ecoval = expected.ecoval
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:1].isalpha())
    assert said["Values"] == "in average rows"
    assert said["Surplus"].startswith(f"{ecoval.surplus_:+.4f}, from {ecoval.prior_score_:.4f}")
    assert said["Rows"] == f"below zero   {(ecoval.values_ < 0).sum()} of 106"
    assert said["Written"] == str(out)
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
        "--proportions", 0.5, 0.3, 0.2, "--exclude", "age", "--exclude", "sex",
        "--unit", "score", out=tmp_path / "values.parquet",
    )  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None)
    expected = expected_run(
        folder, "diabetes.csv",
        settings_of("k_neighbors", 9, "absolute_error", extrinsic_weight=0.2, random_state=3),
        excluded=["age", "sex"], random_state=3, proportions=(0.5, 0.3, 0.2),
    )  # fmt: skip
    table = pd.read_parquet(tmp_path / "values.parquet").set_index("row_id")
    assert np.array_equal(table["value"].dropna(), expected.frame["value"])
    assert set(table["unit"]) == {"units of the target's standard deviation"}
    assert "from 8 columns" in done.stderr


def test_a_rare_class_counts_alike_by_itself_and_that_is_said(tmp_path):
    (tmp_path / "loans.csv").write_bytes(loan_csv())
    n_lowest = []
    for options in ([], ["--class-weight", "none"]):
        done = value(tmp_path, "loans.csv", *options, out=tmp_path / "values.csv", target="status")
        assert ("Every class has the same weight" in done.stderr) == (not options)
        found = read_csv(tmp_path / "values.csv").dropna(subset="value").sort_values("value")
        n_lowest.append((found["status"].head(len(found) // 7) == "charged off").sum())
    balanced, plain = n_lowest
    assert balanced < plain / 2


def test_values_not_to_be_trusted_come_with_a_warning(tmp_path):
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"])
    noise.assign(target=random.permutation([0, 1] * 30)).to_csv(tmp_path / "noise.csv", index=False)
    done = value(tmp_path, "noise.csv", "--extrinsic-weight", 50, out=tmp_path / "values.csv")
    assert done.exit_code == 0
    assert "Warning: These values are not reliable:" in done.stderr
    assert "an average row is no unit" in done.stderr
    assert "Values            in units of probability\n" in done.stdout


def test_column_that_would_be_left_out_can_be_included(folder, tmp_path):
    done = value(folder, "wine.csv", "--include", "wine_id", *QUICK, out=tmp_path / "values.csv")
    assert "from 14 columns" in done.stderr
    assert "not reliable" not in done.stderr


def test_curves_writes_every_refit_and_tells_the_means(folder, tmp_path):
    out = tmp_path / "curves.csv"
    done = run(
        "curves", folder / "wine.csv", "--target", "target", "--out", out, "--model", "naive_bayes",
        "--n-clusters", 8, "--strategy", "lowest", "--strategy", "random_clusters",
        "--n-random", 2, "--class-balanced",
    )  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None)
    of = expected_run(folder, "wine.csv", settings_of("naive_bayes", 8))
    data = of.split
    expected = removal_curves(
        of.make_estimator(), data.X_train, data.y_train, data.X_test, data.y_test,
        of.ecoval.values_, clusters=of.ecoval.labels_, strategies=("lowest", "random_clusters"),
        class_balanced=True, n_random=2,
    )  # fmt: skip
    pd.testing.assert_frame_equal(read_csv(out), expected, check_exact=True, check_dtype=False)
    title, header, *lines, last = done.stdout.splitlines()
    assert title == "Mean test accuracy by share of the training rows removed"
    assert header.split() == ["removed", "lowest", "random_clusters"]
    means = expected.pivot_table("score", "share", "strategy")  # the mean of each
    assert [line.split() for line in lines] == [
        [f"{share:.0%}", *(f"{mean:.4f}" for mean in row)] for share, row in means.iterrows()
    ]
    assert last == f"Written to {out}"
    assert done.stderr.endswith("Valuing rows\nRemoving rows\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("nowhere.csv", "nowhere.csv cannot be opened (No such file or directory): check its path."),
        ("empty.csv", "is empty"),
        ("wine.csv --target grape", "wine.csv has no column 'grape': choose one of "),
        ("wine.csv --exclude hue2", "wine.csv has no column 'hue2': choose one of "),
        ("wine.csv --include hue2", "wine.csv has no column 'hue2' to include."),
        ("wine.csv --model ridge", "--model is 'ridge': for classification choose one of logistic"),
        ("wine.csv --scoring squared_error", "scoring='squared_error' does not fit "),
        ("wine.csv --proportions 1 1 1", "--proportions is (1.0, 1.0, 1.0): three numbers above 0 that "),
        ("wine.csv --extrinsic-weight nan", "--extrinsic-weight is nan: Input should be a finite number."),
        ("wine.csv --jobs 0", "--jobs is 0: give the number of fits at once, or -1 for every "),
        ("wine.csv --target cellar", "The target 'cellar' has one class only (north): choose "),
        ("diabetes.csv --task classification", "The target 'target' has "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["value", "curves"])
def test_bad_input_is_one_sentence_and_exit_code_2(folder, tmp_path, command, arguments, sentence):
    name, *options = arguments.split()
    out = tmp_path / "out.csv"
    done = run(command, folder / name, "--target", "target", "--out", out, *options)
    assert sentence in refused(done)
    assert not out.exists()


@pytest.mark.parametrize("option", ["--class-balanced", "--class-weight balanced"])
def test_class_balance_is_refused_for_amounts(folder, tmp_path, option):
    given = ["--target", "target", "--out", tmp_path / "c.csv", *option.split()]
    done = run("curves", folder / "diabetes.csv", *given)
    assert refused(done) == f"{option} needs classes, and the task is regression."


def test_a_result_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    copy = tmp_path / "wine.csv"
    copy.write_bytes((folder / "wine.csv").read_bytes())
    for out, words in {
        tmp_path / "values.json": "ends in none of .csv, .parquet: choose one of them.",
        tmp_path / "no" / "values.csv": f"there is no folder {tmp_path / 'no'}.",
        tmp_path / "folder.csv": "cannot be written: it is a folder.",
        copy: "is the table itself: choose another file to write.",
    }.items():
        said = refused(value(tmp_path, "wine.csv", out=out))
        assert said.startswith(f"{out} ")
        assert words in said
    assert copy.read_bytes() == (folder / "wine.csv").read_bytes()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # for root
    assert "permission denied" in refused(value(folder, "wine.csv", out=tmp_path / "values.csv"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(folder, tmp_path):
    (tmp_path / "values.csv").symlink_to("/dev/full")
    done = value(folder, "wine.csv", *QUICK, out=tmp_path / "values.csv")
    assert refused(done).endswith("(No space left on device): choose another place.")


def test_a_column_that_parquet_cannot_hold_is_named_before_the_work(folder, tmp_path):
    mixed = read_csv(folder / "wine.csv").dropna()
    mixed["note"] = pd.Series([1, "two", 2.5] * 60, dtype=object)[: len(mixed)].to_list()
    mixed.to_excel(tmp_path / "mixed.xlsx", index=False)
    done = value(tmp_path, "mixed.xlsx", out=tmp_path / "values.parquet")
    assert "Valuing" not in done.stderr
    said = refused(done)
    assert "Column 'note' mixes kinds of values" in said
    assert "choose values.csv instead of values.parquet" in said
    done = value(tmp_path, "mixed.xlsx", *QUICK, out=tmp_path / "values.csv")
    assert done.exit_code == 0


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
        [*COMMAND, "value", folder / "wine.csv", "--target", "target", "--out", out, *QUICK],
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
