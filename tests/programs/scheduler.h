/* The scheduler's tasks as C and assembly see them. */
#ifndef SCHEDULER_H
#define SCHEDULER_H

/* Of struct frame, in words: x1 to x31 come first. */
#define FRAME_PC 31
#define FRAME_STATUS 32
#define FRAME_ID 33

/* Where the running task's id is written: a custom read/write CSR of machine mode. A hart without it
   raises an illegal instruction exception, which the nested handler steps over. */
#define CONTEXT_CSR 0x7c0

/* System calls: number in a7, argument in a0, result in a0. */
#define CALL_YIELD 0
#define CALL_SLEEP 1   /* a0 ticks of mtime */
#define CALL_SEND 2    /* a0, to the mailbox; waits while it is full */
#define CALL_RECEIVE 3 /* from the mailbox; waits while it is empty */
#define CALL_EXIT 4    /* with the task's result */

#ifndef __ASSEMBLER__
#include "board.h"

struct frame {
    word x[31]; /* x1 to x31 */
    word pc, status, id;
};

/* Called on the scheduler's stack, with the task's registers in its frame; returns the frame to go on
   with. `switched` says whether that is another task. */
struct decision {
    struct frame *frame;
    word switched;
};
struct decision on_task_trap(struct frame *frame, word cause, word tval);

void task_trap(void); /* for mtvec */
__attribute__((noreturn)) void start_task(struct frame *frame);
extern volatile word context_writes, context_refused;
#endif
#endif
