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

from ecoval_core.columns.clean import clean, suggest_fixes
from ecoval_core.command_line import main
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.evaluation.pruning import PruneList, measure_effect
from ecoval_core.reporting import make_report
from ecoval_core.runs.exports import unit_of
from ecoval_core.runs.recipe import make_recipe, new_labels, read_recipe, recipe_bytes
from ecoval_core.tables import load_sample, make_table, read_frame
from ecoval_core.valuation.record import reliability_warning

SCRIPT = "</script><script>document.hacked = 1</script>"
PICTURE = '"><img src=x onerror="document.hacked = 2">'
RTL = "שלום \u202eעולם"
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
        within = [element["tag"] for element in self.inside]
        element = {"tag": tag, "text": "", "within": within, **dict(attributes)}
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

    def recipe_link(self):
        """Name and content of the recipe that can be saved."""
        link = next(e for e in self.all("a") if "download" in e)
        kind, content = link["href"].split(",")
        assert kind == "data:application/json;base64"
        return link["download"], base64.b64decode(content)


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


def all_of(run, recipe):
    """A report with every part."""
    split, frame = run.split, run.frame
    reasons = recipe.prune.decide(frame["value"], run.class_labels).reasons
    curves = removal_curves(
        run.make_estimator(), run.X, run.y, split.X_test, split.y_test, run.ecoval.values_,
        strategies=("lowest", "highest", "random"), shares=(0.0, 0.1, 0.3), n_random=2, every_measure=True,
    )  # fmt: skip
    effect = measure_effect(
        run.make_estimator(), run.X, run.y, split.X_test, split.y_test,
        ~np.isin(run.ids, reasons.index), balanced=run.settings.balanced,
    )  # fmt: skip
    coordinates = run.X[:, :2]
    return make_report(
        run, recipe, effects={"Pruning": effect}, curves=curves, coordinates=coordinates
    )


def plain_report(run, rules=PruneList(), decisions=None, **words):  # noqa: B008 - it is frozen
    return make_report(run, make_recipe(run, rules, decisions, **words))


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
    recipe = make_recipe(run, rules, decisions, note="First\nsecond", created="2026-11-24")
    return run, rules, decisions, recipe, all_of(run, recipe)


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
    return run, recipe, all_of(run, recipe)


# --- What it says --------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_bytes_but_for_the_date_that_is_shown(loans):
    run, rules, decisions, _, _ = loans
    recipe = rb"base64,[A-Za-z0-9+/=]{200,}"
    first, later = (
        re.sub(recipe, b"", plain_report(run, rules, decisions, created=date))
        for date in ("2026-11-24", "2027-01-31")
    )
    assert first.replace(b"2026-11-24", b"2027-01-31") == later


def test_headline_figures_are_those_of_the_run(loans, page):
    run, rules, decisions, _, _ = loans
    ecoval, frame = run.ecoval, run.frame
    said = page.text_of("summary").replace("−", "-")
    decided = rules.decide(frame["value"], run.class_labels, new_labels(run, decisions))
    assert len(decided.spared)
    for words in (
        f"{ecoval.surplus_:+.4f} of probability± {ecoval.surplus_standard_error_:.4f}",
        f"from {ecoval.prior_score_:.4f} by guessing to {ecoval.full_score_:.4f} with the model",
        f"{ecoval.intrinsic_share_:.0%} of the surplus",
        f"{ecoval.returns_to_scale_:.2f} of the surplus",
        f"{len(run.harmful_ids)} of {len(frame)}{(frame['value'] < 0).sum()} rows below zero in all",
        run.verdict().harm(),
        f"{len(decided.reasons)} of {len(frame)}{len(decided.spared)} more rows kept",
        f"6 of {len(frame)}",
        "in average rows",
    ):
        assert words in said
    assert "not reliable" not in said


