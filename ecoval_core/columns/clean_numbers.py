"""Numbers in text: ``$1,200``, ``3,5 %`` or ``(12.50)`` become numbers.

skrub's ``ToFloat`` reads grouped digits and brackets, but a whole column or nothing, and neither
currencies nor percentages.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

CURRENCIES = "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL"
_SPACES = "\u00a0\u202f "
_PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# Before the decimals stands a point or a comma; what groups the digits is another sign.
_DIGITS = {
    ".": rf"(?:{_PLAIN}|\d{{1,3}}(?:[,'’{_SPACES}]\d{{3}})+(?:\.\d+)?)",
    ",": rf"(?:\d+(?:,\d+)?|\d{{1,3}}(?:[.'’{_SPACES}]\d{{3}})+(?:,\d+)?)",
}
DECIMALS: tuple[Literal[".", ","], ...] = (".", ",")
_GROUPS = {".": rf"[,'’{_SPACES}]", ",": rf"[.'’{_SPACES}]"}
_CURRENCY = rf"(?:[$€£¥₹₽₩₺₪₫฿]|{CURRENCIES})"
_SIGN = r"[+\-−]"
# A sign stands before or after the currency; accountants put negative amounts in brackets.
_NUMBERS = {
    decimal: re.compile(
        rf"(?P<open>\()?(?:{_SIGN}?\s*{_CURRENCY}?|{_CURRENCY}\s*{_SIGN})\s*(?P<digits>{digits})"
        rf"\s*(?:{_CURRENCY}|%)?(?(open)\))",
        re.IGNORECASE,
    )
    for decimal, digits in _DIGITS.items()
}
_BARE = re.compile(rf"\s*[+-]?{_PLAIN}\s*")
# A float64 holds any whole number of so many digits.
_MAX_DIGITS = 15


def read_numbers(texts: Sequence[str], decimal: str) -> np.ndarray:
    """Return the numbers that texts spell, float64; NaN for text that spells none.

    They may have grouped digits, a sign (or accountants' brackets), a currency or a percent sign.
    Of a percentage it is the figure: ``12 %`` is 12. `decimal` is the sign before the decimals.
    """
    numbers = np.full(len(texts), np.nan)
    if decimal == ".":
        bare = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").astype("float64")
        numbers = bare.where(np.isfinite(bare)).to_numpy(copy=True)
    for i in np.flatnonzero(np.isnan(numbers)).tolist():
        numbers[i] = _read_number(texts[i].strip(), decimal)
    return numbers


def _read_number(text: str, decimal: str) -> float:
    match = _NUMBERS[decimal].fullmatch(text) if len(text) < 60 else None
    if match is None:
        return np.nan
    number = float(re.sub(_GROUPS[decimal], "", match["digits"]).replace(",", "."))
    is_negative = re.search(r"[(\-−]", text[: match.start("digits")]) is not None
    return -number if is_negative else number


def is_bare(text: str) -> bool:
    """Tell whether a text is a number as a computer writes it."""
    return bool(_BARE.fullmatch(text))


def is_code(text: str) -> bool:
    """Tell whether digits are a code: they begin with a zero or are more than numbers hold."""
    text = text.strip()
    return text.isdecimal() and ((text[0] == "0" and len(text) > 1) or len(text) > _MAX_DIGITS)
