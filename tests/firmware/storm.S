# A trap at everything: exceptions as the first instruction after each kind of control transfer, in
# rows of one, two and three, and interrupts that pend for as many returns as there were rounds, so
# that each mret is followed by the next trap with no instruction in between.
#include "board.h"

    .file "storm.S"

# s0 traps taken, s1 rounds left, s2 interrupts still to take before msip is cleared, s3 msip's
# address, s4 interrupts expected, s5 exceptions expected, s6 interrupts taken
    .macro expect exceptions
    addi s5, s5, \exceptions
    .endm
    .macro illegal
    .4byte 0x0000000b
    .endm

    .text
    .globl main
main:
    addi sp, sp, -16
    REG_S ra, 0(sp)
    la t0, handler
    csrw mtvec, t0
    li s0, 0
    li s1, 40
    li s3, CLINT_MSIP
    li s4, 0
    li s5, 0
    li s6, 0
    li t0, MIE_MSIE
    csrw mie, t0
round:
    mv s2, s1               # rows of 40, 39, ... 1 interrupts
    add s4, s4, s1
    li t0, 1
    sw t0, 0(s3)
    csrsi mstatus, MSTATUS_MIE
    nop
    csrci mstatus, MSTATUS_MIE

    expect 1                # fall through from a branch not taken
    bne zero, zero, 1f
    ecall
1:  expect 2                # target of a taken branch
    beq zero, zero, 2f
    illegal
2:  ecall
    c.ebreak
    expect 3                # target of an inferable jump
    j 3f
    illegal
3:  illegal
    .2byte 0
    ecall
    expect 1                # target of an uninferable jump
    la t1, 4f
    addi t1, t1, 0
    jr t1
    illegal
4:  lw t2, NOWHERE(zero)
    expect 2                # a call's target, and its return's
    la t1, called
    addi t1, t1, 0
    jalr t1
    sw zero, NOWHERE(zero)
    expect 2                # the fetch after an uninferable jump, and what comes after that
    la ra, 5f
    li t1, NOWHERE
    jr t1
5:  ecall
    expect 1                # a trap return to a trap, without an instruction in between
    li t0, 0x1800           # MPP machine
    csrs mstatus, t0
    li t0, 0x80             # not MPIE
    csrc mstatus, t0
    la t1, 6f
    csrw mepc, t1
    mret
6:  ecall
    expect 1                # a misaligned atomic, right before a taken branch
    la t1, scratch + 2
    amoadd.w t2, zero, (t1)
    bnez s1, 7f
7:  addi s1, s1, -1
    bnez s1, round

    sub s0, s0, s6
    li a0, 2
    bne s0, s5, 8f
    li a0, 3
    bne s6, s4, 8f
    li a0, 0
8:  REG_L ra, 0(sp)
    addi sp, sp, 16
    ret

called:
    ecall
    ret

    .balign 4
handler:
    addi s0, s0, 1
    csrr t3, mcause
    bltz t3, interrupt
    addi t3, t3, -CAUSE_FETCH_ACCESS
    beqz t3, fetch
    csrr t3, mepc           # step over what trapped
    lhu t4, 0(t3)
    addi t3, t3, 2
    andi t4, t4, 3
    addi t4, t4, -3
    bnez t4, 1f
    addi t3, t3, 2
1:  csrw mepc, t3
    mret
fetch:
    csrw mepc, ra
    mret
interrupt:
    addi s6, s6, 1
    addi s2, s2, -1
    bgtz s2, 1f
    sw zero, 0(s3)
1:  mret

    .data
    .balign 8
scratch: .dword 0, 0
