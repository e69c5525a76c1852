"""Files of models that may come from anybody: refused in one sentence, and nothing of theirs is run."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
import sklearn
from ecoval_core.workspace.fits import FitError, read_fit_file, write_fit
from skops import io as skops_io

from ecoval_core import EcoVal, cross_value
from ecoval_core.valuation.models import make_model
from ecoval_core.workspace import fits, forests

X = np.random.default_rng(0).normal(size=(90, 4))
Y = (X[:, 0] + 0.5 * np.random.default_rng(1).normal(size=90) > 0).astype(int)


def fit(model, task="classification"):
    y = Y if task == "classification" else X[:, 0] + Y
    estimator = make_model(model, task, 0)
    return EcoVal(estimator, n_clusters=4, random_state=0, task=task).fit(
        X[:60], y[:60], X[60:], y[60:]
    )


@pytest.fixture(scope="module")
def fitted():
    return fit("logistic_regression")


@pytest.fixture(scope="module")
def content(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "fit.skops"
    assert write_fit(fitted, path)
    return path.read_bytes()


def rewritten(content, change):
    """The file with what `change` makes of its schema, and of its other members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    members["schema.json"] = json.dumps(change(schema, members) or schema).encode()
    return packed(members)


def packed(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return buffer.getvalue()


def read(content, tmp_path):
    path = tmp_path / "fit.skops"
    path.write_bytes(content)
    return read_fit_file(path)


def attributes(schema):
    """The attributes of the estimator, as nodes by name."""
    return schema["content"]["content"]


def check_refused(content, tmp_path, match="."):
    with pytest.raises(FitError, match=match) as raised:
        read(content, tmp_path)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert sentence.endswith("value the rows again.")


def test_a_file_of_ours_is_read(content, fitted, tmp_path):
    kept = read(content, tmp_path)
    wanted, found = fitted.value_samples(X[60:], Y[60:]), kept.value_samples(X[60:], Y[60:])
    assert all(wanted[name].tobytes() == found[name].tobytes() for name in wanted)
    again = rewritten(content, lambda *_: None)
    assert read(again, tmp_path).full_score_ == fitted.full_score_


def test_what_is_on_the_list_is_all_that_fits_of_ours_name(tmp_path):
    named = set()
    for model in ("random_forest", "hist_gradient_boosting", "k_neighbors", "naive_bayes"):
        write_fit(fit(model), tmp_path / model)
        with zipfile.ZipFile(tmp_path / model) as archive:
            json.loads(
                archive.read("schema.json"),
                object_hook=lambda node: named.add(node.get("__loader__")) or node,
            )
    assert named - {None} <= set(fits._ALLOWED)
    # Nothing that names a function, calls a method, or makes a tree from what is not looked at.
    assert not {"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode", "TreeNode"} & set(
        fits._ALLOWED
    )
    assert "ConstructorFromReduceNode" not in fits._ALLOWED


def json_node(value):
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
    }


def tuple_node(*values):
    content = [json_node(value) for value in values]
    return {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": content,
    }


def node(loader, module, name, **more):
    return {"__loader__": loader, "__module__": module, "__class__": name, **more}


