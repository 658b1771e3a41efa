# Trap entry of the scheduler: all registers to the task's frame and back.
# mscratch is the running task's frame; 0 while the scheduler itself runs.
#include "board.h"
#include "scheduler.h"

    .file "scheduler_switch.S"

    .equ x_sp, 1 * REG_BYTES # x2's place in a frame
    .macro all what # but x2
    \what x1, 0(sp)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \what x\n, (\n - 1) * REG_BYTES(sp)
    .endr
    .endm

    .text
    .balign 4
    .globl task_trap
task_trap:
    csrrw sp, mscratch, sp
    beqz sp, nested
    all REG_S
    csrrw t0, mscratch, zero
    REG_S t0, x_sp(sp)
    csrr t0, mepc
    REG_S t0, FRAME_PC * REG_BYTES(sp)
    csrr t0, mstatus
    REG_S t0, FRAME_STATUS * REG_BYTES(sp)
    mv a0, sp
    csrr a1, mcause
    csrr a2, mtval
    la sp, scheduler_stack_top
    call on_task_trap
    beqz a1, resume
    REG_L t0, FRAME_ID * REG_BYTES(a0)
    lw t1, context_writes
    addi t1, t1, 1
    sw t1, context_writes, t2
    csrw CONTEXT_CSR, t0
resume:
    mv sp, a0
    csrw mscratch, sp
    REG_L t0, FRAME_PC * REG_BYTES(sp)
    csrw mepc, t0
    REG_L t0, FRAME_STATUS * REG_BYTES(sp)
    csrw mstatus, t0
    all REG_L
    REG_L sp, x_sp(sp)
    mret

    .globl start_task
start_task:
    la sp, scheduler_stack_top
    li a1, 1
    REG_L t0, FRAME_ID * REG_BYTES(a0)
    csrw CONTEXT_CSR, t0
    j resume

# A trap in the scheduler: only the write of the context CSR may be refused.
nested:
    csrrw sp, mscratch, sp
    addi sp, sp, -16
    REG_S t0, 0(sp)
    REG_S t1, REG_BYTES(sp)
    csrr t0, mcause
    li t1, CAUSE_ILLEGAL
    bne t0, t1, 1f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    lw t0, context_refused
    addi t0, t0, 1
    sw t0, context_refused, t1
    REG_L t0, 0(sp)
    REG_L t1, REG_BYTES(sp)
    addi sp, sp, 16
    mret
1:  li a0, 98
    j exit

    .bss
    .balign 16
    .space 2048
scheduler_stack_top:
