"""A run as one file: it comes back to the last bit elsewhere, and a file from anybody does no harm."""

import io
import json
import shutil
import zipfile
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import pandas as pd
import pytest
from ecoval_core.workspace.bundle import export_run, import_run, write_bundle
from ecoval_core.workspace.bundle_fields import BundleError
from ecoval_core.workspace.parquet import read_arrays, read_frame, write_arrays, write_frame
from ecoval_core.workspace.shelf import FILED
from ecoval_core.workspace.valuations import read_fit, read_valuation, write_valuation
from small_runs import (
    drawn_valuation,
    frames,
    keep_mends,
    keep_run,
    mended_table,
    prepared_table,
)
from test_kept_valuations import check_same, same
from test_store import ARRAYS

from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import load_sample, make_table, prepare
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace import bundle_archive, bundle_parts, history, orders
from ecoval_core.workspace.history import Desk, rules_to_json
from ecoval_core.workspace.runs import Run, Settings, value_prepared
from ecoval_core.workspace.store import Store

NAN = float("nan")


@pytest.fixture
def there(tmp_path):
    """Another workspace."""
    return Store(tmp_path / "there")


def effect_payload():
    change = {
        "measure": "accuracy",
        "before": 0.5,
        "after": 0.6,
        "low": NAN,
        "high": 0.1,
        "n_test": 9,
    }
    return {"main": "accuracy", "changes": [change]}


def keep_everything(store, settings, prepared, ecoval, name="Whole"):
    """Keep a run with a result of every kind and two desks, as workers and pages do."""
    run, key = keep_run(store, prepared, settings=settings, name=name, valuation=ecoval)
    history.change_run(store, run, note="line one\nline two, 'quoted'")
    whole = Run(prepared, settings, ecoval)
    random = np.random.default_rng(0)

    def keep(order, payload, write=None):
        store.save_result(order.key, order.kind, order.parameters, payload, write)

    curves = pd.DataFrame(
        {
            "strategy": ["lowest", "random"], "repeat": [0, 1], "share": [0.0, 0.1], "n_removed": [0, 9],
            "measure": ["accuracy", "accuracy"], "score": [0.5, NAN], "low": [0.4, 0.1], "high": [0.6, 0.2],
        }
    )  # fmt: skip
    took = {"seconds": 2.5, "n_refits": 7}
    for balanced in (False, True):
        keep(
            orders.curves(whole, balanced=balanced),
            took,
            lambda f: write_frame(curves, f / "curves.parquet"),
        )
    keep(orders.effect(whole, [1, 2], None), effect_payload())
    coordinates = random.normal(size=(len(whole.ids), 2)).astype(np.float32)
    keep(
        orders.projection(whole),
        {},
        lambda f: write_arrays({"coordinates": coordinates}, f / "umap.parquet"),
    )
    values = random.normal(size=len(whole.ids))
    keep(
        orders.baseline(whole, "knn_shapley"),
        {"seconds": 0.5},
        lambda f: write_arrays({"values": values}, f / "values.parquet"),
    )

    beside = curves.assign(method=["a", "b"])
    others = ({"baseline": "knn_shapley"}, orders.as_other(whole))
    for other in others:
        keep(
            orders.method_curves(whole, other),
            {**took, "n_rows": 9},
            lambda f: write_frame(beside, f / "curves.parquet"),
        )

    def repeats(folder):
        for n in range(2):
            (folder / f"repeat_{n}").mkdir()
            write_valuation(read_valuation(store.find_result(key).folder), folder / f"repeat_{n}")

    keep(orders.repeats(whole), {"n_repeats": 2}, repeats)
    ids = [int(row) for row in whole.ids[:5]]
    rules = rules_to_json(PruneList(0.1, -0.5, frozenset(ids[:2]), frozenset(ids[2:4]), 0.4))
    desk = Desk(
        run, "ada",
        {"selected_ids": ids, "picked_id": ids[0], "view": {"extrinsic_weight": 0.5, "unit": "share"}},
        {
            "prune": {"present": rules, "past": [rules_to_json(PruneList())], "future": [rules]},
            "labels": {"present": {str(ids[0]): "accept"}, "past": [{}], "future": []},
        },
    )  # fmt: skip
    history.save_desk(store, f"first {name}", Desk(run, "bob", {}, {}))
    history.save_desk(store, f"latest {name}", desk)
    return run, key, desk


@pytest.fixture(scope="module")
def valued():
    """A fitted run of classes and one of amounts with every row valued, computed once."""
    classes = prepare(load_sample("penguins"), noise=0.1)
    first = Settings("random_forest", 6, "probability", balanced=True)
    amounts = prepare(make_table(load_sample("wine").frame, "wine", "alcohol", "regression"))
    second = Settings("ridge", 6, "squared_error", extrinsic_weight=0.75, every_row=True)
    return {
        "classes": (first, classes, value_prepared(classes, first).ecoval),
        "amounts": (second, amounts, value_prepared(amounts, second).ecoval),
    }


@pytest.fixture(scope="module")
def here(valued, tmp_path_factory):
    """A workspace with both, and what keep_everything returned for each."""
    store = Store(tmp_path_factory.mktemp("here"))
    return store, {name: keep_everything(store, *made, name=name) for name, made in valued.items()}


@pytest.fixture(scope="module")
def content(here):
    store, runs = here
    return export_run(store, runs["classes"][0])


