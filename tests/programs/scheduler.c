/* Preemptive round robin: five tasks, each with a stack of its own, on the timer interrupt, system
   calls by ecall, and exceptions on purpose in between. Each task's result is then compared with that
   of the same work done alone. */
#include "check.h"
#include "mark.h"
#include "scheduler.h"

#ifndef SLICE
#define SLICE 4 /* ticks of mtime */
#endif
#ifndef SIEVES
#define SIEVES 4
#endif
#ifndef FIBONACCI
#define FIBONACCI 15
#endif
#ifndef MESSAGES
#define MESSAGES 60
#endif
#ifndef FAULTS
#define FAULTS 12
#endif

enum { PRIMES, CALLS, PRODUCER, CONSUMER, IDLE, TASKS };
enum state { READY, SLEEPING, SENDING, RECEIVING, DONE };
enum { STACK = 1536, MAILBOX = 4 };

struct task {
    struct frame frame; /* first: a frame's address is its task's */
    enum state state;
    uint64_t wake;
    word result;
    uint32_t traps[16]; /* exceptions, by cause */
};

static struct task tasks[TASKS];
static uint8_t stacks[TASKS][STACK] __attribute__((aligned(16)));
static word mailbox[MAILBOX];
static uint32_t sent, received, preemptions, idled;
static struct mark finished;
volatile word context_writes, context_refused;

static word call(word number, word argument)
{
    register word a0 __asm__("a0") = argument;
    register word a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
    return a0;
}

/* The work, with system calls only when it is done by a task. */
static int tasking;

static void maybe(word number, word argument)
{
    if (tasking)
        call(number, argument);
}

static word count_primes(void)
{
    uint8_t composite[256];
    word sum = 0;
    for (uint32_t round = 0; round < SIEVES; round++) {
        uint32_t limit = sizeof composite - round;
        for (uint32_t i = 0; i < limit; i++)
            composite[i] = 0;
        for (uint32_t i = 2; i < limit; i++) {
            if (composite[i])
                continue;
            sum += i;
            for (uint32_t j = 2 * i; j < limit; j += i)
                composite[j] = 1;
        }
        maybe(CALL_SLEEP, 3 + round);
    }
    return sum;
}

/* Steps over: the handler knows how long the instruction is. */
static void provoke(uint32_t which)
{
    static word place[2];
    word scratch;
    switch (which % 5) {
    case 0: __asm__ volatile(".4byte 0x0000000b"); break;
    case 1: __asm__ volatile("amoadd.w %0, zero, (%1)" : "=r"(scratch) : "r"((word)place + 1) : "memory"); break;
    case 2: __asm__ volatile("lr.w %0, (%1)" : "=r"(scratch) : "r"((word)place + 2) : "memory"); break;
    case 3: __asm__ volatile("ebreak"); break;
    case 4: __asm__ volatile("lw %0, 0(%1)" : "=r"(scratch) : "r"((word)NOWHERE)); break;
    }
}

static uint32_t fibonacci(uint32_t n)
{
    if (n < 2)
        return n;
    if (n == 4)
        maybe(CALL_YIELD, 0);
    return fibonacci(n - 1) + fibonacci(n - 2);
}

static word make_calls(void)
{
    word sum = 0;
    for (uint32_t i = 0; i < FAULTS; i++) {
        sum = sum * 31 + fibonacci(FIBONACCI * i / FAULTS);
        if (tasking)
            provoke(i);
    }
    return sum;
}

static word message(uint32_t n) { return n * n ^ n << 7; }

static word produce(void)
{
    for (uint32_t n = 0; n < MESSAGES; n++) {
        maybe(CALL_SEND, message(n));
        if (n % 8 == 7)
            maybe(CALL_SLEEP, 10 * n); /* in the end longer than the others have work */
    }
    return MESSAGES;
}

static word consume(void)
{
    uint32_t state = 1;
    for (uint32_t n = 0; n < MESSAGES; n++) {
        state += (uint32_t)(tasking ? call(CALL_RECEIVE, 0) : message(n));
        for (int i = 0; i < 40; i++)
            state = state & 1 ? state >> 1 ^ 0xa3000000u : state >> 1;
    }
    return state;
}

static word idle(void)
{
    while (tasking)
        __asm__ volatile("wfi" ::: "memory");
    return 0;
}

