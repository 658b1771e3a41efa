"""Debug triggers (RISC-V Debug 1.0, "Sdtrig"): what is where in tdata1, and which can be armed.

The hart has `COUNT` triggers of types 2 (mcontrol) and 6 (mcontrol6) that match the address of an
executed instruction and have a trace action. Whatever else is asked for (a load or store, a
breakpoint, a chain, an address range by mask) makes tdata1 read type 15, "disabled": that is how
software finds out.
"""

from specs.ingress import TRIGGER_NOTIFY, TRIGGER_OFF, TRIGGER_ON

#: Triggers that software finds through tselect. Those that are set from outside have no number.
COUNT = 4

#: Type, the top four bits of tdata1.
MCONTROL, MCONTROL6, DISABLED = 2, 6, 15

#: Fields that mcontrol and mcontrol6 have at the same bits of tdata1.
ACTION_SHIFT, MATCH_SHIFT, FIELD = 12, 7, 0xF
M, EXECUTE = 1 << 6, 1 << 2
#: All that may be set beside the type: action, match, m, execute.
CAN_BE_SET = FIELD << ACTION_SHIFT | FIELD << MATCH_SHIFT | M | EXECUTE
#: Bits that a write may set and that stay 0: s, u (no such modes), hit, dmode.
IGNORED_MCONTROL, IGNORED_MCONTROL6 = 1 << 20 | 3 << 3, 1 << 22 | 1 << 25 | 3 << 3 | 3 << 23

#: match: equal; greater or equal; less.
EQUAL, NOT_LESS, LESS = 0, 2, 3
#: action: the pulse on the trigger output (E-Trace 2.0, "Debug Module trigger support").
ACTIONS = {2: TRIGGER_ON, 3: TRIGGER_OFF, 4: TRIGGER_NOTIFY}

#: Types 2, 6 and 15; version 1 of Sdtrig.
TINFO = 1 << MCONTROL | 1 << MCONTROL6 | 1 << DISABLED | 1 << 24