# --- It comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["classes", "amounts"])
def test_a_run_comes_back_elsewhere_to_the_last_bit(which, here, valued, there):
    store, runs = here
    run, _, desk = runs[which]
    _, prepared, ecoval = valued[which]
    made = export_run(store, run)
    imported = import_run(there, made, visitor="bob")
    old, new = history.find_run(store, run), history.find_run(there, imported)
    for name in (
        "settings",
        "name",
        "note",
        "state",
        "error",
        "created",
        "table",
        "target",
        "frame",
    ):
        assert getattr(new, name) == getattr(old, name), name
    assert new.summary["seconds"] == old.summary["seconds"]
    assert new.summary["full_score"] == old.summary["full_score"]

    kept = there.load_prepared(new.preparation)
    pd.testing.assert_frame_equal(kept.table.frame, prepared.table.frame)
    assert kept.table.fingerprint == prepared.table.fingerprint
    assert kept.table.excluded == prepared.table.excluded
    for name in (*ARRAYS, "y_train_clean", "flipped_ids"):
        wanted, found = getattr(prepared, name), getattr(kept, name)
        np.testing.assert_array_equal(found, wanted)
        if wanted.dtype.kind == "f":
            assert found.tobytes() == wanted.tobytes()
    assert (kept.proportions, kept.noise, kept.random_state) == (
        prepared.proportions, prepared.noise, prepared.random_state,
    )  # fmt: skip

    folder = there.find_result(new.valuation).folder
    check_same(read_valuation(folder), ecoval)
    fit = read_fit(folder)
    wanted, found = (one.value_samples(prepared.X_test, prepared.y_test) for one in (ecoval, fit))
    assert all(same(wanted[name], found[name]) for name in wanted)

    desk_id = history.latest_desk(there, imported)
    assert history.find_desk(there, desk_id) == replace(desk, run=imported, visitor="bob")


def test_what_belongs_to_a_run_comes_with_it_and_is_found_as_the_pages_ask(here, valued, there):
    store, runs = here
    settings, prepared, ecoval = valued["classes"]
    imported = history.find_run(there, import_run(there, export_run(store, runs["classes"][0])))
    before = Run(prepared, settings, ecoval)
    kept = there.load_prepared(imported.preparation)
    after = Run(kept, settings, read_valuation(there.find_result(imported.valuation).folder))
    # The keys are those that the orders of the imported run have.
    assert orders.value(kept, settings).key == imported.valuation
    for order in (
        lambda run: orders.curves(run, balanced=False),
        lambda run: orders.curves(run, balanced=True),
        lambda run: orders.effect(run, [1, 2], None),
        orders.projection,
        lambda run: orders.baseline(run, "knn_shapley"),
        lambda run: orders.method_curves(run, {"baseline": "knn_shapley"}),
        orders.repeats,
    ):
        old, new = store.find_result(order(before).key), there.find_result(order(after).key)
        assert new is not None, order(after).kind
        assert json.dumps(new.payload, sort_keys=True) == json.dumps(old.payload, sort_keys=True)
        assert new.parameters == order(after).parameters
        assert_same_files(old.folder, new.folder)


def test_curves_beside_another_run_stay_where_that_run_is(here, content):
    store, runs = here
    assert len(store.results_of(runs["classes"][1], "method_curves")) == 2
    kinds = [
        json.loads(member)["kind"]
        for name, member in members_of(content).items()
        if name.endswith("result.json")
    ]
    assert kinds.count("method_curves") == 1


def test_a_mended_table_comes_with_its_file_and_its_mends(there, tmp_path):
    frame, mends, prepared = mended_table()
    store = Store(tmp_path / "here")
    run, _ = keep_run(store, prepared)
    keep_mends(store, frame, mends, prepared)
    content = export_run(store, run)
    imported = history.find_run(there, import_run(there, content))
    kept = there.find_result(orders.mends(imported.preparation).key)
    assert kept.payload == store.find_result(orders.mends(prepared.fingerprint).key).payload
    pd.testing.assert_frame_equal(there.load_frame(kept.payload["content"]), frame)
    assert [run.id for run in history.runs_of_frame(there, kept.payload["content"])] == [
        imported.id
    ]
    assert import_run(store, content) == run

    def other_file(members, _manifest):
        (name,) = [name for name in members if name.endswith("original.parquet")]
        members[name] = members["frame.parquet"]

    check_refused(there, forged(content, other_file), "what its mends make of its file")
    other_mend = in_payload("mends", lambda r: r["payload"].update(mends=[]))
    check_refused(there, forged(content, other_mend), "what its mends make of its file")
    no_mend = in_payload("mends", lambda r: r["payload"].update(mends=[{"column": 1}]))
    check_refused(there, forged(content, no_mend), "cannot be read")


def test_a_mended_table_whose_file_is_gone_comes_as_it_is(there, tmp_path):
    frame, mends, prepared = mended_table()
    store = Store(tmp_path / "here")
    run, _ = keep_run(store, prepared)
    keep_mends(store, frame, mends, prepared)
    store.db.run("DELETE FROM frames WHERE digest = ?", content_digest(frame))
    imported = history.find_run(there, import_run(there, export_run(store, run)))
    assert imported.state == "done"
    assert there.find_result(orders.mends(imported.preparation).key) is None


def assert_same_files(one, other):
    names = [
        sorted(p.relative_to(f).as_posix() for p in f.rglob("*") if p.is_file())
        for f in (one, other)
    ]
    assert names[0] == names[1]
    for name in names[0]:
        if name.endswith("curves.parquet"):
            pd.testing.assert_frame_equal(read_frame(one / name), read_frame(other / name))
        elif name.endswith(".parquet"):
            first, second = read_arrays(one / name), read_arrays(other / name)
            assert all(same(first[key], second[key]) for key in first)


def test_the_same_run_gives_the_same_bytes(here, content, tmp_path):
    store, runs = here
    assert export_run(store, runs["classes"][0]) == content
    write_bundle(store, runs["classes"][0], tmp_path / "run.ecoval")
    assert (tmp_path / "run.ecoval").read_bytes() == content


