"""How a program is run, and how its trace is encoded: what the user chose, in one place each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from emu.hart.state import MAX_HARTS, MAX_QUANTUM, MIN_QUANTUM
from emu.platforms.elf import Program
from etrace.errors import InputError
from etrace.recording.encoding import Encoding
from etrace.recording.filtering import Selection
from etrace.recording.sideband import Telling
from specs.configuration.parameters import Configuration, ParametersError, load

PathLike = str | os.PathLike[str]
Params = Configuration | PathLike | None

#: Instructions that can be counted.
MAX_COUNT = 1 << 63

#: Names for `framing`.
FRAMINGS = ("encap", "reference")


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a program is run, as given by the user; raises `InputError` for what no trace header can
    carry.

    `isa`, `modes` ("M", "MU", "MSU"), `platform`, `memory` (base and size), `max_instructions`: see
    `emu.Machine`. Host calls are served with the files of the directory `semihosting` and the
    command line `cmdline`; without one it is the program's name. `tohost`: its address where no
    symbol says it, "none" if there is none. `telling`: context, time, triggers and windows.
    `harts`, and the `quantum` of instructions that each of several has in turn.
    """

    isa: str | None = None
    modes: str | None = None
    platform: str = "spike"
    memory: tuple[tuple[int, int], ...] = ()
    max_instructions: int | None = None
    semihosting: Path | None = None
    cmdline: str | None = None
    tohost: int | Literal["none"] | None = None
    telling: Telling | None = None
    harts: int = 1
    quantum: int | None = None

    def __post_init__(self) -> None:
        most = self.max_instructions
        if most is not None and not 1 <= most < MAX_COUNT:
            raise InputError(f"max_instructions {most!r}: must be at least 1, below 2**63")
        if not 1 <= self.harts <= MAX_HARTS:
            raise InputError(f"harts {self.harts!r}: must be from 1 to {MAX_HARTS}")
        if self.quantum is not None and not MIN_QUANTUM <= self.quantum <= MAX_QUANTUM:
            raise InputError(
                f"quantum {self.quantum!r}: must be from {MIN_QUANTUM} to {MAX_QUANTUM} "
                "instructions"
            )
        if isinstance(self.tohost, int) and not 0 <= self.tohost < 1 << 64:
            raise InputError(f'tohost {self.tohost!r}: must be an address, "none", or left out')

    def command_line(self, elf: PathLike) -> str | None:
        """The guest's command line, None without host calls. Raises `InputError`."""
        if self.semihosting is None:
            if self.cmdline is not None:
                raise InputError("--cmdline: is for host calls; give --semihosting DIR as well")
            return None
        return Path(elf).name if self.cmdline is None else self.cmdline


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a trace is encoded, as given by the user.

    `params`: a parameter file or a configuration, None for defaults; `framing`, `encoding` (modes
    and protocol) and `selection` (what is traced) change it.
    """

    params: Params = None
    framing: str | None = None
    encoding: Encoding | None = None
    selection: Selection | None = None

    @property
    def file(self) -> PathLike | None:
        """The parameter file, if there is one."""
        return None if isinstance(self.params, Configuration) else self.params

    def configuration(self, xlen: int, programs: Sequence[Program]) -> Configuration:
        """What it comes to for these programs. Raises `InputError` or `ParametersError`."""
        chosen = _framed(configuration(self.params, xlen), self.framing)
        if self.encoding is not None:
            chosen = self.encoding.apply(chosen, programs)
        if self.selection is not None:
            chosen = self.selection.apply(chosen, programs)
        return chosen


def configuration(params: Params, xlen: int) -> Configuration:
    """`params` as a configuration. Raises `ParametersError`."""
    if isinstance(params, Configuration):
        return params
    return load(None if params is None else Path(params), xlen)


def _framed(chosen: Configuration, framing: str | None) -> Configuration:
    if framing is None:
        return chosen
    if framing not in FRAMINGS:
        known = " or ".join(FRAMINGS)
        raise ParametersError(
            [f"framing {framing!r}: there is no such framing; it must be {known}"]
        )
    return replace(chosen, framing=replace(chosen.framing, kind=framing))
