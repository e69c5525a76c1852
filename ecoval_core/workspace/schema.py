"""The documents that describe a run: its table, its split, its settings, and what was decided on its rows.

A row of the database, a recipe and the manifest of an archive are these documents. The key of a result is a
digest of them without the fields at their default, so that a new field with a default changes no key.
"""

from __future__ import annotations

import json
import platform
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.models.catalog import make_model, models_for
from ecoval_core.models.model_settings import check_parameters
from ecoval_core.tables import SAMPLES, Fix, Reading
from ecoval_core.tables.split_columns import Part
from ecoval_core.tables.splitting import Kind, Rule
from ecoval_core.target_type import Task
from ecoval_core.text import join
from ecoval_core.valuation.cross_valuation import N_VALIDATION_FOLDS
from ecoval_core.valuation.estimator import MAX_EXTRINSIC_WEIGHT
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import MAX_VAL_SAMPLES, SCORINGS

# What the numbers and the bytes of a file can depend on.
PACKAGES = ("ecoval", "numpy", "scipy", "scikit-learn", "skrub", "pandas", "pyarrow")
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
RowId = Annotated[int, Field(ge=0, le=2**53)]
Verdict = Literal["accept", "keep"]
UnitKind = Literal["rows", "share", "score"]
Decomposed = Literal["label", "cluster", "distribution"]
Below = Literal["rows", "clusters", "words"]
DEFAULT_UNIT: UnitKind = "rows"


class Document(BaseModel):
    """A value that JSON holds; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def dump(self) -> dict[str, Any]:
        """Return the document as JSON takes it, without the fields at their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


