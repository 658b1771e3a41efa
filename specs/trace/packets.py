"""The packets of E-Trace 2.0 (chapter "Instruction Trace Encoder Output Packets") as tables.

Fields that only the 2.1 draft has, or only 2.0, have no bits under the other protocol.

A format is a list of fields in transmission order. Packing, unpacking, `etrace dump` and the
documentation read these tables: a format is added here and nowhere else. `Layout` is the tables for
one configuration, as arrays for the kernels in `specs.trace.packing`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from specs.configuration.parameters import Configuration


class Column(IntEnum):
    """Columns of an unpacked packet, a row of uint64. The names of fields are the spec's."""

    # where it was, and its framing
    offset = 0  # byte offset of its header in the stream
    length = 1  # bytes in the stream, header included
    reason = 2  # 0, or the flow.Reason why it could not be unpacked
    table = 3  # the Format whose table explains it
    flow = 4
    extend = 5
    srcID = 6
    timestamp = 7
    type = 8
    # fields
    format = 9
    subformat = 10
    branch = 11
    privilege = 12
    time = 13
    context = 14
    ecause = 15
    interrupt = 16
    thaddr = 17
    address = 18
    tval = 19
    ienable = 20
    encoder_mode = 21
    qual_status = 22
    ioptions = 23
    denable = 24
    dloss = 25
    doptions = 26
    branches = 27
    branch_map = 28
    notify = 29
    updiscon = 30
    irreport = 31
    irdepth = 32
    index = 33
    branch_count = 34
    branch_fmt = 35
    # of protocol 2.1
    irets = 36
    sijump = 37
    implicit_return = 38
    branch_predictor = 39
    jump_target_cache = 40
    implicit_except = 41
    full_iaddress = 42
    resync_disabled = 43
    iret_ext = 44
    time_width = 45
    f0s_width = 46
    return_stack_size = 47
    call_counter_size = 48
    bpred_size = 49
    cache_size = 50
    mmacas_ext = 51
    noaddr = 52
    nodata = 53
    full_daddress = 54
    full_data = 55
    # derived while unpacking: 1 if the bit differs from the one before it
    is_notify = 56
    is_updiscon = 57
    is_irreport = 58


COLUMNS = len(Column)


class Format(IntEnum):
    """Numbers of the tables below."""

    BRANCH_COUNT = 0  # format 0, subformat 0
    JUMP_TARGET_INDEX = 1  # format 0, subformat 1
    BRANCH_MAP = 2  # format 1
    ADDRESS = 3  # format 2
    SYNC = 4  # format 3, subformat 0
    TRAP = 5  # format 3, subformat 1
    CONTEXT = 6  # format 3, subformat 2
    SUPPORT = 7  # format 3, subformat 3


#: The name people write: "1", "2", "3.0", ...
FORMAT_NAMES = ("0.0", "0.1", "1", "2", "3.0", "3.1", "3.2", "3.3")


class When(IntEnum):
    """Conditions under which a field is in the packet."""

    ALWAYS = 0
    EXCEPTION = 1  # interrupt is 0
    TRAP_ADDRESS = 2  # not (implicit exception mode and thaddr)
    SOME_BRANCHES = 3  # branches is not 0
    COUNT_ADDRESS = 4  # branch_fmt is 2 or 3


class QualStatus(IntEnum):
    """`qual_status` of the support packet."""

    no_change = 0
    ended_rep = 1
    trace_lost = 2
    ended_ntr = 3


#: Bits of `ioptions`, from the least significant (implementation defined; see docs/choices.md).
IOPTIONS = (
    "implicit_return",
    "implicit_exception",
    "full_address",
    "jump_target_cache",
    "branch_prediction",
)

#: What the standard support packet says of the encoder (2.1 draft, "Standard Support Packet
#: format"), and of data trace.
STANDARD_SUPPORT = (
    (Column.sijump, 1),
    (Column.implicit_return, 1),
    (Column.branch_predictor, 1),
    (Column.jump_target_cache, 1),
    (Column.implicit_except, 1),
    (Column.full_iaddress, 1),
    (Column.resync_disabled, 1),
    (Column.iret_ext, 1),
    (Column.time_width, 3),
    (Column.f0s_width, 2),
    (Column.return_stack_size, 3),
    (Column.call_counter_size, 4),
    (Column.bpred_size, 3),
    (Column.cache_size, 3),
)
STANDARD_DATA_SUPPORT = (
    (Column.mmacas_ext, 1),
    (Column.noaddr, 1),
    (Column.nodata, 1),
    (Column.full_daddress, 1),
    (Column.full_data, 1),
)

#: A width that `branches` decides: 1, 3, 7, 15 or 31 bits; for 0, 31 in format 1 and none in 0.1.
MAP_WIDTH = -1

Width = int | Callable[["Configuration"], int]


@dataclass(frozen=True)
class Field:
    """A field: its spec name, its width in bits, when it is there."""

    column: Column
    width: Width
    when: When = When.ALWAYS

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.column.name

    def bits(self, configuration: "Configuration") -> int:
        """Width in bits in a configuration; `MAP_WIDTH` where `branches` decides."""
        return self.width if isinstance(self.width, int) else self.width(configuration)


def _privilege(c: "Configuration") -> int:
    return c.parameters.privilege_width_p


def _time(c: "Configuration") -> int:
    return 0 if c.parameters.notime_p else c.parameters.time_width_p


def _context(c: "Configuration") -> int:
    return 0 if c.parameters.nocontext_p else c.parameters.context_width_p


