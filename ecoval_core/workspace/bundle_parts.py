"""What a bundle must hold, part by part: nothing in it is believed that can be checked.

A bundle may come from anybody. Whatever is missing, unknown, out of range or not of one piece with the rest
is refused in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.measures import Change
from ecoval_core.tables import Prepared, Table, make_table
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import Findings, Valuation, findings_of
from ecoval_core.workspace import fields
from ecoval_core.workspace.bundle_fields import MAX_UNPACKED, NUMBERS, BundleError
from ecoval_core.workspace.parquet import read_arrays, read_frame, write_arrays, write_frame
from ecoval_core.workspace.runs import Run, Settings, rows_to_value
from ecoval_core.workspace.valuations import FIT, read_valuation, write_valuation

MAX_VALUES = 100_000_000
# The file that a mended table was read from.
ORIGINAL = "original.parquet"
# Encodings of Parquet.
_PLAIN, _RUNS = 0, 3
Write = Callable[[Path], None]


# --- Files -----------------------------------------------------------------------------------


def checked_frame(path: Path, name: str) -> pd.DataFrame:
    """Read a frame after making sure that it unpacks to no more than a table may."""
    from ecoval_core.tables.parquet_files import read_parquet

    read_parquet(path.read_bytes(), name)
    return read_frame(path)


def checked_arrays(path: Path) -> dict[str, NDArray]:
    """Read arrays after making sure that they unpack to no more than the file says."""
    from pyarrow import parquet

    from ecoval_core.tables.parquet_pages import measure_pages

    data = path.read_bytes()
    with path.open("rb") as file:
        footer = parquet.ParquetFile(
            file, pre_buffer=False, thrift_container_size_limit=20_000
        ).metadata
    n_values = n_bytes = 0
    for i in range(footer.num_row_groups):
        group = footer.row_group(i)
        for j in range(footer.num_columns):
            chunk = group.column(j)
            # A dictionary, or text that repeats what came before it, stands for more than its bytes.
            is_plain = not chunk.has_dictionary_page
            if is_plain:
                found = measure_pages(
                    data, chunk.data_page_offset, chunk.total_compressed_size, chunk.num_values
                )
                n_values, n_bytes = n_values + found.n_values, n_bytes + found.n_bytes
                is_plain = not found.has_dictionary and found.encodings <= {_PLAIN, _RUNS}
            if not is_plain:
                raise BundleError(f"its {path.name} is not written as EcoVal writes arrays.")
    if n_values > MAX_VALUES or n_bytes > MAX_UNPACKED or footer.num_rows > MAX_VALUES:
        raise BundleError(f"its {path.name} unpacks to too much.")
    return read_arrays(path)


def read_json(path: Path) -> Any:
    """Read JSON in which a number may be NaN."""
    return json.loads(path.read_text(encoding="utf-8"))


# --- The run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A result of a run, ready to be kept.

    Attributes
    ----------
    kind : str
        Name of the work.
    parameters : dict
        What it was computed from, besides the run.
    payload : dict
        What is small of it.
    write : callable or None
        Writes its files.
    frame : DataFrame or None
        A frame that it names by the digest of its content.
    """

    kind: str
    parameters: dict[str, Any]
    payload: dict[str, Any]
    write: Write | None
    frame: pd.DataFrame | None = None


def read_table(path: Path, named: Mapping[str, Any]) -> Table:
    """Read the table, make it anew from its frame, and refuse one that is not what it says."""
    frame = checked_frame(path, named["name"])
    table = make_table(frame, named["name"], named["target"], named["task"], named["excluded"])
    if table.content != named["content"] or content_digest(table.frame) != named["content"]:
        raise BundleError("its table is not the one that its contents name.")
    return table


def preparation_fingerprint(table: Table, chosen: Mapping[str, Any]) -> str:
    """Return the fingerprint that :func:`ecoval_core.tables.prepare` gives to these choices."""
    shares = tuple(round(float(share), 6) for share in chosen["proportions"])
    settings = (table.fingerprint, shares, chosen["noise"], chosen["random_state"])
    return blake2b(repr(settings).encode(), digest_size=16).hexdigest()


