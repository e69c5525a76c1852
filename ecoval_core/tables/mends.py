"""Mends: what can be wrong with a column, as a value to show, to keep and to do again; and words for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ecoval_core.tables.limits import TableError, shorten
from ecoval_core.tables.spelt_numbers import DECIMALS

Kind = Literal["spelling", "missing", "percent", "amount", "number", "stray"]
# What people write where they have no value. In a column of numbers it is any of them; in one of categories
# only those that can be no category.
MARKS_AMONG_CATEGORIES = frozenset(
    ("", "?", "??", "-", "--", "---", "–", "—", ".", "..", "n/a", "na", "n.a.", "n.a", "n/k", "nk", "null",
     "(null)", "nan", "<na>", "(blank)", "undefined", "\\n", "#n/a", "#value!", "#ref!", "#div/0!", "#name?",
     "#num!", "#null!")
)  # fmt: skip
MISSING_MARKS = MARKS_AMONG_CATEGORIES | frozenset(
    ("*", "none", "nil", "missing", "unknown", "not available", "not applicable", "blank", "empty")
)


@dataclass(frozen=True)
class Mend:
    """One thing to mend in one column: made by `suggest_mends`, done by `mend`.

    Attributes
    ----------
    column : str
        Name of the column.
    kind : {"spelling", "missing", "percent", "amount", "number", "stray"}
        Categories spelt in several ways; marks among categories that stand for missing values; percentages,
        amounts (currency signs, grouped digits, decimal commas) and plain numbers that are text, for their
        signs or for marks of missing values; numbers but for a few cells.
    sentence : str
        What was found, with counts and examples, and what mending does, for the user.
    n_cells : int
        Cells that become other ones.
    mapping : tuple of (str, str or None)
        What each of the texts named becomes, None for missing. Other texts of a column of numbers become the
        number that they spell.
    decimal : {".", ","}
        Sign before the decimals in a column of numbers.
    """

    column: str
    kind: Kind
    sentence: str
    n_cells: int
    mapping: tuple[tuple[str, str | None], ...]
    decimal: str = "."

    def to_json(self) -> dict[str, Any]:
        """Return the mend as what `json.dumps` takes."""
        return asdict(self) | {"mapping": [list(pair) for pair in self.mapping]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Mend":
        """Return the mend that `to_json` was called on.

        Parameters
        ----------
        kept : mapping of str to object
            What `to_json` returned, also after a way through JSON.

        Returns
        -------
        Mend

        Raises
        ------
        TableError
            If it is something else.
        """
        refusal = "A kept mend of a column cannot be read: remove it, and mend the column again."
        try:
            one = cls(**{**kept, "mapping": tuple((old, new) for old, new in kept["mapping"])})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise TableError(refusal) from error
        texts = [one.column, one.sentence]
        texts += [text for pair in one.mapping for text in pair if text is not None]
        if (
            one.kind not in get_args(Kind)
            or one.decimal not in DECIMALS
            or type(one.n_cells) is not int
            or not all(isinstance(text, str) for text in texts)
            or any(old is None for old, _ in one.mapping)
        ):
            raise TableError(refusal)
        return one


def tidy(text: str) -> str:
    """Take away blanks at the ends and doubled ones within."""
    return " ".join(text.split())


def is_mark(text: str, marks: frozenset[str] = MISSING_MARKS) -> bool:
    """Tell whether a text is one of the marks, case and blanks aside."""
    return tidy(text).casefold() in marks


def quote(text: str) -> str:
    """Return a cell in quotation marks, its blanks in sight."""
    return repr(shorten(text, 30) if text == tidy(text) else text[:30])


def count_of(count: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def join(parts: list[str]) -> str:
    """Return an enumeration."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def stand_for_missing(marks: Mapping[str, int]) -> str:
    """Say which marks of missing values there are, given their counts."""
    named = [f"{quote(text)} in {count_of(n, 'row')}" for text, n in list(marks.items())[:3]]
    if len(marks) > 3:
        named.append(f"{len(marks) - 3:,} more")
    verb = "stands for a missing value" if len(marks) == 1 else "stand for missing values"
    return f"{join(named)}, which {verb}"


def these(marks: Mapping[str, int]) -> str:
    """Return "this cell" or "these cells"."""
    return "this cell" if sum(marks.values()) == 1 else "these cells"