def key_of(kind: str, *parts: Any) -> str:
    """Return the digest that names a result: 32 hexadecimal digits."""
    canonical = json.dumps([kind, *parts], sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def explain(error: ValidationError) -> str:
    """Say in one sentence which field of a document is wrong, and why."""
    first = error.errors(include_url=False)[0]
    # The name of a field that is not ours may be anything.
    parts = [str(part) for part in first["loc"]]
    place = ".".join(p if len(p) < 60 and p.isprintable() else f"{ascii(p)[:60]}…" for p in parts)
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "missing":
        return f"{place} is missing."
    if first["type"] == "extra_forbidden":
        return f"{place} is not a field known here."
    shown = ascii(first["input"])
    given = "" if not place or len(shown) > 60 else f" is {shown}"
    return f"{place}{given}: {reason}." if place else f"{reason}."


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers and bytes depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


# --- A run ----------------------------------------------------------------------------------


class TableSpec(Document):
    """What is predicted from which cells.

    `content` is the digest of the cells as read, `reading` says how; `fixes` are applied to them first.
    """

    name: str
    content: Digest
    sample: str | None = None
    target: str
    task: Task
    excluded: dict[str, str] = {}
    fixes: tuple[Fix, ...] = ()
    reading: Reading = Reading()

    @model_validator(mode="after")
    def _check(self) -> TableSpec:
        if self.target in self.excluded:
            raise ValueError(f"the target {self.target!r} is one of the excluded columns")
        if self.sample is not None and self.sample not in SAMPLES:
            raise ValueError(f"there is no sample {self.sample!r}")
        return self

    def identity(self) -> dict[str, Any]:
        """Return what values depend on: neither names nor explanations."""
        options: dict[str, Any] = {"mode": "json", "exclude_defaults": True}
        fixes = [one.model_dump(**options, exclude={"sentence", "n_cells"}) for one in self.fixes]
        dumped = self.model_dump(
            **options, exclude={"name", "sample", "excluded", "fixes", "reading"}
        )
        return dumped | {"excluded": sorted(self.excluded), "fixes": fixes}


def _check_proportions(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError("three numbers above 0 that sum to 1 are needed")
    return shares


class OwnFile(Document):
    """A file with the validation or test rows: its name, and the digest of its cells as read."""

    name: str
    content: Digest


class SplitSpec(Document):
    """How rows are dealt to the training, validation and test part, and what they weigh.

    `column` holds the times or the parts, and `words` says which part each of its values names. Rows with the
    same value in `groups` stay in one part wherever chance decides.
    """

    kind: Kind = "random"
    column: str | None = None
    words: dict[str, Part] = {}
    groups: str | None = None
    weights: str | None = None
    validation: OwnFile | None = None
    test: OwnFile | None = None
    proportions: Annotated[tuple[float, float, float], AfterValidator(_check_proportions)] = (
        0.6, 0.2, 0.2,
    )  # fmt: skip
    noise: float = Field(default=0.0, ge=0, lt=1)
    random_state: Seed = 0

    @model_validator(mode="after")
    def _check(self) -> SplitSpec:
        if self.kind != "given" and (self.column is not None) != (self.kind in ("time", "column")):
            raise ValueError("a column goes with the kinds time and column, and with no other")
        if bool(self.files) != (self.kind == "files"):
            raise ValueError(
                "a validation or test file goes with the kind files, and with no other"
            )
        if self.kind == "time" and self.groups is not None:
            raise ValueError(
                "time and groups exclude each other, since rows of one group may be of many times"
            )
        used = [name for name in (self.column, self.groups, self.weights) if name is not None]
        if len(set(used)) < len(used):
            raise ValueError(
                "the columns that split, group and weigh the rows must be different ones"
            )
        return self

    @property
    def files(self) -> dict[str, OwnFile]:
        """Files with validation and test rows, by the name of the part."""
        pairs = {"validation": self.validation, "test": self.test}
        return {part: file for part, file in pairs.items() if file is not None}

    @property
    def rule(self) -> Rule:
        """The rule by which rows are dealt."""
        return Rule(self.kind, self.column, self.words, self.groups, self.weights)

    def identity(self) -> dict[str, Any]:
        """Return what values depend on: of files, their cells and not their names."""
        dumped = self.dump()
        return dumped | {part: file.content for part, file in self.files.items()}

    def describe(self) -> str:
        """Say in plain words how rows are split."""
        how = {
            "random": "at random",
            "time": f"in order of time, by {self.column!r}",
            "column": f"by the column {self.column!r}",
            "given": "elsewhere, before their values came",
            "files": join([f"{part} rows from {one.name}" for part, one in self.files.items()]),
        }[self.kind]
        if self.groups is not None:
            how += f", rows of the same {self.groups!r} together"
        return how + (f", weighted by {self.weights!r}" if self.weights is not None else "")


DEFAULT_SPLIT = SplitSpec()


def _without_infinity(value: JsonValue) -> JsonValue:
    """Refuse what `allow_inf_nan` overlooks inside of a JsonValue read from JSON."""
    json.dumps(value, allow_nan=False)
    return value


class Settings(Document):
    """What a run is made with; `parameters` are set on the model beyond its defaults."""

    model: str
    n_clusters: int = Field(ge=1, le=2**53)
    scoring: str
    parameters: dict[str, Annotated[JsonValue, AfterValidator(_without_infinity)]] = {}
    extrinsic_weight: float = Field(default=DEFAULT_EXTRINSIC_WEIGHT, ge=0, le=MAX_EXTRINSIC_WEIGHT)
    random_state: Seed = 0
    every_row: bool = False
    balanced: bool = False
    max_val_samples: int = Field(default=MAX_VAL_SAMPLES, ge=1)

    @property
    def n_folds(self) -> int:
        """Valuations that the run takes."""
        return N_VALIDATION_FOLDS if self.every_row else 1

    def replace(self, **changes: Any) -> Settings:
        """Return the settings with some of them changed."""
        return type(self).model_validate(self.model_dump() | changes)

    def check(self, task: Task) -> None:
        """Refuse a model or score that is unknown here, or does not fit the task."""
        if self.model not in (models := models_for(task)):
            raise ValueError(
                f"settings.model is {self.model!r}: choose one of {', '.join(models)}."
            )
        check_parameters(self.model, make_model(self.model, task), self.parameters)
        scores = [key for key, score in SCORINGS.items() if score.task == task]
        if self.scoring not in scores:
            raise ValueError(
                f"settings.scoring is {self.scoring!r}: choose one of {', '.join(scores)}."
            )
        if self.balanced and task == "regression":
            raise ValueError("settings.balanced is true: amounts have no classes to balance.")


class OpenSpec(Document):
    """A table with its split: what is open before a run."""

    table: TableSpec
    split: SplitSpec = DEFAULT_SPLIT

    @property
    def key(self) -> str:
        """Digest that names the split rows of the table."""
        return key_of("split", self.table.identity(), self.split.identity())


class RunSpec(OpenSpec):
    """All that a run is made from."""

    settings: Settings

    @property
    def opened_key(self) -> str:
        """Digest that names the split rows of the table."""
        return super().key

    @property
    def key(self) -> str:
        """Digest that names the values, the same at every extrinsic weight."""
        settings = self.settings.dump()
        settings.pop("extrinsic_weight", None)
        return key_of("value", self.table.identity(), self.split.identity(), settings)


# --- What was decided -----------------------------------------------------------------------


def _rules_to_json(rules: PruneList) -> dict[str, Any]:
    return vars(rules) | {"picked": sorted(rules.picked), "restored": sorted(rules.restored)}


Rules = Annotated[PruneList, PlainSerializer(_rules_to_json)]


class Filters(Document):
    """Which rows the screens show, how, and in what order."""

    labels: tuple[str | int | float, ...] = ()
    negative: bool = False
    planted: bool = False
    # The range or the categories that pass, by column; none of either lets all pass.
    columns: dict[str, tuple[float, float] | tuple[str, ...]] = {}
    target: tuple[float, float] | None = None
    color: str = "value"
    names: bool = True
    projection: str = "UMAP"
    decomposed: Decomposed = "label"
    below: Below = "rows"
    curve_measure: str | None = None
    label_view: Literal["list", "cards"] = "list"
    label_list: Literal["issues", "ranked"] = "issues"
    label_threshold: float = Field(default=0.5, ge=0.05, le=1)
    label_undecided: bool = False
    card_queue: Literal["labels", "values", "selected"] = "labels"
    card: RowId | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_one_column(cls, given: Any) -> Any:
        """Reviews written before 2026-11-28 filter by one column."""
        if not isinstance(given, dict) or "column" not in given:
            return given
        one = {name: given.get(name) for name in ("column", "range", "values")}
        rest = {name: value for name, value in given.items() if name not in one}
        columns = {one["column"]: one["range"] or one["values"] or ()} if one["column"] else {}
        return rest | {"columns": columns}


class Review(Document):
    """What a visitor selected, pruned and decided on a run."""

    selected: tuple[RowId, ...] = ()
    # Selections by name.
    saved: dict[str, tuple[RowId, ...]] = {}
    picked: RowId | None = None
    extrinsic_weight: float = Field(default=DEFAULT_EXTRINSIC_WEIGHT, ge=0, le=MAX_EXTRINSIC_WEIGHT)
    unit: UnitKind = DEFAULT_UNIT
    filters: Filters = Filters()
    prune: Rules = PruneList()
    prune_past: tuple[Rules, ...] = ()
    prune_future: tuple[Rules, ...] = ()
    labels: dict[RowId, Verdict] = {}
    labels_past: tuple[dict[RowId, Verdict], ...] = ()
    next_settings: Settings | None = None
