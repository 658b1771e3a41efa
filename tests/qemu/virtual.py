"""Sequences of all extensions in S mode, with paging: neighbouring pages are not neighbours in
memory, and windows lie across their borders.
"""

import random

from tests.qemu.image import DATA, DATA_SIZE, FS_DIRTY, Image
from tests.qemu.paging import PAGE, SCHEMES, SV32, A, D, R, Tables, V, W
from tests.qemu.privileged import MPP, S, new_image
from tests.qemu.sequences import WINDOW, datum, fill, registers

#: Where the data is mapped.
_VIRTUAL = 0x4000_0000
_PAGES = 64
_KIND = "mixed"


def image(kind: str, seed: int, xlen: int, count: int) -> Image:
    rng = random.Random(f"{kind} {seed} {xlen}")
    made = new_image(xlen, floating=True)
    scheme = rng.choice(SCHEMES[xlen])
    tables = Tables(made, scheme, DATA + DATA_SIZE // 2, reserved=False)
    tables.map_code()
    frames = [DATA + PAGE * n for n in range(_PAGES)]
    rng.shuffle(frames)
    for number, frame in enumerate(frames):
        at = tables.path(_VIRTUAL + PAGE * number, 0)
        assert at is not None
        tables.put(at, frame >> 12 << 10 | V | R | W | rng.choice((0, A, A | D)))
        for offset in range(0, PAGE, 8):
            made.write(frame + offset, datum(rng, _KIND))
    satp = scheme.mode << (31 if scheme is SV32 else 60) | tables.root >> 12
    for number in range(count):
        if made.full:
            break
        # half of a window on each side of a border
        window = _VIRTUAL + PAGE * rng.randrange(1, _PAGES) - WINDOW // 2
        sequence = fill(rng, _KIND, xlen, window)
        given = registers(rng, _KIND, sequence)
        # mret's way leaves x30 zero; sequences count on their pointers
        if 30 in sequence.fixed:
            continue
        csrs = {"satp": satp, "mstatus": S * MPP | FS_DIRTY}
        note = f"{scheme.name} {number} {window:#x}"
        made.case(note, sequence.words(), skip=True, csrs=csrs, **given)
    return made
