"""The hart's state: one uint64 array, `cpu`, that every kernel takes as its only state.

Registers, CSRs, the bounds of the current slice and host pointers to all tables are slots of it. A
raw array (not a jitclass or a NamedTuple): attribute reads cost ten times as much in kernels.
"""

#: x0..x31, a write-only slot for rd = x0, and one for what lies between the micro-operations of one
#: instruction. RV32 keeps registers sign-extended to 64 bits.
X, SINK, TEMPORARY = 0, 32, 33
#: f0..f31, of 64 bits each: narrower values are NaN-boxed. (A micro-operation names a slot by a
#: byte: registers are below 256.)
F = 64

(
    PC,  # the next instruction, when `IP` is 0; bit 0: see SEQUEL
    IP,  # host pointer to the next micro-operation, 0: look `PC` up
    LEFT,  # instructions until the slice ends (int64); at a block's start
    GOAL,  # instructions retired when LEFT is 0
    RETIRED,  # instructions retired, valid while no slice runs
    BUDGET,  # stop when RETIRED is this
    RETURN_AT,  # return to Python when RETIRED is this or more
    XLEN,
    ADDRESS_MASK,
    EPC_MASK,  # the bits of mepc that are not always zero
    ALIGN_MASK,  # the bits of a jump target that must be zero, beside bit 0
    PRIV,
    # recording
    REFS,  # host pointer to the next reference
    REFS_END,
    REF_STEP,  # 4, or 0: nothing is recorded
    BLOCKS,  # table of ingress.BLOCK
    BLOCK_COUNT,
    BLOCK_LIMIT,
    TRAPS,  # table of ingress.TRAP
    TRAP_COUNT,
    TRAP_LIMIT,
    # translations
    ARENA,
    ARENA_TOP,
    ARENA_END,
    SIDE,  # 8 bytes a slot of the arena: where in its block it is; its partial block
    HASH,  # pc -> ip
    USED,  # the used entries of it
    USED_COUNT,
    JUMPS,  # cache of indirect targets
    FLUSHES,
    # memory
    TLB,
    REGIONS,
    REGION_COUNT,
    # the trap in hand
    CAUSE,
    TVAL,
    STUCK,  # traps in a row with nothing retired between
    LAST_TRAP,  # RETIRED at the last trap, plus 1
    # CLINT and host interface
    MSIP,
    MTIMECMP,
    TIME_OFFSET,  # mtime = RETIRED // INSTRUCTIONS_PER_TICK + TIME_OFFSET
    TOHOST,  # guest address, all ones: none
    HOST,  # 1: tohost was written
    INSTRET_OFFSET,  # minstret = RETIRED + INSTRET_OFFSET, while it counts
    CYCLE_OFFSET,
    RESERVED,  # LR's address with the access size in the low bits, all ones: none
    MSIP_SINCE,  # RETIRED when msip was set
    TIMER_SINCE,  # RETIRED when MTIP rose, or will rise
    SEMIHOSTING,  # 1: a marked ebreak is a host call
    # side band
    MARKS,  # a word for each row of BLOCKS, see MARK_COUNT_BITS
    MARKED,  # blocks of the table at which a trigger fires, and loads and stores where one did
    NOTES,  # host pointer to notes for the side band, 0: nobody wants them
    NOTE_COUNT,
    NOTE_LIMIT,
    CONTEXT_TYPE,  # ctype of what is written to the context CSR
    TRIGGERS,  # host pointer to the triggers' rows
    TRIGGER_COUNT,
    ARMED,  # accesses at which a trigger can fire, as in tdata1
    FIRING,  # what fires with the instruction in hand, see triggers.matched
    STALE,  # 1: the triggers have changed, translations are to be forgotten
    # windows
    EDGE,  # a block ends where RETIRED is this, and `drive` returns to Python
    REST,  # instructions left of a block that ended there for no other reason, 0: none
    HANDLING,  # 1: no xRET since the last trap, which was none that the program asked for (ecall)
    SUCCESSORS,  # by row of BLOCKS, see ingress.Chunk; 0: nobody wants them
    # privilege and translation (`emu.hart.modes`)
    HAS,  # HAS_S ...
    SELECTION,  # which encodings instructions have, as `specs.isa.decode` takes it
    MODE,  # what translated code depends on, MODE_PRIV ...
    COOKIE,  # the same, as it tells entries of JUMPS apart
    FETCH_TLB,  # pages of code, see `emu.hart.fetch`
    TLBS,  # host pointer to the data TLBs, one after another; TLB is the one in use
    TLBS_USED,  # bit i: something may be in number i
    TRANSIENT,  # 1: the block that `block_at` gave is not to be entered again
    FCSR,  # frm and fflags
    STIMECMP,
    STIMER_SINCE,  # RETIRED when STIP rose by stimecmp, or will rise
    MIP_STORED,  # the bits of mip that software sets: SSIP, STIP, SEIP
    MIP_SINCE,  # RETIRED when one of these was last set
    PMP,  # host pointer to the decoded entries of physical memory protection
    PMP_COUNT,
    CONTEXT_CSR,  # address of the CSR whose writes are the context, all ones: none
    PHYSICAL,  # where the address last translated leads
    # code that the program files do not explain (`emu.hart.contents`)
    CODE_ROWS,  # host pointer to rows of ingress.CODE, 0: nobody wants them
    CODE_COUNT,
    CODE_LIMIT,
    CODE_PAGES,  # the pages that they are about
    HOST_CALLS,
    KNOWN,  # what was told, by page
    KNOWN_COUNT,
    KNOWN_PAGES,
    EXPLAINED,  # stretches of the program files: rows as of REGIONS
    EXPLAINED_COUNT,
    STALE_BARE,  # 1: blocks of physical addresses are to be compared again
) = range(96, 96 + 91)