def test_a_run_is_imported_from_bytes_a_path_and_a_file(content, there, tmp_path):
    path = tmp_path / "run.ecoval"
    path.write_bytes(content)
    with path.open("rb") as file:
        runs = {import_run(there, source) for source in (content, path, file, io.BytesIO(content))}
    assert len(runs) == 1


def test_importing_twice_gives_one_run_and_one_desk(content, there):
    first = import_run(there, content)
    before = counts(there)
    assert import_run(there, content) == first
    assert counts(there) == before
    assert before["runs"] == before["desks"] == 1


def counts(store):
    tables = (*FILED, "tables", "runs", "desks")
    return {table: len(store.db.all(f"SELECT * FROM {table}")) for table in tables}  # noqa: S608


def test_a_run_that_travels_on_and_comes_home_is_the_run_that_it_was(here, content, there):
    store, runs = here
    run = runs["classes"][0]
    before = counts(store)
    again = export_run(there, import_run(there, content))
    assert import_run(store, again) == run
    assert import_run(store, content) == run
    assert counts(store) == before


def test_importing_over_a_run_keeps_its_newer_desk_and_adds_the_other(content, there):
    run = import_run(there, content, visitor="ada")
    imported = history.latest_desk(there, run)
    newer = Desk(run, "ada", {"selected_ids": []}, {})
    history.save_desk(there, imported, newer)
    assert import_run(there, content, visitor="ada") == run
    assert history.latest_desk(there, run) == imported
    assert history.find_desk(there, imported) == newer
    (other,) = [row["id"] for row in there.db.all("SELECT id FROM desks") if row["id"] != imported]
    assert history.find_desk(there, other).selection["view"]["unit"] == "share"


def test_importing_a_run_that_was_deleted_has_it_back_and_keeps_its_name(content, there):
    run = import_run(there, content)
    history.rename_run(there, run, "Mine")
    history.delete_run(there, run)
    assert import_run(there, content) == run
    assert [one.name for one in history.list_runs(there)] == ["Mine"]


def test_a_run_of_a_name_that_is_taken_gets_a_number(content, there):
    keep_run(there, name="classes")
    import_run(there, content)
    assert sorted(run.name for run in history.list_runs(there)) == ["classes", "classes (2)"]


def test_a_run_without_a_desk_or_results_comes_back(there, tmp_path):
    store = Store(tmp_path / "here")
    run, _ = keep_run(store)
    imported = import_run(there, export_run(store, run))
    assert history.latest_desk(there, imported) is None
    assert history.find_run(there, imported).state == "done"


@pytest.mark.parametrize("frame", [n for n, f in frames().items() if len(f.columns) > 1])
def test_a_table_of_every_kind_of_column_comes_back(frame, there, tmp_path):
    columns = pd.concat([frames()[frame].add_prefix("x ")] * 10, ignore_index=True)
    table = make_table(columns.assign(label=list("ab") * 30, n=range(60)), "t", "label")
    prepared = prepare(table)
    store = Store(tmp_path / "here")
    run, _ = keep_run(store, prepared)
    imported = history.find_run(there, import_run(there, export_run(store, run)))
    kept = there.load_prepared(imported.preparation)
    pd.testing.assert_frame_equal(kept.table.frame, table.frame)


def test_the_fingerprint_of_a_prepared_table_is_that_of_its_choices():
    for choices in (
        {},
        {"noise": 0.1},
        {"random_state": 7},
        {"proportions": (0.333334, 0.333333, 0.333333)},
    ):
        prepared = prepare(prepared_table().table, **choices)
        named = {name: getattr(prepared, name) for name in ("proportions", "noise", "random_state")}
        named["proportions"] = json.loads(json.dumps(named["proportions"]))
        assert bundle_parts.preparation_fingerprint(prepared.table, named) == prepared.fingerprint


def test_kinds_that_tasks_make_are_taken_along():
    # Whoever adds a task whose results belong to a run says here what they must hold.
    from ecoval_core.workspace.tasks import TASKS

    assert set(bundle_parts.KINDS) - {"mends"} <= set(TASKS)
    assert {"curves", "effect", "umap", "baseline", "repeats"} <= set(bundle_parts.KINDS)


def test_curves_as_they_are_measured_are_taken_along(valued, tmp_path):
    settings, prepared, ecoval = valued["classes"]
    run = Run(prepared, settings, ecoval)
    for every in (False, True):
        frame = removal_curves(
            run.make_estimator().set_params(n_estimators=3), run.X, run.y, prepared.X_test, prepared.y_test,
            ecoval.values_, strategies=["lowest"], shares=(0.0, 0.3), every_measure=every,
        )  # fmt: skip
        write_frame(frame, tmp_path / "curves.parquet")
        payload = {"seconds": 1.0, "n_refits": 9}
        named = {"kind": "curves", "parameters": {}, "payload": payload}
        kept = bundle_parts._read_curves(tmp_path, named, run)
        assert (kept.kind, kept.payload) == ("curves", payload)


# --- What cannot be exported -----------------------------------------------------------------


def test_what_cannot_be_exported_is_said_in_a_sentence(tmp_path):
    store = Store(tmp_path)
    run, key = keep_run(store, name="Mine")
    waiting = history.start_run(store, "v", "p", Settings("ridge", 2, "squared_error"), "Waiting")
    for run_id, why in (
        ("none", r"no longer in the workspace"),
        (waiting, r"^Waiting cannot be exported: it has not finished\.$"),
    ):
        with pytest.raises(ValueError, match=why):
            export_run(store, run_id)
    shutil.rmtree(store.file_of("results", key))
    with pytest.raises(
        ValueError, match=r"^Mine cannot be exported: its values are no longer kept"
    ):
        export_run(store, run)


