"""Spelt numbers: text such as ``$1,200``, ``3,5 %`` or ``(12.50)`` becomes numbers."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

CURRENCIES = (
    *(
        "USD",
        "EUR",
        "GBP",
        "CHF",
        "JPY",
        "CNY",
        "INR",
        "CAD",
        "AUD",
        "SEK",
        "NOK",
        "DKK",
        "PLN",
        "BRL",
    ),
)
_SPACES = "\u00a0\u202f "
_PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# Before the decimals stands a point or a comma; what groups the digits is another sign.
_DIGITS = {
    ".": rf"(?:{_PLAIN}|\d{{1,3}}(?:[,'’{_SPACES}]\d{{3}})+(?:\.\d+)?)",
    ",": rf"(?:\d+(?:,\d+)?|\d{{1,3}}(?:[.'’{_SPACES}]\d{{3}})+(?:,\d+)?)",
}
DECIMALS = tuple(_DIGITS)
_GROUPS = {".": rf"[,'’{_SPACES}]", ",": rf"[.'’{_SPACES}]"}
_CURRENCY = rf"(?:[$€£¥₹₽₩₺₪₫฿]|{'|'.join(CURRENCIES)})"
_SIGN = r"[+\-−]?"
_SPELT = {
    decimal: re.compile(
        rf"(?P<open>\()?(?P<sign>{_SIGN})\s*{_CURRENCY}?\s*(?P<inner>{_SIGN})(?P<digits>{digits})"
        rf"\s*(?:{_CURRENCY}|%)?(?P<close>\))?",
        re.IGNORECASE,
    )
    for decimal, digits in _DIGITS.items()
}
_BARE = re.compile(rf"\s*[+-]?{_PLAIN}\s*")
# A float64 holds any whole number of so many digits.
_MAX_DIGITS = 15


def read_numbers(texts: Sequence[str], decimal: str) -> np.ndarray:
    """Return the numbers that texts spell.

    Parameters
    ----------
    texts : sequence of str
        Numbers with or without grouped digits, sign (or accountants' brackets), currency or percent sign.
    decimal : {".", ","}
        Sign before the decimals.

    Returns
    -------
    numbers : ndarray of shape (n_texts,)
        float64; NaN for text that spells none. Of a percentage the figure: ``12 %`` is 12.
    """
    numbers = np.full(len(texts), np.nan)
    if decimal == ".":
        bare = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
        numbers = np.where(np.isfinite(bare.astype("float64")), bare, np.nan).astype("float64")
    for i in np.flatnonzero(np.isnan(numbers)).tolist():
        numbers[i] = _read_number(texts[i], decimal)
    return numbers


def _read_number(text: str, decimal: str) -> float:
    found = _SPELT[decimal].fullmatch(text.strip()) if len(text) < 60 else None
    if (
        not found
        or bool(found["open"]) != bool(found["close"])
        or (found["sign"] and found["inner"])
    ):
        return np.nan
    number = float(re.sub(_GROUPS[decimal], "", found["digits"]).replace(",", "."))
    signs = found["sign"] + found["inner"]
    return -number if found["open"] or signs in ("-", "−") else number


def is_bare(text: str) -> bool:
    """Tell whether a text is a number as a computer writes it."""
    return bool(_BARE.fullmatch(text))


def is_percentage(text: str) -> bool:
    """Tell whether a text that spells a number has a percent sign."""
    return text.rstrip(" )").endswith("%")


def is_code(text: str) -> bool:
    """Tell whether a text of digits is a code: it begins with a zero or has more digits than numbers hold."""
    text = text.strip()
    return text.isdecimal() and ((text[0] == "0" and len(text) > 1) or len(text) > _MAX_DIGITS)
