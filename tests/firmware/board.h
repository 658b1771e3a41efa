/* The platform `spike` as this firmware sees it: CLINT, HTIF, machine-mode CSRs, both widths. */
#ifndef BOARD_H
#define BOARD_H

#if __riscv_xlen == 64
#define REG_S sd
#define REG_L ld
#define REG_BYTES 8
#else
#define REG_S sw
#define REG_L lw
#define REG_BYTES 4
#endif

#define CLINT_MSIP 0x02000000
#define CLINT_MTIMECMP 0x02004000
#define CLINT_MTIME 0x0200bff8

#define MSTATUS_MIE 0x8
#define MIE_MSIE 0x008
#define MIE_MTIE 0x080

#define CAUSE_FETCH_ACCESS 1
#define CAUSE_ILLEGAL 2
#define CAUSE_BREAKPOINT 3
#define CAUSE_LOAD_ACCESS 5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS 7
#define CAUSE_ECALL_M 11
#define IRQ_SOFTWARE 3
#define IRQ_TIMER 7

/* No memory and no device here on platform `spike`. */
#define NOWHERE 0x10

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

typedef unsigned long word; /* as wide as a register */

#define csr_read(name) ({ word v_; __asm__ volatile("csrr %0, " #name : "=r"(v_)); v_; })
#define csr_write(name, value) __asm__ volatile("csrw " #name ", %0" : : "rK"(value) : "memory")
#define csr_set(name, bits) __asm__ volatile("csrs " #name ", %0" : : "rK"(bits) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " #name ", %0" : : "rK"(bits) : "memory")

/* What trap_entry in crt.S saves, lowest address first. */
struct saved {
    word ra, t0, t1, t2, a0, a1, a2, a3, a4, a5, a6, a7, t3, t4, t5, t6;
};

int main(void);
void trap_entry(void);
/* Called for every trap that goes through trap_entry; returns where to go on. */
word on_trap(word cause, word epc, word tval, struct saved *saved);

void console_write(const char *text, size_t length);
void print(const char *text);
void print_decimal(uint32_t value);
void print_hex(uint32_t value);
uint64_t time_now(void);
void timer_at(uint64_t when);
void software_interrupt(int pending);
word after_instruction(word address);
#endif
#endif
