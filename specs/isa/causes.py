"""Causes of traps (privileged architecture: "Machine Cause Register", "Supervisor Cause Register").

Names are the manual's. The interrupt bit of xcause is not part of a cause here: E-Trace sends it
as a field of its own.
"""

EXCEPTIONS: dict[int, str] = {
    0: "instruction address misaligned",
    1: "instruction access fault",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load address misaligned",
    5: "load access fault",
    6: "store/AMO address misaligned",
    7: "store/AMO access fault",
    8: "environment call from U-mode",
    9: "environment call from S-mode",
    10: "environment call from VS-mode",
    11: "environment call from M-mode",
    12: "instruction page fault",
    13: "load page fault",
    15: "store/AMO page fault",
    16: "double trap",
    18: "software check",
    19: "hardware error",
    20: "instruction guest-page fault",
    21: "load guest-page fault",
    22: "virtual instruction",
    23: "store/AMO guest-page fault",
}

INTERRUPTS: dict[int, str] = {
    1: "supervisor software interrupt",
    2: "virtual supervisor software interrupt",
    3: "machine software interrupt",
    5: "supervisor timer interrupt",
    6: "virtual supervisor timer interrupt",
    7: "machine timer interrupt",
    9: "supervisor external interrupt",
    10: "virtual supervisor external interrupt",
    11: "machine external interrupt",
    12: "supervisor guest external interrupt",
    13: "counter-overflow interrupt",
}

INSTRUCTION_ADDRESS_MISALIGNED = 0
INSTRUCTION_ACCESS_FAULT = 1
ILLEGAL_INSTRUCTION = 2
BREAKPOINT = 3
LOAD_ADDRESS_MISALIGNED = 4
LOAD_ACCESS_FAULT = 5
STORE_ADDRESS_MISALIGNED = 6
STORE_ACCESS_FAULT = 7
ECALL_FROM_U = 8
ECALL_FROM_S = 9
ECALL_FROM_VS = 10
ECALL_FROM_M = 11

INSTRUCTION_PAGE_FAULT = 12
LOAD_PAGE_FAULT = 13
STORE_PAGE_FAULT = 15

SUPERVISOR_SOFTWARE_INTERRUPT = 1
MACHINE_SOFTWARE_INTERRUPT = 3
SUPERVISOR_TIMER_INTERRUPT = 5
MACHINE_TIMER_INTERRUPT = 7
SUPERVISOR_EXTERNAL_INTERRUPT = 9
MACHINE_EXTERNAL_INTERRUPT = 11


def cause_name(cause: int, interrupt: bool) -> str:
    """What a trap was; a reserved or custom cause is `exception N` or `interrupt N`."""
    if interrupt:
        return INTERRUPTS.get(cause, f"interrupt {cause}")
    return EXCEPTIONS.get(cause, f"exception {cause}")