#: Traps taken: exceptions by cause, then interrupts by cause.
EXCEPTION_COUNTS, INTERRUPT_COUNTS = 256, 320
#: The event in hand, as `specs.interfaces.events.EVENT`; its kind is 0 while there is none.
(
    EVENT_KIND,
    EVENT_HART,
    EVENT_FROM,
    EVENT_TO,
    EVENT_CAUSE,
    EVENT_TVAL,
    EVENT_PRIV_BEFORE,
    EVENT_PRIV_AFTER,
    EVENT_INSTRET,
    EVENT_TIME,
    EVENT_PENDING_SINCE,
    # hooks
    EVENT_KINDS,  # kinds that any hook wants
    EVENT_RETURNS,  # kinds that are delivered by Python
    EVENT_HOOKS,  # compiled hooks: host pointer to the first row
    EVENT_HOOK_COUNT,
    RETIRE_HOOKS,
    RETIRE_HOOK_COUNT,
    DELIVERED,  # host pointer to the first reference that the retirement hooks have not seen
) = range(384, 384 + 18)
#: Passages (`emu.hart.passages`).
(
    STEP,  # of REFS in the hot loop: REF_STEP, or 0 while it keeps a passage
    OPEN,  # 1: a passage is
    REACHED,  # instructions retired up to the last block of the passage
    BRANCH_MAP,  # of its last section, as `ingress.RECORD.map`
    RECORDS,  # host pointer to the next ingress.RECORD
    RECORDS_END,
    RECORD_STEP,  # 16, or 0: no passage is kept
    RECORD_TABLE,
    FIRST_RECORD,  # of the passage that is open
    FIRST_ROW,  # its first block's reference
    BEGUN,  # RETIRED before it
    PASSAGES,  # table of ingress.PASSAGE, 0: there are to be none
    PASSAGE_COUNT,
    PASSAGE_LIMIT,
) = range(402, 402 + 14)
#: Several harts (`emu.hart.turns`).
(
    HARTS,  # how many
    CPUS,  # host pointer to that of hart 0; those of the others follow
    WAITS,  # what it waits in, IN_WFI or IN_LOOP, for an interrupt; 0: it does not
    WAITS_SINCE,  # mtime when it began to
    TIMERS_UP,  # which timers were up at the end of its last turn (`interrupts.timers_up`)
) = range(416, 416 + 5)
IN_WFI, IN_LOOP = 1, 2
MAX_HARTS = 8
#: Instructions of a hart's turn, where there are several; and the least, so that a loop of LR and
#: SC as Zalrsc has it (16 instructions) gets to its end in one.
QUANTUM, MIN_QUANTUM, MAX_QUANTUM = 10_000, 64, 1 << 32

#: A compiled hook: its machine code, its user pointer, its kinds.
HOOK_BYTES = 24

#: By CSR address: how it behaves, which bits can be written, and the stored value.
CSR_KIND, CSR_MASK, CSR_VALUE = 512, 512 + 4096, 512 + 8192
SIZE = 512 + 3 * 4096

MHARTID = CSR_VALUE + 0xF14
MSTATUS, MISA, MIE, MTVEC = (CSR_VALUE + a for a in (0x300, 0x301, 0x304, 0x305))
MEDELEG, MIDELEG, MCOUNTEREN, MENVCFG = (CSR_VALUE + a for a in (0x302, 0x303, 0x306, 0x30A))
STVEC, SCOUNTEREN, SENVCFG = (CSR_VALUE + a for a in (0x105, 0x106, 0x10A))
SEPC, SCAUSE, STVAL, SATP = (CSR_VALUE + a for a in (0x141, 0x142, 0x143, 0x180))
MSECCFG, JVT = CSR_VALUE + 0x747, CSR_VALUE + 0x017
MCOUNTINHIBIT = CSR_VALUE + 0x320
MEPC, MCAUSE, MTVAL = (CSR_VALUE + a for a in (0x341, 0x342, 0x343))
MCYCLE, MINSTRET = CSR_VALUE + 0xB00, CSR_VALUE + 0xB02

