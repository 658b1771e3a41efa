/* A bytecode machine twice: with computed goto, an indirect jump after every operation, and with a
   switch, one jump through a table. Both run the same programs and must agree. */
#include "check.h"

#ifndef PRIMES_BELOW
#define PRIMES_BELOW 200
#endif
#ifndef COLLATZ_BELOW
#define COLLATZ_BELOW 20
#endif
#ifndef FACTORIAL_OF
#define FACTORIAL_OF 10
#endif

#define OPERATIONS(x) \
    x(PUSH) x(GET) x(SET) x(LOAD) x(STORE) x(ADD) x(SUB) x(MUL) x(AND) x(SHR) x(LESS) x(DUP) \
    x(DROP) x(JUMP) x(JZ) x(CALL) x(RET) x(HALT)
#define ENUM(name) name,
/* LABEL, n is not an operation: `assemble` removes it and makes n in jumps an index. */
enum { OPERATIONS(ENUM) LABEL };

enum { SLOTS = 8, MEMORY = PRIMES_BELOW, CODE = 128, LABELS = 8, NEST = 32 };

struct result {
    int32_t value;
    uint32_t operations;
};

static int has_operand(int16_t operation)
{
    switch (operation) {
    case PUSH: case GET: case SET: case JUMP: case JZ: case CALL: case LABEL:
        return 1;
    default:
        return 0;
    }
}

static void assemble(const int16_t *source, size_t length, int16_t *code)
{
    int16_t place[LABELS] = {0};
    for (int pass = 0; pass < 2; pass++) {
        int16_t size = 0;
        for (size_t i = 0; i < length; i++) {
            int16_t operation = source[i];
            if (operation == LABEL) {
                place[source[++i]] = size;
                continue;
            }
            code[size++] = operation;
            if (!has_operand(operation))
                continue;
            int16_t operand = source[++i];
            int jumps = operation == JUMP || operation == JZ || operation == CALL;
            code[size++] = jumps ? place[operand] : operand;
        }
        CHECK(size <= CODE);
    }
}

/* Operations are the same text for both machines: how one begins and how it goes on differs. */
#define BODY \
    OP(PUSH) stack[top++] = code[at++]; NEXT \
    OP(GET) stack[top++] = slot[code[at++]]; NEXT \
    OP(SET) slot[code[at++]] = stack[--top]; NEXT \
    OP(LOAD) stack[top - 1] = memory[stack[top - 1]]; NEXT \
    OP(STORE) top -= 2; memory[stack[top + 1]] = (uint8_t)stack[top]; NEXT \
    OP(ADD) top--; stack[top - 1] += stack[top]; NEXT \
    OP(SUB) top--; stack[top - 1] -= stack[top]; NEXT \
    OP(MUL) top--; stack[top - 1] *= stack[top]; NEXT \
    OP(AND) top--; stack[top - 1] &= stack[top]; NEXT \
    OP(SHR) top--; stack[top - 1] >>= stack[top]; NEXT \
    OP(LESS) top--; stack[top - 1] = stack[top - 1] < stack[top]; NEXT \
    OP(DUP) stack[top] = stack[top - 1]; top++; NEXT \
    OP(DROP) top--; NEXT \
    OP(JUMP) at = code[at]; NEXT \
    OP(JZ) at = stack[--top] ? at + 1 : code[at]; NEXT \
    OP(CALL) returns[nested++] = at + 1; at = code[at]; NEXT \
    OP(RET) at = returns[--nested]; NEXT \
    OP(HALT) return (struct result){stack[top - 1], operations};

#define LOCALS \
    static uint8_t memory[MEMORY]; \
    int32_t stack[NEST], returns[NEST], slot[SLOTS] = {0}; \
    int32_t at = 0, top = 0, nested = 0; \
    uint32_t operations = 0; \
    for (int i = 0; i < MEMORY; i++) \
        memory[i] = 0;

static struct result with_goto(const int16_t *code)
{
#define ADDRESS(name) &&at_##name,
    static const void *const labels[] = {OPERATIONS(ADDRESS)};
    LOCALS
#define OP(name) at_##name:
#define NEXT operations++; goto *labels[code[at++]];
    NEXT
    BODY
#undef OP
#undef NEXT
}

