"""Arguments of the Python interface against their annotations: what is wrong is told in words."""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from etrace.errors import path_of

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_WORDS = {int: "an integer", str: "text", bool: "True or False", NoneType: "None"}


def checked(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """`function`, with a `TypeError` for arguments that are not what it is annotated with, and an
    `InputError` for paths that can be none."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def with_check(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        hints = _hints(function)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in hints:
                check(name, value, hints[name])
        return function(*args, **kwargs)

    return with_check


def check_fields(instance: Any) -> None:
    """The same for the fields of a dataclass."""
    kind: Any = type(instance)
    hints = _hints(kind)
    for each in fields(instance):
        check(each.name, getattr(instance, each.name), hints[each.name])


def check(name: str, value: object, kind: Any) -> None:
    """Raise `TypeError` unless `value` is of `kind`, an annotation."""
    if not _conforms(name, value, kind):
        raise TypeError(f"{name}: must be {_words(kind)}, not {_given(value)}")


@functools.cache
def _hints(annotated: Any) -> dict[str, Any]:
    return get_type_hints(annotated)


def _conforms(name: str, value: object, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return True
    if origin in (Union, UnionType):
        if isinstance(value, str) and any(get_origin(part) is os.PathLike for part in parts):
            path_of(name, value)
        return any(_conforms(name, value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is os.PathLike:
        return isinstance(value, os.PathLike) and bool(path_of(name, value) or True)
    if origin is Sequence:
        return (
            isinstance(value, Sequence)
            and not isinstance(value, bytes | bytearray)
            and all(_conforms(name, each, parts[0]) for each in value)
        )
    if origin is tuple:
        return (
            isinstance(value, tuple | list)
            and len(value) == len(parts)
            and all(_conforms(name, *pair) for pair in zip(value, parts, strict=True))
        )
    if origin is Callable or kind is Callable:
        return callable(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        paths = any(get_origin(part) is os.PathLike for part in parts)
        words = [_words(part) for part in parts if not (paths and part is str)]
        return " or ".join(dict.fromkeys(words))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is os.PathLike:
        return "a path"
    if origin is Sequence:
        return f"a list (each {_words(parts[0])})"
    if origin is tuple:
        return f"a tuple of {', '.join(map(_words, parts))}"
    if origin is Callable:
        return "something to be called"
    return _WORDS.get(kind) or f"{kind.__module__}.{kind.__qualname__}"


def _given(value: object) -> str:
    """A value in words."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        kinds = ", ".join(dict.fromkeys(type(each).__name__ for each in value[:8]))
        return f"{type(value).__name__} of {kinds or 'nothing'}"
    return f"{type(value).__name__} ({ascii(value)[:40]})"