def read_prepared(folder: Path, table: Table, chosen: Mapping[str, Any]) -> Prepared:
    """Read the prepared table, and refuse one that does not belong to the table.

    Rows and targets are those of the table; what the features became is taken as it is.
    """
    parts: dict[str, NDArray] = {}
    wanted = {"X", "y", "ids"}
    for part in ("train", "val", "test"):
        arrays = checked_arrays(folder / f"{part}.parquet")
        if set(arrays) != (wanted | {"y_clean"} if part == "train" else wanted):
            raise BundleError(f"its {part} part does not hold the arrays of a part.")
        clean = arrays.pop("y_clean", arrays["y"])
        if part == "train":
            parts["y_train_clean"] = clean
        parts |= {f"{name}_{part}": array for name, array in arrays.items()}
        _check_part(part, arrays, clean, table)
    everywhere = np.concatenate([parts[f"ids_{part}"] for part in ("train", "val", "test")])
    widths = {parts[f"X_{part}"].shape[1] for part in ("train", "val", "test")}
    flipped = checked_arrays(folder / "flipped.parquet")["ids"]
    changed = parts["ids_train"][parts["y_train"] != parts["y_train_clean"]]
    is_whole = (
        len(np.unique(everywhere)) == len(everywhere)
        and len(widths) == 1
        and flipped.dtype == np.int64
        and np.isin(changed, flipped).all()
        and np.isin(flipped, parts["ids_train"]).all()
        and len(np.unique(flipped)) == len(flipped)
    )
    if not is_whole:
        raise BundleError("the parts of its prepared table do not fit together.")
    train, validation, test = (float(share) for share in chosen["proportions"])
    return Prepared(
        table=table, task=table.task, vectorizer=None, flipped_ids=flipped,
        proportions=(train, validation, test),
        noise=float(chosen["noise"]), random_state=chosen["random_state"],
        fingerprint=preparation_fingerprint(table, chosen), **parts,
    )  # fmt: skip


def _check_part(part: str, arrays: Mapping[str, NDArray], clean: NDArray, table: Table) -> None:
    X, y, ids = arrays["X"], arrays["y"], arrays["ids"]
    is_sound = (
        X.ndim == 2
        and X.dtype == np.float64
        and bool(np.isfinite(X).all())
        and ids.ndim == y.ndim == clean.ndim == 1
        and ids.dtype == np.int64
        and len(X) == len(y) == len(ids) == len(clean) > 0
        and bool((np.diff(ids) > 0).all())
        and bool(np.isin(ids, table.labelled_ids).all())
        and y.dtype.kind == clean.dtype.kind == table.labels.dtype.kind
        and np.array_equal(clean, table.label_series.loc[ids].to_numpy())
        and (table.task == "regression" or bool(np.isin(y, table.classes).all()))
        and (table.task == "classification" or bool(np.isfinite(y).all()))
    )
    if not is_sound:
        raise BundleError(f"its {part} part is not made from its table.")


def read_values(folder: Path, prepared: Prepared, settings: Settings) -> Valuation | CrossValuation:
    """Read what was found, and refuse what does not belong to the rows that the run values."""
    n_rows = len(rows_to_value(prepared, settings.every_row).ids)
    for path in sorted(folder.rglob("*.parquet")):
        checked_arrays(path)
    for path in sorted(folder.rglob("numbers.json")):
        NUMBERS(read_json(path), path.parent.name)
    found = read_valuation(folder)
    if isinstance(found, CrossValuation) != settings.every_row:
        raise BundleError("its values are not those of its settings.")
    folds = found.estimators_ if isinstance(found, CrossValuation) else [found]
    sizes = (
        [len(rows) for rows in found.trained_] if isinstance(found, CrossValuation) else [n_rows]
    )
    for one, size in zip(folds, sizes, strict=True):
        _check_findings(findings_of(one), size, prepared, settings)
    if isinstance(found, CrossValuation):
        rows_of_run = np.arange(n_rows)
        is_sound = (
            found.fold_.shape == found.labels_.shape == (n_rows,)
            and all(np.isin(rows, rows_of_run).all() for rows in found.trained_)
            and bool((found.labels_ >= 0).all() and (found.labels_ < found.n_clusters_).all())
        )
        if not is_sound:
            raise BundleError("the folds of its values do not fit together.")
    run = Run(prepared, settings, found.reweight(settings.extrinsic_weight))
    if len(run.frame) != n_rows or run.clusters.empty:
        raise BundleError("its values are not those of its rows.")
    return found


