"""Guessing: which column is to be predicted, and which say nothing on it, or too much."""

import re

import pandas as pd
from pandas.api import types

from ecoval_core.columns.pictures import detect_grid, holds_pictures
from ecoval_core.columns.prose import SHARE, is_prose, is_text, says_nothing
from ecoval_core.columns.siblings import copies_of_target, words_of
from ecoval_core.columns.target import MIN_ROWS, check_target, empty_words, holds_nested
from ecoval_core.columns.vectors import holds_vectors, nested_problem
from ecoval_core.files.limits import TableError
from ecoval_core.target_type import MAX_INTEGER_CLASSES, detect_task
from ecoval_core.text import join, shorten

# How people name what they want predicted, in the order in which names are trusted: the part that a
# column plays; what happened, or what a thing is; illnesses; a state; a price; what may be a feature.
# A name of several words comes after one of a word alone.
PART, EVENT, ILLNESS, STATE, PRICE, AMOUNT, _UNNAMED = 0, 1, 3, 5, 7, 9, 99
TARGET_WORDS = {
    PART: "target label class outcome response output",
    EVENT: """churn churned attrition exited left default defaulted fraud fraudulent survived
        survival died death deceased mortality diagnosis readmitted species variety cultivar digit
        sentiment spam subscribed converted conversion purchased approved cancelled canceled clicked
        winner failed failure passed dropout""",
    ILLNESS: "disease malignant cancer diabetes stroke",
    STATE: "status result decision verdict risk",
    PRICE: "price charges medv mpg strength yield",
    AMOUNT: """value amount cost salary wage income sales revenue profit rent demand consumption
        quality grade score rating""",
}
_RANK_OF = {word: rank for rank, words in TARGET_WORDS.items() for word in words.split()}
# "Churn flag" and "is fraud" are churn and fraud.
_FILLERS = "is has was the flag label variable column indicator binary yn"
# "Marital status" and "ticket class" say what somebody is before anything happens.
_CIRCUMSTANCES = """marital civil family employment employee work job housing home social
    relationship smoking smoker passenger ticket cabin vehicle customer blood previous checking
    savings account payment contract product"""
ID_NAME = re.compile(
    r"(?i:^(index|row|rowid|rowname|rownames|unnamed: \d+)$|(^|[\W_])(id|uuid|guid|key)([\W_]|$))"
    r"|[a-z](Id|ID|Key)$"
)


def detect_target(frame: pd.DataFrame) -> str:
    """Guess the column to predict.

    A column named like a target (`TARGET_WORDS`) comes first, and what happened before a state and
    a state before a price: churn is taken where there is a price too. Ids never are. Without such a
    name it is the last column if it holds few classes, one named like an amount, the first column
    if it holds few classes, or the last that could be one.
    """
    frame = empty_words(frame)
    left_out = _suggest(frame)
    names = [str(column) for column in frame.columns]
    plain = [name for name in frame.columns if name not in left_out]
    for column in plain:
        if holds_pictures(frame[column]) or holds_vectors(frame[column]):
            left_out[column] = "one thing of many numbers"
    prose = [name for name in plain if name not in left_out and is_prose(frame[name])]
    if len(plain) - len(prose) >= 2:
        left_out |= dict.fromkeys(prose, "free text")
    ranks = {name: _rank(name, names) for name in names}
    # Of equally good names the last is taken: targets stand at the end more often.
    likely = [name for name in reversed(names) if ranks[name] < _UNNAMED]
    likely.sort(key=ranks.__getitem__)
    columns = [name for name in names if name not in left_out]
    for column in (name for name in likely if ranks[name] < AMOUNT):
        if ranks[column] == PART and "looks like" not in left_out.get(column, ""):
            return column  # even if nothing can learn it: better said than another taken in silence
        if column in columns and _suits(frame[column], ranks[column]):
            return column
    if not columns:
        return names[-1]
    few = [name for name in (columns[-1], columns[0]) if _has_few_classes(frame[name])]
    order = (
        *(name for name in few if name == columns[-1]),
        *(name for name in likely if name in columns),
        *few,
        *reversed(columns),
    )
    return next((name for name in order if _can_be_learnt(frame[name])), columns[-1])


def _rank(name: str, names: list[str]) -> int:
    """Return how much a name is like a target's, 0 the most."""
    words = words_of(name)
    if not words or ID_NAME.search(name):
        return _UNNAMED
    if words == ["y"]:
        # Textbooks write y, which is a coordinate as well.
        at_end = name in (names[0], names[-1])
        beside_x = names[: names.index(name)][-1:] in (["x"], ["X"]) and len(names) > 2
        return PART if at_end and not beside_x else AMOUNT - 1
    plain = [word for word in words if word not in _FILLERS.split()] or words
    if len(plain) == 1:
        return _RANK_OF.get(plain[0], _UNNAMED)
    first, head = _RANK_OF.get(plain[0]), _RANK_OF.get(plain[-1])
    if head in (None, STATE, PART) and first in (EVENT, ILLNESS):
        head = first  # "default next month"
    says_who = plain[-1] == "class" or not set(plain).isdisjoint(_CIRCUMSTANCES.split())
    if head is None or (head in (PART, STATE) and says_who):
        return _UNNAMED
    return head + 1 + (head == PART)


