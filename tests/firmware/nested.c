/* Interrupts inside interrupts inside exceptions: the timer's handler lets a software interrupt in,
   whose handler runs into an exception, whose handler lets the timer in again. */
#include "board.h"

#define ROUNDS 24
#define DEPTH 6

static volatile uint32_t timers, softwares, exceptions, depth, deepest;

static void enter(void)
{
    if (++depth > deepest)
        deepest = depth;
}

word on_trap(word cause, word epc, word tval, struct saved *saved)
{
    (void)tval;
    (void)saved;
    word status = csr_read(mstatus);
    enter();
    if ((long)cause >= 0) {
        exceptions++;
        if (depth < DEPTH) {
            uint32_t before = timers;
            timer_at(0); /* due at once */
            csr_set(mstatus, MSTATUS_MIE);
            while (timers == before)
                ;
            csr_clear(mstatus, MSTATUS_MIE);
        }
        epc = after_instruction(epc);
    } else if ((cause & 15) == IRQ_TIMER) {
        timers++;
        timer_at(~0ull);
        if (depth < DEPTH) {
            uint32_t before = softwares;
            software_interrupt(1);
            csr_set(mstatus, MSTATUS_MIE);
            while (softwares == before)
                ;
            csr_clear(mstatus, MSTATUS_MIE);
        }
    } else {
        softwares++;
        software_interrupt(0);
        __asm__ volatile("ecall");
    }
    depth--;
    csr_write(mstatus, status);
    return epc;
}

int main(void)
{
    csr_write(mtvec, (word)trap_entry);
    timer_at(~0ull);
    csr_set(mie, MIE_MTIE | MIE_MSIE);
    csr_set(mstatus, MSTATUS_MIE);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint32_t before = timers;
        timer_at(time_now() + round);
        while (timers == before)
            ;
        if (depth != 0)
            return 2;
    }
    if (deepest != DEPTH)
        return 3;
    return timers >= ROUNDS && softwares >= ROUNDS && exceptions >= ROUNDS ? 0 : 4;
}