def hostile(marker):
    """Nodes that would run or load something, by name."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    empty = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {}}
    none = {
        **empty,
        "key_types": {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "content": [],
        },
    }
    make = "ConstructorFromReduceNode"
    return {
        "a command": node(make, "os", "system", content=tuple_node(command)),
        "code": node(make, "builtins", "eval", content=tuple_node(code)),
        "code by exec": node(make, "builtins", "exec", content=tuple_node(code)),
        "a function of ours": node(
            make, "ecoval_core.valuation.models", "make_model", content=tuple_node("ridge")
        ),
        "a module that we import": node("TypeNode", "ecoval_core.valuation.models", "sys"),
        "a class of ours, called": node(
            make, "ecoval_core.valuation.estimator", "EcoVal", content=tuple_node()
        ),
        "a class of ours that no fit has": node(
            "ObjectNode", "ecoval_core.valuation.parallel", "Monitor", content=none
        ),
        "a function": node("FunctionNode", "os", "system"),
        "a harmless function": node("FunctionNode", "numpy", "exp"),
        "a type": node("TypeNode", "builtins", "eval"),
        "a method": node("MethodNode", "builtins", "str", content={"func": "format", "obj": json_node("x")}),
        "a method caller": node(
            "OperatorFuncNode", "operator", "methodcaller", attrs=tuple_node("system", command)
        ),
        "a partial": node(
            "PartialNode", "functools", "partial",
            content={"func": node("FunctionNode", "os", "system"), "args": tuple_node(command), "kwds": none,
                     "namespace": none},
        ),
        "an estimator that calls functions": node(
            "ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer", content=none
        ),
        "an estimator that reads files": node(
            "ObjectNode", "sklearn.feature_extraction.text", "CountVectorizer", content=none
        ),
        "a tree": node(
            "TreeNode", "sklearn.tree._tree", "Tree", content=none, __reduce__={"args": tuple_node(4, 1, 1)}
        ),
        "a dict of another kind": node("DictNode", "collections", "OrderedDict", content={}),
        "a loader that there is not": node("NoNode", "builtins", "str"),
        "a loader that is no name": node(["JsonNode"], "builtins", "str", content="1"),
        "no loader": {"__module__": "builtins", "__class__": "str"},
        "a name with a dot": node("ObjectNode", "ecoval_core.valuation", "estimator.EcoVal", content=none),
    }  # fmt: skip


@pytest.mark.parametrize("what", hostile("x"))
@pytest.mark.parametrize("where", ["attribute", "root", "key types"])
def test_what_a_valuation_does_not_consist_of_is_refused_and_not_run(
    what, where, content, tmp_path
):
    marker = tmp_path / "marker"
    evil = hostile(marker)[what]

    def change(schema, _members):
        if where == "root":
            return {**evil, "protocol": schema["protocol"]}
        if where == "key types":
            schema["content"]["key_types"]["content"][0] = evil
        else:
            attributes(schema)["n_clusters"] = evil
        return None

    check_refused(rewritten(content, change), tmp_path, "which no valuation consists of")
    assert not marker.exists()


def test_the_same_files_would_be_run_by_a_reader_that_trusts_what_it_is_told(content, tmp_path):
    # That the tests above would notice: skops itself does what they name.
    marker = tmp_path / "marker"

    def change(schema, _members):
        attributes(schema)["n_clusters"] = hostile(marker)["a command"]

    evil = rewritten(content, change)
    skops_io.loads(evil, trusted=skops_io.get_untrusted_types(data=evil))
    assert marker.exists()


def test_an_array_of_python_objects_is_not_unpickled(content, tmp_path):
    import pickle

    marker = tmp_path / "marker"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    assert pickle.dumps(Evil())

    def change(_schema, members):
        name = next(name for name in members if name.endswith(".npy"))
        members[name] = buffer.getvalue()

    check_refused(rewritten(content, change), tmp_path, "are damaged")
    assert not marker.exists()


def test_a_format_of_another_version_and_models_of_another_scikit_learn_are_passed_over(
    content, tmp_path
):
    for protocol in (0, 1, 99, True, "2", None):
        assert (
            read(rewritten(content, lambda s, _m, p=protocol: {**s, "protocol": p}), tmp_path)
            is None
        )
    older = rewritten(
        content,
        lambda schema, _members: json.loads(
            json.dumps(schema).replace(json.dumps(json.dumps(sklearn.__version__)), '"\\"1.0\\""')
        ),
    )
    assert read(older, tmp_path) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: b"", lambda c: b"no archive", lambda c: c[:1000], lambda c: packed({"schema.json": b"{"}),
        lambda c: packed({"other.json": b"{}"}), lambda c: packed({"schema.json": b"[]"}),
        lambda c: packed({"schema.json": b"[" * 100_000}), lambda c: packed({"schema.json": b"\xff"}),
        lambda c: packed({"schema.json": b'{"a": ' * 50_000 + b"1" + b"}" * 50_000}),
    ],
    ids=["empty", "text", "cut", "half", "other", "list", "deep list", "no text", "deep object"],
)  # fmt: skip
def test_what_is_no_file_of_models_is_refused(spoil, content, tmp_path):
    check_refused(spoil(content), tmp_path, "are damaged")


def test_nodes_that_refer_to_each_other_without_end_are_refused(content, tmp_path):
    def change(schema, _members):
        circle = {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "__id__": 1,
        }
        attributes(schema)["n_clusters"] = {**circle, "content": [{**circle, "content": []}]}

    check_refused(rewritten(content, change), tmp_path, "are damaged")


def test_another_object_than_a_fit_is_refused(tmp_path):
    check_refused(skops_io.dumps({"a": 1}), tmp_path, "no fitted valuation")
    check_refused(skops_io.dumps(EcoVal()), tmp_path, "are damaged")


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    content, tmp_path, monkeypatch
):
    monkeypatch.setattr(fits, "MAX_FIT_BYTES", 2**20)
    bomb = packed({"schema.json": b"{}", "bomb.npy": bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**15
    check_refused(bomb, tmp_path, "take more than 1 MB")
    check_refused(packed({"schema.json": bytes(2**21)}), tmp_path, "take more than 1 MB")
    monkeypatch.setattr(fits, "MAX_FIT_BYTES", 2**28)
    monkeypatch.setattr(fits, "MAX_SCHEMA_BYTES", 1000)
    check_refused(content, tmp_path, "too many")


# --- Indices that compiled code would follow ------------------------------------------------


def written_with(fitted, tmp_path, monkeypatch, change, packer="_pack"):
    """A file whose trees are what `change` makes of the arrays that they are kept in."""
    pack = getattr(forests, packer)

    def changed(trees):
        kept = pack(trees)
        change(kept)
        return kept

    monkeypatch.setattr(forests, packer, changed)
    write_fit(fitted, tmp_path / "evil.skops")
    return (tmp_path / "evil.skops").read_bytes()


def set_node(field, value, place="inner"):
    leaf = {"left_child": -1}

    def change(kept):
        nodes = kept["nodes"]
        if "left_child" in nodes.dtype.names:
            is_leaf = nodes["left_child"] == leaf["left_child"]
        else:
            is_leaf = nodes["is_leaf"] == 1
        kept["nodes"][field][np.flatnonzero(~is_leaf if place == "inner" else is_leaf)[0]] = value

    return change


def cut(name):
    def change(kept):
        kept[name] = kept[name][:-1]

    return change


FORESTS = {
    "feature too high": set_node("feature", 4),
    "feature far away": set_node("feature", 2**40),
    "feature below zero": set_node("feature", -1),
    "left child far away": set_node("left_child", 2**40),
    "left child before": set_node("left_child", 0),
    "right child before": set_node("right_child", 0),
    "right child in the next tree": lambda kept: set_node("right_child", int(kept["counts"][0]))(
        kept
    ),
    "left child below": set_node("left_child", -2),
    "fewer nodes": cut("nodes"),
    "fewer values": cut("values"),
    "fewer trees": cut("counts"),
    "a tree without nodes": lambda kept: kept["counts"].__setitem__(
        slice(2), [0, kept["counts"][:2].sum()]
    ),
    "a tree of fewer nodes than none": lambda kept: kept["counts"].__setitem__(
        slice(2), [-1, kept["counts"][:2].sum() + 1]
    ),
    "more classes": lambda kept: kept.update(n_classes=np.array([1000])),
    "more outputs": lambda kept: kept.update(n_outputs=50),
    "nodes of another make": lambda kept: kept.update(nodes=np.zeros(len(kept["nodes"]))),
}
BOOSTED = {
    "feature too high": set_node("feature_idx", 4),
    "feature below zero": set_node("feature_idx", -1),
    "left child far away": set_node("left", 2**31),
    "right child before": set_node("right", 0),
    "a leaf that is none": set_node("is_leaf", 0, "leaf"),
    "categories": set_node("is_categorical", 1),
    "fewer nodes": cut("nodes"),
    "fewer trees": cut("counts"),
    "fewer rounds": cut("trees"),
    "rounds of fewer trees than none": lambda kept: kept["trees"].__setitem__(slice(2), [-1, 3]),
}


@pytest.fixture(scope="module")
def forest():
    return fit("random_forest")


@pytest.fixture(scope="module")
def boosted():
    return fit("hist_gradient_boosting")


@pytest.mark.parametrize("change", FORESTS.values(), ids=FORESTS)
def test_trees_that_lead_out_of_their_data_are_refused(change, forest, tmp_path, monkeypatch):
    evil = written_with(forest, tmp_path, monkeypatch, change)
    check_refused(evil, tmp_path, "indices out of range")


@pytest.mark.parametrize("change", BOOSTED.values(), ids=BOOSTED)
def test_boosted_trees_that_lead_out_of_their_data_are_refused(
    change, boosted, tmp_path, monkeypatch
):
    evil = written_with(boosted, tmp_path, monkeypatch, change, "_pack_boosted")
    check_refused(evil, tmp_path, "indices out of range")


def test_trees_of_more_columns_than_the_rows_have_are_refused(forest, tmp_path, monkeypatch):
    # A file may say that its rows have as many columns as its trees want; the caller knows better.
    def change(kept):
        set_node("feature", 30)(kept)

    evil = written_with(forest, tmp_path, monkeypatch, change)
    wider = rewritten(
        evil, lambda schema, _m: attributes(schema).update(n_features_in_=json_node(40))
    )
    kept = read(wider, tmp_path)
    with pytest.raises(ValueError, match="expecting 40 features"):
        kept.value_samples(X[60:], Y[60:])


def test_a_matrix_that_leads_out_of_its_data_is_refused(fitted, tmp_path):
    kernel = fitted._attribution.weighting.kernels[0]
    before = kernel._of_val.indices[0]
    kernel._of_val.indices[0] = 2**30
    try:
        write_fit(fitted, tmp_path / "evil.skops")
    finally:
        kernel._of_val.indices[0] = before
    check_refused((tmp_path / "evil.skops").read_bytes(), tmp_path)


def test_a_forest_that_counts_its_leaves_wrongly_is_refused(fitted, tmp_path):
    judge = fitted._attribution.forest
    before = judge._offsets.copy()
    judge._offsets += 10**6
    try:
        write_fit(fitted, tmp_path / "evil.skops")
    finally:
        judge._offsets[:] = before
    check_refused((tmp_path / "evil.skops").read_bytes(), tmp_path, "indices out of range")


def neighbors(fitted):
    return fitted._attribution.refits.estimator


def test_what_neighbours_are_sought_through_is_made_anew(tmp_path):
    fitted = fit("k_neighbors")
    wanted = fitted.value_samples(X[60:], Y[60:])
    tree = neighbors(fitted)._tree
    tree.get_arrays()[1][:] = 10**9
    write_fit(fitted, tmp_path / "evil.skops")
    kept = read((tmp_path / "evil.skops").read_bytes(), tmp_path)
    found = kept.value_samples(X[60:], Y[60:])
    assert found.value.tobytes() == wanted.value.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("_y", np.full(60, 10**9)), ("n_neighbors", 10**6), ("_fit_X", np.zeros((1, 1))), ("_fit_X", "text"),
     ("metric", "no metric"), ("algorithm", 7)],
    ids=["labels", "neighbours", "rows", "no rows", "metric", "algorithm"],
)  # fmt: skip
def test_neighbours_that_there_are_not_end_in_a_sentence_or_an_error(name, value, tmp_path):
    fitted = fit("k_neighbors")
    setattr(neighbors(fitted), name, value)
    write_fit(fitted, tmp_path / "evil.skops")
    try:
        kept = read((tmp_path / "evil.skops").read_bytes(), tmp_path)
    except FitError:
        return
    with pytest.raises(ValueError, match=r"."):
        kept.value_samples(X[60:], Y[60:])


def test_threads_that_a_file_asks_for_are_not_started(fitted, tmp_path):
    fitted.n_jobs = 10_000
    fitted._attribution.forest._model.n_jobs = 10_000
    try:
        write_fit(fitted, tmp_path / "evil.skops")
    finally:
        fitted.n_jobs = fitted._attribution.forest._model.n_jobs = None
    kept = read((tmp_path / "evil.skops").read_bytes(), tmp_path)
    assert kept.n_jobs is None
    assert kept._attribution.forest._model.n_jobs is None


def test_folds_of_different_columns_are_refused(tmp_path):
    kept = cross_value(EcoVal(make_model("naive_bayes"), n_clusters=4, random_state=0), X, Y, 3)
    kept.estimators_[0] = EcoVal(make_model("naive_bayes"), n_clusters=4, random_state=0).fit(
        X[:, :2], Y
    )
    write_fit(kept, tmp_path / "evil.skops")
    check_refused((tmp_path / "evil.skops").read_bytes(), tmp_path, "do not fit together")


def test_bits_that_flipped_are_a_sentence_or_change_nothing(content, fitted, tmp_path):
    random = np.random.default_rng(5)
    wanted, sentences = fitted.value_samples(X[60:], Y[60:]), []
    for _ in range(150):
        spoilt = bytearray(content)
        spoilt[random.integers(len(spoilt))] ^= 1 << random.integers(8)
        try:
            kept = read(bytes(spoilt), tmp_path)
        except FitError as error:
            sentences.append(str(error))
            continue
        if kept is not None:
            found = kept.value_samples(X[60:], Y[60:])
            assert found.value.tobytes() == wanted.value.tobytes()
    assert len(sentences) > 50
    assert not any("\n" in sentence for sentence in sentences)
