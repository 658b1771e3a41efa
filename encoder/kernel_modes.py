"""Kernel: references in, bytes out, with optional modes on (docs/modes.md).

A module of its own, imported where a mode is on: others need not compile
`encoder.algorithm.plain_modes`.
"""

from encoder.algorithm.plain import is_plain
from encoder.algorithm.plain_modes import encode_plain_modes
from encoder.kernel import ERROR, ERROR_REF, MARGIN, START, take
from specs.kernels.njit import njit
from specs.kernels.words import u64


@njit
def encode_with_modes(
    layout,
    framing,
    options,
    state,
    memory,
    queue,
    segments,
    words,
    refs,
    start,
    blocks,
    traps,
    sidebands,
    out,
):
    """As `encoder.kernel.encode`."""
    position = START
    room = out.shape[0] - MARGIN
    i = start
    end = refs.shape[0] if start >= 0 else start + 1
    error = 0
    while i < end and position <= room:
        if i >= 0 and is_plain(framing, options, state):
            i, position = encode_plain_modes(
                framing, options, state, memory, segments, refs, i, blocks, out, position
            )
            if i == end or position > room:
                break
        error, position = take(
            layout,
            framing,
            options,
            state,
            memory,
            queue,
            segments,
            words,
            refs,
            i,
            blocks,
            traps,
            sidebands,
            out,
            position,
        )
        if error != 0:
            break
        i += 1
    state[ERROR] = u64(error)
    state[ERROR_REF] = u64(i)
    return i - start, position
