/* The work that speed is measured on: ordinary compiled code, five or six instructions a basic block
   and an uninferable jump every 56 instructions. Exit code 0 if every part gives its known result. */
#include "../tests/firmware/board.h"

static uint32_t state = 1;

static uint32_t next_random(void)
{
    state = state * 1103515245u + 12345u;
    return state >> 16 | state << 16;
}

static uint32_t crc_table[256];
static uint8_t text[16384];

static uint32_t crc(uint32_t rounds)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[i] = c;
    }
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * i >> 3);
    uint32_t c = ~0u;
    while (rounds--)
        for (size_t i = 0; i < sizeof text; i++)
            c = crc_table[(c ^ text[i]) & 255] ^ c >> 8;
    return ~c;
}

static int32_t numbers[8192];

static void quicksort(int32_t *low, int32_t *high)
{
    while (low < high) {
        int32_t pivot = low[(high - low) / 2], *i = low, *j = high;
        while (i <= j) {
            while (*i < pivot)
                i++;
            while (*j > pivot)
                j--;
            if (i <= j) {
                int32_t swap = *i;
                *i++ = *j;
                *j-- = swap;
            }
        }
        quicksort(low, j);
        low = i;
    }
}

static uint32_t sort(uint32_t rounds)
{
    uint32_t sum = 0;
    while (rounds--) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            numbers[i] = (int32_t)next_random();
        quicksort(numbers, numbers + sizeof numbers / sizeof *numbers - 1);
        for (size_t i = 1; i < sizeof numbers / sizeof *numbers; i++)
            if (numbers[i - 1] > numbers[i])
                return 0;
        sum = sum * 31 + (uint32_t)numbers[4096];
    }
    return sum;
}

enum { SIDE = 40 };
static uint32_t left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];

static uint32_t matrix(uint32_t rounds)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (uint32_t)(i * 3 - j);
            right[i][j] = (uint32_t)(i ^ j);
        }
    uint32_t sum = 0;
    while (rounds--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                uint32_t cell = 0;
                for (int k = 0; k < SIDE; k++)
                    cell += left[i][k] * right[k][j];
                product[i][j] = cell;
            }
        left[rounds % SIDE][rounds % SIDE] += product[rounds % SIDE][0];
        sum = sum * 17 + product[SIDE / 2][SIDE / 3];
    }
    return sum;
}

struct node {
    struct node *next;
    uint32_t key;
};
static struct node nodes[2048];

static struct node *reversed(struct node *list)
{
    struct node *done = NULL;
    while (list) {
        struct node *rest = list->next;
        list->next = done;
        done = list;
        list = rest;
    }
    return done;
}

static uint32_t lists(uint32_t rounds)
{
    struct node *head = NULL;
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        nodes[i].key = next_random();
        nodes[i].next = head;
        head = &nodes[i];
    }
    uint32_t sum = 0;
    while (rounds--) {
        head = reversed(head);
        for (struct node *node = head; node; node = node->next)
            if (node->key & 1)
                sum += node->key;
            else
                node->key += rounds;
    }
    return sum;
}

enum { PUSH, ADD, SUBTRACT, MULTIPLY, DUPLICATE, SWAP, LOAD, STORE, JUMP_IF, CALL, RETURN, HALT };

static uint32_t interpret(const int16_t *code, uint32_t *slots)
{
    uint32_t stack[32];
    int top = 0, at = 0;
    for (;;) {
        switch (code[at++]) {
        case PUSH: stack[top++] = (uint32_t)code[at++]; break;
        case ADD: top--; stack[top - 1] += stack[top]; break;
        case SUBTRACT: top--; stack[top - 1] -= stack[top]; break;
        case MULTIPLY: top--; stack[top - 1] *= stack[top]; break;
        case DUPLICATE: stack[top] = stack[top - 1]; top++; break;
        case SWAP: { uint32_t t = stack[top - 1]; stack[top - 1] = stack[top - 2]; stack[top - 2] = t; break; }
        case LOAD: stack[top++] = slots[code[at++]]; break;
        case STORE: slots[code[at++]] = stack[--top]; break;
        case JUMP_IF: top--; at = stack[top] ? code[at] : at + 1; break;
        case CALL: stack[top++] = (uint32_t)at + 1; at = code[at]; break;
        case RETURN: at = (int)stack[--top]; break;
        case HALT: return slots[1];
        }
    }
}

static uint32_t interpreter(uint32_t rounds)
{
    static const int16_t code[] = {
        /*  0 */ LOAD, 1, PUSH, 3, MULTIPLY, LOAD, 0, ADD, STORE, 1, /* x = 3 x + n */
        /* 10 */ CALL, 23,
        /* 12 */ LOAD, 0, PUSH, 1, SUBTRACT, DUPLICATE, STORE, 0, JUMP_IF, 0, /* while (--n) */
        /* 22 */ HALT,
        /* 23 */ LOAD, 1, PUSH, 7, ADD, STORE, 1, RETURN, /* x = x + 7 */
    };
    uint32_t slots[2] = {rounds, 1};
    return interpret(code, slots);
}

static uint32_t plus(uint32_t a, uint32_t b) { return a + b; }
static uint32_t times(uint32_t a, uint32_t b) { return a * (b | 1); }
static uint32_t either(uint32_t a, uint32_t b) { return a ^ b << 3; }
static uint32_t turn(uint32_t a, uint32_t b) { return a << 7 ^ a >> 25 ^ b; }

static uint32_t pointers(uint32_t rounds)
{
    static uint32_t (*const operations[])(uint32_t, uint32_t) = {plus, times, either, turn};
    uint32_t value = 1;
    for (uint32_t i = 0; i < rounds; i++)
        value = operations[value >> 9 & 3](value, i);
    return value;
}

/* Each part's share is set so that none stands out; the results are those of a native build. */
static const struct {
    const char *name;
    uint32_t (*run)(uint32_t rounds);
    uint32_t rounds, expected;
} parts[] = {
    {"crc", crc, 400, 0xb1d2c648},
    {"sort", sort, 60, 0x29107911},
    {"matrix", matrix, 140, 0x49bbb1b0},
    {"lists", lists, 3500, 0xe79ae428},
    {"interpreter", interpreter, 200000, 0x374b72e1},
    {"pointers", pointers, 1500000, 0x2c5c45f5},
};

int main(void)
{
    int verdict = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t result = parts[i].run(parts[i].rounds);
        print(parts[i].name);
        print(" ");
        print_hex(result);
        print(result == parts[i].expected ? "\n" : " WRONG\n");
        if (result != parts[i].expected)
            verdict = (int)i + 1;
    }
    return verdict;
}
