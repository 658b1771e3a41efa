/* Recursion of every kind: deep, mutual, through pointers, in tail position; and jumps out of it,
   whose returns a return-address stack cannot foresee. */
#include "check.h"
#include "mark.h"

#ifndef ACKERMANN_N
#define ACKERMANN_N 4
#endif
#ifndef ITEMS
#define ITEMS 6 /* permuted */
#endif
#ifndef BOARD
#define BOARD 6 /* queens */
#endif
#ifndef KEYS
#define KEYS 300 /* in the tree */
#endif
#ifndef DEPTH
#define DEPTH 150
#endif

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

/* Hofstadter's female and male sequences: neither knows itself. */
static int male(int n);
static int female(int n) { return n == 0 ? 1 : n - male(female(n - 1)); }
static int male(int n) { return n == 0 ? 0 : n - female(male(n - 1)); }

/* Mutual tail calls. */
static int is_odd(uint32_t n);
static int is_even(uint32_t n) { return n == 0 ? 1 : is_odd(n - 1); }
static int is_odd(uint32_t n) { return n == 0 ? 0 : is_even(n - 1); }

/* A state machine whose every step is a tail call through a pointer. */
typedef uint32_t (*state)(const char *at, uint32_t count);
static uint32_t between(const char *at, uint32_t count);
static uint32_t inside(const char *at, uint32_t count);
static uint32_t ended(const char *at, uint32_t count) { (void)at; return count; }
static state next_state(char c)
{
    static const state states[] = {between, inside, ended};
    return states[c == '\0' ? 2 : c != ' '];
}
static uint32_t between(const char *at, uint32_t count) { return next_state(at[1])(at + 1, count + (at[1] > ' ')); }
static uint32_t inside(const char *at, uint32_t count) { return next_state(at[1])(at + 1, count); }

/* Permutations by swapping, each handed to a visitor. */
struct permuting {
    uint8_t item[ITEMS];
    uint32_t seen, inversions;
    void (*visit)(struct permuting *);
};

static void count_inversions(struct permuting *p)
{
    p->seen++;
    for (int i = 0; i < ITEMS; i++)
        for (int j = i + 1; j < ITEMS; j++)
            p->inversions += p->item[i] > p->item[j];
}

static void swap(uint8_t *a, uint8_t *b)
{
    uint8_t t = *a;
    *a = *b;
    *b = t;
}

static void permute(struct permuting *p, int from)
{
    if (from == ITEMS) {
        p->visit(p);
        return;
    }
    for (int i = from; i < ITEMS; i++) {
        swap(&p->item[from], &p->item[i]);
        permute(p, from + 1);
        swap(&p->item[from], &p->item[i]);
    }
}

