"""A run as one file: it comes back to the last bit elsewhere, and a file from anybody does no harm."""

import io
import json
import os
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from data_files import make_frame
from small_runs import (
    cleaned_table,
    curves,
    drawn_values,
    frames,
    keep,
    keep_everything,
    keep_run,
    make_workspace,
    open_table,
    small_table,
)
from test_results import same

from ecoval_core.runs import archive
from ecoval_core.runs.archive import ArchiveError, export_run
from ecoval_core.runs.opened import load_frame
from ecoval_core.runs.run import Values, load_run
from ecoval_core.runs.tasks import TASKS
from ecoval_core.tables import make_table
from ecoval_core.work import opening, slow
from ecoval_core.workspace import history, workspace
from ecoval_core.workspace.results import read_result, write_result
from ecoval_core.workspace.schema import Review
from ecoval_core.workspace.workspace import Workspace
from pages.shared.engine import Engine

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A workspace with a whole run."""
    here = make_workspace(tmp_path_factory.mktemp("here"))
    run, made = keep_everything(here, small_table(noise=0.1), name="Whole")
    history.annotate_run(here, run, "line one\nline two, 'quoted'")
    return here, run, made


@pytest.fixture(scope="module")
def content(here):
    return export_run(*here[:2])


@pytest.fixture
def there(tmp_path):
    """Another workspace."""
    return make_workspace(tmp_path)


def import_run(there, content, **options):
    path = there.root / "upload"
    path.write_bytes(content)
    return archive.import_run(there, path, **options)


def open_run(workspace_, run):
    workspace.forget()
    record = history.find_run(workspace_, run)
    return load_run(workspace_, record.key, record.split, record.settings)


# --- It comes back ---------------------------------------------------------------------------


def test_run_comes_back_elsewhere_to_the_last_bit(here, content, there):
    old = history.find_run(*here[:2])
    new = history.find_run(there, import_run(there, content, visitor="bob"))
    for name in ("spec", "name", "note", "state", "error", "created", "summary"):
        assert getattr(new, name) == getattr(old, name), name
    one, other = open_run(*here[:2]), open_run(there, new.id)
    assert same(one.frame, other.frame)
    for weight in (0.0, 0.7, 3.0):
        assert same(one.reweight(weight).frame, other.reweight(weight).frame)
    assert same(one.split.X_test, other.split.X_test)
    assert same(one.table.frame, other.table.frame)
    before, after = (history.latest_review(*w) for w in (here[:2], (there, new.id)))
    assert (after.review, after.updated) == (before.review, before.updated)


def test_what_belongs_to_a_run_comes_with_it_and_is_found_as_pages_ask(here, content, there):
    imported = history.find_run(there, import_run(there, content))
    for task, value in here[2].items():
        arguments = dict(task.arguments)
        if "run" in arguments:
            arguments["run"] = imported.key
        asked = type(task)(task.name, arguments)
        assert same(there.load(asked.key, TASKS[task.name].returns), value), task.name
        owner = imported.key if "run" in arguments else imported.split
        assert asked.key in {one.key for one in there.results_of(owner, task.name)}


def test_curves_beside_another_run_and_models_stay(tmp_path):
    here = make_workspace(tmp_path)
    run, key = keep_run(here)
    keep(here, slow.method_curves(key, {"run": "0" * 32, "weight": 0.25}), curves())
    here.save("m", "models", np.zeros(3, np.uint8), owner=key)
    assert json.loads(members_of(export_run(here, run))["manifest.json"])["results"] == []


def test_cleaned_table_comes_with_its_fixes(there, tmp_path):
    frame, opened = cleaned_table()
    here = make_workspace(tmp_path / "here")
    run, _ = keep_run(here, opened, frame=frame)
    imported = import_run(there, export_run(here, run))
    assert open_run(there, imported).opened.spec == opened.spec
    assert same(open_run(there, imported).table.frame, opened.table.frame)
    assert same(load_frame(there, opened.spec.table.content), frame)


def test_same_run_gives_the_same_bytes(here, content):
    workspace.forget()
    assert export_run(*here[:2]) == content
    assert export_run(Workspace(here[0].root, here[0].temporary), here[1]) == content


def counts(there):
    tables = ("results", "runs", "reviews")
    return {table: len(there.stores()[0].rows(f"SELECT * FROM {table}")) for table in tables}  # noqa: S608


def test_importing_twice_gives_one_run_and_one_review(content, there):
    first = import_run(there, content)
    before = counts(there)
    assert import_run(there, content) == first
    assert counts(there) == before
    assert (before["runs"], before["reviews"]) == (1, 1)


def test_run_that_travels_on_and_comes_home_is_the_run_that_it_was(here, content, there, tmp_path):
    before = counts(here[0])
    first = import_run(there, content)
    again = export_run(there, first)
    assert import_run(here[0], again) == import_run(here[0], content) == here[1]
    assert counts(here[0]) == before
    third = make_workspace(tmp_path / "third")
    found = history.find_run(third, import_run(third, again))
    assert found.key == history.find_run(there, first).key


def test_importing_over_a_run_keeps_its_newer_review(content, there):
    run = import_run(there, content)
    history.save_review(there, "mine", run, "ada", Review(selected=()))
    assert import_run(there, content) == run
    assert history.latest_review(there, run).id == "mine"


def test_importing_a_deleted_run_restores_it_with_its_name(content, there):
    run = import_run(there, content)
    history.rename_run(there, run, "Mine")
    history.delete_run(there, run)
    assert import_run(there, content) == run
    assert [one.name for one in history.list_runs(there)] == ["Mine"]


def test_run_of_a_name_that_is_taken_gets_a_number(content, there):
    keep_run(there, name="Whole")
    import_run(there, content)
    assert sorted(run.name for run in history.list_runs(there)) == ["Whole", "Whole (2)"]


def test_what_cannot_be_exported_is_said_in_a_sentence(there):
    run, key = keep_run(there, name="Mine")
    there.stores()[0].remove(key)
    for run_id, why in (
        ("none", r"^This run is no longer in the workspace: reload the page\.$"),
        (run, r"^Mine cannot be exported: its values are no longer kept"),
    ):
        with pytest.raises(ValueError, match=why):
            export_run(there, run_id)
    there.stores()[0].rows("UPDATE runs SET state = 'started'")
    with pytest.raises(ValueError, match=r"^Mine cannot be exported: it has not finished\.$"):
        export_run(there, run)


# --- What comes from anybody -----------------------------------------------------------------


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive_:
        return {name: archive_.read(name) for name in archive_.namelist()}


def packed(members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive_:
        for name, member in members.items():
            archive_.writestr(name, member)
    return target.getvalue()


def forged(content, change):
    """What `change` makes of members and manifest, all digests being right."""
    members = members_of(content)
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    manifest["digests"] = {name: sha256(member).hexdigest() for name, member in members.items()}
    return packed({"manifest.json": json.dumps(manifest).encode(), **members})


def check_refused(there, content, match="."):
    before = counts(there)
    with pytest.raises(ArchiveError, match=match) as refused:
        import_run(there, content)
    sentence = str(refused.value)
    assert sentence.isprintable()
    assert sentence.startswith("Th")
    assert sentence.endswith(".")
    assert len(sentence) < 400
    assert counts(there) == before


def member(name, value):
    return lambda members, _: members.update({name: value})


def rewritten(name, kind, change):
    """Change a result in the archive."""

    def forge(members, _):
        members[name] = write_result(change(read_result(members[name], kind)))

    return forge


def of_kind(name, change):
    """Change the description of the first result of a kind."""

    def forge(members, manifest):
        change(next(one for one in manifest["results"] if one["kind"] == name), members)

    return forge


def finding(**arrays):
    """Change what the values found."""

    def change(values):
        found = vars(values.findings[0])
        changed = {name: make(found[name]) for name, make in arrays.items()}
        return Values([type(values.findings[0])(**found | changed)], [], {}, values.seconds)

    return rewritten("values", Values, change)


NO_ARCHIVES = {
    "nothing": (lambda c: b"", "not a run exported by EcoVal"),
    "text": (lambda c: b"name,value\n1,2\n", "not a run exported by EcoVal"),
    "cut": (lambda c: c[: len(c) // 2], "not a run exported by EcoVal"),
    "cut in front": (lambda c: c[100:], "."),
    "another archive": (lambda c: packed({"a.txt": b"x"}), "it has no manifest.json"),
    "a manifest of no JSON": (lambda c: packed({"manifest.json": b"{"}), "Invalid JSON"),
    "a manifest that is a list": (lambda c: packed({"manifest.json": b"[]"}), "."),
    "a manifest of depth": (lambda c: packed({"manifest.json": b"[" * 100_000}), "."),
    "a recipe": (lambda c: packed({"manifest.json": b'{"ecoval_recipe": 3}'}), "is missing"),
    "a stranger": (lambda c: packed({**members_of(c), "x": b""}), "holds 'x', which its manifest"),
    "a member less": (
        lambda c: packed({n: m for n, m in members_of(c).items() if n != "values"}), "a complete run",
    ),
    "a member changed": (
        lambda c: packed({**members_of(c), "table": b"x"}), "This file is damaged: the digest of 'table'",
    ),
    "too many members": (
        lambda c: packed({str(n): b"" for n in range(1001)}), "has 1,001 members, and at most 1,000",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "match"), NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_archive_is_refused(make, match, content, there):
    check_refused(there, make(content), match)


@pytest.mark.parametrize("name", ["../../evil", "/evil-ecoval", "C:\\evil", "values/../../evil"])
def test_path_that_leads_out_writes_nothing(name, content, there, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    check_refused(there, packed({**members_of(content), name: b"x"}), "which its manifest")
    named = forged(content, member(name, b"x"))
    import_run(there, named)
    assert [one.name for one in sorted(tmp_path.rglob("*")) if one not in before] == ["upload"]
    assert not Path("/evil-ecoval").exists()


def declared(content, size):
    """The archive with members that say they unpack to so much."""
    head = size.to_bytes(4, "little")
    info = zipfile.ZipFile(io.BytesIO(content)).infolist()[1]
    return content.replace(info.file_size.to_bytes(4, "little"), head)


def test_archive_that_says_it_unpacks_to_too_much_is_refused_before(content, there, monkeypatch):
    check_refused(there, declared(content, 2**31), r"unpacks to 2,\d+ MB: that is too large")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2**20)
    bomb = {f"{number}": bytes(2**19) for number in range(3)}
    check_refused(there, packed({**members_of(content), **bomb}), "unpacks to 2 MB")


def test_member_that_unpacks_to_more_than_it_says_is_refused(content, there):
    check_refused(there, declared(content, 10), "a complete run")


def larger_table():
    return open_table(make_table(make_frame(90), "small.csv", "label"))


def put(path, value):
    """Change a field of the manifest."""

    def change(_, manifest):
        *way, last = path.split(".")
        inner = manifest
        for name in way:
            inner = inner[name]
        inner[last] = value

    return change


MANIFESTS = {
    "a later version": (put("ecoval_run", 3), "exported by another EcoVal .version 3"),
    "a later version with more": (
        lambda m, manifest: manifest.update(ecoval_run=3, more={}), "another EcoVal",
    ),
    "a field more": (put("sql", "DROP TABLE runs"), "sql is not a field known here"),
    "a long name": (put("name", "x" * 10_000), "name: "),
    "a date that is no number": (put("created", 1e300), "created"),
    "no such model": (put("run.settings.model", "svm"), "settings.model is 'svm'"),
    "a score of another task": (put("run.settings.scoring", "squared_error"), "settings.scoring"),
    "a parameter of no model": (put("run.settings.n_clusters", 0), "run.settings.n_clusters is 0"),
    "another target": (put("run.table.target", "width"), "."),
    "a target that there is not": (put("run.table.target", "x'; DROP TABLE runs; --"), "."),
    "another table": (put("run.table.content", "0" * 32), "The table in this file is not the one"),
    "a key that is a path": (put("key", "../../x"), "key"),
    "a split that there is not": (put("run.split.proportions", [1, 1, 1]), "proportions"),
    "another split": (put("run.split.proportions", [0.5, 0.3, 0.2]), "not of the rows of its table"),
}  # fmt: skip
CONTENTS = {
    "another table": (member("table", write_result(frames()["numbers"])), "not the one"),
    "a table that is none": (member("table", write_result({"a": 1})), "a complete run"),
    "values of other rows": (
        lambda m, _: m.update(values=write_result(drawn_values(larger_table()))), "not of the rows",
    ),
    "fewer values": (finding(quality=lambda a: a[1:]), "not of the rows of its table"),
    "values of objects": (finding(quality=lambda a: a.astype(object)), "are neither numbers nor text"),
    "no moments": (finding(sampling=lambda s: type(s)(s.moments[:, :1], s.totals)), "a complete run"),
    "values that are none": (member("values", write_result(frames()["text"])), "a complete run"),
    "values that are no archive": (member("values", b"PK\x03\x04"), "complete run"),
    "an unknown kind": (of_kind("effect", lambda one, _: one.update(kind="open_table")), "of the kind"),
    "another kind": (of_kind("curves", lambda one, _: one.update(kind="effect")), "complete run"),
    "unknown arguments": (of_kind("effect", lambda one, _: one["arguments"].update(more=1)), "complete run"),
    "a result that is not there": (of_kind("effect", lambda one, _: one.update(file="x")), "complete run"),
    "curves beside another run": (
        of_kind("method_curves", lambda one, _: one["arguments"].update(other={"run": "0" * 32})),
        "not of the rows of its run",
    ),
    "a map of other rows": (
        of_kind("umap", lambda one, m: m.update({one["file"]: write_result(np.zeros((3, 2)))})),
        "The umap in this file",
    ),
    "a method at infinity": (
        of_kind("baseline", lambda one, m: m.update({one["file"]: write_result(np.full(36, np.inf))})),
        "The baseline in this file",
    ),
    "a review of other rows": (member("review.json", b'{"selected": [999999]}'), "does not value"),
    "a review of no kind": (member("review.json", b'{"sql": 1}'), "sql is not a field known here"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "match"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifest_that_does_not_describe_the_run_is_refused(change, match, content, there):
    check_refused(there, forged(content, change), match)


@pytest.mark.parametrize(("change", "match"), CONTENTS.values(), ids=CONTENTS)
def test_contents_that_are_not_of_one_piece_are_refused(change, match, content, there):
    check_refused(there, forged(content, change), match)


def test_bits_that_flip_and_pieces_that_miss_are_a_sentence_or_change_nothing(content, there):
    random = np.random.default_rng(3)
    run = import_run(there, content)
    before, sentences = counts(there), []
    for number in range(60):
        spoilt = bytearray(content)
        place = int(random.integers(len(spoilt)))
        if number % 3 == 0:
            del spoilt[place : place + int(random.integers(1, 500))]
        else:
            spoilt[place] ^= 1 << int(random.integers(8))
        try:
            assert import_run(there, bytes(spoilt)) == run
        except ArchiveError as error:
            sentences.append(str(error))
    assert counts(there) == before
    assert len(sentences) > 40
    assert not any("\n" in sentence for sentence in sentences)


# --- Nothing forged stands for what is computed here -----------------------------------------


def test_forged_values_never_stand_for_what_is_computed_here(content, there):
    change = finding(raw_extrinsic=lambda a: a + 123.0)
    opened = small_table(noise=0.1)
    imported = import_run(there, forged(content, change))
    run, key = keep_run(there, opened, name="mine")
    assert run != imported
    assert key != history.find_run(there, imported).key
    expected = drawn_values(opened).at(0.25)
    assert open_run(there, run).ecoval.values_.tobytes() == expected.values_.tobytes()


def test_archive_overwrites_nothing_that_was_computed_here(content, there):
    opened = small_table(noise=0.1)
    run, key = keep_run(there, opened, name="mine")
    mine = curves(score=[0.1, 0.2])
    task = slow.curves(key, weight=0.25)
    keep(there, task, mine)
    import_run(there, forged(content, put("run.table.name", "evil.csv")))
    import_run(there, forged(content, finding(raw_extrinsic=lambda a: a + 123.0)))
    workspace.forget()
    assert same(there.load(task.key, slow.Curves), mine)
    assert open_run(there, run).table.name == "small.csv"
    expected = drawn_values(opened).at(0.25)
    assert open_run(there, run).ecoval.values_.tobytes() == expected.values_.tobytes()


def test_dates_that_are_still_to_come_are_not_believed(content, there):
    def change(_, manifest):
        manifest["created"] = manifest["review_updated"] = 9e10

    run = import_run(there, forged(content, change))
    assert history.find_run(there, run).created < 9e9
    history.save_review(there, "mine", run, "v", Review())
    assert history.latest_review(there, run).id == "mine"


# --- In a worker -----------------------------------------------------------------------------


def resident_mb():
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture(scope="module")
def engine():
    engine = Engine(warm_up=False)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "which", ["a manifest of empty lists", "a result of empty lists", "a result of zeros"]
)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is counted on Linux")
def test_bomb_is_refused_in_one_sentence_and_costs_the_server_little(which, engine, there, content):
    lists = b"[" + b"[]," * 20_000_000 + b"[]]"
    if which == "a manifest of empty lists":
        change = {"manifest.json": b'{"versions": ' + lists + b"}"}
        bomb = packed({**members_of(content), **change})
    elif which == "a result of empty lists":
        inside = packed({"result.json": b'{"value": ' + lists + b"}"})
        bomb = forged(content, member("values", inside))
    else:
        bomb = forged(content, member("values", packed({"result.json": bytes(800 * 2**20)})))
    assert len(bomb) < 2**20
    before = resident_mb()
    job = engine.submit_upload(
        there, bomb, lambda digest: opening.import_run(digest, "b", "v"), "v"
    )
    assert job.wait(300)
    assert resident_mb() - before < 50
    assert job.state == "error"
    assert job.error.endswith(".")
    assert "\n" not in job.error
    assert history.list_runs(there) == []
    good = engine.submit_upload(there, content, lambda d: opening.import_run(d, "g", "v"), "v")
    assert good.wait(300)
    assert history.find_run(there, good.result["run"]).state == "done"
