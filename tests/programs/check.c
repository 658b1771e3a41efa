/* Checks and random numbers; see check.h. */
#include "check.h"

static int wrong;

void check_line(uint32_t line, int holds)
{
    if (holds)
        return;
    wrong = 1;
    print("wrong at line ");
    print_decimal(line);
    print("\n");
}

int verdict(void)
{
    return wrong;
}

uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16 | *state << 16;
}