def test_what_was_valued_is_told(loans, page):
    run = loans[0]
    said, table, parts = page.text_of("table"), run.table, run.split.parts
    for words in (
        "loans.csv", "500 rows, 5 columns", "status (classification)", "Training rows (60%)",
        f"{len(run.split.flipped_ids)} training rows made wrong on purpose (8%)",
        f"{len(run.frame)} (training)", "No column in use has missing values.",
    ):  # fmt: skip
        assert words in said
    labels = table.label_series
    of_all, of_train = (
        one.value_counts() for one in (labels, labels[parts[labels.index] == "train"])
    )
    found = {row[0]: row[1:3] for row in rows_of(page, "Rows by class")[1:]}
    assert found == {name: [str(of_all[name]), str(of_train[name])] for name in of_all.index}


def test_classes_and_clusters_are_summed_up(loans, page):
    run, rules, decisions, _, _ = loans
    unit, frame = unit_of(run), run.frame
    pruned = rules.decide(frame["value"], run.class_labels).reasons.index
    header, *rows = rows_of(page, "Values by label")
    assert header[-2:] == ["to prune", "new label"]
    means = frame.groupby("label")["value"].mean().sort_values()
    assert [row[0] for row in rows] == means.index.tolist()
    for name, *row in rows:
        of_class = frame[frame["label"] == name]
        total = of_class["value"].sum()
        assert row[:3] == [str(len(of_class)), unit.number(total), unit.number(means[name])]
        counts = [
            of_class.index.isin(ids).sum() for ids in (pruned, list(new_labels(run, decisions)))
        ]
        assert row[-2:] == [str(count) for count in counts]
    listed = rows_of(page, "Clusters, lowest total value first")[1:]
    assert [row[0] for row in listed] == run.clusters["cluster"].astype(str).tolist()
    for column, name in ((3, "value"), (6, "left_out"), (8, "passed_on")):
        assert [row[column] for row in listed] == [unit.number(one) for one in run.clusters[name]]


def test_the_lowest_and_the_highest_rows_come_with_columns_of_the_table(loans, page):
    run = loans[0]
    unit, ranked = unit_of(run), run.frame["value"].sort_values(kind="stable")
    for caption, ids in (
        ("The 10 lowest", ranked.index[:10]),
        ("The 10 highest", ranked.index[:-11:-1]),
    ):
        header, *rows = rows_of(page, caption)
        assert header[-4:] == ["income", "debt_ratio", "late_payments", "purpose"]
        assert [row[0] for row in rows] == [str(row) for row in ids]
        assert [row[2] for row in rows] == [unit.number(ranked[row]) for row in ids]
        assert [row[-1] for row in rows] == run.table.frame.loc[ids, "purpose"].tolist()


def test_pruned_rows_are_listed_with_reasons_and_a_count_of_the_rest(loans, page):
    run, rules, decisions, _, _ = loans
    new = new_labels(run, decisions)
    reasons = rules.decide(run.frame["value"], run.class_labels, new).reasons
    listed = rows_of(page, "Rows to prune")[1:]
    assert [row[0] for row in listed] == [str(row) for row in reasons.index]
    written = reasons.str.replace("share", "lowest share").str.replace("picked", "picked by hand")
    assert [row[4] for row in listed] == written.tolist()
    assert {"share", "share + picked"} <= set(reasons)
    for words in ("80.0% of the rows", "at least 90% of each class"):
        assert words in page.text_of("decisions")
    many = Page(plain_report(run, PruneList(share=0.9, quota=0)))
    assert len(rows_of(many, "Rows to prune")) == 201
    assert f"And {len(run.frame) * 9 // 10 - 200} more rows." in many.text_of("decisions")


def test_decisions_on_labels_are_listed_the_new_ones_first(loans, page):
    run, _, decisions, _, _ = loans
    listed = rows_of(page, "7 decisions on labels")[1:]
    assert [row[0] for row in listed] == [str(row) for row in decisions]
    frame = run.frame.loc[list(decisions)]
    assert [row[1] for row in listed] == frame["label"].tolist()
    assert [row[2] for row in listed] == [*frame["suggested_label"][:6], "kept"]


