"""Words that are hardly instructions: encodings with a bit or two flipped. Which are illegal?

The hart is restricted to what QEMU has.
"""

import random

from specs.isa.tables import ENTRIES
from tests.qemu.image import DATA, Image
from tests.qemu.sequences import KINDS, LENGTH, WINDOW, alternatives, registers
from tests.qemu.sequences import Window as Sequence

ISA = (
    "rv{}imafdc_zicsr_zifencei_zicntr_zihpm_zba_zbb_zbc_zbs_zbkb_zbkc_zbkx_zfh_"
    "svinval_svnapot_svpbmt_sstc"
)
#: Major opcodes that neither jump nor touch memory: OP, OP-IMM, OP-32, OP-IMM-32, OP-FP, FMADD ...
_PLAIN = frozenset({0x33, 0x13, 0x3B, 0x1B, 0x53, 0x43, 0x47, 0x4B, 0x4F})
#: AMO and the loads and stores of f registers, whose address is a pointer's.
_ATOMIC = 0x2F


def _word(rng: random.Random, matches: list[tuple[int, int]], sequence: Sequence) -> int | None:
    match, mask = rng.choice(matches)
    found = match | rng.getrandbits(32) & ~mask & 0xFFFF_FFFF
    for _ in range(rng.randrange(3)):
        found ^= 1 << rng.randrange(7, 32)
    if found & 0x7F == _ATOMIC:
        found = found & ~(31 << 15) | rng.choice(sorted(sequence.bases)) << 15
    if found & 0x7F == _ATOMIC and found >> 28 & 1:  # LR and SC: `known`
        return None
    if found >> 7 & 31 in sequence.fixed:
        return None
    return found


def image(kind: str, seed: int, xlen: int, count: int) -> Image:
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = Image(xlen, floating=True)
    matches = [
        (e.match, e.mask)
        for e in ENTRIES
        if e.match & 0x7F in _PLAIN | {_ATOMIC}
        and any(has <= KINDS["mixed"] for has in alternatives(e))
        and not e.name.startswith(("lr.", "sc.", "ctzw"))
    ]
    for number in range(count):
        if made.full:
            break
        window = DATA + WINDOW * number
        sequence = Sequence(rng, xlen, window)
        while len(sequence.parts) < LENGTH:
            drawn = _word(rng, matches, sequence)
            if drawn is not None:
                sequence.parts.append([drawn])
        given = registers(rng, "mixed", sequence)
        made.case(f"{number}", sequence.words(), skip=True, **given)
    return made
