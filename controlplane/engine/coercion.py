"""JavaScript's view of JSON values: truth, numbers, text, equality and order, as GrowthBook's operators assume them.

Every function is total: any JSON value (and NaN or infinity) in, an answer out, no exception.
"""

import re
from collections.abc import Mapping
from math import isinf, nan

DEEPEST = 32
_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", re.ASCII)
_PREFIXED = re.compile(r"0(?:[xX]([0-9a-fA-F]+)|[oO]([0-7]+)|[bB]([01]+))", re.ASCII)
_EXACT = 2**53
_SPACE = (
    " \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def is_number(value: object) -> bool:
    """Whether JSON would call this a number: booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def finite(value: object) -> float | None:
    """The value as a finite float, or None when it is anything else."""
    if type(value) is float:
        return value if value - value == 0 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if number != number or isinf(number) else number


def truthy(value: object) -> bool:
    """JavaScript's `!!value`: empty text, 0, NaN, null and false are false; every list and object is true."""
    if isinstance(value, (list, tuple, Mapping)):
        return True
    return bool(value) and value == value


def number_text(value: float) -> str:
    """JavaScript's `String(number)`: 3.0 is "3", 1e21 is "1e+21".

    >>> number_text(3.0), number_text(0.1), number_text(1e21), number_text(1e-7)
    ('3', '0.1', '1e+21', '1e-7')
    """
    if isinstance(value, int) and -_EXACT < value < _EXACT:
        return str(int(value))
    try:
        number = float(value)
    except OverflowError:
        return "Infinity" if value > 0 else "-Infinity"
    if number != number:
        return "NaN"
    if isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == int(number) and abs(number) < 1e21:
        return str(int(number))
    text = repr(number)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    power = int(exponent)
    mantissa = mantissa.removesuffix(".0")
    if -7 < power < 0:
        sign = "-" if mantissa.startswith("-") else ""
        digits = mantissa.lstrip("-").replace(".", "")
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{mantissa}e{'+' if power > 0 else ''}{power}"


def text(value: object, depth: int = 0) -> str:
    """JavaScript's `String(value)` for a JSON value: lists join with commas, objects are "[object Object]"."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        if depth >= DEEPEST:
            return ""
        return ",".join("" if item is None else text(item, depth + 1) for item in value)
    return "[object Object]"


def number(value: object) -> int | float:
    """JavaScript's `Number(value)`; NaN where there is none. Null is 0, text is parsed, a list is its text.

    >>> number(" 12 "), number(""), number("0x1F"), number(True), number("1_000")
    (12.0, 0, 31, 1, nan)
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if value is None:
        return 0
    if isinstance(value, (list, tuple)):
        value = text(value)
    if not isinstance(value, str):
        return nan
    stripped = value.strip(_SPACE)
    if not stripped:
        return 0
    if _DECIMAL.fullmatch(stripped):
        return float(stripped)
    prefixed = _PREFIXED.fullmatch(stripped)
    if prefixed is None:
        return nan
    hexadecimal, octal, binary = prefixed.groups()
    if hexadecimal:
        return int(hexadecimal, 16)
    return int(octal, 8) if octal else int(binary, 2)


def compare(left: object, right: object) -> float:
    """Sign of left against right under JavaScript's `<` and `>`: -1, 0, 1, or NaN when they cannot be ordered."""
    left = _primitive(left)
    right = _primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        if left == right:
            return 0
        if left.isascii() and right.isascii():
            return -1 if left < right else 1
        low, high = (side.encode("utf-16-be", "surrogatepass") for side in (left, right))
        return -1 if low < high else 1
    first, second = number(left), number(right)
    if first != first or second != second:
        return nan
    return -1 if first < second else 1 if first > second else 0


def _primitive(value: object) -> object:
    return text(value) if isinstance(value, (list, tuple, Mapping)) else value


def strictly_equal(left: object, right: object) -> bool:
    """JavaScript's `===` between JSON values: no coercion, and two lists or objects are never the same one."""
    if isinstance(left, (list, tuple, Mapping)) or isinstance(right, (list, tuple, Mapping)):
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def same_json(left: object, right: object, depth: int = 0) -> bool:
    """Whether two JSON values are written the same. The order of an object's keys does not count."""
    if type(left) is str:
        return left == right
    if depth > DEEPEST:
        return False
    if isinstance(left, (list, tuple)):
        return (
            isinstance(right, (list, tuple))
            and len(left) == len(right)
            and all(same_json(a, b, depth + 1) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and left.keys() == right.keys()
            and all(same_json(value, right[key], depth + 1) for key, value in left.items())
        )
    if isinstance(right, (list, tuple, Mapping)):
        return False
    return strictly_equal(left, right)
