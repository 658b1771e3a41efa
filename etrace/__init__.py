"""RISC-V E-Trace: record firmware runs, encode retirement streams, decode traces.

`record`, `encode` and `open` give a `Trace`; see `etrace.api`. Importing this package is cheap:
what is heavy is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from etrace.api import encode, open, record
    from etrace.errors import EtraceError, InputError, ProgramMismatchError, TraceError
    from etrace.trace import Trace, Verification
    from specs.parameters import Configuration, ParametersError

__all__ = [
    "Configuration",
    "EtraceError",
    "InputError",
    "ParametersError",
    "ProgramMismatchError",
    "Trace",
    "TraceError",
    "Verification",
    "__version__",
    "encode",
    "open",
    "record",
]

_HOMES = {
    "Configuration": "specs.parameters",
    "EtraceError": "etrace.errors",
    "InputError": "etrace.errors",
    "ParametersError": "specs.parameters",
    "ProgramMismatchError": "etrace.errors",
    "Trace": "etrace.trace",
    "TraceError": "etrace.errors",
    "Verification": "etrace.trace",
    "encode": "etrace.api",
    "open": "etrace.api",
    "record": "etrace.api",
}


#: Modules whose names stand in calls: `etrace.record(elf, encoding=etrace.encoding.Encoding(...))`.
_MODULES = {"encoding", "filtering", "sideband"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"etrace.{name}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
