"""The report: what it says, that nothing of the user's becomes markup, and how it behaves in a browser."""

import base64
import json
import re
import time
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from browser import IN_CHROMIUM, PATIENCE
from click.testing import CliRunner
from data_files import loan_csv
from valued import settings_of, value_table

from ecoval_core import charts
from ecoval_core.columns.clean import clean, suggest_fixes
from ecoval_core.command_line import main
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect, PruneList, measure_effect
from ecoval_core.reporting import make_report
from ecoval_core.reporting.figures import MAX_LOWEST, MAX_POINTS, points_drawn, thin_out
from ecoval_core.runs.exports import unit_of
from ecoval_core.runs.recipe import make_recipe, new_labels, read_recipe, recipe_bytes
from ecoval_core.tables import load_sample, make_table, read_frame
from ecoval_core.valuation.record import reliability_warning

SCRIPT = "</script><script>document.hacked = 1</script>"
PICTURE = '"><img src=x onerror="document.hacked = 2">'
RTL = "שלום \u202eעולם"
WORSE, BETTER = (0.8, 0.7, -0.2, -0.05), (0.7, 0.8, 0.05, 0.2)
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements of a page in order, each with its attributes, its text and those it lies in."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.inside = [], []
        self.feed(content.decode())
        self.close()
        assert self.inside == [], "an element is not closed"

    def handle_starttag(self, tag, attributes):
        element = {
            "tag": tag,
            "text": "",
            "within": [e["tag"] for e in self.inside],
            **dict(attributes),
        }
        self.elements.append(element)
        if tag not in VOID:
            self.inside.append(element)

    def handle_endtag(self, tag):
        assert self.inside.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.inside:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def text_of(self, id_):
        return next(e["text"] for e in self.elements if e.get("id") == id_)

    def figure(self, name):
        return json.loads(self.text_of(f"{name}-data"))


def rows_of(page, caption):
    """Cells of the table of a caption, the header first."""
    rows, is_in = [], False
    for element in page.elements:
        if element["tag"] == "caption":
            is_in = element["text"].startswith(caption)
        elif is_in and element["tag"] == "tr":
            rows.append([])
        elif is_in and element["tag"] in ("th", "td"):
            rows[-1].append(element["text"])
    return rows


def all_of(run, rules, decisions, **more):
    """A report with every part."""
    split, frame = run.split, run.frame
    reasons = rules.reasons(frame["value"], run.class_labels)
    curves = removal_curves(
        run.make_estimator(), run.X, run.y, split.X_test, split.y_test, run.ecoval.values_,
        strategies=("lowest", "highest", "random"), shares=(0.0, 0.1, 0.3), n_random=2, every_measure=True,
    )  # fmt: skip
    effect = measure_effect(
        run.make_estimator(), run.X, run.y, split.X_test, split.y_test,
        ~np.isin(run.ids, reasons.index), balanced=run.settings.balanced,
    )  # fmt: skip
    given = {"effects": {"Pruning": effect}, "curves": curves, "coordinates": run.X[:, :2]}
    return make_report(run, rules=rules, decisions=decisions, **(given | more))


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """Two classes, one of them rare, with planted noise; rules, decisions, and the report of it all."""
    file = tmp_path_factory.mktemp("loans") / "loans.csv"
    file.write_bytes(loan_csv(500))
    table = make_table(read_frame(file), file.name, "status")
    run = value_table(table, settings_of("logistic_regression", 16, balanced=True), noise=0.08)
    doubtful = run.frame.sort_values("label_quality").index.tolist()
    decisions = dict.fromkeys(doubtful[:6], "accept") | {doubtful[6]: "keep"}
    rules = PruneList(share=0.8, quota=0.9).pick(doubtful[10:12])
    recipe = make_recipe(run, rules, decisions, created="2026-11-24")
    report = all_of(
        run, rules, decisions, recipe=recipe, note="First\nsecond", created="2026-11-24"
    )
    return run, rules, decisions, recipe, report


@pytest.fixture(scope="module")
def page(loans):
    return Page(loans[-1])


