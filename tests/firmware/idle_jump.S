# `j .`, the shortest endless loop, left by a timer interrupt whose handler moves mepc past it;
# then a loop of two jumps, and one of a branch that is always taken.
#include "board.h"

    .file "idle_jump.S"

    .text
    .globl main
main:
    addi sp, sp, -16
    REG_S ra, 0(sp)
    la t0, alarm
    csrw mtvec, t0
    li t0, MIE_MTIE
    csrw mie, t0
    li s0, 20               # rounds, each waiting longer
    li s1, 1                # mtime units to wait
    li s3, CLINT_MTIME
    li s4, CLINT_MTIMECMP
    li t0, -1               # at reset it is 0 and the interrupt pending
    sw t0, 4(s4)
    csrsi mstatus, MSTATUS_MIE
round:
    la s2, 1f
    call set_alarm
    j .
1:  la s2, 2f
    call set_alarm
3:  j 4f
    nop
4:  nop
    j 3b
2:  la s2, 5f
    call set_alarm
6:  nop
    beqz zero, 6b
5:  addi s1, s1, 1
    addi s0, s0, -1
    bnez s0, round
    li a0, 0
    REG_L ra, 0(sp)
    addi sp, sp, 16
    ret

# The low halves are enough: the program is over long before mtime reaches 2**32.
set_alarm:
    lw t0, 0(s3)
    add t0, t0, s1
    sw t0, 0(s4)
    sw zero, 4(s4)
    ret

    .balign 4
alarm:
    csrw mepc, s2
    li t0, -1
    sw t0, 4(s4)
    mret
