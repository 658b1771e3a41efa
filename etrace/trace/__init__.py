"""A trace and its program: file, header, symbols, lines; how it ends."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etrace.trace.trace import Trace

__all__ = ["Trace"]


def __getattr__(name: str) -> Any:
    # Programs of before there were modules in here import it from here.
    if name != "Trace":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from etrace.trace.trace import Trace

    return Trace
