/* The run that `etrace demo` records: frames arrive byte by byte in a timer interrupt, the main loop
   receives and analyses them, software interrupts do deferred work, and now and then an instruction
   faults on purpose. Exit code 0 only if every result is the known one. */
#include "board.h"
#include "work.h"

#define FRAMES 32
#define BAD_FRAMES 4
#define TICK 60           /* of mtime */
#define BYTES_PER_TICK 8
#define DIGEST 0x8e4b1735u /* of `work.c`, from a native build of it */

extern uint8_t vectors[];

/* The line: filled by the timer interrupt, emptied by the main loop. */
static uint8_t ring[64];
static volatile uint32_t filled, emptied;
static volatile uint32_t ticks, soft_wanted, soft_done, faults[16];
static uint8_t line[FRAME_MAX];
static size_t line_length, line_sent;
static uint32_t frames_sent;

static void receive_tick(void)
{
    ticks++;
    timer_at(time_now() + TICK);
    for (int i = 0; i < BYTES_PER_TICK && filled - emptied < sizeof ring; i++) {
        if (line_sent == line_length) {
            if (frames_sent == FRAMES)
                return;
            line_length = frame_build(frames_sent++, line);
            line_sent = 0;
        }
        ring[filled % sizeof ring] = line[line_sent++];
        filled++;
    }
}

static void deferred(void)
{
    software_interrupt(0);
    soft_done++;
}

/* Entries of the vector table, while it is in use. */
__attribute__((interrupt)) void timer_vector(void) { receive_tick(); }
__attribute__((interrupt)) void software_vector(void) { deferred(); }

/* Everything in direct mode; exceptions in both. */
word on_trap(word cause, word epc, word tval, struct saved *saved)
{
    (void)tval;
    if ((long)cause < 0) {
        if ((cause & 15) == IRQ_TIMER)
            receive_tick();
        else
            deferred();
        return epc;
    }
    faults[cause & 15]++;
    return cause == CAUSE_FETCH_ACCESS ? saved->ra : after_instruction(epc);
}

static void provoke(uint32_t which)
{
    word scratch = 0;
    switch (which % 8) {
    case 0: __asm__ volatile("ecall"); break;
    case 1: __asm__ volatile("ebreak"); break;
    case 2: __asm__ volatile(".4byte 0x0000000b"); break; /* custom-0: illegal here */
    case 3: __asm__ volatile(".2byte 0"); break;
    case 4: __asm__ volatile("lw %0, 0(%1)" : "=r"(scratch) : "r"((word)NOWHERE)); break;
    case 5: __asm__ volatile("sw zero, 0(%0)" : : "r"((word)NOWHERE) : "memory"); break;
    case 6: __asm__ volatile("amoadd.w %0, zero, (%1)" : "=r"(scratch) : "r"((word)ring + 1) : "memory"); break;
    case 7: __asm__ volatile("jalr %0" : : "r"((word)NOWHERE) : "ra"); break;
    }
}

static const uint8_t cause_of[8] = {
    CAUSE_ECALL_M, CAUSE_BREAKPOINT, CAUSE_ILLEGAL, CAUSE_ILLEGAL,
    CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_STORE_MISALIGNED, CAUSE_FETCH_ACCESS,
};

static int check(uint32_t good, uint32_t bad, uint32_t digest)
{
    uint32_t expected[16] = {0};
    for (uint32_t i = 0; i < good; i++)
        expected[cause_of[i % 8]]++;
    for (int cause = 0; cause < 16; cause++)
        if (faults[cause] != expected[cause])
            return 10 + cause;
    if (good != FRAMES - BAD_FRAMES || bad != BAD_FRAMES)
        return 2;
    if (soft_done != good)
        return 3;
    if (ticks < filled / BYTES_PER_TICK)
        return 4;
    return digest == DIGEST ? 0 : 5;
}

int main(void)
{
    static struct receiver receiver;
    static struct analysis analysis;
    uint32_t good = 0, bad = 0;

    csr_write(mtvec, (word)trap_entry);
    timer_at(time_now() + TICK);
    csr_set(mie, MIE_MTIE | MIE_MSIE);
    csr_set(mstatus, MSTATUS_MIE);
    print("etrace demo: receiving frames\n");

    while (good + bad < FRAMES) {
        while (filled == emptied)
            __asm__ volatile("wfi");
        uint8_t byte = ring[emptied % sizeof ring];
        emptied++;
        int got = receive(&receiver, byte);
        if (got == 0)
            continue;
        if (got < 0) {
            bad++;
            continue;
        }
        analyse(&analysis, receiver.body);
        provoke(good);
        good++;
        soft_wanted++;
        software_interrupt(1);
        while (soft_done != soft_wanted)
            ;
        if (good + bad == FRAMES / 2) {
            csr_write(mtvec, (word)vectors + 1);
            print("half way, interrupts are vectored from here on\n");
        }
    }

    csr_clear(mstatus, MSTATUS_MIE);
    int verdict = check(good, bad, analysis.digest);
    print("frames ");
    print_decimal(good);
    print(" good, ");
    print_decimal(bad);
    print(" damaged; digest ");
    print_hex(analysis.digest);
    print(verdict ? "; WRONG\n" : "; as it should be\n");
    return verdict;
}