#: Spike's default ratio of instructions to ticks of mtime.
INSTRUCTIONS_PER_TICK = 100
#: Instructions; more than any run executes.
ALL_OF_TIME = 1 << 60
#: Longest block, in instructions: bounds the latency of interrupts.
MAX_BLOCK = 64

#: TLB entry: 32 bytes (read tag, write tag, host minus guest address, unused), 4 KiB pages.
TLB_ENTRIES, TLB_ENTRY_BYTES, PAGE_BITS = 1024, 32, 12
#: No access has this tag: bit 11 is masked out of every comparison.
NO_TAG = 0x800
#: Cache of the targets of jumps: 16 bytes an entry (pc xor COOKIE, ip). What is not there has an
#: address that no jump leads to in any mode.
JUMP_ENTRIES, NO_JUMP = 4096, 1 << 62 | 1
#: 32 bytes each: pc, mode and physical page, ip, and, where the instruction crosses into a second
#: page, that one's physical address plus 1; at most half of them are used.
HASH_ENTRIES, HASH_ENTRY_BYTES = 1 << 19, 32
#: Pages of code: 32 bytes each (page and mode, host pointer, physical page, unused).
FETCH_ENTRIES, FETCH_ENTRY_BYTES = 256, 32
#: Data TLBs: of M-mode, of S-mode without and with SUM, of U-mode.
TLB_M, TLB_S, TLB_SUM, TLB_U, TLB_COUNT = range(5)

#: What a hart has (HAS).
HAS_S, HAS_U, HAS_F, HAS_C = 1, 2, 4, 8

#: What code is translated for (MODE): the privilege level in the lowest two bits; whether
#: addresses are virtual; what mstatus.FS says; whether frm holds no rounding mode.
MODE_PRIV, MODE_VIRTUAL, MODE_FS_SHIFT, MODE_NO_FRM = 3, 4, 3, 32
#: mstatus.FS as it matters there: off; on, and not yet dirty; dirty.
FS_OFF, FS_CLEAN, FS_DIRTY = range(3)
#: MODE is xor'ed to the bits of an address above those that tell addresses apart, from here on:
#: bits 57 to 62 of an instruction's address are all the same.
COOKIE_SHIFT = 57
ARENA_BYTES = 32 << 20

#: Pages of code of which something was told: 32 bytes each; at most half of them are used.
KNOWN_ENTRIES, KNOWN_BYTES = 1 << 16, 32

#: A region: 32 bytes (base, end, host pointer of base, 1 if writable).
REGION_BYTES = 32

#: Bit 0 of a block's address: the instruction before it has just retired, and makes the jump that
#: the block begins with sequentially inferable. (Blocks end between the two at their longest, at
#: budgets and at triggers.)
SEQUEL = 1

#: A block's mark: instructions, cycles, then `SIDEBAND.trigger`.
MARK_CYCLES_SHIFT, MARK_TRIGGER_SHIFT, MARK_FIELD = 16, 32, 0xFFFF
#: A place in a block (`places.position`): cycles before it, number of the partial block.
PLACE_LAST_MASK, PLACE_CYCLES_SHIFT, PLACE_CYCLES_MASK, PLACE_INDEX_SHIFT = 3, 26, 0xFFF, 38
#: A note: three words (from which number of retired instructions on; what, with the ctype in bits
#: 8 and 9; value).
NOTE_WORDS = 3
NOTE_CONTEXT, NOTE_TIME_OFFSET, NOTE_WAITED = range(3)
#: A trigger: three words (tdata1, tdata2, what `triggers.armed` makes of tdata1).
TRIGGER_BYTES = 24

#: Why the hot loop left, and why `drive` returned.
(
    SLICE_OVER,
    TRAPPED,
    RESOLVING,
    INDIRECT,
    LEFT_BLOCK,
    HOST_REQUEST,
    BUFFERS_FULL,
    BUDGET_OVER,
    TRAP_LOOP,
    PAUSED,
    EVENT_RAISED,  # Python is to deliver the event in hand
    HOST_CALLED,  # PC is at an ebreak that is a host call
    ENDLESS_LOOP,  # PC is at a jump to itself, WFI_FOREVER: at a wfi, and no interrupt can come
    WFI_FOREVER,
    WFI_WAITS,  # of several harts: behind a wfi, until an interrupt is pending
) = range(15)

#: CAUSE of what is no trap: the block ends behind a store to a device.
BLOCK_ENDS = (1 << 64) - 1