def test_a_run_that_is_too_large_is_not_exported(tmp_path, monkeypatch):
    store = Store(tmp_path)
    run, _ = keep_run(store, name="Mine")
    monkeypatch.setattr(bundle_archive, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"^Mine is too large for one file"):
        export_run(store, run)


# --- What comes from anybody -----------------------------------------------------------------


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return buffer.getvalue()


def forged(content, change):
    """The file with what `change` makes of its members and manifest, all sizes and digests being right."""
    members = members_of(content)
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    if manifest["members"] is not None:
        manifest["members"] = {
            name: {"bytes": len(m), "digest": blake2b(m, digest_size=16).hexdigest()}
            for name, m in members.items()
        }
    return packed({**members, "manifest.json": json.dumps(manifest).encode()})


def check_refused(store, content, match="."):
    before = counts(store)
    with pytest.raises(BundleError, match=match) as raised:
        import_run(store, content)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert sentence.startswith("This file is not imported: ")
    assert sentence.endswith(".")
    assert len(sentence) < 400
    # Nothing of it is kept, and no file is left.
    assert counts(store) == before
    assert [one.name for one in (store.root / "unfinished").iterdir()] == ["swept"]
    return sentence


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small bundle without models, of which hundreds can be imported."""
    store = Store(tmp_path_factory.mktemp("drawn"))
    prepared = prepared_table(noise=0.1)
    settings = Settings("logistic_regression", 4, "probability")
    run, *_ = keep_everything(store, settings, prepared, drawn_valuation(prepared), "Drawn")
    return export_run(store, run)


NO_BUNDLES = {
    "nothing": lambda c: b"",
    "text": lambda c: b"name,value\n1,2\n",
    "cut": lambda c: c[: len(c) // 2],
    "cut at the end": lambda c: c[:-1],
    "with more behind it": lambda c: c + b"\0" * 10,
    "another archive": lambda c: packed({"a.txt": b"x"}),
    "no manifest": lambda c: packed({"frame.parquet": b"x"}),
    "a manifest of no JSON": lambda c: packed({"manifest.json": b"{"}),
    "a manifest that is a list": lambda c: packed({"manifest.json": b"[]"}),
    "a manifest of depth": lambda c: packed({"manifest.json": b"[" * 100_000}),
    "a manifest of digits": lambda c: packed(
        {"manifest.json": b'{"ecoval_run": ' + b"9" * 9999 + b"}"}
    ),
    "a manifest that is no text": lambda c: packed({"manifest.json": b"\xff\xfe"}),
    "a recipe": lambda c: packed({"manifest.json": b'{"ecoval_recipe": 1}'}),
}


@pytest.mark.parametrize("make", NO_BUNDLES.values(), ids=NO_BUNDLES)
def test_what_is_no_bundle_is_refused(make, drawn, there):
    check_refused(there, make(drawn))


def raw_zip(name, content=b"x", *, flags=0, method=0):
    """An archive with a name that Python's own writer would not write, or would warn of."""
    named = name.encode()
    head = (
        b"\x14\0" + flags.to_bytes(2, "little") + method.to_bytes(2, "little") + bytes(4)
        + zipfile.crc32(content).to_bytes(4, "little") + 2 * len(content).to_bytes(4, "little")
        + len(named).to_bytes(2, "little") + bytes(2)
    )  # fmt: skip
    local = b"PK\x03\x04" + head + named + content
    central = b"PK\x01\x02\x14\0" + head + bytes(6) + bytes(4) + bytes(4) + named
    count = (1).to_bytes(2, "little")
    return (
        local
        + central
        + b"PK\x05\x06"
        + bytes(4)
        + count
        + count
        + (len(central).to_bytes(4, "little") + len(local).to_bytes(4, "little") + bytes(2))
    )


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "/etc/passwd", "values/../../x.json", "C:\\x.json", "values\\rows.parquet",
        "x.json\0.parquet", "values/", "values/evil.skops", "fit.skops", "results/0/fit.skops",
        "values/b/c/d/e/g.json", ".json", "run.pkl", "values/x.py", "frame.PARQUET",
        "values/" + "x" * 300 + ".json",
    ],
)  # fmt: skip
def test_names_that_no_run_holds_are_refused_before_anything_is_written(
    name, drawn, there, tmp_path
):
    outside = sorted(tmp_path.rglob("*"))
    check_refused(there, raw_zip(name), "no exported run holds|no manifest|damaged")
    also = forged(drawn, lambda members, _manifest: members.update({name: b"x"}))
    check_refused(there, also, "no exported run holds")
    assert sorted(tmp_path.rglob("*")) == outside


def test_encrypted_and_strangely_packed_members_are_refused(there, drawn):
    check_refused(there, raw_zip("manifest.json", flags=1), "no exported run holds")
    check_refused(there, raw_zip("manifest.json", method=99), "no exported run holds")
    check_refused(there, packed(members_of(drawn), zipfile.ZIP_BZIP2), "no exported run holds")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(there, drawn):
    buffer = io.BytesIO(drawn)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("frame.parquet", b"another")
    check_refused(there, buffer.getvalue(), "two of one name")


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    there, monkeypatch, drawn
):
    monkeypatch.setattr(bundle_archive, "MAX_UNPACKED", 2**20)
    members = {"manifest.json": b"{}", "frame.parquet": bytes(2**22)}
    assert len(packed(members)) < 2**14
    check_refused(there, packed(members), "unpacks to more than 1 MB")
    monkeypatch.setattr(bundle_archive, "MAX_MANIFEST_BYTES", 2**10)
    monkeypatch.setattr(bundle_archive, "MAX_UNPACKED", 2**30)
    check_refused(there, packed({"manifest.json": bytes(2**20)}), "manifest is too long")
    monkeypatch.setattr(bundle_archive, "MAX_BYTES", 1000)
    check_refused(there, drawn, "more than 0 MB")


