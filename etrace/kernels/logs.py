"""Lines of simulators' logs to rows of numbers.

Each kernel takes text that ends with a line's end, and stops at a line that it does not understand:
`state` says which, and Python says why.
"""

from enum import IntEnum

import numpy as np

from specs.kernels.njit import inlined, njit, plain
from specs.kernels.words import U0, U4, U32, s64, u64


class Row(IntEnum):
    """Columns of a row (uint64)."""

    KIND = 0  # a `Kind`
    ADDRESS = 1  # or the value of tval
    WORD = 2
    PRIV = 3
    NAME = 4  # a hash of the name of a cause; the number of an interrupt
    NAME_AT = 5  # where that name begins in the text


class Kind(IntEnum):
    """What a line tells."""

    SHOWN = 0  # an instruction, before it is executed
    RETIRED = 1
    EXCEPTION = 2
    INTERRUPT = 3
    TVAL = 4  # of the exception before
    REPEATED = 5  # ADDRESS is how often the last instruction shown was executed in all


class Form(IntEnum):
    """Whose lines they are."""

    SPIKE = 0  # `-l` and `--log-commits`
    EXECLOG = 1  # QEMU's plugin: `CPU, 0xADDRESS, 0xWORD, "text"...`


class State(IntEnum):
    """Places of the state (int64)."""

    AT = 0  # where the next line begins
    LINE = 1  # lines so far
    HART = 2  # whose lines are wanted
    WRONG = 3  # 1: the line at AT cannot be understood


ROW = len(Row)
_row = plain(Row)
_kind = plain(Kind, np.uint64)
_form = plain(Form)
_state = plain(State)
_SPACE, _NEWLINE, _RETURN, _COMMA, _COLON = 32, 10, 13, 44, 58
_OPEN, _CLOSE, _MORE, _E, _T, _ZERO, _X, _QUOTE = 40, 41, 62, 101, 116, 48, 120, 34
_UPPER_E = 69
_BAD = -1
#: Digits of a decimal number, at most.
_DIGITS = 18
#: Of FNV-1a, 64 bits.
_PRIME = np.uint64(0x100000001B3)


@inlined
def _spaces(data, at):
    while data[at] == _SPACE or data[at] == 9:
        at += 1
    return at


@inlined
def _digit(byte):
    """The value of a hexadecimal digit; 16 if it is none."""
    if byte >= 48 and byte <= 57:
        return u64(byte) - u64(48)
    low = byte | 32
    if low >= 97 and low <= 102:
        return u64(low) - u64(87)
    return u64(16)


@inlined
def _hex(data, at, value):
    """A hexadecimal number without 0x into `value[0]`; where it ends, -1 if there is none."""
    number = U0
    begin = at
    while True:
        digit = _digit(data[at])
        if digit == u64(16):
            break
        if number >> u64(60) != U0:
            return _BAD
        number = (number << U4) | digit
        at += 1
    value[0] = number
    return at if at > begin else _BAD


@inlined
def _prefixed(data, at, value):
    """As `_hex`, with 0x before it."""
    if data[at] != _ZERO or data[at + 1] != _X:
        return _BAD
    return _hex(data, at + 2, value)


@inlined
def _decimal(data, at, value):
    """A decimal number into `value[0]`; where it ends, -1 if there is none."""
    number = U0
    begin = at
    while data[at] >= 48 and data[at] <= 57 and at < begin + _DIGITS:
        number = number * u64(10) + u64(data[at] - 48)
        at += 1
    value[0] = number
    return at if at > begin else _BAD


@inlined
def _line_end(data, at):
    while data[at] != _NEWLINE:
        at += 1
    return at


@inlined
def _is(data, at, text):
    """Whether `text` (uint8) stands there. The text has a line's end before its own."""
    for n in range(text.shape[0]):
        if data[at + n] != text[n]:
            return False
    return True


_CORE = np.frombuffer(b"core", np.uint8).copy()
_EXCEPTION = np.frombuffer(b"exception ", np.uint8).copy()
_INTERRUPT = np.frombuffer(b"interrupt #", np.uint8).copy()
_EPC = np.frombuffer(b", epc ", np.uint8).copy()
_EXECUTED = np.frombuffer(b"Executed ", np.uint8).copy()
_TVAL = np.frombuffer(b"tval ", np.uint8).copy()


@inlined
def _spike_line(data, at, hart, value, row):
    """One line into `row`: 1, 0 if it tells nothing, -1 if it is none."""
    at = _spaces(data, at)
    if data[at] == _NEWLINE or data[at] == _RETURN:
        return 0
    if data[at] == _MORE:  # as some versions have it
        return 0
    if not _is(data, at, _CORE):
        return _BAD
    at = _decimal(data, _spaces(data, at + 4), value)
    if at < 0 or data[at] != _COLON:
        return _BAD
    mine = value[0] == u64(hart)
    at = _spaces(data, at + 1)
    first = data[at]
    if first == _MORE:  # a symbol
        return 0
    for n in range(row.shape[0]):
        row[n] = U0
    if first == _E:
        at = _spike_trap(data, at, value, row)
    elif first == _T:
        row[_row.KIND] = _kind.TVAL
        at = _prefixed(data, at + 5, value) if _is(data, at, _TVAL) else _BAD
        row[_row.ADDRESS] = value[0]
    elif first == _UPPER_E:
        row[_row.KIND] = _kind.REPEATED
        at = _decimal(data, at + 9, value) if _is(data, at, _EXECUTED) else _BAD
        row[_row.ADDRESS] = value[0]
    else:
        at = _spike_instruction(data, at, value, row)
    if at < 0 or not _blank(data[at]):
        return _BAD
    return 1 if mine else 0


