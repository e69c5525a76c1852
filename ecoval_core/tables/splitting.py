"""Splitting: which rows teach, which measure values and which test, and folds by the same rule."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

from ecoval_core.columns.target import is_present
from ecoval_core.files.limits import TableError
from ecoval_core.tables.split_columns import Part, read_groups, read_times
from ecoval_core.tables.table import Table

# "given": the rows were valued elsewhere; a column may tell them from the test rows.
Kind = Literal["random", "time", "column", "files", "given"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PARTS, SET_ASIDE = ("training", "validation", "test"), -1
# StratifiedGroupKFold looks at every group in turn; of more, chance balances the classes well enough.
MAX_BALANCED_GROUPS = 2_000
# Folds of groups that are dealt to the parts, so that a part can have a twentieth of the rows.
N_GROUP_FOLDS, N_DEALS = 20, 20
GROUPS_REASON = "says which rows belong together"
TIME_REASON = "says when a row was made"
PARTS_REASON = "says which part a row is in"
WEIGHTS_REASON = "weighs the rows"
SPLIT_REASONS = (GROUPS_REASON, TIME_REASON, PARTS_REASON, WEIGHTS_REASON)


@dataclass(frozen=True)
class Rule:
    """By what rows are dealt to the parts: chance, time, a column of the table, or files of their own.

    Wherever chance decides, rows with the same value in the column `groups` stay in one part.
    """

    kind: Kind = "random"
    column: str | None = None
    # Part of each value of the column with the parts.
    words: Mapping[str, Part] = field(default_factory=dict)
    groups: str | None = None
    weights: str | None = None

    def reserved(self, target: str = "") -> dict[str, str]:
        """Return the columns but the target that are no features as they split or weigh, with the reason."""
        reason = TIME_REASON if self.kind == "time" else PARTS_REASON
        pairs = {
            self.column: reason,
            self.groups: GROUPS_REASON,
            self.weights: WEIGHTS_REASON,
        }
        return {c: why for c, why in pairs.items() if c is not None and c != target}


RANDOM = Rule()


def check_rule(table: Table, rule: Rule) -> None:
    """Refuse a rule by a column that the table lacks, predicts, or predicts from."""
    for column, reason in rule.reserved().items():
        if column not in table.frame:
            raise TableError(f"{table.name} has no column {column!r}, which {reason}.")
        if column == table.target:
            raise TableError(
                f"Column {column!r} is the target: it cannot be the column that {reason} as well."
            )
        if column in table.features:
            raise TableError(
                f"Column {column!r} {reason}: leave it out of the columns to predict from."
            )


# --- Dealing --------------------------------------------------------------------------------


def deal_rows(
    table: Table, rule: Rule, shares: Sequence[float], rng: np.random.Generator,
    files: Collection[str] = (),
) -> tuple[dict[str, np.ndarray], list[str]]:  # fmt: skip
    """Return the ascending positions, among the rows with a target, of each part, and what to say.

    No row of the table is in a part that comes in one of the `files`. What neither a file nor the column
    gives is dealt out of the training rows.
    """
    frame = table.frame.iloc[table.labelled_ids]
    n_rows, notes = len(frame), []
    part_of = np.zeros(n_rows, int)
    if rule.kind == "given" and rule.column is not None:
        part_of = np.where(frame[rule.column] == "test", 2, 0)
    elif rule.kind == "time":
        times = read_times(frame[str(rule.column)])
        has_time = ~np.isnan(times)
        part_of = np.full(n_rows, SET_ASIDE)
        part_of[has_time] = cut_by_time(times[has_time], shares, str(rule.column))
    elif rule.kind == "column":
        column = frame[str(rule.column)]
        named = column.astype("str").map(rule.words).where(is_present(column))
        numbers = {"train": 0, "validation": 1, "test": 2}
        part_of = np.array(named.map(numbers).fillna(SET_ASIDE), dtype=int)
        if not (part_of == 0).any():
            raise TableError(
                f"No row with a target is a training row by column {rule.column!r}: choose another column."
            )
    if n := int((part_of == SET_ASIDE).sum()):
        what = "time" if rule.kind == "time" else "part"
        notes.append(
            f"{n:,} {'row has' if n == 1 else 'rows have'} no {what} in {rule.column!r} and "
            f"{'is' if n == 1 else 'are'} set aside."
        )
    missing = [
        number
        for number, part in enumerate(PARTS)
        if number and part not in files and not (part_of == number).any()
    ]
    if missing and rule.kind not in ("given", "time"):
        wanted = [shares[0], *(shares[number] for number in missing)]
        if len(wanted) < len(shares):
            wanted = [share / sum(wanted) for share in wanted]
        pool = np.flatnonzero(part_of == 0)
        strata = strata_of(table.labels[pool], table)
        if rule.groups is None:
            dealt, how = _deal(strata, wanted, rng), "at random"
        else:
            groups = read_groups(frame[rule.groups].iloc[pool])
            dealt = _deal_groups(strata, groups, wanted, rng, rule.groups)
            how = f"by {rule.groups!r}"
        for number, rows in zip(missing, dealt[1:], strict=True):
            part_of[pool[rows]] = number
        if len(missing) == 1 or rule.kind != "random":
            names = " and ".join(PARTS[number] for number in missing)
            notes.append(
                f"No {names} rows were given: they are taken from the training rows, {how}."
            )
    return {part: np.flatnonzero(part_of == number) for number, part in enumerate(PARTS)}, notes


def strata_of(y: np.ndarray, table: Table) -> np.ndarray:
    """Return the number of the class of each row; amounts are of one."""
    if table.task == "regression":
        return np.zeros(len(y), int)
    return np.unique(y, return_inverse=True)[1]


def cut_by_time(times: np.ndarray, shares: Sequence[float], column: str) -> np.ndarray:
    """Return the part of each row, earlier parts first; rows of one time are never parted."""
    steps, code, counts = np.unique(times, return_inverse=True, return_counts=True)
    n_parts = len(shares)
    if len(steps) < n_parts:
        raise TableError(
            f"Column {column!r} has {len(steps)} different {'time' if len(steps) == 1 else 'times'}: "
            f"{n_parts} at least are needed for parts that follow each other, so choose another column."
        )
    ends = np.cumsum(counts)
    cuts: list[int] = []
    for number, wanted in enumerate(np.cumsum(shares)[:-1] * len(times)):
        low = cuts[-1] + 1 if cuts else 0
        high = len(steps) - n_parts + number
        cuts.append(int(np.clip(np.abs(ends - wanted).argmin(), low, high)))
    part: np.ndarray = np.searchsorted(cuts, code)
    return part


def _deal_groups(
    strata: np.ndarray, groups: np.ndarray, shares: Sequence[float], rng: np.random.Generator,
    column: str,
) -> list[np.ndarray]:  # fmt: skip
    """Deal whole groups out, with all classes among the training rows if any of some deals has them."""
    n_groups = len(np.unique(groups))
    if n_groups < len(shares):
        raise TableError(
            f"Column {column!r} has {n_groups} {'group' if n_groups == 1 else 'groups'} of rows with a "
            f"target, and each of {len(shares)} parts needs one: choose another column."
        )
    dealt = []
    for _ in range(N_DEALS):
        seed = int(rng.integers(2**31))
        dealt = _deal_groups_once(strata, groups, shares, n_groups, seed)
        if len(np.unique(strata[dealt[0]])) == len(np.unique(strata)):
            break
    return dealt


def _deal_groups_once(
    strata: np.ndarray, groups: np.ndarray, shares: Sequence[float], n_groups: int, seed: int
) -> list[np.ndarray]:
    if n_groups > MAX_BALANCED_GROUPS:
        rest, parts = np.arange(len(groups)), []
        # The last part first: what is left of the rows is the training part.
        for number in range(len(shares) - 1, 0, -1):
            share = shares[number] / sum(shares[: number + 1])
            deal = GroupShuffleSplit(1, test_size=share, random_state=seed)
            left, taken = next(deal.split(rest, groups=groups[rest]))
            parts.append(rest[taken])
            rest = rest[left]
        return [rest, *parts[::-1]]
    folds = group_folds(strata, groups, min(N_GROUP_FOLDS, n_groups), seed)
    wanted = np.asarray(shares) * len(strata)
    dealt: list[list[np.ndarray]] = [[] for _ in shares]
    # The largest first, each to the part that lacks most; an empty part is served before the others.
    for number, fold in enumerate(sorted(folds, key=len, reverse=True)):
        is_empty = np.array([not part for part in dealt])
        must = len(folds) - number <= is_empty.sum()
        part = int(np.where(is_empty | (not must), wanted, -np.inf).argmax())
        dealt[part].append(fold)
        wanted[part] -= len(fold)
    return [np.sort(np.concatenate(part)) for part in dealt]


def group_folds(
    strata: np.ndarray, groups: np.ndarray, n_folds: int, seed: int
) -> list[np.ndarray]:
    """Return folds of whole groups, of about one size, with about the same share of each class."""
    n_folds = min(n_folds, int(np.bincount(strata).max()))
    deal = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [held for _, held in deal.split(strata, strata, groups) if len(held)]


def folds_by_rule(
    table: Table, rule: Rule, ids: np.ndarray, y: np.ndarray, n_folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return the rows that train and validate in each fold, as positions in `ids`; None where chance decides.

    By group, no group stands on both sides; in the order of time each fold trains on earlier rows only. Rows
    of a class that a fold does not train on do not validate in it.
    """
    frame = table.frame.iloc[ids]
    if rule.kind == "time":
        times = read_times(frame[str(rule.column)])
        n_steps = min(n_folds + 1, len(np.unique(times)))
        step = cut_by_time(times, [1 / n_steps] * n_steps, str(rule.column))
        pairs = [(np.flatnonzero(step < k), np.flatnonzero(step == k)) for k in range(1, n_steps)]
    elif rule.groups is not None:
        groups = read_groups(frame[rule.groups])
        n_folds = min(n_folds, len(np.unique(groups)))
        held_out = group_folds(strata_of(y, table), groups, n_folds, seed)
        pairs = [(np.setdiff1d(np.arange(len(ids)), held), held) for held in held_out]
    else:
        return None
    if table.task == "classification":
        pairs = [(train, held[np.isin(y[held], y[train])]) for train, held in pairs]
        pairs = [(train, held) for train, held in pairs if len(np.unique(y[train])) > 1]
    pairs = [(train, held) for train, held in pairs if len(held) and len(train) > 1]
    if not pairs:
        raise TableError(
            f"No fold by {(rule.column if rule.kind == 'time' else rule.groups)!r} has every "
            "validated class among its training rows: value the training rows only."
        )
    return pairs