@pytest.fixture(scope="module")
def hostile():
    """A run whose every name and cell wants to be markup."""
    random = np.random.default_rng(1)
    n = 160
    frame = pd.DataFrame({SCRIPT: random.normal(size=n), PICTURE: random.normal(size=n)})
    frame[RTL] = random.choice([SCRIPT, PICTURE, "a'b`${x}", "日本\x00\x1b語"], n)
    frame["gap <b>"] = np.where(np.arange(n) % 5, 1.0, np.nan)
    frame[f"{PICTURE} id"] = "same <i>"
    frame["{{ 7*7 }}"] = np.where(frame[SCRIPT] > 0, SCRIPT, f"{RTL} & &amp; 'q'")
    table = make_table(frame, f"{PICTURE}{SCRIPT}.csv", "{{ 7*7 }}")
    run = value_table(table, settings_of("naive_bayes", 8), noise=0.1)
    decisions = dict.fromkeys(run.frame.index[:4].tolist(), "accept")
    rules = PruneList(share=0.3)
    words = {"name": f"{SCRIPT}{RTL}", "note": f"{PICTURE}\n{{% raw %}}\x00", "created": SCRIPT}
    recipe = make_recipe(run, rules, decisions, **words)
    return run, recipe, all_of(run, rules, decisions, recipe=recipe, **words)


# --- What it says --------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_bytes_and_the_date_stands_where_it_is_shown(loans):
    run, rules, decisions, _, _ = loans
    first, again, later = (
        make_report(run, rules=rules, decisions=decisions, created=date)
        for date in ("2026-11-24", "2026-11-24", "2027-01-31")
    )
    assert first == again
    assert len(re.findall(rb"base64,([A-Za-z0-9+/=]{200,})", first)) == 1
    first, later = (re.sub(rb"base64,[A-Za-z0-9+/=]{200,}", b"", one) for one in (first, later))
    assert first.replace(b"2026-11-24", b"2027-01-31") == later


def test_headline_figures_are_those_of_the_run(loans, page):
    run, rules, _, _, _ = loans
    ecoval, frame = run.ecoval, run.frame
    said = page.text_of("summary").replace("−", "-")
    decided = rules.decide(frame["value"], run.class_labels)
    assert len(decided.spared)
    for words in (
        f"{ecoval.surplus_:+.4f} of probability± {ecoval.surplus_standard_error_:.4f}",
        f"from {ecoval.prior_score_:.4f} by guessing to {ecoval.full_score_:.4f} with the model",
        f"{ecoval.intrinsic_share_:.0%} of the surplus",
        f"{ecoval.returns_to_scale_:.2f} of the surplus",
        f"{len(run.harmful_ids)} of {len(frame)}{(frame['value'] < 0).sum()} rows below zero in all",
        run.verdict().harm(),
        f"{len(decided.reasons)} of {len(frame)}{len(decided.spared)} more rows kept by the limit of "
        "their class",
        f"6 of {len(frame)}",
        "Values of rows are written in average rows: +1.0× is what a row brings on average",
    ):
        assert words in said


def test_what_was_valued_is_told(loans, page):
    run = loans[0]
    said = page.text_of("table")
    prepared = run.split
    for words in (
        "loans.csv", "500 rows, 5 columns", "status (classification)", "Training rows (60%)",
        f"{len(prepared.flipped_ids)} training rows made wrong on purpose (8%)",
        f"{len(run.frame)} (training)", "No column in use has missing values.",
    ):  # fmt: skip
        assert words in said
    counts = prepared.table.label_series.value_counts()
    train = prepared.parts[prepared.table.label_series.index] == "train"
    in_train = prepared.table.label_series[train].value_counts()
    found = {row[0]: row[1:3] for row in rows_of(page, "Rows by class")[1:]}
    assert found == {name: [str(counts[name]), str(in_train[name])] for name in counts.index}


def test_classes_and_clusters_are_summed_up(loans, page):
    run, rules, decisions, _, _ = loans
    unit, frame = unit_of(run), run.frame
    pruned = rules.reasons(frame["value"], run.class_labels).index
    header, *rows = rows_of(page, "Values by label")
    assert header[-2:] == ["to prune", "new label"]
    means = frame.groupby("label")["value"].mean().sort_values()
    assert [row[0] for row in rows] == means.index.tolist()
    for row in rows:
        of_class = frame[frame["label"] == row[0]]
        assert row[1:4] == [
            str(len(of_class)), unit.number(of_class["value"].sum()), unit.number(means[row[0]]),
        ]  # fmt: skip
        changed = [row_id for row_id in new_labels(run, decisions) if row_id in of_class.index]
        assert row[-2:] == [str(of_class.index.isin(pruned).sum()), str(len(changed))]
    listed = rows_of(page, "Clusters, lowest total value first")[1:]
    assert [row[0] for row in listed] == run.clusters["cluster"].astype(str).tolist()
    for column, name in ((3, "value"), (6, "left_out"), (8, "passed_on")):
        assert [row[column] for row in listed] == [unit.number(one) for one in run.clusters[name]]
    assert [row[7] for row in listed] == [unit.size(one) for one in run.clusters["left_out_error"]]