@inlined
def _blank(byte):
    """Whether a word ends before `byte`."""
    return byte == _SPACE or byte == _NEWLINE or byte == _RETURN or byte == 9


@inlined
def _spike_instruction(data, at, value, row):
    """`0xADDRESS (0xWORD) ...`, with the privilege before it if it has retired."""
    row[_row.PRIV] = u64(255)
    if data[at] == _NEWLINE:
        return _BAD
    if data[at + 1] != _X:
        at = _decimal(data, at, value)
        if at < 0 or data[at] != _SPACE or value[0] > u64(7):
            return _BAD
        row[_row.KIND] = _kind.RETIRED
        row[_row.PRIV] = value[0]
        at += 1
    at = _prefixed(data, at, value)
    if at < 0:
        return _BAD
    row[_row.ADDRESS] = value[0]
    at = _spaces(data, at)
    if data[at] != _OPEN:
        return _BAD
    at = _prefixed(data, at + 1, value)
    if at < 0 or data[at] != _CLOSE or value[0] >> U32 != U0:
        return _BAD
    row[_row.WORD] = value[0]
    return at + 1


@inlined
def _spike_trap(data, at, value, row):
    """`exception trap_NAME, epc 0xADDRESS`, or `interrupt #NUMBER` for the name."""
    if not _is(data, at, _EXCEPTION):
        return _BAD
    at += _EXCEPTION.shape[0]
    if _is(data, at, _INTERRUPT):
        row[_row.KIND] = _kind.INTERRUPT
        at = _decimal(data, at + _INTERRUPT.shape[0], value)
        if at < 0:
            return _BAD
        row[_row.NAME] = value[0]
    else:
        row[_row.KIND] = _kind.EXCEPTION
        row[_row.NAME_AT] = u64(at)
        name = U0
        while data[at] != _COMMA and data[at] != _NEWLINE:
            name = (name ^ u64(data[at])) * _PRIME
            at += 1
        row[_row.NAME] = name
    if not _is(data, at, _EPC):
        return _BAD
    at = _prefixed(data, at + _EPC.shape[0], value)
    row[_row.ADDRESS] = value[0]
    return at


@inlined
def _execlog_line(data, at, hart, value, row):
    at = _spaces(data, at)
    if data[at] == _NEWLINE or data[at] == _RETURN:
        return 0
    at = _decimal(data, at, value)
    if at < 0 or data[at] != _COMMA:
        return _BAD
    mine = value[0] == u64(hart)
    at = _prefixed(data, _spaces(data, at + 1), value)
    if at < 0 or data[at] != _COMMA:
        return _BAD
    row[_row.ADDRESS] = value[0]
    at = _prefixed(data, _spaces(data, at + 1), value)
    if at < 0 or data[at] != _COMMA or value[0] >> U32 != U0:
        return _BAD
    row[_row.WORD] = value[0]
    row[_row.KIND] = _kind.RETIRED
    row[_row.PRIV] = u64(255)
    row[_row.NAME] = row[_row.NAME_AT] = U0
    at = _spaces(data, at + 1)
    if data[at] != _QUOTE:
        return _BAD
    return 1 if mine else 0


@njit
def simulator(data, state, value, rows, form):
    """Lines that a simulator writes in a `Form`; how many rows. `value`: room for one number."""
    filled = 0
    at = state[_state.AT]
    while at < data.shape[0] and filled < rows.shape[0]:
        state[_state.AT] = at
        if form == _form.SPIKE:
            found = _spike_line(data, at, state[_state.HART], value, rows[filled])
        else:
            found = _execlog_line(data, at, state[_state.HART], value, rows[filled])
        if found < 0:
            state[_state.WRONG] = 1
            return filled
        filled += found
        at = _line_end(data, at) + 1
        state[_state.LINE] += 1
    state[_state.AT] = at
    return filled


@njit
def numbers(data, state, value, rows, wanted):
    """Lines of hexadecimal numbers without 0x, commas between them; how many rows. `wanted`
    (int64): for each number of a line the column that it goes to, -1 for none. What follows in a
    line is not looked at; an empty one gives zeros, and no row where but one number is wanted.
    """
    filled = 0
    columns = wanted.shape[0]
    at = state[_state.AT]
    while at < data.shape[0] and filled < rows.shape[0]:
        state[_state.AT] = at
        at = _spaces(data, at)
        empty = data[at] == _NEWLINE or data[at] == _RETURN
        for n in range(columns):
            value[0] = U0
            if not empty:
                at = _spaces(data, at)
                at = _hex(data, at, value)
                if at >= 0:
                    at = _spaces(data, at)
                if at < 0 or not _ends(data[at], n + 1 < columns):
                    state[_state.WRONG] = 1
                    return filled
                if n + 1 < columns:
                    at += 1
            if wanted[n] >= 0:
                rows[filled, wanted[n]] = value[0]
        if not empty or columns > 1:
            filled += 1
        at = _line_end(data, at) + 1
        state[_state.LINE] += 1
    state[_state.AT] = at
    return filled


@inlined
def _ends(byte, more):
    """Whether a number may end with `byte`; `more`: another one must follow."""
    if byte == _COMMA:
        return True
    return not more and (byte == _NEWLINE or byte == _RETURN)


@njit
def line_ends(data):
    """How many lines end in `data`."""
    count = s64(0)
    for at in range(data.shape[0]):
        count += s64(data[at] == _NEWLINE)
    return count
