"""A run as one file: it comes back to the last bit elsewhere, and a file from anybody does no harm."""

import io
import json
import os
import zipfile
from dataclasses import replace
from functools import reduce
from hashlib import sha256
from operator import getitem
from pathlib import Path

import numpy as np
import pytest
from small_runs import (
    cleaned_table,
    curves,
    drawn_values,
    keep,
    keep_everything,
    keep_run,
    make_workspace,
    small_table,
)
from test_results import same

from ecoval_core.runs import archive
from ecoval_core.runs.archive import ArchiveError, export_run
from ecoval_core.runs.opened import load_frame
from ecoval_core.runs.run import Values, load_run
from ecoval_core.runs.tasks import TASKS
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
    for weight in (0.0, 0.7, 3.0):
        assert same(one.reweight(weight).frame, other.reweight(weight).frame)
    assert same(one.split.X_test, other.split.X_test)
    assert same(one.table.frame, other.table.frame)
    before, after = (history.latest_review(*w) for w in (here[:2], (there, new.id)))
    assert (after.review, after.updated) == (before.review, before.updated)


def test_results_of_a_run_come_with_it_and_are_found_as_pages_ask(here, content, there):
    imported = history.find_run(there, import_run(there, content))
    for task, value in here[2].items():
        arguments = task.arguments | ({"run": imported.key} if "run" in task.arguments else {})
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


def test_run_that_travels_on_and_comes_home_is_the_run_that_it_was(here, content, there, tmp_path):
    before = counts(here[0])
    first = import_run(there, content)
    again = export_run(there, first)
    assert import_run(here[0], again) == import_run(here[0], content) == here[1]
    assert counts(here[0]) == before
    third = make_workspace(tmp_path / "third")
    found = history.find_run(third, import_run(third, again))
    assert found.key == history.find_run(there, first).key


def test_importing_again_keeps_a_newer_review_and_restores_a_deleted_run(content, there):
    run = import_run(there, content)
    history.rename_run(there, run, "Mine")
    history.save_review(there, "mine", run, "ada", Review(selected=()))
    history.delete_run(there, run)
    assert import_run(there, content) == run
    assert [one.name for one in history.list_runs(there)] == ["Mine"]
    assert history.latest_review(there, run).id == "mine"


def test_what_cannot_be_exported_is_said(there):
    run, key = keep_run(there, name="Mine")
    there.stores()[0].remove(key)
    for run_id, why in (("none", "no longer in the workspace"), (run, r"^Mine .* no longer kept")):
        with pytest.raises(ValueError, match=why):
            export_run(there, run_id)
    there.stores()[0].rows("UPDATE runs SET state = 'started'")
    with pytest.raises(ValueError, match=r"^Mine .* has not finished"):
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


def of_kind(name, change):
    """Change the description of the first result of a kind."""

    def forge(members, manifest):
        change(next(one for one in manifest["results"] if one["kind"] == name), members)

    return forge


def finding(**arrays):
    """Change what the values found."""

    def forge(members, _):
        values = read_result(members["values"], Values)
        found = values.findings[0]
        changed = {name: make(getattr(found, name)) for name, make in arrays.items()}
        members["values"] = write_result(replace(values, findings=[replace(found, **changed)]))

    return forge


