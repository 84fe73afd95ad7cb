"""Regular expressions that mean the same in JavaScript, Python and RE2, and whose cost is bounded.

The subset: literals, `.`, `[...]` classes with ranges and negation, `^` `$`, groups `(...)` and `(?:...)`, `|`, the
quantifiers `* + ? {n} {n,} {n,m}` with an optional lazy `?`, the escapes `\\d \\D \\w \\W \\s \\S \\b \\B \\t \\n`
`\\r \\f \\v`, and escaped punctuation. Not in it: backreferences, look-around, named groups, flags, Unicode properties.

Cost: a group that holds a quantifier or an alternative may not itself be repeated without a small bound, at most four
quantifiers are open-ended, and the more there are, the shorter the text that is searched (4096 characters with none,
64 with four). Longer text does not match.
"""

import re
from collections.abc import Callable

LONGEST_PATTERN = 512
LONGEST_TEXT = (4096, 2048, 384, 128, 64)
_SMALL_REPEAT = 10
_WORD = "A-Za-z0-9_"
_CLASSES = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": r"\s",
    "S": r"\S",
    "b": f"(?:(?<![{_WORD}])(?=[{_WORD}])|(?<=[{_WORD}])(?![{_WORD}]))",
    "B": f"(?:(?<![{_WORD}])(?![{_WORD}])|(?<=[{_WORD}])(?=[{_WORD}]))",
}
_IN_CLASS = {"d": "0-9", "w": _WORD, "s": r"\s", "S": r"\S"}
_CONTROL = "tnrfv"
_REPEAT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")


class PatternError(ValueError):
    """The pattern lies outside the safe subset; the message says where."""


class _Group:
    """What a group holds, as far as repeating it could make matching explode."""

    __slots__ = ("alternatives", "quantified", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.quantified = False
        self.alternatives = False


class _Translator:
    """Reads a pattern of the subset once, left to right, and writes Python's equivalent."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        self.open: list[_Group] = [_Group(0)]
        self.last: _Group | None = None
        self.repeatable = False
        self.open_ended = 0

    def run(self) -> str:
        while self.at < len(self.pattern):
            self._step(self.pattern[self.at])
        if len(self.open) > 1:
            raise PatternError(f"the group opened at {self.open[-1].start} is not closed")
        return "".join(self.out)

    def _step(self, char: str) -> None:
        if char == "(":
            self._open_group()
        elif char == ")":
            self._close_group()
        elif char == "|":
            self.open[-1].alternatives = True
            self._emit("|", repeatable=False)
        elif char == "[":
            self._emit(self._character_class(), repeatable=True, moved=True)
        elif char == "\\":
            self._escape()
        elif char in "*+?{":
            self._quantifier(char)
        elif char in "^$":
            self._emit("^" if char == "^" else r"\Z", repeatable=False)
        elif char == ".":
            self._emit("[^\\n\\r\u2028\u2029]", repeatable=True)
        elif char in "]}":
            raise PatternError(f"{char!r} at {self.at} closes nothing; write \\{char}")
        else:
            self._emit(re.escape(char), repeatable=True)

    def _emit(self, text: str, *, repeatable: bool, moved: bool = False) -> None:
        self.out.append(text)
        self.last = None
        self.repeatable = repeatable
        if not moved:
            self.at += 1

    def _open_group(self) -> None:
        rest = self.pattern[self.at + 1 : self.at + 3]
        if rest.startswith("?") and rest != "?:":
            raise PatternError(f"look-around, flags and named groups are not supported (at {self.at})")
        self.open.append(_Group(self.at))
        self.at += 2 if rest == "?:" else 0
        self._emit("(?:", repeatable=False)

    def _close_group(self) -> None:
        if len(self.open) == 1:
            raise PatternError(f"')' at {self.at} closes nothing; write \\)")
        group = self.open.pop()
        self.open[-1].quantified |= group.quantified
        self.open[-1].alternatives |= group.alternatives
        self._emit(")", repeatable=True)
        self.last = group

    def _escape(self) -> None:
        char = self.pattern[self.at + 1 : self.at + 2]
        if char in _CLASSES and char:
            text = _CLASSES[char]
        elif char and (char in _CONTROL):
            text = "\\" + char
        elif char and not char.isalnum():
            text = re.escape(char)
        else:
            raise PatternError(f"the escape \\{char} at {self.at} is not supported")
        self.at += 2
        self._emit(text, repeatable=char not in "bB", moved=True)

    def _character_class(self) -> str:
        start = self.at
        self.at += 1
        parts = ["["]
        if self._peek() == "^":
            parts.append("^")
            self.at += 1
        if self._peek() == "]":
            raise PatternError(f"the class at {start} is empty")
        while self._peek() != "]":
            parts.append(self._class_member(start))
        self.at += 1
        parts.append("]")
        return "".join(parts)

    def _class_member(self, start: int) -> str:
        char = self._peek()
        if not char:
            raise PatternError(f"the class opened at {start} is not closed")
        self.at += 1
        if char == "-":
            return "-" if self.at - 1 > start + 1 and self._peek() != "]" else r"\-"
        if char != "\\":
            return re.escape(char)
        char = self._peek()
        self.at += 1
        if char in _IN_CLASS and char:
            return _IN_CLASS[char]
        if char and char in _CONTROL:
            return "\\" + char
        if char and not char.isalnum():
            return re.escape(char)
        raise PatternError(f"the escape \\{char} in the class at {start} is not supported")

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _quantifier(self, char: str) -> None:
        if not self.repeatable:
            raise PatternError(f"the quantifier at {self.at} has nothing to repeat")
        if char == "{":
            match = _REPEAT.match(self.pattern, self.at)
            if match is None:
                raise PatternError(f"'{{' at {self.at} is no quantifier; write \\{{")
            text, low, high = match.group(), int(match.group(1)), match.group(3)
            top = None if high == "" else int(high) if high is not None else low
        else:
            text, low, top = char, int(char == "+"), 1 if char == "?" else None
        if top is not None and (top < low or top > 1000):
            raise PatternError(f"the bounds of the quantifier at {self.at} are not usable")
        self._check_growth(low, top)
        self.at += len(text)
        if self._peek() == "?":
            text += "?"
            self.at += 1
        self._emit(text, repeatable=False, moved=True)

    def _check_growth(self, low: int, top: int | None) -> None:
        large = top is None or top > _SMALL_REPEAT
        group = self.last
        if group is not None and large and (group.quantified or group.alternatives):
            raise PatternError(
                f"the group at {group.start} holds choices and is repeated; matching could explode"
            )
        if top is None or top - low > _SMALL_REPEAT:
            self.open_ended += 1
            if self.open_ended >= len(LONGEST_TEXT):
                raise PatternError(f"more than {len(LONGEST_TEXT) - 1} open-ended quantifiers")
        self.open[-1].quantified = True


def compile_pattern(pattern: object, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """A predicate that searches text for the pattern. Raises PatternError when it lies outside the subset.

    >>> compile_pattern("^ab+$")("abbb"), compile_pattern("(mobile|tablet)", ignore_case=True)("Mobile")
    (True, True)
    """
    if not isinstance(pattern, str):
        raise PatternError("a pattern is text")
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    translator = _Translator(pattern)
    source = translator.run()
    try:
        search = re.compile(source, re.IGNORECASE if ignore_case else 0).search
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"the pattern cannot be read: {error}") from None
    longest = LONGEST_TEXT[translator.open_ended]
    return lambda text: len(text) <= longest and search(text) is not None
