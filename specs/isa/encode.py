"""From operands to an instruction word: what `decode` takes apart, for tests and generators."""

from specs.isa.decode import INDEX, decode
from specs.isa.formats import FORMATS
from specs.isa.tables import ENTRIES


def encode(name: str, *, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> int:
    """The word of the instruction `name` with operands as `decode` gives them.

    Implied registers may be left out. Bits that are no operand here (aq, rl) are zero. Raises
    KeyError for an unknown name, ValueError for operands that this encoding cannot hold.
    """
    entry = ENTRIES[INDEX[name]]
    layout = FORMATS[entry.format]
    word = entry.match
    for register, number in ((layout.rd, rd), (layout.rs1, rs1), (layout.rs2, rs2)):
        near = number - 8 if register.is_saved and number > 15 else number
        word |= (max(near - register.offset, 0) & register.mask) << register.shift
    for segment in layout.imm:
        word |= (imm >> segment.left & segment.mask) << segment.shift
    back = decode(word, entry.selections[-1])
    if back is None or back.name != name or back.imm != imm:
        raise ValueError(f"{name}: imm {imm} is not possible with these registers")
    for what, register, given, got in (
        ("rd", layout.rd, rd, back.rd),
        ("rs1", layout.rs1, rs1, back.rs1),
        ("rs2", layout.rs2, rs2, back.rs2),
    ):
        if given != got and (register.mask or given):
            raise ValueError(f"{name}: {what} cannot be {register.file}{given}")
    return word