def test_a_member_that_unpacks_to_more_than_it_says_is_not_unpacked_in_one(
    there, drawn, monkeypatch
):
    """A deflated member whose headers say ten bytes and whose content is a hundred megabytes."""
    bomb = packed({"manifest.json": bytes(10**8)})
    size = (10**8).to_bytes(4, "little")
    assert bomb.count(size) == 2
    small = bomb.replace(size, (10).to_bytes(4, "little"))
    pieces, read = [], zipfile.ZipExtFile._read1

    def watch(self, n):
        piece = read(self, n)
        pieces.append(len(piece))
        return piece

    grown, inflate = [], zipfile._get_decompressor

    def watched(method):
        inner = inflate(method)

        class Watch:
            def __getattr__(self, name):
                return getattr(inner, name)

            def decompress(self, data, n=0):
                made = inner.decompress(data, n)
                grown.append(len(made))
                return made

        return Watch()

    monkeypatch.setattr(zipfile.ZipExtFile, "_read1", watch)
    monkeypatch.setattr(zipfile, "_get_decompressor", watched)
    check_refused(there, small)
    assert max(grown) <= bundle_archive._PIECE


def test_a_directory_of_a_million_files_is_not_read(there, monkeypatch):
    monkeypatch.setattr(bundle_archive, "MAX_DIRECTORY_BYTES", 2000)
    many = packed({f"f{n}.json": b"" for n in range(100)})
    opened = []
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: opened.append(args))
    check_refused(there, many, "too many files")
    assert opened == []


def test_a_directory_that_is_said_elsewhere_is_not_read(there, monkeypatch, drawn):
    """An archive of the kind for more than four gigabytes says again how long its directory is."""
    opened = []
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: opened.append(args))
    check_refused(there, drawn[:-22] + b"PK\x06\x07" + bytes(16) + drawn[-22:])
    assert opened == []


def test_a_later_version_is_told_from_a_damaged_file(there, drawn):
    later = forged(drawn, lambda _members, manifest: manifest.update(ecoval_run=2, more={}))
    check_refused(there, later, r"exported by a later EcoVal \(version 2")


def test_members_that_are_not_as_the_manifest_says_are_refused(there, drawn):
    members = members_of(drawn)
    manifest = json.loads(members["manifest.json"])
    changed = bytearray(members["frame.parquet"])
    changed[100] ^= 1
    check_refused(
        there,
        packed({**members, "frame.parquet": bytes(changed)}),
        "frame.parquet in it is damaged",
    )
    check_refused(
        there, packed({**members, "frame.parquet": b"short"}), "not as long as its manifest says"
    )
    check_refused(
        there,
        packed({n: m for n, m in members.items() if n != "desk.json"}),
        "files that its manifest",
    )
    check_refused(there, packed({**members, "values/more.json": b"{}"}), "files that its manifest")
    manifest["members"]["frame.parquet"]["digest"] = "0" * 32
    check_refused(
        there, packed({**members, "manifest.json": json.dumps(manifest).encode()}), "is damaged"
    )


def put(path, value):
    """A change of one field of the manifest."""

    def change(_members, manifest):
        *way, last = path.split(".")
        inner = manifest
        for name in way:
            inner = inner[name]
        if value is KeyError:
            del inner[last]
        else:
            inner[last] = value

    return change


MANIFESTS = {
    "no name": (put("run.name", KeyError), "run.name is missing"),
    "a name that is a list": (put("run.name", ["x"]), "run.name"),
    "a long name": (put("run.name", "x" * 10_000), "run.name"),
    "a field more": (put("run.sql", "DROP TABLE runs"), "not known here"),
    "a date that is none": (put("run.created", "today"), "run.created"),
    "a date that is no number": (put("run.created", 1e300), "run.created"),
    "no such model": (put("settings.model", "svm"), "settings.model"),
    "a model of another task": (put("settings.model", "ridge"), "settings.model"),
    "a score of another task": (put("settings.scoring", "squared_error"), "settings.scoring"),
    "clusters below one": (put("settings.n_clusters", 0), "settings.n_clusters"),
    "clusters that are true": (put("settings.n_clusters", True), "settings.n_clusters"),
    "a weight below zero": (put("settings.extrinsic_weight", -1), "settings.extrinsic_weight"),
    "a setting more": (put("settings.n_jobs", 1000), "not known here"),
    "another target": (put("table.target", "width"), "."),
    "a target that there is not": (put("table.target", "x'; DROP TABLE runs; --"), "no column"),
    "another task": (put("table.task", "regression"), "."),
    "another digest": (put("table.content", "0" * 32), "not the one that its contents name"),
    "a digest that is a path": (put("table.content", "../../x"), "32 hexadecimal digits"),
    "columns that there are not": (put("table.excluded", {"nowhere": "x"}), "no column"),
    "two shares": (put("preparation.proportions", [0.5, 0.5]), "proportions"),
    "a share of text": (put("preparation.proportions", ["a", "b", "c"]), "proportions"),
    "noise above one": (put("preparation.noise", 2), "preparation.noise"),
    "a seed below zero": (put("preparation.random_state", -1), "random_state"),
    "more results": (put("results", 99), "."),
    "results below none": (put("results", -1), "results"),
    "members that are a list": (put("members", None), "members"),
}


