"""Checks for JSON that may come from anybody: every field is there, known, and in its range.

A check takes a value and the path of its field, and returns the value, or refuses it in one sentence that
names the field.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

Check = Callable[[Any, str], Any]
JsonObject = dict[str, Any]
LARGEST, MAX_DEPTH = 1e300, 20

_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = _shorten.maxlong = 60
_shorten.maxlevel, _shorten.maxdict, _shorten.maxlist = 2, 3, 4


class FieldError(ValueError):
    """A field that is missing, unknown or out of range; the message is fit for a user."""


def shown(value: Any) -> str:
    """Write a value for a message: on one line, cut to a length, nothing a terminal would act upon."""
    return _shorten.repr(value)


def refuse(value: Any, path: str, wanted: str) -> NoReturn:
    """Refuse the value of a field.

    Parameters
    ----------
    value : object
        As JSON gave it.
    path : str
        The field.
    wanted : str
        What it must be.

    Raises
    ------
    FieldError
        Always.
    """
    raise FieldError(f"{path} is {shown(value)}: it must be {wanted}.")


def satisfying(wanted: str, is_right: Callable[[Any], bool]) -> Check:
    """Make the check that a value satisfies a condition, which is put into words."""

    def check(value: Any, path: str) -> Any:
        if not is_right(value):
            refuse(value, path, wanted)
        return value

    return check


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    is_kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_kind and abs(value) < LARGEST and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    # Half a surrogate pair, which JSON can name, is in no encoding.
    if not isinstance(value, str):
        return False
    return value.isascii() or not any(0xD800 <= ord(letter) < 0xE000 for letter in value)


def _is_json(value: Any, depth: int = 0) -> bool:
    if isinstance(value, (dict, list)):
        names, inner = (value, value.values()) if isinstance(value, dict) else ((), value)
        is_shallow = depth < MAX_DEPTH and all(map(_is_text, names))
        return is_shallow and all(_is_json(one, depth + 1) for one in inner)
    return value is None or isinstance(value, bool) or _is_text(value) or is_number(value)


text = satisfying("text", _is_text)
flag = satisfying("true or false", lambda v: isinstance(v, bool))
label = satisfying("a label: text or a number", lambda v: _is_text(v) or is_number(v))
json_object = satisfying(
    f"an object of text, finite numbers, lists and objects, at most {MAX_DEPTH} deep",
    lambda v: isinstance(v, dict) and _is_json(v),
)


def whole(low: int, high: int) -> Check:
    """Make the check for a whole number within bounds, both of them included."""
    return satisfying(
        f"a whole number from {low:,} to {high:,}", lambda v: is_whole(v) and low <= v <= high
    )


def number(wanted: str, is_in_range: Callable[[float], bool] = lambda _number: True) -> Check:
    """Make the check for a finite number, whose range is put into words."""
    return satisfying(f"a number {wanted}".rstrip(), lambda v: is_number(v) and is_in_range(v))


def one_of(choices: Iterable[str]) -> Check:
    """Make the check for one of some texts."""
    known = tuple(choices)
    return satisfying(f"one of {', '.join(known)}", lambda v: isinstance(v, str) and v in known)


def hexadecimal(n_digits: int) -> Check:
    """Make the check for a digest."""
    digits = set("0123456789abcdef")
    return satisfying(
        f"{n_digits} hexadecimal digits",
        lambda v: isinstance(v, str) and len(v) == n_digits and set(v) <= digits,
    )


def or_null(check: Check) -> Check:
    """Make the check for null, or what another check lets pass."""
    return lambda value, path: None if value is None else check(value, path)


def list_of(check: Check, size: int | None = None) -> Check:
    """Make the check for a list, of a size if that is given."""

    def check_list(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list) or (size is not None and len(value) != size):
            refuse(value, path, "a list" if size is None else f"a list of {size}")
        return [check(one, f"{path}[{i}]") for i, one in enumerate(value)]

    return check_list


def map_of(check: Check) -> Check:
    """Make the check for an object whose names are free."""

    def check_map(value: Any, path: str) -> JsonObject:
        if not isinstance(value, dict):
            refuse(value, path, "an object")
        for name in value:
            if not _is_text(name):
                refuse(name, f"a name in {path}", "text")
        return {name: check(one, f"{path}[{shown(name)}]") for name, one in value.items()}

    return check_map


def object_of(checks: Mapping[str, Check]) -> Check:
    """Make the check for an object that has exactly these fields."""

    def check(found: Any, path: str) -> JsonObject:
        if not isinstance(found, dict):
            refuse(found, path or "all of it", "an object")
        where = f"{path}." if path else ""
        for name in checks:
            if name not in found:
                raise FieldError(f"{where}{name} is missing.")
        for name in found:
            if name not in checks:
                raise FieldError(f"{where}{shown(name)} is a field that is not known here.")
        return {name: one(found[name], f"{where}{name}") for name, one in checks.items()}

    return check


def parse(content: bytes, max_bytes: int) -> Any:
    """Read JSON in UTF-8, and refuse what the standard does not allow or leaves open.

    Parameters
    ----------
    content : bytes
        The file.
    max_bytes : int
        What it may have at most.

    Returns
    -------
    object
        What it holds.

    Raises
    ------
    FieldError
        If it is too long, no UTF-8, no JSON, nests too deeply, names a field twice, or holds NaN or
        infinity.
    """
    if len(content) > max_bytes:
        raise FieldError(f"it has more than {max_bytes // 2**20} MB.")

    def refuse_constant(name: str) -> NoReturn:
        raise FieldError(f"it holds {name} where a finite number is needed.")

    def once(pairs: list[tuple[str, Any]]) -> JsonObject:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise FieldError(f"it names {shown(twice)} twice in one object.")
        return found

    try:
        decoded = content.decode("utf-8-sig")
        return json.loads(decoded, parse_constant=refuse_constant, object_pairs_hook=once)
    except FieldError:
        raise
    except UnicodeDecodeError as error:
        raise FieldError("it is not text in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise FieldError(f"it is not valid JSON ({error.msg}, line {error.lineno}).") from error
    except RecursionError as error:
        raise FieldError("it nests too deeply.") from error
    except ValueError as error:
        raise FieldError("it holds a number with too many digits.") from error