def _check_findings(found: Findings, n_rows: int, prepared: Prepared, settings: Settings) -> None:
    known = found.classes if found.classes is not None else found.suggested_labels[:0]
    n_outputs = len(known) if prepared.task == "classification" else 1
    floats = (
        found.quality, found.label_quality, found.raw_extrinsic, found.judged, found.sampling.moments,
        found.sampling.totals, found.cluster_values, found.cluster_standard_errors,
    )  # fmt: skip
    is_sound = (
        found.scoring == settings.scoring
        and found.task == prepared.task
        and (found.classes is None) == (prepared.task == "regression")
        and all(array.dtype == np.float64 for array in floats)
        and found.labels.dtype.kind == "i"
        and found.labels.shape == found.quality.shape == found.label_quality.shape == (n_rows,)
        and found.raw_extrinsic.shape == found.suggested_labels.shape == (n_rows,)
        and found.judged.shape == (n_rows, n_outputs)
        and found.sampling.moments.shape == (n_rows, 4)
        and found.sampling.totals.ndim == 2
        and found.sampling.totals.shape[1] == 3
        and len(found.sampling.totals) > 0
        and found.cluster_values.shape == found.cluster_standard_errors.shape
        and found.cluster_values.ndim == 1
        and bool((found.labels >= 0).all() and (found.labels < len(found.cluster_values)).all())
        and all(bool(np.isfinite(array).all()) for array in floats)
        and (prepared.task == "regression" or bool(np.isin(known, prepared.table.classes).all()))
        and (prepared.task == "regression" or bool(np.isin(found.suggested_labels, known).all()))
    )
    if not is_sound:
        raise BundleError("its values are not those of its rows and settings.")


def read_models(folder: Path, found: Valuation | CrossValuation, prepared: Prepared) -> Path | None:
    """Return the file of the models if there is one that can be used, and refuse one that is not theirs."""
    from ecoval_core.workspace.fits import FitError, read_fit_file

    path = folder / FIT
    if not path.exists():
        return None
    try:
        fit = read_fit_file(path)
    except FitError as error:
        raise BundleError(
            str(error).replace("of this run", "in it").replace(": value the rows again", "")
        ) from error
    if fit is None:
        return None
    if isinstance(fit, CrossValuation) != isinstance(found, CrossValuation):
        raise BundleError("its models are not those of its values.")
    pairs = (
        zip(fit.estimators_, found.estimators_, strict=True)
        if isinstance(fit, CrossValuation) and isinstance(found, CrossValuation)
        else [(fit, found)]
    )
    for fitted, kept in pairs:
        is_theirs = (
            isinstance(fitted, EcoVal)
            and fitted.n_features_in_ == prepared.X_train.shape[1]
            and _digest_findings(findings_of(fitted)) == _digest_findings(findings_of(kept))
        )
        if not is_theirs:
            raise BundleError("its models are not those of its values.")
    tried = fit.value_samples(prepared.X_train[:5], prepared.y_train[:5])
    if not np.isfinite(tried.value).all() or tried.value.shape != prepared.y_train[:5].shape:
        raise BundleError("its models do not value its rows.")
    return path


# --- Results that belong to it ---------------------------------------------------------------


def _figures(payload: Mapping[str, Any], *needed: str) -> dict[str, Any]:
    """Return the numbers among a payload, such as the seconds that the work took."""
    found = {
        name: value
        for name, value in payload.items()
        if isinstance(value, (bool, int, float)) and len(name) <= 40
    }
    if not all(fields.is_number(found.get(name)) and found[name] >= 0 for name in needed):
        raise BundleError("a result in it does not say what its work took.")
    return found


