/* Calls that no linker relaxed: nearly every one is auipc or lui and a jump through the register, so
   its target is known from the pair of instructions. Code lies in four places, far from each other. */
#include "check.h"
#include "farcalls.h"

#ifndef ROUNDS
#define ROUNDS 250
#endif
#ifndef COLLATZ_BELOW
#define COLLATZ_BELOW 60
#endif

FLASH uint32_t mix(uint32_t a, uint32_t b) { return (a << 5 | a >> 27) ^ b * 0x9e3779b1u; }
LOW uint32_t low_add(uint32_t a, uint32_t b) { return a + b; }
ZERO uint32_t zero_xor(uint32_t a, uint32_t b) { return a ^ b; }

FLASH uint32_t gcd(uint32_t a, uint32_t b) { return b == 0 ? a : gcd(b, a % b); }

/* Steps to 1: tail calls from flash to RAM and back. */
FLASH uint32_t collatz(uint32_t n, uint32_t steps)
{
    if (n == 1)
        return steps;
    if (n & 1)
        return collatz_odd(n, steps);
    return collatz(n / 2, steps + 1);
}

__attribute__((noinline)) uint32_t collatz_odd(uint32_t n, uint32_t steps)
{
    return collatz(n * 3 + 1, steps + 1);
}

static uint32_t mixed(uint32_t a, uint32_t b) { return (a << 5 | a >> 27) ^ b * 0x9e3779b1u; }

int main(void)
{
    uint32_t wrong = 0, a = 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WAYS_TO_MIX; i++)
            wrong += ways_to_mix[i](a, round) != mixed(a, round);
        for (int i = 0; i < WAYS_TO_ADD; i++)
            wrong += ways_to_add[i](a, round) != a + round;
        for (int i = 0; i < WAYS_TO_XOR; i++)
            wrong += ways_to_xor[i](a, round) != (a ^ round);
        a = mix(a, low_add(round, zero_xor(a, 0x55)));
    }
    CHECK(wrong == 0);

    uint32_t ones = 0;
    for (uint32_t i = 1; i <= 40; i++)
        for (uint32_t j = 1; j <= 20; j++)
            ones += gcd(i, j) == 1;
    CHECK(ones == 500);

    uint32_t longest = 0;
    for (uint32_t n = 1; n < COLLATZ_BELOW; n++) {
        uint32_t steps = collatz(n, 0);
        if (steps > longest)
            longest = steps;
    }
    CHECK(COLLATZ_BELOW != 60 || longest == 112);
    return verdict();
}
