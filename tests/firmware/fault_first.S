# Handlers whose first instruction traps. mtvec is vectored: the software interrupt's entry is an
# illegal instruction, so each interrupt is followed by an exception with nothing retired between.
# Then an interrupt arrives just where mtvec points: its EPC is its handler's own address.
#include "board.h"

    .file "fault_first.S"

    .text
    .globl main
main:
    addi sp, sp, -16
    REG_S ra, 0(sp)
    la t0, table + 1
    csrw mtvec, t0
    li t0, MIE_MSIE
    csrw mie, t0
    li s0, 25               # rounds
    li s1, 0                # exceptions
    li s3, CLINT_MSIP
round:
    la s2, 1f
    li t0, 1
    sw t0, 0(s3)
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
1:  csrci mstatus, MSTATUS_MIE
    addi s0, s0, -1
    bnez s0, round
    li a0, 2
    addi s1, s1, -25
    bnez s1, 9f

    la t0, here             # direct mode; the interrupt is let in by the mret that goes there
    csrw mtvec, t0
    csrw mepc, t0
    li s0, 0
    li t0, 1
    sw t0, 0(s3)
    li t0, 0x1880           # MPP machine, MPIE
    csrs mstatus, t0
    mret
    .balign 4
here:
    addi s0, s0, 1
    sw zero, 0(s3)
    csrr t0, mepc
    la t1, here
    li a0, 3
    bne t0, t1, 9f
    li a0, 4
    addi s0, s0, -1
    bnez s0, 9f
    li a0, 0
9:  REG_L ra, 0(sp)
    addi sp, sp, 16
    ret

# The exception's handler goes back to where the interrupted code said (s2).
    .balign 4
exception:
    addi s1, s1, 1
    csrr t0, mcause
    addi t0, t0, -CAUSE_ILLEGAL
    bnez t0, 9b
    sw zero, 0(s3)
    csrw mepc, s2
    mret

    .balign 256
    .option push
    .option norvc
table:
    j exception
    .4byte 0x0000000b
    .4byte 0x0000000b
    .4byte 0x0000000b       # software interrupt
    .option pop