static struct result with_switch(const int16_t *code)
{
    LOCALS
    for (;;) {
        operations++;
        switch (code[at++]) {
#define OP(name) case name:
#define NEXT break;
        BODY
#undef OP
#undef NEXT
        }
    }
}

/* How many primes there are below PRIMES_BELOW: a sieve. Slots: 0 i, 1 j, 2 count. */
static const int16_t primes[] = {
    PUSH, 2, SET, 0,
    LABEL, 0, GET, 0, PUSH, PRIMES_BELOW, LESS, JZ, 4,
    GET, 0, LOAD, JZ, 1, JUMP, 3,
    LABEL, 1, GET, 2, PUSH, 1, ADD, SET, 2,
    GET, 0, DUP, ADD, SET, 1,
    LABEL, 2, GET, 1, PUSH, PRIMES_BELOW, LESS, JZ, 3,
    PUSH, 1, GET, 1, STORE, GET, 1, GET, 0, ADD, SET, 1, JUMP, 2,
    LABEL, 3, GET, 0, PUSH, 1, ADD, SET, 0, JUMP, 0,
    LABEL, 4, GET, 2, HALT,
};

/* The number below COLLATZ_BELOW that is longest on its way to 1, times 1000, plus its steps.
   Slots: 0 start, 1 n, 2 steps, 3 best start, 4 best steps. */
static const int16_t collatz[] = {
    PUSH, 1, SET, 0,
    LABEL, 0, GET, 0, PUSH, COLLATZ_BELOW, LESS, JZ, 2,
    GET, 0, CALL, 3, SET, 2,
    GET, 4, GET, 2, LESS, JZ, 1, GET, 2, SET, 4, GET, 0, SET, 3,
    LABEL, 1, GET, 0, PUSH, 1, ADD, SET, 0, JUMP, 0,
    LABEL, 2, GET, 3, PUSH, 1000, MUL, GET, 4, ADD, HALT,
    /* n => steps */
    LABEL, 3, SET, 1, PUSH, 0, SET, 2,
    LABEL, 4, PUSH, 1, GET, 1, LESS, JZ, 7,
    GET, 1, PUSH, 1, AND, JZ, 5,
    GET, 1, PUSH, 3, MUL, PUSH, 1, ADD, SET, 1, JUMP, 6,
    LABEL, 5, GET, 1, PUSH, 1, SHR, SET, 1,
    LABEL, 6, GET, 2, PUSH, 1, ADD, SET, 2, JUMP, 4,
    LABEL, 7, GET, 2, RET,
};

/* FACTORIAL_OF factorial, by recursion; n stays on the stack meanwhile. */
static const int16_t factorial[] = {
    PUSH, FACTORIAL_OF, CALL, 0, HALT,
    LABEL, 0, DUP, JZ, 1,
    DUP, PUSH, 1, SUB, CALL, 0, MUL, RET,
    LABEL, 1, DROP, PUSH, 1, RET,
};

static uint32_t count_primes(void)
{
    uint32_t count = 0;
    for (uint32_t n = 2; n < PRIMES_BELOW; n++) {
        uint32_t d = 2;
        while (d < n && n % d)
            d++;
        count += d == n;
    }
    return count;
}

static int32_t longest_collatz(void)
{
    int32_t best = 0, most = 0;
    for (int32_t start = 1; start < COLLATZ_BELOW; start++) {
        int32_t steps = 0;
        for (int32_t n = start; n > 1; steps++)
            n = n & 1 ? n * 3 + 1 : n / 2;
        if (steps > most) {
            most = steps;
            best = start;
        }
    }
    return best * 1000 + most;
}

#define RUN(program, expected) run(program, sizeof program / sizeof *program, expected)

static void run(const int16_t *source, size_t length, int32_t expected)
{
    int16_t code[CODE];
    assemble(source, length, code);
    struct result a = with_goto(code), b = with_switch(code);
    CHECK(a.value == expected);
    CHECK(b.value == expected);
    CHECK(a.operations == b.operations);
}

int main(void)
{
    RUN(primes, (int32_t)count_primes());
    CHECK(PRIMES_BELOW != 200 || count_primes() == 46);
    RUN(collatz, longest_collatz());
    CHECK(COLLATZ_BELOW != 20 || longest_collatz() == 18020);
    int32_t product = 1;
    for (int32_t i = 2; i <= FACTORIAL_OF; i++)
        product *= i;
    RUN(factorial, product);
    return verdict();
}