NO_ARCHIVES = {
    "nothing": (lambda c: b"", "not a run exported by EcoVal"),
    "cut": (lambda c: c[: len(c) // 2], "not a run exported by EcoVal"),
    "another archive": (lambda c: packed({"a.txt": b"x"}), "it has no manifest.json"),
    "a manifest of no JSON": (lambda c: packed({"manifest.json": b"{"}), "Invalid JSON"),
    "a manifest of depth": (lambda c: packed({"manifest.json": b"[" * 100_000}), "."),
    "a manifest of megabytes": (lambda c: packed({"manifest.json": bytes(17 * 2**20)}), "are too long"),
    "a member less": (
        lambda c: packed({n: m for n, m in members_of(c).items() if n != "values"}), "a complete run",
    ),
    "a member changed": (lambda c: packed({**members_of(c), "table": b"x"}), "digest of 'table'"),
    "too many members": (lambda c: packed({str(n): b"" for n in range(1001)}), "1,001 members"),
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


def test_archive_that_unpacks_to_too_much_or_to_more_than_it_says_is_refused(
    content, there, monkeypatch
):
    check_refused(there, declared(content, 10), "a complete run")
    check_refused(there, declared(content, 2**31), r"unpacks to 2,\d+ MB: that is too large")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2**20)
    bomb = {f"{number}": bytes(2**19) for number in range(3)}
    check_refused(there, packed({**members_of(content), **bomb}), "unpacks to 2 MB")


def put(path, value):
    """Change a field of the manifest."""
    *way, last = path.split(".")
    return lambda _, manifest: reduce(getitem, way, manifest).update({last: value})


FORGERIES = {
    "a later version with more": (
        lambda m, manifest: manifest.update(ecoval_run=3, more={}), "exported by another EcoVal .version 3",
    ),
    "a field more": (put("sql", "DROP TABLE runs"), "sql is not a field known here"),
    "a date that is no number": (put("created", 1e300), "created"),
    "no such model": (put("run.settings.model", "svm"), "settings.model is 'svm'"),
    "another target": (put("run.table.target", "width"), "."),
    "a key that is a path": (put("key", "../../x"), "key"),
    "the digest of another table": (put("run.table.content", "0" * 32), "table in this file is not the one"),
    "another split": (put("run.split.proportions", [0.5, 0.3, 0.2]), "not of the rows of its table"),
    "a table that is none": (member("table", write_result({"a": 1})), "a complete run"),
    "fewer values": (finding(quality=lambda a: a[1:]), "not of the rows of its table"),
    "values of objects": (finding(quality=lambda a: a.astype(object)), "are neither numbers nor text"),
    "no moments": (finding(sampling=lambda s: type(s)(s.moments[:, :1], s.totals)), "a complete run"),
    "values that are no archive": (member("values", b"PK\x03\x04"), "complete run"),
    "an unknown kind": (of_kind("effect", lambda one, _: one.update(kind="open_table")), "of the kind"),
    "unknown arguments": (of_kind("effect", lambda one, _: one["arguments"].update(more=1)), "complete run"),
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
}  # fmt: skip


@pytest.mark.parametrize(("change", "match"), FORGERIES.values(), ids=FORGERIES)
def test_forged_manifest_or_contents_are_refused(change, match, content, there):
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


@pytest.mark.parametrize("comes_first", [True, False])
def test_forged_archive_never_stands_for_what_is_computed_here(content, there, comes_first):
    forgeries = [
        forged(content, put("run.table.name", "evil.csv")),
        forged(content, finding(raw_extrinsic=lambda a: a + 123.0)),
    ]
    if comes_first:
        imported = [import_run(there, forgery) for forgery in forgeries]
    opened = small_table(noise=0.1)
    run, key = keep_run(there, opened, name="mine")
    mine, task = curves(score=[0.1, 0.2]), slow.curves(key, weight=0.25)
    keep(there, task, mine)
    if not comes_first:
        imported = [import_run(there, forgery) for forgery in forgeries]
    assert history.find_run(there, imported[1]).key != key
    workspace.forget()
    assert open_run(there, run).table.name == "small.csv"
    assert same(there.load(task.key, slow.Curves), mine)
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


BOMBS = {
    "empty lists": lambda: b'{"value": ' + b"[" + b"[]," * 20_000_000 + b"[]]" + b"}",
    "zeros": lambda: bytes(800 * 2**20),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is counted on Linux")
def test_bomb_is_refused_in_one_sentence_and_costs_the_server_little(make, engine, there, content):
    bomb = forged(content, member("values", packed({"result.json": make()})))
    assert len(bomb) < 2**20
    before = resident_mb()
    job = engine.submit_upload(there, bomb, lambda d: opening.import_run(d, "b", "v"), "v")
    assert job.wait(300)
    assert resident_mb() - before < 50
    assert job.state == "error"
    assert job.error.endswith(".")
    assert "\n" not in job.error
    assert history.list_runs(there) == []
    good = engine.submit_upload(there, content, lambda d: opening.import_run(d, "g", "v"), "v")
    assert good.wait(300)
    assert history.find_run(there, good.result["run"]).state == "done"