@pytest.mark.parametrize(("change", "match"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_says_what_cannot_be_is_refused(change, match, drawn, there):
    check_refused(there, forged(drawn, change), match)


def arrays_changed(member, change):
    def forge(members, _manifest):
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.parquet"
            path.write_bytes(members[member])
            arrays = read_arrays(path)
            change(arrays)
            write_arrays(arrays, path)
            members[member] = path.read_bytes()

    return forge


def setting(name, place, value):
    def change(arrays):
        arrays[name][place] = value

    return change


def renamed(old, new):
    return lambda arrays: arrays.update({new: arrays.pop(old)})


def json_changed(member, change):
    def forge(members, _manifest):
        found = json.loads(members[member])
        made = change(found)
        members[member] = json.dumps(found if made is None else made).encode()

    return forge


def result_of(kind):
    """A forger of the first result of a kind."""

    def forge(change):
        def apply(members, manifest):
            (name, *_) = [
                name for name, m in members.items()
                if name.endswith("result.json") and json.loads(m)["kind"] == kind
            ]  # fmt: skip
            change(members, name.rpartition("/")[0])

        return apply

    return forge


def in_result(kind, file, change):
    return result_of(kind)(lambda m, folder: arrays_changed(f"{folder}/{file}", change)(m, None))


def in_payload(kind, change):
    return result_of(kind)(lambda m, folder: json_changed(f"{folder}/result.json", change)(m, None))


CONTENTS = {
    "features that are no numbers": arrays_changed("prepared/train.parquet", setting("X", (0, 0), NAN)),
    "features that are infinite": arrays_changed("prepared/val.parquet", setting("X", (0, 0), np.inf)),
    "fewer features": arrays_changed("prepared/test.parquet", lambda a: a.update(X=a["X"][:, 1:])),
    "rows that there are not": arrays_changed("prepared/train.parquet", setting("ids", -1, 10**9)),
    "rows of no order": arrays_changed(
        "prepared/train.parquet", lambda a: a.update(ids=a["ids"][::-1].copy())
    ),
    "rows that are twice there": arrays_changed("prepared/train.parquet", setting("ids", 1, 0)),
    "labels of others": arrays_changed("prepared/val.parquet", lambda a: a.update(y=a["y"][::-1].copy())),
    "labels that there are not": arrays_changed("prepared/train.parquet", setting("y", 0, "zz")),
    "labels that are numbers": arrays_changed(
        "prepared/train.parquet", lambda a: a.update(y=np.zeros(len(a["y"])))
    ),
    "another array": arrays_changed("prepared/train.parquet", renamed("X", "Z")),
    "planted errors elsewhere": arrays_changed("prepared/flipped.parquet", setting("ids", 0, 10**6)),
    "no planted errors": arrays_changed("prepared/flipped.parquet", lambda a: a.update(ids=a["ids"][:0])),
    "values that are no numbers": arrays_changed("values/rows.parquet", setting("quality", 0, NAN)),
    "clusters that there are not": arrays_changed("values/rows.parquet", setting("labels", 0, 10**9)),
    "clusters below zero": arrays_changed("values/rows.parquet", setting("labels", 0, -5)),
    "suggestions that there are not": arrays_changed(
        "values/rows.parquet", setting("suggested_labels", 0, "zz")
    ),
    "more columns of judgements": arrays_changed(
        "values/rows.parquet", lambda a: a.update(judged=np.zeros((len(a["labels"]), 9)))
    ),
    "another name of an array": arrays_changed("values/rows.parquet", renamed("quality", "self")),
    "no moments": arrays_changed("values/moments.parquet", lambda a: a.update(moments=a["moments"][:, :2])),
    "no totals": arrays_changed("values/totals.parquet", lambda a: a.update(totals=a["totals"][:0])),
    "no clusters": arrays_changed(
        "values/clusters.parquet", lambda a: a.update({name: array[:0] for name, array in a.items()})
    ),
    "a score that is text": json_changed("values/numbers.json", lambda n: n.update(full_score="1")),
    "another score": json_changed("values/numbers.json", lambda n: n.update(scoring="log_loss")),
    "a type of labels that is a bomb": json_changed(
        "values/numbers.json", lambda n: n["types"].update(suggested_labels="<U99999999")
    ),
    "a type of labels that is none": json_changed(
        "values/numbers.json", lambda n: n["types"].update(classes="datetime64")
    ),
    "classes of others": json_changed("values/numbers.json", lambda n: n.update(classes=["x", "y"])),
    "one class": json_changed("values/numbers.json", lambda n: n.update(classes=["no"])),
    "a class more": json_changed("values/numbers.json", lambda n: n.update(classes=["no", "yes", "zz"])),
    "a number more": json_changed("values/numbers.json", lambda n: n.update(__class__="x")),
    "folds where there are none": lambda m, _: m.update({"values/folds.parquet": m["values/rows.parquet"]}),
    "a frame that is none": lambda m, _: m.update({"frame.parquet": b"PAR1 x PAR1"}),
    "a frame of fewer rows": lambda m, _: m.update({"frame.parquet": m["prepared/val.parquet"]}),
    "arrays that are none": lambda m, _: m.update({"values/rows.parquet": b"PAR1" * 50}),
    "no values": lambda m, _: [m.pop(name) for name in list(m) if name.startswith("values/")],
    "no table": lambda m, _: m.pop("frame.parquet"),
    "a time that is text": json_changed("summary.json", lambda s: s.update(seconds="9")),
    "a summary that is a list": json_changed("summary.json", lambda s: []),
    "no summary": lambda m, _: m.pop("summary.json"),
    "a result of no kind": in_payload("effect", lambda r: r.update(kind="open")),
    "a result of a kind that is a list": in_payload("effect", lambda r: r.update(kind=["effect"])),
    "parameters that are a list": in_payload("effect", lambda r: r.update(parameters=[])),
    "curves that do not say what they took": in_payload("curves", lambda r: r.update(payload={})),
    "curves that took less than no time": in_payload(
        "curves", lambda r: r["payload"].update(seconds=-1)
    ),
    "curves beside a run that is not there": in_payload(
        "method_curves", lambda r: r["parameters"].update(other={"valuation": "v"})
    ),
    "curves beside nothing": in_payload("method_curves", lambda r: r.update(parameters={})),
    "curves beside none that say they are": in_payload("curves", lambda r: r.update(kind="method_curves")),
    "an effect of nothing": in_payload("effect", lambda r: r.update(payload={})),
    "an effect of text": in_payload("effect", lambda r: r["payload"]["changes"][0].update(before="1")),
    "an effect of more": in_payload("effect", lambda r: r["payload"]["changes"][0].update(more=1)),
    "an effect on another measure": in_payload("effect", lambda r: r["payload"].update(main="x")),
    "a number of repeats that is a bomb": in_payload(
        "repeats", lambda r: r["payload"].update(n_repeats=10**9)
    ),
    "no repeats": in_payload("repeats", lambda r: r["payload"].update(n_repeats=0)),
    "a map of others": in_result(
        "umap", "umap.parquet", lambda a: a.update(coordinates=a["coordinates"][1:])
    ),
    "a map in three dimensions": in_result(
        "umap", "umap.parquet", lambda a: a.update(coordinates=np.zeros((len(a["coordinates"]), 3)))
    ),
    "a map at infinity": in_result("umap", "umap.parquet", setting("coordinates", (0, 0), np.inf)),
    "a method of other rows": in_result(
        "baseline", "values.parquet", lambda a: a.update(values=a["values"][1:])
    ),
    "a method without values": in_result("baseline", "values.parquet", renamed("values", "v")),
    "curves that are none": result_of("curves")(
        lambda m, folder: m.update({f"{folder}/curves.parquet": m["values/moments.parquet"]})
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CONTENTS.values(), ids=CONTENTS)
def test_contents_that_are_not_of_one_piece_are_refused_though_every_digest_is_right(
    change, drawn, there
):
    check_refused(there, forged(drawn, change))


DESKS = {
    "a row that is not valued": lambda d: d["selection"].update(selected_ids=[10**6]),
    "rows that are text": lambda d: d["selection"].update(selected_ids=["1"]),
    "rows that are no list": lambda d: d["selection"].update(selected_ids=7),
    "a row picked that there is not": lambda d: d["selection"].update(picked_id=-1),
    "a view that is a list": lambda d: d["selection"].update(view=[1]),
    "a weight that is text": lambda d: d["selection"]["view"].update(extrinsic_weight="1"),
    "a weight above one": lambda d: d["selection"]["view"].update(extrinsic_weight=7),
    "a unit that is a number": lambda d: d["selection"]["view"].update(unit=7),
    "a decision of no kind": lambda d: d["decisions"].update(other={}),
    "a rule more": lambda d: d["decisions"]["prune"]["present"].update(more=1),
    "a share above one": lambda d: d["decisions"]["prune"]["present"].update(share=1.5),
    "a threshold that is text": lambda d: d["decisions"]["prune"]["present"].update(threshold="x"),
    "a row pruned that there is not": lambda d: d["decisions"]["prune"]["past"][0].update(
        picked=[10**6]
    ),
    "no present": lambda d: d["decisions"]["prune"].pop("present"),
    "a past without end": lambda d: d["decisions"]["labels"].update(past=[{}] * 1000),
    "a label of no row": lambda d: d["decisions"]["labels"]["present"].update({"x": "accept"}),
    "a label of a long row": lambda d: d["decisions"]["labels"]["present"].update(
        {"9" * 5000: "accept"}
    ),
    "a verdict that is a number": lambda d: d["decisions"]["labels"]["present"].update({"1": 1}),
    "a date that is text": lambda d: d.update(updated="now"),
    "a field more": lambda d: d.update(visitor="eve"),
    "a list": lambda d: [],
}


@pytest.mark.parametrize("change", DESKS.values(), ids=DESKS)
def test_a_desk_that_cannot_be_laid_out_is_refused(change, drawn, there):
    check_refused(
        there, forged(drawn, json_changed("desk.json", lambda d: [] if change(d) == [] else None))
    )


def test_a_desk_keeps_what_later_screens_add_to_its_selection(drawn, there):
    add = json_changed("desk.json", lambda d: d["selection"].update(zoom=[1.5, 2]))
    run = import_run(there, forged(drawn, add))
    assert history.find_desk(there, history.latest_desk(there, run)).selection["zoom"] == [1.5, 2]


def test_dates_that_are_still_to_come_are_not_believed(drawn, there):
    def change(members, manifest):
        manifest["run"]["created"] = 9e10
        json_changed("desk.json", lambda d: d.update(updated=9e10))(members, manifest)

    run = import_run(there, forged(drawn, change))
    assert history.find_run(there, run).created < 9e9
    history.save_desk(there, "mine", Desk(run, "v", {}, {}))
    assert history.latest_desk(there, run) == "mine"


def test_what_the_list_shows_is_counted_and_not_believed(drawn, there):
    def change(summary):
        return {
            **summary,
            "full_score": 1e9,
            "reliable": "yes",
            "n_rows": -1,
            "seconds": 9,
            "x": {"a": 1},
        }

    run = import_run(there, forged(drawn, json_changed("summary.json", change)))
    found = history.find_run(there, run).summary
    assert found["full_score"] == 0.9
    assert found["n_rows"] == len(prepared_table(0.1).y_train)
    assert found["reliable"] in (True, False)
    assert found["seconds"] == 9
    assert "x" not in found


# --- Nothing forged stands for what is computed here -----------------------------------------


def test_values_from_elsewhere_never_stand_for_what_is_computed_here(drawn, there):
    """A file that says it holds the values of a public table must not be what its owner finds later."""
    change = arrays_changed("values/rows.parquet", setting("raw_extrinsic", 0, 123.0))
    imported = history.find_run(there, import_run(there, forged(drawn, change)))
    prepared, settings = prepared_table(0.1), Settings("logistic_regression", 4, "probability")
    own = orders.value(prepared, settings)
    assert there.find_result(own.key) is None
    assert there.load_prepared(prepared.fingerprint) is None
    assert imported.valuation != own.key
    run, key = keep_run(there, prepared, settings=settings)
    assert run != imported.id
    mine = read_valuation(there.find_result(key).folder)
    assert mine.values_.tobytes() == drawn_valuation(prepared).values_.tobytes()


def test_a_file_overwrites_nothing_that_was_computed_here(drawn, there):
    prepared, settings = prepared_table(0.1), Settings("logistic_regression", 4, "probability")
    _, key = keep_run(there, prepared, settings=settings, name="mine")
    whole = Run(prepared, settings, drawn_valuation(prepared))
    effect = orders.effect(whole, [1, 2], None)
    there.save_result(effect.key, "effect", effect.parameters, {"mine": True})
    for change in (
        lambda m, _: None,
        arrays_changed("values/rows.parquet", setting("raw_extrinsic", 0, 123.0)),
        arrays_changed("prepared/train.parquet", setting("X", (0, 0), 5.0)),
    ):
        import_run(there, forged(drawn, change))
    assert there.find_result(effect.key).payload == {"mine": True}
    kept = there.load_prepared(prepared.fingerprint)
    assert kept.X_train.tobytes() == prepared.X_train.tobytes()
    values = read_valuation(there.find_result(key).folder)
    assert values.values_.tobytes() == drawn_valuation(prepared).values_.tobytes()
    # The first is the run that is here; the others are runs of their own.
    assert len(history.list_runs(there)) == 3
    # Curves and effects that came with it are not mixed with what was computed here.
    assert [one.kind for one in there.results_of(key)] == ["effect"]


def test_a_table_that_is_here_keeps_its_name(drawn, there):
    prepared = prepared_table(0.1)
    keep_run(there, prepared)
    import_run(there, forged(drawn, put("table.name", "evil.csv")))
    assert there.load_table(prepared.table.fingerprint).name == "small.csv"


def test_models_that_are_not_those_of_the_values_are_refused(
    content, here, there, valued, tmp_path
):
    settings, prepared, _ = valued["classes"]
    other = value_prepared(prepared, replace(settings, random_state=5)).ecoval
    (tmp_path / "other").mkdir()
    write_valuation(other, tmp_path / "other")
    evil = (tmp_path / "other" / "fit.skops").read_bytes()
    refused = forged(content, lambda m, _: m.update({"values/fit.skops": evil}))
    check_refused(there, refused, "models are not those of its values")


def test_models_that_are_no_models_are_refused(content, there, tmp_path):
    from test_fits import attributes, hostile, rewritten

    marker = tmp_path / "marker"
    for what in ("a command", "code", "a function"):

        def change(members, _manifest, what=what):
            def spoil(schema, _members):
                attributes(schema)["n_clusters"] = hostile(marker)[what]

            members["values/fit.skops"] = rewritten(members["values/fit.skops"], spoil)

        check_refused(there, forged(content, change), "which no valuation consists of")
    check_refused(
        there,
        forged(content, lambda m, _: m.update({"values/fit.skops": b"x"})),
        "models in it are damaged",
    )
    assert not marker.exists()


def test_a_run_without_its_models_comes_back_without_them(content, there):
    run = import_run(there, forged(content, lambda m, _: m.pop("values/fit.skops")))
    found = history.find_run(there, run)
    assert found.state == "done"
    assert read_fit(there.find_result(found.valuation).folder) is None


def test_a_frame_that_unpacks_to_too_much_is_refused(drawn, there, monkeypatch):
    from ecoval_core.tables import limits

    monkeypatch.setattr(limits, "MAX_CELLS", 100)
    check_refused(there, drawn, "limit")


def test_arrays_that_unpack_to_too_much_are_refused(drawn, there, monkeypatch):
    monkeypatch.setattr(bundle_parts, "MAX_VALUES", 50)
    check_refused(there, drawn, "unpacks to too much")


def test_arrays_that_a_few_bytes_stand_for_are_refused(drawn, there):
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    long = pa.array(["x" * 10_000]).take(pa.array(np.zeros(1000, dtype=int)))
    parquet.write_table(pa.table({"y": long}), buffer)
    change = forged(drawn, lambda m, _: m.update({"prepared/val.parquet": buffer.getvalue()}))
    check_refused(there, change, "not written as EcoVal writes arrays")


# --- Damage ----------------------------------------------------------------------------------


def test_bits_that_flip_and_pieces_that_are_missing_are_a_sentence_or_change_nothing(drawn, there):
    random = np.random.default_rng(3)
    run = import_run(there, drawn)
    before = counts(there)
    sentences = []
    for number in range(400):
        spoilt = bytearray(drawn)
        place = int(random.integers(len(spoilt)))
        if number % 4 == 0:
            del spoilt[place : place + int(random.integers(1, 500))]
        elif number % 4 == 1:
            spoilt[place : place + 8] = random.bytes(8)
        else:
            spoilt[place] ^= 1 << int(random.integers(8))
        try:
            assert import_run(there, bytes(spoilt)) == run
        except BundleError as error:
            sentences.append(str(error))
    assert counts(there) == before
    assert len(sentences) > 300
    for sentence in sentences:
        assert "\n" not in sentence
        assert sentence.startswith("This file is not imported: ")


def test_a_full_disk_is_not_taken_for_a_damaged_file(drawn, there, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "save_prepared", full)
    with pytest.raises(OSError, match="No space left"):
        import_run(there, drawn)
    assert history.list_runs(there) == []
