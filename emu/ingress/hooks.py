"""Who is told of events and of what retires, in order of registration.

A hook is a Python callable or compiled code: a `numba.cfunc` of the signature below, or a function
that Numba compiles, which is compiled for it. Compiled hooks are called inside the loop,
without the interpreter's lock, as long as no Python hook wants the same event: else all of them are
called by Python, so that the order holds. They must not raise (Numba prints such an error and goes
on) and may change nothing but what `user` points to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

from emu.hart import state
from emu.hart.events import call_event_hook, call_retire_hook
from specs.interfaces.events import ALL_KINDS, EVENT, Kind, from_words
from specs.interfaces.ingress import BLOCK, TRAP, Chunk


def _pointer(dtype: np.dtype[np.void]) -> Any:
    return types.CPointer(numba.from_dtype(dtype))


_WORDS = types.CPointer(types.uint64)

#: void(event, registers, user): an `specs.interfaces.events.EVENT`; x0..x31; the words of `user`.
#: Use `numba.carray(event, 1)[0].cause`.
DISCONTINUITY = types.void(_pointer(EVENT), _WORDS, _WORDS)

#: void(refs, count, blocks, traps, user): `count` references into the tables, as in
#: `specs.interfaces.ingress.Chunk`, but never to a side band; the words of `user`.
RETIREMENT = types.void(
    types.CPointer(types.uint32), types.uint64, _pointer(BLOCK), _pointer(TRAP), _WORDS
)

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Hook:
    """`code`: what is called, None for compiled code; `row`: that one's, see emu/state."""

    kinds: int  # a flag's own operators cost more than the rest of an event
    code: Callable[[Any], object] | None
    row: Words

    @property
    def pointer(self) -> np.uint64:
        return np.uint64(self.row.ctypes.data)


class Hooks:
    """The hooks of a machine, and their tables in each hart's `cpu`."""

    def __init__(self, cpus: Sequence[Words]) -> None:
        self._cpus = cpus
        self._events: list[_Hook] = []
        self._retire: list[_Hook] = []
        self._keep: list[object] = []

    @property
    def want_retired(self) -> bool:
        """Whether anyone wants what retires."""
        return bool(self._retire)

    def on_discontinuity(self, callback: Any, kinds: Kind, user: Words | None) -> None:
        """See `Machine.on_discontinuity`."""
        if not kinds or int(kinds) & ~int(ALL_KINDS):
            raise ValueError(f"kinds {kinds!r}: expected some of {ALL_KINDS!r}")
        self._events.append(self._hook(callback, DISCONTINUITY, int(kinds), user))
        self._enter()

    def on_retire(self, callback: Any, user: Words | None) -> None:
        """See `Machine.on_retire`."""
        hook = self._hook(callback, RETIREMENT, int(ALL_KINDS), user)
        if hook.code is None and len(self._cpus) > 1:
            raise TypeError(
                "compiled retirement hooks are not told which hart it is: with several harts take "
                "a Python callable, and its chunk's `hart`"
            )
        self._retire.append(hook)
        self._enter()

    def event(self, cpu: Words, chunk: Chunk | None) -> None:
        """Call all hooks for the event in hand; first those for `chunk`, which retired before."""
        words = cpu[state.EVENT_KIND : state.EVENT_PENDING_SINCE + 1].tolist()
        event = from_words(words)
        try:
            self.retired(cpu, chunk)
            for hook in self._events:
                if hook.kinds & words[0]:
                    if hook.code is None:
                        call_event_hook(cpu, hook.pointer)
                    else:
                        hook.code(event)
        finally:
            cpu[state.EVENT_KIND] = 0

    def retired(self, cpu: Words, chunk: Chunk | None) -> None:
        """Call all hooks for `chunk`: the references that were not delivered yet."""
        if chunk is None:
            return
        try:
            for hook in self._retire:
                if hook.code is None:
                    call_retire_hook(cpu, hook.pointer)
                else:
                    hook.code(chunk)
        finally:
            cpu[state.DELIVERED] = cpu[state.REFS]

    def _hook(self, callback: Any, signature: Any, kinds: int, user: Words | None) -> _Hook:
        row = np.zeros(state.HOOK_BYTES // 8, np.uint64)
        if user is not None and (user.dtype != np.uint64 or not user.flags.c_contiguous):
            raise TypeError("user: expected a contiguous array of uint64")
        if isinstance(callback, Dispatcher):
            callback = numba.cfunc(signature)(callback.py_func)
        if not isinstance(callback, CFunc):
            if not callable(callback):
                raise TypeError(f"{callback!r} cannot be called")
            if user is not None:
                raise TypeError("user: only for compiled hooks")
            return _Hook(kinds, callback, row)
        compiled: Any = callback
        if compiled._sig != signature:
            raise TypeError(f"cfunc of {compiled._sig}, expected {signature}")
        self._keep += [compiled, user]
        row[:] = [compiled.address, 0 if user is None else user.ctypes.data, kinds]
        return _Hook(kinds, None, row)

    def _enter(self) -> None:
        kinds = returns = 0
        for hook in self._events:
            kinds |= hook.kinds
            if hook.code is not None:
                returns |= hook.kinds
        if any(hook.code is not None for hook in self._retire):
            returns = int(ALL_KINDS)
        for cpu in self._cpus:
            cpu[state.EVENT_KINDS], cpu[state.EVENT_RETURNS] = kinds, returns
        for hooks, at, count in (
            (self._events, state.EVENT_HOOKS, state.EVENT_HOOK_COUNT),
            (self._retire, state.RETIRE_HOOKS, state.RETIRE_HOOK_COUNT),
        ):
            rows = [hook.row for hook in hooks if hook.code is None]
            table = np.concatenate(rows) if rows else np.zeros(0, np.uint64)
            self._keep.append(table)
            for cpu in self._cpus:
                cpu[at], cpu[count] = table.ctypes.data, len(rows)