def test_the_lowest_and_the_highest_rows_come_with_columns_of_the_table(loans, page):
    run = loans[0]
    unit, ranked = unit_of(run), run.frame["value"].sort_values(kind="stable")
    for caption, ids in (
        ("The 10 lowest", ranked.index[:10]),
        ("The 10 highest", ranked.index[::-1][:10]),
    ):
        header, *rows = rows_of(page, caption)
        assert header[-4:] == ["income", "debt_ratio", "late_payments", "purpose"]
        assert [row[0] for row in rows] == [str(row) for row in ids]
        assert [row[2] for row in rows] == [unit.number(ranked[row]) for row in ids]
        original = run.table.frame.loc[ids, "purpose"]
        assert [row[-1] for row in rows] == original.tolist()


def test_pruned_rows_are_listed_with_reasons_and_a_count_of_the_rest(loans, page):
    run, rules, _, _, _ = loans
    reasons = rules.reasons(run.frame["value"], run.class_labels)
    listed = rows_of(page, "Rows to prune")[1:]
    assert [row[0] for row in listed] == [str(row) for row in reasons.index[:200]]
    words = {"share": "lowest share", "picked": "picked by hand"}
    assert [row[4] for row in listed] == [
        " + ".join(words[w] for w in r.split(" + ")) for r in reasons
    ]
    assert {"lowest share", "lowest share + picked by hand"} <= {row[4] for row in listed}
    many = Page(make_report(run, rules=PruneList(share=0.9, quota=0)))
    n_left = len(run.frame) * 9 // 10 - 200
    assert len(rows_of(many, "Rows to prune")) == 201
    assert f"And {n_left} more rows." in many.text_of("decisions")
    assert "80.0% of the rows" in page.text_of("decisions")
    assert "at least 90% of each class" in page.text_of("decisions")


def test_decisions_on_labels_are_listed_the_new_ones_first(loans, page):
    run, _, decisions, _, _ = loans
    listed = rows_of(page, "7 decisions on labels")[1:]
    assert [row[0] for row in listed] == [str(row) for row in decisions]
    frame = run.frame.loc[list(decisions)]
    assert [row[1] for row in listed] == frame["label"].tolist()
    assert [row[2] for row in listed] == [*frame["suggested_label"][:6], "kept"]


def test_curves_and_effects_are_shown_class_by_class(loans, page):
    run = loans[0]
    header, *rows = rows_of(page, "Mean test balanced accuracy")
    assert header == ["rows removed", "lowest value first", "random rows"]
    assert [row[0] for row in rows[:3]] == ["0%", "10%", "30%"]
    effect = rows_of(page, "Pruning")
    assert [row[0] for row in effect[1:]] == [
        "accuracy", "balanced accuracy", "ROC AUC", "recall of charged off", "recall of paid",
    ]  # fmt: skip
    for row in effect[1:]:
        assert re.fullmatch(r"[+−]?\d\.?\d* to [+−]?\d\.?\d*|0 to 0", row[4]), row
        before, after = float(row[1]), float(row[2])
        assert float(row[3].replace("−", "-")) == pytest.approx(after - before, abs=0.0011)
    assert not any(
        e.get("id") in ("curves", "effects", "map-data") for e in Page(make_report(run)).elements
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([WORSE, (0.9, 0.5, -0.6, -0.2)], "Worse: the recall of x<y falls (0.900 before"),
        ([WORSE, (0.9, 0.9, -0.1, 0.1)], "Worse: the accuracy falls"),
        ([BETTER, (0.9, 0.8, -0.2, 0.1)], "Better: the accuracy rises"),
        ([BETTER, (0.9, 0.9, 0, 0)], "No class gets worse."),
        ([(0.7, 0.7, -0.1, 0.2), (0.9, 0.8, -0.2, 0.1)], "No clear difference in the accuracy"),
    ],
)  # fmt: skip
def test_the_verdict_speaks_of_the_class_that_is_hit(loans, changes, words):
    names = ("accuracy", "recall: x<y")
    found = tuple(Change(n, *change, 30) for n, change in zip(names, changes, strict=True))
    told = Page(make_report(loans[0], effects={"Pruning": Effect("accuracy", found)}))
    assert words in told.text_of("effects")


