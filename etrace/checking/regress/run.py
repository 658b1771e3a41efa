"""One case: recorded or encoded, decoded, held against what is expected and against its reference.

Nothing of the user's is written here: a reference that is new or changed comes with the result.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from etrace.checking import reference
from etrace.checking.diff.outcome import Diff
from etrace.checking.regress.manifest import Case
from etrace.checking.regress.outcome import Result, Status
from etrace.errors import EtraceError, one_line
from etrace.recording import recorder
from etrace.recording.choices import Choices, Run
from etrace.recording.encoding import Encoding
from etrace.recording.headers import run_header, stream_header
from etrace.recording.sideband import Telling
from etrace.trace.flowhash import PREFIX
from etrace.trace.header import Header
from etrace.trace.reasons import gap_text
from etrace.trace.trace import Trace, in_memory
from specs.configuration.parameters import Configuration, ParametersError, from_dict
from specs.interfaces.ingress import IngressError

if TYPE_CHECKING:
    from etrace.recording.recorder import Summary

#: Bytes kept of what the guest prints.
_MOST_OUTPUT = 1 << 16


@dataclass(frozen=True)
class Finished:
    """A result, and what its reference is to be, if that is to be written."""

    result: Result
    reference: bytes | None = None


def run_case(case: Case, update: bool = False, names: Mapping[str, str] | None = None) -> Finished:
    """Run `case`; never raises for what a case can be wrong in.

    `update`: a reference that is missing or differs is made anew. `names`: what the user calls the
    files that are here under other names.
    """
    running = _Running(case, update, names or {})
    try:
        return running.finish()
    except ParametersError as error:
        return running.error("; ".join(error.problems[:3]))
    except (EtraceError, IngressError) as error:
        return running.error(one_line(error))
    except OSError as error:
        return running.error(f"{error.filename or case.name}: {error.strerror or error}")
    except MemoryError:
        return running.error("not enough memory")


def lost(case: Case, reason: str) -> Finished:
    """The outcome of a case that did not come back from where it was run."""
    return Finished(
        Result(
            case.suite,
            case.name,
            Status.ERROR,
            reason,
            tags=case.tags,
            file=case.file,
            line=case.line,
        )
    )


class _Running:
    def __init__(self, case: Case, update: bool, names: Mapping[str, str]) -> None:
        self._case = case
        self._update = update
        self._names = names
        self._console = bytearray()
        self._values: dict[str, Any] = {}
        #: What is wrong, a line each.
        self._wrong: list[str] = []

    def error(self, reason: str) -> Finished:
        """It could not be run to its end."""
        for here, theirs in self._names.items():
            reason = reason.replace(here, theirs)
        return Finished(self._result(Status.ERROR, reason))

    def finish(self) -> Finished:
        """The outcome."""
        trace, summary = self._made()
        self._measure(trace, summary)
        self._expected(summary)
        if self._case.reference is not None:
            return self._against_reference(trace)
        self._decodes(trace)
        return self._plainly(*self._verified(trace))

    def _plainly(self, found: Diff | None = None, text: str = "") -> Finished:
        status = Status.FAILED if self._wrong else Status.PASSED
        return Finished(self._result(status, "; ".join(self._wrong), text, found))

    def _result(
        self, status: Status, reason: str, text: str = "", found: Diff | None = None
    ) -> Result:
        case = self._case
        return Result(
            case.suite,
            case.name,
            status,
            reason,
            text,
            output=self._console.decode("utf-8", "replace"),
            values=self._values,
            diff=None if found is None else found.values(),
            tags=case.tags,
            file=case.file,
            line=case.line,
        )

    # making the trace

    def _made(self) -> tuple[Trace, "Summary"]:
        case = self._case
        choices = Choices(
            params=self._configuration(),
            framing=case.framing,
            encoding=Encoding(modes=case.modes, protocol=case.protocol, vectors=case.tvec),
        )
        written = BytesIO()
        if case.stream is not None:
            header, code = stream_header(
                choices, xlen=case.xlen, elf=case.elf, platform=case.platform
            )
            summary = recorder.encode(case.stream, written, header, code=code)
        else:
            run = Run(
                isa=case.isa,
                modes=case.hart_modes,
                platform=case.platform or "spike",
                memory=case.memory,
                max_instructions=case.max_instructions,
                semihosting=None if case.semihosting is None else Path(case.semihosting),
                cmdline=case.cmdline,
                tohost=_tohost(case.tohost),
                telling=self._telling(),
            )
            header, code = run_header(case.elf, run, choices, image=case.image)
            summary = recorder.record(
                code, written, header, console=self._print, semihosting=run.semihosting
            )
        return in_memory(case.name, written.getvalue(), header, code), summary

    def _configuration(self) -> Configuration | str | None:
        params = self._case.params
        if not isinstance(params, Mapping):
            return params
        values = dict(params)
        if self._case.protocol is not None:
            values["protocol"] = self._case.protocol
        return from_dict(values, self._xlen(), "params")

    def _xlen(self) -> int:
        if not self._case.elf:
            return self._case.xlen or 64
        from etrace.trace.program import load_programs

        return load_programs(self._case.elf[:1])[0].xlen

    def _telling(self) -> Telling | None:
        case = self._case
        if case.context_csr is None and case.time is None:
            return None
        told = Telling(context_csr=case.context_csr, time=case.time)
        return told if case.time_every is None else replace(told, time_every=case.time_every)

    def _print(self, data: bytes) -> None:
        self._console += data[: _MOST_OUTPUT - len(self._console)]

    # what is expected

    def _measure(self, trace: Trace, summary: "Summary") -> None:
        instructions = summary.instructions
        if instructions is None and self._decodable:
            instructions = sum(flow.instructions for flow in trace.flows())
        self._values = {
            "instructions": instructions,
            "packets": sum(summary.packets.values()),
            "bytes": summary.bytes,
            "bits": round(8 * summary.bytes / instructions, 4) if instructions else None,
            "exit_code": summary.guest_exit,
            "end": summary.end,
        }

    @property
    def _decodable(self) -> bool:
        return bool(self._case.elf)

    def _expected(self, summary: "Summary") -> None:
        expect = self._case.expect
        for name in ("exit_code", "end", "instructions", "packets"):
            wanted, found = getattr(expect, name), self._values[name]
            if wanted is not None and wanted != found:
                self._wrong.append(f"{name}: {found}, expected {wanted}")
        bits = self._values["bits"]
        if expect.bits is not None and (bits is None or bits > expect.bits):
            self._wrong.append(f"bits an instruction: {bits}, expected at most {expect.bits}")
        if summary.guest_failed and expect.exit_code is None and expect.end is None:
            account = summary.account
            what = f"exit code {summary.guest_exit}" if account is None else account.what
            self._wrong.append(f"the guest failed: {what}")

    def _decodes(self, trace: Trace) -> None:
        """Without a reference: a trace that has gaps is none."""
        if not self._decodable or self._verifies:
            return
        for flow in trace.flows():
            if len(flow.gaps):
                self._wrong.append(f"cannot be decoded: {gap_text(flow.gaps[0])}")
                return

    @property
    def _verifies(self) -> bool:
        case = self._case
        if case.stream is not None:
            return False
        return case.reference is None if case.verify is None else case.verify

    def _verified(self, trace: Trace) -> tuple[Diff | None, str]:
        """Run it again, if that is wanted."""
        if not self._verifies:
            return None, ""
        case = self._case
        found = trace.verify(semihosting=case.semihosting)
        if found.same:
            return None, ""
        difference = found.comparison.difference
        if difference is not None:
            what = f"instruction {difference.position}: {difference.what}"
        else:
            what = gap_text(found.gaps[0]) if len(found.gaps) else found.remark
        self._wrong.append(f"a new run differs: {what}")
        return None, self._wrong[-1]

    # references

    def _against_reference(self, trace: Trace) -> Finished:
        case = self._case
        assert case.reference is not None
        text, found, status = "", None, Status.PASSED
        if not case.reference.startswith(PREFIX) and not os.path.exists(case.reference):
            status = Status.NEW
            what = f"no reference {self._user(case.reference)}"
        else:
            try:
                found = reference.compare(trace, case.reference, case.ignore)
            except EtraceError as error:
                if not self._update:
                    raise
                text = f"the old reference could not be read: {one_line(error)}\n"
                status, what = Status.CHANGED, "the reference could not be read"
            else:
                found = replace(found, names=(self._user(found.names[0]), found.names[1]))
                what = found.headline
                if not found.same:
                    status, text = Status.CHANGED, found.text()
        if status != Status.PASSED and not (self._update and reference.writable(case.reference)):
            hint = "; --update writes it" if status == Status.NEW else ""
            self._wrong.append(what + hint)
            if self._update and status == Status.CHANGED:
                text += self._by_hand(trace)
        self._decodes(trace)
        _, more = self._verified(trace)
        if self._wrong or status == Status.PASSED:
            return self._plainly(found, text + more)
        packed = reference.packed(self._named(trace), self._user(case.reference))
        return Finished(self._result(status, what, text, found), packed)

    def _by_hand(self, trace: Trace) -> str:
        """What `--update` cannot write."""
        reference_ = self._case.reference or ""
        if reference_.startswith(PREFIX):
            return f'to be put into the manifest: reference = "{reference.flow_hash(trace)}"\n'
        return f"{self._user(reference_)} is not one that --update writes\n"

    def _user(self, path: str) -> str:
        return self._names.get(path, path)

    def _named(self, trace: Trace) -> Trace:
        """The trace, its programs called as the user calls them."""
        if not self._names:
            return trace
        header = trace.header
        renamed: Header = replace(
            header,
            programs=tuple(replace(e, path=self._user(e.path)) for e in header.programs),
            images=tuple(replace(e, path=self._user(e.path)) for e in header.images),
        )
        return replace(trace, header=renamed)


def _tohost(value: int | str | None) -> int | Literal["none"] | None:
    return "none" if value == "none" else value if isinstance(value, int) else None
