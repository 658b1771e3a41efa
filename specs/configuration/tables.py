"""Tables of keys: what a parameter file may say, one dataclass a table, one `entry` a key.

The reading of a table notes every problem and goes on, so that a file's are told all at once.
"""

from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any

#: As a default: the width of the program's addresses (32 or 64).
XLEN = "xlen"

#: The range of what has 64 bits.
WORD = (0, (1 << 64) - 1)


def entry(
    default: int | bool | str | None,
    allowed: tuple[int, int] | tuple[str, ...] | None,
    section: str,
    text: str,
) -> Any:
    """A field of a table: `allowed` is an inclusive range, the choices, or None for a boolean.

    A default of None is for a key that may be left out.
    """
    numeric_default = 64 if default == XLEN else default
    metadata = {"default": default, "allowed": allowed, "section": section, "text": text}
    return field(default=numeric_default, metadata=metadata)


def read_table(kind: type, given: Any, where: str, xlen: int, problems: list[str]) -> Any:
    """Instance of the table `kind`; a value that is wrong is noted and replaced by its default."""
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}
    if not isinstance(given, Mapping):
        problems.append(f"{where}: is {show(given)}, must be a table")
        given = {}
    chosen = {name: xlen for name, each in known.items() if each.metadata["default"] == XLEN}
    for key, value in given.items():
        if key not in known:
            problems.append(f"{where} {printable(key)}: no such key{suggest(key, list(known))}")
            continue
        problem = problem_of(known[key], value)
        if problem:
            problems.append(f"{where} {key} = {show(value)}: {problem}")
        else:
            chosen[key] = value
    return kind(**chosen)


def problem_of(each: Field[Any], value: Any) -> str:
    """Why `value` cannot stand in field `each`; empty if it can."""
    allowed = each.metadata["allowed"]
    if allowed is None:
        if not isinstance(value, bool):
            return "must be true or false"
        return ""
    if isinstance(allowed[0], str):
        return "" if value in allowed else f"must be {allowed_text(each)}{suggest(value, allowed)}"
    low, high = allowed
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be an integer, {allowed_text(each)}"
    return "" if low <= value <= high else f"out of range, must be {allowed_text(each)}"


def allowed_text(each: Field[Any]) -> str:
    allowed = each.metadata["allowed"]
    if allowed is None:
        return "true or false"
    if isinstance(allowed[0], str):
        return ", ".join(allowed[:-1]) + f" or {allowed[-1]}"
    return f"{allowed[0]}-{written(each, allowed[1])}"


def suggest(value: Any, known: Any) -> str:
    import difflib  # only once something is wrong

    close = difflib.get_close_matches(show(value)[:80].strip('"'), list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def toml(value: int | bool | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def written(each: Field[Any], value: Any) -> str:
    """`value` of the field `each` in TOML; what may be any 64 bits is in hexadecimal."""
    if each.metadata["allowed"] == WORD and not isinstance(value, bool):
        return f"{value:#x}" if value else "0"
    return toml(value)


def show(value: Any) -> str:
    """A value from a file, short enough for an error line."""
    if isinstance(value, bool | str):
        return printable(toml(value))
    if isinstance(value, int):
        # Python refuses to print very long integers in decimal.
        return printable(str(value) if abs(value) < 1 << 64 else f"{value:#x}")
    return printable(type(value).__name__ if isinstance(value, list | dict) else repr(value))


def printable(text: str) -> str:
    """`text` in one line of at most 100 characters."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return line if len(line) <= 100 else line[:97] + "..."
