# Reset and exit, and the trap entry that C programs may point mtvec at.
#include "board.h"

    .file "crt.S"

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    la t0, __bss_start
    la t1, __bss_end
1:  bgeu t0, t1, 2f
    REG_S zero, 0(t0)
    addi t0, t0, REG_BYTES
    j 1b
2:  la t0, stray_trap
    csrw mtvec, t0
    call main

# HTIF: (code << 1) | 1 in tohost ends the run. On RV32 the low word comes first.
    .globl exit
exit:
    slli a0, a0, 1
    ori a0, a0, 1
    la t0, tohost
1:  REG_S a0, 0(t0)
#if __riscv_xlen == 32
    sw zero, 4(t0)
#endif
    j 1b

    .balign 4
stray_trap:
    li a0, 99
    j exit

    .text
    .balign 4
    .weak trap_entry
trap_entry:
    addi sp, sp, -16 * REG_BYTES
    .set .Lslot, 0
    .irp reg, ra, t0, t1, t2, a0, a1, a2, a3, a4, a5, a6, a7, t3, t4, t5, t6
    REG_S \reg, .Lslot * REG_BYTES(sp)
    .set .Lslot, .Lslot + 1
    .endr
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    mv a3, sp
    call on_trap
    csrw mepc, a0
    .set .Lslot, 0
    .irp reg, ra, t0, t1, t2, a0, a1, a2, a3, a4, a5, a6, a7, t3, t4, t5, t6
    REG_L \reg, .Lslot * REG_BYTES(sp)
    .set .Lslot, .Lslot + 1
    .endr
    addi sp, sp, 16 * REG_BYTES
    mret

    .weak on_trap
on_trap:
    j stray_trap

    .section .htif, "aw"
    .balign 64
    .globl tohost
tohost: .dword 0
    .balign 64
    .globl fromhost
fromhost: .dword 0
