"""RISC-V E-Trace: record firmware runs, encode retirement streams, decode traces.

`record`, `encode` and `open` give a `Trace`:

    trace = etrace.record("fw.elf", "fw.etrace")     # run a program; etrace.open("fw.etrace")
    flow = trace.decode()                            # a Flow: runs, traps, gaps ... as arrays
    pcs = trace.pcs(flow)                            # one uint64 an instruction
    assert trace.verify().same                       # a new run gives the same

Arrays are NumPy records (`specs.interfaces.flow` describes each). Their codes are enumerations:

    run["ended"]    Ended        flow.runs
    run["priv"]     Privilege    all tables; 255 is unknown
    gap["reason"]   Reason       flow.gaps
    trap["cause"]   cause_name(cause, interrupt) says it in words
    row[Column.x]   Column       trace.packets(): a column a field
    packet.fields   Packet       trace.packet(number): one, by names; its bits, its bytes
    event.kind      Kind         trace.events()

How to encode, what to trace and what to tell the encoder: `Encoding`, `Selection`, `Telling`.
Importing this package is cheap: what is heavy is imported when it is first used.
"""

from etrace.start import begin

begin()  # before anything that takes time, as `typing` does

from typing import TYPE_CHECKING, Any  # noqa: E402

import specs  # noqa: E402, F401 - short names of modules: `specs.aliases`

__version__ = "0.1.0"

if TYPE_CHECKING:
    from etrace.api import diff, encode, open, record
    from etrace.checking.diff.outcome import Diff
    from etrace.errors import EtraceError, InputError, ProgramMismatchError, TraceError
    from etrace.recording.encoding import Encoding
    from etrace.recording.filtering import Selection
    from etrace.recording.sideband import Telling
    from etrace.trace.outcome import Verification
    from etrace.trace.trace import Trace
    from specs.configuration.parameters import Configuration, ParametersError
    from specs.interfaces.events import Kind
    from specs.interfaces.flow import Ended, Flow, Reason
    from specs.isa.causes import cause_name
    from specs.isa.privilege import Privilege
    from specs.trace.packets import Column
    from specs.trace.single import Packet

__all__ = [
    "Column",
    "Configuration",
    "Diff",
    "Encoding",
    "Ended",
    "EtraceError",
    "Flow",
    "InputError",
    "Kind",
    "Packet",
    "ParametersError",
    "Privilege",
    "ProgramMismatchError",
    "Reason",
    "Selection",
    "Telling",
    "Trace",
    "TraceError",
    "Verification",
    "__version__",
    "cause_name",
    "diff",
    "encode",
    "open",
    "record",
]

_HOMES = {
    "Column": "specs.trace.packets",
    "Diff": "etrace.checking.diff.outcome",
    "Configuration": "specs.configuration.parameters",
    "Encoding": "etrace.recording.encoding",
    "Ended": "specs.interfaces.flow",
    "EtraceError": "etrace.errors",
    "Flow": "specs.interfaces.flow",
    "InputError": "etrace.errors",
    "Kind": "specs.interfaces.events",
    "Packet": "specs.trace.single",
    "ParametersError": "specs.configuration.parameters",
    "Privilege": "specs.isa.privilege",
    "ProgramMismatchError": "etrace.errors",
    "Reason": "specs.interfaces.flow",
    "Selection": "etrace.recording.filtering",
    "Telling": "etrace.recording.sideband",
    "Trace": "etrace.trace.trace",
    "TraceError": "etrace.errors",
    "Verification": "etrace.trace.outcome",
    "cause_name": "specs.isa.causes",
    "diff": "etrace.api",
    "encode": "etrace.api",
    "open": "etrace.api",
    "record": "etrace.api",
}


#: Modules whose names stand in calls: `etrace.record(elf, encoding=etrace.encoding.Encoding(...))`.
_MODULES = {"encoding", "filtering", "model", "sideband"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"etrace.{name}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """So that `help` and completion know what is not imported yet."""
    return sorted({*globals(), *_HOMES, *_MODULES})
