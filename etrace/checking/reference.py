"""References: small files that a later run is held against.

A *reference* is a trace file, gzip inside, whose header also says which version made it and what
the hash of its flow is (`etrace.trace.flowhash`). A `.flow` file is the hash alone, as JSON. Where
programs are is written as seen from the reference, so that both may move together.
"""

import errno
import gzip
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from etrace import __version__
from etrace.checking.diff.compare import (
    checked_names,
    different_parameters,
    programs_differ,
)
from etrace.checking.diff.compare import diff as compare_sides
from etrace.checking.diff.flows import TRAP_FIELDS
from etrace.checking.diff.outcome import Diff, Divergence, Place, Verdict, What
from etrace.checking.diff.packets import first_difference, mix_of, same_bytes
from etrace.checking.diff.side import gaps_of
from etrace.errors import EtraceError, InputError, TraceError, os_error, path_of
from etrace.expand import expanded
from etrace.files import open_input
from etrace.sources.logs import is_log, open_log
from etrace.trace.file import is_bare
from etrace.trace.flowhash import PREFIX, FlowHash, from_values
from etrace.trace.flowhash import flow_hash as hash_flows
from etrace.trace.header import Header, Reference
from etrace.trace.reading import Reading
from etrace.trace.trace import Trace, code_for, open_for_reading
from specs.configuration.parameters import ParametersError, from_dict

#: Name of a file with the hash alone.
FLOW_SUFFIX = ".flow"
_KIND, _VERSION = "etrace flow hash", 1
_MOST_FLOW_FILE, _PIECE = 1 << 20, 1 << 16
#: What a hash covers: with one of them ignored it tells nothing.
_COVERED = frozenset(
    (
        What.INSTRUCTION,
        What.PRIVILEGE,
        What.TRAP,
        What.PAUSE,
        What.LOOP,
        What.GAP,
        What.END,
        *TRAP_FIELDS,
    )
)


