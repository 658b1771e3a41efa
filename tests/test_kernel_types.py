"""No kernel computes in floating point.

Numba makes a variable that is uint64 on one path and int64 on another a float64, without a word:
addresses above 2**53 are then wrong. The types of all that runs in one small recording, its
decoding and its check are inferred again and looked at.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from numba.core import types
from numba.core.analysis import dead_branch_prune
from numba.core.compiler import run_frontend
from numba.core.dispatcher import Dispatcher
from numba.core.postproc import PostProcessor
from numba.core.registry import cpu_target
from numba.core.ssa import reconstruct_ssa
from numba.core.typed_passes import type_inference_stage
from numba.core.typing import Signature

import etrace
from etrace.recording.filtering import Selection
from etrace.recording.sideband import Telling

ROOMS = {"etrace", "emu", "encoder", "decoder", "specs"}


def _kernels() -> dict[str, Dispatcher]:
    """Every compiled function of ours that is loaded, by module and name."""
    return {
        f"{kernel.py_func.__module__}.{kernel.py_func.__name__}": kernel
        for module in list(sys.modules.values())
        if module.__name__.split(".")[0] in ROOMS
        for kernel in list(vars(module).values())
        if isinstance(kernel, Dispatcher)
    }


def _floats(kernel: Dispatcher, arguments: tuple[types.Type, ...]) -> list[str]:
    """Variables of `kernel`, called with `arguments`, that are floating point."""
    context = cpu_target.typing_context
    context.refresh()
    cpu_target.target_context.refresh()
    code = run_frontend(kernel.py_func)
    dead_branch_prune(code, arguments)  # as the compiler does where an argument is None
    PostProcessor(code).run()
    code = reconstruct_ssa(code)
    inferred = type_inference_stage(
        context, cpu_target.target_context, code, [types.unliteral(a) for a in arguments], None
    )
    kinds = inferred.typemap.items()
    return [f"{name}: {kind}" for name, kind in kinds if isinstance(kind, types.Float)]


def _calls(seen: set[tuple[str, Signature]]) -> Iterator[tuple[str, Dispatcher, Signature]]:
    for name, kernel in _kernels().items():
        for signature in kernel.nopython_signatures:
            if (name, signature) not in seen:
                yield name, kernel, signature


def test_no_kernel_computes_in_floating_point(tmp_path: Path, firmware: Path) -> None:
    told = Telling(time="cycles", context_csr="mcontext", triggers=("notify@0x80000000",))
    output = tmp_path / "storm.etrace"
    wide = Selection(ranges=("0-0xffffffffffff",), interrupts=True)
    elf = firmware / "storm-rv64.elf"
    trace = etrace.record(elf, output=output, telling=told, selection=wide)
    assert trace.verify()
    seen: set[tuple[str, Signature]] = set()
    found = {}
    # inferring a kernel's types loads those that it calls, so there is more each time
    while calls := list(_calls(seen)):
        for name, kernel, signature in calls:
            seen.add((name, signature))
            floats = _floats(kernel, signature.args)
            if floats:
                found[name] = floats
    rooms = {name.split(".")[0] for name, _ in seen}
    assert {"emu", "encoder", "decoder", "specs"} <= rooms
    assert len(seen) > 50
    assert not found


def test_the_check_would_find_one() -> None:
    import numpy as np

    from specs.kernels.njit import njit

    @njit
    def mixed(a, b, which):  # type: ignore[no-untyped-def]
        return a if which else b

    assert mixed(np.uint64(1), np.int64(2), True) == 1
    (signature,) = mixed.nopython_signatures
    assert _floats(mixed, signature.args)
