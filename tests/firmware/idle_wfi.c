/* Nothing to do but wait: a wfi loop, woken by the timer at longer and longer intervals; once with
   interrupts disabled, where wfi goes on without a trap. */
#include "board.h"

#define WAKES 40

static volatile uint32_t wakes;

__attribute__((interrupt, aligned(4))) static void tick(void)
{
    wakes++;
    timer_at(time_now() + 100 * wakes);
}

int main(void)
{
    csr_write(mtvec, (word)tick);
    csr_write(mie, MIE_MTIE);
    timer_at(time_now() + 100);
    csr_set(mstatus, MSTATUS_MIE);
    while (wakes < WAKES)
        __asm__ volatile("wfi");
    csr_clear(mstatus, MSTATUS_MIE);

    uint64_t alarm = time_now() + 5000;
    timer_at(alarm);
    while (time_now() < alarm)
        __asm__ volatile("wfi");
    return wakes == WAKES ? 0 : 2;
}
