"""Judges of single fields: does this value have the shape the event schema asks for? Pure and total."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import orjson

MAX_KEY = 128
MAX_CODES = 200
MAX_EXACT_INTEGER = 2**53

Judge = Callable[[object, str], "Refusal | None"]


class Refusal(NamedTuple):
    """Why a record is no event. `code` is stable; `field` is a dotted path, '' for the record as a whole."""

    code: str
    field: str
    message: str
    remedy: str


def text(limit: int) -> Judge:
    def judge(value: object, field: str) -> Refusal | None:
        if type(value) is str and 0 < len(value) <= limit:
            return None
        return wrong("wrong_type", field, f"must be a string of 1 to {limit} characters", "send a string")

    return judge


def matching(pattern: Callable[[str], object], expected: str) -> Judge:
    def judge(value: object, field: str) -> Refusal | None:
        if type(value) is str and pattern(value) is not None:
            return None
        return wrong("invalid_value", field, f"must be {expected}", f"send {expected}")

    return judge


def whole(low: int, high: int) -> Judge:
    def judge(value: object, field: str) -> Refusal | None:
        if type(value) is int and low <= value <= high:
            return None
        return wrong(
            "wrong_type", field, f"must be a whole number from {low} to {high}", "send a whole number"
        )

    return judge


def number(value: object, field: str) -> Refusal | None:
    if type(value) is float and value - value == 0.0:
        return None
    if type(value) is int and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
        return None
    return wrong("wrong_type", field, "must be a finite number, whole ones within 2^53", "send a number")


def share(value: object, field: str) -> Refusal | None:
    if (type(value) is float or type(value) is int) and 0 <= value <= 1:
        return None
    return wrong("invalid_value", field, "must be a number from 0 to 1", "send a probability")


def flag(value: object, field: str) -> Refusal | None:
    return (
        None if type(value) is bool else wrong("wrong_type", field, "must be true or false", "send a boolean")
    )


def codes(value: object, field: str) -> Refusal | None:
    if (
        type(value) is list
        and len(value) <= MAX_CODES
        and all(type(code) is str and len(code) <= 2 * MAX_KEY for code in value)
    ):
        return None
    return wrong("wrong_type", field, "must be a list of at most 200 strings", "send a list of strings")


def document(limit: int) -> Judge:
    def judge(value: object, field: str) -> Refusal | None:
        if type(value) is not dict:
            return wrong("wrong_type", field, "must be an object", "send a JSON object")
        try:
            size = len(orjson.dumps(value))
        except TypeError:
            return wrong("too_deep", field, "is nested too deeply", "nest at most 250 levels")
        if size > limit:
            return wrong(
                "too_large", field, f"is larger than {limit // 1024} kB", "send less, or a reference"
            )
        return None

    return judge


def rows(limit: int, required: frozenset[str], judges: Mapping[str, Judge]) -> Judge:
    """A judge of a list of flat objects, each with the fields of `judges`."""
    known = frozenset(judges)

    def judge(value: object, field: str) -> Refusal | None:
        if type(value) is not list or len(value) > limit:
            return wrong("wrong_type", field, f"must be a list of at most {limit} objects", "send a list")
        for index, row in enumerate(value):
            if type(row) is not dict:
                return wrong("wrong_type", f"{field}[{index}]", "must be an object", "send an object")
            keys = row.keys()
            if not keys <= known:
                unknown = f"{field}[{index}].{shown(next(iter(keys - known)))}"
                return wrong("unknown_field", unknown, "is no field of the schema", "remove it")
            if not required <= keys:
                missing = f"{field}[{index}].{next(iter(sorted(required - keys)))}"
                return wrong("missing_field", missing, "is required", "add the field")
            for name, entry in row.items():
                if entry is not None or name in required:
                    problem = judges[name](entry, name)
                    if problem is not None:
                        return problem._replace(field=f"{field}[{index}].{name}")
        return None

    return judge


def wrong(code: str, field: str, message: str, remedy: str) -> Refusal:
    return Refusal(code, field, message, remedy)


def shown(key: str) -> str:
    """A sender's key, short enough for an answer."""
    return key if len(key) <= 64 else f"{key[:61]}…"