def test_values_not_to_be_trusted_come_with_a_warning(loans, page):
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"])
    table = make_table(noise.assign(y=random.permutation(["no", "yes"] * 30)), "noise.csv", "y")
    run = value_table(table, settings_of("naive_bayes", 5, extrinsic_weight=50.0))
    warning = reliability_warning(run.ecoval)
    assert warning in Page(make_report(run)).text_of("summary")
    assert "not reliable" not in page.text_of("summary")


def test_fixes_are_told():
    frame = pd.DataFrame({"a": np.arange(60.0), "y": ["no", "<yes>", "<Yes>"] * 20})
    fixes = suggest_fixes(frame)
    table = make_table(clean(frame, fixes), "t.csv", "y")
    run = value_table(table, settings_of("naive_bayes", 5), spec={"fixes": tuple(fixes)})
    said = Page(make_report(run)).text_of("table")
    assert fixes
    assert all(said.count(one.sentence) == 1 for one in fixes)


def test_regression_by_folds_speaks_of_targets(tmp_path):
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(90, 3)), columns=["a", "b", "c"])
    frame.loc[::9, "b"] = np.nan
    frame["price"] = frame["a"] * 2 + random.normal(size=90)
    settings = settings_of("ridge", 6, "squared_error", every_row=True)
    run = value_table(make_table(frame, "houses.csv", "price"), settings, noise=0.1)
    rules = PruneList(threshold=0.001)
    page = Page(
        all_of(run, rules, dict.fromkeys(run.frame.index[:2].tolist(), "accept"), unit="score")
    )
    assert "price (regression)" in page.text_of("table")
    assert rows_of(page, "Missing values")[1:] == [["b", "10", "11.1%"]]
    parts = [row[0] for row in rows_of(page, "Target by part")[1:]]
    assert parts == ["all", "train", "validation", "test"]
    valued = f"{len(run.frame)} (training and validation rows, by five folds)"
    assert valued in page.text_of("table")
    unit = "of squared error over the target's variance"
    assert f"every row below +0.001 {unit}".replace("0.001", "0.0010") in page.text_of("decisions")
    assert [row[0] for row in rows_of(page, "Pruning")[1:]] == ["R²"]
    assert "2 decisions on targets" in page.text_of("decisions")
    assert "Limit of each class" not in page.text_of("decisions")
    assert len(rows_of(page, f"Values by target, lowest mean first, in units {unit}")) == 6


# --- Figures -------------------------------------------------------------------------------


def test_beyond_5000_rows_the_lowest_are_drawn_and_that_is_said():
    random = np.random.default_rng(0)
    n = MAX_POINTS + 900
    frame = pd.DataFrame(
        {
            "value": random.normal(size=n), "intrinsic": random.normal(size=n),
            "extrinsic": random.normal(size=n), "cluster": random.integers(0, 9, n),
            "label": random.choice(["a", "b"], n), "original_label": "a", "flipped": False,
            "quality": random.random(n), "raw_extrinsic": random.normal(size=n),
        },
        index=pd.Index(np.arange(n) * 3, name="row_id"),
    )  # fmt: skip
    stays = points_drawn(frame["value"].to_numpy())
    assert stays.sum() == MAX_POINTS
    assert stays[np.argsort(frame["value"].to_numpy())[:MAX_LOWEST]].all()
    assert points_drawn(frame["value"].to_numpy()[:MAX_POINTS]).all()
    full = charts.decomposition_scatter(frame, theme="light")
    thinned = thin_out(charts.decomposition_scatter(frame, theme="light"), frame.index[stays])
    points, all_points = thinned.data[0], full.data[0]
    assert set(points.customdata.tolist()) == set(frame.index[stays])
    kept = np.isin(all_points.customdata, points.customdata)
    for name in ("x", "y", "text", "hovertext"):
        np.testing.assert_array_equal(points[name], np.asarray(all_points[name])[kept])
    np.testing.assert_array_equal(points.marker.color, all_points.marker.color[kept])
    assert [n.text for n in thinned.layout.annotations] == [n.text for n in full.layout.annotations]


