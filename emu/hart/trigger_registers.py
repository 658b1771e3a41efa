"""Debug triggers (RISC-V Debug 1.0, "Sdtrig"): what is where in tdata1, and which can be armed.

The hart has `COUNT` triggers of types 2 (mcontrol) and 6 (mcontrol6) that match the address of an
executed instruction, of a load or of a store, and raise a breakpoint exception or have a trace
action. What is not there (values of data, chains, masks) makes tdata1 read type 15, "disabled":
that is how software finds out. Fields of modes that the hart lacks stay 0.
"""

from specs.interfaces.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON
from specs.isa.privilege import Privilege

#: Triggers that software finds through tselect. Those that are set from outside have no number.
COUNT = 4

#: Type, the top four bits of tdata1.
MCONTROL, MCONTROL6, DISABLED = 2, 6, 15

#: Fields that mcontrol and mcontrol6 have at the same bits of tdata1.
ACTION_SHIFT, CHAIN_SHIFT, MATCH_SHIFT, SIZE_SHIFT, FIELD = 12, 11, 7, 16, 0xF
M, S, U, EXECUTE, STORE, LOAD = (1 << bit for bit in (6, 4, 3, 2, 1, 0))
ACCESSES = EXECUTE | STORE | LOAD
#: Bits that keep what is written where the trigger is legal, beside size and hit.
KEPT = FIELD << ACTION_SHIFT | FIELD << MATCH_SHIFT | M | ACCESSES
#: By privilege level: the bit that has the trigger match there, kept where there is that level.
OF_LEVEL = {Privilege.M: M, Privilege.S: S, Privilege.U: U}
#: Of mcontrol: size (its upper two bits on RV64 only), select, hit, and maskmax below the top.
SIZELO, SIZEHI_SHIFT, SELECT_2, HIT_2, MASKMAX_BELOW = 3, 21, 1 << 19, 1 << 20, 11
#: Of mcontrol6: size, select, and the lower bit of hit: 1, "before". The upper one is 0.
SIZE_6, SELECT_6, HIT_6 = 7, 1 << 21, 1 << 22

#: match: equal; a naturally aligned power of two; greater or equal; less.
EQUAL, NAPOT, NOT_LESS, LESS = range(4)
#: action: a breakpoint exception; entering debug mode, which there is not ("hardware should clear
#: the action field"); the pulse on the trigger output (E-Trace 2.0, "Debug Module trigger
#: support").
BREAKPOINT_ACTION, DEBUG_MODE_ACTION = 0, 1
ACTIONS = {2: TRIGGER_ON, 3: TRIGGER_OFF, 4: TRIGGER_NOTIFY}
#: size: bytes of the accesses that match, 0: any. (5: 64 bits, RV64 only.)
SIZES = {0: 0, 1: 1, 2: 2, 3: 4, 5: 8}

#: What a trigger does, made of tdata1; 0: it cannot fire. The pulse or BREAK in bits 0-3, match
#: from MATCH_AT on, the accesses (as in tdata1) from ACCESSES_AT on, bytes (0: any) from BYTES_AT,
#: the levels (as in tdata1) from LEVELS_AT.
BREAK, MATCH_AT, ACCESSES_AT, BYTES_AT, LEVELS_AT = 8, 8, 16, 24, 32
#: All levels.
EVERYWHERE = M | S | U

#: What `firing` adds where a trigger of the hart's own matches: it is for the run to look again,
#: for breakpoints depend on mstatus and hits are noted in tdata1.
LOOK = 8

#: Types 2, 6 and 15; version 1 of Sdtrig.
TINFO = 1 << MCONTROL | 1 << MCONTROL6 | 1 << DISABLED | 1 << 24


def what(pulse: int, accesses: int) -> int:
    """What a trigger does that gives `pulse` at any of `accesses` to an address."""
    return pulse | EQUAL << MATCH_AT | accesses << ACCESSES_AT | EVERYWHERE << LEVELS_AT