def _address(c: "Configuration") -> int:
    return c.parameters.iaddress_width_p - c.parameters.iaddress_lsb_p


def _irdepth(c: "Configuration") -> int:
    return c.irdepth_bits


def _ioptions(c: "Configuration") -> int:
    return c.parameters.ioptions_width_p if c.protocol == "2.0" else 0


def _doptions(c: "Configuration") -> int:
    return c.parameters.doptions_width_p if c.protocol == "2.0" else 0


def _irets(c: "Configuration") -> int:
    return 8 if c.has_irets else 0


def _updated(width: int) -> Callable[["Configuration"], int]:
    """A field that only protocol 2.1 has."""
    return lambda c: width if c.protocol == "2.1" else 0


def _f0s(c: "Configuration") -> int:
    return c.parameters.f0s_width_p


def _tail(when: When) -> tuple[Field, ...]:
    """The differential address with the bits that usually compress away behind it."""
    return (
        Field(Column.address, _address, when),
        Field(Column.notify, 1, when),
        Field(Column.updiscon, 1, when),
        Field(Column.irreport, 1, when),
        Field(Column.irdepth, _irdepth, when),
        Field(Column.irets, _irets, when),
    )


_FORMAT = Field(Column.format, 2)
_SUBFORMAT = Field(Column.subformat, 2)
_WHO = (
    Field(Column.privilege, _privilege),
    Field(Column.time, _time),
    Field(Column.context, _context),
)

#: The tables, indexed by `Format`.
TABLES: tuple[tuple[Field, ...], ...] = (
    (
        _FORMAT,
        Field(Column.subformat, _f0s),
        Field(Column.branch_count, 32),
        Field(Column.branch_fmt, 2),
        *_tail(When.COUNT_ADDRESS),
    ),
    (
        _FORMAT,
        Field(Column.subformat, _f0s),
        Field(Column.index, lambda c: c.parameters.cache_size_p),
        Field(Column.branches, 5),
        Field(Column.branch_map, MAP_WIDTH, When.SOME_BRANCHES),
        Field(Column.irreport, 1),
        Field(Column.irdepth, _irdepth),
        Field(Column.irets, _irets),
    ),
    (
        _FORMAT,
        Field(Column.branches, 5),
        Field(Column.branch_map, MAP_WIDTH),
        *_tail(When.SOME_BRANCHES),
    ),
    (_FORMAT, *_tail(When.ALWAYS)),
    (_FORMAT, _SUBFORMAT, Field(Column.branch, 1), *_WHO, Field(Column.address, _address)),
    (
        _FORMAT,
        _SUBFORMAT,
        Field(Column.branch, 1),
        *_WHO,
        Field(Column.ecause, lambda c: c.parameters.ecause_width_p),
        Field(Column.interrupt, 1),
        Field(Column.thaddr, 1),
        Field(Column.address, _address, When.TRAP_ADDRESS),
        Field(Column.tval, lambda c: c.parameters.iaddress_width_p, When.EXCEPTION),
    ),
    (_FORMAT, _SUBFORMAT, *_WHO),
    (
        _FORMAT,
        _SUBFORMAT,
        Field(Column.ienable, 1),
        Field(Column.encoder_mode, lambda c: 1 if c.protocol == "2.0" else 2),
        Field(Column.qual_status, 2),
        Field(Column.ioptions, _ioptions),
        *(Field(column, _updated(width)) for column, width in STANDARD_SUPPORT),
        Field(Column.denable, 1),
        Field(Column.dloss, 1),
        Field(Column.doptions, _doptions),
        *(Field(column, _updated(width)) for column, width in STANDARD_DATA_SUPPORT),
    ),
)


#: `Layout.array`'s last plane holds no fields but the modes that tables depend on.
OPTIONS_ROW = len(TABLES)


class FieldPlace(IntEnum):
    """Places of the i-th field of a format in `Layout.array[table, i]`."""

    column = 0  # -1 ends a table
    width = 1  # in bits, or `MAP_WIDTH`
    when = 2
    most = 3  # bits of the longest packet of the format


class OptionPlace(IntEnum):
    """Places in `Layout.array[OPTIONS_ROW, 0]`."""

    implicit_exception = 0  # the mode
    f0s_width = 1
    format0 = 2  # the table of a format 0 packet whose `subformat` has no bits


class Layout:
    """The tables for one configuration: what `specs.trace.packing` reads.

    `array`, int64, [table, i] by `FieldPlace`; the modes in [OPTIONS_ROW, 0] by `OptionPlace`.
    """

    def __init__(self, configuration: "Configuration") -> None:
        longest = max(len(table) for table in TABLES)
        self.array = np.full((len(TABLES) + 1, longest + 1, 4), -1, dtype=np.int64)
        for number, table in enumerate(TABLES):
            widths = [field.bits(configuration) for field in table]
            most = sum(31 if width == MAP_WIDTH else width for width in widths)
            for i, field in enumerate(table):
                self.array[number, i] = field.column, widths[i], field.when, most
        modes = configuration.modes
        only_cache = modes.jump_target_cache and not modes.branch_prediction
        self.array[OPTIONS_ROW, 0] = (
            modes.implicit_exception,
            configuration.parameters.f0s_width_p,
            Format.JUMP_TARGET_INDEX if only_cache else Format.BRANCH_COUNT,
            0,
        )

    def max_bits(self, table: Format) -> int:
        """Bits of the longest packet of a format before compression."""
        return int(self.array[table, 0, FieldPlace.most])