def test_each_figure_is_named_and_has_its_numbers_in_words_or_a_table(page):
    plots = [e for e in page.all("div") if e.get("class") == "plot"]
    assert len(plots) == len(page.all("figure")) == 8
    for plot in plots:
        assert len(plot["aria-label"]) > 30
        figure = page.figure(plot["data-figure"].removesuffix("-data"))["figure"]
        assert figure["data"]
        assert not any("gl" in trace["type"] for trace in figure["data"])
    instead = [e["text"].strip() for e in page.all("summary")]
    assert Counter(instead)["The figure as a table"] == 7
    assert Counter(instead)["The figure in words"] == 1


# --- The file ------------------------------------------------------------------------------


def test_headings_are_in_order_and_tables_have_headers(page):
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(e["scope"] == ("col" if "thead" in e["within"] else "row") for e in page.all("th"))
    for name in ("td", "th"):
        assert all("tr" in e["within"] for e in page.all(name))
    ids = [e["id"] for e in page.elements if e.get("id")]
    assert len(set(ids)) == len(ids)
    links = [e["href"].removeprefix("#") for e in page.all("a") if e["href"].startswith("#")]
    assert set(links) <= set(ids)
    assert links[0] == "summary"


def test_the_recipe_in_it_can_be_saved_and_read(loans, page):
    _, rules, _, recipe, _ = loans
    link = next(e for e in page.all("a") if "download" in e)
    assert link["download"] == "loans_recipe.json"
    kind, content = link["href"].split(",")
    assert kind == "data:application/json;base64"
    assert base64.b64decode(content) == recipe_bytes(recipe)
    assert read_recipe(base64.b64decode(content)).prune == rules
    assert page.all("pre")[0]["text"] == recipe_bytes(recipe).decode()
    for package in ("scikit-learn", "numpy", "pandas", "ecoval"):
        assert recipe.versions[package] in page.text_of("recipe")


