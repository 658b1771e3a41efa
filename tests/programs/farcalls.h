/* Code by place: RAM has none of these. See far.ld. */
#ifndef FARCALLS_H
#define FARCALLS_H
#include "board.h"

#define ZERO __attribute__((section(".zero.text"), noinline))
#define LOW __attribute__((section(".low.text"), noinline))
#define FLASH __attribute__((section(".flash.text"), noinline))

uint32_t mix(uint32_t a, uint32_t b);             /* in flash */
uint32_t gcd(uint32_t a, uint32_t b);             /* in flash */
uint32_t collatz(uint32_t n, uint32_t steps);     /* in flash; goes on in RAM */
uint32_t collatz_odd(uint32_t n, uint32_t steps); /* in RAM; goes on in flash */
uint32_t low_add(uint32_t a, uint32_t b);         /* at 64 KB */
uint32_t zero_xor(uint32_t a, uint32_t b);        /* below 2 KB */

/* Each calls `mix`, `low_add` or `zero_xor` in a way of its own; see farcalls_ways.S. */
typedef uint32_t (*way)(uint32_t a, uint32_t b);
extern const way ways_to_mix[], ways_to_add[], ways_to_xor[];
enum { WAYS_TO_MIX = 8, WAYS_TO_ADD = 4, WAYS_TO_XOR = 3 };
#endif
