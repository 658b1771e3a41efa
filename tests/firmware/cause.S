# Programs that fail as firmware does that was made for another machine. CAUSE_* says how.
# Three set no trap handler: the first trap leads to address 0, and from there to itself.
#include "board.h"

    .file "cause.S"

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
#ifdef CAUSE_stack
    li sp, 0x20008000           # where picolibc's linker script has it
#else
    la sp, __stack_top
#endif
#if defined(CAUSE_uart) || defined(CAUSE_in_handler)
    la t0, trap_handler
    csrw mtvec, t0
#endif
    call main
1:  addi t0, t0, 1
    j 1b
    .size _start, . - _start

# Returns from an ecall. Of anything else it makes things worse: it has no stack to save to.
    .balign 4
    .globl trap_handler
    .type trap_handler, @function
trap_handler:
#ifdef CAUSE_uart
    .4byte 0x0000000b           # the handler is broken itself
#endif
    csrr t0, mcause
    addi t0, t0, -11
    bnez t0, 1f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
1:  li sp, 0x30000000
    la t0, trap_again
    csrw mtvec, t0
    sw ra, 0(sp)
    .size trap_handler, . - trap_handler

    .balign 4
    .globl trap_again
    .type trap_again, @function
trap_again:
    lw ra, 0(sp)
    mret
    .size trap_again, . - trap_again

    .globl main
    .type main, @function
main:
    addi sp, sp, -16
    REG_S ra, 8(sp)
#ifdef CAUSE_uart
    li t0, 0x10013000           # FE310
    sw zero, 0(t0)
#endif
#ifdef CAUSE_host_call
    li a0, 3                    # SYS_WRITEC
    addi a1, sp, 0
    .option push
    .option norvc
    .balign 16
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    .option pop
#endif
#ifdef CAUSE_floating
    .4byte 0x0020f053           # fadd.s ft0, ft1, ft2
#endif
#ifdef CAUSE_in_handler
    ecall                       # this one is returned from
    sw zero, 0(zero)            # the first cause
#endif
    REG_L ra, 8(sp)
    addi sp, sp, 16
    ret
    .size main, . - main