def _read_curves(folder: Path, named: Mapping[str, Any], _run: Run) -> Kept:
    frame = checked_frame(folder / "curves.parquet", "curves.parquet")
    numbers = [name for name in ("share", "n_removed", "score", "low", "high") if name in frame]
    texts = [name for name in ("method", "strategy", "measure") if name in frame]
    is_sound = (
        {"strategy", "repeat", "share", "n_removed", "score"} <= set(frame)
        and len(frame) > 0
        and all(frame[name].dtype.kind in "if" for name in (*numbers, "repeat"))
        and all(pd.api.types.is_string_dtype(frame[name]) for name in texts)
        and set(frame) <= {*numbers, *texts, "repeat"}
        and ("method" in frame) == (named["kind"] == "method_curves")
    )
    if not is_sound:
        raise BundleError("its curves are no curves.")
    needed = ("seconds", "n_refits", *(["n_rows"] if "method" in frame else []))
    return Kept(
        named["kind"], named["parameters"], _figures(named["payload"], *needed),
        lambda draft: write_frame(frame, draft / "curves.parquet"),
    )  # fmt: skip


def _read_method_curves(folder: Path, named: Mapping[str, Any], run: Run) -> Kept:
    # Another run is not in the bundle; another method is.
    if set(named["parameters"].get("other", {})) != {"baseline"}:
        raise BundleError("its curves beside another run are those of a run that is not in it.")
    return _read_curves(folder, named, run)


def _read_effect(_folder: Path, named: Mapping[str, Any], _run: Run) -> Kept:
    payload = named["payload"]
    changes = [Change(**one) for one in payload["changes"]]
    is_sound = (
        isinstance(payload["main"], str)
        and payload["main"] in {one.measure for one in changes}
        and all(isinstance(one.measure, str) and isinstance(one.n_test, int) for one in changes)
        and all(
            isinstance(number, (int, float)) and not isinstance(number, bool)
            for one in changes
            for number in (one.before, one.after, one.low, one.high)
        )
    )
    if not is_sound:
        raise BundleError("an effect in it is no effect.")
    found = {"main": payload["main"], "changes": [asdict(one) for one in changes]}
    return Kept("effect", named["parameters"], {**_figures(payload), **found}, None)


def _read_umap(folder: Path, named: Mapping[str, Any], run: Run) -> Kept:
    found = checked_arrays(folder / "umap.parquet")["coordinates"]
    if found.shape != (len(run.ids), 2) or found.dtype.kind != "f" or not np.isfinite(found).all():
        raise BundleError("its projection is none of its rows.")
    return Kept(
        "umap", named["parameters"], _figures(named["payload"]),
        lambda draft: write_arrays({"coordinates": found}, draft / "umap.parquet"),
    )  # fmt: skip


def _read_baseline(folder: Path, named: Mapping[str, Any], run: Run) -> Kept:
    values = checked_arrays(folder / "values.parquet")["values"]
    if values.shape != (len(run.ids),) or values.dtype != np.float64:
        raise BundleError("the values of another method in it are none of its rows.")
    return Kept(
        "baseline", named["parameters"], _figures(named["payload"]),
        lambda draft: write_arrays({"values": values}, draft / "values.parquet"),
    )  # fmt: skip


def _read_repeats(folder: Path, named: Mapping[str, Any], run: Run) -> Kept:
    number = fields.whole(1, 100)(named["payload"]["n_repeats"], "n_repeats")
    found = [read_values(folder / f"repeat_{n}", run.prepared, run.settings) for n in range(number)]

    def write(draft: Path) -> None:
        for n, one in enumerate(found):
            (draft / f"repeat_{n}").mkdir()
            write_valuation(one, draft / f"repeat_{n}")

    return Kept("repeats", named["parameters"], _figures(named["payload"]), write)