def test_curves_and_effects_are_shown_class_by_class(loans, page):
    header, *rows = rows_of(page, "Mean test balanced accuracy")
    assert header == ["rows removed", "lowest value first", "random rows"]
    assert [row[0] for row in rows[:3]] == ["0%", "10%", "30%"]
    effect = rows_of(page, "Pruning")[1:]
    assert [row[0] for row in effect] == [
        "accuracy", "balanced accuracy", "ROC AUC", "recall of charged off", "recall of paid",
    ]  # fmt: skip
    for _, before, after, difference, interval, *_ in effect:
        assert re.fullmatch(r"[+−]?\d\.?\d* to [+−]?\d\.?\d*|0 to 0", interval)
        change = float(after) - float(before)
        assert float(difference.replace("−", "-")) == pytest.approx(change, abs=0.0011)
    assert re.search("Worse|Better|No clear difference", page.text_of("effects"))
    ids = {e.get("id") for e in Page(plain_report(loans[0])).elements}
    assert not ids & {"curves", "effects", "map-data"}


def test_fixes_and_values_not_to_be_trusted_are_told():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": random.normal(size=60), "y": random.permutation(["no", "<yes>", "<Yes>"] * 20)}
    )
    fixes = suggest_fixes(frame)
    assert fixes
    table = make_table(clean(frame, fixes), "t.csv", "y")
    settings = settings_of("naive_bayes", 5, extrinsic_weight=50.0)
    run = value_table(table, settings, spec={"fixes": tuple(fixes)})
    page = Page(plain_report(run))
    assert all(page.text_of("table").count(one.sentence) == 1 for one in fixes)
    assert reliability_warning(run.ecoval)
    assert reliability_warning(run.ecoval) in page.text_of("summary")


def test_regression_by_folds_speaks_of_targets():
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(90, 3)), columns=["a", "b", "c"])
    frame.loc[::9, "b"] = np.nan
    frame["price"] = frame["a"] * 2 + random.normal(size=90)
    settings = settings_of("ridge", 6, "squared_error", every_row=True)
    run = value_table(make_table(frame, "houses.csv", "price"), settings, noise=0.1)
    decisions = dict.fromkeys(run.frame.index[:2].tolist(), "accept")
    rules = PruneList(threshold=0.001)
    page = Page(all_of(run, make_recipe(run, rules, decisions, unit="score")))
    table, decided = page.text_of("table"), page.text_of("decisions")
    assert "price (regression)" in table
    assert f"{len(run.frame)} (training and validation rows, by five folds)" in table
    assert rows_of(page, "Missing values")[1:] == [["b", "10", "11.1%"]]
    parts = [row[0] for row in rows_of(page, "Target by part")[1:]]
    assert parts == ["all", "train", "validation", "test"]
    unit = "of squared error over the target's variance"
    assert f"every row below +0.0010 {unit}" in decided
    assert "2 decisions on targets" in decided
    assert "Limit of each class" not in decided
    assert [row[0] for row in rows_of(page, "Pruning")[1:]] == ["R²"]
    assert len(rows_of(page, f"Values by target, lowest mean first, in units {unit}")) == 6


# --- Figures -------------------------------------------------------------------------------


