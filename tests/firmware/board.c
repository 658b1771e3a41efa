/* Console, time and small helpers for the C programs. */
#include "board.h"

extern volatile uint64_t tohost, fromhost;

/* HTIF system call 64 is write(descriptor, address, length); the block must be 64-byte aligned. */
void console_write(const char *text, size_t length)
{
    static volatile uint64_t request[8] __attribute__((aligned(64)));
    request[0] = 64;
    request[1] = 1;
    request[2] = (word)text;
    request[3] = length;
    __asm__ volatile("fence" ::: "memory");
    tohost = (word)request;
    while (fromhost == 0)
        ;
    fromhost = 0;
}

void print(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    console_write(text, length);
}

void print_decimal(uint32_t value)
{
    char digits[10];
    int at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    console_write(digits + at, sizeof digits - at);
}

void print_hex(uint32_t value)
{
    char digits[8];
    for (int i = 0; i < 8; i++)
        digits[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    console_write(digits, sizeof digits);
}

/* A 64-bit device register, halves first read and written as RV32 must. */
static volatile uint32_t *const mtime = (volatile uint32_t *)CLINT_MTIME;
static volatile uint32_t *const mtimecmp = (volatile uint32_t *)CLINT_MTIMECMP;

uint64_t time_now(void)
{
    uint32_t high, low;
    do {
        high = mtime[1];
        low = mtime[0];
    } while (high != mtime[1]);
    return (uint64_t)high << 32 | low;
}

void timer_at(uint64_t when)
{
    mtimecmp[1] = ~0u; /* no moment at which the old and new halves mean "now" */
    mtimecmp[0] = (uint32_t)when;
    mtimecmp[1] = (uint32_t)(when >> 32);
}

void software_interrupt(int pending)
{
    *(volatile uint32_t *)CLINT_MSIP = (uint32_t)pending;
}

word after_instruction(word address)
{
    return address + ((*(const uint16_t *)address & 3) == 3 ? 4 : 2);
}

/* The compiler may call these for structure copies. */
void *memcpy(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (length--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t length)
{
    unsigned char *t = to;
    while (length--)
        *t++ = (unsigned char)value;
    return to;
}
