# Ways to call a function at a known address, as pairs of instructions and as what is not quite one.
#include "board.h"

    .file "farcalls_ways.S"

    .option norelax

    .macro begin name
    .balign 2
    .type \name, @function
\name:
    addi sp, sp, -16
    REG_S ra, 0(sp)
    .endm

    .macro end
    REG_L ra, 0(sp)
    addi sp, sp, 16
    ret
    .endm

    .macro table name, functions:vararg
    .section .rodata
    .balign REG_BYTES
    .globl \name
\name:
    .irp function, \functions
#if __riscv_xlen == 64
    .dword \function
#else
    .word \function
#endif
    .endr
    .text
    .endm

    .text
# auipc and jalr, through ra and through another register.
begin auipc_ra
    call mix
    end
begin auipc_t0
1:  auipc t0, %pcrel_hi(mix)
    jalr ra, %pcrel_lo(1b)(t0)
    end
# A tail call: auipc and jalr without a link.
    .type auipc_tail, @function
auipc_tail:
    tail mix
# lui and jalr; the callee's return goes back through ra.
begin lui_t1
    lui t1, %hi(mix)
    jalr ra, %lo(mix)(t1)
    end
    .type lui_tail, @function
lui_tail:
    lui t2, %hi(mix)
    jalr zero, %lo(mix)(t2)
# The address is made of three instructions: the jump is not inferable from two.
begin three
1:  auipc t0, %pcrel_hi(mix)
    addi t0, t0, %pcrel_lo(1b)
    jalr ra, 0(t0)
    end
# The pair, entered at its second half every other time: then it is not retired as a pair.
begin half
    lui t1, %hi(mix)
    andi t0, a1, 1
    beqz t0, 2f
    lui t1, %hi(mix)
2:  jalr ra, %lo(mix)(t1)
    end

# Links that are no link registers by the calling convention; the callee returns through ra as ever.
begin link_t3
    la ra, 3f
    jal t3, 2f
2:  lui t1, %hi(mix)
    jalr t3, %lo(mix)(t1)
3:  end

# c.lui with c.jalr and with c.jr: far.ld asserts that low_add is at 0x10000.
begin compressed_call
    .option push
    .option rvc
    c.lui t1, 0x10
    c.jalr t1
    .option pop
    end
    .type compressed_tail, @function
compressed_tail:
    c.lui t1, 0x10
    c.jr t1
begin lui_low
    lui ra, %hi(low_add)
    jalr ra, %lo(low_add)(ra)
    end
# Another link register: a call by the rules of the specification.
begin link_t0
    la ra, 3f
    lui t0, %hi(low_add)
    jalr t0, %lo(low_add)(t0)
3:  end

# From x0: the target is in the instruction alone.
begin from_zero
    jalr ra, %lo(zero_xor)(zero)
    end
    .type from_zero_tail, @function
from_zero_tail:
    jalr zero, %lo(zero_xor)(zero)
begin from_lui_zero
    lui t1, 0
    jalr ra, %lo(zero_xor)(t1)
    end

    table ways_to_mix, auipc_ra, auipc_t0, auipc_tail, lui_t1, lui_tail, three, half, link_t3
    table ways_to_add, compressed_call, compressed_tail, lui_low, link_t0
    table ways_to_xor, from_zero, from_zero_tail, from_lui_zero