def test_each_figure_is_named_and_has_its_numbers_in_words_or_a_table(page):
    plots = [e for e in page.all("div") if e.get("class") == "plot"]
    assert len(plots) == len(page.all("figure")) == 8
    for plot in plots:
        assert len(plot["aria-label"]) > 30
        traces = json.loads(page.text_of(plot["data-figure"]))["figure"]["data"]
        assert traces
        assert not any("gl" in trace["type"] for trace in traces)
    instead = Counter(e["text"].strip() for e in page.all("summary"))
    assert instead["The figure as a table"] == 7
    assert instead["The figure in words"] == 1


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
    name, content = page.recipe_link()
    assert name == "loans_recipe.json"
    assert content == recipe_bytes(recipe)
    assert read_recipe(content).prune == rules
    assert page.all("pre")[0]["text"] == content.decode()
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
    assert page.all("title")[0]["text"] == f"{SCRIPT}{RTL} – EcoVal report"
    assert "49" not in page.text_of("table").split()
    names = {e["text"] for e in page.all("bdi")}
    assert names >= {SCRIPT, PICTURE, RTL, "{{ 7*7 }}", f"{PICTURE} id", "日本\ufffd\ufffd語"}
    for element in page.all("script"):
        if element.get("type") == "application/json":
            json.loads(element["text"])
    name, content = page.recipe_link()
    assert re.fullmatch(r"[\w-]+_recipe\.json", name)
    assert content == recipe_bytes(recipe)
    assert b"\x00" not in report


def test_a_report_is_written_by_both_commands(tmp_path):
    load_sample("wine").frame.to_csv(tmp_path / "wine.csv", index=False)

    def ask(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    recipe, report = tmp_path / "r.json", tmp_path / "report.html"
    given = ["value", tmp_path / "wine.csv", "--target", "cultivar", "--model", "naive_bayes"]
    given += ["--n-clusters", 6, "--out", tmp_path / "v.csv", "--recipe", recipe]
    done = ask(*given, "--report", report)
    assert (done.exit_code, done.exception) == (0, None)
    assert "wine.csv" in Page(report.read_bytes()).text_of("table")
    changed = json.loads(recipe.read_bytes())
    changed |= {"name": "Chosen <name>", "prune": changed["prune"] | {"share": 0.2}}
    recipe.write_text(json.dumps(changed))
    done = ask(
        "replay", recipe, tmp_path / "wine.csv", "--out", tmp_path / "again", "--report", report
    )
    assert done.exit_code == 1  # kept and removed are no longer what the recipe expects
    page = Page(report.read_bytes())
    assert page.all("h1")[0]["text"] == "Chosen <name>"
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
    itself = ("data:", "blob:", (tmp_path / "report.html").as_uri())
    assert [url for url in asked if not url.startswith(itself)] == complaints == []
    assert asked


COLOR = "document.getElementById('distribution-title').parentElement.querySelector('.plot').layout.font.color"


BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@in_browser
def test_figures_follow_the_theme_and_the_width(loans, visit):
    page = visit(loans[-1], viewport={"width": 390, "height": 800}, color_scheme="dark")
    assert page.locator(".plot.js-plotly-plot").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(COLOR) == "#e5e7eb"
    assert page.evaluate(BACKGROUND) == "rgb(20, 23, 28)"
    page.emulate_media(color_scheme="light")
    # Waiting for a function would evaluate a string, which the policy of the report forbids.
    end = time.monotonic() + PATIENCE / 1000
    while page.evaluate(COLOR) != "#1f2937":
        assert time.monotonic() < end, "the figures stay dark"
        page.wait_for_timeout(30)
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    widths = page.evaluate(
        "[...document.querySelectorAll('.plot .main-svg')].map(e => e.getBoundingClientRect().width)"
    )
    room = page.evaluate("document.querySelector('figure').clientWidth")
    assert room - 1 <= min(widths) <= max(widths) <= room + 1
    assert page.locator("details[open]").count() == 0


@in_browser
def test_figures_can_be_worked_with(loans, visit):
    page = visit(loans[-1], viewport={"width": 1280, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    of_map = "document.querySelector('[data-figure=map-data]')"
    colors = f"Array.from({of_map}.data[0].marker.colorscale.flat()).join()"
    before = page.evaluate(colors)
    page.locator(".updatemenu-button", has_text="Cluster").click()
    assert page.evaluate(colors) != before
    page.locator("[data-figure=decomposition-data] .points path").first.hover(force=True)
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
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