def _read_mends(folder: Path, named: Mapping[str, Any], run: Run) -> Kept:
    """Read how the table was mended, and mend the file it was read from again."""
    from ecoval_core.tables.mending import Mend, mend

    payload, table = named["payload"], run.prepared.table
    made = {name: [Mend.from_json(one) for one in payload[name]] for name in ("mends", "suggested")}
    content = fields.hexadecimal(32)(payload["content"], "content")
    original = None
    if (folder / ORIGINAL).exists():
        original = checked_frame(folder / ORIGINAL, ORIGINAL)
        mended = make_table(
            mend(original, made["mends"]), table.name, table.target, table.task, table.excluded
        )
        is_theirs = content_digest(original) == content and mended.content == table.content
    else:
        is_theirs = content == table.content and not made["mends"]
    if not is_theirs:
        raise BundleError("its table is not what its mends make of its file.")
    kept = {name: [one.to_json() for one in mends] for name, mends in made.items()}
    return Kept("mends", {}, {**kept, "content": content}, None, original)


_READERS: dict[str, Callable[[Path, Mapping[str, Any], Run], Kept]] = {
    "curves": _read_curves,
    "method_curves": _read_method_curves,
    "effect": _read_effect,
    "umap": _read_umap,
    "baseline": _read_baseline,
    "repeats": _read_repeats,
    "mends": _read_mends,
}
# Work whose results go with a run; of the rest nobody here knows what it must hold.
KINDS = tuple(_READERS)
# Of these, what belongs to the prepared table alone.
OF_TABLE = ("umap", "mends")
_RESULT = fields.object_of(
    {
        "kind": fields.one_of(KINDS),
        "parameters": fields.json_object,
        "payload": fields.satisfying("an object", lambda v: isinstance(v, dict)),
    }
)


def read_result(folder: Path, run: Run) -> Kept:
    """Read a result that belongs to a run, and refuse one that does not."""
    named = _RESULT(read_json(folder / "result.json"), folder.name)
    return _READERS[named["kind"]](folder, named, run)


def summary(found: Valuation | CrossValuation, n_rows: int, kept: Any) -> dict[str, Any]:
    """Return what the list of runs shows of a valuation: counted again, but for the time it took."""
    return {
        **_figures(kept if isinstance(kept, dict) else {}, "seconds"),
        "surplus": float(found.surplus_),
        "full_score": float(found.full_score_),
        "prior_score": float(found.prior_score_),
        "n_rows": n_rows,
        "n_clusters": int(found.n_clusters_),
        "reliable": bool(found.reliable_),
    }


# --- Digests ---------------------------------------------------------------------------------


def digest_arrays(arrays: Mapping[str, NDArray]) -> str:
    """Return the digest of what arrays hold, text however wide it is kept."""
    digest = blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        if array.dtype.kind in "OU":
            content = json.dumps(array.tolist()).encode()
            digest.update(f"{name} text {array.shape} {len(content)} ".encode())
            digest.update(content)
        else:
            digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def digest_prepared(prepared: Prepared) -> str:
    """Return the digest of the arrays of a prepared table."""
    names = [f"{name}_{part}" for name in ("X", "y", "ids") for part in ("train", "val", "test")]
    return digest_arrays(
        {name: getattr(prepared, name) for name in (*names, "y_train_clean", "flipped_ids")}
    )


def _digest_findings(found: Findings) -> str:
    arrays = {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}
    numbers = [found.full_score, found.prior_score, found.surplus_standard_error]
    arrays |= {"moments": found.sampling.moments, "totals": found.sampling.totals}
    return digest_arrays(
        {**arrays, "numbers": np.array(numbers), "names": np.array([found.scoring, found.task])}
    )


def digest_valuation(found: Valuation | CrossValuation) -> str:
    """Return the digest of all that was found, whatever the extrinsic weight."""
    if isinstance(found, Valuation):
        return _digest_findings(found.findings)
    parts = [_digest_findings(findings_of(one)) for one in found.estimators_]
    arrays = {f"trained_{n}": rows for n, rows in enumerate(found.trained_)}
    arrays |= {"fold": found.fold_, "labels": found.labels_, "parts": np.array(parts)}
    return digest_arrays(arrays)
