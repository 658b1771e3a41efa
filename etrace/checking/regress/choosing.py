"""Which cases are run: by tags, and by words in their names, as `-k` says."""

import re
from collections.abc import Callable, Iterable, Sequence

from etrace.checking.regress.manifest import Case
from etrace.errors import InputError

#: Whether a case is meant.
Test = Callable[[Case], bool]

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


def chosen(cases: Iterable[Case], words: str | None, tags: Sequence[str]) -> list[Case]:
    """The cases with one of `tags` (if there are any) that `words` is true of.

    `words`: parts of names or tags, with `and`, `or`, `not` and parentheses. Raises `InputError`.
    """
    test = _Parsed(words).test if words is not None else None
    wanted = set(tags)
    return [
        case
        for case in cases
        if (not wanted or wanted & set(case.tags)) and (test is None or test(case))
    ]


class _Parsed:
    """An expression: a word is true of a case that has it in its name or is tagged so."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._depth = 0
        self.test = self._or()
        if self._tokens:
            self._fail(f"{self._tokens[0]!r} is not expected there")

    def _fail(self, what: str) -> None:
        raise InputError(f"-k {self._text!r}: {what}; as in 'boot and not (slow or uart)'")

    def _take(self, *wanted: str) -> bool:
        if self._tokens and self._tokens[0] in wanted:
            self._tokens.pop(0)
            return True
        return False

    def _or(self) -> Test:
        tests = [self._and()]
        while self._take("or"):
            tests.append(self._and())
        return lambda case: any(test(case) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._take("and"):
            tests.append(self._not())
        return lambda case: all(test(case) for test in tests)

    def _not(self) -> Test:
        self._depth += 1
        if self._depth > 100:
            self._fail("nested too deeply")
        try:
            if self._take("not"):
                test = self._not()
                return lambda case: not test(case)
            if self._take("("):
                test = self._or()
                if not self._take(")"):
                    self._fail("a ) is missing")
                return test
            if not self._tokens or self._tokens[0] in ("and", "or", ")"):
                self._fail("a word is missing")
            word = self._tokens.pop(0).lower()
            return lambda case: (
                word in case.name.lower() or any(word in tag.lower() for tag in case.tags)
            )
        finally:
            self._depth -= 1