def test_only_the_scripts_named_by_their_digests_are_there_and_plotly_is_there_once(loans, page):
    policy = next(e["content"] for e in page.all("meta") if e.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    scripts = [e for e in page.all("script") if e.get("type") != "application/json"]
    assert len(scripts) == 2
    digests = [base64.b64encode(sha256(e["text"].encode()).digest()).decode() for e in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert loans[-1].count(b"plotly.js v") == 1
    assert not any(e.get("src") for e in page.elements)
    assert not page.all("link")
    assert len(loans[-1]) < 5.5e6


def test_nothing_of_the_user_s_is_markup(hostile):
    _, recipe, report = hostile
    page = Page(report)
    allowed = Counter(e["tag"] for e in page.elements)
    assert set(allowed) <= {
        "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "h3", "noscript", "nav",
        "ul", "li", "a", "main", "section", "dl", "div", "dt", "dd", "strong", "span", "figure", "figcaption",
        "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td", "script", "bdi", "code",
        "pre", "footer",
    }  # fmt: skip
    assert not any(name.startswith("on") for e in page.elements for name in e)
    assert allowed["script"] == 2 + 1 + len(page.all("figure"))
    title = next(e["text"] for e in page.all("title"))
    assert title == f"{SCRIPT}{RTL} – EcoVal report"
    assert "49" not in page.text_of("table").split()
    names = {e["text"] for e in page.all("bdi")}
    target = "{{ 7*7 }}"
    assert {SCRIPT, PICTURE, RTL, target, "same <i>"} & names >= {SCRIPT, PICTURE, RTL, target}
    assert f"{PICTURE} id" in names
    assert "日本\ufffd\ufffd語" in names
    for element in page.all("script"):
        if element.get("type") == "application/json":
            json.loads(element["text"])
    link = next(e for e in page.all("a") if "download" in e)
    assert re.fullmatch(r"[\w-]+_recipe\.json", link["download"])
    assert base64.b64decode(link["href"].split(",")[1]) == recipe_bytes(recipe)
    assert b"\x00" not in report
    report.decode()


def test_a_report_is_written_by_both_commands(tmp_path):
    frame = load_sample("wine").frame
    frame.to_csv(tmp_path / "wine.csv", index=False)
    run = CliRunner().invoke

    def ask(*arguments):
        return run(main, [str(argument) for argument in arguments])

    recipe, report = tmp_path / "r.json", tmp_path / "report.html"
    given = ["value", tmp_path / "wine.csv", "--target", "cultivar", "--model", "naive_bayes"]
    given += ["--n-clusters", 6, "--out", tmp_path / "v.csv", "--recipe", recipe]
    done = ask(*given, "--report", report)
    assert (done.exit_code, done.exception) == (0, None)
    assert "wine.csv" in Page(report.read_bytes()).text_of("table")
    changed = json.loads(recipe.read_bytes())
    changed |= {"name": "Chosen <name>", "note": "Why", "prune": changed["prune"] | {"share": 0.2}}
    recipe.write_text(json.dumps(changed))
    folder = tmp_path / "again"
    done = ask(
        "replay", recipe, tmp_path / "wine.csv", "--out", folder, "--report", folder / "report.html"
    )
    assert done.exit_code == 1  # kept and removed are no longer what the recipe expects
    page = Page((folder / "report.html").read_bytes())
    assert next(e["text"] for e in page.all("h1")) == "Chosen <name>"
    assert "20.0% of the rows" in page.text_of("decisions")
    done = ask(*given, "--report", tmp_path / "report.txt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("report.txt ends in none of .html: give the file that ending.\n")


# --- In a browser --------------------------------------------------------------------------


def in_browser(test):
    """Mark a test that needs Chromium."""
    for mark in IN_CHROMIUM:
        test = mark(test)
    return test


@pytest.fixture
def visit(browser, tmp_path):
    """Open a report from disk; whatever it asks for besides itself, or complains of, is a failure."""
    contexts, asked, complaints = [], [], []

    def open_(report, **context):
        path = tmp_path / "report.html"
        path.write_bytes(report)
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    outside = [
        url
        for url in asked
        if not url.startswith(("data:", "blob:", (tmp_path / "report.html").as_uri()))
    ]
    assert (outside, complaints) == ([], [])
    assert asked


COLOR = "document.getElementById('distribution-title').parentElement.querySelector('.plot').layout.font.color"


@in_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_figures_follow_the_theme_and_the_width(loans, visit, width):
    page = visit(loans[-1], viewport={"width": width, "height": 800}, color_scheme="dark")
    plots = page.locator(".plot.js-plotly-plot")
    assert plots.count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(COLOR) == "#e5e7eb"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    page.emulate_media(color_scheme="light")
    # Waiting for a function would evaluate a string, which the policy of the report forbids.
    end = time.monotonic() + PATIENCE / 1000
    while page.evaluate(COLOR) != "#1f2937":
        assert time.monotonic() < end, "the figures stay dark"
        page.wait_for_timeout(30)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    widths = page.evaluate(
        "[...document.querySelectorAll('.plot .main-svg')].map(e => e.getBoundingClientRect().width)"
    )
    room = page.evaluate("document.querySelector('figure').clientWidth")
    assert max(widths) <= room + 1
    assert min(widths) >= room - 1
    assert page.locator("details[open]").count() == 0


@in_browser
def test_figures_can_be_worked_with(loans, visit):
    page = visit(loans[-1], viewport={"width": 1280, "height": 900})
    of_map = "document.querySelector('[data-figure=map-data]')"
    colors = f"Array.from({of_map}.data[0].marker.colorscale.flat()).join()"
    before = page.evaluate(colors)
    page.locator(".updatemenu-button", has_text="Cluster").click()
    assert page.evaluate(colors) != before
    point = page.locator("[data-figure=decomposition-data] .points path").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = page.locator("[data-figure=decomposition-data] .hoverlayer")
    hover.locator(".hovertext").wait_for()
    assert "value = intrinsic + extrinsic" in hover.text_content()
    page.get_by_text("The figure as a table").first.click()
    assert page.locator("#table table").first.is_visible()


@in_browser
def test_without_scripts_the_tables_stand_open(loans, visit):
    page = visit(loans[-1], java_script_enabled=False)
    assert page.locator(".plot").first.is_hidden()
    assert page.locator("noscript p").is_visible()
    tables = page.locator("figure table")
    assert tables.count() == 7
    assert all(tables.nth(i).is_visible() for i in range(7))


@in_browser
def test_hostile_names_run_nothing(hostile, visit):
    page = visit(hostile[2])
    assert page.locator(".plot.js-plotly-plot").count() == 8
    assert page.evaluate("document.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.title().startswith(SCRIPT)


@in_browser
def test_it_is_printed_in_light_colours_at_the_width_of_the_paper(loans, visit):
    page = visit(loans[-1], color_scheme="dark", viewport={"width": 1600, "height": 900})
    page.evaluate(
        "addEventListener('beforeprint', () => { window.printed = [...document.querySelectorAll('.plot')]"
        ".map(node => [node.layout.width, node.layout.font.color]); })"
    )
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF")
    assert page.evaluate("window.printed") == [[680, "#1f2937"]] * 8
    assert page.evaluate(COLOR) == "#e5e7eb"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
