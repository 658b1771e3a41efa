/* A place on the stack to come back to: our own setjmp and longjmp (see mark.S). */
#ifndef MARK_H
#define MARK_H
#ifdef __riscv
struct mark {
    unsigned long registers[14]; /* ra, sp, s0 to s11 */
};

/* 0 when the mark is set, then the value of each jump to it (not 0). */
__attribute__((returns_twice)) int set_mark(struct mark *mark);
__attribute__((noreturn)) void jump_to_mark(struct mark *mark, int value);
#else /* the native check of the C programs */
#include <setjmp.h>
struct mark {
    jmp_buf buffer;
};
#define set_mark(mark) setjmp((mark)->buffer)
#define jump_to_mark(mark, value) longjmp((mark)->buffer, value)
#endif
#endif