def write(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` as the reference `path`, whole or not at all; directories are made.

    A name that ends in `.flow` gives the hash alone. Raises `EtraceError`.
    """
    store(packed(trace, path), path)


def packed(trace: Trace, path: str | os.PathLike[str]) -> bytes:
    """The bytes of the reference that `path` is to be."""
    where = Path(path_of("path", path))
    flow = hash_flows(trace.flows(), trace.code.map)
    header = _placed(replace(trace.header, command=()), where.parent)
    reference = Reference(f"etrace {__version__}", flow)
    if where.suffix == FLOW_SUFFIX:
        return _flow_file(header, reference)
    contents = BytesIO()
    with gzip.GzipFile("", "wb", 6, contents, mtime=0) as file:
        file.write(replace(header, reference=reference).pack())
        for chunk in trace.chunks():
            file.write(chunk)
    return contents.getvalue()


def store(data: bytes, path: str | os.PathLike[str]) -> None:
    """Let the reference `path` be `data`, whole or not at all; directories are made."""
    where = Path(os.path.realpath(path_of("path", path)))  # of a link, what it leads to
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        if where.exists() and not where.is_file():
            raise InputError(f"{path}: not a regular file; it is left as it is")
        _replace(where, data)
    except FileExistsError:  # where a directory should be
        raise InputError(f"{path}: {os.strerror(errno.ENOTDIR)}") from None
    except OSError as error:
        raise os_error(str(path), error) from None


def writable(reference: str) -> bool:
    """Whether `reference` is one that is written here: no hash, no log, no bare stream."""
    if reference.startswith(PREFIX):
        return False
    if not os.path.exists(reference):
        return True
    if not os.path.isfile(reference):
        return False
    try:
        return not is_log(reference) and (
            _flow_reference(reference) is not None or not is_bare(reference)
        )
    except EtraceError:
        return True


def is_hash(path: str, name: str | None = None) -> bool:
    """Whether the file `path` is the hash of a flow alone; raises `EtraceError` if damaged, and
    `name` is what messages call it."""
    return os.path.isfile(path) and _flow_reference(path, name) is not None


def same_flow(one: bytes, other: bytes) -> bool:
    """Whether two `.flow` files, of which these are the bytes, have the same flow."""
    flows = [
        json.loads(each)["flow"]["hash"] if each[:1] == b"{" else each for each in (one, other)
    ]
    return bool(flows[0] == flows[1])


def _replace(path: Path, data: bytes) -> None:
    """Let `path` be `data`: there is the old file or the new one at any time, whole."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _placed(header: Header, directory: Path) -> Header:
    """`header` with the places of programs as seen from `directory`."""

    def seen(path: str) -> str:
        return os.path.relpath(os.path.abspath(path), os.path.abspath(directory))

    return replace(
        header,
        programs=tuple(replace(each, path=seen(each.path)) for each in header.programs),
        images=tuple(replace(each, path=seen(each.path)) for each in header.images),
    )


def _flow_file(header: Header, reference: Reference) -> bytes:
    values = {
        "kind": _KIND,
        "version": _VERSION,
        "configuration": header.configuration.to_dict(),
        "xlen": header.xlen,
        "programs": [{"path": each.path, "sha256": each.sha256} for each in header.programs],
        "images": [
            {"address": each.address, "path": each.path, "sha256": each.sha256}
            for each in header.images
        ],
        **reference.values(),
    }
    return json.dumps(values, sort_keys=True, indent=1).encode() + b"\n"


def flow_hash(trace: Trace) -> str:
    """`flow:HEX` of the whole flow: the same whatever configuration it was encoded with."""
    return str(hash_flows(trace.flows(), trace.code.map))


def compare(trace: Trace, reference: str, ignore: Iterable[str] = ()) -> Diff:
    """Hold `trace` (side B) against `reference` (side A).

    `reference`: the path of a trace file, `.flow` file, bare stream (of the configuration of
    `trace`) or pc log; or `flow:HEX`, the hash of the whole flow. `ignore`: as of
    `etrace.checking.diff.compare.diff`. Raises `EtraceError` if it cannot be read.
    """
    ignored = checked_names(ignore)
    if reference.startswith(PREFIX):
        refuse_ignored(ignored)
        return _by_hash(trace, reference)
    if os.path.exists(reference) and not os.path.isfile(reference):
        raise InputError(f"{reference}: not a regular file, and no reference")
    if is_log(reference):
        return compare_sides(open_log(reference), trace, ignore=ignored)
    kept = _flow_reference(reference)
    if kept is not None:
        refuse_ignored(ignored)
        return _by_flow(trace, kept)
    return _by_trace(trace, reference, ignored)


def is_hash_name(reference: str) -> bool:
    """Whether `reference` is called as one that is the hash of a flow alone."""
    return reference.startswith(PREFIX) or Path(reference).suffix == FLOW_SUFFIX


def refuse_ignored(ignore: Iterable[str]) -> None:
    """Raise `InputError` if something of `ignore` is in the hash of a flow."""
    if covered := sorted(_COVERED.intersection(ignore)):
        raise InputError(
            f"ignore: {', '.join(covered)}: is in the hash of a flow, which cannot be compared "
            "without; let the reference be a trace"
        )


class _Hashed:
    """A trace's flow, hashed, and what there is to say about its gaps."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.gaps = self.lost = 0
        self.flow = hash_flows(self._flows(), trace.code.map)

    def _flows(self) -> Any:
        for flow in self._trace.flows():
            gaps, lost = gaps_of(self._trace, flow)
            self.gaps += gaps
            self.lost += lost
            yield flow

    @property
    def corrupt(self) -> bool:
        return self.gaps > self.lost


def _by_hash(trace: Trace, expected: str) -> Diff:
    mine = _Hashed(trace)
    same = str(mine.flow) == expected.lower()
    verdict = Verdict.SAME if same else Verdict.DIFFERENT
    if same and mine.corrupt:
        verdict = Verdict.CORRUPT
    remarks = () if same else (f"the flow's hash is {mine.flow}, expected {expected}",)
    return Diff(
        (expected, trace.name),
        verdict,
        mine.flow.instructions if same else 0,
        mine.flow.traps if same else 0,
        remarks=remarks,
        hash_only=True,
    )


@dataclass(frozen=True)
class _Kept:
    """What a `.flow` file has."""

    name: str
    flow: FlowHash
    hashes: tuple[str, ...]


def _by_flow(trace: Trace, kept: _Kept) -> Diff:
    mine = _Hashed(trace)
    names = (kept.name, trace.name)
    remarks = programs_differ(kept.hashes, trace.known_code.hashes)
    if mine.flow.same(kept.flow):
        verdict = Verdict.CORRUPT if mine.corrupt else Verdict.SAME
        return Diff(names, verdict, mine.flow.instructions, mine.flow.traps, remarks=remarks)
    return Diff(
        names,
        Verdict.DIFFERENT,
        kept.flow.part(mine.flow)[0],
        0,
        (_parting(kept.flow, mine.flow),),
        remarks=remarks,
    )


def _parting(expected: FlowHash, flow: FlowHash) -> Divergence:
    """Where they part, as near as the hashes tell."""
    begin, end = expected.part(flow)
    sizes = f"{expected.instructions:,} instructions in A, {flow.instructions:,} in B"
    text = f"by their hashes the flows part among instructions {begin:,} to {end:,} ({sizes})"
    return Divergence(begin, What.INSTRUCTION, text, Place(begin), Place(begin))


def _by_trace(trace: Trace, path: str, ignore: frozenset[str]) -> Diff:
    kept = _opened(path, trace)
    recorded = None if kept.header.reference is None else kept.header.reference.flow
    if recorded is None or ignore & _COVERED:
        return compare_sides(kept, trace, ignore=ignore)
    mine = _Hashed(trace)
    same = mine.flow.same(recorded)
    alike = not different_parameters(kept.configuration, trace.configuration)
    if same and alike and same_bytes(kept, trace):
        verdict = Verdict.CORRUPT if mine.corrupt else Verdict.SAME
        counts = trace.packet_counts
        return Diff(
            (kept.name, trace.name),
            verdict,
            mine.flow.instructions,
            mine.flow.traps,
            mixes=(counts, counts),
            remarks=programs_differ(kept.header.hashes, trace.known_code.hashes),
        )
    try:
        found = compare_sides(kept, trace, ignore=ignore)
    except EtraceError as error:
        if not same:
            found = _without_program(kept, trace, recorded, mine.flow)
            return replace(found, remarks=(*found.remarks, str(error)))
        raise
    if same or found.divergences:
        return found
    # the same packets give another flow than they did: it is the decoder that changed
    begin, _ = recorded.part(mine.flow)
    remark = f"A decodes to another flow than when it was made ({recorded})"
    return replace(
        found,
        verdict=Verdict.DIFFERENT,
        instructions=begin,
        divergences=(_parting(recorded, mine.flow),),
        remarks=(*found.remarks, remark),
    )


def _without_program(kept: Trace, trace: Trace, expected: FlowHash, flow: FlowHash) -> Diff:
    """The reference's program is not there: hashes tell about its flow."""
    return Diff(
        (kept.name, trace.name),
        Verdict.DIFFERENT,
        expected.part(flow)[0],
        0,
        (_parting(expected, flow),),
        first_difference(kept, trace),
        (mix_of(kept)[0], mix_of(trace)[0]),
        different_parameters(kept.configuration, trace.configuration),
        programs_differ(kept.header.hashes, trace.known_code.hashes),
    )


def _opened(path: str, trace: Trace) -> Trace:
    """The reference as a trace; with the program of `trace`, if it is of the same."""
    reading = Reading(trace=path)
    if is_bare(path):
        with open_for_reading(reading, trace.configuration, need_code=False) as bare:
            bare.code = trace.code
            return bare.closed()
    with open_for_reading(reading, need_code=False) as kept:
        hashes = kept.header.hashes
        if not hashes or hashes == trace.header.hashes:
            kept.code = trace.code
        else:
            try:
                kept.code = code_for(kept.header, reading)
            except EtraceError as error:
                kept.without_code(error)
        return kept.closed()


def _flow_reference(path: str, name: str | None = None) -> _Kept | None:
    """What the `.flow` file `path` has; None if it is none. Raises `TraceError`."""
    name = path if name is None else name
    with open_input(path) as file:
        try:
            contents = expanded(file, name)
            data = contents.read(_PIECE)
            while data.lstrip().startswith(b"{") and len(data) < _MOST_FLOW_FILE:
                if not (more := contents.read(_PIECE)):
                    break
                data += more
        except OSError as error:
            raise os_error(name, error) from None
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        values = json.loads(data)
        if not isinstance(values, Mapping) or values["kind"] != _KIND:
            raise ValueError(f"no {_KIND}")
        if values["version"] != _VERSION:
            raise ValueError(f"version {values['version']}, this etrace reads {_VERSION}")
        hashes = [str(each["sha256"]) for each in (*values["programs"], *values["images"])]
        from_dict(values["configuration"], values["xlen"], "configuration")
        return _Kept(name, from_values(values["flow"]), tuple(hashes))
    except ParametersError as error:
        raise TraceError(f"{name}: {error.problems[0]}") from None
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise TraceError(f"{name}: {reason}; damaged file") from None
