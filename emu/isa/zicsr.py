"""CSR instructions, with a register or an immediate."""

from emu.isa.kinds import csr, csr_write


@csr_write("csrrw", "csrrwi")
def csrrw(old, b):
    return b


@csr("csrrs", "csrrsi")
def csrrs(old, b):
    return old | b


@csr("csrrc", "csrrci")
def csrrc(old, b):
    return old & ~b