def _deal(
    strata: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the ascending positions of each part, every class shared out alike."""
    sizes = np.bincount(strata)
    members = np.split(np.argsort(strata, kind="stable"), np.cumsum(sizes)[:-1])
    counts = _allocate(sizes, shares)
    pieces = [
        np.split(rng.permutation(rows), np.cumsum(count)[:-1])
        for rows, count in zip(members, counts, strict=True)
    ]
    return [np.sort(np.concatenate(part)) for part in zip(*pieces, strict=True)]


def _allocate(sizes: Sequence[int] | np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Share each stratum out in whole rows: int array of shape (n_strata, n_parts).

    What rounding takes from a part in one stratum it gets back in the next, so that many
    small classes do not add up to parts of the wrong size.
    """
    counts = np.zeros((len(sizes), len(shares)), dtype=int)
    carry = np.zeros(len(shares))
    for count, size in zip(counts, sizes, strict=True):
        wanted = size * np.asarray(shares)
        count += np.floor(wanted).astype(int)
        carry += wanted - count
        for _ in range(size - count.sum()):
            part = carry.argmax()
            count[part] += 1
            carry[part] -= 1
        _cover(count)
    return counts


def _cover(count: np.ndarray) -> None:
    """Give each part a row; of too few rows, training the first, validation the next; in place."""
    n_rows = count.sum()
    if n_rows < len(count):
        count[:] = np.arange(len(count)) < n_rows
        return
    for part in np.flatnonzero(count == 0):
        count[count.argmax()] -= 1
        count[part] = 1
