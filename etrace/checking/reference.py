"""References: small files that a later run is held against.

A *reference* is a trace file, gzip inside, whose header also has `reference`: the version that made
it, and a hash of the flow for each stretch, so that a difference is found by halves. A `.flow` file
is those hashes alone. See docs/reference.
"""

from pathlib import Path

from etrace.checking.diff.outcome import Diff
from etrace.trace.trace import Trace


def write(trace: Trace, path: Path) -> None:
    """Write `trace` as the reference `path`, whole or not at all.

    A name that ends in `.flow` gives the hashes alone. Raises `EtraceError`.
    """
    raise NotImplementedError


def compare(trace: Trace, reference: str, ignore: frozenset[str] = frozenset()) -> Diff:
    """Hold `trace` (side b) against `reference` (side a).

    `reference`: the path of a trace file, `.flow` file or pc log, or `flow:HEX`, the hash of the
    whole flow. `ignore`: names of `What`. Raises `EtraceError` if it cannot be read.
    """
    raise NotImplementedError


def flow_hash(trace: Trace) -> str:
    """`flow:HEX` of the whole flow: the same whatever configuration it was encoded with."""
    raise NotImplementedError
