"""Free text: whether a column holds it, and whether anything on the target can be learnt from it."""

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from ecoval_core.columns.target import MIN_ROWS, is_present, target_array
from ecoval_core.target_type import detect_task

# Characters and words of an average cell, and the share of cells that are different.
LENGTH, WORDS, SHARE = 40, 5, 0.8
# A quick try: on fewer rows nothing can be said, more need not be asked, and rare classes are passed over.
MIN_ROWS_TRIED, MAX_ROWS_TRIED, MAX_CLASSES_TRIED, N_FOLDS, LETTERS = 60, 1_500, 12, 3, 2_000


def is_text(column: pd.Series) -> bool:
    """Tell whether a column is one of text."""
    return types.is_string_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype)


def is_prose(column: pd.Series) -> bool:
    """Tell whether a column holds long cells that nearly all differ."""
    if not is_text(column):
        return False
    present = column.dropna()
    if len(present) < MIN_ROWS or present.nunique() < SHARE * len(present):
        return False
    sample = present.iloc[:: max(1, len(present) // 1_000)].astype("str")
    n_words = sample.str.count(r"\S+").mean()
    return bool(sample.str.len().mean() >= LENGTH and n_words >= WORDS)


def says_nothing(text: pd.Series, target: pd.Series) -> bool:
    """Tell whether a model of the words alone, tried on rows it has not seen, does no better than guessing.

    What counts is the probability given to the true class, or half of the amounts, above its share.
    """
    rows = np.flatnonzero(is_present(text) & is_present(target))
    rows = rows[:: -(-len(rows) // MAX_ROWS_TRIED) or 1]
    if len(rows) < MIN_ROWS_TRIED:
        return False
    task = detect_task(target)
    labels = target_array(target.iloc[rows], task)
    if task == "regression":
        labels = (labels > np.median(labels)).astype(int)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:MAX_CLASSES_TRIED]
    tried = np.isin(codes, frequent[counts[frequent] >= N_FOLDS])
    words = text.iloc[rows[tried]].astype("str").str[:LETTERS].tolist()
    classes, codes, counts = np.unique(codes[tried], return_inverse=True, return_counts=True)
    if len(words) < MIN_ROWS_TRIED or len(classes) < 2:
        return False
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10.0))
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    try:
        guessed = cross_val_predict(model, words, codes, cv=folds, method="predict_proba")
    except ValueError:  # of cells without a word, such as rows of signs
        return True
    gain = guessed[np.arange(len(codes)), codes] - (counts / len(codes))[codes]
    return bool(gain.mean() <= 2 * gain.std() / np.sqrt(len(gain)))