static word (*const work[TASKS])(void) = {count_primes, make_calls, produce, consume, idle};

static void task_main(word id)
{
    call(CALL_EXIT, work[id]());
}

/* Waiting tasks that need wait no longer become ready. */
static void wake(void)
{
    uint64_t now = time_now();
    for (int i = 0; i < TASKS; i++) {
        struct task *task = &tasks[i];
        switch (task->state) {
        case SLEEPING:
            if (task->wake <= now)
                task->state = READY;
            break;
        case SENDING:
            if (sent - received < MAILBOX) {
                mailbox[sent++ % MAILBOX] = task->frame.x[9];
                task->state = READY;
            }
            break;
        case RECEIVING:
            if (sent != received) {
                task->frame.x[9] = mailbox[received++ % MAILBOX];
                task->state = READY;
            }
            break;
        default:
            break;
        }
    }
}

/* The next ready task, in turn; the idle one only if there is no other. */
static struct task *next_task(struct task *task)
{
    wake();
    int id = (int)(task - tasks), busy = 0;
    for (int i = 1; i <= TASKS; i++) {
        struct task *candidate = &tasks[(id + i) % TASKS];
        if (candidate == &tasks[IDLE])
            continue;
        if (candidate->state == READY)
            return candidate;
        busy |= candidate->state != DONE;
    }
    if (!busy)
        jump_to_mark(&finished, 1);
    idled++;
    return &tasks[IDLE];
}

static void system_call(struct task *task)
{
    word argument = task->frame.x[9];
    task->frame.pc += 4;
    switch (task->frame.x[16]) {
    case CALL_SLEEP:
        task->state = SLEEPING;
        task->wake = time_now() + argument;
        break;
    case CALL_SEND:
        task->state = SENDING;
        break;
    case CALL_RECEIVE:
        task->state = RECEIVING;
        break;
    case CALL_EXIT:
        task->state = DONE;
        task->result = argument;
        break;
    }
}

struct decision on_task_trap(struct frame *frame, word cause, word tval)
{
    struct task *task = (struct task *)frame, *next = task;
    (void)tval;
    if ((long)cause < 0) {
        preemptions++;
        next = next_task(task);
        timer_at(time_now() + SLICE);
    } else {
        task->traps[cause & 15]++;
        if (cause == CAUSE_ECALL_M) {
            system_call(task);
            next = next_task(task);
        } else {
            frame->pc = after_instruction(frame->pc);
        }
    }
    return (struct decision){&next->frame, next != task};
}

int main(void)
{
    word gp, alone[TASKS];
    __asm__ volatile("mv %0, gp" : "=r"(gp));
    csr_write(mscratch, 0);
    csr_write(mtvec, (word)task_trap);
    for (word id = 0; id < IDLE; id++)
        alone[id] = work[id]();

    for (word id = 0; id < TASKS; id++) {
        struct frame *frame = &tasks[id].frame;
        frame->x[1] = (word)&stacks[id][STACK];
        frame->x[2] = gp;
        frame->x[9] = id;
        frame->pc = (word)task_main;
        frame->status = 0x1880; /* MPP machine, MPIE */
        frame->id = 0x10 + id;
    }
    tasking = 1;
    if (set_mark(&finished) == 0) {
        timer_at(time_now() + SLICE);
        csr_set(mie, MIE_MTIE);
        start_task(&tasks[0].frame);
    }
    tasking = 0;
    csr_clear(mie, MIE_MTIE);

    for (int id = 0; id < IDLE; id++)
        CHECK(tasks[id].state == DONE && tasks[id].result == alone[id]);
    static const uint8_t causes[] = {CAUSE_ILLEGAL, CAUSE_STORE_MISALIGNED, 4, CAUSE_BREAKPOINT, CAUSE_LOAD_ACCESS};
    for (uint32_t i = 0; i < 5; i++)
        CHECK(tasks[CALLS].traps[causes[i]] == (FAULTS + 4 - i) / 5);
    CHECK(sent == MESSAGES && received == MESSAGES);
    CHECK(preemptions > 50 && idled > 3);
    CHECK(context_writes > preemptions / 2);
    CHECK(context_refused == 0 || context_refused == context_writes + 1); /* + 1: start_task */
    return verdict();
}