static uint32_t queens(uint32_t row, uint32_t columns, uint32_t left, uint32_t right)
{
    if (row == BOARD)
        return 1;
    uint32_t found = 0;
    uint32_t open = ~(columns | left | right) & ((1u << BOARD) - 1);
    while (open) {
        uint32_t bit = open & -open;
        open ^= bit;
        found += queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

struct node {
    struct node *left, *right;
    uint32_t key;
};
static struct node nodes[KEYS];

static struct node *insert(struct node *tree, struct node *fresh)
{
    if (!tree)
        return fresh;
    if (fresh->key < tree->key)
        tree->left = insert(tree->left, fresh);
    else
        tree->right = insert(tree->right, fresh);
    return tree;
}

static int height(const struct node *tree)
{
    if (!tree)
        return 0;
    int left = height(tree->left), right = height(tree->right);
    return 1 + (left > right ? left : right);
}

/* The smallest key allowed next, or 0 once a key was out of order (keys are not 0). */
static uint32_t in_order(const struct node *tree, uint32_t floor)
{
    if (!tree)
        return floor;
    floor = in_order(tree->left, floor);
    if (floor == 0 || tree->key < floor)
        return 0;
    return in_order(tree->right, tree->key);
}

static void mirror(struct node *tree)
{
    if (!tree)
        return;
    struct node *t = tree->left;
    tree->left = tree->right;
    tree->right = t;
    mirror(tree->left);
    mirror(tree->right);
}

/* Down to the bottom and up through as many returns, with work after each. */
static uint32_t descend(uint32_t depth)
{
    return depth == 0 ? 1 : (descend(depth - 1) * 3 ^ depth) & 0xffff;
}

/* Expressions by recursive descent; an error leaves all levels at once. */
static struct mark failed;
static const char *input;

static int sum(void);

static int factor(void)
{
    if (*input == '(') {
        input++;
        int value = sum();
        if (*input != ')')
            jump_to_mark(&failed, 1);
        input++;
        return value;
    }
    if (*input == '-') {
        input++;
        return -factor();
    }
    if (*input < '0' || *input > '9')
        jump_to_mark(&failed, 2);
    int value = 0;
    while (*input >= '0' && *input <= '9')
        value = value * 10 + *input++ - '0';
    return value;
}

static int product(void)
{
    int value = factor();
    while (*input == '*' || *input == '/') {
        char sign = *input++;
        int by = factor();
        if (sign == '/' && by == 0)
            jump_to_mark(&failed, 3);
        value = sign == '*' ? value * by : value / by;
    }
    return value;
}

static int sum(void)
{
    int value = product();
    while (*input == '+' || *input == '-') {
        char sign = *input++;
        int by = product();
        value += sign == '+' ? by : -by;
    }
    return value;
}

/* The value, or minus 1000 minus the error's number. */
static int evaluate(const char *text)
{
    input = text;
    int error = set_mark(&failed);
    if (error)
        return -1000 - error;
    int value = sum();
    return *input ? -1004 : value;
}

static void expressions(void)
{
    CHECK(evaluate("1+2*3") == 7);
    CHECK(evaluate("((((((2+3))*((4))-1))))") == 19);
    CHECK(evaluate("-(7-10)*(2+2)/3") == 4);
    CHECK(evaluate("(((((((1)") == -1001);
    CHECK(evaluate("((((((((((((5+*)") == -1002);
    CHECK(evaluate("2*(3+(4*(5/(6-6))))") == -1003);
    CHECK(evaluate("1)") == -1004);
}

/* Down, and from the bottom straight back to the top, over and over. */
static struct mark top;

static uint32_t dive(uint32_t depth, uint32_t tag)
{
    if (depth == 0) {
        if (tag)
            jump_to_mark(&top, (int)tag);
        return 0;
    }
    return dive(depth - 1, tag) + 1;
}

static uint32_t dives(void)
{
    volatile uint32_t done = 0, sum_of_tags = 0;
    uint32_t tag = (uint32_t)set_mark(&top);
    sum_of_tags += tag;
    if (++done <= 20)
        return dive(done * 3, done);
    CHECK(dive(30, 0) == 30);
    return sum_of_tags;
}

int main(void)
{
    CHECK(ackermann(2, ACKERMANN_N * 6) == ACKERMANN_N * 12 + 3);
    CHECK(ackermann(3, ACKERMANN_N) == (1u << (ACKERMANN_N + 3)) - 3);
    CHECK(female(20) == 13 && male(20) == 12);
    CHECK(is_even(1000) && !is_even(777) && is_odd(31));
    CHECK(next_state(' ')(" the quick  brown fox jumps over   the lazy dog", 0) == 9);

    struct permuting p = {.visit = count_inversions};
    for (int i = 0; i < ITEMS; i++)
        p.item[i] = (uint8_t)i;
    permute(&p, 0);
    uint32_t factorial = 1;
    for (uint32_t i = 2; i <= ITEMS; i++)
        factorial *= i;
    CHECK(p.seen == factorial && p.inversions == factorial * ITEMS * (ITEMS - 1) / 4);

    static const uint32_t solutions[] = {1, 1, 0, 0, 2, 10, 4, 40, 92};
    CHECK(queens(0, 0, 0, 0) == solutions[BOARD]);

    struct node *tree = NULL;
    uint32_t seed = 1;
    for (int i = 0; i < KEYS; i++) {
        nodes[i].key = random_next(&seed) >> 8 | 1;
        tree = insert(tree, &nodes[i]);
    }
    CHECK(in_order(tree, 1) != 0);
    int high = height(tree);
    mirror(tree);
    CHECK(in_order(tree, 1) == 0 && height(tree) == high);
    mirror(tree);
    CHECK(in_order(tree, 1) != 0);

    uint32_t expected = 1;
    for (uint32_t i = 1; i <= DEPTH; i++)
        expected = (expected * 3 ^ i) & 0xffff;
    CHECK(descend(DEPTH) == expected);

    expressions();
    CHECK(dives() == 20 * 21 / 2);
    return verdict();
}