def _suits(column: pd.Series, rank: int) -> bool:
    """Tell whether a column is of the kind that its name promises."""
    if types.is_datetime64_any_dtype(column):
        return False
    wants_classes = rank < STATE
    return (not wants_classes or detect_task(column) == "classification") and _can_be_learnt(column)


def _has_few_classes(column: pd.Series) -> bool:
    few = 2 <= column.nunique() <= MAX_INTEGER_CLASSES
    return few and detect_task(column) == "classification"


def _can_be_learnt(column: pd.Series) -> bool:
    try:
        check_target(column, detect_task(column))
    except TableError:
        return False
    return True


def suggest_exclusions(frame: pd.DataFrame, target: str | None = None) -> dict[str, str]:
    """Propose the columns that carry no information on the target, each with the reason.

    They are columns without a value, with a single value, with lists or bytes that are no vectors or
    pictures; ids: whole numbers that count the rows, or whole numbers or codes that differ in (nearly) every
    row; text, pictures and pixels beside vectors, which say it better; and columns that say the same as the
    target. Measurements that happen to be unique, free text, and dates, are no ids.
    """
    frame = empty_words(frame, target)
    reasons = _suggest(frame, target)
    if target is not None and target in frame:
        reasons |= copies_of_target(frame.drop(columns=list(reasons)), target)
    return {column: reasons[column] for column in frame.columns if column in reasons}


def _suggest(frame: pd.DataFrame, target: str | None = None) -> dict[str, str]:
    reasons = {name: _reason_to_exclude(frame[name]) for name in frame.columns if name != target}
    reasons = {column: reason for column, reason in reasons.items() if reason}
    used = [column for column in frame.columns if column != target and column not in reasons]
    vectors = [column for column in used if holds_vectors(frame[column])]
    if vectors:
        reasons |= _said_by_vectors(
            frame[used].drop(columns=vectors), join(list(map(repr, vectors)))
        )
    elif target in frame and _can_be_learnt(frame[target]):
        prose = [column for column in used if is_prose(frame[column])]
        idle = [
            name for name in prose if len(used) > 1 and says_nothing(frame[name], frame[target])
        ]
        reason = f"free text that did not help to predict {target!r} in a quick test"
        reasons |= dict.fromkeys(idle[: len(used) - 1], reason)
    return reasons


def _said_by_vectors(others: pd.DataFrame, vectors: str) -> dict[str, str]:
    """Propose to leave out what vectors were made of: text that differs in most rows, pictures and pixels."""
    made_of = {name: "text" for name, cells in others.items() if _is_raw_text(cells)}
    made_of |= {name: "pictures" for name, cells in others.items() if holds_pictures(cells)}
    numbers = others.select_dtypes("number")
    if detect_grid(numbers) is not None:
        made_of |= dict.fromkeys(numbers, "a pixel")
    reason = f", which the vectors in {vectors} stand for"
    return {str(column): what + reason for column, what in made_of.items()}


def _is_raw_text(column: pd.Series) -> bool:
    if not types.is_string_dtype(column):
        return False
    present = column.dropna().astype(str)
    are_dates = present.str.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*").mean() >= 0.5
    return present.nunique() >= SHARE * len(present) and not are_dates


def _reason_to_exclude(column: pd.Series) -> str:
    present = column.dropna()
    if present.empty:
        return "every value is missing"
    if holds_pictures(present) or holds_vectors(present) or holds_nested(present):
        problem = nested_problem(column)
        return problem.removeprefix(f"Column {column.name!r} ").rstrip(".")
    n_distinct = present.nunique()
    if n_distinct == 1 and len(present) == len(column):
        return f"the same value in every row ({shorten(present.iloc[0])})"
    if len(column) < MIN_ROWS:
        return ""
    share_unique = n_distinct / len(column)
    has_id_name = bool(ID_NAME.search(str(column.name)))
    if types.is_integer_dtype(column):
        counts = present.is_monotonic_increasing or present.is_monotonic_decreasing
        consecutive = float(present.max()) - float(present.min()) == len(column) - 1
        if share_unique == 1 and ((counts and len(column) >= 20) or consecutive):
            return "looks like a row number"
        return "looks like an id" if has_id_name and share_unique >= 0.9 else ""
    if not is_text(column):
        return ""
    is_id = share_unique >= 0.9 if has_id_name else share_unique == 1 and _is_code(present)
    return "looks like an id (a different text in every row)" if is_id else ""


def _is_code(text: pd.Series) -> bool:
    text = text.astype(str)
    has_space = text.str.strip().str.contains(r"\s").mean()
    date_or_amount = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\D?[+-]?[\d.,]+\D{0,3}"
    return has_space < 0.1 and text.str.fullmatch(date_or_amount).mean() < 0.5
